"""Your mail in pictures: how far it came, and when people open and answer; the numbers behind each picture in a table."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from babel.dates import get_day_names
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _, babel_locale
from tracker.models import User
from tracker.runtime.database import now
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, render
from tracker.web.messages.figures import read_hours
from tracker.web.messages.filter import Filter
from tracker.web.messages.rows import SentFigures, read_figures

routes = Routes()
PERIODS = (30, 90, 365)
USUAL = 90


@routes.page("/mail/figures")
def figures(request: Request, user: User) -> Response:
    """``days`` is one of the periods."""
    asked = request.query_params.get("days", "")
    days = int(asked) if asked in map(str, PERIODS) else USUAL
    chosen = Filter(since=(now().astimezone(ZoneInfo(user.timezone)) - timedelta(days=days)).date())
    with context_of(request).database.reading() as session:
        counts, hours = read_figures(session, user, chosen), read_hours(session, user, days)
    names = get_day_names("abbreviated", locale=babel_locale())
    context = {
        "days": days,
        "periods": PERIODS,
        "steps": _funnel(counts, chosen),
        "sent": counts.sent,
        "hours": [("open", _("When people open"), hours["open"]), ("reply", _("When people answer"), hours["reply"])],
        "weekdays": [names[day] for day in range(7)],
    }
    return render(request, "messages/figures.html", context)


def _funnel(counts: SentFigures, chosen: Filter) -> list[tuple[str, int, int | None, str]]:
    """Each step: its name, how many, out of how many (None for the first), and where they are listed."""

    def listed(*states: str) -> str:
        return replace(chosen, state=(*states, "sent")).address()

    return [
        (_("Sent"), counts.sent, None, listed()),
        (_("Opening can be measured"), counts.measurable, counts.sent, listed("opened", "not_opened")),
        (_("Opened"), counts.opened, counts.measurable, listed("opened")),
        (_("Clicked"), counts.clicked, counts.links, listed("clicked")),
        (_("Answered"), counts.replied, counts.sent, listed("replied")),
    ]
