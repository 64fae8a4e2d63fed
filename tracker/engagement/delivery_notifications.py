"""The notifications about copies: what people did with one is told once, and corrected in place when a verdict is revised.

Many copies at a time, with one query per table. Whoever writes the line of a copy holds its message, so no two workers do.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from tracker.models import Delivery, Event, Message, User
from tracker.models.counting.bulk import append_rows, update_rows
from tracker.models.counting.counters import Counted
from tracker.models.counting.tables import EVENT, FEED, NOTIFICATION, in_bound_list, in_list, run_made_once
from tracker.models.rows import public_id
from tracker.notifications.notify import correct, visibility
from tracker.notifications.rules import Activity, news_of
from tracker.runtime.database import now

Line = Mapping[str, Any]
_CHANGES = "id public_id kind at read_at held_until news told machine vendor"


def notify_settled(session: Session, settled: Sequence[Any]) -> None:
    """One line per copy for events that have just settled and count (rows with delivery_id, kind, at and client).

    It rings for news that deserve attention; otherwise only its counter grows, and a line that was read stays read. Of muted
    messages nothing is said.
    """
    fresh: dict[int, list[Any]] = defaultdict(list)
    for event in settled:
        fresh[event.delivery_id].append(event)
    copies = {number: copy for number, copy in _copies(session, fresh).items() if not copy.muted}
    if not copies:
        return
    session.flush()
    before, activities = _lines(session, copies), _activities(session, copies)
    users = _users(session, {copy.user_id for copy in copies.values()})
    lines = [
        line
        for number, copy in copies.items()
        if (line := _line(copy, fresh[number], before.get(number), activities[number], users[copy.user_id]))
    ]
    append_rows(session, NOTIFICATION, [line for line in lines if "id" not in line])
    update_rows(session, NOTIFICATION, [line for line in lines if "id" in line])
    _announce(session, "notification", lines)


def _line(
    copy: Any, fresh: Sequence[Any], before: Line | None, activities: Sequence[Activity], user: User
) -> Line | None:
    """The line as it is from now on; None when there is nothing to say."""
    newest = max(fresh, key=lambda event: event.at)
    notified_at = {
        news: datetime.fromisoformat(at) for news, at in ((before["told"] if before else None) or {}).items()
    }
    news = news_of(activities, [Activity(event.kind, event.at) for event in fresh], notified_at)
    if news is None and before is None:
        return None  # the message was muted when there were news
    line = {**(before or _new_line(copy, newest.at)), **_facts(copy, newest.client)}
    line["at"] = max(line["at"], newest.at)
    if news is not None:
        notified_at[news] = max(newest.at, notified_at.get(news, newest.at))
        line |= {
            "news": news,
            "told": {name: at.isoformat() for name, at in notified_at.items()},
            "machine": "",
            "vendor": "",
        }
        line["kind"] = "click" if news == "click" else "open"
        line |= visibility(user, line["kind"], news, line.get("read_at"))
    return line


def _new_line(copy: Any, at: datetime) -> dict[str, Any]:
    who = {"public_id": public_id(), "user_id": copy.user_id, "subject": _subject(copy.id), "detail": ""}
    return {**who, "at": at, "first_at": at}


def _subject(delivery_id: int) -> str:
    return f"delivery:{delivery_id}"


def _lines(session: Session, copies: Mapping[int, Any]) -> dict[int, Line]:
    """The lines that their owners have of these copies, by the number of the copy."""
    numbers = {_subject(number): number for number in copies}
    owners = {copy.user_id for copy in copies.values()}
    rows = run_made_once(session, _lines_to_change, subjects=numbers, users=owners).mappings().all()
    lines = {numbers[row["subject"]]: dict(row) for row in rows}
    return {number: line for number, line in lines.items() if line["user_id"] == copies[number].user_id}


@cache
def _lines_to_change(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    lines = columns(*(NOTIFICATION.c[name] for name in (*_CHANGES.split(), "user_id", "subject"))).where(
        in_bound_list(is_sqlite, NOTIFICATION.c.subject, "subjects"),
        in_bound_list(is_sqlite, NOTIFICATION.c.user_id, "users"),
    )
    return lines.with_for_update()


def _activities(session: Session, deliveries: Collection[int]) -> Mapping[int, list[Activity]]:
    """Everything that people did with these copies so far."""
    activities: dict[int, list[Activity]] = defaultdict(list)
    for delivery, kind, at in run_made_once(session, _of_people, deliveries=deliveries):
        activities[delivery].append(Activity(kind, at))
    return activities


@cache
def _of_people(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    of_copies = in_bound_list(is_sqlite, EVENT.c.delivery_id, "deliveries")
    seen = columns(EVENT.c.delivery_id, EVENT.c.kind, EVENT.c.at).where(of_copies, EVENT.c.counted)
    return seen.where(EVENT.c.kind.in_(("open", "click"))).order_by(EVENT.c.at)


def _users(session: Session, ids: Collection[int]) -> dict[int, User]:
    return {user.id: user for user in session.exec(select(User).where(in_list(session, col(User.id), ids)))}


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
        correct(session, copy.user_id, _subject(delivery_id), **facts)


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
    return {row.id: row for row in run_made_once(session, _of_copies, deliveries=deliveries)}


@cache
def _of_copies(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    counters = col(Delivery.id), col(Delivery.message_id), col(Delivery.opens), col(Delivery.clicks)
    return (
        columns(*counters, col(Message.user_id), col(Message.muted))
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(in_bound_list(is_sqlite, col(Delivery.id), "deliveries"))
        .order_by(col(Delivery.id))
    )


def _facts(copy: Any, client: str) -> dict[str, Any]:
    return {
        "message_id": copy.message_id,
        "delivery_id": copy.id,
        "opens": copy.opens,
        "clicks": copy.clicks,
        "count": max(1, copy.opens + copy.clicks),
        "client": client,
    }
