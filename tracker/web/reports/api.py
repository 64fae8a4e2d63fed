"""``/reports``: the tables of the pages as JSON and as CSV."""

from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from tracker.mail.fields import ResponseModel
from tracker.runtime.report_table import Report
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.reports.tables import as_csv, make_report

reports = router("Reports")


class ReportResponse(ResponseModel):
    """A table: each row and ``totals`` have a value for each column. Shares lie between 0 and 1. ``distribution`` counts first
    answers within 5 and 15 minutes, 1 and 4 hours, 1 and 3 days, and later, in the reports of enquiries and answers."""

    columns: list[str]
    rows: list[dict[str, Any]]
    totals: dict[str, Any]
    distribution: list[int]


class ReportQuery(BaseModel):
    """The period in one’s own zone, and how to group. Besides, any column narrows the rows: ``source=bing`` where a text has the
    word or a number is it, ``source.is``, ``source.not``, ``visits.min``, ``visits.max``; “-” stands for an empty cell. Of several
    values of one name any has to fit, of several names all. ``in_group`` is the column that is called ``group``."""

    model_config = ConfigDict(extra="allow")

    since: Annotated[str, Field(description="A day in one’s own zone, or a time in RFC 3339.")] = ""
    until: Annotated[str, Field(description="The same; a day counts to its end.")] = ""
    group: Annotated[str, Field(max_length=20)] = ""


Asked = Annotated[ReportQuery, Query()]


def _answer(call: RequestContext, request: Request, name: str) -> Any:
    with call.reading() as session:
        report: Report = make_report(session, call.user, name, request.query_params.multi_items())
    if "text/csv" in request.headers.get("accept", ""):
        return as_csv(name, report)
    columns, distribution = list(report.columns), list(report.distribution)
    return ReportResponse(columns=columns, rows=report.rows, totals=report.totals, distribution=distribution)


_TEXTS = {
    "sources": "Visits and enquiries by source; ``group`` source, group or channel. With ``Accept: text/csv`` as a file.",
    "letters": "Letters, the newest first, each with where it comes from, its visit and whose customer wrote it. Those that are "
    "no enquiries are in it where ``counted``, ``category`` or ``repeat_of`` is asked for.",
    "enquiries": "Enquiries, answers and first-answer times, and by which rule letters were bound; ``group`` mailbox, manager, "
    "day, week or month.",
    "answers": "First answers by whoever gave them.",
    "rules": "What each rule has shown, its coverage, and what came of it.",
    "mailboxes": "How each mailbox is read, what came to it by class, and what was left out by reason.",
    "activity": "Visits, letters and enquiries by day, week or month (``group``).",
}


def _add_report(name: str, text: str) -> None:
    def get(call: Caller, request: Request, query: Asked) -> Any:
        return _answer(call, request, name)

    get.__name__ = f"get_{name}_report"
    reports.add_api_route(f"/reports/{name}", get, response_model=ReportResponse, description=text)


for _name, _text in _TEXTS.items():
    _add_report(_name, _text)
