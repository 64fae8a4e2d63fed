"""``/reports/enquiries`` and ``/reports/answers``: the same table as on the page, as JSON or CSV."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tracker.crm.report import GROUPS, ReportTable, answers_report, enquiries_report
from tracker.crm.working_time import WorkingTime, change_working_time, working_time
from tracker.mail.fields import ResponseModel
from tracker.models import Role
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.errors import Problem
from tracker.web.api.idempotency import idempotent
from tracker.web.crm.report_pages import as_csv

reports = router("Reports")


class ReportResponse(ResponseModel):
    """A table: the names of its columns, its rows, and the totals. ``distribution`` counts first answers within 5 and 15 minutes,
    1 and 4 hours, 1 and 3 days, and later."""

    columns: Sequence[str]
    rows: list[dict[str, Any]]
    totals: dict[str, Any]
    distribution: list[int]


class ReportQuery(BaseModel):
    """Days in one's own zone, both included."""

    model_config = ConfigDict(extra="forbid")

    since: date | None = None
    until: date | None = None
    group: Annotated[str, Field(description=", ".join(GROUPS))] = "mailbox"


@reports.get("/reports/enquiries", response_model=ReportResponse)
def get_enquiries_report(call: Caller, request: Request, query: Annotated[ReportQuery, Query()]) -> Response:
    """Enquiries, answers and first-answer times, and by which rule letters were bound."""
    with call.reading() as session:
        return answered(request, enquiries_report(session, call.user, query.since, query.until, query.group))


@reports.get("/reports/answers", response_model=ReportResponse)
def get_answers_report(call: Caller, request: Request, query: Annotated[ReportQuery, Query()]) -> Response:
    """First answers by whoever gave them."""
    with call.reading() as session:
        return answered(request, answers_report(session, call.user, query.since, query.until))


def answered(request: Request, table: ReportTable) -> Response:
    """As CSV where the caller asks for that, else as JSON."""
    if "text/csv" in request.headers.get("accept", ""):
        return Response(as_csv(table), media_type="text/csv; charset=utf-8")
    shape = ReportResponse(
        columns=table.columns,
        rows=[dict(row) for row in table.rows],
        totals=dict(table.totals),
        distribution=list(table.distribution),
    )
    return Response(shape.model_dump_json(), media_type="application/json")


class WorkingTimeResponse(ResponseModel):
    """Hours such as ``09:00-18:00`` by day; null where every hour counts."""

    days: dict[str, str] | None
    holidays: list[str]
    timezone: str
    presence_minutes: int


@reports.get("/working-time", response_model=WorkingTimeResponse)
def get_working_time(call: Caller) -> WorkingTimeResponse:
    """The office hours in which the report counts."""
    with call.reading() as session:
        return WorkingTimeResponse(**working_time(session).model_dump())


@reports.patch("/working-time", response_model=WorkingTimeResponse)
def patch_working_time(call: Caller, change: WorkingTime) -> Response:
    """Changes what is given, for administrators."""
    if call.user.role != Role.ADMIN:
        raise Problem(403, "Only an administrator sets the office hours.")
    return idempotent(
        call, lambda session: WorkingTimeResponse(**change_working_time(session, change, call.user).model_dump())
    )
