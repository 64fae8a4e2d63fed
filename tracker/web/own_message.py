"""Finding a message of one's own. Somebody else's is not there: 404, as if it did not exist."""

from sqlmodel import Session, select
from starlette.exceptions import HTTPException

from tracker.models import Message, User


def own_message(session: Session, user: User, public_id: str) -> Message:
    """Raises 404."""
    query = select(Message).where(Message.public_id == public_id, Message.user_id == user.id)
    message = session.exec(query).first()
    if message is None:
        raise HTTPException(404)
    return message
