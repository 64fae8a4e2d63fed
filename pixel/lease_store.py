"""What an edge remembers between visits, in one SQLite file beside the spool: visitors, long codes, leases of pools.

The workers of one machine share the file; in each of them the thread that writes the spool is the only one that uses it. What a
batch of requests needs is read at once, changed in memory and written at once, so that a request costs no statement of its own. A
lease is on disk before it is answered. What is remembered of a visitor is written seconds later (among several workers at once):
their browser carries it as well, and the visit in the spool names their long code.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Self

from pixel.pool_leases import PoolLease, PoolLeases
from pixel.site_codes import long_codes, short_codes, tagged
from pixel.site_rules import Pool, Rule, Snapshot
from pixel.spool_file import transaction
from pixel.visit_sessions import MINUTE, VisitorState

STORE_FILE = "visitors.sqlite3"
_BUSY_MS = 50
_BUSY_SHARED_MS = 900
"""Among several workers each waits for the commits of the others; the first use of a pool writes every address of it."""
_MOST_ROWS = 512
_CODES_AHEAD = 256
_SLICE = 128
"""Visitors that are written at a time, between two batches: whoever asks meanwhile waits for no more than that."""
_UNWRITTEN_SECONDS = 2.0
"""So long what is remembered of visitors may wait in memory."""
_FORGOTTEN_AT_ONCE = 500
# With row ids: whole states are appended, and only their short keys are sorted in, for a quarter of the time.
_VISITORS = "CREATE TABLE IF NOT EXISTS visitor (site TEXT, visitor TEXT, seen_at INTEGER, state TEXT, PRIMARY KEY (site, visitor))"
_SCHEMA = f"""
{_VISITORS};
CREATE INDEX IF NOT EXISTS visitor_seen ON visitor (seen_at);
CREATE TABLE IF NOT EXISTS code (code TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lease (
    pool TEXT, address TEXT, visitor TEXT NOT NULL DEFAULT '', since INTEGER NOT NULL DEFAULT 0, until INTEGER NOT NULL DEFAULT 0,
    change INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (pool, address)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lease_free ON lease (pool, until);
CREATE INDEX IF NOT EXISTS lease_visitor ON lease (pool, visitor);
"""
_CHANGES = "CREATE INDEX IF NOT EXISTS lease_change ON lease (pool, change)"
"""Each transaction numbers what it changes of a pool, so that the other workers read that alone."""
_LEASE = "lease (pool, address, visitor, since, until, change)"
Key = tuple[str, str]
"""A site's key and a visitor's id."""


class StoreError(Exception):
    """The store cannot be used now."""


class Shares:
    """Which addresses of each pool are this edge's to give, under one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._addresses: dict[str, frozenset[str]] = {}

    def of(self, rule: Rule, pool: Pool) -> frozenset[str]:
        if pool.id not in self._addresses:
            part, parts = self._snapshot.part, self._snapshot.parts
            if rule.substitution == "auto_short":
                addresses = frozenset(tagged(pool.base, code) for code in short_codes(part, parts))
            else:
                addresses = frozenset(pool.addresses[part::parts])
            self._addresses[pool.id] = addresses
        return self._addresses[pool.id]


class LeaseStore:
    """The file is opened on first use, and again after trouble. Everything but `close` belongs inside a `batch`. With ``shared``
    other processes use it as well."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path, self._shared = path, shared
        self._synced: set[str] = set()
        """The pools that are as in the file, in this batch."""
        self._connection: sqlite3.Connection | None = None
        self._is_durable: bool | None = None
        self._pools: dict[str, PoolLeases] = {}
        self._codes: list[str] = []
        self._unwritten: dict[Key, VisitorState] = {}
        self._write_at = 0.0
        self._seen: dict[Key, VisitorState | None] = {}
        self._changed: dict[Key, VisitorState] = {}

    def close(self) -> None:
        """Gives up the file; what is not written yet stays in memory."""
        connection, self._connection = self._connection, None
        self._is_durable = None
        self._pools, self._codes = {}, []
        if connection is not None:
            connection.close()

    @property
    def has_unwritten(self) -> bool:
        return bool(self._unwritten)

    @contextmanager
    def batch(self, visitors: Iterable[Key] = (), *, durable: bool = False, last: bool = False) -> Iterator[Self]:
        """Knows these visitors; commits when the block ends, ``durable`` when that must outlive a power loss; with the ``last``
        one everything is written. Raises :class:`StoreError` when it cannot, and then nothing of the block was written."""
        try:
            self._begin(visitors, durable)
            yield self
            self._end(last)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StoreError(type(error).__name__) from error
        except BaseException:
            self.close()
            raise
        finally:
            self._seen, self._changed, self._synced = {}, {}, set()

    def _begin(self, visitors: Iterable[Key], durable: bool) -> None:
        connection = self._connection or self._connect()
        if durable is not self._is_durable:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._is_durable = durable
        keys = [key for key in visitors if key not in self._unwritten]
        for begin in range(0, len(keys), _MOST_ROWS):
            self._seen |= _states(connection, keys[begin : begin + _MOST_ROWS])
        self._seen |= self._unwritten

    def _end(self, last: bool) -> None:
        leases = [row for pool, held in self._pools.items() if held.changed for row in _changed_rows(pool, held)]
        if leases:
            _insert(self._writing(), _LEASE, leases)
        self._unwritten |= self._changed
        if last or self._shared:
            self._write_visitors(len(self._unwritten))
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("COMMIT")

    def write_waiting(self) -> None:
        """Writes what is remembered of visitors where many wait, or some for long: between two batches, when nobody waits for it.
        Raises :class:`StoreError`."""
        is_time = time.monotonic() >= self._write_at
        if is_time:
            self._write_at = time.monotonic() + _UNWRITTEN_SECONDS
        while len(self._unwritten) >= _SLICE or (is_time and self._unwritten):
            with self.batch():
                self._write_visitors(_SLICE)

    def _write_visitors(self, most: int) -> None:
        """Some at a time, in the order of the table, which touches few of its pages."""
        states = dict(sorted(islice(self._unwritten.items(), most)))
        if states:
            rows = [(*key, state.seen_at, state.text) for key, state in states.items()]
            _insert(self._writing(), "visitor (site, visitor, seen_at, state)", rows)
            for key in states:
                del self._unwritten[key]

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=64)
        self._connection = connection
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_SHARED_MS if self._shared else _BUSY_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        _rebuild_visitors(connection)
        connection.executescript(_SCHEMA)
        if not any(column[1] == "change" for column in connection.execute("PRAGMA table_info(lease)")):
            connection.execute(
                "ALTER TABLE lease ADD COLUMN change INTEGER NOT NULL DEFAULT 0"
            )  # a file of an earlier version
        connection.execute(_CHANGES)
        return connection

    def _writing(self) -> sqlite3.Connection:
        """The connection, in a transaction that writes."""
        assert self._connection is not None, "there is no batch"
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")
        return self._connection

    # --- inside a batch

    def state(self, site: str, visitor: str) -> VisitorState | None:
        """What was remembered of one of the batch's visitors."""
        return self._seen.get((site, visitor))

    def remember(self, site: str, state: VisitorState) -> None:
        self._seen[site, state.visitor] = self._changed[site, state.visitor] = state

    def forget(self, site: str, visitor: str, at: int) -> None:
        """The visitor took consent back: what is remembered goes, and their leases are free, to rest from now."""
        self._seen[site, visitor] = None
        for states in (self._changed, self._unwritten):
            states.pop((site, visitor), None)
        connection = self._writing()
        for pool, held in self._pools.items():
            self._sync(connection, pool, held)
            held.release(visitor, at)
        connection.execute("DELETE FROM visitor WHERE site = ? AND visitor = ?", (site, visitor))
        connection.execute(_RELEASE, (at, visitor))

    def forget_old(self, before: int) -> bool:
        """Forgets visitors who were seen last before a moment, some at a time; True when none is left. Their long codes stay
        taken."""
        query = "DELETE FROM visitor WHERE rowid IN (SELECT rowid FROM visitor WHERE seen_at < ? LIMIT ?)"
        return self._writing().execute(query, (before, _FORGOTTEN_AT_ONCE)).rowcount < _FORGOTTEN_AT_ONCE

    def new_code(self, edge: str) -> str:
        """A long code of this edge that was never given."""
        if not self._codes or self._codes[-1][0] != edge:
            self._codes = _claim_codes(self._writing(), edge)
        return self._codes.pop()

    def lease(self, share: frozenset[str], rule: Rule, pool: Pool, visitor: str, at: int) -> PoolLease | None:
        """An address of this edge's share of the pool for the visitor; see :meth:`PoolLeases.take`."""
        until, rested_before = at + rule.lease_minutes * MINUTE, at - rule.rest_minutes * MINUTE
        return self._pool(pool, share).take(visitor, at, until, rested_before)

    def prolong(self, rule: Rule, shares: Shares, visitor: str, at: int) -> None:
        """The visitor is still there: what they hold is theirs for another lease."""
        for pool in rule.pools if rule.leases else ():
            until = at + rule.lease_minutes * MINUTE
            self._pool(pool, shares.of(rule, pool)).prolong(visitor, at, until)

    def _pool(self, pool: Pool, share: frozenset[str]) -> PoolLeases:
        """Read once, and again when the edge's share of it has changed: what was taken out is given to nobody any more."""
        held, connection = self._pools.get(pool.id), self._writing()
        if held is not None and held.share is share:
            self._sync(connection, pool.id, held)
            return held
        if held is not None:
            _insert(connection, _LEASE, _changed_rows(pool.id, held))
        stored = connection.execute(f"{_LEASES} WHERE pool = ?", (pool.id,)).fetchall()
        gone = [(pool.id, row[0]) for row in stored if row[0] not in share]
        connection.executemany("DELETE FROM lease WHERE pool = ? AND address = ?", gone)
        made = self._pools[pool.id] = PoolLeases(share, (row[:4] for row in stored))
        made.change = max((row[4] for row in stored), default=0)
        self._synced.add(pool.id)
        return made

    def _sync(self, connection: sqlite3.Connection, pool: str, held: PoolLeases) -> None:
        """Takes over what other processes have changed; nobody changes anything more until our own transaction ends."""
        if not self._shared or pool in self._synced:
            return
        rows = connection.execute(f"{_LEASES} WHERE pool = ? AND change > ?", (pool, held.change)).fetchall()
        held.take_over(row[:4] for row in rows)
        held.change = max((row[4] for row in rows), default=held.change)
        self._synced.add(pool)


_LEASES = "SELECT address, visitor, since, until, change FROM lease"
_RELEASE = """
UPDATE lease SET until = min(until, ?), visitor = '',
    change = 1 + (SELECT max(change) FROM lease AS other WHERE other.pool = lease.pool)
WHERE visitor = ?
"""


def _rebuild_visitors(connection: sqlite3.Connection) -> None:
    """Those of a file of an earlier version, whose table had no row ids."""
    row = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'visitor'").fetchone()
    if row is None or "WITHOUT ROWID" not in row[0]:
        return
    copied = "INSERT INTO visitor SELECT site, visitor, seen_at, state FROM visitor_before"
    steps = ("ALTER TABLE visitor RENAME TO visitor_before", _VISITORS, copied, "DROP TABLE visitor_before")
    with transaction(connection):
        for step in steps:
            connection.execute(step)


def _changed_rows(pool: str, held: PoolLeases) -> list[tuple[Any, ...]]:
    """What is to be written of a pool, asked for once, under the next number."""
    held.change += 1
    return [(pool, *row, held.change) for row in held.changed_rows()]


def _states(connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, VisitorState]:
    """In one row: every row would let another thread go first."""
    if not keys:
        return {}
    query, number = states_query(len(keys))
    padded = [*keys, *[keys[-1]] * (number - len(keys))]
    (text,) = connection.execute(query, [part for key in padded for part in key]).fetchone()
    return {(site, visitor): VisitorState.from_text(state) for site, visitor, state in json.loads(text)}


@lru_cache
def states_query(least: int) -> tuple[str, int]:
    """The statement for at least so many visitors, of a few sizes, and for how many it is."""
    number = 1 << (least - 1).bit_length()
    values = ", ".join(["(?, ?)"] * number)
    return (
        f"WITH wanted(site, visitor) AS (VALUES {values}) "  # noqa: S608
        "SELECT json_group_array(json_array(visitor.site, visitor.visitor, state)) "
        # in this order: the other way round SQLite would read every visitor there ever was
        "FROM wanted CROSS JOIN visitor ON visitor.site = wanted.site AND visitor.visitor = wanted.visitor"
    ), number


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """One statement for many rows; how many were written."""
    written = 0
    for begin in range(0, len(rows), _MOST_ROWS):
        lot = rows[begin : begin + _MOST_ROWS]
        values = ", ".join([f"({', '.join('?' * len(lot[0]))})"] * len(lot))
        query = f"INSERT OR REPLACE INTO {table} VALUES {values}"  # noqa: S608
        written += connection.execute(query, [value for row in lot for value in row]).rowcount
    return written


def _claim_codes(connection: sqlite3.Connection, edge: str) -> list[str]:
    """Codes that were free and now are taken; those that are never given are lost, of twenty thousand million."""
    while True:
        codes = list(set(long_codes(edge, os.urandom(8 * _CODES_AHEAD))))
        values = ", ".join(["(?)"] * len(codes))
        taken = {row[0] for row in connection.execute(f"SELECT code FROM code WHERE code IN (VALUES {values})", codes)}  # noqa: S608
        fresh = [code for code in codes if code not in taken]
        if fresh:
            _insert(connection, "code (code)", [(code,) for code in fresh])
            return fresh
