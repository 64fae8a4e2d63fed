"""Which reports there are, how a query asks for one, and the file of it: what page and API share."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session
from starlette.responses import Response

from tracker.crm.report import GROUPS as ENQUIRY_GROUPS
from tracker.crm.report import answer_seconds, answers_report, enquiries_report
from tracker.inbound.mailbox_report import mailboxes_report
from tracker.locale.written_days import first_moment, next_day
from tracker.models import User
from tracker.notifications.notify import zone_of
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.runtime.report_table import Period, Report, Value, column_of, narrowed
from tracker.sites.letter_report import MOST, UNCOUNTED, letters_report
from tracker.sites.rule_report import rules_report
from tracker.sites.source_report import activity_report, sources_report
from tracker.web.http.download import csv_response
from tracker.web.http.list_filter import read_moment

Pairs = Iterable[tuple[str, str]]
PERIOD = ("since", "until", "group")
GROUPS: Mapping[str, tuple[str, ...]] = {
    "sources": ("source", "group", "channel"),
    "enquiries": ENQUIRY_GROUPS,
    "activity": ("day", "week", "month"),
}


def _sources_report(session: Session, user: User, period: Period, group: str) -> Report:
    return sources_report(session, user, period, group, seconds=answer_seconds(session, user))


_MAKERS: Mapping[str, Callable[..., Report]] = {
    "sources": _sources_report,
    "letters": letters_report,
    "enquiries": enquiries_report,
    "answers": answers_report,
    "rules": rules_report,
    "mailboxes": mailboxes_report,
    "activity": activity_report,
}


def period_of(user: User, since: str, until: str) -> Period:
    """Days are those of the person’s zone, the last one to its end. Raises :class:`ActionError`."""
    zone = zone_of(user)
    begin, end = read_moment("since", since), read_moment("until", until)
    return Period(
        None if begin is None else first_moment(begin, zone),
        None if end is None else (end if isinstance(end, datetime) else first_moment(next_day(end), zone)),
    )


def make_report(session: Session, user: User, name: str, query: Pairs, most: int = MOST, after: str = "") -> Report:
    """The report of this name, of letters the newest ``most``, or the newest that are older than the one ``after``.

    Raises :class:`ActionError` for what it cannot be narrowed or grouped by.
    """
    pairs = [(key, value) for key, value in query if value]
    chosen, filters = dict(pairs), [(key, value) for key, value in pairs if key not in PERIOD]
    period = period_of(user, chosen.get("since", ""), chosen.get("until", ""))
    group, groups = chosen.get("group", ""), GROUPS.get(name, ())
    if group and group not in groups:
        values = ", ".join(groups) or "—"
        raise ActionError(
            "invalid", LocalizedText("This report can be grouped by: %(values)s.", values=values), "group"
        )
    more: dict[str, Any] = {}
    if name == "letters":
        more = {
            "most": most,
            "after": after,
            "uncounted": any(column_of(key) in UNCOUNTED for key, _ in filters),
        }
    report = _MAKERS[name](session, user, period, group or next(iter(groups), ""), **more)
    return narrowed(report, filters)


def as_csv(name: str, report: Report) -> Response:
    """The columns and rows as they stand, and the totals but for single letters; times in RFC 3339, an empty cell for what is not
    known."""
    rows = report.rows if name == "letters" else [*report.rows, report.totals]
    return csv_response(
        f"{name}.csv", report.columns, ([_cell(row.get(column)) for column in report.columns] for row in rows)
    )


def _cell(value: Value) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
