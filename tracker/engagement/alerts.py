"""The bell: rings once a verdict has settled, only for what a person did, and is corrected when a verdict is revised."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from tracker.db import now
from tracker.engagement.counters import recount
from tracker.engagement.judging import rejudge
from tracker.house import House
from tracker.models import Delivery, Event, Message
from tracker.notify import announce, correct, ring

BATCH = 500


def settle_due(house: House) -> int:
    """Judges once more what has waited long enough, and rings for what a person did. Returns how many events settled."""
    with house.database.session_scope() as session:
        events = _due(session, now())
        if not events:
            return 0
        changed = rejudge(session, house, {e.delivery_id for e in events if e.delivery_id is not None})
        messages = {m.id: m for m in recount(session, {e.message_id for e in events})}
        for event in events:
            event.settle_at = None
            session.add(event)
        for delivery_id in sorted({e.delivery_id for e in events if e.counted and e.delivery_id is not None}):
            _ring(session, delivery_id, [e for e in events if e.delivery_id == delivery_id and e.counted])
        correct_bell(session, changed)
        for message in messages.values():
            announce(session, message.user_id, "message", message.public_id)
        return len(events)


def _due(session: Session, moment: datetime) -> Sequence[Event]:
    due = select(Event).where(col(Event.settle_at) <= moment).order_by(col(Event.settle_at)).limit(BATCH)
    return session.exec(due.with_for_update(skip_locked=True)).all()


def _ring(session: Session, delivery_id: int, events: Sequence[Event]) -> None:
    delivery = session.get_one(Delivery, delivery_id)
    message = session.get_one(Message, delivery.message_id)
    for event in events:
        event.alerted = True
    if message.muted:
        return
    newest = max(events, key=lambda e: e.at)
    facts = _facts(delivery, newest.client)
    kind = "click" if any(e.kind == "click" for e in events) else "open"
    ring(session, message.user_id, f"delivery:{delivery.id}", kind, newest.at, **facts)


def _facts(delivery: Delivery, client: str) -> dict[str, Any]:
    return {
        "message_id": delivery.message_id,
        "delivery_id": delivery.id,
        "opens": delivery.opens,
        "clicks": delivery.clicks,
        "count": max(1, delivery.opens + delivery.clicks),
        "client": client,
    }


def correct_bell(session: Session, changed: Iterable[Event]) -> None:
    """After verdicts were revised: lines that told of them are corrected in place, not taken away."""
    for delivery_id in sorted({e.delivery_id for e in changed if e.alerted and e.delivery_id is not None}):
        delivery = session.get_one(Delivery, delivery_id)
        message = session.get_one(Message, delivery.message_id)
        seen = select(Event).where(Event.delivery_id == delivery_id, col(Event.counted)).order_by(col(Event.at).desc())
        newest = session.exec(seen.limit(1)).first()
        facts = _facts(delivery, newest.client if newest else "")
        facts["kind"] = "corrected" if newest is None else "click" if delivery.clicks else "open"
        correct(session, message.user_id, f"delivery:{delivery_id}", **facts)
