"""A database filled in bulk: without indexes, triggers, checks and safety, all of which come back in the end.

Only for worlds of benches: a process that dies within leaves a database that is good for nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import repeat
from typing import Any

from sqlalchemy import JSON, Connection, Table, event
from sqlalchemy.types import TypeEngine
from sqlmodel import Session, SQLModel, col, select

from tracker.models import Customer, Letter, Message, Order, Recipient
from tracker.models.search import SearchEntry, SearchKind
from tracker.models.search_index import WORDS_OF, entry_of
from tracker.runtime.database import BEFORE_COMMIT, Database, UtcDateTime

Facts = Mapping[str, Any]
_AT_ONCE = 10_000
_FAST = (
    *("synchronous=OFF", "secure_delete=OFF", "foreign_keys=OFF", "journal_mode=OFF", "cache_size=-500000"),
    "temp_store=MEMORY",
)
_INDEXED = {
    SearchKind.MESSAGE: Message,
    SearchKind.LETTER: Letter,
    SearchKind.RECIPIENT: Recipient,
    SearchKind.CUSTOMER: Customer,
    SearchKind.ORDER: Order,
}


@contextmanager
def in_bulk(database: Database) -> Iterator[None]:
    """Rows that are written within by :func:`load_rows` are indexed when it ends, their words included."""
    hooks, BEFORE_COMMIT[:] = list(BEFORE_COMMIT), []
    database.engine.dispose()
    event.listen(database.engine, "connect", _be_fast)
    try:
        with database.engine.connect() as connection, connection.begin():
            dropped = _drop_sqlite(connection) if database.is_sqlite else _drop_postgresql(connection)
        yield
        _load_words(database)
        for statement in dropped:
            with database.engine.connect() as connection, connection.begin():
                connection.exec_driver_sql(statement)
    finally:
        BEFORE_COMMIT[:] = hooks
        event.remove(database.engine, "connect", _be_fast)
        database.engine.dispose()


def load_rows(session: Session, table: Table, same: Facts, rows: Sequence[Facts]) -> None:
    """``same`` are the columns that are alike in every row and stand in none; they are made ready once."""
    connection = session.connection()
    is_sqlite = connection.dialect.name == "sqlite"
    varying = tuple(rows[0])
    names = (*varying, *(name for name in same if name not in varying))
    as_sent = _to_sqlite if is_sqlite else _to_copy
    columns: list[Any] = [as_sent(table.c[name].type, connection, [row[name] for row in rows]) for name in varying]
    columns += [
        repeat(as_sent(table.c[name].type, connection, [same[name]])[0], len(rows)) for name in names[len(varying) :]
    ]
    listed = ", ".join(f'"{name}"' for name in names)
    with closing(connection.connection.cursor()) as cursor:
        if is_sqlite:
            marks = ", ".join("?" * len(names))
            cursor.executemany(
                f"INSERT INTO {table.name} ({listed}) VALUES ({marks})", list(zip(*columns, strict=True))
            )
            return
        with cursor.copy(f"COPY {table.name} ({listed}) FROM STDIN") as copy:
            copy.write("".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)))


def _to_sqlite(kind: TypeEngine[Any], connection: Connection, values: list[Any]) -> list[Any]:
    if isinstance(kind, UtcDateTime):
        return [value and value.isoformat(" ", "microseconds")[:26] for value in values]
    process = kind.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return values if process is None else [process(value) for value in values]


def _to_copy(kind: TypeEngine[Any], connection: Connection, values: list[Any]) -> list[str]:
    """As they stand in a line of PostgreSQL's COPY."""
    if isinstance(kind, UtcDateTime):
        return [value.isoformat() if value else "\\N" for value in values]
    if isinstance(kind, JSON):
        values = [None if value is None and kind.none_as_null else json.dumps(value) for value in values]
    return ["\\N" if value is None else value if isinstance(value, str) else str(value) for value in values]


def _be_fast(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    if type(connection).__module__.startswith("psycopg"):
        cursor.execute("SET session_replication_role = replica")  # no triggers, no foreign keys
        cursor.execute("SET maintenance_work_mem = '1GB'")
        connection.commit()
    else:
        for pragma in _FAST:
            cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _drop_sqlite(connection: Connection) -> list[str]:
    query = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    parts = connection.exec_driver_sql(query).all()
    for kind, name, _ in parts:
        connection.exec_driver_sql(f"DROP {kind} {name}")
    return ["INSERT INTO search_index(search_index) VALUES ('rebuild')", *(sql for _, _, sql in parts)]


def _drop_postgresql(connection: Connection) -> list[str]:
    """Not those of constraints."""
    query = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND NOT EXISTS "
        "(SELECT 1 FROM pg_constraint WHERE conname = indexname)"
    )
    parts = connection.exec_driver_sql(query).all()
    for name, _ in parts:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    return [definition for _, definition in parts]


def _load_words(database: Database) -> None:
    entries: Any = getattr(SearchEntry, "__table__")  # noqa: B009
    for kind, model in _INDEXED.items():
        ids: list[int] = [0]
        while ids:
            with database.session_scope() as session:
                number = col(getattr(model, "id"))  # noqa: B009
                ids = list(session.exec(select(number).where(number > ids[-1]).order_by(number).limit(_AT_ONCE)))
                words = WORDS_OF[kind](session, ids) if ids else {}
                rows = [{"entry": entry_of(kind, id_), "words": " ".join(words[id_])} for id_ in sorted(words)]
                if rows:
                    load_rows(session, entries, {}, rows)


def set_sequences(database: Database) -> None:
    """PostgreSQL's next numbers come after the newest of each table."""
    if database.is_sqlite:
        return
    with database.session_scope() as session:
        for table in SQLModel.metadata.sorted_tables:
            named = f"pg_get_serial_sequence('{table.name}', 'id')"
            if "id" in table.c and session.connection().exec_driver_sql(f"SELECT {named}").scalar():
                newest = f"(SELECT coalesce(max(id), 1) FROM {table.name})"
                session.connection().exec_driver_sql(f"SELECT setval({named}, {newest})")


def settle(database: Database) -> None:
    """What PostgreSQL would do by itself in the hours after: its planner learns, and pages are known to hold nothing old."""
    if not database.is_sqlite:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
