"""The pool of connections to PostgreSQL: what is asked of the server before a connection is used again."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.servers import wait_until
from tracker.runtime import engine
from tracker.runtime.context import AppContext


def test_a_connection_that_was_just_used_is_used_again_without_asking(
    context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    if context.database.is_sqlite:
        return
    dialect, pings = context.database.engine.dialect, list[Any]()
    ping = dialect.do_ping

    def counted(connection: Any) -> bool:
        pings.append(connection)
        return ping(connection)

    monkeypatch.setattr(dialect, "do_ping", counted)
    numbers = {_number(context) for _ in range(5)}
    asked = len(pings)
    assert (len(numbers), asked) == (1, 0)
    monkeypatch.setattr(engine, "_SILENT_SECONDS", 0.0)
    assert {_number(context)} == numbers
    assert len(pings) == asked + 1, "after a long silence it is asked"


def test_a_connection_that_the_server_ended_is_made_anew(context: AppContext) -> None:
    if context.database.is_sqlite:
        return
    with context.database.reading() as session, context.database.reading() as other:
        other.connection()
        raw: Any = session.connection().connection.driver_connection
        ended = session.connection().execute(text("SELECT pg_backend_pid()")).scalar_one()
        session.commit()
        other.connection().execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": ended})
    wait_until(lambda: engine._has_something_to_say(raw))
    assert ended not in {_number(context) for _ in range(3)}


def _number(context: AppContext) -> int:
    """Of the server's process that answers."""
    with context.database.reading() as session:
        return int(session.connection().execute(text("SELECT pg_backend_pid()")).scalar_one())
