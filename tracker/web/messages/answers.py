"""What came in answer to a message, as its timeline shows it."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from tracker.models import Letter, LetterBody
from tracker.web.inbox.labels import excerpt

SHOWN = 100


@dataclass(frozen=True)
class Answer:
    """A letter that answers the message, and what is new in it."""

    letter: Letter
    excerpt: str


def answers_to(session: Session, message_id: int) -> dict[datetime, Answer]:
    """The newest answers by when they came: an event of the timeline has the moment of its letter."""
    query = select(Letter, LetterBody.text).outerjoin(LetterBody, col(LetterBody.letter_id) == col(Letter.id))
    mine = query.where(Letter.in_reply_to_message_id == message_id, col(Letter.deleted_at).is_(None))
    newest = mine.order_by(col(Letter.received_at).desc()).limit(SHOWN)
    return {letter.received_at: Answer(letter, excerpt(text or "")) for letter, text in session.exec(newest)}
