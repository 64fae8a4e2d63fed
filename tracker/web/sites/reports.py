"""``/reports``: the same table as JSON and as CSV, and how a period is read."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tracker.locale.written_days import first_moment, next_day
from tracker.mail.fields import ResponseModel
from tracker.models import User
from tracker.notifications.notify import zone_of
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.sites.report_letters import MOST, activity_report, enquiries_report
from tracker.sites.report_rows import (
    Period,
    Report,
    answers_report,
    mailboxes_report,
    narrowed,
    rules_report,
    sources_report,
)
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.http.csv_export import csv_response
from tracker.web.http.list_filter import read_moment

site_reports = router("Reports")


class ReportResponse(ResponseModel):
    """A table: each row and ``totals`` have a value for each column. Shares lie between 0 and 1."""

    columns: list[str]
    rows: list[dict[str, Any]]
    totals: dict[str, Any]


class ReportQuery(BaseModel):
    """The period in one’s own zone, and how to group. Any column narrows the rows by words in it, “-” stands for an empty one;
    ``in_group`` is the column that is called ``group``."""

    model_config = ConfigDict(extra="allow")

    since: Annotated[str, Field(description="A day in one’s own zone, or a time in RFC 3339.")] = ""
    until: Annotated[str, Field(description="The same; a day counts to its end.")] = ""
    group: Annotated[str, Field(max_length=20)] = ""


def period_of(user: User, since: str, until: str) -> Period:
    """Raises :class:`ActionError`."""
    zone = zone_of(user)
    begin, end = read_moment("since", since), read_moment("until", until)
    return Period(
        None if begin is None else first_moment(begin, zone),
        None if end is None else (end if isinstance(end, datetime) else first_moment(next_day(end), zone)),
    )


GROUPS: Mapping[str, tuple[str, ...]] = {
    "sources": ("source", "group", "channel"),
    "activity": ("day", "week", "month"),
}


def make_report(session: Any, user: User, name: str, query: Mapping[str, str], most: int = MOST) -> Report:
    """The report of this name, of letters the newest ``most``.

    Raises :class:`ActionError` for what it cannot be narrowed or grouped by.
    """
    period = period_of(user, query.get("since", ""), query.get("until", ""))
    group, rest = query.get("group", ""), {k: v for k, v in query.items() if k not in ("since", "until", "group") and v}
    if group and group not in GROUPS.get(name, ()):
        values = ", ".join(GROUPS.get(name, ())) or "—"
        raise ActionError(
            "invalid", LocalizedText("This report can be grouped by: %(values)s.", values=values), "group"
        )
    limit = {"most": most} if name == "enquiries" else {}
    report = _MAKERS[name](session, user, period, group or GROUPS.get(name, ("",))[0], **limit)
    rest = {"group" if name == "in_group" else name: value for name, value in rest.items()}
    if unknown := sorted(set(rest) - set(report.columns)):
        column = unknown[0][:40]
        raise ActionError("invalid", LocalizedText("“%(name)s” is no column of this report.", name=column), column)
    return narrowed(report, rest)


_MAKERS: Mapping[str, Callable[..., Report]] = {
    "sources": sources_report,
    "enquiries": enquiries_report,
    "answers": answers_report,
    "rules": rules_report,
    "mailboxes": mailboxes_report,
    "activity": activity_report,
}


def as_csv(name: str, report: Report) -> Response:
    """The columns and rows as they stand; times in RFC 3339."""
    rows = ([_cell(row.get(column)) for column in report.columns] for row in report.rows)
    return csv_response(f"{name}.csv", report.columns, rows)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _answer(call: RequestContext, request: Request, name: str, query: ReportQuery) -> Any:
    with call.reading() as session:
        report = make_report(session, call.user, name, query.model_dump())
    if "text/csv" in request.headers.get("accept", ""):
        return as_csv(name, report)
    return ReportResponse(columns=list(report.columns), rows=report.rows, totals=report.totals)


Asked = Annotated[ReportQuery, Query()]


@site_reports.get("/reports/sources", response_model=ReportResponse)
def get_sources_report(call: Caller, request: Request, query: Asked) -> Any:
    """Visits and enquiries by source; ``group`` source, group or channel. With ``Accept: text/csv`` as a file."""
    return _answer(call, request, "sources", query)


@site_reports.get("/reports/letters", response_model=ReportResponse)
def get_letters_report(call: Caller, request: Request, query: Asked) -> Any:
    """Letters that count, the newest first, each with where it comes from, its visit and whose customer wrote it."""
    return _answer(call, request, "enquiries", query)


@site_reports.get("/reports/rules", response_model=ReportResponse)
def get_rules_report(call: Caller, request: Request, query: Asked) -> Any:
    """What each rule has shown, its coverage, and what came of it."""
    return _answer(call, request, "rules", query)


@site_reports.get("/reports/mailboxes", response_model=ReportResponse)
def get_mailboxes_report(call: Caller, request: Request, query: Asked) -> Any:
    """How each mailbox is read."""
    return _answer(call, request, "mailboxes", query)


@site_reports.get("/reports/activity", response_model=ReportResponse)
def get_activity_report(call: Caller, request: Request, query: Asked) -> Any:
    """Visits, letters and enquiries by day, week or month (``group``)."""
    return _answer(call, request, "activity", query)
