"""Sign-ins: which person a browser's cookie stands for, and for how long."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, delete, select, update
from starlette.requests import Request
from starlette.responses import Response

from pixel.tokens import SELF_COOKIE
from tracker.engagement.source_digests import network_digest
from tracker.models import User, UserSession
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import new_token, token_digest
from tracker.web.http.flash import cookie_rules

COOKIE = "inkling_session"
"""Over TLS with the prefix of :func:`session_cookie`."""
LIFE = timedelta(days=30)
RENEW_AFTER = timedelta(hours=1)
"""A visit is written down as renewed at most once in this time, so that reading a page is not a write each time."""
SEEN_EVERY = timedelta(minutes=1)
"""So exactly it is known who is signed in just now: new customers are shared out among those."""


_SIGNED_IN = (
    select(User, UserSession)
    .join(UserSession, col(UserSession.user_id) == col(User.id))
    .where(col(UserSession.token_digest) == bindparam("digest"), col(UserSession.expires_at) > bindparam("now"))
    .where(col(User.active).is_(True))
)
"""Made once: every request asks it."""


def session_cookie(context: AppContext) -> str:
    """The cookie's name: where browsers hold it to TLS and this very host, one that no neighbouring host can set (RFC 6265bis)."""
    return f"__Host-{COOKIE}" if context.settings.base_url.startswith("https:") else COOKIE


def session_token_of(context: AppContext, request: Request) -> str:
    """The token that the browser's cookie holds; empty when there is none."""
    return request.cookies.get(session_cookie(context), "")


def current_user(context: AppContext, request: Request) -> User | None:
    """The person signed in on this browser, if the visit has not ended and the person may still come in."""
    token = session_token_of(context, request)
    if not token or len(token) > 100:
        return None
    with context.database.reading() as session:
        row = session.execute(_SIGNED_IN, {"digest": token_digest(token), "now": now()}).first()
    if row is None:
        return None
    user: User
    user, visit = row
    moved = visit.address_digest != _network(context, request)
    request.state.renew = moved or visit.expires_at < now() + LIFE - RENEW_AFTER
    if not request.state.renew and visit.seen_at < now() - SEEN_EVERY:
        _note_seen(context, visit)
    return user


def _note_seen(context: AppContext, user_session: UserSession) -> None:
    stale = (col(UserSession.id) == user_session.id, col(UserSession.seen_at) < now() - SEEN_EVERY)
    with suppress(OperationalError), context.database.session_scope(hurried=True) as session:
        session.exec(update(UserSession).where(*stale).values(seen_at=now()))


def login(context: AppContext, request: Request, response: Response, user: User) -> None:
    """Signs the person in on this browser under a new token; the visit before on the same browser ends."""
    token = new_token()
    with context.database.session_scope() as session:
        _end(session, session_token_of(context, request))
        session.exec(delete(UserSession).where(col(UserSession.expires_at) < now()))
        user_session = UserSession(user_id=user.id, token_digest=token_digest(token), expires_at=now() + LIFE)
        user_session.address_digest = _network(context, request)
        session.add(user_session)
    _set_cookie(context, response, token)
    mark_browser(context, response, user)


def renew_session(context: AppContext, request: Request, response: Response) -> None:
    """Thirty more days from now. While the database is busy the page goes without it, and the next one asks again."""
    try:
        _renew(context, request, response)
    except OperationalError:
        return


def _renew(context: AppContext, request: Request, response: Response) -> None:
    token = session_token_of(context, request)
    with context.database.session_scope(hurried=True) as session:
        user_session = session.exec(select(UserSession).where(UserSession.token_digest == token_digest(token))).first()
        if user_session is None:
            return
        user_session.seen_at, user_session.expires_at, user_session.address_digest = (
            now(),
            now() + LIFE,
            _network(context, request),
        )
    _set_cookie(context, response, token)


def _network(context: AppContext, request: Request) -> str | None:
    """Where the browser is, as a digest: pixels loaded from there are the sender's own."""
    return network_digest(context, request.client.host) if request.client else None


def logout(context: AppContext, request: Request, response: Response) -> None:
    """Signs out on this browser. The sender's own mark stays: it is still the sender's browser."""
    with context.database.session_scope() as session:
        _end(session, session_token_of(context, request))
    response.delete_cookie(session_cookie(context), **cookie_rules(context))


def mark_browser(context: AppContext, response: Response, user: User) -> None:
    """The sender's own mark: lets the edge on the same host know this browser when a pixel is loaded inside some webmail."""
    secure = context.settings.base_url.startswith("https:")
    rules: dict[str, Any] = {**cookie_rules(context), "samesite": "none" if secure else "lax"}
    response.set_cookie(
        SELF_COOKIE, context.tokens.self_mark(user.public_id), max_age=int(LIFE.total_seconds()) * 12, **rules
    )


def _end(session: Session, token: str) -> None:
    if token:
        session.exec(delete(UserSession).where(col(UserSession.token_digest) == token_digest(token)))


def _set_cookie(context: AppContext, response: Response, token: str) -> None:
    response.set_cookie(session_cookie(context), token, max_age=int(LIFE.total_seconds()), **cookie_rules(context))
