"""People who sell: who may come in, how each is called, and their API tokens. What holds of them is decided here, whoever asks.

Actions raise :class:`tracker.runtime.localized_text.ActionError`.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import ColumnElement, or_
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session, col, delete, func, select, update

from tracker.consent.rules import Ceiling, CeilingError, Purpose
from tracker.locale import LANGUAGES, N_
from tracker.mail.addresses import AddressError, lookup_form
from tracker.mail.fields import RequestModel, SingleLine, line_problem
from tracker.models import ApiToken, Delivery, DeliveryStatus, Message, Role, User, UserSession
from tracker.models.ownership import is_public_id
from tracker.notifications.notify import notify, zone_of
from tracker.notifications.rules import next_clock
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import hash_password, new_token, password_fits, token_digest
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.runtime.password_rules import wrong_password

USE_NOTED_EVERY = timedelta(minutes=1)
MAX_NAME = 200
MAX_TOKEN_NAME = 100
THEMES = ("auto", "light", "dark")
EDITORS = ("rich", "plain")
STATUSES = ("free", "busy", "lunch", "break")
UNDO_SECONDS = (0, 5, 10, 20, 30)
_MEASURED = {"track_opens": Purpose.OPENS, "track_links": Purpose.CLICKS}


def wrong_fields(values: Mapping[str, Any], user: User | None = None) -> dict[str, str]:
    """What is wrong with those of a person's values that are named here, by field, as sentences."""
    sentences = {field: _RULES[field](value) for field, value in values.items() if field in _RULES}
    if "password" in values:
        own = (user.email, user.name) if user is not None else (values.get("email", ""), values.get("name", ""))
        sentences["password"] = wrong_password(values["password"], own)
    return {field: sentence for field, sentence in sentences.items() if sentence is not None}


def add(session: Session, *, email: str, name: str, password: str | None = None, **facts: Any) -> User:
    """A new person; ``facts`` are role, locale and time zone. Who has no password yet chooses one by a one-time link."""
    values: dict[str, Any] = {"email": email, "name": name.strip(), **facts}
    _refuse(wrong_fields(values if password is None else {**values, "password": password}))
    user = User(**{**values, "email": lookup_form(email)})
    user.password_hash = None if password is None else hash_password(password)
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError:
        raise ActionError("invalid", LocalizedText("Somebody with this address is already here."), "email") from None
    return user


def find(session: Session, public_id: str) -> User:
    user = session.exec(select(User).where(User.public_id == public_id)).first() if is_public_id(public_id) else None
    if user is None:
        raise ActionError("not_found", LocalizedText("There is no such person."))
    return user


def find_by_email(session: Session, email: str) -> User | None:
    try:
        return session.exec(select(User).where(User.email == lookup_form(email))).first()
    except AddressError:
        return None


def disable(session: Session, user: User, by: User | None = None) -> None:
    """Ends every session and token at once. Mail and tracking data stay theirs; what still waits to be sent in their name is held,
    and administrators are told. ``by`` is None for the operator."""
    if by is not None and by.id == user.id:
        raise ActionError("conflict", LocalizedText("You cannot switch yourself off. Ask another administrator."))
    _keep_an_administrator(session, user)
    user.active = False
    session.add(user)
    end_sessions(session, user)
    _end_tokens(session, user)
    _hold_mail(session, user)


def enable(session: Session, user: User) -> None:
    """Lets them in again; mail that was held goes on, at its time or at once."""
    user.active = True
    session.add(user)
    its_time = select(Message.send_at).where(Message.id == col(Delivery.message_id)).scalar_subquery()
    held = _waiting_mail(user) & col(Delivery.next_try_at).is_(None)
    session.exec(update(Delivery).where(held).values(next_try_at=func.coalesce(its_time, now())))


