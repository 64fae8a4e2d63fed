"""What recurs reads by an index: the plans of every statement that the worker's tasks run, on both databases."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, update
from sqlmodel import Session, SQLModel, col, select

from tests.bench.ingest import fill_spool
from tests.bench.ingest_world import make_hits, send_out
from tests.bench.letters import filled
from tests.fixtures.contexts import People
from tests.privacy.test_privacy_data import a_life
from tests.servers import SmtpSink
from tracker.models import Event, Mailbox, Message, Notification, User
from tracker.notifications.notify import feed_after, newest_feed_id
from tracker.privacy.erase import erase
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.health import collect_metrics
from tracker.web.today.activity import read_activity
from tracker.web.today.rows import read_today
from tracker.worker import ONCE, Task, tasks

FEW = frozenset(
    {
        *("user_account", "account", "api_token", "credential", "mailbox", "mailbox_folder", "mailbox_listening"),
        *(
            "webhook_endpoint",
            "site",
            "site_edge",
            "oauth_grant",
            "preference",
            "policy_change",
            "job",
            "process",
            "lease",
            "host_health",
            "drain_cursor",
            "drain_backlog",
        ),
        *(
            "message_template",
            "notice_text",
            "alembic_version",
            "scanner_network",
            "push_subscription",
            "push_delivery",
        ),
    }
)
"""Tables with a row for each person, mailbox or setting, or for what is in hand just now: these may be read whole."""
COPIES = 3000


class Statements:
    """What was said to the database, once each, with the values of its first time."""

    def __init__(self) -> None:
        self.first: dict[str, Any] = {}
        self.count = 0

    def note(self, _connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        self.count += 1
        self.first.setdefault(statement, values[0] if many else values)


@contextmanager
def noted(context: AppContext) -> Iterator[Statements]:
    statements = Statements()
    event.listen(context.database.engine, "before_cursor_execute", statements.note)
    try:
        yield statements
    finally:
        event.remove(context.database.engine, "before_cursor_execute", statements.note)


@pytest.fixture
def grown(context: AppContext, people: People, smtp_sink: SmtpSink) -> AppContext:
    """Thousands of copies with their hits, letters, a person who was erased, and something due for most tasks."""
    alice = people.user()
    account = people.account(alice, smtp_sink)
    fill_spool(context, make_hits(send_out(context, COPIES), 300))
    a_life(context, people, alice)
    erase(context, "anna@client.example", f"user:{alice.id}")
    people.send(alice, "luc@other.example")
    filled(context, 2000)
    with context.database.session_scope() as session:
        past = now() - timedelta(minutes=1)
        session.execute(update(User).where(col(User.id) == alice.id).values(digest_at=past, quiet_ends_at=past))
        session.execute(update(Mailbox).values(due_at=past, broken_at=past))
        newest = session.exec(select(Message)).first()
        assert newest is not None
        newest.follow_up_at = newest.sent_copy_at = past
        newest.sent_copy, newest.account_id = "wanted", account.id
        session.add(newest)
        # SQLite keeps figures of its tables only where somebody asked for them, and none of ours do.
        session.connection().exec_driver_sql("DELETE FROM sqlite_stat1" if context.database.is_sqlite else "ANALYZE")
    context.database.engine.dispose()
    return context


def test_no_task_reads_a_growing_table_from_end_to_end(grown: AppContext) -> None:
    table = [task for task in tasks(grown) if task.period < ONCE]
    with noted(grown) as statements:
        for task in table:
            _run(grown, task)
        with grown.database.reading() as session:
            feed_after(session, None, newest_feed_id(session))
            collect_metrics(session)
            _read_pages(session)
        for task in table:
            if task.end is not None:
                task.end(grown, 10.0)
    _make_old(grown)
    with noted(grown) as sweeping:
        _run(grown, next(task for task in table if task.what == "sweep"))
    statements.first |= sweeping.first
    assert len(statements.first) > 60, "the tasks did nothing"
    whole = read_whole(grown, statements)
    assert not whole, "\n".join(whole)


def _read_pages(session: Session) -> None:
    """What the pages of a day read, for everybody."""
    for user in session.exec(select(User)):
        read_today(session, user)
        read_activity(session, user)


def _run(context: AppContext, task: Task) -> None:
    for _ in range(3):
        if not task.function(context):
            break
    if task.due is not None:
        with context.database.reading() as session:
            task.due(session)


def _make_old(context: AppContext) -> None:
    with context.database.session_scope() as session:
        long_ago = now() - timedelta(days=4000)
        session.execute(update(Event).values(at=long_ago, settle_at=None))
        session.execute(update(Notification).values(at=long_ago))


def read_whole(context: AppContext, statements: Statements) -> list[str]:
    """The tables that grow and that some statement would read from end to end, each with the statement."""
    return [line for text, values in statements.first.items() for line in whole_tables(context, text, values)]


def whole_tables(context: AppContext, statement: str, values: Any) -> list[str]:
    """The tables that grow and that the statement would read from end to end."""
    if not statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")):
        return []
    with context.database.engine.connect() as connection, connection.begin() as transaction:
        plan = _sqlite_plan if context.database.is_sqlite else _postgresql_plan
        tables = plan(connection, statement, values)
        transaction.rollback()
    return [f"{table}: {' '.join(statement.split())[:300]}" for table in tables if table not in FEW]


def _sqlite_plan(connection: Connection, statement: str, values: Any) -> list[str]:
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    names = set(SQLModel.metadata.tables)
    return [table for row in rows if (table := _scanned(row[3], statement)) in names]


def _scanned(step: str, statement: str) -> str:
    words = step.split()
    if words[:1] != ["SCAN"] or _by_partial_index(words):
        return ""
    name = words[1]
    if name in SQLModel.metadata.tables:
        return name
    for before, word, after in zip(statement.split(), statement.split()[1:], statement.split()[2:], strict=False):
        if word == "AS" and after.strip("(),") == name:
            return before.strip("(),")
    return ""


def _by_partial_index(words: Sequence[str]) -> bool:
    """A part of a table that holds only what is open is small, and read whole."""
    partial = {
        index.name
        for table in SQLModel.metadata.tables.values()
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    return bool(partial.intersection(words))


def _postgresql_plan(connection: Connection, statement: str, values: Any) -> list[str]:
    """With scans forbidden one is planned only where no index can serve at all."""
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).fetchone()  # type: ignore[misc]
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return list(_scans(plan[0]["Plan"]))


def _scans(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield node["Relation Name"]
    for inner in node.get("Plans", ()):
        yield from _scans(inner)
