"""The user knows better: "this was not a person", "this was a person". Kept as a verdict like any other."""

from sqlmodel import Session

from tracker.engagement.alerts import correct_bell
from tracker.engagement.counters import recount
from tracker.engagement.judging import next_version, verdict_row
from tracker.engagement.verdict import Klass, Reason, Verdict
from tracker.house import House
from tracker.models import Event, User
from tracker.notify import announce


def overrule(session: Session, house: House, event: Event, user: User, human: bool) -> None:
    """Stores the user's word as the newest verdict of the event; rules do not touch it again. Counters and bell follow."""
    klass: Klass = "human" if human else "unknown"
    verdict = Verdict(klass, 1.0, (Reason("user_said_person" if human else "user_said_machine", {}),))
    event.overruled = True
    session.add(verdict_row(event, verdict, next_version(session, event), by=user.id))
    if not human:
        event.counted = False
    session.add(event)
    for message in recount(session, [event.message_id]):
        announce(session, message.user_id, "message", message.public_id)
    correct_bell(session, [event])
