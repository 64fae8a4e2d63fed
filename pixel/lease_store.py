"""What an edge remembers between visits, in one SQLite file beside the spool: visitors, long codes, leases of pools.

Any number of processes may share the file. Requests that come together share one transaction; a lease is on disk before it is
answered. (A long code need not be: the visit in the spool names it.)
"""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from pixel.site_codes import short_codes, tagged
from pixel.site_rules import Pool, Rule, Snapshot
from pixel.visit_sessions import MINUTE, VisitorState

ANSWER_SECONDS = 0.5
"""Seconds after which a request goes on without the store."""
_BUSY_MS = 200
_MAX_BATCH = 512
_MAX_WAITING = 5_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS visitor (
    site TEXT, visitor TEXT, seen_at INTEGER, state TEXT, PRIMARY KEY (site, visitor)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS visitor_seen ON visitor (seen_at);
CREATE TABLE IF NOT EXISTS code (code TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lease (
    pool TEXT, address TEXT, visitor TEXT NOT NULL DEFAULT '', since INTEGER NOT NULL DEFAULT 0, until INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pool, address)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lease_free ON lease (pool, until);
CREATE INDEX IF NOT EXISTS lease_visitor ON lease (pool, visitor);
"""

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]


class StoreError(Exception):
    """The store cannot be used now."""


@dataclass(frozen=True, slots=True)
class Lease:
    """An address of a pool that is a visitor's until a moment (milliseconds). ``rested`` is False when it was given on early."""

    address: str
    since: int
    until: int
    rested: bool = True


@dataclass(slots=True)
class _Waiting(Generic[T]):
    job: Job[T]
    durable: bool
    answer: "asyncio.Future[T]"


class LeaseStore:
    """`run` belongs to one event loop; the file is opened on first use, and again after trouble."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._jobs: SimpleQueue[list[_Waiting[Any]] | None] = SimpleQueue()
        self._open: list[_Waiting[Any]] = []
        self._writing = False
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._work, name="leases", daemon=True)
        self._thread.start()

    async def run(self, job: Job[T], *, durable: bool = False) -> T:
        """What the job gives, after its transaction has committed; ``durable`` when it must outlive a power loss.

        Raises :class:`StoreError` when that cannot be had in time.
        """
        if self._closed or len(self._open) >= _MAX_WAITING:
            raise StoreError("the store is closed or too busy")
        self._loop = asyncio.get_running_loop()
        waiting = _Waiting(job, durable, self._loop.create_future())
        self._open.append(waiting)
        if not self._writing:
            self._writing = True
            self._loop.call_soon(self._hand_over)
        try:
            return await asyncio.wait_for(waiting.answer, ANSWER_SECONDS)
        except TimeoutError:
            raise StoreError("the store takes too long") from None

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()

    def _hand_over(self) -> None:
        batch, self._open = self._open[:_MAX_BATCH], self._open[_MAX_BATCH:]
        self._writing = bool(batch)
        if batch:
            self._jobs.put(batch)

    def _done(self, batch: list[_Waiting[Any]], results: Sequence[Any], error: Exception | None) -> None:
        for waiting, result in zip(batch, results, strict=True):
            if waiting.answer.done():
                continue
            if error is not None or isinstance(result, Exception):
                waiting.answer.set_exception(StoreError(type(error or result).__name__))
            else:
                waiting.answer.set_result(result)
        self._hand_over()

    # the writing thread

    def _work(self) -> None:
        while (batch := self._jobs.get()) is not None:
            results: list[Any] = [None] * len(batch)
            error: Exception | None = None
            try:
                results = self._commit(batch)
            except (sqlite3.Error, OSError) as trouble:
                error = trouble
                self._forget_connection()
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._done, batch, results, error)
            except RuntimeError:
                break  # the loop has ended, and nobody waits
        self._forget_connection()

    def _commit(self, batch: list[_Waiting[Any]]) -> list[Any]:
        connection = self._connection or self._connect()
        connection.execute(f"PRAGMA synchronous = {'FULL' if any(w.durable for w in batch) else 'NORMAL'}")
        connection.execute("BEGIN IMMEDIATE")
        results: list[Any] = []
        for waiting in batch:
            try:
                results.append(waiting.job(connection))
            except sqlite3.Error:
                raise
            except Exception as error:  # one bad request must not stop the others
                results.append(error)
        connection.execute("COMMIT")
        return results

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=64)
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(_SCHEMA)
        self._connection = connection
        return connection

    def _forget_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


# --- what jobs do, inside their transaction


def visitor_state(connection: sqlite3.Connection, site: str, visitor: str) -> VisitorState | None:
    """What was remembered of a visitor."""
    row = connection.execute("SELECT state FROM visitor WHERE site = ? AND visitor = ?", (site, visitor)).fetchone()
    return VisitorState.from_json(json.loads(row[0])) if row else None


def remember(connection: sqlite3.Connection, site: str, state: VisitorState) -> None:
    text = json.dumps(state.to_json(), separators=(",", ":"))
    connection.execute(
        "INSERT OR REPLACE INTO visitor (site, visitor, seen_at, state) VALUES (?, ?, ?, ?)",
        (site, state.visitor, state.seen_at, text),
    )


def forget(connection: sqlite3.Connection, site: str, visitor: str, at: int) -> None:
    """The visitor took consent back: what is remembered goes, and their leases are free, to rest from now."""
    connection.execute("DELETE FROM visitor WHERE site = ? AND visitor = ?", (site, visitor))
    connection.execute("UPDATE lease SET until = min(until, ?), visitor = '' WHERE visitor = ?", (at, visitor))


def forget_old(connection: sqlite3.Connection, before: int) -> int:
    """Forgets visitors who were seen last before a moment. Their long codes stay taken."""
    return connection.execute("DELETE FROM visitor WHERE seen_at < ?", (before,)).rowcount


def claim_code(connection: sqlite3.Connection, code: str) -> bool:
    """Whether the code was still free, and now is not."""
    return connection.execute("INSERT OR IGNORE INTO code (code) VALUES (?)", (code,)).rowcount == 1


class Shares:
    """Which addresses of each pool are this edge's to give, under one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._addresses: dict[str, frozenset[str]] = {}
        self.filled: set[str] = set()
        """Pools whose addresses are all in the table."""

    def of(self, rule: Rule, pool: Pool) -> frozenset[str]:
        if pool.id not in self._addresses:
            part, parts = self._snapshot.part, self._snapshot.parts
            if rule.substitution == "auto_short":
                addresses = frozenset(tagged(pool.base, code) for code in short_codes(part, parts))
            else:
                addresses = frozenset(pool.addresses[part::parts])
            self._addresses[pool.id] = addresses
        return self._addresses[pool.id]


def take_lease(
    connection: sqlite3.Connection, shares: Shares, rule: Rule, pool: Pool, visitor: str, at: int
) -> Lease | None:
    """An address of the pool for this visitor until the lease ends: the one they have or had, else the one that is free for
    longest; one that has not rested only when there is no other. None when all are taken."""
    share = shares.of(rule, pool)
    if pool.id not in shares.filled:
        _fill(connection, pool, share)
        shares.filled.add(pool.id)
    until = at + rule.lease_minutes * MINUTE
    own = connection.execute(
        # named: for the sake of the order SQLite would read the whole pool
        "SELECT address, since, until FROM lease INDEXED BY lease_visitor WHERE pool = ? AND visitor = ?"
        " ORDER BY until DESC LIMIT 1",
        (pool.id, visitor),
    ).fetchone()
    if own is not None:
        since = own[1] if own[2] > at else at
        return _given(connection, pool, Lease(own[0], since, max(until, own[2])), visitor, own[2])
    free = _free(connection, pool, at - rule.rest_minutes * MINUTE)
    rested = free is not None
    free = free or _free(connection, pool, at)
    if free is None:
        return None
    return _given(connection, pool, Lease(free[0], at, until, rested), visitor, free[1])


def _free(connection: sqlite3.Connection, pool: Pool, before: int) -> tuple[str, int] | None:
    query = "SELECT address, until FROM lease WHERE pool = ? AND until <= ? ORDER BY until LIMIT 1"
    row: tuple[str, int] | None = connection.execute(query, (pool.id, before)).fetchone()
    return row


def _given(connection: sqlite3.Connection, pool: Pool, lease: Lease, visitor: str, known_until: int) -> Lease | None:
    changed = connection.execute(
        "UPDATE lease SET visitor = ?, since = ?, until = ? WHERE pool = ? AND address = ? AND until = ?",
        (visitor, lease.since, lease.until, pool.id, lease.address, known_until),
    ).rowcount
    return lease if changed else None


def _fill(connection: sqlite3.Connection, pool: Pool, share: frozenset[str]) -> None:
    """Makes the table hold this edge's share of a pool and nothing else: what was taken out is given to nobody any more."""
    held = {row[0] for row in connection.execute("SELECT address FROM lease WHERE pool = ?", (pool.id,))}
    connection.executemany("DELETE FROM lease WHERE pool = ? AND address = ?", [(pool.id, a) for a in held - share])
    rows = [(pool.id, address) for address in sorted(share - held)]
    connection.executemany("INSERT OR IGNORE INTO lease (pool, address) VALUES (?, ?)", rows)


def prolong(connection: sqlite3.Connection, rule: Rule, visitor: str, at: int) -> None:
    """The visitor is still there: what they hold is theirs for another lease."""
    for pool in rule.pools:
        connection.execute(
            "UPDATE lease INDEXED BY lease_visitor SET until = max(until, ?) WHERE pool = ? AND visitor = ? AND until > ?",
            (at + rule.lease_minutes * MINUTE, pool.id, visitor, at),
        )
