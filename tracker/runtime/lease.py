"""Leases: the one way in which work is claimed, so that of any number of processes one alone does it.

A row says that somebody works at a subject until a moment. It is taken by one conditional insert, renewed together with all others
of its process, and given back in the transaction that writes what became of the work. Whoever was away for so long that another
one took the subject is told so by :meth:`Leases.release`, and writes nothing.
"""

import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from secrets import token_hex
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, String, Table, bindparam, cast, delete, exists, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, Session, SQLModel, col, select

from tracker.runtime.database import Database, UtcDateTime, now

DURATION = timedelta(minutes=4)
"""How long after its holder's last sign of life a subject is free again."""
RENEWED_EVERY = timedelta(minutes=1)
LONGEST = timedelta(hours=6)
"""After so long a lease is not renewed any more, whatever its holder still does."""


class Lease(SQLModel, table=True):
    """A process works at a subject until a moment, and nobody else does: see :class:`Leases`."""

    kind: str = Field(primary_key=True, max_length=32)
    """What is done with the subject, such as ``delivery``."""
    subject: str = Field(primary_key=True, max_length=255)
    token: str = Field(max_length=16)
    """Of the holder, another one for every claim."""
    process: str = Field(max_length=16, index=True)
    until: datetime = Field(sa_type=UtcDateTime)


_LEASE: Table = Lease.__table__  # type: ignore[attr-defined]
_RELEASE = (
    delete(_LEASE)
    .where(
        _LEASE.c.kind == bindparam("kind"),
        _LEASE.c.subject.in_(bindparam("subjects", expanding=True)),
        _LEASE.c.token.in_(bindparam("tokens", expanding=True)),  # of one claim: no two subjects share one
    )
    .returning(_LEASE.c.token)
)


@cache
def _take(is_sqlite: bool) -> Any:
    dialect: Any = sqlite if is_sqlite else postgresql
    insert = dialect.insert(_LEASE)
    taken = {name: insert.excluded[name] for name in ("token", "process", "until")}
    is_over = _LEASE.c.until < bindparam("moment", type_=UtcDateTime)
    take = insert.on_conflict_do_update(index_elements=["kind", "subject"], set_=taken, where=is_over)
    return take.returning(_LEASE.c.subject)


@dataclass(frozen=True)
class HeldLease:
    """A subject that is ours to work at. ``token`` tells our claim from every other."""

    kind: str
    subject: str
    token: str


