"""The first start: while there is nobody, a one-time code makes the first person and chooses the consent policy."""

import hmac
from collections.abc import Mapping
from types import MappingProxyType

from sqlmodel import select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker import users
from tracker.consent.notice import name_company
from tracker.consent.preferences import (
    MAX_REASON,
    operator_ceiling,
    policy_problems,
    preference,
    set_policy,
    set_preference,
)
from tracker.consent.rules import Ceiling, Pack
from tracker.locale import _, language, localize
from tracker.models import Preference, Role, User
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import new_code
from tracker.web.http.forms import FormErrors, secret, text, zones
from tracker.web.http.routes import Routes, has_people
from tracker.web.http.sessions import login
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.http.typed_secrets import typed_secrets, with_typed_secrets
from tracker.web.workspace.policy_page import policy_options

routes = Routes()
FIELDS = ("code", "name", "email", "locale", "timezone", "company", "policy", "reason")


def make_setup_code(context: AppContext) -> str | None:
    """A new one-time code to print at start, of which the database keeps a digest; None once somebody is there."""
    with context.database.session_scope() as session:
        if session.exec(select(User.id).limit(1)).first() is not None:
            return None
        code = new_code()
        set_preference(session, "setup_code_digest", context.keyring.digest(_plain(code)))
    return code


@routes.public_page("/set-up")
def form(request: Request) -> Response:
    if has_people(request):
        return redirect("/sign-in")
    values = {**dict.fromkeys(FIELDS, ""), "locale": language(), "timezone": "UTC", "policy": Pack.STRICT.value}
    values["code"] = request.query_params.get("code", "")[:40]
    return _page(request, values, {})


@routes.public_action("/set-up")
def set_up(request: Request, form: FormData) -> Response:
    context = context_of(request)
    if has_people(request):
        return redirect("/sign-in")
    form = with_typed_secrets(context, form, ("password",), "")
    values = {name: text(form, name) for name in FIELDS} | {"reason": text(form, "reason", MAX_REASON + 1)}
    password = secret(form, "password")
    wrong = _wrong(values, password, operator_ceiling(context_of(request)))
    if not _code_fits(context, values["code"]):
        wrong["code"] = _(
            "This code is not right. It was printed where Inkling was started; a restart prints a new one."
        )
    user = None if wrong else _first_person(context, values, password)
    if user is None:
        return _page(request, values, wrong, 422, typed_secrets(context, form, ("password",), "", wrong))
    response = redirect("/today", _("Welcome! Connect your e-mail, and you are ready."))
    login(context, request, response, user)
    return response


def _page(
    request: Request,
    values: dict[str, str],
    wrong: FormErrors,
    status: int = 200,
    passwords: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    context = {
        "values": values,
        "wrong": wrong,
        "zones": zones(),
        "policies": policy_options(),
        "typed_secrets": passwords,
    }
    return render(request, "workspace/set_up.html", context, status)


def _wrong(values: dict[str, str], password: str, ceiling: Ceiling) -> FormErrors:
    problems = users.wrong_fields({**values, "password": password})
    problems |= policy_problems(values["policy"], values["reason"], ceiling)
    return {field: localize(sentence) for field, sentence in problems.items()}


def _code_fits(context: AppContext, code: str) -> bool:
    with context.database.reading() as session:
        digest = preference(session, "setup_code_digest")
    return digest is not None and hmac.compare_digest(digest, context.keyring.digest(_plain(code)))


def _first_person(context: AppContext, values: dict[str, str], password: str) -> User | None:
    """The first administrator; None when somebody else was quicker with the same code."""
    with context.database.session_scope() as session:
        code = session.exec(select(Preference).where(Preference.name == "setup_code_digest").with_for_update()).first()
        if code is None or code.value is None:
            return None
        facts = {name: values[name] for name in ("email", "name", "locale", "timezone")}
        user = users.add(session, **facts, role=Role.ADMIN, password=password)
        set_preference(session, "setup_code_digest", None, user.id)
        if values["company"]:
            name_company(session, values["company"][:300], user.id)
        set_policy(session, values["policy"], values["reason"], user.id, ceiling=operator_ceiling(context))
    return user


def _plain(code: str) -> str:
    """As people type it: small letters, spaces and missing dashes do no harm."""
    return "".join(c for c in code.upper() if c.isalnum())
