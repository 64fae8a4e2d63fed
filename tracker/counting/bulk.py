"""Many rows at once, past the ORM: the driver's own ways, which are several times faster than one statement per row.

SQLite takes them through ``executemany``, PostgreSQL through COPY and through one UPDATE over arrays.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Dialect, Table, text
from sqlmodel import Session

Row = Mapping[str, Any]
Processor = Callable[[Any], Any]


def reserve_ids(session: Session, table: Table, count: int) -> range | list[int]:
    """Numbers for so many new rows. (SQLite: the transaction holds the only write lock, so nobody else takes them.)"""
    if session.get_bind().dialect.name == "sqlite":
        newest = session.connection().execute(text(f"SELECT coalesce(max(id), 0) FROM {table.name}")).scalar_one()  # noqa: S608
        return range(newest + 1, newest + 1 + count)
    statement = text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)")
    return list(session.connection().execute(statement, {"name": table.name, "count": count}).scalars())


def append_rows(session: Session, table: Table, rows: Sequence[Row]) -> None:
    """Inserts rows; all have the same columns."""
    if not rows:
        return
    names = tuple(rows[0])
    dialect = session.get_bind().dialect
    values = _values(rows, names, _processors(table, names, dialect))
    with _cursor(session) as cursor:
        if dialect.name == "sqlite":
            marks = ", ".join("?" * len(names))
            cursor.executemany(f"INSERT INTO {table.name} ({_listed(names)}) VALUES ({marks})", values)  # noqa: S608
            return
        with cursor.copy(f"COPY {table.name} ({_listed(names)}) FROM STDIN") as copy:
            for row in values:
                copy.write_row(row)


def update_rows(session: Session, table: Table, rows: Sequence[Row], key: str = "id") -> None:
    """Updates rows by ``key``; all have the same columns, the key among them."""
    if not rows:
        return
    names = tuple(name for name in rows[0] if name != key)
    dialect = session.get_bind().dialect
    values = _values(rows, (*names, key), _processors(table, (*names, key), dialect))
    with _cursor(session) as cursor:
        if dialect.name == "sqlite":
            sets = ", ".join(f'"{name}" = ?' for name in names)
            cursor.executemany(f"UPDATE {table.name} SET {sets} WHERE {key} = ?", values)  # noqa: S608
        else:
            by_column = [list(column) for column in zip(*values, strict=True)]
            cursor.execute(_update_over_arrays(table, names, key, dialect), by_column)


def _update_over_arrays(table: Table, names: tuple[str, ...], key: str, dialect: Dialect) -> str:
    columns = (*names, key)
    arrays = ", ".join(f"%s::{table.c[name].type.compile(dialect)}[]" for name in columns)
    sets = ", ".join(f'"{name}" = new."{name}"' for name in names)
    source = f"unnest({arrays}) AS new ({_listed(columns)})"
    return f"UPDATE {table.name} SET {sets} FROM {source} WHERE {table.name}.{key} = new.{key}"  # noqa: S608


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _values(rows: Sequence[Row], names: Sequence[str], processors: Sequence[Processor | None]) -> list[list[Any]]:
    """The rows as the driver takes them. Times repeat, so each is put into its form once."""
    pick = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
    values = [list(pick(row)) for row in rows]
    for place, process in enumerate(processors):
        if process is None:
            continue
        times: dict[datetime, Any] = {}
        for row in values:
            value = row[place]
            if type(value) is not datetime:
                row[place] = process(value)
            elif value in times:
                row[place] = times[value]
            else:
                row[place] = times[value] = process(value)
    return values


@lru_cache(maxsize=256)
def _processors(table: Table, names: tuple[str, ...], dialect: Dialect) -> tuple[Processor | None, ...]:
    """How each column's values go to the driver: times, JSON."""
    return tuple(table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names)


def _cursor(session: Session) -> Any:
    """The driver's own cursor, closed in the end."""
    return closing(session.connection().connection.cursor())
