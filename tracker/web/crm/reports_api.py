"""``/reports/enquiries`` and ``/reports/answers``: the same table as on the page, as JSON or CSV."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tracker.crm.report import GROUPS, ReportTable, answers_report, enquiries_report
from tracker.mail.fields import ResponseModel
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
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
