"""The notifications about copies: what people did with one is told once, and corrected in place when a verdict is revised.

Many copies at a time, with one query per table. Whoever writes the line of a copy holds its message, so no two workers do.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from tracker.counting.among import among
from tracker.counting.bulk import append_rows, update_rows
from tracker.counting.counters import Counted
from tracker.counting.tables import EVENT, FEED, NOTIFICATION
from tracker.db import now
from tracker.models import Delivery, Event, Message, User
from tracker.models.people import public_id
from tracker.notification_rules import Activity, news_of
from tracker.notify import correct, visibility

Line = Mapping[str, Any]
_CHANGES = "id public_id kind at read_at held_until news told machine vendor"


@dataclass(frozen=True)
class DeliveryNotification:
    """What people did with one copy: ``fresh`` events (with kind, at and client), and columns of its line."""

    user_id: int
    delivery_id: int
    fresh: Sequence[Any]
    facts: Mapping[str, Any]

    @property
    def subject(self) -> str:
        return f"delivery:{self.delivery_id}"

    @property
    def newest(self) -> datetime:
        at: datetime = max(event.at for event in self.fresh)
        return at


def notify_settled(session: Session, settled: Sequence[Any]) -> None:
    """One line per copy for events that have just settled and count (rows with delivery_id, kind, at and client)."""
    by_delivery: dict[int, list[Any]] = defaultdict(list)
    for event in settled:
        by_delivery[event.delivery_id].append(event)
    copies = _copies(session, by_delivery)
    notify_many(session, [_notification(copy, by_delivery[id_]) for id_, copy in copies.items() if not copy.muted])


def _notification(copy: Any, fresh: Sequence[Any]) -> DeliveryNotification:
    newest = max(fresh, key=lambda event: event.at)
    return DeliveryNotification(copy.user_id, copy.id, fresh, _facts(copy, newest.client))


def notify_many(session: Session, notifications: Sequence[DeliveryNotification]) -> None:
    """Rings for news that deserve attention; otherwise only a line's counter grows, and one that was read stays read."""
    if not notifications:
        return
    session.flush()
    before = _lines(session, notifications)
    activities = _activities(session, [each.delivery_id for each in notifications])
    users = _users(session, {each.user_id for each in notifications})
    lines = [
        line
        for each in notifications
        if (line := _line(each, before.get(each.subject), activities[each.delivery_id], users[each.user_id]))
    ]
    append_rows(session, NOTIFICATION, [line for line in lines if "id" not in line])
    update_rows(session, NOTIFICATION, [line for line in lines if "id" in line])
    _announce(session, "notification", lines)


def _line(
    notification: DeliveryNotification, before: Line | None, activities: Sequence[Activity], user: User
) -> Line | None:
    """The line as it is from now on; None when there is nothing to say."""
    told = {news: datetime.fromisoformat(at) for news, at in ((before["told"] if before else None) or {}).items()}
    news = news_of(activities, [Activity(event.kind, event.at) for event in notification.fresh], told)
    if news is None and before is None:
        return None  # the message was muted when there were news
    line = {**(before or _new_line(notification)), **notification.facts}
    line["at"] = max(line["at"], notification.newest)
    if news is not None:
        told[news] = max(notification.newest, told.get(news, notification.newest))
        line |= {"news": news, "told": {name: at.isoformat() for name, at in told.items()}, "machine": "", "vendor": ""}
        line["kind"] = "click" if news == "click" else "open"
        line |= visibility(user, line["kind"], news, line.get("read_at"))
    return line


def _new_line(notification: DeliveryNotification) -> dict[str, Any]:
    who = {"public_id": public_id(), "user_id": notification.user_id, "subject": notification.subject, "detail": ""}
    return {**who, "at": notification.newest, "first_at": notification.newest}


