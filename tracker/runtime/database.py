"""The main database: engine, the one scope that commits, migrations."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    DateTime,
    Table,
    Text,
    TypeDecorator,
    Update,
    UpdateBase,
    event,
    text,
)
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, SQLModel

from tracker.runtime.engine import new_engine
from tracker.runtime.group_commit import GroupCommit
from tracker.runtime.localized_text import restored, stored
from tracker.runtime.remembered import Remembered
from tracker.runtime.settings import Settings
from tracker.runtime.wakeup import CHANNEL, WakeUps

T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K")
V = TypeVar("V")

# Constraints get names that are the same everywhere, so that migrations can speak of them.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_SECONDS_TO_WRITE = 2.0
SMALL_PAGES = 100_000
"""Pages of a file (of 4 KB) that is small enough to be written anew while others wait."""
_MIGRATION_LOCK = 7_140_042  # any number, the same in every process of ours


_NOTIFY = text("SELECT pg_notify(:channel, :message)")
WATCHED = frozenset(
    {
        *("account", "consent_entry", "delivery", "domain_profile", "event", "feed_item", "hit_aside", "hit_evidence"),
        *("credential", "mailbox", "mailbox_listening", "mailbox_problem", "message", "notice", "scanner_proof"),
        *(
            "site",
            "site_block",
            "site_edge",
            "site_rule",
            "site_source",
            "customer_import",
            "enquiry_status",
            "push_delivery",
            "tracking_pause",
            "user_account",
            "webhook_delivery",
            "webhook_endpoint",
        ),
        *("api_token", "user_session", "preference", "host_health"),
    }
)
"""The tables whose changes somebody waits for; of the others nobody is told."""


@dataclass(frozen=True, eq=False)
class BeforeCommit:
    """What :meth:`Database.session_scope` does before it commits a transaction that wrote one of these columns."""

    columns: Mapping[str, frozenset[str]]
    """Of each table."""
    function: Callable[[Session], None]

    def concerns(self, statement: UpdateBase, rows: Sequence[Mapping[str, Any]]) -> bool:
        table = getattr(statement.table, "name", "")
        if table not in self.columns:
            return False
        if not isinstance(statement, Update):
            return True
        values: Iterable[Any] = getattr(statement, "_values", None) or ()
        names = {getattr(column, "name", column) for column in values} | set(rows[0] if rows else ())
        return not names.isdisjoint(self.columns[table])


BEFORE_COMMIT: list[BeforeCommit] = []
"""Registered by the packages whose rows follow from others'."""


class NewerDatabase(Exception):
    """The database belongs to a newer version of Inkling."""

    def __init__(self) -> None:
        super().__init__(
            "The database was migrated by a newer version of Inkling. Install that version, or a backup from before."
        )


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
        return None if value is None else value.astimezone(UTC)

    def result_processor(self, dialect: Any, coltype: object) -> Any:
        """SQLite's text is read in one step: times are a tenth of everything that a page or a batch reads."""
        return _time_of_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _time_of_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")


