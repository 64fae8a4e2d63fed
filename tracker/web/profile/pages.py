"""The profile: how a person is called and spoken to, what new messages start with, and the password."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker import users
from tracker.consent.preferences import operator_ceiling
from tracker.locale import _, localize, ngettext, use_locale
from tracker.models import User
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.users import UNDO_SECONDS, ProfileChange
from tracker.web.http.forms import FormErrors, ends_tokens, errors_of, is_checked, parse, secret, text, zones
from tracker.web.http.routes import Routes
from tracker.web.http.sessions import session_token_of
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.http.throttle import count_attempt, forget_attempts

routes = Routes()
BASE_PATH = "/settings/profile"
TRACK = ("track_opens", "track_links")


@routes.page("/")
def first_page(_request: Request, _user: User) -> Response:
    return redirect("/mail")


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
    try:
        change = parse(
            ProfileChange, form, boxes=TRACK, sentences={"undo_seconds": LocalizedText("Choose one of the list.")}
        )
        with context.database.session_scope() as session:
            users.change_profile(session, session.get_one(User, user.id), change, operator_ceiling(context))
    except ActionError as error:
        for name in ("name", "locale", "timezone", "theme"):
            setattr(user, name, text(form, name))
        for name in TRACK:
            setattr(user, name, is_checked(form, name))
        return _page(request, user, errors_of(error), 422)
    with use_locale(change.locale):
        return redirect(BASE_PATH, _("Your profile is saved."))


@routes.action("/settings/password")
def change_password(request: Request, user: User, form: FormData) -> Response:
    """Needs the present password; ends every other session of this person."""
    context, target, wrong = context_of(request), f"password of {user.public_id}", FormErrors()
    try:
        count_attempt(context, target)
    except ActionError as error:
        return _page(request, user, {"present": localize(error)}, 429)
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
    context = {"wrong": wrong, "zones": zones(), "undo": undo, "themes": themes, "profile": user}
    return render(request, "settings_profile.html", context, status)


def _undo_words(seconds: int) -> str:
    return ngettext("%(num)d second", "%(num)d seconds", seconds) if seconds else _("No delay")
