"""Is everything fit for work? What is asked of database, spool, disk, worker, sending and reading, and what is wrong with them."""

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text as sql
from sqlmodel import Session, col, func, select

from pixel.spool import SpoolError, SpoolReader, spool_paths
from tracker.models import Delivery, Mailbox
from tracker.outbound.queue import accounts_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import is_free
from tracker.runtime.processes import is_anybody_working

STANDS_STILL = timedelta(minutes=15)
_LEAST_FREE = 100 * 2**20
_PROBE = 64 * 1024


def readiness(context: AppContext) -> Mapping[str, str]:
    """What is wrong with each part; empty where nothing is."""
    return {
        "database": _database(context),
        "spool": _spool(context),
        "disk": _disk(context),
        "worker": _worker(context),
        "sending": _quiet(context, _sending),
        "reading": _quiet(context, _reading),
    }


def _database(context: AppContext) -> str:
    try:
        with context.database.reading() as session:
            session.execute(sql("SELECT 1"))
        if not context.database.is_current():
            return "behind: run inkling migrate"
    except Exception:
        return "does not answer"
    try:
        context.database.check_writable()
    except Exception:
        return "cannot be written"
    return ""


def _spool(context: AppContext) -> str:
    """The spools of an edge in the same data folder, if there are any; of other edges the figures tell."""
    problems = (_spool_problem(path) for path in spool_paths(context.settings.data_dir).values())
    return next(filter(None, problems), "")


def _spool_problem(path: Path) -> str:
    try:
        with SpoolReader(path) as spool:
            spool.last_id()
    except (OSError, SpoolError, sqlite3.Error):
        return "cannot be read"
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0.5)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return "cannot be written"
    return ""


def _disk(context: AppContext) -> str:
    """Whether the data folder takes what is written, and for how long it will."""
    folder = context.settings.data_dir
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * _PROBE)
            file.flush()
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return f"cannot be written: {error.strerror}"
    if usage.free < min(_LEAST_FREE, usage.total // 20):
        return f"nearly full: {usage.free // 2**20} MB are left"
    return ""


def _quiet(context: AppContext, look: Callable[[Session], str]) -> str:
    """What stands still; nothing while nobody works, which is said already."""
    try:
        with context.database.reading() as session:
            return look(session) if is_anybody_working(session) else ""
    except Exception:
        return "unknown"


def _sending(session: Session) -> str:
    """A copy waits for long that was due, and meanwhile none was taken by any server."""
    moment = now()
    if not accounts_due(session, moment - STANDS_STILL):
        return ""
    taken = select(func.max(Delivery.accepted_at)).where(col(Delivery.accepted_at) > moment - STANDS_STILL)
    return "" if session.exec(taken).one() else "stands still: copies that were due wait for a quarter of an hour"


def _reading(session: Session) -> str:
    """A mailbox waits for long that was due, nobody reads it, and meanwhile none was read."""
    moment = now()
    overdue = select(Mailbox.id).where(
        col(Mailbox.due_at) < moment - 2 * STANDS_STILL,
        col(Mailbox.removed_at).is_(None),
        is_free("mailbox", col(Mailbox.id), moment),
    )
    if session.exec(overdue.limit(1)).first() is None:
        return ""
    read = select(Mailbox.id).where(col(Mailbox.run_ended_at) > moment - STANDS_STILL).limit(1)
    return "" if session.exec(read).first() else "stands still: mailboxes that were due wait for half an hour"


def _worker(context: AppContext) -> str:
    try:
        with context.database.reading() as session:
            works = is_anybody_working(session)
    except Exception:
        return "unknown"
    return "" if works else "no heartbeat for three minutes: is a worker running?"
