"""Judging again what is still held, with the rules and range files of today: every night, and by command."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select as columns
from sqlmodel import Session, col

from tracker.engagement.judging import EVERYTHING, judge_again
from tracker.engagement.process_hits import publish_outcomes
from tracker.engagement.rules import RuleSet, rules_of
from tracker.engagement.verdict_rows import store_changed
from tracker.models import Event, HitEvidence, Job
from tracker.models.counting.bulk import insert_or_keep
from tracker.models.counting.counters import lock_messages
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
    session.add(job)
