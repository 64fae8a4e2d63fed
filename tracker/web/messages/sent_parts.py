"""What lies inside a sent message beside its text: attachments, and pictures that belong to the HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select
from starlette.requests import Request

from tracker.mail.mime.encodings import octets_in
from tracker.mail.mime.parts import leaves, read_parts
from tracker.mail.mime.text import decoded, storable
from tracker.models import Attachment, Letter, LetterBody, Message, MessageBody, User
from tracker.web.inbox.labels import excerpt


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
    parts = (part for _, part in leaves(read_parts(body.raw)) if part.is_attachment and not part.is_inline_picture)
    files = [(decoded(part.file_name), storable(part.content_type), octets_in(body.raw, part)) for part in parts]
    return [
        SentFile(n, name or f"file-{n + 1}", kind, len(content), content)
        for n, (name, kind, content) in enumerate(files)
    ]


def pictures_of(body: MessageBody | None) -> Mapping[str, tuple[str, bytes]]:
    """What has a Content-ID, by that without its angle brackets (RFC 2392), as (content type, bytes)."""
    if body is None or body.raw is None:
        return {}
    parts = [(storable(part.header("content-id")).strip(" <>"), part) for _, part in leaves(read_parts(body.raw))]
    return {cid: (storable(part.content_type), octets_in(body.raw, part)) for cid, part in parts if cid}


SHOWN = 100


@dataclass(frozen=True)
class AnswerView:
    """A letter that answers the message, and what is new in it."""

    letter: Letter
    excerpt: str


def answers_to(session: Session, message_id: int) -> dict[datetime, AnswerView]:
    """The newest answers by when they came: an event of the timeline has the moment of its letter."""
    query = select(Letter, LetterBody.text).outerjoin(LetterBody, col(LetterBody.letter_id) == col(Letter.id))
    mine = query.where(Letter.in_reply_to_message_id == message_id, col(Letter.deleted_at).is_(None))
    newest = mine.order_by(col(Letter.received_at).desc()).limit(SHOWN)
    return {letter.received_at: AnswerView(letter, excerpt(text or "")) for letter, text in session.exec(newest)}


def paper_of(request: Request, user: User) -> str:
    """On which paper a mail is shown: that of the person's theme, unless the white one is asked for."""
    return "light" if request.query_params.get("paper") == "white" else user.theme
