"""What arrives in the demo: an enquiry written three times, a newsletter, and what becomes of Marina's mail — a reply, an absence
note, and one that came back."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr

from sqlmodel import Session, col, select

from tracker.demo.world import World, answer
from tracker.inbound.credentials import make_credential
from tracker.inbound.mailbox_input import NewCredentials
from tracker.inbound.mailboxes import connect_mailbox, sync_now
from tracker.models import Mailbox, User
from tracker.runtime.context import AppContext

WAIT_SECONDS = 30.0
"""Seconds to wait for a letter to be handed over before its answer is given up."""
EVA = ("Eva Lindqvist <eva@lindqvist.example>", "lindqvist.example")
_ENQUIRY = (
    (
        "Oak desks for a small studio",
        "Hello,\n\ndo you make desks in oak, 160 cm wide? We need six of them.\n\nEva Lindqvist",
    ),
    ("Re: Oak desks for a small studio", "One more thing: could they be delivered before Christmas?\n\nEva"),
    ("Oak desks", "Sorry to write again. Here is our telephone number: +46 8 123 45 67.\n\nEva"),
)
_NEWS = ("Office Trends <news@trends.example>", "trends.example")


def connect(session: Session, context: AppContext, world: World, user: User, secret: str) -> Mailbox:
    """The seller's own mailbox, read from now on."""
    server = NewCredentials(
        name="Sandbox", host=world.host, port=world.imap_port, security="none", login=user.email, secret=secret
    )
    return connect_mailbox(session, user.id or 0, make_credential(session, context, user.id or 0, server))


def deliver_enquiries(world: World, to: str) -> None:
    """Somebody new writes three times, and a newsletter comes between."""
    for subject, text in _ENQUIRY:
        world.deliver(make_letter(EVA, to, subject, text), to)
    news = make_letter(_NEWS, to, "Ten chairs of the year", "This month: ten chairs that everybody talks about.")
    world.deliver(b"List-Unsubscribe: <https://trends.example/u>\r\nPrecedence: bulk\r\n" + news, to)


def deliver_answers(world: World, is_over: Callable[[], bool]) -> None:
    """Anna replies, Tomás is away, and what was sent to Luc comes back."""
    for address, respond in (
        ("anna@bergbau.example", _reply),
        ("tomas@ortega.example", _absence),
        ("luc@moreau.example", _report),
    ):
        raw = _wait_for_letter(world, address, is_over)
        if raw is not None:
            respond(world, address, raw)


def poll_now(context: AppContext) -> None:
    """Nobody in a demo waits ten minutes: every mailbox that works is read now."""
    with context.database.session_scope() as session:
        for mailbox in session.exec(select(Mailbox).where(col(Mailbox.removed_at).is_(None))):
            if mailbox.state == "active" and mailbox.active:
                sync_now(session, mailbox)


def make_letter(who: tuple[str, str], to: str, subject: str, text: str, at: datetime | None = None) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = who[0], to, subject
    message["Date"], message["Message-ID"] = format_datetime(at or datetime.now(UTC)), make_msgid(domain=who[1])
    message.set_content(text)
    return message.as_bytes()


def _wait_for_letter(world: World, address: str, is_over: Callable[[], bool]) -> bytes | None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and not is_over():
        letters = world.mailbox(address).letters()
        if letters:
            return letters[-1].raw
        time.sleep(0.2)
    return None


def _reply(world: World, address: str, raw: bytes) -> None:
    text = "Dear Marina,\n\nthank you, that looks good. Could you do the same price for fifty?\n\nAnna"
    octets, to = answer(raw, address, "Anna Berg", text, datetime.now(UTC))
    world.deliver(octets, to)


def _absence(world: World, address: str, raw: bytes) -> None:
    text = "I am out of the office until Monday and will answer then.\n\nTomás Ortega"
    octets, to = answer(raw, address, "Tomás Ortega", text, datetime.now(UTC))
    world.deliver(b"Auto-Submitted: auto-replied\r\n" + octets, to)


def _report(world: World, address: str, raw: bytes) -> None:
    """A delivery report as RFC 3464 has it, with the header section of what came back."""
    heads = raw.partition(b"\r\n\r\n")[0]
    fields = [
        line
        for line in heads.split(b"\r\n")
        if line.lower().startswith((b"message-id:", b"subject:", b"from:", b"to:"))
    ]
    sender = parseaddr(next(line for line in fields if line.lower().startswith(b"from:")).decode()[5:])[1]
    status = (
        f"Reporting-MTA: dns; mx.moreau.example\r\n\r\nFinal-Recipient: rfc822; {address}\r\nAction: failed\r\n"
        "Status: 5.2.2\r\nDiagnostic-Code: smtp; 552 5.2.2 The mailbox is full\r\n"
    )
    parts = [
        b"Content-Type: text/plain\r\n\r\nYour message could not be delivered: the mailbox is full.\r\n",
        b"Content-Type: message/delivery-status\r\n\r\n" + status.encode(),
        b"Content-Type: text/rfc822-headers\r\n\r\n" + b"\r\n".join(fields) + b"\r\n",
    ]
    head = (
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.moreau.example\r\nTo: {sender}\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        f"Date: {format_datetime(datetime.now(UTC))}\r\nMessage-ID: {make_msgid(domain='mx.moreau.example')}\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="=_report"\r\n\r\n'
    )
    body = b"".join(b"--=_report\r\n" + part + b"\r\n" for part in parts) + b"--=_report--\r\n"
    world.deliver(head.encode() + body, sender)
