"""The letter with which a recipient of the sandbox answers what he was sent. Pure."""

import email
from contextlib import suppress
from datetime import datetime
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import format_datetime, formataddr, make_msgid, parseaddr


def answer(raw: bytes, author: str, name: str, text: str, at: datetime) -> tuple[bytes, str]:
    """A reply to `raw` by `author`, as bytes, and the address it goes to: Reply-To before From (RFC 5322 §3.6.2).

    ValueError when `raw` names nobody to answer.
    """
    original = email.message_from_bytes(raw)
    to = parseaddr(_field(original, "Reply-To") or _field(original, "From"))[1]
    if "@" not in to:
        raise ValueError("This letter has neither a From nor a Reply-To address to answer to.")
    reply = EmailMessage(policy=SMTP)
    reply["From"] = formataddr((name, author))
    try:
        reply["To"] = to
    except (AttributeError, IndexError):  # the header registry stumbles over some broken addresses
        raise ValueError("This letter has no address that can be answered.") from None
    reply["Subject"] = _subject(_field(original, "Subject"))
    reply["Date"] = format_datetime(at)
    reply["Message-ID"] = make_msgid(domain=author.partition("@")[2])
    msg_id = _field(original, "Message-ID")
    if msg_id:
        reply["In-Reply-To"] = msg_id
        reply["References"] = f"{_field(original, 'References')} {msg_id}".strip()
    reply.set_content(f"{text}\n\n{_field(original, 'From')}:\n{_quoted(original)}")
    return reply.as_bytes(), to


def _subject(subject: str) -> str:
    return subject if subject.lower().startswith("re:") else f"Re: {subject}".strip()


def _field(message: Message, name: str) -> str:
    """One line of readable text; empty when the field is missing."""
    value = str(message.get(name, ""))
    with suppress(ValueError, LookupError):  # a broken encoded-word stays as it is written
        value = str(make_header(decode_header(value)))
    return " ".join(value.split())


def _quoted(message: Message) -> str:
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            payload = part.get_payload(decode=True)
            text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
            return "\n".join(f"> {line}" for line in text.splitlines())
    return ""
