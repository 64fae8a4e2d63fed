"""API tokens: shown once, kept as digests, revoked for good."""

from collections.abc import Sequence

from sqlmodel import col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker import users
from tracker.locale import _
from tracker.models import ApiToken, User
from tracker.models.ownership import owned
from tracker.runtime.localized_text import ActionError
from tracker.web.http.forms import FormErrors, errors_of, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
BASE_PATH = "/settings/tokens"


@routes.page(BASE_PATH)
def tokens(request: Request, user: User) -> Response:
    return _page(request, user)


@routes.action(BASE_PATH)
def add(request: Request, user: User, form: FormData) -> Response:
    """Makes a token and shows it on the very page that answers: nowhere else, never again."""
    try:
        with context_of(request).database.session_scope() as session:
            row, token = users.add_token(session, user, text(form, "name"))
    except ActionError as error:
        return _page(request, user, errors_of(error), status=422)
    return _page(request, user, made=token, made_name=row.name)


@routes.action(f"{BASE_PATH}/{{id}}/revocation")
def revoke(request: Request, user: User, _form: FormData) -> Response:
    with context_of(request).database.session_scope() as session:
        token = owned(session, ApiToken, user, request.path_params["id"])
        users.revoke_token(session, token)
    return redirect(BASE_PATH, _("The token “%(name)s” no longer works.", name=token.name))


def _page(
    request: Request,
    user: User,
    wrong: FormErrors | None = None,
    made: str = "",
    made_name: str = "",
    status: int = 200,
) -> Response:
    context = {"tokens": _tokens(request, user), "wrong": wrong or {}, "made": made, "made_name": made_name}
    context["base_url"] = context_of(request).settings.base_url
    return render(request, "settings_tokens.html", context, status)


def _tokens(request: Request, user: User) -> Sequence[ApiToken]:
    with context_of(request).database.reading() as session:
        mine = select(ApiToken).where(ApiToken.user_id == user.id, col(ApiToken.revoked_at).is_(None))
        return session.exec(mine.order_by(col(ApiToken.id).desc())).all()
