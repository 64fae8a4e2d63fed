"""Is it alive, is it ready, how is it doing: for probes and for Prometheus. No page, no sign-in."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from pathlib import Path

from sqlmodel import Session, col, func, select
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pixel.spool import SpoolError, SpoolReader, spool_paths
from tracker.models import (
    ApiToken,
    Delivery,
    DrainCursor,
    Event,
    Mailbox,
    MailboxState,
    Message,
    Role,
    User,
    UserSession,
)
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import token_digest
from tracker.runtime.processes import Process
from tracker.web.http.templating import context_of
from tracker.web.readiness import readiness


async def healthz(_request: Request) -> Response:
    """The process lives. Touches nothing, so that a slow database does not get it restarted."""
    return JSONResponse({"status": "ok"})


def readyz(request: Request) -> Response:
    """200 when everything is fit for work, else 503; each part with what is wrong."""
    parts = readiness(context_of(request))
    is_ready = not any(parts.values())
    said = {name: problem or "ok" for name, problem in parts.items()}
    return JSONResponse({"status": "ready" if is_ready else "not ready", **said}, 200 if is_ready else 503)


def metrics(request: Request) -> Response:
    """Prometheus text format 0.0.4; for an administrator's token, or for this machine itself."""
    context = context_of(request)
    if not _may_see(context, request):
        raise HTTPException(403)
    with context.database.reading() as session:
        all_figures = [*collect_metrics(session), *edge_figures(context.settings.data_dir)]
    return PlainTextResponse(prometheus(all_figures), media_type="text/plain; version=0.0.4")


def _may_see(context: AppContext, request: Request) -> bool:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        with context.database.reading() as session:
            return _is_admin_token(session, token.strip())
    address = request.client.host if request.client else None
    # A proxy on this machine that we were not told of also comes from loopback; its visitors do not, and ask for a public name.
    forwarded = any(name in _OF_PROXIES or name.startswith("x-forwarded-") for name in request.headers)
    is_local_name = _LOCAL_NAME.fullmatch(request.headers.get("host", "")) is not None
    return address is not None and ip_address(address).is_loopback and is_local_name and not forwarded


_LOCAL_NAME = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_OF_PROXIES = ("forwarded", "x-real-ip", "via", "cf-connecting-ip", "true-client-ip")


def _is_admin_token(session: Session, token: str) -> bool:
    token_row = session.exec(
        select(ApiToken.id)
        .join(User, col(User.id) == ApiToken.user_id)
        .where(ApiToken.token_digest == token_digest(token), col(ApiToken.revoked_at).is_(None))
        .where(User.role == Role.ADMIN, col(User.active).is_(True))
    ).first()
    return token_row is not None


routes = [
    Route("/healthz", healthz),
    Route("/readyz", readyz),
    Route("/metrics", metrics),
]


Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True)
class Metric:
    """One metric: its name without our prefix, what it means, and its values by label."""

    name: str
    meaning: str
    samples: Sequence[Sample]


