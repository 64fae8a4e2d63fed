"""People of the workspace, for its administrators: add, switch off and on, give a new way in."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracker.addresses import AddressError, lookup_form
from tracker.house import House
from tracker.locale import gettext as _
from tracker.models import Role, User
from tracker.secrets import token_digest
from tracker.web.attempts import TooMany, attempt, succeeded
from tracker.web.auth import admin_action, admin_page, public_action, public_page
from tracker.web.forms import Wrong, check_locale, check_name, check_password, secret, text
from tracker.web.page import house, redirect, render
from tracker.web.profile import set_password
from tracker.web.sign_in import waiting_words
from tracker.web.visits import begin_visit, end_all_visits

HERE = "/settings/people"
LINK_LIFE = timedelta(days=3)


@admin_page
def people(request: Request, user: User) -> Response:
    return _page(request, user)


@admin_action
def add(request: Request, user: User, form: FormData) -> Response:
    """A new person without a password, and the one-time link to choose one."""
    values, wrong = {name: text(form, name) for name in ("name", "email", "role", "locale")}, Wrong()
    check_name(values["name"], wrong)
    check_locale(values["locale"], wrong)
    if values["role"] not in set(Role):
        wrong["role"] = _("Choose one of the two.")
    made = _make(house(request), values, wrong)
    if made is None:
        return _page(request, user, wrong, values, status=422)
    return _page(request, user, link_for=made)


@admin_action
def new_link(request: Request, user: User, _form: FormData) -> Response:
    """A one-time link for somebody who forgot. The old password works until the link is used."""
    with house(request).database.reading() as session:
        other = _person(session, request)
    return _page(request, user, link_for=other)


@admin_action
def type_password(request: Request, user: User, form: FormData) -> Response:
    wrong: Wrong = {}
    check_password(secret(form, "password"), wrong)
    if wrong:
        return redirect(HERE, wrong["password"], kind="problem")
    with house(request).database.session_scope() as session:
        other = _person(session, request)
        set_password(session, other, secret(form, "password"))
    return redirect(HERE, _("%(name)s has a new password and is signed out everywhere.") % {"name": other.name})


@admin_action
def disable(request: Request, user: User, _form: FormData) -> Response:
    """Ends every visit; tokens and accounts rest. Nothing of theirs is lost."""
    with house(request).database.session_scope() as session:
        other = _person(session, request)
        if other.id == user.id:
            return redirect(HERE, _("You cannot switch yourself off. Ask another administrator."), kind="problem")
        other.active = False
        session.add(other)
        end_all_visits(session, other)
    return redirect(
        HERE,
        _("%(name)s can no longer come in.") % {"name": other.name},
        action=f"{HERE}/{other.public_id}/return",
        action_label=_("Undo"),
    )


@admin_action
def enable(request: Request, _user: User, _form: FormData) -> Response:
    with house(request).database.session_scope() as session:
        other = _person(session, request)
        other.active = True
        session.add(other)
    return redirect(HERE, _("%(name)s may come in again.") % {"name": other.name})


@admin_action
def change_role(request: Request, user: User, form: FormData) -> Response:
    role = text(form, "role")
    if role not in set(Role):
        raise HTTPException(422)
    with house(request).database.session_scope() as session:
        other = _person(session, request)
        other.role = role
        session.add(other)
        session.flush()
        if _admins(session) == 0:
            session.rollback()
            return redirect(
                HERE, _("A workspace needs an administrator. Make somebody else one first."), kind="problem"
            )
    return redirect(HERE, _("%(name)s has a new role.") % {"name": other.name})


@public_page
def new_password_form(request: Request) -> Response:
    """The link carries its code behind a `#`, which browsers never send: so it is in no log of any server."""
    return render(request, "new_password.html", {"wrong": {}, "code": ""})


@public_action
def new_password(request: Request, form: FormData) -> Response:
    here, code, wrong = house(request), text(form, "code", 4000).rpartition("#")[2], Wrong()
    try:
        attempt(here, request, "new password")
    except TooMany as wait:
        return render(request, "new_password.html", {"wrong": {"code": waiting_words(wait)}, "code": code}, 429)
    check_password(secret(form, "password"), wrong)
    with here.database.session_scope() as session:
        user = person_of_link(here, session, code)
        if user is None:
            wrong["code"] = _("This link has been used or is too old. Ask your administrator for a new one.")
        elif not wrong:
            set_password(session, user, secret(form, "password"))
    if user is not None:
        succeeded(here, request, "new password")
    if wrong or user is None:
        return render(request, "new_password.html", {"wrong": wrong, "code": code}, 422)
    response = redirect("/", _("Welcome! Your password is set."))
    begin_visit(here, request, response, user)
    return response


def link_of(here: House, user: User) -> str:
    """Where a person chooses a password: once, within three days."""
    return f"{here.settings.base_url}/new-password#{_seal(here).dumps([user.public_id, _stamp(user)])}"


def person_of_link(here: House, session: Session, code: str) -> User | None:
    """Whose link this is. It ends with its use, because it names the password it was made to replace."""
    try:
        public_id, stamp = _seal(here).loads(code, max_age=int(LINK_LIFE.total_seconds()))
    except (BadData, ValueError, TypeError):
        return None
    user = session.exec(select(User).where(User.public_id == str(public_id)).with_for_update()).first()
    return user if user is not None and user.active and _stamp(user) == stamp else None


def _stamp(user: User) -> str:
    return token_digest(f"{user.public_id} {user.password_hash}")[:16]


def _seal(here: House) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(list(reversed(here.ring.keys)), salt="inkling.web.new-password")


def _make(here: House, values: dict[str, str], wrong: Wrong) -> User | None:
    try:
        email = lookup_form(values["email"])
    except AddressError:
        wrong["email"] = _("This is not an e-mail address. Write it like anna@example.com.")
    if wrong:
        return None
    try:
        with here.database.session_scope() as session:
            user = User(email=email, name=values["name"], role=values["role"], locale=values["locale"])
            session.add(user)
        return user
    except IntegrityError:
        wrong["email"] = _("Somebody with this address is already here. Look in the list below.")
        return None


def _person(session: Session, request: Request) -> User:
    user = session.exec(select(User).where(User.public_id == request.path_params["id"])).first()
    if user is None:
        raise HTTPException(404)
    return user


def _admins(session: Session) -> int:
    return session.exec(
        select(func.count()).select_from(User).where(User.role == Role.ADMIN, col(User.active).is_(True))
    ).one()


def _people(request: Request) -> Sequence[User]:
    with house(request).database.reading() as session:
        return session.exec(select(User).order_by(col(User.active).desc(), col(User.name), col(User.id))).all()


def _page(
    request: Request,
    user: User,
    wrong: Wrong | None = None,
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
    context["link"] = link_of(house(request), link_for) if link_for else ""
    return render(request, "settings_people.html", context, status)


routes = [
    Route(HERE, people),
    Route(HERE, add, methods=["POST"]),
    Route(f"{HERE}/{{id}}/link", new_link, methods=["POST"]),
    Route(f"{HERE}/{{id}}/password", type_password, methods=["POST"]),
    Route(f"{HERE}/{{id}}/role", change_role, methods=["POST"]),
    Route(f"{HERE}/{{id}}/leave", disable, methods=["POST"]),
    Route(f"{HERE}/{{id}}/return", enable, methods=["POST"]),
    Route("/new-password", new_password_form),
    Route("/new-password", new_password, methods=["POST"]),
]
