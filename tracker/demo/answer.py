"""The letter with which a recipient of the sandbox answers what he was sent. Pure."""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, make_msgid

from tracker.mail.mime.fields import fields
from tracker.mail.mime.text import decoded
from tracker.outbound.gateway.submitted_text import mailboxes, msg_ids, plain_text, values


def answer(raw: bytes, author: str, name: str, text: str, at: datetime) -> tuple[bytes, str]:
    """A reply to `raw` by `author`, as bytes, and the address it goes to: Reply-To before From (RFC 5322 §3.6.2).

    ValueError when `raw` names nobody to answer.
    """
    found = list(fields(raw))
    writers = mailboxes(found, "reply-to") or mailboxes(found, "from")
    if not writers:
        raise ValueError("This letter has neither a From nor a Reply-To address to answer to.")
    reply = EmailMessage(policy=SMTP)
    reply["From"] = formataddr((name, author))
    reply["To"] = writers[0].address
    subject = decoded(" ".join(values(found, "subject")[:1]))
    reply["Subject"] = subject if subject.lower().startswith("re:") else f"Re: {subject}".strip()
    reply["Date"] = format_datetime(at)
    reply["Message-ID"] = make_msgid(domain=author.partition("@")[2])
    answered = msg_ids(found, "message-id")[:1]
    if answered:
        reply["In-Reply-To"] = answered[0]
        reply["References"] = " ".join([*msg_ids(found, "references"), *answered])
    quoted = "\n".join(f"> {line}" for line in (plain_text(raw) or "").splitlines())
    reply.set_content(f"{text}\n\n{decoded(' '.join(values(found, 'from')[:1]))}:\n{quoted}")
    return reply.as_bytes(), writers[0].address
