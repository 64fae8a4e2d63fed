"""Who calls, and with what."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from tracker.models import ApiToken, User
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import token_digest
from tracker.users import note_token_use
from tracker.web.api.errors import Problem

MAX_KEY = 255


@dataclass(frozen=True)
class RequestContext:
    """One authenticated request. ``token`` is the public id of the API token; ``body`` the raw bytes that came."""

    context: AppContext
    user: User
    token: str
    method: str
    path: str
    key: str | None
    body: bytes

    @property
    def actor(self) -> str:
        """As the consent ledger names it."""
        return f"api:{self.token}"

    def reading(self) -> AbstractContextManager[Session]:
        return self.context.database.reading()

    def writing(self) -> AbstractContextManager[Session]:
        return self.context.database.session_scope()


async def _present_request(request: Request) -> RequestContext:
    """Raises :class:`Problem` 415, or 422 for an Idempotency-Key that can be none."""
    user, token = request.state.caller
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    body = await request.body()
    if body and not _is_taken(request.headers.get("content-type", ""), path):
        raise Problem(415, "Send the body as JSON with the header “Content-Type: application/json”.")
    return RequestContext(request.app.state.context, user, token, request.method, path, _key(request), body)


Caller = Annotated[RequestContext, Depends(_present_request)]


def _is_taken(content_type: str, path: str) -> bool:
    """JSON, and where a file is imported also CSV."""
    return _is_json(content_type) or (path.endswith("/import") and content_type.lower().startswith("text/csv"))


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        text = f"“Idempotency-Key” must have 1 to {MAX_KEY} printable ASCII characters."
        raise Problem(422, text, field="Idempotency-Key")
    return key


def authenticate(context: AppContext, authorization: str | None) -> tuple[User, str]:
    """The person behind a bearer token (RFC 6750) and the token's public id. Raises :class:`Problem` 401."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _refused(
            "Say who you are with the header “Authorization: Bearer TOKEN”. Tokens are made in the settings."
        )
    token_row = _valid(context, ApiToken.token_digest == token_digest(token.strip()))
    if token_row is None:
        raise _refused("This token is not valid: it was revoked, or is not one of ours.", "invalid_token")
    row, user = token_row
    note_token_use(context, row)
    return user, row.public_id


def still_holds(context: AppContext, token: str) -> bool:
    """Whether the token of this public id opens anything yet."""
    return _valid(context, ApiToken.public_id == token) is not None


def _valid(context: AppContext, which: ColumnElement[bool] | bool) -> tuple[ApiToken, User] | None:
    valid = select(ApiToken, User).join(User).where(col(ApiToken.revoked_at).is_(None), col(User.active))
    with context.database.reading() as session:
        return session.exec(valid.where(which)).first()


def _refused(detail: str, error: str = "") -> Problem:
    challenge = 'Bearer realm="Inkling"' + (f', error="{error}"' if error else "")
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})
