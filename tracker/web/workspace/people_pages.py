"""People of the workspace, for its administrators: add, switch off and on, give a new way in."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker import users
from tracker.locale import _
from tracker.models import Role, User
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import token_digest
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.web.http.actions import changing, perform
from tracker.web.http.forms import FormErrors, ends_tokens, errors_of, secret, text
from tracker.web.http.routes import Routes
from tracker.web.http.sessions import login
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
BASE_PATH = "/settings/people"
LINK_LIFE = timedelta(days=3)


@routes.admin_page(BASE_PATH)
def people(request: Request, user: User) -> Response:
    return _page(request, user)


@routes.admin_action(BASE_PATH)
def add(request: Request, user: User, form: FormData) -> Response:
    """A new person without a password, and the one-time link to choose one."""
    values = {name: text(form, name) for name in ("name", "email", "role", "locale")}
    with changing(request, lambda error: _page(request, user, errors_of(error), values, status=422)) as session:
        made = users.add(session, **values)
    return _page(request, user, link_for=made)


@routes.admin_action(f"{BASE_PATH}/{{id}}/link")
def new_link(request: Request, user: User, _form: FormData) -> Response:
    """A one-time link for somebody who forgot. The old password works until the link is used."""
    with context_of(request).database.reading() as session:
        other = users.find(session, request.path_params["id"])
    return _page(request, user, link_for=other)


@routes.admin_action(f"{BASE_PATH}/{{id}}/password")
def type_password(request: Request, user: User, form: FormData) -> Response:
    revoke = ends_tokens(form)
    done = _("%(name)s has a new password and is signed out everywhere.")
    if revoke:
        done = _("%(name)s has a new password and is signed out everywhere; their API tokens are revoked.")

    def change(session: Session, other: User) -> None:
        users.set_password(session, other, secret(form, "password"), revoke_tokens=revoke)

    return _change(request, change, done)


@routes.admin_action(f"{BASE_PATH}/{{id}}/leave")
def disable(request: Request, user: User, _form: FormData) -> Response:
    undo = {"action": f"{BASE_PATH}/{request.path_params['id']}/return", "action_label": _("Undo")}
    done = _("%(name)s can no longer sign in, and their API tokens are revoked.")
    return _change(request, lambda session, other: users.disable(session, other, by=user), done, **undo)


@routes.admin_action(f"{BASE_PATH}/{{id}}/return")
def enable(request: Request, _user: User, _form: FormData) -> Response:
    return _change(request, users.enable, _("%(name)s may sign in again."))


@routes.admin_action(f"{BASE_PATH}/{{id}}/role")
def change_role(request: Request, user: User, form: FormData) -> Response:
    role = text(form, "role")
    return _change(
        request, lambda session, other: users.change_role(session, other, role), _("%(name)s has a new role.")
    )


def _change(request: Request, change: Callable[[Session, User], None], done: str, **undo: str) -> Response:
    """Changes the person of the address and says so, or why not."""

    def work(session: Session) -> User:
        other = users.find(session, request.path_params["id"])
        change(session, other)
        return other

    return perform(request, BASE_PATH, work, done, **undo)


@routes.public_page("/new-password")
def new_password_form(request: Request) -> Response:
    """The link carries its code behind a `#`, which browsers never send: so it is in no log of any server."""
    return render(request, "workspace/new_password.html", {"wrong": {}, "code": ""})


@routes.public_action("/new-password")
def new_password(request: Request, form: FormData) -> Response:
    context, code, wrong = context_of(request), text(form, "code", 4000).rpartition("#")[2], FormErrors()
    user = None
    try:
        with context.database.session_scope() as session:
            user = person_of_link(context, session, code)
            users.set_password(session, user, secret(form, "password"), revoke_tokens=ends_tokens(form))
    except ActionError as error:
        wrong = errors_of(error)
    if wrong or user is None:
        return render(request, "workspace/new_password.html", {"wrong": wrong, "code": code}, 422)
    response = redirect("/", _("Welcome! Your password is set."))
    login(context, request, response, user)
    return response


def link_of(context: AppContext, user: User) -> str:
    """Where a person chooses a password: once, within three days."""
    return f"{context.settings.base_url}/new-password#{_seal(context).dumps([user.public_id, _stamp(user)])}"


def person_of_link(context: AppContext, session: Session, code: str) -> User:
    """Whose link this is. It ends with its use, because it names the password it was made to replace."""
    ended = LocalizedText("This link has been used or is too old. Ask your administrator for a new one.")
    try:
        public_id, stamp = _seal(context).loads(code, max_age=int(LINK_LIFE.total_seconds()))
    except (BadData, ValueError, TypeError):
        raise ActionError("invalid", ended, "code") from None
    user = session.exec(select(User).where(User.public_id == str(public_id)).with_for_update()).first()
    if user is None or not user.active or _stamp(user) != stamp:
        raise ActionError("invalid", ended, "code")
    return user


def _stamp(user: User) -> str:
    return token_digest(f"{user.public_id} {user.password_hash}")[:16]


def _seal(context: AppContext) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(list(reversed(context.keyring.keys)), salt="inkling.web.new-password")


def _people(request: Request) -> Sequence[User]:
    with context_of(request).database.reading() as session:
        return session.exec(select(User).order_by(col(User.active).desc(), col(User.name), col(User.id))).all()


def _page(
    request: Request,
    user: User,
    wrong: FormErrors | None = None,
    values: dict[str, str] | None = None,
    link_for: User | None = None,
    status: int = 200,
) -> Response:
    roles = [(Role.MEMBER.value, _("Member")), (Role.ADMIN.value, _("Administrator"))]
    empty = {"name": "", "email": "", "role": Role.MEMBER.value, "locale": user.locale}
    context: dict[str, Any] = {
        "people": _people(request),
        "roles": roles,
        "wrong": wrong or {},
        "values": values or empty,
        "link_for": link_for,
    }
    context["link"] = link_of(context_of(request), link_for) if link_for else ""
    return render(request, "workspace/settings_people.html", context, status)