class Leases:
    """The leases of one process. Safe to use from any thread."""

    def __init__(self, process: str) -> None:
        self.process = process
        self._lock = threading.Lock()
        self._ends: dict[str, float] = {}
        """Until when each is renewed, by token, in seconds of the monotonic clock."""
        self._renewed_at = time.monotonic()

    def claim(
        self,
        session: Session,
        kind: str,
        subject: object,
        *,
        duration: timedelta = DURATION,
        longest: timedelta = LONGEST,
    ) -> HeldLease | None:
        """Takes a subject, or gives None when another claim holds it. It is held once the transaction commits, for ``duration``
        unless it is renewed.

        Look afterwards, in the same transaction, whether the work is still to be done: somebody may just have done it.
        """
        return next(iter(self.claim_many(session, kind, [subject], duration=duration, longest=longest)), None)

    def claim_many(
        self,
        session: Session,
        kind: str,
        subjects: Iterable[object],
        *,
        duration: timedelta = DURATION,
        longest: timedelta = LONGEST,
    ) -> list[HeldLease]:
        """The same for several subjects in one statement. Those that another claim holds are left out."""
        moment, tokens = now(), {str(subject): token_hex(8) for subject in subjects}
        if not tokens:
            return []
        shared = {"kind": kind, "process": self.process, "until": moment + duration, "moment": moment}
        rows = [{"subject": subject, "token": token, **shared} for subject, token in sorted(tokens.items())]
        take = _take(session.get_bind().dialect.name == "sqlite")
        held = set(session.connection().execute(take, rows).scalars())
        leases = [HeldLease(kind, subject, token) for subject, token in tokens.items() if subject in held]
        with self._lock:
            if not self._ends:
                self._renewed_at = time.monotonic()
            self._ends.update({lease.token: time.monotonic() + longest.total_seconds() for lease in leases})
        return leases

    def holds(self, session: Session, lease: HeldLease) -> bool:
        """Whether the subject is still ours; if so nobody takes it before the transaction ends."""
        return session.exec(select(Lease.token).where(*_is(lease)).with_for_update()).first() is not None

    def release(self, session: Session, lease: HeldLease) -> bool:
        """Gives the subject back. False when it was not ours any more: then nothing of the work may be written."""
        return lease in self.release_many(session, [lease])

    def release_many(self, session: Session, leases: Collection[HeldLease]) -> set[HeldLease]:
        """The same for leases of one kind in one statement. Returns those that were still ours."""
        with self._lock:
            for lease in leases:
                self._ends.pop(lease.token, None)
        if not leases:
            return set()
        (kind,) = {lease.kind for lease in leases}
        words = {"kind": kind, "subjects": [each.subject for each in leases], "tokens": [each.token for each in leases]}
        released = set(session.connection().execute(_RELEASE, words).scalars())
        return {lease for lease in leases if lease.token in released}

    def renew(self, database: Database) -> int:
        """Prolongs every lease that is held, in one statement. Returns how many; writes nothing when none needs it."""
        moment = time.monotonic()
        with self._lock:
            self._ends = {token: end for token, end in self._ends.items() if end > moment}
            tokens = list(self._ends)
            if not tokens or moment - self._renewed_at < RENEWED_EVERY.total_seconds() * 0.9:
                return 0
            self._renewed_at = moment
        ours = update(_LEASE).where(_LEASE.c.process == self.process, _LEASE.c.token.in_(tokens))
        with database.session_scope() as session:
            return session.connection().execute(ours.values(until=now() + DURATION)).rowcount

    def release_all(self, database: Database) -> None:
        """At the end: whatever the process still holds is free for others at once."""
        with self._lock:
            self._ends.clear()
        with database.session_scope() as session:
            free_leases_of(session, [self.process])


def free_leases_of(session: Session, processes: Iterable[str]) -> int:
    """Frees what processes hold that work no more. Returns how many leases that are."""
    return session.connection().execute(delete(_LEASE).where(_LEASE.c.process.in_(list(processes)))).rowcount


def free_subject(session: Session, kind: str, subject: object) -> None:
    """Takes the subject from whoever holds it: what they do with it is not wanted any more."""
    session.exec(delete(Lease).where(col(Lease.kind) == kind, col(Lease.subject) == str(subject)))


def held_subjects(session: Session, kind: str) -> set[str]:
    """What is being worked at now."""
    return set(session.exec(select(Lease.subject).where(Lease.kind == kind, col(Lease.until) >= now())))


def is_free(kind: str, subject: ColumnElement[Any] | Any, moment: datetime | BindParameter[Any]) -> ColumnElement[bool]:
    """The condition that nobody holds the subject whose key stands in a column."""
    return ~is_held(kind, subject, moment)


def is_held(kind: str, subject: ColumnElement[Any] | Any, moment: datetime | BindParameter[Any]) -> ColumnElement[bool]:
    """The condition that somebody holds the subject whose key stands in a column."""
    key = subject if isinstance(subject.type, String) else cast(subject, String)
    return exists().where(col(Lease.kind) == kind, col(Lease.subject) == key, col(Lease.until) >= moment)


def is_held_by(kind: str) -> ColumnElement[bool]:
    """The condition that a ``subject`` is still held by the claim with a ``token`` at a ``moment``: three parameters."""
    return exists().where(
        _LEASE.c.kind == kind,
        _LEASE.c.subject == bindparam("subject"),
        _LEASE.c.token == bindparam("token"),
        _LEASE.c.until >= bindparam("moment"),
    )


def _is(lease: HeldLease) -> tuple[ColumnElement[bool], ...]:
    return _LEASE.c.kind == lease.kind, _LEASE.c.subject == lease.subject, _LEASE.c.token == lease.token
