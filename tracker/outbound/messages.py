"""What a person does with a message that was sent: silence its bell, be reminded of it, end its tracking.

Open pages are told. Actions raise :class:`tracker.runtime.localized_text.ActionError`. What waits is taken back in
:mod:`tracker.outbound.send`.
"""

from datetime import timedelta

from sqlmodel import Session, select

from tracker.models import Delivery, Message
from tracker.notifications.notify import announce
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
    _changed(session, message)


def stop_tracking(session: Session, message: Message) -> None:
    """Switches both purposes off on every copy, with the rule that says so. What comes from now on is answered and forgotten;
    what is known stays."""
    for delivery in session.exec(select(Delivery).where(Delivery.message_id == message.id)):
        if delivery.opens_on:
            delivery.opens_on, delivery.opens_rule = False, "switched_off"
        if delivery.clicks_on:
            delivery.clicks_on, delivery.clicks_rule = False, "switched_off"
        session.add(delivery)
    message.track_opens = message.track_links = False
    message.opens_tracked = message.clicks_tracked = 0
    _changed(session, message)


def _changed(session: Session, message: Message) -> None:
    session.add(message)
    announce(session, message.user_id, "message", message.public_id)
