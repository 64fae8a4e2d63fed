"""Filters under a name: saved from a list, removed, made the first page."""

from sqlmodel import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _, localize
from tracker.models import SavedView, User
from tracker.models.ownership import owned
from tracker.runtime.localized_text import ActionError
from tracker.web.http.forms import parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect
from tracker.web.profile.saved_views import NewView, begin_with, first_view, remove_view, save_view

routes = Routes()
TODAY = "/today"


def address_of(view: SavedView | None) -> str:
    """Where a view is looked at; Today for None."""
    return f"/{view.list}?{view.query}" if view is not None else TODAY


@routes.page("/")
def first_page(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        return redirect(address_of(first_view(session, user)))


@routes.action("/views")
def view_new(request: Request, user: User, form: FormData) -> Response:
    """``list``, ``query`` and ``name``."""
    try:
        with context_of(request).database.session_scope() as session:
            view = save_view(session, user, parse(NewView, form))
    except ActionError as error:
        back = f"/{'enquiries' if text(form, 'list') == 'enquiries' else 'mail'}?{text(form, 'query', 2000)}"
        return redirect(back, localize(error), kind="problem")
    return redirect(address_of(view), _("Saved."))


@routes.action("/views/{id}/removal")
def view_removal(request: Request, user: User, form: FormData) -> Response:
    with context_of(request).database.session_scope() as session:
        view = _view(request, session, user)
        remove_view(session, user, view)
    return redirect(address_of(view), _("The view is removed. The filter is still set."))


@routes.action("/views/{id}/beginning")
def view_beginning(request: Request, user: User, form: FormData) -> Response:
    """``first`` is yes or no: whether the day begins with this view, or with Today."""
    is_first = form.get("first") == "yes"
    with context_of(request).database.session_scope() as session:
        view = _view(request, session, user)
        begin_with(session, user, view if is_first else None)
    done = _("This view is your first page now.") if is_first else _("Today is your first page again.")
    return redirect(address_of(view), done)


def _view(request: Request, session: Session, user: User) -> SavedView:
    return owned(session, SavedView, user, request.path_params["id"])
