"""Restriction and correction: what is held is frozen at the person's wish, or struck where it was not them."""

from sqlmodel import Session, col, delete, select, update

from tracker.models import Delivery, Event, Notification, Recipient, Verdict
from tracker.models.counting.counters import lock_messages, recount
from tracker.notifications.notify import announce
from tracker.runtime.database import now

RULE_SET = "correction"
LONGEST_NOTE = 500


def restrict(session: Session, recipient: Recipient) -> None:
    """Nothing new is kept; events are neither shown nor counted, bell lines go. Events themselves stay as they are."""
    recipient.restricted_at, recipient.never_track = recipient.restricted_at or now(), True
    session.add(recipient)
    session.flush()
    copies = select(Delivery.id).where(Delivery.recipient_id == recipient.id)
    session.exec(delete(Notification).where(col(Notification.delivery_id).in_(copies)))
    _recount(session, recipient, frozen=True)


def unrestrict(session: Session, recipient: Recipient) -> None:
    """What is held is shown again. New hits stay unmeasured until somebody takes the person off the never-track list."""
    recipient.restricted_at = None
    session.add(recipient)
    session.flush()
    _recount(session, recipient, frozen=False)


def mark_not_recipient(session: Session, event: Event, note: str) -> None:
    """It was not this person: the event counts no longer, and the note says why."""
    lock_messages(session, {event.message_id})
    reasons = [{"code": "struck", "values": {"note": " ".join(note.split())[:LONGEST_NOTE]}}]
    versions = session.exec(select(Verdict.version).where(Verdict.event_id == event.id)).all()
    session.add(
        Verdict(
            event_id=event.id,
            version=max(versions, default=0) + 1,
            klass="unknown",
            confidence=1.0,
            reasons=reasons,
            rule_set=RULE_SET,
        )
    )
    event.klass, event.confidence, event.vendor, event.reasons = "unknown", 1.0, None, reasons
    event.overruled, event.counted, event.settle_at = True, False, None
    session.add(event)
    session.exec(delete(Notification).where(col(Notification.delivery_id) == event.delivery_id))
    for message in recount(session, [event.message_id]):
        announce(session, message.user_id, "message", message.public_id)


def _recount(session: Session, recipient: Recipient, *, frozen: bool) -> None:
    session.exec(update(Delivery).where(col(Delivery.recipient_id) == recipient.id).values(frozen=frozen))
    messages = session.exec(select(Delivery.message_id).where(Delivery.recipient_id == recipient.id).distinct()).all()
    for message in recount(session, messages):
        announce(session, message.user_id, "message", message.public_id)
