"""Finding a letter of one's own. Somebody else's is not there, nor one that was thrown away: 404, as if it did not exist."""

from sqlmodel import Session, col, select
from starlette.exceptions import HTTPException

from tracker.models import Letter, User


def own_letter(session: Session, user: User, public_id: str) -> Letter:
    """Raises 404."""
    query = select(Letter).where(Letter.public_id == public_id, Letter.user_id == user.id)
    letter = session.exec(query.where(col(Letter.deleted_at).is_(None))).first()
    if letter is None:
        raise HTTPException(404)
    return letter
