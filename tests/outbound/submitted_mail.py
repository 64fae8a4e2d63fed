"""Raw messages as mail programs write them."""

from base64 import encodebytes
from collections.abc import Sequence

from sqlmodel import Session

from tracker.models import Message, User
from tracker.outbound.gateway.submitted import ACCOUNTS, KnownSender, confirmed, read_submitted
from tracker.outbound.send import enqueue
from tracker.runtime.context import AppContext

HTML = b'<html><body><p>Hello, <a href="https://shop.example/offer?a=1&amp;b=2">the offer</a>.</p></body></html>\r\n'
PDF = b"%PDF-1.7 \x00\x01\x02 offer " * 40

CONTROL = b"X-Inkling-Track: opens, links\r\n"
BCC = b"Bcc: boss@client.example\r\n"

HEADER = (
    b"From: =?utf-8?q?=C3=84lice?= Seller <alice@seller.example>\r\n"
    b'To: "Anna A." <anna@client.example>\r\n'
    b"Cc: Luc\r\n <luc@client.example>\r\n"
    b"SUBJECT:  =?utf-8?b?0J/RgNC10LTQu9C+0LbQtdC90LjQtQ==?= 12\r\n"
    b"Message-Id: <odd.One-1@laptop.local>\r\n"
    b"Date: Mon, 16 Nov 2026 10:00:00 +0300\r\n"
    b"X-Mailer:   spaces   kept\t\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed;\r\n boundary="=_outer"\r\n'
    b"\r\n"
)
BODY = (
    b"This is for old programs.\r\n"
    b"--=_outer\r\n"
    b"Content-Type: multipart/alternative; boundary=inner\r\n\r\n"
    b"--inner\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    b"Gr\xc3\xbc\xc3\x9fe, here is https://shop.example/offer\r\n.a line with a dot\r\n"
    b"--inner\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + HTML + b"\r\n"
    b"--inner--\r\n"
    b"--=_outer\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=offer.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n" + encodebytes(PDF).replace(b"\n", b"\r\n") + b"--=_outer--\r\n"
)
MIXED = HEADER + BODY
"""As it must arrive at somebody who is not tracked."""
WITH_CONTROL = CONTROL + BCC + MIXED
"""As it is submitted."""

TO = ["anna@client.example", "luc@client.example", "boss@client.example"]


def plain(*fields: str, body: str = "Hello\r\n") -> bytes:
    """A small message; the fields replace or follow From, To, Subject, Date and Message-ID."""
    usual = {
        "From": "alice@seller.example",
        "To": "anna@client.example",
        "Subject": "Offer",
        "Date": "Mon, 16 Nov 2026 10:00:00 +0300",
        "Message-ID": "<one@laptop.local>",
    }
    for field in fields:
        usual.pop(field.partition(":")[0], None)
    lines = [*(f"{name}: {value}" for name, value in usual.items()), *fields]
    return "\r\n".join([*lines, "", body]).encode("utf-8", "surrogateescape")


def enqueue_submitted(
    session: Session, context: AppContext, user: User, mail_from: str, rcpt_tos: Sequence[str], raw: bytes
) -> Message:
    """Takes a submitted message into the queue; once the caller's transaction has committed it will be sent.

    Raises :class:`SendError` as :func:`read_submitted` does; then nothing was changed.
    """
    sender = KnownSender(user, confirmed(session.exec(ACCOUNTS, params={"user": user.id})))
    return enqueue(session, context, read_submitted(session, context, sender, mail_from, rcpt_tos, raw))
