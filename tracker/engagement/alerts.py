"""The bell's side of verdicts: what a person did rings once, and lines are corrected in place when a verdict is revised."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select as columns
from sqlmodel import Session, col

from tracker.counting.among import among
from tracker.counting.bulk import append_rows
from tracker.counting.counters import Counted
from tracker.counting.tables import FEED
from tracker.db import now
from tracker.engagement.bell import Telling, tell_all
from tracker.models import Delivery, Event, Message
from tracker.notify import correct


def ring_for(session: Session, settled: Sequence[Any]) -> None:
    """One line per copy for events that have just settled and count (rows with delivery_id, kind, at and client)."""
    by_delivery: dict[int, list[Any]] = defaultdict(list)
    for event in settled:
        by_delivery[event.delivery_id].append(event)
    copies = _copies(session, by_delivery)
    tell_all(session, [_telling(copy, by_delivery[id_]) for id_, copy in copies.items() if not copy.muted])


def _telling(copy: Any, fresh: Sequence[Any]) -> Telling:
    newest = max(fresh, key=lambda event: event.at)
    return Telling(copy.user_id, copy.id, fresh, _facts(copy, newest.client))


def correct_bell(session: Session, deliveries: Collection[int]) -> None:
    """After verdicts were revised: lines that told of these copies are corrected in place, not taken away."""
    for delivery_id, copy in _copies(session, deliveries).items():
        newest, vendor = _newest_of_people(session, delivery_id), _newest_vendor(session, delivery_id)
        facts = _facts(copy, newest or "")
        facts["kind"] = "corrected" if newest is None else "click" if copy.clicks else "open"
        facts["detail"] = vendor if newest is None else ""
        correct(session, copy.user_id, f"delivery:{delivery_id}", **facts)


def tell_pages(session: Session, messages: Sequence[Counted]) -> None:
    """Hints to the open pages of their owners that these messages have changed."""
    moment = now()
    hints = [{"user_id": m.user_id, "kind": "message", "subject": m.public_id, "at": moment} for m in messages]
    append_rows(session, FEED, hints)


def _copies(session: Session, deliveries: Collection[int]) -> Mapping[int, Any]:
    """Owner and counters of each copy, in the order of their numbers."""
    if not deliveries:
        return {}
    statement = (
        columns(
            col(Delivery.id),
            col(Delivery.message_id),
            col(Delivery.opens),
            col(Delivery.clicks),
            col(Message.user_id),
            col(Message.muted),
        )
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(among(session, col(Delivery.id), deliveries))
        .order_by(col(Delivery.id))
    )
    return {row.id: row for row in session.connection().execute(statement)}


def _facts(copy: Any, client: str) -> dict[str, Any]:
    return {
        "message_id": copy.message_id,
        "delivery_id": copy.id,
        "opens": copy.opens,
        "clicks": copy.clicks,
        "count": max(1, copy.opens + copy.clicks),
        "client": client,
    }


def _newest_of_people(session: Session, delivery_id: int) -> str | None:
    """The program behind the newest thing a person did; None when no person did anything."""
    seen = columns(col(Event.client)).where(
        col(Event.delivery_id) == delivery_id, col(Event.counted), col(Event.kind).in_(("open", "click"))
    )
    return session.connection().execute(seen.order_by(col(Event.at).desc()).limit(1)).scalar_one_or_none()


def _newest_vendor(session: Session, delivery_id: int) -> str:
    """Whose machine it was instead, as far as that is known: "barracuda", "microsoft", …"""
    machines = columns(col(Event.vendor)).where(
        col(Event.delivery_id) == delivery_id, ~col(Event.counted), col(Event.vendor).is_not(None)
    )
    return session.connection().execute(machines.order_by(col(Event.at).desc()).limit(1)).scalar_one_or_none() or ""
