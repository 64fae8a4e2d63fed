"""Reports of where enquiries come from: by source, and by day."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Text, cast
from sqlalchemy import select as columns
from sqlmodel import Session, col, func, select

from tracker.models import EnquiryStatus, Letter, LetterSource, User, Visit
from tracker.models.counting.tables import in_list
from tracker.notifications.notify import zone_of
from tracker.runtime.report_table import Period, Report, Value

Seconds = Callable[[datetime, datetime], float]
OF_SITES = frozenset({"code", "static", "history", "unknown_code"})
"""The methods of letters that came of a site; what came by itself is no conversion of a visit."""


def sources_report(
    session: Session, user: User, period: Period, group: str = "source", *, seconds: Seconds | None = None
) -> Report:
    """Enquiries by where they come from; conversion of what came of a site. ``group``: source, group or channel.
    ``seconds`` says how long an answer took; without it every hour counts."""
    names = {"channel": ("channel",), "group": ("channel", "group")}.get(group, ("channel", "group", "source"))
    numbers = ("visits", "enquiries", "share", "senders", "new_senders", "conversion", "answered", "median_seconds")
    report = Report([*names, *numbers])
    visits: dict[tuple[str, ...], int] = defaultdict(int)
    attributed = cast(Visit.attributed, Text)  # PostgreSQL groups by no JSON
    levels = cache(lambda source: _levels(json.loads(source or "null"), names))  # of many letters it is the same
    query = columns(attributed, func.count()).where(col(Visit.user_id) == user.id, col(Visit.robot).is_(False))
    for source, count in session.execute(query.where(*period.conditions(Visit.began_at)).group_by(attributed)):
        visits[levels(source)] += count
    by_source: dict[tuple[str, ...], list[Row[Any]]] = defaultdict(list)
    for row in _enquiries(session, user, period):
        by_source[levels(row.source)].append(row)
    everything = [row for rows in by_source.values() for row in rows]
    known = _known_before(session, user, period, {row.sender for row in everything})

    def figures(rows: Sequence[Row[Any]], visits: int) -> dict[str, Value]:
        share = round(len(rows) / len(everything), 3) if everything else None
        return {**_figures(rows, visits, known, seconds or _elapsed), "share": share}

    for key in sorted({*visits, *by_source}, key=lambda key: (-len(by_source[key]), -visits[key], key)):
        report.rows.append({**dict(zip(names, key, strict=True)), **figures(by_source[key], visits[key])})
    report.totals = {**dict.fromkeys(names), **figures(everything, sum(visits.values()))}
    without = len([row for row in everything if row.source in (None, "null", "{}")])
    report.totals["share_without_source"] = round(without / len(everything), 3) if everything else None
    return report


def _elapsed(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds()


def _levels(source: Any, names: Sequence[str]) -> tuple[str, ...]:
    made = source or {}
    values = {"channel": made.get("channel", ""), "group": made.get("group", ""), "source": made.get("name", "")}
    return tuple(values[name] for name in names)


def _enquiries(session: Session, user: User, period: Period) -> list[Row[Any]]:
    query = (
        columns(
            col(Letter.sender),
            col(Letter.received_at),
            cast(LetterSource.source, Text).label("source"),
            col(LetterSource.method),
            col(EnquiryStatus.answered_at),
        )
        .select_from(Letter)
        .join(LetterSource, col(LetterSource.letter_id) == col(Letter.id), isouter=True)
        .join(EnquiryStatus, col(EnquiryStatus.letter_id) == col(Letter.id), isouter=True)
        .where(
            col(Letter.user_id) == user.id,
            col(Letter.counted),
            col(Letter.withdrawn_at).is_(None),
            col(Letter.deleted_at).is_(None),
        )
        .where(*period.conditions(Letter.received_at))
    )
    return list(session.execute(query))


def _known_before(session: Session, user: User, period: Period, senders: set[str]) -> set[str]:
    """Those of these senders who had written before the period."""
    if period.since is None:
        return set()
    before = (col(Letter.user_id) == user.id, col(Letter.received_at) < period.since)
    query = select(Letter.sender).where(*before, in_list(session, col(Letter.sender), senders)).distinct()
    return set(session.exec(query))


def _figures(rows: Sequence[Row[Any]], visits: int, known: set[str], seconds: Seconds) -> dict[str, Value]:
    senders = {row.sender for row in rows if row.sender}
    of_sites = len([row for row in rows if row.method in OF_SITES])
    times = [seconds(row.received_at, row.answered_at) for row in rows if row.answered_at]
    return {
        "visits": visits,
        "enquiries": len(rows),
        "senders": len(senders),
        "new_senders": len(senders - known),
        "conversion": round(of_sites / visits, 4) if visits else None,
        "answered": len(times),
        "median_seconds": round(median(times)) if times else None,
    }


def activity_report(session: Session, user: User, period: Period, group: str = "day") -> Report:
    """Visits and enquiries by day in the person's zone; a session belongs to the day on which it began."""
    report = Report(["day", "visits", "letters", "enquiries"])
    zone = zone_of(user)
    days: dict[str, dict[str, int]] = defaultdict(lambda: {"visits": 0, "letters": 0, "enquiries": 0})
    begun: Any = columns(col(Visit.began_at)).where(col(Visit.user_id) == user.id, col(Visit.robot).is_(False))
    for (at,) in session.execute(begun.where(*period.conditions(Visit.began_at))):
        days[_day(at, zone, group)]["visits"] += 1
    letters: Any = columns(col(Letter.received_at), col(Letter.counted)).where(
        col(Letter.user_id) == user.id, col(Letter.deleted_at).is_(None), *period.conditions(Letter.received_at)
    )
    for at, counted in session.execute(letters):
        days[_day(at, zone, group)]["letters"] += 1
        days[_day(at, zone, group)]["enquiries"] += 1 if counted else 0
    report.rows = [{"day": day, **days[day]} for day in sorted(days)]
    report.totals = {
        "day": None,
        **{name: sum(day[name] for day in days.values()) for name in ("visits", "letters", "enquiries")},
    }
    return report


def _day(at: datetime, zone: ZoneInfo, group: str) -> str:
    day = at.astimezone(zone).date()
    if group == "month":
        return day.strftime("%Y-%m")
    return f"{day.isocalendar().year}-W{day.isocalendar().week:02d}" if group == "week" else day.isoformat()
