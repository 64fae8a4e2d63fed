"""Is it alive, is it ready, how is it doing: for probes and for Prometheus. No page, no sign-in."""

import sqlite3
from ipaddress import ip_address
from pathlib import Path

from sqlalchemy import text as sql
from sqlmodel import Session, col, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pixel.spool import SpoolError, SpoolReader
from tracker.models import ApiToken, Role, User
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import token_digest
from tracker.runtime.processes import is_anybody_working
from tracker.web.http.templating import context_of
from tracker.web.metrics import collect_metrics, edge_figures, prometheus


async def healthz(_request: Request) -> Response:
    """The process lives. Touches nothing, so that a slow database does not get it restarted."""
    return JSONResponse({"status": "ok"})


def readyz(request: Request) -> Response:
    """200 when database, spool and worker are fit for work, else 503; each with what is wrong."""
    context = context_of(request)
    parts = {"database": _database(context), "spool": _spool(context), "worker": _worker(context)}
    problems = {name: problem for name, problem in parts.items() if problem}
    status = {name: problems.get(name, "ok") for name in parts}
    return JSONResponse({"status": "ready" if not problems else "not ready", **status}, 503 if problems else 200)


def metrics(request: Request) -> Response:
    """Prometheus text format 0.0.4; for an administrator's token, or for this machine itself."""
    context = context_of(request)
    if not _may_see(context, request):
        raise HTTPException(403)
    with context.database.reading() as session:
        all_figures = [*collect_metrics(session), *edge_figures(_spool_path(context))]
    return PlainTextResponse(prometheus(all_figures), media_type="text/plain; version=0.0.4")


def _database(context: AppContext) -> str:
    try:
        with context.database.reading() as session:
            session.execute(sql("SELECT 1"))
        return "" if context.database.is_current() else "behind: run inkling migrate"
    except Exception:
        return "does not answer"


def _spool(context: AppContext) -> str:
    """The spool of an edge in the same data folder, if there is one; of other edges the figures tell."""
    path = _spool_path(context)
    if not path.exists():
        return ""
    try:
        with SpoolReader(path) as spool:
            spool.last_id()
    except (OSError, SpoolError, sqlite3.Error):
        return "cannot be read"
    return ""


def _spool_path(context: AppContext) -> Path:
    return context.settings.data_dir / "spool.sqlite3"


def _worker(context: AppContext) -> str:
    try:
        with context.database.reading() as session:
            works = is_anybody_working(session)
    except Exception:
        return "unknown"
    return "" if works else "no heartbeat for three minutes: is a worker running?"


def _may_see(context: AppContext, request: Request) -> bool:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        with context.database.reading() as session:
            return _is_admin_token(session, token.strip())
    address = request.client.host if request.client else None
    # A proxy on this machine that we were not told of also comes from loopback; its visitors do not.
    forwarded = any(name in request.headers for name in ("x-forwarded-for", "forwarded", "x-real-ip"))
    return address is not None and ip_address(address).is_loopback and not forwarded


def _is_admin_token(session: Session, token: str) -> bool:
    found = session.exec(
        select(ApiToken.id)
        .join(User, col(User.id) == ApiToken.user_id)
        .where(ApiToken.token_digest == token_digest(token), col(ApiToken.revoked_at).is_(None))
        .where(User.role == Role.ADMIN, col(User.active).is_(True))
    ).first()
    return found is not None


routes = [
    Route("/healthz", healthz),
    Route("/readyz", readyz),
    Route("/metrics", metrics),
]
