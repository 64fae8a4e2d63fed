"""The pages of reports: the tables that the API gives, with a small picture above."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from tracker.crm.report import GROUPS as ENQUIRY_GROUPS
from tracker.crm.working_time import office_hours
from tracker.locale import N_, localize
from tracker.locale import gettext as _
from tracker.locale.written_days import as_iso
from tracker.models import User
from tracker.notifications.notify import zone_of
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError
from tracker.runtime.report_table import Report, column_of
from tracker.sites.letter_report import MOST, UNCOUNTED
from tracker.web.http.formats import short_day
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.reports.labels import COMPARISON_LABELS, TITLES, column_label, value_label
from tracker.web.reports.tables import GROUPS, PERIOD, as_csv, make_report

routes = Routes()
SHOWN = 200
"""Rows on the page; the file has them all."""
USUAL_DAYS = 30
"""What is shown of where no period was chosen; one that was emptied is all of it."""
CLASSES = (
    *(N_("5 min"), N_("15 min"), N_("1 hour"), N_("4 hours"), N_("1 day"), N_("3 days")),
    N_("longer"),
)
"""The labels of the classes of :data:`tracker.crm.report.BUCKETS`."""
GROUP_LABELS: Mapping[str, str] = {
    "mailbox": N_("by mailbox"),
    "manager": N_("by manager"),
    "day": N_("by day"),
    "week": N_("by week"),
    "month": N_("by month"),
    "source": N_("by source"),
    "group": N_("by group"),
    "channel": N_("by channel"),
}
_LETTER_COLUMNS = (
    *("received_at", "sender", "subject", "source", "channel", "campaign", "method", "flags", "address"),
    *("entrance_page", "customer", "manager"),
)
_PICTURES = {
    "letters": ("received_at", ""),
    "sources": ("source", "enquiries"),
    "activity": ("day", "visits"),
    "answers": ("manager", "answers"),
    "rules": ("rule", "letters"),
    "mailboxes": ("mailbox", "letters"),
}
"""What the bars are of, and how long they are; letters are counted by day."""
_DAYS = 31


@dataclass(frozen=True)
class ReportFilter:
    """What the address bar asks for: pairs as they stand there."""

    pairs: Sequence[tuple[str, str]]

    def without(self, *names: str) -> "ReportFilter":
        return ReportFilter([(name, value) for name, value in self.pairs if name not in names])

    def get(self, name: str) -> str:
        return dict(self.pairs).get(name, "")

    @property
    def filters(self) -> Sequence[tuple[str, str]]:
        return [(name, value) for name, value in self.pairs if name not in PERIOD and value]

    def address(self, *more: tuple[str, str]) -> str:
        return urlencode([*self.pairs, *more])

    def chips(self) -> list[tuple[str, str]]:
        """What each filter says, and the address without it."""
        made = []
        for name, value in self.filters:
            column, comparison = column_of(name), name.partition(".")[2]
            text = _("empty") if value == "-" else value
            words = f"{column_label(column)} {_(COMPARISON_LABELS.get(comparison, comparison))} {text}"
            rest = [pair for pair in self.pairs if pair != (name, value)]
            made.append((words, urlencode(rest)))
        return made


@routes.page("/reports")
def first_report(request: Request, user: User) -> Response:
    return redirect("/reports/enquiries")


@routes.page("/reports/{name}")
def report(request: Request, user: User) -> Response:
    """A report as a page, or with ``format=csv`` as a file."""
    name = request.path_params["name"]
    if name not in TITLES:
        raise ActionError("not_found", _("There is no such report."))
    chosen = _chosen(request, user)
    if (column := chosen.get("column")) and chosen.get("words").strip():
        comparison = chosen.get("comparison")
        key = f"{column}.{comparison}" if comparison else column
        rest = chosen.without("column", "words", "comparison")
        return redirect(f"{request.url.path}?{rest.address((key, chosen.get('words').strip()))}")
    as_file, every_column = chosen.get("format") == "csv", chosen.get("columns") == "all"
    chosen = chosen.without("column", "words", "comparison", "format", "columns")
    wrong, made, hours = "", Report([]), None
    with context_of(request).database.reading() as session:
        try:
            most = MOST if as_file or chosen.filters else SHOWN
            made, hours = make_report(session, user, name, chosen.pairs, most), office_hours(session)
        except ActionError as error:
            wrong = localize(error.sentence)
    if as_file and not wrong:
        return as_csv(name, made)
    context = _shown(name, made, every_column, chosen.get("group") or ENQUIRY_GROUPS[0]) | {
        "chosen": chosen,
        "wrong": wrong,
        "periods": _periods(chosen, now().astimezone(zone_of(user)).date()),
        "bars": _bars(name, made, user),
        "has_office_hours": hours is not None,
    }
    return render(request, "reports/report.html", context, 400 if wrong else 200)


@routes.page("/sites/reports/{name}")
def moved(request: Request, user: User) -> Response:
    """Where the reports of websites stood before."""
    name = "letters" if request.path_params["name"] == "enquiries" else request.path_params["name"]
    if name not in TITLES:
        raise ActionError("not_found", _("There is no such report."))
    return redirect(f"/reports/{name}?{request.url.query}")


def _chosen(request: Request, user: User) -> ReportFilter:
    pairs = [
        (key, as_iso(value.strip()) if key in ("since", "until") else value)
        for key, value in request.query_params.multi_items()
    ]
    if not {"since", "until"} & {key for key, _value in pairs}:
        today = now().astimezone(zone_of(user)).date()
        since = today - timedelta(days=USUAL_DAYS - 1)
        pairs = [("since", since.isoformat()), ("until", today.isoformat()), *pairs]
    return ReportFilter(pairs)


def _shown(name: str, made: Report, every_column: bool, grouped: str) -> dict[str, Any]:
    columns = list(made.columns)
    if name == "letters" and not every_column:
        columns = list(_LETTER_COLUMNS)
    elif name == "mailboxes" and not every_column:
        columns = [column for column in columns if any(row[column] for row in made.rows) or column == "mailbox"]
    return {
        "name": name,
        "titles": TITLES,
        "report": made,
        "shown": SHOWN,
        "columns": [
            (column, column_label(grouped if column == "group" and name == "enquiries" else column))
            for column in columns
        ],
        "has_more_columns": len(columns) < len(made.columns),
        "every_column": [
            ("in_group" if column == "group" else column, column_label(column)) for column in made.columns
        ],
        "comparisons": [(key, _(label)) for key, label in COMPARISON_LABELS.items()],
        "groups": [(group, _(GROUP_LABELS[group])) for group in GROUPS.get(name, ())],
        "classes": [_(label) for label in CLASSES],
        "value_label": value_label,
        "uncounted": UNCOUNTED,
    }


def _periods(chosen: ReportFilter, today: date) -> list[tuple[str, str, bool]]:
    """Usual periods: what each is called, its address, and whether it is the one that is shown."""
    first = today.replace(day=1)
    before = first - timedelta(days=1)
    spans = [
        (_("7 days"), today - timedelta(days=6), today),
        (_("30 days"), today - timedelta(days=USUAL_DAYS - 1), today),
        (_("This month"), first, today),
        (_("Last month"), before.replace(day=1), before),
    ]
    rest, shown = chosen.without("since", "until"), (chosen.get("since"), chosen.get("until"))
    days = [(text, since.isoformat(), until.isoformat()) for text, since, until in spans]
    return [
        (text, rest.address(("since", since), ("until", until)), shown == (since, until))
        for text, since, until in [*days, (_("All"), "", "")]
    ]


def _bars(name: str, made: Report, user: User) -> list[tuple[str, int, float]]:
    """Label, number and share of the greatest, for the picture."""
    label, number = _PICTURES.get(name, ("", ""))
    if name == "letters":
        zone = zone_of(user)
        counts = Counter(row["received_at"].astimezone(zone).date() for row in made.rows)  # type: ignore[union-attr]
        if len(counts) > 1 and len(made.rows) == SHOWN:
            del counts[min(counts)]  # of this day some letters may not be among the rows
        days = _every_day(counts)[-_DAYS:]
        rows = [(short_day(day), counts[day]) for day in days]
    else:
        rows = [
            (str(row.get(label) or _("not determined")), _count(row.get(number))) for row in made.rows if label in row
        ]
        rows = rows[-_DAYS:] if label == "day" else [pair for pair in rows if pair[1]][:10]
    most = max((count for _label, count in rows), default=0)
    return [(text, count, count / most) for text, count in rows] if most else []


def _every_day(days: Collection[date]) -> list[date]:
    """From the first of the days to the last."""
    first, last = min(days, default=date.min), max(days, default=date.min)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)] if days else []


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
