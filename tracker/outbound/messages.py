"""What a person does with a message that was sent: silence its bell, be reminded of it, be done with it, end its tracking.

Open pages are told. Actions raise :class:`tracker.runtime.localized_text.ActionError`. What waits is taken back in
:mod:`tracker.outbound.cancel`.
"""

from datetime import timedelta

from sqlmodel import Session, col, select, update

from tracker.models import Delivery, DeliveryStatus, Message, MessageState, Recipient, User
from tracker.notifications.notify import announce, notify
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText

MAX_REMINDER_DAYS = 365


def mute(session: Session, message: Message, muted: bool = True) -> None:
    """Whether the bell stays silent about it."""
    message.muted = muted
    _changed(session, message)


def remind(session: Session, message: Message, days: int) -> None:
    """Rings when no reply came in so many days from now; 0 takes the reminder back."""
    if not 0 <= days <= MAX_REMINDER_DAYS:
        sentence = LocalizedText("Choose a number of days from 0 to %(most)d.", most=MAX_REMINDER_DAYS)
        raise ActionError("invalid", sentence, "days")
    message.follow_up_at = now() + timedelta(days=days) if days else None
    message.follow_up_due_at = None
    _changed(session, message)


def complete(session: Session, message: Message) -> None:
    """Nothing is left to do about it: neither a follow-up, nor about what went wrong until now."""
    message.follow_up_due_at, message.handled_at = None, now()
    _changed(session, message)


def reopen(session: Session, message: Message) -> None:
    """There is something to do after all: it is to be followed up, unless there is something else that shows it."""
    went_wrong = message.state == MessageState.FAILED or message.bounces or _is_refused(session, message)
    message.handled_at = None
    message.follow_up_due_at = None if went_wrong or message.replies else now()
    _changed(session, message)


def _is_refused(session: Session, message: Message) -> bool:
    refused = select(Delivery.id).where(Delivery.message_id == message.id, Delivery.status == DeliveryStatus.REJECTED)
    return session.exec(refused.limit(1)).first() is not None


def complete_interest(session: Session, user: User, recipient: Recipient) -> None:
    """Nothing is left to do about what this recipient did with the user's mail until now."""
    mine = select(Message.id).where(Message.user_id == user.id)
    copies = (col(Delivery.recipient_id) == recipient.id, col(Delivery.message_id).in_(mine))
    session.exec(update(Delivery).where(*copies).values(handled_at=now()))


def followed_up(session: Session, user_id: int, thread_id: str) -> None:
    """A further message in a thread: what was due there is done."""
    thread = (col(Message.user_id) == user_id, col(Message.thread) == thread_id)
    due = col(Message.follow_up_due_at).is_not(None)
    session.exec(update(Message).where(*thread, due).values(follow_up_due_at=None))


def stop_tracking(session: Session, message: Message) -> None:
    """Switches both purposes off on every copy, with the rule that says so. What comes from now on is answered and forgotten;
    what is known stays."""
    for delivery in session.exec(select(Delivery).where(Delivery.message_id == message.id)):
        if delivery.opens_on:
            delivery.opens_on, delivery.opens_rule = False, "switched_off"
        if delivery.clicks_on:
            delivery.clicks_on, delivery.clicks_rule = False, "switched_off"
    message.track_opens = message.track_links = False
    message.opens_tracked = message.clicks_tracked = 0
    _changed(session, message)


def _changed(session: Session, message: Message) -> None:
    session.add(message)
    announce(session, message.user_id, "message", message.public_id)


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
                message.follow_up_due_at = now()
                notify(session, message.user_id, f"follow_up:{message.id}", "follow_up", now(), message_id=message.id)
            announce(session, message.user_id, "message", message.public_id)
    return len(ids)
