"""Throwing a letter away: its content goes, a tombstone stays, so that it is not loaded again."""

from sqlmodel import Session, col, delete

from tracker.db import now
from tracker.models import Letter, LetterAttachment, LetterBody, LetterRaw


def remove_letter(session: Session, letter: Letter) -> None:
    """Keeps of the letter what recognises it, and whether it counted: a deleted enquiry still holds back its repeats."""
    for table in (LetterBody, LetterRaw, LetterAttachment):
        session.exec(delete(table).where(col(table.letter_id) == letter.id))
    letter.deleted_at = now()
    letter.subject = letter.snippet = letter.sender_name = letter.category_reason = ""
    letter.to, letter.cc, letter.defects = [], [], []
    letter.has_attachments = False
    session.add(letter)
