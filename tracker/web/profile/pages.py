"""The profile: how a person is called and spoken to, what new messages start with, and the password."""

from collections.abc import Sequence

from sqlmodel import col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker import users
from tracker.consent.preferences import operator_ceiling, preference
from tracker.locale import _, localize, ngettext, use_locale
from tracker.models import ApiToken, User
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.users import UNDO_SECONDS, ProfileChange
from tracker.web.http.actions import answering, changing, perform_on
from tracker.web.http.forms import FormErrors, ends_tokens, errors_of, is_checked, parse, secret, text, zones
from tracker.web.http.routes import Routes
from tracker.web.http.sessions import session_token_of
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.http.throttle import count_attempt, forget_attempts

routes = Routes()
BASE_PATH = "/settings/profile"
TRACK = ("track_opens", "track_links")


@routes.page("/settings")
def settings(_request: Request, _user: User) -> Response:
    return redirect(BASE_PATH)


@routes.page(BASE_PATH)
def profile(request: Request, user: User) -> Response:
    return _page(request, user, {})


@routes.action(BASE_PATH)
def save(request: Request, user: User, form: FormData) -> Response:
    """All of the profile but the password."""
    context = context_of(request)
    boxes = (*TRACK, "in_team_totals") if _has_team_totals(request) else TRACK
    try:
        change = parse(
            ProfileChange, form, boxes=boxes, sentences={"undo_seconds": LocalizedText("Choose one of the list.")}
        )
        with context.database.session_scope() as session:
            users.change_profile(session, session.get_one(User, user.id), change, operator_ceiling(context))
    except ActionError as error:
        for name in ("name", "locale", "timezone", "theme", "editor"):
            setattr(user, name, text(form, name))
        for name in boxes:
            setattr(user, name, is_checked(form, name))
        return _page(request, user, errors_of(error), 422)
    with use_locale(change.locale):
        return redirect(BASE_PATH, _("Your profile is saved."))


@routes.action("/settings/password")
def change_password(request: Request, user: User, form: FormData) -> Response:
    """Needs the present password; ends every other session of this person."""
    context, target, wrong = context_of(request), f"password of {user.public_id}", FormErrors()
    with answering(lambda error: _page(request, user, {"present": localize(error)}, 429)):
        count_attempt(context, target)
    try:
        with context.database.session_scope() as session:
            person = session.get_one(User, user.id)
            this_one = session_token_of(context, request)
            present, password = secret(form, "present"), secret(form, "password")
            users.change_password(session, person, present, password, this_one, revoke_tokens=ends_tokens(form))
    except ActionError as error:
        wrong = errors_of(error)
    if "present" not in wrong:
        forget_attempts(context, target)
    if wrong:
        return _page(request, user, wrong, 422)
    if ends_tokens(form):
        return redirect(
            BASE_PATH, _("Your password is changed. You are signed out everywhere else, and API tokens are revoked.")
        )
    return redirect(BASE_PATH, _("Your password is changed. You are signed out everywhere else."))


def _page(request: Request, user: User, wrong: FormErrors, status: int = 200) -> Response:
    undo = [(str(seconds), _undo_words(seconds)) for seconds in UNDO_SECONDS]
    themes = [("auto", _("As the system")), ("light", _("Light")), ("dark", _("Dark"))]
    editors = [("rich", _("With formatting")), ("plain", _("Plain text"))]
    context = {"wrong": wrong, "zones": zones(), "undo": undo, "themes": themes, "editors": editors, "profile": user}
    context["has_team_totals"] = _has_team_totals(request)
    return render(request, "profile/settings_profile.html", context, status)


def _has_team_totals(request: Request) -> bool:
    with context_of(request).database.reading() as session:
        return bool(preference(session, "team_totals"))


def _undo_words(seconds: int) -> str:
    return ngettext("%(num)d second", "%(num)d seconds", seconds) if seconds else _("No delay")


TOKENS = "/settings/tokens"


@routes.page(TOKENS)
def tokens(request: Request, user: User) -> Response:
    return _tokens_page(request, user)


@routes.action(TOKENS)
def add_token(request: Request, user: User, form: FormData) -> Response:
    """Makes a token and shows it on the very page that answers: nowhere else, never again."""
    with changing(request, lambda error: _tokens_page(request, user, errors_of(error), status=422)) as session:
        row, token = users.add_token(session, user, text(form, "name"))
    return _tokens_page(request, user, made=token, made_name=row.name)


@routes.action(f"{TOKENS}/{{id}}/revocation")
def revoke(request: Request, user: User, _form: FormData) -> Response:
    return perform_on(request, user, ApiToken, TOKENS, users.revoke_token, _("The token “%(name)s” no longer works."))


def _tokens_page(
    request: Request,
    user: User,
    wrong: FormErrors | None = None,
    made: str = "",
    made_name: str = "",
    status: int = 200,
) -> Response:
    context = {"tokens": _tokens(request, user), "wrong": wrong or {}, "made": made, "made_name": made_name}
    context["base_url"] = context_of(request).settings.base_url
    return render(request, "profile/settings_tokens.html", context, status)


def _tokens(request: Request, user: User) -> Sequence[ApiToken]:
    with context_of(request).database.reading() as session:
        mine = select(ApiToken).where(ApiToken.user_id == user.id, col(ApiToken.revoked_at).is_(None))
        return session.exec(mine.order_by(col(ApiToken.id).desc())).all()
