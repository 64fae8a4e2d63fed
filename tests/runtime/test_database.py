"""The database on both engines: migrations equal the models, writers wait for each other, readers do not write."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError, StatementError
from sqlmodel import Session, SQLModel, select

from tests.fixtures.contexts import ENGINES, People
from tests.servers import SmtpSink
from tests.servers.forked_python import start_python
from tracker.consent.preferences import DEFAULTS, preference, set_preference
from tracker.models import Account, FeedItem, Preference, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import Database, NewerDatabase, UtcDateTime, now
from tracker.runtime.settings import read_settings


@pytest.fixture(params=ENGINES)
def environ(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The settings of an empty database, once on each engine."""
    values = {"INKLING_DATA_DIR": str(tmp_path)}
    if request.param == "postgresql":
        values["INKLING_DATABASE_URL"] = request.getfixturevalue("postgresql_url")
    return values


@contextmanager
def opened(environ: dict[str, str]) -> Iterator[Database]:
    database = Database(read_settings(environ, dotenv=None))
    try:
        yield database
    finally:
        database.close()


WORDS = re.compile("search_index(_[a-z]+)?|ix_search_entry_words(_[0-4])?")
"""Each database's own index of words, which the models do not know: see :mod:`tracker.models.search`."""


def _is_ours(_thing: object, name: str | None, *_: object) -> bool:
    return not WORDS.fullmatch(name or "")


def differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True, "include_object": _is_ours}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), SQLModel.metadata))


def test_migrations_from_nothing_equal_the_models(environ: dict[str, str]) -> None:
    with opened(environ) as database:
        assert not database.is_current()
        assert database.revision()[0] is None
        database.migrate()
        assert database.is_current()
        with database.engine.connect() as connection:
            assert differences(connection) == [], "models and migrations differ: run alembic revision --autogenerate"
            tables = {name for name in inspect(connection).get_table_names() if not WORDS.fullmatch(name)}
        assert tables == set(SQLModel.metadata.tables) | {"alembic_version"}


def test_constraints_have_the_same_names_on_both(environ: dict[str, str]) -> None:
    """So that a migration can speak of them. (SQLite keeps no names of primary keys.)"""
    with opened(environ) as database:
        database.migrate()
        with database.engine.connect() as connection:
            inspector = inspect(connection)
            names = {
                constraint["name"]
                for table in SQLModel.metadata.tables
                for constraint in [*inspector.get_unique_constraints(table), *inspector.get_foreign_keys(table)]
            }
    assert None not in names
    assert "uq_recipient_lookup" in names
    assert "fk_delivery_message_id" in names


def test_migrating_twice_changes_nothing(environ: dict[str, str]) -> None:
    with opened(environ) as database:
        database.migrate()
        with database.session_scope() as session:
            set_preference(session, "recipient_limit", 3)
        database.migrate()
        with database.reading() as session:
            assert preference(session, "recipient_limit") == 3
        assert database.is_current()


_MIGRATE = """
import json, sys
from tracker.runtime.database import Database
from tracker.runtime.settings import read_settings
database = Database(read_settings(json.loads(sys.argv[1]), dotenv=None))
print("ready", flush=True)
sys.stdin.readline()
database.migrate()
print(database.is_current())
database.close()
"""


