"""Who calls, and with what: made once per request before its body is looked at."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import or_
from sqlmodel import Session, col, select, update

from tracker.db import now
from tracker.house import House
from tracker.models import ApiToken, User
from tracker.secrets import token_digest
from tracker.web.api.errors import Problem

USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Call:
    """One authenticated request. ``token`` is the public id of the API token; ``body`` the raw bytes that came."""

    house: House
    user: User
    token: str
    method: str = "GET"
    path: str = ""
    key: str | None = None
    body: bytes = b""

    @property
    def actor(self) -> str:
        """As the consent ledger names it."""
        return f"api:{self.token}"

    def reading(self) -> AbstractContextManager[Session]:
        return self.house.database.reading()

    def writing(self) -> AbstractContextManager[Session]:
        return self.house.database.session_scope()


async def _present_call(request: Request) -> Call:
    call: Call = request.state.call
    return call


Caller = Annotated[Call, Depends(_present_call)]


def recognise(house: House, authorization: str | None) -> tuple[User, str]:
    """The person behind a bearer token (RFC 6750) and the token's public id. Raises :class:`Problem` 401."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _refused(
            "Say who you are with the header “Authorization: Bearer TOKEN”. Tokens are made in the settings."
        )
    digest = token_digest(token.strip())
    with house.database.reading() as session:
        found = session.exec(
            select(ApiToken, User)
            .join(User)
            .where(ApiToken.token_digest == digest, col(ApiToken.revoked_at).is_(None), col(User.active))
        ).first()
    if found is None:
        raise _refused("This token is not valid: it was revoked, or is not one of ours.", "invalid_token")
    row, user = found
    _note_use(house, row)
    return user, row.public_id


def _refused(detail: str, error: str = "") -> Problem:
    challenge = 'Bearer realm="Inkling"' + (f', error="{error}"' if error else "")
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})


def _note_use(house: House, token: ApiToken) -> None:
    """Remembers when a token was last used, to the minute, so that most requests write nothing."""
    moment = now()
    if token.used_at is not None and token.used_at > moment - USED_EVERY:
        return
    stale = or_(col(ApiToken.used_at).is_(None), col(ApiToken.used_at) <= moment - USED_EVERY)
    with house.database.session_scope() as session:
        session.exec(update(ApiToken).where(col(ApiToken.id) == token.id, stale).values(used_at=moment))
