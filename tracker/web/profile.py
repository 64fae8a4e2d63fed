"""The profile: how a person is called and spoken to, what new messages start with, and the password."""

from sqlmodel import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracker.attention import next_clock
from tracker.consent import Ceiling, CeilingError, Purpose
from tracker.db import now
from tracker.locale import gettext as _
from tracker.locale import ngettext, said, speaking
from tracker.models import User
from tracker.notify import zone_of
from tracker.secrets import hash_password, password_fits
from tracker.web.attempts import TooMany, attempt, succeeded
from tracker.web.auth import action, page
from tracker.web.forms import Wrong, check_locale, check_name, check_password, check_zone, secret, text, ticked, zones
from tracker.web.page import house, redirect, render
from tracker.web.sign_in import waiting_words
from tracker.web.visits import COOKIE, end_all_visits

HERE = "/settings/profile"
THEMES = ("auto", "light", "dark")
UNDO_SECONDS = (0, 5, 10, 20, 30)


@page
def first_page(_request: Request, _user: User) -> Response:
    return redirect("/mail")


@page
def settings(_request: Request, _user: User) -> Response:
    return redirect(HERE)


@page
def profile(request: Request, user: User) -> Response:
    return _page(request, user, {})


@action
def save(request: Request, user: User, form: FormData) -> Response:
    """All of the profile but the password."""
    zone_before = user.timezone
    _fill(user, form)
    wrong = _wrong(user, form, house(request).ceiling)
    if wrong:
        return _page(request, user, wrong, 422)
    if user.timezone != zone_before and user.digest_hour is not None:
        user.digest_at = next_clock(now(), zone_of(user), user.digest_hour * 60)
    with house(request).database.session_scope() as session:
        session.merge(user)
    with speaking(user.locale):
        return redirect(HERE, _("Your profile is saved."))


@action
def change_password(request: Request, user: User, form: FormData) -> Response:
    """Needs the present password; ends every other visit of this person."""
    here, wrong = house(request), Wrong()
    try:
        attempt(here, request, f"password of {user.public_id}")
    except TooMany as wait:
        return _page(request, user, {"present": waiting_words(wait)}, 429)
    if not password_fits(user.password_hash, secret(form, "present")):
        wrong["present"] = _("This is not your present password.")
    else:
        succeeded(here, request, f"password of {user.public_id}")
    check_password(secret(form, "password"), wrong)
    if wrong:
        return _page(request, user, wrong, 422)
    with here.database.session_scope() as session:
        set_password(session, session.get_one(User, user.id), secret(form, "password"), request.cookies.get(COOKIE))
    return redirect(HERE, _("Your password is changed. You are signed out everywhere else."))


def set_password(session: Session, user: User, password: str, keep_visit: str | None = None) -> None:
    """A new password; whoever was signed in with the old one is signed out."""
    user.password_hash = hash_password(password)
    session.add(user)
    end_all_visits(session, user, keep_visit)


def _page(request: Request, user: User, wrong: Wrong, status: int = 200) -> Response:
    undo = [(str(seconds), _undo_words(seconds)) for seconds in UNDO_SECONDS]
    themes = [("auto", _("As the system")), ("light", _("Light")), ("dark", _("Dark"))]
    context = {"wrong": wrong, "zones": zones(), "undo": undo, "themes": themes, "profile": user}
    return render(request, "settings_profile.html", context, status)


def _undo_words(seconds: int) -> str:
    return ngettext("%(num)d second", "%(num)d seconds", seconds) % {"num": seconds} if seconds else _("No delay")


def _fill(user: User, form: FormData) -> None:
    user.name = text(form, "name")
    user.locale = text(form, "locale")
    user.timezone = text(form, "timezone")
    user.theme = text(form, "theme")
    user.track_opens = ticked(form, "track_opens")
    user.track_links = ticked(form, "track_links")
    user.undo_seconds = int(text(form, "undo_seconds")) if text(form, "undo_seconds").isdigit() else -1


def _wrong(user: User, form: FormData, ceiling: Ceiling) -> Wrong:
    wrong: Wrong = {}
    check_name(user.name, wrong)
    check_locale(user.locale, wrong)
    check_zone(user.timezone, wrong)
    if user.theme not in THEMES:
        wrong["theme"] = _("Choose one of the three.")
    if user.undo_seconds not in UNDO_SECONDS:
        wrong["undo_seconds"] = _("Choose one of the list.")
    for purpose, field in ((Purpose.OPENS, "track_opens"), (Purpose.CLICKS, "track_links")):
        try:
            if ticked(form, field):
                ceiling.check_wish(purpose)
        except CeilingError as error:
            wrong[field] = said(error)
    return wrong


routes = [
    Route("/", first_page),
    Route("/settings", settings),
    Route(HERE, profile),
    Route(HERE, save, methods=["POST"]),
    Route("/settings/password", change_password, methods=["POST"]),
]
