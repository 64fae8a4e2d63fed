"""The mail list: filter, rows, figures, and what the two icons of a row tell."""

from collections.abc import Mapping

from babel.lists import format_list
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracker.locale import N_, babel_locale
from tracker.locale import gettext as _
from tracker.models import Message, User
from tracker.ownership import owned
from tracker.web.auth import page
from tracker.web.filter_values import FilterError
from tracker.web.filters import STATES, Cursor, Filter
from tracker.web.formats import day
from tracker.web.mail_activity import activity_of
from tracker.web.mail_rows import accounts_of, has_account, read_figures, read_listing
from tracker.web.page import house, render

_PARTS = {"rows": "_mail_list.html", "more": "_mail_rows.html"}

_SENTENCE: Mapping[str, str] = {
    "tracked": N_("tracked"),
    "opened": N_("opened"),
    "not_opened": N_("not opened although that could be seen"),
    "clicked": N_("with a click"),
    "replied": N_("answered"),
    "no_reply": N_("without a reply"),
    "bounced": N_("come back undelivered"),
    "machine_only": N_("touched by machines only"),
    "unmeasurable": N_("whose opening cannot be known"),
    "untracked": N_("not tracked"),
    "draft": N_("in draft"),
    "scheduled": N_("scheduled"),
    "queued": N_("waiting in the queue"),
    "sent": N_("sent"),
    "failed": N_("failed"),
    "cancelled": N_("cancelled"),
}


@page
def mail(request: Request, user: User) -> Response:
    """The list, or with ``part`` a piece of it: ``rows`` the list alone, ``more`` the rows after a place, ``figures``."""
    part = request.query_params.get("part", "")
    try:
        chosen, after, problem = _asked_for(request)
    except FilterError as error:
        chosen, after, problem = Filter(), None, error.text
    if part == "figures":
        return _figures(request, user, chosen)
    with house(request).database.reading() as session:
        listing = read_listing(session, user, chosen, after)
        empty = not listing.rows
        context = {
            "listing": listing,
            "chosen": chosen,
            "chips": chips_of(chosen),
            "sentence": sentence_of(chosen),
            "states": STATES,
            "accounts": accounts_of(session, user),
            "has_account": not empty or has_account(session, user),
            "first_page": after is None,
            "more_url": address(chosen, cursor=str(listing.next)) if listing.next else "",
            "problem": problem,
        }
    return render(request, _PARTS.get(part, "mail.html"), context, 400 if problem else 200)


@page
def mail_activity(request: Request, user: User) -> Response:
    """What one icon of a row tells: who, when, through what."""
    kind = request.path_params["kind"]
    if kind not in ("opens", "clicks"):
        raise HTTPException(404)
    with house(request).database.reading() as session:
        message = owned(session, Message, user, request.path_params["id"])
        context = {"message": message, "kind": kind, "activity": activity_of(session, message, kind)}
    return render(request, "_mail_activity.html", context)


def address(chosen: Filter, **more: str) -> str:
    """The list's address with a filter."""
    query = "&".join(part for part in (chosen.to_query(), *(f"{name}={value}" for name, value in more.items())) if part)
    return f"/mail?{query}" if query else "/mail"


def chips_of(chosen: Filter) -> list[dict[str, str]]:
    """One chip per value: its words, and the address without it."""
    return [
        {"text": _chip(name, value), "without": address(chosen.without(name, value))} for name, value in chosen.values()
    ]


def sentence_of(chosen: Filter) -> str:
    """The filter as one sentence in the reader's language."""
    parts = [_(_SENTENCE[state]) for state in chosen.states]
    parts += [_clause(name, value, chosen) for name, value in chosen.values() if name != "state"]
    if not parts:
        return _("All mail.")
    return _("Mail: %(conditions)s.") % {"conditions": format_list(parts, locale=babel_locale())}


def _asked_for(request: Request) -> tuple[Filter, Cursor | None, str]:
    cursor = request.query_params.get("cursor", "")
    return Filter.from_query(request.query_params), Cursor.parse(cursor) if cursor else None, ""


def _figures(request: Request, user: User, chosen: Filter) -> Response:
    with house(request).database.reading() as session:
        figures = read_figures(session, user, chosen)
    return render(request, "_mail_figures.html", {"figures": figures, "chosen": chosen})


def _chip(name: str, value: str) -> str:
    if name == "state":
        return _(STATES[value])
    labels = {
        "tracked": _("Tracked") if value == "true" else _("Untracked"),
        "account": _("From: %(what)s"),
        "recipient": _("To: %(what)s"),
        "since": _("Since %(what)s"),
        "until": _("Until %(what)s"),
        "q": _("“%(what)s”"),
        "thread": _("One conversation"),
    }
    return labels[name] % {"what": day(value) if name in ("since", "until") else value}


def _clause(name: str, value: str, chosen: Filter) -> str:
    if name == "tracked":
        return _("tracked") if chosen.tracked else _("not tracked")
    clauses = {
        "account": _("sent from %(what)s"),
        "recipient": _("to %(what)s"),
        "since": _("since %(what)s"),
        "until": _("until %(what)s"),
        "q": _("with the words “%(what)s”"),
        "thread": _("of one conversation"),
    }
    return clauses[name] % {"what": day(value) if name in ("since", "until") else value}


routes = [
    Route("/mail", mail),
    Route("/mail/{id}/activity/{kind}", mail_activity),
]
