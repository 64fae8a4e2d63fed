"""Reports over a period, as plain tables: the page, the API and the CSV file show the very same."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from sqlalchemy import Row, Text, cast
from sqlalchemy import select as columns
from sqlmodel import Session, col, func, select

from tracker.models import Category, EnquiryStatus, Letter, LetterSource, Mailbox, SiteRule, User, Visit
from tracker.models.counting.tables import in_list
from tracker.runtime.localized_text import N_
from tracker.sites.coverage import coverage_of

Value = str | int | float | bool | datetime | None


@dataclass(frozen=True)
class Period:
    """From a moment on, and until before another; None is without end."""

    since: datetime | None = None
    until: datetime | None = None

    def conditions(self, column: Any) -> list[Any]:
        made = [] if self.since is None else [col(column) >= self.since]
        return made if self.until is None else [*made, col(column) < self.until]


@dataclass
class Report:
    """``columns`` are names of fields; each row and ``totals`` have a value for each."""

    columns: Sequence[str]
    rows: list[dict[str, Value]] = field(default_factory=list)
    totals: dict[str, Value] = field(default_factory=dict)


def narrowed(report: Report, filters: Mapping[str, str]) -> Report:
    """The rows in whose columns these words stand, whatever the case; ``-`` stands for an empty one. Sums are of these rows, and
    what is no sum is left out."""
    if not filters:
        return report
    rows = [row for row in report.rows if all(_fits(row.get(name), wanted) for name, wanted in filters.items())]
    totals: dict[str, Value] = dict.fromkeys(report.totals)
    for name, value in report.totals.items():
        if type(value) is int and name not in ("senders", "new_senders"):
            totals[name] = sum(number for row in rows if type(number := row.get(name)) is int)
    return Report(report.columns, rows, totals)


def _fits(value: Value, wanted: str) -> bool:
    text = "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value).lower()
    return not text if wanted == "-" else wanted.lower() in text


LABELS: Mapping[str, str] = {
    "channel": N_("Channel"),
    "group": N_("Group"),
    "source": N_("Source"),
    "visits": N_("Visits"),
    "enquiries": N_("Enquiries"),
    "letters": N_("Letters"),
    "senders": N_("Senders"),
    "new_senders": N_("New senders"),
    "conversion": N_("Conversion"),
    "answered": N_("Answered"),
    "median_answer_minutes": N_("Minutes to the first answer (median)"),
    "manager": N_("Manager"),
    "waiting": N_("Waiting"),
    "rule": N_("Rule"),
    "state": N_("State"),
    "impressions": N_("Page views with it"),
    "visitors": N_("Visitors"),
    "coverage": N_("Coverage"),
    "letters_with_visit": N_("Letters with their visit"),
    "unknown_codes": N_("Unknown codes"),
    "leaked_codes": N_("Leaked codes"),
    "mailbox": N_("Mailbox"),
    "good_run_at": N_("Last good run"),
    "problem": N_("Problem"),
    "repeats": N_("Repeats"),
    "automatic": N_("Automatic letters"),
    "bounces": N_("Bounces"),
    "customer": N_("Customer"),
    "tags": N_("Tags"),
    "order": N_("Order"),
    "failures": N_("Failures in a row"),
    "day": N_("Day"),
}


def sources_report(session: Session, user: User, period: Period, group: str = "source") -> Report:
    """Enquiries by where they come from; conversion without what stands outside the sites. ``group``: source, group or channel."""
    names = {"channel": ("channel",), "group": ("channel", "group")}.get(group, ("channel", "group", "source"))
    report = Report(
        [*names, *("visits", "enquiries", "senders", "new_senders", "conversion", "answered"), "median_answer_minutes"]
    )
    visits: dict[tuple[str, ...], int] = defaultdict(int)
    attributed = cast(Visit.attributed, Text)  # PostgreSQL groups by no JSON
    query = columns(attributed, func.count()).where(col(Visit.user_id) == user.id, col(Visit.robot).is_(False))
    for source, count in session.execute(query.where(*period.conditions(Visit.began_at)).group_by(attributed)):
        visits[_levels(json.loads(source or "null"), names)] += count
    by_source: dict[tuple[str, ...], list[Row[Any]]] = defaultdict(list)
    for row in _enquiries(session, user, period):
        by_source[_levels(row.source, names)].append(row)
    known = _known_before(session, user, period, {row.sender for rows in by_source.values() for row in rows})
    for key in sorted({*visits, *by_source}, key=lambda key: (-len(by_source[key]), -visits[key], key)):
        facts = _figures(by_source[key], visits[key], known)
        report.rows.append({**dict(zip(names, key, strict=True)), **facts})
    everything = [row for rows in by_source.values() for row in rows]
    report.totals = {**dict.fromkeys(names), **_figures(everything, sum(visits.values()), known)}
    without = len([row for row in everything if not row.source])
    report.totals["share_without_source"] = round(without / len(everything), 3) if everything else None
    return report


def _levels(source: Any, names: Sequence[str]) -> tuple[str, ...]:
    made = source or {}
    values = {"channel": made.get("channel", ""), "group": made.get("group", ""), "source": made.get("name", "")}
    return tuple(values[name] for name in names)


def _enquiries(session: Session, user: User, period: Period) -> list[Row[Any]]:
    query = (
        columns(
            col(Letter.sender),
            col(Letter.received_at),
            col(LetterSource.source),
            col(LetterSource.method),
            col(LetterSource.visit_id),
            col(EnquiryStatus.answered_at),
            col(EnquiryStatus.answered_by),
            col(EnquiryStatus.waiting_since),
            col(EnquiryStatus.manager_id),
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


def _figures(rows: Sequence[Row[Any]], visits: int, known: set[str]) -> dict[str, Value]:
    senders = {row.sender for row in rows if row.sender}
    on_site = len([row for row in rows if row.method != "external"])
    return {
        "visits": visits,
        "enquiries": len(rows),
        "senders": len(senders),
        "new_senders": len(senders - known),
        "conversion": round(on_site / visits, 4) if visits else None,
        **_answers(rows),
    }


def _answers(rows: Iterable[Row[Any]]) -> dict[str, Value]:
    times = [(row.answered_at - row.received_at).total_seconds() / 60 for row in rows if row.answered_at]
    return {"answered": len(times), "median_answer_minutes": round(median(times), 1) if times else None}


def _sum(report: Report, name: str) -> int:
    return sum(value for row in report.rows if isinstance(value := row[name], int))


def answers_report(session: Session, user: User, period: Period, group: str = "") -> Report:
    """How managers answer: enquiries, how many wait, and how fast the first answer came."""
    names = {person.id: person.name for person in session.exec(select(User))}
    report = Report(["manager", "enquiries", "answered", "waiting", "median_answer_minutes"])
    by_manager: dict[int | None, list[Row[Any]]] = defaultdict(list)
    everything = _enquiries(session, user, period)
    for row in everything:
        by_manager[row.answered_by or row.manager_id].append(row)
    for manager, rows in sorted(by_manager.items(), key=lambda item: -len(item[1])):
        report.rows.append({"manager": names.get(manager) if manager else None, **_manager(rows)})
    report.totals = {"manager": None, **_manager(everything)}
    return report


def _manager(rows: Sequence[Row[Any]]) -> dict[str, Value]:
    waiting = len([row for row in rows if row.waiting_since])
    return {"enquiries": len(rows), "waiting": waiting, **_answers(rows)}


def rules_report(session: Session, user: User, period: Period, group: str = "") -> Report:
    """What each rule has shown, and what came of it."""
    report = Report(
        [
            "rule",
            "state",
            "impressions",
            "visitors",
            "coverage",
            "letters",
            "letters_with_visit",
            "unknown_codes",
            "leaked_codes",
        ]
    )
    shown = {
        rule: (pages or 0, visitors)
        for rule, pages, visitors in session.execute(
            columns(col(Visit.rule_id), func.sum(Visit.pages), func.count(func.distinct(Visit.visitor)))
            .where(col(Visit.user_id) == user.id, col(Visit.robot).is_(False), *period.conditions(Visit.began_at))
            .group_by(col(Visit.rule_id))
        )
    }
    letters = list(
        session.execute(
            columns(
                col(LetterSource.rule_id), col(LetterSource.visit_id), col(LetterSource.method), col(LetterSource.flags)
            ).where(col(LetterSource.user_id) == user.id, *period.conditions(LetterSource.received_at))
        )
    )
    rules = session.exec(
        select(SiteRule)
        .where(SiteRule.user_id == user.id, col(SiteRule.removed_at).is_(None))
        .order_by(col(SiteRule.position))
    )
    for rule in rules:
        own = [row for row in letters if row.rule_id == rule.id]
        pages, visitors = shown.get(rule.id, (0, 0))
        report.rows.append(
            {
                "rule": rule.name,
                "state": rule.state,
                "impressions": int(pages),
                "visitors": visitors,
                "coverage": coverage_of(session, rule) if rule.tracking_type == "dynamic" else None,
                "letters": len(own),
                "letters_with_visit": len([row for row in own if row.visit_id]),
                "unknown_codes": None,
                "leaked_codes": len([row for row in own if "leaked" in row.flags]),
            }
        )
    numbers = ("impressions", "visitors", "letters", "letters_with_visit", "leaked_codes")
    report.totals = {name: _sum(report, name) for name in numbers}
    report.totals |= {"rule": None, "state": None, "coverage": None}
    report.totals["unknown_codes"] = len([row for row in letters if row.method == "unknown_code"])
    return report


def mailboxes_report(session: Session, user: User, period: Period, group: str = "") -> Report:
    """How each mailbox is read, and what came to it."""
    numbers = ("letters", "enquiries", "repeats", "automatic", "bounces")
    report = Report(["mailbox", "state", "good_run_at", "problem", "failures", *numbers])
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    kinds = col(Letter.mailbox_id), col(Letter.category), col(Letter.counted)
    query = columns(*kinds, func.count()).where(col(Letter.user_id) == user.id)
    query = query.where(col(Letter.deleted_at).is_(None), *period.conditions(Letter.received_at))
    for mailbox, category, counted, number in session.execute(query.group_by(*kinds)):
        counts[mailbox] += Counter({"letters": number, _class(category, counted): number})
    boxes = (
        select(Mailbox).where(Mailbox.user_id == user.id, col(Mailbox.removed_at).is_(None)).order_by(col(Mailbox.id))
    )
    for box in session.exec(boxes):
        values = {
            "state": box.state,
            "good_run_at": box.good_run_at,
            "problem": str(box.run_problem),
            "failures": box.failures,
        }
        report.rows.append({"mailbox": box.address, **values, **{name: counts[box.id or 0][name] for name in numbers}})
    report.totals = {**dict.fromkeys(report.columns), **{name: _sum(report, name) for name in numbers}}
    return report


def _class(category: str, counted: bool) -> str:
    if category == Category.HUMAN:
        return "enquiries" if counted else "repeats"
    return "bounces" if category == Category.BOUNCE else "automatic"
