"""Judging again what is still held, with the rules and range files of today: every night, by command, and where the user
knows better ("this was not a person"), which is kept as a verdict like any other.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select as columns
from sqlmodel import Session, col

from tracker.engagement.act_webhooks import emit_corrections
from tracker.engagement.delivery_notifications import announce_messages, correct_notifications
from tracker.engagement.judge.verdict import Judgement, Reason, VerdictClass, alertable
from tracker.engagement.judging import EVERYTHING, judge_again, reasons_as_json
from tracker.engagement.process_hits import publish_outcomes
from tracker.engagement.rules import RuleSet, rules_of
from tracker.engagement.scanner_reputation import note_people
from tracker.engagement.sealing import address_of
from tracker.engagement.verdict_rows import append_verdicts, store_changed
from tracker.models import Event, HitEvidence, Job, User
from tracker.models.counting.bulk import insert_or_keep
from tracker.models.counting.counters import lock_messages, recount
from tracker.models.counting.tables import in_list
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.gc_pause import gc_paused

SLICE = 300


def rejudge_held(context: AppContext, days: int | None = None) -> int:
    """Judges every delivery again that has evidence (of the last so many days). Returns how many verdicts changed.

    Reads without a lock and writes only where something changed, so that it may run while hits come in.
    """
    since = now() - timedelta(days=days) if days is not None else None
    changed, after = 0, 0
    rules = rules_of(context)
    while deliveries := _deliveries(context, after, since):
        after = deliveries[-1]
        touched = _changing(context, rules, deliveries)
        changed += _judge(context, rules, touched) if touched else 0
    return changed


def _deliveries(context: AppContext, after: int, since: datetime | None) -> Sequence[int]:
    held = (
        columns(col(Event.delivery_id))
        .join(HitEvidence, col(HitEvidence.event_id) == col(Event.id))
        .where(col(Event.delivery_id) > after, *([] if since is None else [col(Event.at) >= since]))
        .distinct()
        .order_by(col(Event.delivery_id))
        .limit(SLICE)
    )
    with context.database.reading() as session:
        return [id_ for id_ in session.connection().execute(held).scalars() if id_ is not None]


def _changing(context: AppContext, rules: RuleSet, deliveries: Sequence[int]) -> set[int]:
    with gc_paused(), context.database.reading() as session:
        outcomes = judge_again(session, context, rules, deliveries, EVERYTHING)
    return {outcome.known.delivery_id for outcome in outcomes if outcome.says_otherwise or outcome.counts_otherwise}


def _judge(context: AppContext, rules: RuleSet, deliveries: set[int]) -> int:
    with context.database.session_scope() as session:
        lock_messages(session, _messages(session, deliveries))
        changed = store_changed(
            session, rules, judge_again(session, context, rules, deliveries, EVERYTHING), exact=True
        )
        publish_outcomes(session, changed)
    return len(changed)


def _messages(session: Session, deliveries: set[int]) -> set[int]:
    query = columns(col(Event.message_id)).where(in_list(session, col(Event.delivery_id), deliveries)).distinct()
    return set(session.connection().execute(query).scalars().all())


NAME = "judge again"
EVERY = timedelta(days=1)


def rejudge_nightly(context: AppContext) -> int:
    """Judges everything again when a day has passed. Returns 0: there is never more to do at once."""
    with context.database.reading() as session:
        job = session.get(Job, NAME)
    if job is None:  # the first look of all only sets the date
        with context.database.session_scope() as session:
            session.execute(insert_or_keep(session, Job).values(name=NAME, due_at=now() + EVERY))
        return 0
    if not _is_due(job):
        return 0
    with context.database.session_scope() as session:
        lease = context.leases.claim(session, "job", NAME)
        still_due = _is_due(session.get_one(Job, NAME))
    if lease is None:
        return 0
    if still_due:
        rejudge_held(context)
    with context.database.session_scope() as session:
        if context.leases.release(session, lease) and still_due:
            _done(session)
    return 0


def _is_due(job: Job) -> bool:
    return job.due_at <= now()


def _done(session: Session) -> None:
    job = session.get_one(Job, NAME)
    job.due_at = now() + EVERY


def overrule(session: Session, context: AppContext, event: Event, user: User, human: bool) -> None:
    """Stores the user's word as the newest verdict of the event; rules do not touch it again. Counters and bell follow."""
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
