"""Counters of deliveries, links and messages: always recomputed from verdicts, never incremented, so that they heal."""

from collections.abc import Iterable, Sequence

from sqlalchemy import case, func
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from tracker.models import Delivery, Event, Message, TrackedLink


def recount(session: Session, message_ids: Iterable[int]) -> Sequence[Message]:
    """Recomputes everything that is counted about these messages. Returns their rows."""
    ids = sorted(set(message_ids))
    if not ids:
        return ()
    session.flush()
    deliveries = session.exec(select(Delivery).where(col(Delivery.message_id).in_(ids))).all()
    _recount_deliveries(session, ids, deliveries)
    _recount_links(session, ids)
    messages = session.exec(
        select(Message).where(col(Message.id).in_(ids)).order_by(col(Message.id)).with_for_update()
    ).all()
    for message in messages:
        _sum_up(message, [d for d in deliveries if d.message_id == message.id])
        session.add(message)
    return messages


def _recount_deliveries(session: Session, ids: Sequence[int], deliveries: Sequence[Delivery]) -> None:
    counted = case((col(Event.counted), 1), else_=0)
    grey = case((~col(Event.counted) & ~col(Event.merged) & (col(Event.klass) != "sender_self"), 1), else_=0)
    at_counted = case((col(Event.counted), col(Event.at)))
    rows = (
        session.connection()
        .execute(
            columns(
                col(Event.delivery_id),
                col(Event.kind),
                func.sum(counted),
                func.sum(grey),
                func.min(at_counted),
                func.max(at_counted),
            )
            .where(col(Event.message_id).in_(ids), col(Event.kind).in_(("open", "click")))
            .group_by(col(Event.delivery_id), col(Event.kind))
        )
        .all()
    )
    found = {(delivery_id, kind): rest for delivery_id, kind, *rest in rows}
    for delivery in deliveries:
        opens, open_grey, first_open, last_open = found.get((delivery.id, "open"), (0, 0, None, None))
        clicks, click_grey, first_click, last_click = found.get((delivery.id, "click"), (0, 0, None, None))
        # Somebody who clicked has seen the mail, though pictures were blocked: one open, inferred.
        inferred = delivery.opens_on and clicks > 0 and opens == 0
        delivery.opens, delivery.clicks = (1 if inferred else opens), clicks
        delivery.machine = open_grey + click_grey
        delivery.first_opened_at, delivery.last_opened_at = (
            (first_click, first_click) if inferred else (first_open, last_open)
        )
        delivery.first_clicked_at, delivery.last_clicked_at = first_click, last_click
        session.add(delivery)


def _recount_links(session: Session, ids: Sequence[int]) -> None:
    rows = session.exec(
        select(Event.message_id, Event.link, func.count())
        .where(col(Event.message_id).in_(ids), Event.kind == "click", col(Event.counted))
        .group_by(col(Event.message_id), col(Event.link))
    ).all()
    clicks = {(message_id, link): count for message_id, link, count in rows}
    for link in session.exec(select(TrackedLink).where(col(TrackedLink.message_id).in_(ids), col(TrackedLink.tracked))):
        link.clicks = clicks.get((link.message_id, link.position), 0)
        session.add(link)


def _sum_up(message: Message, deliveries: Sequence[Delivery]) -> None:
    message.opens = sum(d.opens for d in deliveries)
    message.clicks = sum(d.clicks for d in deliveries)
    message.machine = sum(d.machine for d in deliveries)
    message.first_opened_at = min((d.first_opened_at for d in deliveries if d.first_opened_at), default=None)
    last = [t for d in deliveries for t in (d.last_opened_at, d.last_clicked_at) if t]
    message.last_activity_at = max(last, default=None)
