"""Makes the raw letters of this folder, each named for what it teaches: `python tests/data/letters/make.py`.

They are kept as files because their bytes matter; this says how each came to be.
"""

import base64
from email.message import EmailMessage
from pathlib import Path

HERE = Path(__file__).parent
HEAD = b"From: Anna Berg <anna@client.example>\r\nTo: info@site.example\r\nDate: Thu, 26 Nov 2026 10:00:00 +0300\r\n"


def b64(text: bytes) -> bytes:
    return base64.b64encode(text)


def with_head(*lines: bytes, body: bytes = b"Hello, what do forty chairs cost?\r\n", head: bytes = HEAD) -> bytes:
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def without(name: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in HEAD.split(b"\r\n") if line and not line.startswith(name))


def letters() -> dict[str, bytes]:
    split = "Вопрос".encode()
    return {
        "p01-to-is-one-quote": with_head(b'To: "', b"Subject: a", head=without(b"To")),
        "p02-message-id-in-brackets": with_head(b"Message-ID: <[b378c5e2@microsoft.com]>", b"Subject: b"),
        "p03-line-break-in-the-name": with_head(
            b"From: =?utf-8?q?Anna=0D=0ABcc=3A_x?= <anna@client.example>", b"Subject: c", head=without(b"From")
        ),
        "p04-parameter-without-value": with_head(b"Subject: d", b"Content-Type: text/plain; name*"),
        "p05-unknown-charset": with_head(
            b"Subject: =?x-unknown?B?" + b64("Заказ стульев".encode("cp1251")) + b"?=",
            b"Content-Type: text/plain; charset=unknown-8bit",
            body="Сколько стоят сорок стульев?\r\n".encode("cp1251"),
        ),
        "p06-raw-cp1251-subject": with_head(b"Subject: " + "Заказ стульев".encode("cp1251")),
        "p07-letter-split-over-words": with_head(
            b"Subject: =?utf-8?B?" + b64(split[:5]) + b"?=\r\n =?utf-8?B?" + b64(split[5:]) + b"?="
        ),
        "p08-date-out-of-this-world": with_head(
            b"Date: Thu, 26 Nov 2026 10:00:00 +9999", b"Subject: e", head=without(b"Date")
        ),
        "p09-date-without-zone": with_head(
            b"Date: Thu, 26 Nov 2026 10:00:00 -0000", b"Subject: f", head=without(b"Date")
        ),
        "p10-year-nought": with_head(b"Date: Thu, 26 Nov 0000 10:00:00 +0000", b"Subject: g", head=without(b"Date")),
        "p11-address-as-quoted-name": with_head(
            b'From: "boss@x.example" <ivan@y.example>', b"Subject: h", head=without(b"From")
        ),
        "p12-address-as-bare-name": with_head(
            b"From: boss@x.example <ivan@y.example>", b"Subject: i", head=without(b"From")
        ),
        "p13-address-without-brackets": with_head(
            "From: Иван ivan@x.example".encode(), b"Subject: j", head=without(b"From")
        ),
        "p16-nul-bytes": with_head(b"Subject: no\0thing", body=b"here\0 there\r\n"),
        "p18-from-twice": with_head(b"__proto__: x", b"From: eve@evil.example", b"Subject: k"),
        "p19-html-only": with_head(
            b"Subject: l", b"Content-Type: text/html; charset=utf-8", body=b"<p>Hello <b>there</b></p><p>Anna</p>"
        ),
        "p19-winmail": _multipart(
            ("text/plain", b"See attached.", ""), ("application/ms-tnef", b"\x78\x9f\x3e\x22", "winmail.dat")
        ),
        "p20-script-and-pictures": with_head(
            b"Subject: m",
            b"Content-Type: text/html",
            body=b"<p>Hi<script>alert(1)</script><img src='http://t.example/p.gif'><form action=/x><input></form></p>",
        ),
        "p21-hostile-file-names": _multipart(
            ("text/plain", b"Files.", ""),
            ("application/pdf", b"%PDF", "../../etc/passwd"),
            ("text/plain", b"x", "CON"),
            ("text/plain", b"x", "a" * 400 + ".txt"),
            ("application/octet-stream", b"x", "offer\u202efdp.exe"),
        ),
        "p22-undisclosed-recipients": with_head(
            b"To: undisclosed-recipients:;", b"Delivered-To: info+0011@site.example", b"Subject: n", head=without(b"To")
        ),
        "p23-broken-encodings": with_head(
            b"Subject: o",
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Transfer-Encoding: base64",
            body=b"SGVsb!!!G8s\r\n*IHdvcmxk=\r\n",
        ),
        "k04-out-of-office": with_head(
            b"Subject: Automatic reply: [#3112] chairs",
            b"X-Auto-Response-Suppress: All",
            b"Auto-Submitted: auto-generated",
        ),
        "k05-two-recipients-failed-and-delayed": _report(
            ("failed", "5.1.1", "gone@buyer.example", "smtp; 550 5.1.1 no such user"),
            ("delayed", "4.4.1", "slow@buyer.example", "smtp; 451 4.4.1 try later"),
        ),
        "k06-report-without-original": _report(
            ("failed", "5.2.2", "full@buyer.example", "smtp; 552 mailbox full"), original=False
        ),
        "k07-postmaster-is-a-person": with_head(
            b"From: postmaster@tiny.example", b"Subject: Could we have a price?", head=without(b"From")
        ),
        "k11-forwarded-by-a-colleague": with_head(
            b"Subject: Fwd: chairs",
            body=b"See below.\r\n\r\n---------- Forwarded message ---------\r\nFrom: Eve <eve@buyer.example>\r\n\r\nHow much?\r\n",
        ),
        "k15-signed-and-encrypted": with_head(
            b"Subject: p",
            b'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"',
            b"Content-Transfer-Encoding: base64",
            body=b64(b"\x30\x82\x01\x02 sealed"),
        ),
        "k16-invitation": _multipart(
            ("text/plain", b"Shall we meet?", ""), ("text/calendar; method=REQUEST", b"BEGIN:VCALENDAR", "")
        ),
    }


