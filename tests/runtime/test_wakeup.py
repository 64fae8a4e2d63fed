"""Waking: a commit wakes who waits for its tables, in this process and in others, and nobody else."""

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest
from sqlmodel import Session, insert, update

from pixel.hits import Hit
from pixel.spool import Spool
from tests.servers import wait_until
from tests.servers.forked_python import run_python
from tracker.models import FeedItem, PolicyChange, User
from tracker.models.counting.bulk import append_rows, update_rows
from tracker.runtime.context import AppContext
from tracker.runtime.database import WATCHED, now
from tracker.runtime.wakeup import Subscription
from tracker.worker import tasks

_WRITE = """
import json, sys
from tracker.runtime.context import create_context
from tracker.models import User
from tracker.runtime.settings import read_settings
context = create_context(read_settings(json.loads(sys.argv[1]), dotenv=None))
with context.database.session_scope() as session:
    session.add(User(email="b@seller.example", name="B"))
context.database.close()
"""


def subscription(context: AppContext, *tables: str) -> Subscription:
    """One that has just looked; other processes are heard by then."""
    made = context.database.wakeups.subscribe(tables)
    wait_until(lambda: _listens(context))
    made.clear()
    return made


def user(session: Session) -> User:
    made = User(email="a@seller.example", name="A")
    session.add(made)
    session.flush()
    return made


def test_a_commit_wakes_those_who_wait_for_its_tables(context: AppContext) -> None:
    users, feed = subscription(context, "user_account", "notice"), subscription(context, "feed_item")
    with context.database.session_scope() as session:
        user(session)
        session.flush()
        assert not users.wait(0), "nothing is committed yet"
    assert users.wait(0)
    assert not feed.wait(0)


@pytest.mark.parametrize("kind", ["orm", "insert", "update", "append", "update rows"])
def test_every_way_of_writing_wakes(context: AppContext, kind: str) -> None:
    with context.database.session_scope() as session:
        someone = user(session)
    row: dict[str, Any] = {"user_id": someone.id, "kind": "message", "subject": "x", "at": now()}
    with context.database.session_scope() as session:
        session.add(FeedItem(**row))
    feed = subscription(context, "feed_item")
    with context.database.session_scope() as session:
        table = FeedItem.__table__  # type: ignore[attr-defined]
        if kind == "orm":
            session.add(FeedItem(**row))
        elif kind == "insert":
            session.exec(insert(FeedItem).values(**row))
        elif kind == "update":
            session.exec(update(FeedItem).values(subject="y"))
        elif kind == "append":
            append_rows(session, table, [row])
        else:
            update_rows(session, table, [{"id": 1, "subject": "z"}])
    assert feed.wait(0), kind


def test_neither_reading_nor_a_rollback_nor_other_tables_wake(context: AppContext) -> None:
    everything = subscription(context, *WATCHED)
    with context.database.reading() as session:
        session.get(User, 1)
    with suppress(LookupError), context.database.session_scope() as session:
        user(session)
        raise LookupError
    with context.database.session_scope() as session:
        session.add(PolicyChange(name="footer", before=False, after=True, at=now()))
    assert not everything.wait(0)


def test_another_process_is_heard(context: AppContext) -> None:
    users = subscription(context, "user_account")
    environ = {
        "INKLING_DATA_DIR": str(context.settings.data_dir),
        "INKLING_DATABASE_URL": context.settings.database_url,
    }
    if context.database.is_sqlite:
        del environ["INKLING_DATABASE_URL"]
    run_python(["-c", _WRITE, json.dumps(environ)]).check_returncode()
    assert users.wait(10)


def _listens(context: AppContext) -> bool:
    if context.database.is_sqlite:
        return any((context.settings.data_dir / "wake").iterdir())
    with context.database.engine.connect() as connection:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'inkling wake-ups'"
        listening = f"{sql} AND query LIKE 'LISTEN%%' AND state = 'idle'"
        return bool(connection.exec_driver_sql(listening).scalar_one())


def test_a_listener_whose_connection_broke_comes_back_and_wakes_everybody(context: AppContext) -> None:
    if context.database.is_sqlite:
        return
    users = subscription(context, "user_account")
    with context.database.engine.connect() as connection:
        sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'inkling wake-ups'"
        connection.exec_driver_sql(sql)
    assert users.wait(20), "something may have been missed"


def test_who_waits_no_more_leaves_no_socket_and_no_thread(context: AppContext) -> None:
    waiting = subscription(context, "user_account")
    context.database.wakeups.unsubscribe(waiting)
    assert list((context.settings.data_dir / "wake").iterdir()) == []
    with context.database.session_scope() as session:
        user(session)
    assert not waiting.wait(0)


def test_hits_on_disk_wake_who_drains_them(context: AppContext) -> None:
    waiting = subscription(context, "spool")
    spool = Spool(context.settings.data_dir / "spool.sqlite3")
    hit = Hit(id=None, received_at=now(), kind="open", token="t", delivery="d", link=None, method="GET", client="192.0.2.1",
              http_version="1.1", headers={}, self_user=None)  # fmt: skip
    assert asyncio.run(spool.append(hit))
    assert waiting.wait(5)
    spool.close()


def test_the_socket_of_a_killed_process_is_taken_away(context: AppContext) -> None:
    folder = context.settings.data_dir / "wake"
    code = "import socket,sys,os; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); s.bind(sys.argv[1]); os._exit(0)"
    folder.mkdir(mode=0o700, exist_ok=True)
    subprocess.run([sys.executable, "-c", code, "dead"], check=True, cwd=folder, timeout=30)
    waiting = subscription(context, "user_account")
    with context.database.session_scope() as session:
        user(session)
    if context.database.is_sqlite:
        assert "dead" not in {path.name for path in folder.iterdir()}
    context.database.wakeups.unsubscribe(waiting)


def test_what_tasks_watch_is_told(context: AppContext) -> None:
    watched = {table for task in tasks(context) for table in task.watches}
    assert watched <= WATCHED | {"spool"}


def test_two_commits_before_anybody_looked_wake_once(context: AppContext) -> None:
    users = subscription(context, "user_account")
    with context.database.session_scope() as session:
        user(session)
    with context.database.session_scope() as session:
        session.exec(update(User).values(name="C"))
    assert users.wait(0)
    users.clear()
    assert not users.wait(0.05)