def test_processes_that_migrate_at_once(environ: dict[str, str]) -> None:
    words = ["-W", "error", "-c", _MIGRATE, json.dumps(environ)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes: list[Any] = [start_python(words, text=True, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60) for process in processes] == [("True\n", "")] * 3
    with opened(environ) as database, database.engine.connect() as connection:
        assert differences(connection) == []


def test_a_database_of_a_newer_version_is_left_alone(context: AppContext) -> None:
    assert not context.database.is_newer()
    with context.database.session_scope() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert context.database.is_newer()
    assert not context.database.is_current()
    with pytest.raises(NewerDatabase, match="newer version of Inkling"):
        context.database.migrate()
    assert context.database.revision()[0] == "9999"


def test_a_table_made_anew_keeps_what_refers_to_it(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    """SQLite changes a table by copying it and dropping the old one, which must not cascade."""
    people.account(people.user(), smtp_sink)
    with context.database.migrating() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table(
            "user_account", recreate="always" if context.database.is_sqlite else "auto"
        ) as table:
            table.alter_column("name", nullable=True)
    with context.database.reading() as session:
        assert len(session.exec(select(Account)).all()) == 1
    assert _cascades(context), "foreign keys are on again"


def _cascades(context: AppContext) -> bool:
    with context.database.session_scope() as session:
        session.delete(session.exec(select(User)).one())
    with context.database.reading() as session:
        return session.exec(select(Account)).all() == []


def test_a_migration_that_fails_leaves_everything_as_it_was(context: AppContext) -> None:
    def fail() -> None:
        with context.database.migrating() as connection:
            connection.execute(text("CREATE TABLE half_done (id INTEGER)"))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with context.database.engine.connect() as connection:
        assert "half_done" not in inspect(connection).get_table_names()


# times


def test_times_come_back_as_they_went_in(context: AppContext) -> None:
    tokyo = datetime(2026, 3, 29, 3, 30, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    with context.database.session_scope() as session:
        session.add(Preference(name="moment", value=None, changed_at=tokyo))
    with context.database.reading() as session:
        read = session.get_one(Preference, "moment").changed_at
        assert (read, read.utcoffset()) == (tokyo, timedelta(0))
        assert session.exec(select(Preference).where(Preference.changed_at == tokyo)).all()
        assert not session.exec(select(Preference).where(Preference.changed_at > tokyo)).all()


def test_a_time_without_a_zone_is_refused(context: AppContext) -> None:
    naive = datetime(2026, 3, 29, 3, 30)  # noqa: DTZ001
    with (
        pytest.raises(StatementError, match="a naive time cannot be stored"),
        context.database.session_scope() as session,
    ):
        session.add(Preference(name="moment", value=None, changed_at=naive))
    with pytest.raises(StatementError, match="a naive time cannot be stored"), context.database.reading() as session:
        session.exec(select(Preference).where(Preference.changed_at > naive)).all()


def test_every_time_in_the_models_has_its_zone() -> None:
    wrong = [
        str(column)
        for table in SQLModel.metadata.tables.values()
        for column in table.columns
        if "DATETIME" in str(column.type).upper() and not isinstance(column.type, UtcDateTime)
    ]
    assert wrong == [], "give these columns sa_type=UtcDateTime"


# scopes


def test_a_scope_commits_whole_or_not_at_all(context: AppContext) -> None:
    def fail() -> None:
        with context.database.session_scope() as session:
            set_preference(session, "recipient_limit", 4)
            session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with context.database.reading() as session:
        assert preference(session, "recipient_limit") == DEFAULTS["recipient_limit"]


@pytest.mark.parametrize(
    "write",
    [
        lambda session: session.execute(text("DELETE FROM preference")),
        lambda session: (session.add(Preference(name="a", value=1)), session.flush()),
        lambda session: (session.add(Preference(name="a", value=1)), session.commit()),
    ],
    ids=["statement", "flush", "commit"],
)
def test_reading_never_writes(context: AppContext, write: Callable[[Session], object]) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)read-?only"), context.database.reading() as session:
        write(session)
    with context.database.session_scope() as session:  # on the same connection of the pool
        set_preference(session, "footer", False)
    with context.database.reading() as session:
        assert [row.name for row in session.exec(select(Preference))] == ["footer"]


def test_writers_wait_for_each_other(context: AppContext) -> None:
    """Each reads before it writes: were the lock taken only at the write, SQLite would refuse it ("database is locked")."""
    with context.database.session_scope() as session:
        user = User(email="alice@seller.example", name="Alice")
        session.add(user)
    start, raised = threading.Barrier(4), []

    def write() -> None:
        start.wait()
        try:
            for _ in range(15):
                with context.database.session_scope() as session:
                    assert session.get_one(User, user.id).active
                    session.add(FeedItem(user_id=user.id or 0, kind="message", subject="a"))
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    with context.database.reading() as session:
        assert len(session.exec(select(FeedItem)).all()) == 60


def test_a_writer_whose_turn_never_comes_is_told_so(context: AppContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """In SQLAlchemy's terms, by which tasks know that the same may be tried again; the connection is as good as before."""
    if not context.database.is_sqlite:
        pytest.skip("PostgreSQL's writers wait for rows, not for the file")
    monkeypatch.setattr("tracker.runtime.engine.BUSY_SECONDS", 0.05)
    with context.database.session_scope() as first:
        set_preference(first, "footer", False)
        first.flush()
        with pytest.raises(OperationalError), context.database.session_scope() as second:
            set_preference(second, "footer", True)
    with context.database.session_scope() as third:
        assert preference(third, "footer") is False
        set_preference(third, "footer", True)


def test_a_reader_does_not_wait_for_a_writer(context: AppContext) -> None:
    with context.database.session_scope() as writer:
        set_preference(writer, "footer", False)
        writer.flush()
        with context.database.reading() as reader:
            assert preference(reader, "footer") is True, "what is not committed is not seen"
    with context.database.reading() as reader:
        assert preference(reader, "footer") is False


def test_what_was_deleted_is_scrubbed_by_a_connection_that_others_read_with(context: AppContext) -> None:
    """Any connection of the pool may be left so that it refuses to write, VACUUM too."""
    if context.database.is_sqlite:
        event.listen(context.database.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA query_only=ON"))
    context.database.scrub()


def test_the_clock_is_utc() -> None:
    assert now().tzinfo is UTC


def test_a_further_connection_leaves_the_locks_of_the_process_alone(tmp_path: Path) -> None:
    """To close a descriptor of the file would end them, and another process would take away the log that we write to."""
    database = Database(read_settings({"INKLING_DATA_DIR": str(tmp_path)}, dotenv=None))
    database.migrate()
    path = tmp_path / "inkling.sqlite3"
    other = (
        f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('SELECT * FROM process').fetchall(); c.close()"
    )
    with database.reading() as session:
        session.exec(select(User)).all()
        with database.engine.connect():  # a connection of its own, while the first holds the lock
            subprocess.run([sys.executable, "-c", other], check=True)
            assert path.with_name("inkling.sqlite3-wal").exists()
    database.close()


def test_postgresql_starts_neither_processes_nor_a_compiler_for_a_statement(
    postgresql_url: str, tmp_path: Path
) -> None:
    environ = {"INKLING_DATA_DIR": str(tmp_path), "INKLING_DATABASE_URL": postgresql_url}
    with opened(environ) as database, database.engine.connect() as connection:
        connection.rollback()  # what a connection is told once stays
        names = ("jit", "max_parallel_workers_per_gather")
        assert [connection.execute(text(f"SHOW {name}")).scalar() for name in names] == ["off", "0"]