def _hold_mail(session: Session, user: User) -> None:
    """No time for the next try: nobody takes it."""
    count = select(func.count(func.distinct(Delivery.message_id))).where(_waiting_mail(user))
    if not (waiting := session.exec(count).one()):
        return
    session.exec(update(Delivery).where(_waiting_mail(user)).values(next_try_at=None))
    detail = LocalizedText(
        "%(name)s is switched off. Messages held that were still to be sent in this name: %(num)s. They leave when %(name)s is "
        "switched on again.",
        name=user.name or user.email,
        num=waiting,
    )
    for admin in session.exec(select(User.id).where(User.role == Role.ADMIN, col(User.active))):
        notify(session, admin, f"held:{user.id}", "problem", now(), detail=detail)


def _waiting_mail(user: User) -> ColumnElement[bool]:
    theirs = select(Message.id).where(Message.user_id == user.id)
    waits = col(Delivery.status).in_((DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED))
    return waits & col(Delivery.message_id).in_(theirs)


def change_role(session: Session, user: User, role: str) -> None:
    _refuse(wrong_fields({"role": role}))
    if role != Role.ADMIN:
        _keep_an_administrator(session, user)
    user.role = role
    session.add(user)


def _keep_an_administrator(session: Session, user: User) -> None:
    """Refuses to take away the last one. The rows are held, so that two cannot go at the same moment."""
    active = select(User.id).where(User.role == Role.ADMIN, col(User.active)).order_by(col(User.id))
    if list(session.exec(active.with_for_update())) == [user.id]:
        raise ActionError(
            "conflict", LocalizedText("A workspace needs an administrator. Make somebody else one first.")
        )


def set_password(
    session: Session, user: User, password: str, keep_session: str | None = None, *, revoke_tokens: bool = True
) -> None:
    """A new password; whoever signed in with the old one is signed out, but for the session with this token, and API tokens end
    unless they are to be kept."""
    _refuse(wrong_fields({"password": password}, user))
    user.password_hash = hash_password(password)
    session.add(user)
    end_sessions(session, user, keep_session)
    if revoke_tokens:
        _end_tokens(session, user)


def change_password(
    session: Session, user: User, present: str, password: str, keep_session: str | None, *, revoke_tokens: bool = True
) -> None:
    """The same by the person themselves, who has to know the present one."""
    wrong = wrong_fields({"password": password}, user)
    if not password_fits(user.password_hash, present):
        wrong["present"] = LocalizedText("This is not your present password.")
    _refuse(wrong)
    set_password(session, user, password, keep_session, revoke_tokens=revoke_tokens)


def _end_tokens(session: Session, user: User) -> None:
    valid = (col(ApiToken.user_id) == user.id) & col(ApiToken.revoked_at).is_(None)
    session.exec(update(ApiToken).where(valid).values(revoked_at=now()))


def end_sessions(session: Session, user: User, keep_session: str | None = None) -> None:
    """Signs the person out everywhere (else)."""
    others = delete(UserSession).where(col(UserSession.user_id) == user.id)
    if keep_session:
        others = others.where(col(UserSession.token_digest) != token_digest(keep_session))
    session.exec(others)


class ProfileChange(RequestModel):
    """How a person is called and spoken to, and what new messages start with. What is left out stays."""

    name: SingleLine = ""
    locale: str = ""
    timezone: str = ""
    theme: str = ""
    editor: str = ""
    status: str = ""
    track_opens: bool = True
    track_links: bool = True
    undo_seconds: int = 0
    in_team_totals: bool = False


def change_profile(session: Session, user: User, change: ProfileChange, ceiling: Ceiling) -> None:
    """Changes what is set. What is due by the clock moves with the time zone."""
    changes = change.model_dump(exclude_unset=True)
    _refuse(wrong_fields(changes))
    _refuse(_above_ceiling(changes, ceiling), "above_ceiling")
    zone_before = user.timezone
    for name, value in changes.items():
        setattr(user, name, value)
    if user.timezone != zone_before and user.digest_hour is not None:
        user.digest_at = next_clock(now(), zone_of(user), user.digest_hour * 60)
    session.add(user)


