"""Today, the first page: what to do next, and being done with it."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _
from tracker.models import Message, User
from tracker.outbound.messages import complete, complete_interest, reopen
from tracker.recipients import look_up
from tracker.runtime.database import now
from tracker.web.http.actions import perform_on
from tracker.web.http.forms import text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, local_path, redirect, render
from tracker.web.today.activity import read_activity, read_team_totals
from tracker.web.today.first_steps import first_steps
from tracker.web.today.rows import read_today

routes = Routes()
PATH = "/today"


@routes.page(PATH)
def today(request: Request, user: User) -> Response:
    """The page; with ``part=rows`` only what changes while one looks, with ``all=interest`` everybody who shows interest."""
    is_part = request.query_params.get("part") == "rows"
    everybody = request.query_params.get("all") == "interest"
    with context_of(request).database.reading() as session:
        shown = read_today(session, user, everybody)
        context = {
            "today": shown,
            "activity": None if is_part else read_activity(session, user),
            "team": None if is_part else read_team_totals(session, user),
            "steps": [] if is_part and not shown.is_empty else first_steps(session, user),
            "moment": now(),
            "everybody": everybody,
        }
    return render(request, "today/_today_lists.html" if is_part else "today/today.html", context)


@routes.action("/mail/{id}/completion")
def completion(request: Request, user: User, form: FormData) -> Response:
    """Nothing is left to do about a message; ``back`` is the page to return to."""
    undo = {"action": f"/mail/{request.path_params['id']}/completion-end", "action_label": _("Undo")}
    return perform_on(request, user, Message, local_path(text(form, "back"), PATH), complete, _("Done."), **undo)


@routes.action("/mail/{id}/completion-end")
def completion_end(request: Request, user: User, form: FormData) -> Response:
    back = local_path(text(form, "back"), PATH)
    return perform_on(request, user, Message, back, reopen, _("It is to be done again."))


@routes.action("/recipients/{who}/completion")
def interest_completion(request: Request, user: User, form: FormData) -> Response:
    """Nothing is left to do about what somebody did with one's mail until now."""
    with context_of(request).database.session_scope() as session:
        complete_interest(session, user, look_up(session, request.path_params["who"]))
    return redirect(
        local_path(text(form, "back"), PATH), _("Done. You will see them here again when they do something new.")
    )
