"""The pages of reports: the tables that the API gives, with a small picture above."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlmodel import Session
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
from tracker.runtime.report_table import Report, Value, column_of
from tracker.sites.letter_report import MOST, UNCOUNTED, letter_times
from tracker.web.http.formats import short_day
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.reports.labels import COMPARISON_LABELS, TITLES, column_label, value_label
from tracker.web.reports.tables import GROUPS, PERIOD, as_csv, make_report, period_of

routes = Routes()
SHOWN = 50
"""Letters on a page; the file has them all."""
_MOST_ROWS = 200
"""Rows of another report."""
_MOST_BARS = 1000
"""So many letters, the newest, make the picture."""
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
        rest = chosen.without("column", "words", "comparison", "after")
        return redirect(f"{request.url.path}?{rest.address((key, chosen.get('words').strip()))}")
    as_file, every_column = chosen.get("format") == "csv", chosen.get("columns") == "all"
    after = chosen.get("after")
    chosen = chosen.without("column", "words", "comparison", "format", "columns", "after")
    wrong, made, hours, times = "", Report([]), None, list[datetime]()
    with context_of(request).database.reading() as session:
        try:
            most = MOST if as_file or chosen.filters else SHOWN + 1
            place = "" if chosen.filters else after
            made, hours = make_report(session, user, name, chosen.pairs, most, place), office_hours(session)
            if name == "letters" and not as_file:
                times = _times(session, user, made, chosen)
                made.rows = _rows_after(made.rows, after) if chosen.filters and after else made.rows
        except ActionError as error:
            wrong = localize(error.sentence)
    if as_file and not wrong:
        return as_csv(name, made)
    context = _shown(name, made, every_column, chosen.get("group") or ENQUIRY_GROUPS[0]) | {
        "chosen": chosen,
        "wrong": wrong,
        "periods": _periods(chosen, now().astimezone(zone_of(user)).date()),
        "bars": _bars(name, made, user, times),
        "older": chosen.address(("after", str(made.rows[SHOWN - 1]["id"])))
        if name == "letters" and len(made.rows) > SHOWN
        else "",
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
        "shown": SHOWN if name == "letters" else _MOST_ROWS,
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


def _rows_after(rows: list[dict[str, Value]], public_id: str) -> list[dict[str, Value]]:
    """Those behind the letter with this id; what a filter leaves is few, and counted as a whole."""
    places = [place for place, row in enumerate(rows) if row["id"] == public_id]
    if not places:
        raise ActionError("invalid", _("There is no such letter."), "after")
    return rows[places[0] + 1 :]


def _times(session: Session, user: User, made: Report, chosen: ReportFilter) -> list[datetime]:
    """When the letters came of which the picture is: those of the filter, else the newest of the period."""
    if chosen.filters:
        return [at for row in made.rows if isinstance(at := row["received_at"], datetime)]
    period = period_of(user, chosen.get("since"), chosen.get("until"))
    return list(letter_times(session, user, period, _MOST_BARS))


def _bars(name: str, made: Report, user: User, times: Sequence[datetime]) -> list[tuple[str, int, float]]:
    """Label, number and share of the greatest, for the picture."""
    label, number = _PICTURES.get(name, ("", ""))
    if name == "letters":
        zone = zone_of(user)
        counts = Counter(at.astimezone(zone).date() for at in times)
        if len(counts) > 1 and len(times) in (_MOST_BARS, MOST):
            del counts[min(counts)]  # of this day some letters may not be among them
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
