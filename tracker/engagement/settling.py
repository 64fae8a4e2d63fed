"""When the waiting time of a hit is over: judge once more, then ring for what a person did."""

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func, update
from sqlalchemy import select as columns
from sqlmodel import Session

from tracker.engagement.act_webhooks import emit_acts
from tracker.engagement.delivery_notifications import notify_settled
from tracker.engagement.judging import Scope, judge_again, reach_of
from tracker.engagement.process_hits import publish_outcomes
from tracker.engagement.rules import rules_of
from tracker.engagement.scanner_reputation import note_people
from tracker.engagement.sealing import address_of
from tracker.engagement.verdict_rows import store_changed
from tracker.models.counting.counters import lock_messages
from tracker.models.counting.tables import DELIVERY, EVENT, EVIDENCE, VERDICT, in_bound_list, in_list, run_made_once
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.gc_pause import gc_paused

BATCH = 250
"""Few enough that hits that come meanwhile do not wait for long where one transaction writes at a time."""

LONG_AFTER = timedelta(hours=6)
"""So long after a hit and its copy's handover every window around them is over, and the server's 250 noted."""


def settle_due(context: AppContext) -> int:
    """Judges once more what has waited long enough, and rings for what a person did. Returns how many events settled."""
    with context.database.reading() as session:
        waiting = run_made_once(session, _due, moment=now(), limit=BATCH).all()
    if not waiting:
        return 0
    with gc_paused(), context.database.session_scope() as session:
        # Messages first and events after them, as everybody does; another worker may have settled some in between. What one has in
        # hand is settled once that worker has committed.
        free = lock_messages(session, {event.message_id for event in waiting}, wait=False)
        waiting = [event for event in waiting if event.message_id in free]
        if not waiting:
            return 0
        reach = reach_of(rules_of(context))
        _judge_once_more(session, context, [event for event in waiting if not _is_final(event, reach)])
        settled = run_made_once(session, _still_waiting, events=[event.id for event in waiting]).all()
        people = [event for event in settled if event.counted]
        _mark(session, settled, settle_at=None)
        _mark(session, people, alerted=True)
        notify_settled(session, people)
        emit_acts(session, people)
        note_people(session, context, _addresses(session, context, people))
    return len(settled)


_WAITING = columns(
    *(EVENT.c[name] for name in ["id", "public_id", "delivery_id", "message_id", "kind", "at", "client", "counted"])
)


_DECIDED = columns(func.max(VERDICT.c.decided_at)).where(VERDICT.c.event_id == EVENT.c.id).correlate(EVENT)
_OTHER, _FIRST = EVENT.alias("other"), VERDICT.alias("first")
_TAKEN_IN_SINCE = (
    columns(_OTHER.c.at)
    .join(_FIRST, (_FIRST.c.event_id == _OTHER.c.id) & (_FIRST.c.version == 1))
    .where(_OTHER.c.delivery_id == EVENT.c.delivery_id, _FIRST.c.decided_at > _DECIDED.scalar_subquery())
    .correlate(EVENT)
)


@cache
def _due(_is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    # the newest first: nobody waits for the bell of what an edge brings after a week
    due = (
        _WAITING.add_columns(
            _DECIDED.scalar_subquery().label("decided_at"),
            DELIVERY.c.accepted_at,
            _TAKEN_IN_SINCE.where(_OTHER.c.at < EVENT.c.at).exists().label("before_it"),
            _TAKEN_IN_SINCE.where(_OTHER.c.at >= EVENT.c.at)
            .order_by(_OTHER.c.at)
            .limit(1)
            .scalar_subquery()
            .label("next_at"),
        )
        .outerjoin(DELIVERY, DELIVERY.c.id == EVENT.c.delivery_id)
        .where(EVENT.c.settle_at <= bindparam("moment"))
    )
    return due.order_by(EVENT.c.settle_at.desc()).limit(bindparam("limit"))


@cache
def _still_waiting(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    these = in_bound_list(is_sqlite, EVENT.c.id, "events") & EVENT.c.settle_at.is_not(None)
    return _WAITING.where(these).order_by(EVENT.c.settle_at.desc())


def _is_final(event: Any, reach: timedelta) -> bool:
    """Whether it was judged long after all was known, as what an edge brings after a week is.

    What was taken in since may say something of it where it is near or earlier; when the others came it was judged with them.
    """
    if event.before_it or event.accepted_at is None or event.decided_at is None:
        return False
    if event.next_at is not None and event.next_at - event.at <= reach:
        return False
    return bool(event.decided_at - max(event.at, event.accepted_at) > LONG_AFTER)


def _judge_once_more(session: Session, context: AppContext, waiting: Sequence[Any]) -> None:
    """What was not known when the hit came may be now: the server's 250, a range file, the recipient's mail exchanger."""
    if not waiting:
        return
    rules = rules_of(context)
    deliveries = {event.delivery_id for event in waiting}
    outcomes = judge_again(session, context, rules, deliveries, Scope.around([event.at for event in waiting], rules))
    changed = store_changed(session, rules, outcomes, exact=True)
    if changed:
        publish_outcomes(session, changed)


def _addresses(session: Session, context: AppContext, people: Sequence[Any]) -> set[str]:
    """Where these people were seen."""
    keys = {event.id: event.public_id for event in people}
    return {
        address_of(context, keys[event], sealed) for event, sealed in run_made_once(session, _evidence, events=keys)
    }


@cache
def _evidence(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    these = in_bound_list(is_sqlite, EVIDENCE.c.event_id, "events")
    return columns(EVIDENCE.c.event_id, EVIDENCE.c.sealed).where(these)


def _mark(session: Session, events: Sequence[Any], **values: object) -> None:
    if events:
        these = in_list(session, EVENT.c.id, [event.id for event in events])
        session.connection().execute(update(EVENT).where(these).values(**values))
