"""The user knows better: "this was not a person", "this was a person". Kept as a verdict like any other."""

from sqlmodel import Session

from tracker.engagement.act_webhooks import emit_corrections
from tracker.engagement.delivery_notifications import announce_messages, correct_notifications
from tracker.engagement.judge.verdict import Judgement, Reason, VerdictClass, alertable
from tracker.engagement.judging import reasons_as_json
from tracker.engagement.rules import rules_of
from tracker.engagement.scanner_reputation import note_people
from tracker.engagement.sealing import address_of
from tracker.engagement.verdict_rows import append_verdicts
from tracker.models import Event, HitEvidence, User
from tracker.models.counting.counters import lock_messages, recount
from tracker.runtime.context import AppContext


def overrule(session: Session, context: AppContext, event: Event, user: User, human: bool) -> None:
    """Stores the user's word as the newest verdict of the event; rules do not touch it again. Counters and bell follow."""
    assert event.id is not None
    klass: VerdictClass = "human" if human else "unknown"
    verdict = Judgement(klass, 1.0, (Reason("user_said_person" if human else "user_said_machine"),))
    lock_messages(session, {event.message_id})
    append_verdicts(session, {event.id: verdict}, rules_of(context).name, by=user.id)
    event.klass, event.confidence, event.vendor, event.reasons = klass, 1.0, None, reasons_as_json(verdict)
    counted_before = event.counted
    event.overruled, event.counted = True, alertable(verdict) and not event.merged
    session.add(event)
    messages = recount(session, [event.message_id])
    if event.alerted and event.delivery_id is not None:
        correct_notifications(session, {event.delivery_id})
    if event.counted != counted_before:
        emit_corrections(session, {event.id})
    if human:
        _remember_the_person(session, context, event)
    announce_messages(session, messages)


def _remember_the_person(session: Session, context: AppContext, event: Event) -> None:
    evidence = session.get(HitEvidence, event.id)
    if evidence is not None:
        note_people(session, context, [address_of(context, event.public_id, evidence.sealed)])
