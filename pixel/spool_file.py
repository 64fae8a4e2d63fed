"""The file of a spool: one table in a WAL SQLite file that one process writes and any number read."""

import fcntl
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, Self

from pixel.hits import Hit, HitRow, row_of

_log = logging.getLogger("pixel.spool")
_LOCK_TIMEOUT_MS = 50
_MAX_ROWS = 64
_WAL_FRAMES = 4000
"""After so many the write-ahead file is begun anew."""
_FRAME_BYTES = 4096 + 24
_WAL_STEP = 512 * 1024
_CACHE_KB = 512
"""Of pages, a quarter of the usual: what is written is read once, in order."""
_LOOKED_THROUGH = 64 * 1024 * 1024
"""Bytes of a spool that is looked through at start."""
_MOST_IDS = 1_000_000_000
_FORMAT = 2

_COLUMNS = "received_at, kind, token, delivery, link, method, client, http_version, headers, self_user, body"
_VALUES = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = f"SELECT id, {_COLUMNS} FROM hit WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608
_SCHEMA = """
CREATE TABLE hit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    token TEXT NOT NULL,
    delivery TEXT NOT NULL,
    link INTEGER,
    method TEXT NOT NULL,
    client TEXT NOT NULL,
    http_version TEXT NOT NULL,
    headers TEXT NOT NULL,
    self_user TEXT,
    body TEXT
)
"""


_COUNTS = "CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL)"
"""How many hits were written, lost, rescued and over budget, since the file was made."""


class SpoolError(Exception):
    """The spool cannot be opened; says why and what to do."""


class SpoolReader:
    """Reads a spool, also from another process than the one that writes it. Safe to use from any thread.

    Raises SpoolError when there is no spool at the path.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise SpoolError(f"there is no spool at {self.path}; start the edge first")
        self._reading = threading.Lock()
        self._connect()

    def after(self, n: int, limit: int = 1000) -> list[Hit]:
        """At most `limit` hits with an id above `n`, in the order of their ids."""
        with self._reading:
            return read(self._current(), n, limit)

    def last_id(self) -> int:
        """The highest id ever given, 0 before the first. A new spool starts above every id of the one before it."""
        with self._reading:
            row = self._current().execute("SELECT seq FROM sqlite_sequence WHERE name = 'hit'").fetchone()
        return int(row[0])

    def counts(self) -> dict[str, int]:
        """What the writer counted since the file was made, such as ``hits_lost``; up to a few seconds old."""
        with self._reading:
            connection = self._current()
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tally'").fetchone() is None:
                return {}  # an edge of an earlier version wrote it last
            return dict(connection.execute("SELECT name, count FROM tally ORDER BY name").fetchall())

    def prune(self, n: int) -> None:
        """Confirms every hit up to `n`: leaves a note, and the edge deletes them within seconds."""
        note = note_path(self.path)
        draft = note.with_name(f"{note.name}.{os.getpid()}")
        draft.write_text(str(n))
        draft.replace(note)

    def close(self) -> None:
        with self._reading:
            self._connection.close()

    def _current(self) -> sqlite3.Connection:
        """The connection, to the new file when the edge had to make one."""
        if file_identity(self.path) not in (self._identity, None):
            self._connection.close()
            self._connect()
        return self._connection

    def _connect(self) -> None:
        self._identity = file_identity(self.path)
        self._connection = _connect(self.path)
        self._connection.execute("PRAGMA query_only = ON")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sole_writer(path: Path) -> int:
    """Takes the lock of the spool; the system gives it back when the process ends, however it ends."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise SpoolError(f"another process writes {path}; give this edge a data folder of its own") from None
    return lock


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The file of the spool, made where there is none. One that is damaged is moved aside, and a new one begun above its ids."""
    try:
        connection = _open(path)
        _refuse_damage(connection, path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        quarantined = quarantine_file(path)
        _log.error("THE SPOOL IS DAMAGED (%s): it was moved to %s, and a new one is begun", error, quarantined)
        connection = _open(path)
    _reserve_ids(connection, path)
    return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged, which no waiting mends."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _refuse_damage(connection: sqlite3.Connection, path: Path) -> None:
    """A large spool is not read whole at every start; what is damaged in it is found when it is met."""
    if path.stat().st_size > _LOOKED_THROUGH:
        return
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        connection.close()
        error = sqlite3.DatabaseError(result)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def quarantine_file(path: Path) -> Path:
    """Gives the file and what belongs to it another name, under which nobody reads it. Returns that."""
    quarantined = path.with_name(f"{path.name}.damaged-{time.time_ns() // 1_000_000}")
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(quarantined.with_name(quarantined.name + ending))
    return quarantined


def damaged_files(path: Path) -> list[Path]:
    """What was moved aside."""
    return sorted(file for file in path.parent.glob(f"{path.name}.damaged-*") if file.name[-4] != "-")


def _reserve_ids(connection: sqlite3.Connection, path: Path) -> None:
    """Notes a number above every id that this file will ever give, for the one that has to take its place."""
    (last,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'hit'").fetchone()
    note = path.with_name(path.name + ".above")
    draft = note.with_name(f"{note.name}.{os.getpid()}")
    with suppress(OSError):
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(str(last + _MOST_IDS))
        draft.replace(note)


def _first_id(path: Path) -> int:
    """Above those of every spool before: the present microsecond, or what was reserved when a clock ran ahead."""
    try:
        reserved = int(path.with_name(path.name + ".above").read_text())
    except (OSError, ValueError):
        reserved = 0
    return max(time.time_ns() // 1000, reserved)


def _open(path: Path) -> sqlite3.Connection:
    # Addresses are personal data: nobody else reads them. A file that is there is not opened here, for to close it would end the
    # locks that SQLite holds in this process.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = _connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_FRAMES}")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        _create(connection, _first_id(path))
    elif version == 1:
        _add_body(connection)
    elif version != _FORMAT:
        connection.close()
        raise SpoolError(f"{path} was written by a newer version (format {version}); use that one to read it")
    connection.execute(_COUNTS)
    return connection


def _create(connection: sqlite3.Connection, first_id: int) -> None:
    with transaction(connection):
        connection.execute(_SCHEMA)
        # A reader's place in a lost spool must stay below the ids of the new one.
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('hit', ?)", (first_id,))
        connection.execute(f"PRAGMA user_version = {_FORMAT}")


def _add_body(connection: sqlite3.Connection) -> None:
    """Format 2 has what a website's visitors did beside the opens and clicks of format 1."""
    with transaction(connection):
        connection.execute("ALTER TABLE hit ADD COLUMN body TEXT")
        connection.execute(f"PRAGMA user_version = {_FORMAT}")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=_MAX_ROWS + 16)
    connection.execute(f"PRAGMA busy_timeout = {_LOCK_TIMEOUT_MS}")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when the block or the commit fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def insert(connection: sqlite3.Connection, hits: Sequence[Hit | HitRow]) -> None:
    """Commits all the hits or none of them.

    One statement where that is possible: it is its own transaction, and while it runs nobody waits for this thread.
    """
    if not hits:
        return
    if len(hits) <= _MAX_ROWS:
        rows = (row_of(hit) if isinstance(hit, Hit) else hit for hit in hits)
        connection.execute(_statement(len(hits)), list(chain.from_iterable(rows)))
        return
    with transaction(connection):
        for start in range(0, len(hits), _MAX_ROWS):
            insert(connection, hits[start : start + _MAX_ROWS])