class LocalizedTextColumn(TypeDecorator[str]):
    """A text column that keeps a :class:`LocalizedText` whole: JSON in the database, that class in Python."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else stored(value)

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else restored(value)


class Database:
    """One engine and its scopes. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self.is_sqlite = settings.is_sqlite
        if self.is_sqlite:
            settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.engine = new_engine(settings.database_url)
        event.listen(self.engine, "before_execute", self._note_write)
        listened = self.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.wakeups = WakeUps(settings.data_dir, None if self.is_sqlite else listened)
        self._written = threading.local()
        self.info: dict[Any, Any] = {"written": self.note_written}
        """What every session carries along."""
        self._groups: dict[Any, GroupCommit[Any, Any]] = {}
        self._remembered: dict[Any, Remembered[Any, Any]] = {}
        self._hurried = self.engine.execution_options(inkling_hurried=True)
        self._reading = self.engine.execution_options(inkling_reads=True, postgresql_readonly=True)

    @contextmanager
    def session_scope(self, *, hurried: bool = False, hooks: bool = True) -> Iterator[Session]:
        """A session that commits when the block ends and rolls back when it raises. Everything that writes goes through here.

        One that is ``hurried`` writes what may be left out: it waits for nobody, and raises ``OperationalError`` instead. Without
        ``hooks`` what follows from its rows (:data:`BEFORE_COMMIT`) is left to the worker.

        After the commit everybody is woken who waits for changes of the tables that were written.
        """
        outer, tables = getattr(self._written, "tables", None), set[str]()
        outer_hooks, concerned = getattr(self._written, "hooks", None), set[BeforeCommit]()
        self._written.tables, self._written.hooks = tables, concerned if hooks else None
        try:
            with Session(self._hurried if hurried else self.engine, expire_on_commit=False, info=self.info) as session:
                if hurried and not self.is_sqlite:
                    session.execute(text("SET LOCAL lock_timeout = '100ms'"))
                yield session
                session.flush()
                for hook in list(concerned):
                    hook.function(session)
                if tables and not self.is_sqlite:
                    message = self.wakeups.message(tables)
                    session.execute(_NOTIFY, {"channel": CHANNEL, "message": message})
                session.commit()
        finally:
            self._written.tables, self._written.hooks = outer, outer_hooks
        if tables:
            self.wakeups.changed(tables)
            if self.is_sqlite:
                self.wakeups.tell_folder(tables)

    def commit_together(self, write: Callable[[Sequence[T]], Sequence[R]], item: T) -> Future[R]:
        """Has ``write`` called with this item and whatever else is waiting for it: see :class:`GroupCommit`."""
        group = self._groups.get(write) or self._groups.setdefault(write, GroupCommit(write))
        return group.put(item)

    def remembered(self, read: Callable[[Session, K], V], key: K, tables: Collection[str]) -> V:
        """What ``read`` says, from memory as long as no commit changes one of the tables: see :class:`Remembered`."""
        answers = self._remembered.get(read)
        if answers is None:
            answers = Remembered(partial(self._ask, read), self.wakeups, tables)
            answers = self._remembered.setdefault(read, answers)
        return answers.get(key)  # type: ignore[no-any-return]

    def _ask(self, read: Callable[[Session, K], V], key: K) -> V:
        with self.reading() as session:
            return read(session, key)

    def _note_write(self, _connection: Connection, statement: object, rows: Any, row: Any, _options: object) -> None:
        if isinstance(statement, UpdateBase):
            self._note_table(getattr(statement.table, "name", ""))
            self._note_hooks(lambda hook: hook.concerns(statement, rows or ([row] if row else ())))

    def note_written(self, table: str) -> None:
        """The transaction of this thread writes a table in a way that SQLAlchemy does not see."""
        self._note_table(table)
        self._note_hooks(lambda hook: table in hook.columns)

    def _note_hooks(self, is_concerned: Callable[[BeforeCommit], bool]) -> None:
        hooks: set[BeforeCommit] | None = getattr(self._written, "hooks", None)
        if hooks is not None:
            hooks.update(hook for hook in BEFORE_COMMIT if hook not in hooks and is_concerned(hook))

    def _note_table(self, table: str) -> None:
        tables: set[str] | None = getattr(self._written, "tables", None)
        if tables is not None and table in WATCHED:
            tables.add(table)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads: on SQLite it takes no write lock and sees one consistent state. Writing raises an error."""
        with Session(self._reading, expire_on_commit=False, autoflush=False, info=self.info) as session:
            yield session

    def check_writable(self) -> None:
        """Raises what keeps a transaction from being begun that writes for seconds: a lock, a standby server, a read-only file."""
        until = time.monotonic() + _SECONDS_TO_WRITE
        while True:
            try:
                with self.session_scope(hurried=True) as session:
                    session.execute(text("SELECT 1" if self.is_sqlite else "SELECT pg_current_xact_id()"))
                return
            except OperationalError:
                if time.monotonic() > until:
                    raise

    def forget_deleted(self) -> None:
        """Takes what was deleted out of SQLite's write-ahead file, where it stands until it is written over by chance.

        (In the database file itself deleted rows are overwritten at once. PostgreSQL does its own vacuuming.) When somebody
        reads just then, what is left waits for the next call.
        """
        if self.is_sqlite:
            with self.engine.connect() as connection:
                raw: Any = connection.connection.driver_connection
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def learn(self, *tables: Table) -> None:
        """Tells PostgreSQL's planner how large tables have become that grew many times over in a moment; it would find out by
        itself a minute later. SQLite plans by its rules, whatever the size."""
        if not self.is_sqlite:
            with self.engine.connect() as connection, connection.begin():
                connection.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in tables)}")

    def migrate(self) -> None:
        """Brings the database to the newest revision. Safe when several processes do it at once.

        Raises :class:`NewerDatabase`.
        """
        from tracker.runtime.revisions import upgrade

        with self.migrating() as connection:
            if self._is_newer(connection):
                raise NewerDatabase
            upgrade(connection)

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A transaction that nobody else migrates in, and in which SQLite tables may be made anew."""
        with self.engine.connect() as connection, self._without_foreign_keys(connection), connection.begin():
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            yield connection
            if self.is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()):
                raise RuntimeError(f"the migration would leave rows that refer to nothing: {broken[:5]}")

    @contextmanager
    def _without_foreign_keys(self, connection: Connection) -> Iterator[None]:
        # SQLite changes a table by making it anew; with foreign keys on, dropping the old one would delete what refers to it.
        # The pragma does nothing inside a transaction, so it goes to the driver before one begins.
        raw: Any = connection.connection.driver_connection
        if not self.is_sqlite:
            yield
            return
        raw.execute("PRAGMA foreign_keys=OFF")
        try:
            yield
        finally:
            raw.execute("PRAGMA foreign_keys=ON")

    def revision(self) -> tuple[str | None, str | None]:
        """The revision of the database and the newest one we know."""
        from tracker.runtime.revisions import newest_revision, revision_of

        with self._reading.connect() as connection:
            return revision_of(connection), newest_revision()

    def is_current(self) -> bool:
        here, newest = self.revision()
        return here == newest

    def is_newer(self) -> bool:
        """Whether a newer version of Inkling has migrated this database: to a revision we never heard of."""
        with self._reading.connect() as connection:
            return self._is_newer(connection)

    def _is_newer(self, connection: Connection) -> bool:
        from tracker.runtime.revisions import is_known, revision_of

        here = revision_of(connection)
        return here is not None and not is_known(here)

    def scrub(self) -> None:
        """Makes sure that what was deleted is not left in the file's free space. (PostgreSQL's own vacuum sees to its rows.)"""
        if not self.is_sqlite:
            return
        self._merge_words()
        with self.engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            if raw.execute("PRAGMA page_count").fetchone()[0] < SMALL_PAGES:
                raw.execute("PRAGMA query_only=OFF")  # who had the connection before may have read
                raw.execute("VACUUM")
        self.forget_deleted()

    def _merge_words(self) -> None:
        """What was taken out of the index of words stands in it until its parts are merged (FTS5, section 6.8); step by step, so
        that others write in between."""
        step = "INSERT INTO search_index(search_index, rank) VALUES ('merge', -2000)"
        while True:
            with self.engine.connect() as connection, connection.begin():
                raw: Any = connection.connection.driver_connection
                before = raw.total_changes
                raw.execute(step)
                if raw.total_changes - before < 2:
                    return

    def close(self) -> None:
        for group in self._groups.values():
            group.close()
        self._groups.clear()
        self._remembered.clear()
        self.wakeups.close()
        self.engine.dispose()


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
