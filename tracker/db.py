"""The main database: engine, the one scope that commits, migrations."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, DateTime, Engine, TypeDecorator, create_engine, event, text
from sqlmodel import Session, SQLModel

from tracker.settings import Settings

_ROOT = Path(__file__).resolve().parent.parent
# Constraints get names that are the same everywhere, so that migrations can speak of them.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_MIGRATION_LOCK = 7_140_042  # any number, the same in every process of ours


class UtcDateTime(TypeDecorator[datetime]):
    """A point of time. Aware UTC in Python; naive UTC in SQLite, ``timestamptz`` in PostgreSQL."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time cannot be stored; give it a zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """One engine and its scopes. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self.is_sqlite = settings.is_sqlite
        if self.is_sqlite:
            settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.engine = _engine(settings.database_url)
        self._reading = self.engine.execution_options(inkling_reads=True)

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        """A session that commits when the block ends and rolls back when it raises. Everything that writes goes through here."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session
            session.commit()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads: on SQLite it takes no write lock and sees one consistent state. Never commits."""
        with Session(self._reading, expire_on_commit=False, autoflush=False) as session:
            yield session

    def migrate(self) -> None:
        """Brings the database to the newest revision. Safe when several processes do it at once."""
        with self.engine.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            command.upgrade(alembic_config(connection), "head")

    def revision(self) -> tuple[str | None, str | None]:
        """The revision of the database and the newest one we know."""
        with self.engine.connect() as connection:
            here = MigrationContext.configure(connection).get_current_revision()
        return here, ScriptDirectory.from_config(alembic_config()).get_current_head()

    def is_current(self) -> bool:
        here, newest = self.revision()
        return here == newest

    def close(self) -> None:
        self.engine.dispose()


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; with a connection, migrations run on it and inside its transaction."""
    config = Config()
    inside = _ROOT / "alembic"
    config.set_main_option("script_location", str(inside if inside.is_dir() else Path(__file__).parent / "_alembic"))
    config.attributes["connection"] = connection
    return config


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=10, max_overflow=10, pool_pre_ping=True, hide_parameters=True)
    engine = create_engine(url, connect_args={"timeout": 15}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling commits before DDL; ours must not.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=15000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that begins as a reader and writes later fails at once when another wrote in between; so writers lock first.
    reads = connection.get_execution_options().get("inkling_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
