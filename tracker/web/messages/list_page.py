"""The mail list: filter, rows, figures, and what the two icons of a row tell."""

from dataclasses import replace

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tracker.models import Message, User
from tracker.models.ownership import owned
from tracker.privacy.views import note_copies_view
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, render
from tracker.web.messages.activity import activity_of, copies_of
from tracker.web.messages.filter import Filter
from tracker.web.messages.rows import figures_scope, read_figures, read_listing, state_counts, tab_counts
from tracker.web.profile.saved_views import views_of

routes = Routes()
_PARTS = {"rows": "messages/_mail_list.html", "more": "messages/_mail_rows.html"}


@routes.page("/mail")
def mail(request: Request, user: User) -> Response:
    """The list, or with ``part`` a piece of it: ``rows`` the list alone, ``more`` the rows after a place, ``figures``,
    ``counts`` how many each state would show, as JSON."""
    part = request.query_params.get("part", "")
    chosen, after, problem = Filter.from_request(request)
    if part == "figures":
        return _figures(request, user, chosen)
    if part == "counts":
        with context_of(request).database.reading() as session:
            return JSONResponse(state_counts(session, user, chosen))
    with context_of(request).database.reading() as session:
        listing = read_listing(session, user, chosen, after)
        context = {
            "listing": listing,
            "chosen": chosen,
            "accounts": listing.accounts,
            "has_account": bool(listing.rows or listing.accounts),
            "first_page": after is None,
            "more_url": chosen.address(cursor=str(listing.next)) if listing.next else "",
            "problem": problem,
            "views": views_of(session, user, "mail"),
            "counts": tab_counts(session, user) if not part else {},
        }
    return render(request, _PARTS.get(part, "messages/mail.html"), context, 400 if problem else 200)


@routes.page("/mail/{id}/activity/{kind}")
def mail_activity(request: Request, user: User) -> Response:
    """What one icon of a row tells: who, when, through what."""
    kind = request.path_params["kind"]
    if kind not in ("opens", "clicks"):
        raise HTTPException(404)
    with context_of(request).database.reading() as session:
        message = owned(session, Message, user, request.path_params["id"])
        copies = copies_of(session, message)
        context = {"message": message, "kind": kind, "activity": activity_of(session, message, copies, kind)}
    note_copies_view(context_of(request), user, copies)
    return render(request, "messages/_mail_activity.html", context)


def _figures(request: Request, user: User, chosen: Filter) -> Response:
    with context_of(request).database.reading() as session:
        figures = read_figures(session, user, chosen)
    scope = figures_scope(chosen, user)
    lists = {state: replace(scope, state=(state, "sent")).address() for state in ("opened", "clicked", "replied")}
    context = {"figures": figures, "lists": {**lists, "sent": replace(scope, state=("sent",)).address()}}
    return render(request, "messages/_mail_figures.html", context)
