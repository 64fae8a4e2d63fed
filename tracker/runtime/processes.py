"""Who works: each process says now and then that it lives, and what a dead one held is given free at once.

Whether a process lives can be told of those that share our boot and process namespace; of all others time alone tells. The names
of hosts are not looked at: containers may bear the same one.
"""

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, BigInteger
from sqlmodel import Field, Session, SQLModel, col, delete, select

from tracker.runtime.context import AppContext
from tracker.runtime.database import UtcDateTime, now
from tracker.runtime.lease import free_leases_of

HEARTBEAT = timedelta(minutes=1)
GONE_AFTER = timedelta(minutes=3)
"""A process that has said nothing for so long is not there."""
FORGOTTEN_AFTER = timedelta(hours=1)
_PROC = Path("/proc")


class Process(SQLModel, table=True):
    """A process that works, and when it last said that it lives."""

    id: str = Field(primary_key=True, max_length=16)
    place: str = Field(max_length=100)
    """The space that its number belongs to: boot and process namespace of a machine; empty where that is not known."""
    number: int
    """As the system numbers processes."""
    started: int = Field(sa_type=BigInteger)
    """The system's own note of its start, since numbers are given again."""
    started_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    tasks: Any = Field(default_factory=dict, sa_type=JSON)
    """What each of its tasks last failed with, by name; empty for those that work."""


def register(context: AppContext) -> None:
    """At start: notes this process, and gives free what those held that no longer live. Idempotent."""
    number = os.getpid()
    ours = Process(id=context.leases.process, place=_place(), number=number, started=_started(number) or 0)
    with context.database.session_scope() as session:
        session.merge(ours)
        dead = [process.id for process in session.exec(select(Process)) if _is_dead(process)]
        _forget(session, dead)


def heartbeat(context: AppContext, tasks: Mapping[str, str]) -> None:
    """Says that this process lives, and what its tasks last failed with."""
    with context.database.session_scope() as session:
        process = session.get(Process, context.leases.process)
        if process is None:  # the database was restored, or we were away for long
            number = os.getpid()
            process = Process(id=context.leases.process, place=_place(), number=number, started=_started(number) or 0)
        process.at, process.tasks = now(), dict(tasks)
        session.add(process)


def is_anybody_working(session: Session) -> bool:
    """Whether a worker has said lately that it lives."""
    return session.exec(select(Process.id).where(col(Process.at) > now() - GONE_AFTER).limit(1)).first() is not None


def leave(context: AppContext) -> None:
    """At the end: frees what this process holds, and takes its name away."""
    context.leases.release_all(context.database)
    with context.database.session_scope() as session:
        _forget(session, [context.leases.process])


def _forget(session: Session, processes: list[str]) -> None:
    if processes:
        free_leases_of(session, processes)
        session.exec(delete(Process).where(col(Process.id).in_(processes)))


def _is_dead(process: Process) -> bool:
    if not process.place or process.place != _place():
        return False
    started = _started(process.number)
    return started != process.started if started is not None else not _exists(process.number)


def _exists(number: int) -> bool:
    """Also of processes that we may not see (proc(5), ``hidepid``; ``ProtectProc=`` of systemd)."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _place() -> str:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat(_PROC / 'self/ns/pid').st_ino}"
    except OSError:
        return ""


def _started(number: int) -> int | None:
    """Clock ticks from boot to the start of a process (proc(5), field 22 of ``stat``); None when none of the number is seen."""
    try:
        return int((_PROC / str(number) / "stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
