"""Writing calls. A POST with an ``Idempotency-Key`` takes effect once: its answer is kept in the transaction of what it did."""

import hashlib
from collections.abc import Callable
from datetime import timedelta

from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select
from starlette.responses import Response

from tracker.models import IdempotencyKey
from tracker.runtime.database import now
from tracker.web.api.call import RequestContext
from tracker.web.api.errors import Problem

KEPT = timedelta(hours=24)


class _Taken(Exception):
    """The key was used before."""


def idempotent(call: RequestContext, work: Callable[[Session], BaseModel | None], *, status: int = 200) -> Response:
    """Does ``work`` in one transaction and answers with what it returns; with a key that was used, gives the first answer again.

    Raises :class:`Problem` 422 when the key belonged to another request. Errors are not kept: the next try is a new one.
    """
    try:
        with call.writing() as session:
            row = _claim(session, call) if call.key else None
            body = _json(work(session))
            if row is not None:
                row.status, row.body = status, body
    except _Taken:
        return _replay(call)
    return _response(status, body)


def cached_response(call: RequestContext) -> Response | None:
    """The first answer, when this request was already answered: for work that cannot live in a transaction."""
    with call.reading() as session:
        known = call.key is not None and _find(session, call) is not None
    return _replay(call) if known else None


def _claim(session: Session, call: RequestContext) -> IdempotencyKey:
    """Takes the key. On PostgreSQL a twin that is still at work makes us wait here for its end."""
    session.exec(delete(IdempotencyKey).where(col(IdempotencyKey.created_at) < now() - KEPT))
    assert call.key is not None
    row = IdempotencyKey(user_id=call.user.id, key=call.key, path=call.path[:400], request_digest=_digest(call))
    session.add(row)
    try:
        session.flush()
    except IntegrityError:
        raise _Taken from None
    return row


def _digest(call: RequestContext) -> str:
    """Keyed, because a body may hold a password that could be guessed from a plain digest."""
    seen = hashlib.sha256(b"\n".join([call.method.encode(), call.path.encode(errors="replace"), call.body])).hexdigest()
    return call.context.keyring.digest(seen)


def _find(session: Session, call: RequestContext) -> IdempotencyKey | None:
    mine = select(IdempotencyKey).where(IdempotencyKey.user_id == call.user.id, IdempotencyKey.key == call.key)
    return session.exec(mine.where(col(IdempotencyKey.created_at) >= now() - KEPT)).first()


def _replay(call: RequestContext) -> Response:
    with call.reading() as session:
        row = _find(session, call)
    if row is None:
        raise Problem(409, "The same request was just under way and did not end well. Send it again.")
    if row.request_digest != _digest(call):
        text = "“Idempotency-Key” was already used for another request. Take a new one."
        raise Problem(422, text, field="Idempotency-Key", code="reused")
    response = _response(row.status, row.body)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _json(answer: BaseModel | None) -> str:
    return "" if answer is None else answer.model_dump_json(by_alias=True)


def _response(status: int, body: str) -> Response:
    return Response(body, status, media_type="application/json") if body else Response(status_code=status)
