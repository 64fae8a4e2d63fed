"""The pages of reports: the tables that the API gives, with a small picture above."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import N_, localize
from tracker.locale import gettext as _
from tracker.locale.written_days import as_iso
from tracker.models import User
from tracker.notifications.notify import zone_of
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError
from tracker.sites.attribution_text import FLAG_LABELS, METHOD_LABELS
from tracker.sites.report_letters import MOST
from tracker.sites.report_rows import LABELS, Report
from tracker.sites.source_names import CHANNEL_LABELS
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.sites.reports import GROUPS, as_csv, make_report

routes = Routes()
SHOWN = 200
"""Rows on the page; the file has them all."""
_PERIOD = {"since", "until", "group"}
TITLES: Mapping[str, str] = {
    "sources": N_("Enquiries by source"),
    "enquiries": N_("Letters"),
    "rules": N_("Rules"),
    "answers": N_("Answers"),
    "mailboxes": N_("Mailboxes"),
    "activity": N_("Activity"),
}
_ON_THE_PAGE = (
    "received_at",
    "sender",
    "subject",
    "address",
    "method",
    "flags",
    "channel",
    "source",
    "campaign",
    "entrance_page",
)
_MORE_LABELS: Mapping[str, str] = {
    "week": N_("Week"),
    "month": N_("Month"),
    "received_at": N_("Received"),
    "sender": N_("From"),
    "subject": N_("Subject"),
    "address": N_("Written to"),
    "method": N_("Found by"),
    "flags": N_("Remarks"),
    "campaign": N_("Campaign"),
    "entrance_page": N_("Entrance page"),
    "id": N_("Number"),
    "in_group": N_("Group"),
    "sender_name": N_("Name"),
    "to": N_("To"),
    "cc": N_("Cc"),
    "snippet": N_("Text"),
    "has_attachments": N_("Files"),
    "counted": N_("Counted"),
    "site": N_("Site"),
    "marks": N_("Marks"),
    "referrer": N_("The page before it"),
    "phrase": N_("Searched for"),
    "page": N_("Last page"),
    "visitor": N_("Visitor"),
    "visit": N_("Visit"),
    "visit_number": N_("Visit number"),
    "device": N_("Device"),
    "client": N_("Browser"),
    "language": N_("Language"),
    "loaded_after_seconds": N_("Seconds until it was loaded"),
}


@routes.page("/sites/reports/{name}")
def report(request: Request, user: User) -> Response:
    name = request.path_params["name"]
    if name not in TITLES:
        raise ActionError("not_found", _("There is no such report."))
    today = now().astimezone(zone_of(user)).date()
    query = {"since": (today - timedelta(days=29)).isoformat(), "until": today.isoformat(), **request.query_params}
    query |= {name: as_iso(query[name]) for name in ("since", "until")}
    as_file = query.pop("format", "") == "csv"
    if (column := query.pop("column", "")) and (words := query.pop("words", "").strip()):
        return redirect(f"{request.url.path}?{urlencode({**query, column: words})}")
    query.pop("words", "")
    wrong, made = "", Report([])
    narrow = any(value for key, value in query.items() if key not in _PERIOD)
    with context_of(request).database.reading() as session:
        try:
            made = make_report(session, user, name, query, MOST if as_file or narrow else SHOWN)
        except ActionError as error:
            wrong = localize(error.sentence)
    if as_file and not wrong:
        return as_csv(name, made)
    columns = [column for column in made.columns if name != "enquiries" or column in _ON_THE_PAGE]
    context: dict[str, Any] = {
        "name": name,
        "titles": TITLES,
        "report": made,
        "shown": SHOWN,
        "columns": [(column, label_of(column)) for column in columns],
        "every_column": [("in_group" if column == "group" else column, label_of(column)) for column in made.columns],
        "filters": [
            (label_of(key), value, urlencode({k: v for k, v in query.items() if k != key}))
            for key, value in query.items()
            if key not in _PERIOD and value
        ],
        "query": query,
        "groups": [(group, label_of(group)) for group in GROUPS.get(name, ())],
        "wrong": wrong,
        "bars": _bars(name, made),
        "labels": {"method": METHOD_LABELS, "channel": CHANNEL_LABELS, "flags": FLAG_LABELS},
    }
    return render(request, "sites/report.html", context)


def label_of(column: str) -> str:
    return _({**LABELS, **_MORE_LABELS}.get(column, column))


def _bars(name: str, made: Report) -> list[tuple[str, int, float]]:
    """Label, number and share of the greatest, for the picture."""
    label, number = _PICTURES.get(name, ("", ""))
    rows = [(str(row.get(label) or _("not determined")), _count(row.get(number))) for row in made.rows if label in row]
    rows = rows[-31:] if label == "day" else [pair for pair in rows[:31] if pair[1]]
    most = max((count for _label, count in rows), default=0)
    return [(text, count, count / most) for text, count in rows] if most else []


_PICTURES = {"sources": ("source", "enquiries"), "activity": ("day", "visits"), "answers": ("manager", "enquiries")}


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
