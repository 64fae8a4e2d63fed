"""How a database is connected to: SQLite with its locks and its modes, PostgreSQL with its pool."""

import math
import os
import select
import sqlite3
import time
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import InvalidatePoolError

BUSY_SECONDS = 15
"""How long a writer waits for the other writers of an SQLite file."""
_HURRIED_SECONDS = 0.1
_LOOK_AGAIN = 0.002
_CACHE_KB = 16_384
"""Of a connection, at most: a lot of hits touches more pages than SQLite's own 2 MB hold, and would write and read them twice."""
_WAL_PAGES = 4000
"""The write-ahead file is copied into the database at 16 MB: pages that one transaction after the other writes are copied once."""
_SILENT_SECONDS = 30.0
"""After so long an idle connection to PostgreSQL may have been forgotten by whatever is in between."""


def new_engine(url: str) -> Engine:
    """On SQLite a transaction without the option ``inkling_reads`` begins by taking its turn to write."""
    if not url.startswith("sqlite"):
        engine = create_engine(url, pool_size=10, max_overflow=10, hide_parameters=True)
        event.listen(engine, "connect", _prepare_postgresql)
        event.listen(engine, "do_execute", _execute_in_binary)
        event.listen(engine, "checkin", _note_idle)
        event.listen(engine, "checkout", partial(_check_alive, engine))
        return engine
    # The connection that was given back last knows most of the file.
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True, pool_use_lifo=True)
    event.listen(engine, "do_connect", _keep_to_ourselves)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    """Our statements take a few milliseconds: to start further processes of the server or a compiler for them takes longer."""
    connection.autocommit = True
    connection.execute("SET max_parallel_workers_per_gather = 0; SET jit = off")
    connection.autocommit = False


def _execute_in_binary(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """A statement with the option ``inkling_binary`` gets its rows in PostgreSQL's binary form: a column of 25 MB takes a sixth of
    the memory that its text does."""
    if not context.execution_options.get("inkling_binary", False):
        return False
    cursor.execute(statement, parameters, binary=True)
    return True


def _note_idle(_connection: Any, record: Any) -> None:
    record.info["idle_since"] = time.monotonic()


def _check_alive(engine: Engine, connection: Any, record: Any, _proxy: Any) -> None:
    """A server that ended a connection of the pool has said so on it: that is looked at without asking the server, which would cost
    every transaction one more journey. After a long silence it is asked all the same."""
    idle_since = record.info.get("idle_since", math.inf)
    if time.monotonic() - idle_since < _SILENT_SECONDS and not _has_something_to_say(connection):
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error:
        raise InvalidatePoolError from None


def _has_something_to_say(connection: Any) -> bool:
    if connection.closed:
        return True
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    return bool(waiting.poll(0))


def _keep_to_ourselves(_dialect: Any, _record: Any, arguments: Any, _more: Any) -> None:
    """The file is made with mode 0600, and so are the files beside it: SQLite gives them the mode of the first.

    A file that is there is never opened here: to close it would end the locks that SQLite holds in this process (POSIX advisory
    locks, "How To Corrupt An SQLite Database File" 2.2).
    """
    path = arguments[0]
    with suppress(OSError):  # what keeps it from being made is told by SQLite
        if not os.path.exists(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        elif os.stat(path).st_mode & 0o077:
            os.chmod(path, 0o600)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling commits before DDL; ours must not.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        *(f"busy_timeout={BUSY_SECONDS * 1000}", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"),
        *(f"cache_size=-{_CACHE_KB}", f"wal_autocheckpoint={_WAL_PAGES}"),
    ):
        cursor.execute(f"PRAGMA {pragma}")
    _use_wal(cursor)
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """A new file is told once. While another process is telling it the same, SQLite fails at once instead of waiting."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that begins as a reader and writes later fails at once when another wrote in between; so writers lock first.
    reads = connection.get_execution_options().get("inkling_reads", False)
    raw: Any = connection.connection.driver_connection
    raw.execute(f"PRAGMA query_only={'ON' if reads else 'OFF'}")
    if reads:
        raw.execute("BEGIN")
        return
    raw.execute("PRAGMA busy_timeout=0")
    try:
        _take_turn(raw, _HURRIED_SECONDS if connection.get_execution_options().get("inkling_hurried") else BUSY_SECONDS)
        if not raw.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # what is wrong is told in SQLAlchemy's terms
    finally:
        raw.execute(f"PRAGMA busy_timeout={round(BUSY_SECONDS * 1000)}")


def _take_turn(raw: Any, seconds: float) -> None:
    """Begins as soon as no other writer is there, or not at all.

    SQLite's own waiting sleeps longer every time, up to a tenth of a second, while one writer after the other slips in.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            raw.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                return
            time.sleep(_LOOK_AGAIN)