def _lines(session: Session, notifications: Sequence[DeliveryNotification]) -> dict[str, Line]:
    """The lines there are, by subject."""
    statement = columns(*(NOTIFICATION.c[name] for name in (*_CHANGES.split(), "user_id", "subject"))).where(
        among(session, NOTIFICATION.c.subject, [each.subject for each in notifications]),
        among(session, NOTIFICATION.c.user_id, {each.user_id for each in notifications}),
    )
    owners = {each.subject: each.user_id for each in notifications}
    rows = session.connection().execute(statement.with_for_update()).mappings().all()
    return {row["subject"]: dict(row) for row in rows if row["user_id"] == owners[row["subject"]]}


def _activities(session: Session, deliveries: Collection[int]) -> Mapping[int, list[Activity]]:
    """Everything that people did with these copies so far."""
    seen = columns(EVENT.c.delivery_id, EVENT.c.kind, EVENT.c.at).where(
        among(session, EVENT.c.delivery_id, deliveries), EVENT.c.counted, EVENT.c.kind.in_(("open", "click"))
    )
    activities: dict[int, list[Activity]] = defaultdict(list)
    for delivery, kind, at in session.connection().execute(seen.order_by(EVENT.c.at)):
        activities[delivery].append(Activity(kind, at))
    return activities


def _users(session: Session, ids: Collection[int]) -> dict[int, User]:
    return {user.id or 0: user for user in session.exec(select(User).where(among(session, col(User.id), ids)))}


def announce_messages(session: Session, messages: Sequence[Counted]) -> None:
    """Hints to the open pages of their owners that these messages have changed."""
    _announce(session, "message", [{"user_id": each.user_id, "public_id": each.public_id} for each in messages])


def _announce(session: Session, kind: str, rows: Sequence[Line]) -> None:
    moment = now()
    hints = [{"user_id": row["user_id"], "kind": kind, "subject": row["public_id"], "at": moment} for row in rows]
    append_rows(session, FEED, hints)


def correct_notifications(session: Session, deliveries: Collection[int]) -> None:
    """After verdicts were revised: lines about these copies are corrected in place, not taken away."""
    for delivery_id, copy in _copies(session, deliveries).items():
        newest = _newest(session, delivery_id, col(Event.counted) & col(Event.kind).in_(("open", "click")))
        machine = _newest(session, delivery_id, ~col(Event.counted) & col(Event.vendor).is_not(None))
        facts = _facts(copy, newest.client if newest else "") | _who_it_was(session, delivery_id)
        facts["kind"] = "corrected" if newest is None else "click" if copy.clicks else "open"
        facts["detail"] = machine.vendor if newest is None and machine else ""
        correct(session, copy.user_id, f"delivery:{delivery_id}", **facts)


def _who_it_was(session: Session, delivery_id: int) -> dict[str, str]:
    """Class and maker of the newest event that was told as a person's and is none any more; empty when there is none."""
    revised = _newest(session, delivery_id, col(Event.alerted) & ~col(Event.counted) & ~col(Event.merged))
    if revised is None:
        return {"machine": "", "vendor": ""}
    if revised.overruled:
        return {"machine": "user", "vendor": ""}
    vendor = revised.vendor or (revised.client if revised.klass == "link_preview" else "")
    return {"machine": revised.klass, "vendor": vendor[:80]}


def _newest(session: Session, delivery_id: int, condition: Any) -> Any:
    seen = columns(col(Event.klass), col(Event.vendor), col(Event.client), col(Event.overruled))
    newest = seen.where(col(Event.delivery_id) == delivery_id, condition).order_by(col(Event.at).desc())
    return session.connection().execute(newest.limit(1)).first()


def _copies(session: Session, deliveries: Collection[int]) -> Mapping[int, Any]:
    """Owner and counters of each copy, in the order of their numbers."""
    if not deliveries:
        return {}
    counters = col(Delivery.id), col(Delivery.message_id), col(Delivery.opens), col(Delivery.clicks)
    statement = (
        columns(*counters, col(Message.user_id), col(Message.muted))
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
