"""Reminders: a message that nobody answered in the days its sender chose."""

from sqlmodel import col, select

from tracker.models import Message, MessageState
from tracker.notifications.notify import announce, notify
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

BATCH = 50


def remind_due(context: AppContext) -> int:
    """Rings for what is due; once each. A reply that came in time leaves nothing to remind of. Returns how many were looked at."""
    with context.database.reading() as session:
        due = (col(Message.follow_up_at) <= now()) & col(Message.state).in_((MessageState.SENT, MessageState.FAILED))
        ids = session.exec(select(Message.id).where(due).order_by(col(Message.follow_up_at)).limit(BATCH)).all()
    if not ids:
        return 0
    with context.database.session_scope() as session:
        query = select(Message).where(col(Message.id).in_(ids), col(Message.follow_up_at).is_not(None))
        for message in session.exec(query.with_for_update()):
            message.follow_up_at = None
            if message.state == MessageState.SENT and not message.replies:
                notify(session, message.user_id, f"follow_up:{message.id}", "follow_up", now(), message_id=message.id)
            session.add(message)
            announce(session, message.user_id, "message", message.public_id)
    return len(ids)