def take_first_zone(session: Session, user: User, zone: str) -> None:
    """The browser's zone, at the first sign-in of somebody who was given none: times are theirs without a look at the settings."""
    if user.timezone != "UTC" or zone == "UTC" or _RULES["timezone"](zone) is not None:
        return
    if session.exec(select(UserSession.id).where(UserSession.user_id == user.id).limit(1)).first() is None:
        session.get_one(User, user.id).timezone = zone


def _above_ceiling(changes: Mapping[str, Any], ceiling: Ceiling) -> dict[str, str]:
    wrong = {}
    for field, purpose in _MEASURED.items():
        try:
            if changes.get(field):
                ceiling.check_wish(purpose)
        except CeilingError as error:
            wrong[field] = error.sentence
    return wrong


def add_token(session: Session, user: User, name: str) -> tuple[ApiToken, str]:
    """A new API token and what to show of it once: the token itself is not kept."""
    if not user.active:
        sentence = LocalizedText("%(email)s is disabled; a token would open nothing.", email=user.email)
        raise ActionError("conflict", sentence)
    if wrong := line_problem(
        name, MAX_TOKEN_NAME, N_("The name is missing. Call it after the program that will use it.")
    ):
        raise ActionError("invalid", wrong, "name")
    token = new_token()
    row = ApiToken(user_id=user.id, name=name.strip(), token_digest=token_digest(token))
    session.add(row)
    return row, token


def note_token_use(context: AppContext, token: ApiToken) -> None:
    """Remembers when a token was last used, to the minute, so that most uses write nothing; not while the database is busy."""
    moment = now()
    if token.used_at is not None and token.used_at > moment - USE_NOTED_EVERY:
        return
    stale = or_(col(ApiToken.used_at).is_(None), col(ApiToken.used_at) <= moment - USE_NOTED_EVERY)
    with suppress(OperationalError), context.database.session_scope(hurried=True) as session:
        session.exec(update(ApiToken).where(col(ApiToken.id) == token.id, stale).values(used_at=moment))


def revoke_token(session: Session, token: ApiToken) -> None:
    """Ends it for good; once more is nothing."""
    token.revoked_at = token.revoked_at or now()
    session.add(token)


def _refuse(wrong: Mapping[str, str], detail_code: str = "invalid") -> None:
    if wrong:
        error = ActionError.of_fields(wrong)
        error.detail_code = detail_code
        raise error


@cache
def zone_names() -> frozenset[str]:
    """Reading the list takes milliseconds, and it does not change while we run."""
    return frozenset(available_timezones())


def _wrong_email(email: str) -> LocalizedText | None:
    try:
        lookup_form(email)
    except AddressError:
        return LocalizedText("This is not an e-mail address. Write it like anna@example.com.")
    return None


def _wrong_name(name: str) -> LocalizedText | None:
    return line_problem(name, MAX_NAME, N_("The name is missing. Recipients and colleagues see it."))


def _one_of(values: Any, sentence: str) -> Callable[[Any], LocalizedText | None]:
    return lambda value: None if value in values else LocalizedText(sentence)


_RULES: Mapping[str, Callable[[Any], LocalizedText | None]] = {
    "email": _wrong_email,
    "name": _wrong_name,
    "role": _one_of(set(Role), N_("Choose one of the two.")),
    "locale": _one_of(LANGUAGES, N_("This language is not there. Choose one of the list.")),
    "timezone": lambda zone: _one_of(
        zone_names(), N_("This time zone is not known. Choose one of the list, such as Europe/Berlin.")
    )(zone),
    "theme": _one_of(THEMES, N_("Choose one of the three.")),
    "editor": _one_of(EDITORS, N_("Choose one of the two.")),
    "status": _one_of(STATUSES, N_("Choose one of the list.")),
    "undo_seconds": _one_of(UNDO_SECONDS, N_("Choose one of the list.")),
}
