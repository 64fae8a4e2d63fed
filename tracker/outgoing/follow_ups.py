"""Reminders: a message to which nobody has replied in the time its sender chose."""

from sqlmodel import Session, col, select

from tracker.db import now
from tracker.house import House
from tracker.models import Message, MessageState
from tracker.notify import ring

BATCH = 100


def remind_due(house: House) -> int:
    """Rings for what is due, once each. Returns how many reminders were looked at."""
    due = (col(Message.follow_up_at) <= now()) & (Message.state == MessageState.SENT)
    with house.database.reading() as session:
        if session.exec(select(Message.id).where(due).limit(1)).first() is None:
            return 0
    with house.database.session_scope() as session:
        waiting = select(Message).where(due).order_by(col(Message.follow_up_at)).limit(BATCH)
        found = session.exec(waiting.with_for_update(skip_locked=True)).all()
        for message in found:
            _remind(session, message)
    return len(found)


def _remind(session: Session, message: Message) -> None:
    assert message.follow_up_at is not None
    if not (message.replies or message.muted):
        ring(
            session,
            message.user_id,
            f"follow_up:{message.id}",
            "follow_up",
            message.follow_up_at,
            message_id=message.id,
        )
    message.follow_up_at = None
    session.add(message)
