"""The report: how many enquiries came, and how fast they were answered. A small picture with its table behind it."""

import csv
import io
from collections.abc import Mapping
from datetime import date, timedelta

from starlette.requests import Request
from starlette.responses import Response

from tracker.crm.report import GROUPS, ReportTable, group_answers, group_enquiries, read_enquiries
from tracker.crm.working_time import office_hours
from tracker.locale import N_, localize
from tracker.locale import gettext as _
from tracker.locale.written_days import as_iso
from tracker.models import User
from tracker.notifications.notify import zone_of
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.web.http.csv_export import harmless
from tracker.web.http.download import disposition
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, render

routes = Routes()
USUAL_DAYS = 30
"""What is shown of where no period was chosen; one that was emptied is all of it."""
GROUP_LABELS: Mapping[str, str] = {
    "mailbox": N_("by mailbox"),
    "manager": N_("by manager"),
    "day": N_("by day"),
    "week": N_("by week"),
    "month": N_("by month"),
}
CLASSES = (
    *(N_("5 min"), N_("15 min"), N_("1 hour"), N_("4 hours"), N_("1 day"), N_("3 days")),
    N_("longer"),
)
"""The labels of the classes of :data:`tracker.crm.report.BUCKETS`."""


@routes.page("/reports/enquiries")
def report(request: Request, user: User) -> Response:
    """The report as a page, or with ``csv`` as a file: the same table as the API gives."""
    wrong, query, hours = "", request.query_params, None
    try:
        since, until, group = _day(query, "since"), _day(query, "until"), query.get("group") or "mailbox"
        if not {"since", "until"} & set(query):
            since = now().astimezone(zone_of(user)).date() - timedelta(days=USUAL_DAYS - 1)
        with context_of(request).database.reading() as session:
            enquiries = read_enquiries(session, user, since, until)
            table, answers = group_enquiries(enquiries, group), group_answers(enquiries)
            hours = office_hours(session)
    except ActionError as error:
        wrong, since, until, group = localize(error), None, None, "mailbox"
        table = answers = ReportTable((), (), {})
    if "csv" in query and not wrong:
        headers = {"Content-Disposition": disposition(_("enquiries") + ".csv")}
        return Response(as_csv(table), media_type="text/csv; charset=utf-8", headers=headers)
    context = {
        "table": table,
        "answers": answers,
        "group": group if group in GROUPS else "mailbox",
        "groups": [(key, _(label)) for key, label in GROUP_LABELS.items()],
        "classes": [_(label) for label in CLASSES],
        "since": since or "",
        "until": until or "",
        "wrong": wrong,
        "office_hours": hours is not None,
        "csv_url": f"/reports/enquiries?csv=1&group={group}&since={since or ''}&until={until or ''}",
    }
    return render(request, "crm/report.html", context, 400 if wrong else 200)


def _day(query: Mapping[str, str], name: str) -> date | None:
    text = as_iso(query.get(name, "").strip())
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        sentence = LocalizedText("“%(name)s” is not a day; write it as 2026-03-31.", name=name)
        raise ActionError("invalid", sentence, name) from None


def as_csv(table: ReportTable) -> str:
    """What is not known is an empty cell; the totals are the last line."""
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text)
    writer.writerow(table.columns)
    for row in (*table.rows, table.totals):
        writer.writerow(["" if row[name] is None else harmless(str(row[name])) for name in table.columns])
    return text.getvalue()