def _multipart(*parts: tuple[str, bytes, str]) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Anna Berg <anna@client.example>", "info@site.example", "parts"
    message["Date"] = "Thu, 26 Nov 2026 10:00:00 +0300"
    message.set_content(parts[0][1].decode())
    for kind, content, name in parts[1:]:
        main, _, sub = kind.partition(";")[0].partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name or None)
    return message.as_bytes()


def _report(*blocks: tuple[str, str, str, str], original: bool = True) -> bytes:
    status = b"Reporting-MTA: dns; mx.buyer.example\r\nArrival-Date: Thu, 26 Nov 2026 10:00:00 +0000\r\n"
    for action, code, address, said in blocks:
        block = f"\r\nFinal-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {code}\r\nDiagnostic-Code: {said}\r\n"
        status += block.encode()
    parts = [
        b"Content-Type: text/plain\r\n\r\nYour message could not be delivered.\r\n",
        b"Content-Type: message/delivery-status\r\n\r\n" + status,
    ]
    if original:
        parts.append(
            b"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <m-abc@seller.example>\r\nSubject: Offer\r\n"
        )
    body = b"".join(b"--=_b\r\n" + part + b"\r\n" for part in parts) + b"--=_b--\r\n"
    return with_head(
        b"From: MAILER-DAEMON@mx.buyer.example",
        b"Return-Path: <>",
        b"Subject: Undelivered Mail Returned to Sender",
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="=_b"',
        body=body,
        head=without(b"From"),
    )


if __name__ == "__main__":
    for name, raw in letters().items():
        (HERE / f"{name}.eml").write_bytes(raw)
