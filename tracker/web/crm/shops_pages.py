"""Shops, and groups of managers, in the settings."""

from sqlmodel import Session, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.crm.assignment import signed_in
from tracker.crm.records import find_record
from tracker.crm.shops import (
    GroupChange,
    NewGroup,
    NewShop,
    delete_group,
    delete_shop,
    members_of,
    save_group,
    save_shop,
)
from tracker.locale import _
from tracker.models import GroupMember, ManagerGroup, Shop, User
from tracker.web.crm.letter_panel import colleagues
from tracker.web.http.actions import perform
from tracker.web.http.forms import parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, render

routes = Routes()
BASE_PATH = "/settings/groups"


@routes.page(BASE_PATH)
def groups(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        rows = session.exec(select(ManagerGroup).order_by(ManagerGroup.name)).all()
        members = members_of(session, [row.id for row in rows])
        people = colleagues(session)
        context = {
            "groups": rows,
            "members": members,
            "turns": _turns(session),
            "people": people,
            "present": signed_in(session, {person.id for person in people}),
            "shops": session.exec(select(Shop).order_by(Shop.name)).all(),
        }
    return render(request, "crm/groups.html", context)


def _turns(session: Session) -> dict[tuple[int, int], int]:
    return {(row.group_id, row.user_id): row.turn for row in session.exec(select(GroupMember))}


@routes.action(BASE_PATH)
def add_group(request: Request, user: User, form: FormData) -> Response:
    def work(session: Session) -> None:
        save_group(session, None, parse(NewGroup, {**form, "members": _members(form)}))

    return perform(request, BASE_PATH, work, _("Saved."))


@routes.action(f"{BASE_PATH}/{{id}}")
def change_group(request: Request, user: User, form: FormData) -> Response:
    """``act`` is save or remove."""
    is_removed = text(form, "act") == "remove"

    def work(session: Session) -> None:
        group = find_record(session, ManagerGroup, request.path_params["id"])
        if is_removed:
            delete_group(session, group)
        else:
            save_group(session, group, parse(GroupChange, {**form, "members": _members(form)}))

    return perform(request, BASE_PATH, work, _("The group is deleted.") if is_removed else _("Saved."))


def _members(form: FormData) -> list[str]:
    return [str(value)[:16] for value in form.getlist("members")]


@routes.action("/settings/shops")
def add_shop(request: Request, user: User, form: FormData) -> Response:
    return perform(request, BASE_PATH, lambda session: save_shop(session, None, parse(NewShop, form)), _("Saved."))


@routes.action("/settings/shops/{id}/removal")
def shop_removal(request: Request, user: User, form: FormData) -> Response:
    def work(session: Session) -> None:
        delete_shop(session, find_record(session, Shop, request.path_params["id"]))

    return perform(request, BASE_PATH, work, _("The shop is removed."))
