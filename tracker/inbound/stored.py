"""The raw bytes of a letter as they are kept."""

import zlib

from sqlmodel import Session, col, select

from tracker.models import Letter, LetterRaw


def raw_of(session: Session, letter: Letter) -> bytes:
    """All bytes that were loaded; empty when the letter was thrown away."""
    pieces = select(LetterRaw.content).where(LetterRaw.letter_id == letter.id).order_by(col(LetterRaw.number))
    return b"".join(zlib.decompress(piece) for piece in session.exec(pieces))