def lengthen_wal(path: Path) -> bool:
    """Room in the write-ahead file ahead of what is written, a step at a time: a commit that lengthens its file waits for the file
    system's journal too. SQLite takes the zeros for frames that were never written. False once it is as long as it gets."""
    with suppress(OSError):  # the disk is full: as before
        wal = os.open(f"{path}-wal", os.O_WRONLY | os.O_APPEND)
        try:
            if os.fstat(wal).st_size < _WAL_FRAMES * _FRAME_BYTES:
                os.write(wal, bytes(_WAL_STEP))
                return True
        finally:
            os.close(wal)
    return False


def add_counts(connection: sqlite3.Connection, news: Mapping[str, int]) -> None:
    """Adds to the counts of the file, all of them or none."""
    more = "ON CONFLICT (name) DO UPDATE SET count = count + excluded.count"
    with transaction(connection):
        connection.executemany(
            f"INSERT INTO tally (name, count) VALUES (?, ?) {more}",  # noqa: S608
            list(news.items()),
        )


def read(connection: sqlite3.Connection, n: int, limit: int) -> list[Hit]:
    """At most `limit` hits with an id above `n`, in the order of their ids."""
    return [_hit(row) for row in connection.execute(_SELECT, (n, limit)).fetchall()]


@cache
def _statement(rows: int) -> str:
    return f"INSERT INTO hit ({_COLUMNS}) VALUES " + ", ".join([_VALUES] * rows)  # noqa: S608


def _hit(row: Iterable[Any]) -> Hit:
    number, received_at, kind, token, delivery, link, method, client, http_version, headers, self_user, body = row
    return Hit(
        id=number,
        received_at=datetime.fromtimestamp(received_at / 1000, UTC),
        kind=kind,
        token=token,
        delivery=delivery,
        link=link,
        method=method,
        client=client,
        http_version=http_version,
        headers=_headers(headers),
        self_user=self_user,
        body=None if body is None else json.loads(body),
    )


@lru_cache(1024)  # as they are written: the same again and again
def _headers(text: str) -> Mapping[str, str]:
    return json.loads(text)  # type: ignore[no-any-return]


def file_identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one at the same path; None when there is none."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


FIRST_SPOOL = "spool.sqlite3"


def spool_path(data_dir: Path, number: int = 1) -> Path:
    """The spool of the edge's process of this number."""
    return data_dir / (FIRST_SPOOL if number == 1 else f"spool-{number}.sqlite3")


def spool_paths(data_dir: Path) -> dict[int, Path]:
    """The spools that are there, by the number of the process that writes or wrote them."""
    numbers = [int(path.stem.removeprefix("spool-")) for path in data_dir.glob("spool-[1-9]*.sqlite3")
               if path.stem.removeprefix("spool-").isdecimal()]  # fmt: skip
    paths = {number: spool_path(data_dir, number) for number in (1, *sorted(numbers))}
    return {number: path for number, path in paths.items() if path.is_file()}


def note_path(path: Path) -> Path:
    return path.with_name(path.name + ".confirmed")
