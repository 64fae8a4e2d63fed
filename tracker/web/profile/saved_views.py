"""Filters of lists under a name: saved, renamed by saving anew, removed, and begun the day with.

Actions raise :class:`tracker.runtime.localized_text.ActionError`.
"""

from collections.abc import Sequence

from pydantic import Field
from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _, localize
from tracker.mail.fields import RequestModel, SingleLine
from tracker.models import SavedView, User
from tracker.models.counting.bulk import is_inserted
from tracker.models.ownership import owned, owned_rows
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.web.http.forms import parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect

MOST = 30
"""Views of one person in one list."""
LISTS = ("mail", "enquiries")


class NewView(RequestModel):
    list: str
    name: SingleLine = Field(max_length=60)
    query: str = Field(max_length=2000)


def views_of(session: Session, user: User, list_: str) -> Sequence[SavedView]:
    """This person's views of a list, the oldest first."""
    return session.exec(owned_rows(SavedView, user).where(SavedView.list == list_).order_by(col(SavedView.id))).all()


def save_view(session: Session, user: User, new: NewView) -> SavedView:
    """Gives a filter a name; a view of that name shows the new filter from now on. ``query`` is a filter's own form."""
    if new.list not in LISTS or not new.query:
        raise ActionError("invalid", LocalizedText("There is nothing to save: no filter is set."), "query")
    if not new.name:
        raise ActionError("invalid", LocalizedText("Give the view a name."), "name")
    names = [view.name for view in views_of(session, user, new.list)]
    if len(names) >= MOST and new.name not in names:
        text = LocalizedText("You have %(most)d views here. Remove one first.", most=MOST)
        raise ActionError("conflict", text)
    view = SavedView(user_id=user.id, list=new.list, name=new.name, query=new.query)
    is_inserted(session, SavedView, view.model_dump(exclude={"id"}))
    named = owned_rows(SavedView, user).where(SavedView.list == new.list, SavedView.name == new.name)
    view = session.exec(named).one()
    view.query = new.query
    session.add(view)
    return view


def remove_view(session: Session, user: User, view: SavedView) -> None:
    """Whoever began with it begins with Today again."""
    if user.first_view_id == view.id:
        session.get_one(User, user.id).first_view_id = None
    session.delete(view)


def begin_with(session: Session, user: User, view: SavedView | None) -> None:
    """What this person sees first after signing in; None is Today."""
    session.get_one(User, user.id).first_view_id = view.id if view is not None else None


def first_view(session: Session, user: User) -> SavedView | None:
    if user.first_view_id is None:
        return None
    return session.exec(
        select(SavedView).where(SavedView.id == user.first_view_id, SavedView.user_id == user.id)
    ).first()


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
