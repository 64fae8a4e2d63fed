"""Retention: what goes after which time. The same conditions are swept by and previewed.

Opens and clicks grow coarser with age: first whole, then a day and a link without verdict or mail program, then only that there
was one. Counters are always sums of what is left, so they stay what they were for people, and lose their machines.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func
from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from tracker.consent.ledger import erased_words
from tracker.models import (
    ConsentEntry,
    Event,
    HitEvidence,
    Message,
    MessageBody,
    Notification,
    PageView,
    TrackingView,
    User,
    Verdict,
    Visit,
)
from tracker.models.counting.bulk import update_rows
from tracker.models.counting.counters import recount
from tracker.models.counting.tables import EVENT
from tracker.models.rows import rows_by_id
from tracker.privacy.erase import erase_again, raw_of_erased
from tracker.privacy.periods import periods
from tracker.privacy.short_lived import Expiry, expire, sweep_short_lived
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

BATCH = 1000
_MEASURED = ("open", "click")


def sweep(context: AppContext) -> int:
    """Throws away what has served its time. Returns 0: there is never more at once."""
    sweep_short_lived(context)
    moment = now()
    with context.database.reading() as session:
        days = periods(session)
        users = session.exec(select(User.id)).all()
    while _coarsen(context, days, moment):
        pass
    expire(
        context,
        [
            *(Expiry(Notification, (col(Notification.user_id) == user) & _old_lines(days, moment)) for user in users),
            Expiry(TrackingView, _old_views(days, moment)),
            Expiry(PageView, col(PageView.at) < _before(days, "hits_days", moment)),
            Expiry(Visit, col(Visit.began_at) < _before(days, "summary_days", moment)),
            Expiry(ConsentEntry, _ended(days, moment) & col(ConsentEntry.salt).is_not(None), erased_words()),
            Expiry(MessageBody, raw_of_erased(), {"raw": None}),
        ],
    )
    context.database.forget_deleted()
    return 0


def replay_erasures(context: AppContext) -> int:
    """Erases again whom a backup brought back. Returns 0: there is never more at once."""
    erase_again(context)
    return 0


def preview(session: Session, days: Mapping[str, int], moment: datetime) -> dict[str, int]:
    """How many rows a sweep with these periods would throw away or make coarser, by the name of the period."""

    def count(statement: Any) -> int:
        return int(session.connection().execute(statement).scalar_one())

    has_words = _ended(days, moment) & col(ConsentEntry.salt).is_not(None)
    return {
        "hits_days": count(columns(func.count(col(Event.id))).where(_old_hits(days, moment))),
        "summary_days": count(columns(func.count(col(Event.id))).where(_old_sums(days, moment))),
        "alerts_days": count(columns(func.count(col(Notification.id))).where(_old_lines(days, moment))),
        "views_days": count(columns(func.count(col(TrackingView.id))).where(_old_views(days, moment))),
        "proof_days": count(columns(func.count(col(ConsentEntry.id))).where(has_words)),
    }


def _before(days: Mapping[str, int], name: str, moment: datetime) -> datetime:
    return moment - timedelta(days=days[name])


def _old_hits(days: Mapping[str, int], moment: datetime) -> Any:
    return (
        (col(Event.at) < _before(days, "hits_days", moment)) & (col(Event.summed) == 0) & col(Event.kind).in_(_MEASURED)
    )


def _old_sums(days: Mapping[str, int], moment: datetime) -> Any:
    return (col(Event.at) < _before(days, "summary_days", moment)) & (col(Event.summed) == 1)


def _old_lines(days: Mapping[str, int], moment: datetime) -> Any:
    return col(Notification.at) < _before(days, "alerts_days", moment)


def _old_views(days: Mapping[str, int], moment: datetime) -> Any:
    return col(TrackingView.day) < _before(days, "views_days", moment).date()


def _ended(days: Mapping[str, int], moment: datetime) -> Any:
    """Entries that another one of the same purpose has ended, or time has, longer ago than proof is kept."""
    later, limit = aliased(ConsentEntry), _before(days, "proof_days", moment)
    superseded = exists().where(
        col(later.recipient_id) == col(ConsentEntry.recipient_id),
        col(later.purpose) == col(ConsentEntry.purpose),
        col(later.number) > col(ConsentEntry.number),
        col(later.at) < limit,
    )
    return (col(ConsentEntry.at) < limit) & (superseded | (col(ConsentEntry.valid_until) < limit))


def _coarsen(context: AppContext, days: Mapping[str, int], moment: datetime) -> int:
    """One batch of hits that grow coarser. Returns how many."""
    old = [_old_hits(days, moment), _old_sums(days, moment)]
    with context.database.reading() as session:
        if not any(session.exec(select(Event.id).where(each).limit(1)).first() for each in old):
            return 0
    with context.database.session_scope() as session:
        hits = session.exec(select(Event).where(_old_hits(days, moment)).order_by(col(Event.at)).limit(BATCH)).all()
        sums = session.exec(select(Event).where(_old_sums(days, moment)).order_by(col(Event.at)).limit(BATCH)).all()
        sent = _sent_days(session, {event.message_id for event in sums})
        once = {(event.delivery_id, event.kind): event for event in reversed(sums)}
        counted = {event.id for event in once.values()} | {event.id for event in hits if event.counted}
        everything = {event.id for event in [*hits, *sums]}
        messages = {event.message_id for event in [*hits, *sums]}
        new = [_sum(event) for event in hits if event.id in counted]
        newer = [_bare(event, sent[event.message_id]) for event in sums if event.id in counted]
        session.exec(delete(Verdict).where(col(Verdict.event_id).in_(everything)))
        session.exec(delete(HitEvidence).where(col(HitEvidence.event_id).in_(everything)))
        session.exec(delete(Event).where(col(Event.id).in_(everything - counted)))
        update_rows(session, EVENT, new)
        update_rows(session, EVENT, newer)
        session.expire_all()
        recount(session, messages)
        return len(everything)


def _sum(event: Event) -> dict[str, Any]:
    return {**_without_verdict(event), "at": _midnight(event.at), "link": event.link, "summed": 1}


def _bare(event: Event, sent: datetime) -> dict[str, Any]:
    return {**_without_verdict(event), "at": sent, "link": None, "summed": 2}


def _without_verdict(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "klass": "human",
        "confidence": 1.0,
        "reasons": [],
        "vendor": None,
        "client": "",
        "settle_at": None,
    }


def _sent_days(session: Session, ids: set[int]) -> dict[int, datetime]:
    rows = rows_by_id(session, Message, ids)
    return {id_: _midnight(row.sent_at or row.listed_at) for id_, row in rows.items()}


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
