"""What lies inside a sent message beside its text: attachments, and pictures that belong to the HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from sqlmodel import Session, col, select

from tracker.models import Attachment, Message, MessageBody


@dataclass(frozen=True)
class SentFile:
    """An attachment as the message page lists it; ``number`` is its place."""

    number: int
    filename: str
    content_type: str
    size: int
    content: bytes


def files_of(session: Session, message: Message, body: MessageBody | None) -> Sequence[SentFile]:
    """The attachments: from their own rows while those are kept, else out of the message itself. Never raises on bad mail."""
    query = select(Attachment).where(Attachment.message_id == message.id).order_by(col(Attachment.id))
    rows = session.exec(query).all()
    if rows or body is None or body.raw is None:
        shown = [row for row in rows if not row.cid]
        return [SentFile(n, row.filename, row.content_type, row.size, row.content) for n, row in enumerate(shown)]
    found = [
        (part.get_filename() or "", part.get_content_type(), _bytes(part))
        for part in _parts(body.raw)
        if _is_file(part)
    ]
    return [
        SentFile(n, name or f"file-{n + 1}", kind, len(content), content)
        for n, (name, kind, content) in enumerate(found)
    ]


def pictures_of(body: MessageBody | None) -> Mapping[str, tuple[str, bytes]]:
    """Pictures by Content-ID without its angle brackets (RFC 2392), as (content type, bytes)."""
    if body is None or body.raw is None:
        return {}
    parts = [(str(part.get("Content-ID", "")).strip(" <>"), part) for part in _parts(body.raw)]
    return {cid: (part.get_content_type(), _bytes(part)) for cid, part in parts if cid}


def _parts(raw: bytes) -> list[EmailMessage]:
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    return [part for part in message.walk() if isinstance(part, EmailMessage) and not part.is_multipart()]


def _is_file(part: EmailMessage) -> bool:
    return part.get_content_disposition() == "attachment" or (bool(part.get_filename()) and not part.get("Content-ID"))


def _bytes(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