def collect_metrics(session: Session) -> list[Metric]:
    """What is so at this moment."""
    day_ago = now() - timedelta(days=1)
    listed = col(Message.user_id).in_(select(User.id)) & (col(Message.listed_at) > day_ago)
    states = session.exec(select(Message.state, func.count()).where(listed).group_by(col(Message.state)))
    waiting = select(Delivery.status, func.count()).where(col(Delivery.next_try_at).is_not(None))
    statuses = session.exec(waiting.group_by(col(Delivery.status))).all()
    accepted = session.exec(select(func.count()).where(col(Delivery.accepted_at) > day_ago)).one()
    processes = session.exec(select(Process)).all()
    visits = session.exec(select(func.count()).select_from(UserSession).where(UserSession.expires_at > now())).one()
    edges = session.exec(select(DrainCursor)).all()
    ages = [({"process": each.id}, (now() - each.at).total_seconds()) for each in processes]
    problems: dict[str, bool] = {}
    for task, problem in (item for each in processes for item in each.tasks.items()):
        problems[task] = problems.get(task, False) or bool(problem)
    failing = [({"task": task}, float(fails)) for task, fails in problems.items()]
    return [
        Metric("info", "The version that runs.", [({"version": _version()}, 1)]),
        Metric(
            "messages",
            "Messages that were sent or changed in the last 24 hours, or leave later, by state.",
            [({"state": state}, count) for state, count in states],
        ),
        Metric(
            "deliveries",
            "Deliveries that wait, by status, and those accepted in the last 24 hours.",
            [({"status": status}, count) for status, count in (*statuses, ("accepted", accepted))],
        ),
        Metric("events_last_day", "Events of the last 24 hours by kind and class.", _events(session)),
        Metric("mailboxes", "Mailboxes by state.", _mailboxes(session)),
        Metric(
            "mailbox_lag_seconds", "Since the last whole run over the active mailbox that waits longest.", _lag(session)
        ),
        Metric("visits", "Browsers signed in.", [({}, visits)]),
        Metric("worker_beat_age_seconds", "Since each worker last said that it lives.", ages),
        Metric("worker_task_failing", "1 when the last run of a task failed in any worker.", failing),
        Metric(
            "drained_hits", "How far each edge has been read.", [({"edge": edge.edge}, edge.after) for edge in edges]
        ),
    ]


_HITS = {
    "hits_written": "Hits that are on disk, since the spool was made.",
    "hits_lost": "Hits that were answered without being on disk; those rescued are among them.",
    "hits_rescued": "Hits counted as lost that were written after all.",
    "hits_over_budget": "Hits that were answered and not written down, since a source, a link or a copy had too many.",
}


def edge_figures(data_dir: Path) -> list[Metric]:
    """What the edge on the same data folder has counted; of other edges their own ``/metrics`` tells."""
    counts, spools = Counter[str](), spool_paths(data_dir)
    try:
        for path in spools.values():
            with SpoolReader(path) as reader:
                counts.update(reader.counts())
    except (OSError, SpoolError, sqlite3.Error):
        return []
    return [] if not spools else [Metric(name, meaning, [({}, counts.get(name, 0))]) for name, meaning in _HITS.items()]


def prometheus(figures: Iterable[Metric]) -> str:
    """Prometheus text format 0.0.4. Everything is a gauge: it is read from the database, which also forgets."""
    return "".join(f"{line}\n" for figure in figures for line in _lines(figure))


def _lines(figure: Metric) -> list[str]:
    name = f"inkling_{figure.name}"
    samples = (f"{name}{_labels(labels)} {value:.15g}" for labels, value in figure.samples)
    return [f"# HELP {name} {figure.meaning}", f"# TYPE {name} gauge", *samples]


def _labels(labels: Mapping[str, str]) -> str:
    quoted = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{','.join(quoted)}}}" if labels else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _events(session: Session) -> list[Sample]:
    recent = select(Event.kind, Event.klass, func.count()).where(
        Event.summed == 0, Event.at > now() - timedelta(days=1)
    )
    rows = session.exec(recent.group_by(col(Event.kind), col(Event.klass)))
    return [({"kind": kind, "class": klass}, count) for kind, klass, count in rows]


def _mailboxes(session: Session) -> list[Sample]:
    query = select(Mailbox.state, func.count()).where(col(Mailbox.removed_at).is_(None))
    return [({"state": state}, count) for state, count in session.exec(query.group_by(col(Mailbox.state)))]


def _lag(session: Session) -> list[Sample]:
    read = select(func.min(Mailbox.good_run_at)).where(
        Mailbox.state == MailboxState.ACTIVE, col(Mailbox.removed_at).is_(None)
    )
    oldest = session.exec(read).one()
    return [] if oldest is None else [({}, (now() - oldest).total_seconds())]


def _version() -> str:
    try:
        return version("inkling")
    except PackageNotFoundError:
        return "unknown"
