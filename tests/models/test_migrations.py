"""An installation of an earlier revision is carried over: every row is there afterwards, in every column that is still there."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from sqlalchemy import JSON, Boolean, Connection, DateTime, LargeBinary, MetaData, Numeric, Table, select
from sqlalchemy.types import Date, Float, Integer

from tests.runtime.test_database import environ, opened  # noqa: F401  (a fixture)
from tracker.models.search_index import TEXTS
from tracker.runtime.database import Database
from tracker.runtime.revisions import _config

MOMENT = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
GONE = {"worker_beat", "sign_in_failure", "alembic_version"}


def migrate_to(database: Database, revision: str) -> None:
    with database.migrating() as connection:
        command.upgrade(_config(connection), revision)


def tables_of(connection: Connection) -> list[Table]:
    metadata = MetaData()
    metadata.reflect(connection)
    return metadata.sorted_tables


def row_for(table: Table, is_sqlite: bool) -> dict[str, Any]:
    """A row whose keys lead to the first row of other tables."""
    row: dict[str, Any] = {}
    for column in table.columns:
        kind = column.type
        if isinstance(kind, Boolean):
            row[column.name] = True
        elif isinstance(kind, Integer | Numeric | Float):
            row[column.name] = 1
        elif isinstance(kind, DateTime):
            row[column.name] = MOMENT.replace(tzinfo=None) if is_sqlite else MOMENT
        elif isinstance(kind, Date):
            row[column.name] = MOMENT.date()
        elif isinstance(kind, LargeBinary):
            row[column.name] = b"sealed"
        elif isinstance(kind, JSON):
            row[column.name] = {"a": 1}
        else:
            length = getattr(kind, "length", None) or 20
            row[column.name] = f"{column.name}"[:length]
    for key in table.foreign_keys:
        row[key.parent.name] = "digest" if key.column.name == "digest" else 1
    return row


def everything(connection: Connection) -> dict[str, dict[str, Any]]:
    return {
        table.name: dict(connection.execute(select(table)).mappings().one())
        for table in tables_of(connection)
        if table.name not in GONE
    }


def test_rows_of_the_first_revision_are_kept(environ: dict[str, str]) -> None:  # noqa: F811
    with opened(environ) as database:
        migrate_to(database, "0001")
        with database.engine.connect() as connection, connection.begin():
            for table in tables_of(connection):
                if table.name != "alembic_version":
                    connection.execute(table.insert().values(row_for(table, database.is_sqlite)))
        with database.engine.connect() as connection:
            before = everything(connection)
        assert len(before) > 45
        database.migrate()
        with database.engine.connect() as connection:
            columns = {table.name: set(table.columns.keys()) for table in tables_of(connection)}
            after = {
                table.name: dict(connection.execute(select(table)).mappings().one())
                for table in tables_of(connection)
                if table.name in before
            }
    for name, row in before.items():
        values = {column: value for column, value in row.items() if column in columns[name]}
        assert {column: after[name][column] for column in values} == values, name
    assert after["delivery"]["account_id"] == before["message"]["account_id"]
    assert after["notice"]["rung_at"] is not None, "its bell line was written before"


def test_nothing_leads_back(environ: dict[str, str]) -> None:  # noqa: F811
    with opened(environ) as database:
        database.migrate()
        with pytest.raises(NotImplementedError, match="backup"), database.migrating() as connection:
            command.downgrade(_config(connection), "0001")


def test_every_text_that_is_searched_is_watched_by_triggers(environ: dict[str, str]) -> None:  # noqa: F811
    """A migration that makes a table anew on SQLite loses them: it has to make them again."""
    with opened(environ) as database:
        database.migrate()
        with database.engine.connect() as connection:
            named = "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'"
            if not database.is_sqlite:
                named = "SELECT event_object_table FROM information_schema.triggers"
            watched = Counter(connection.exec_driver_sql(named).scalars())
    # inserted, changed and deleted; and a recipient's name changes the mail to them
    wanted = Counter(dict.fromkeys(TEXTS, 3)) + Counter({"recipient": 1})
    assert {table: watched[table] for table in TEXTS} == dict(wanted)
