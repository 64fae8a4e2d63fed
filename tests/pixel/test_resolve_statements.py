"""What a crowd of visitors costs the disk: requests that come together share their statements and their commits."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pixel.app import EdgeApp, create_app
from pixel.lease_store import LeaseStore, states_query
from pixel.settings import EdgeSettings
from pixel.site_drafts import Completion
from tests.pixel.edge_server import KEY as EDGE_KEY
from tests.pixel.snippet_site import KEY, pool, rule, snapshot

VISITORS = 100
LISTED = tuple(f"p{number}@site.example" for number in range(2_000))
RULES = {
    "a long code each": rule(pool()),
    "a short code each": rule(pool(), substitution="auto_short"),
    "an address of a pool each": rule(pool(addresses=LISTED), substitution="manual_pool"),
}


async def _resolved(app: EdgeApp, visitor: str, **more: Any) -> dict[str, Any]:
    body = json.dumps({"key": KEY, "visitor": visitor, "page": "https://127.0.0.1/?utm_source=a", **more}).encode()
    agent = b"Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0"
    scope = {"type": "http", "method": "POST", "path": "/et/v1/resolve", "headers": [(b"user-agent", agent)]}
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        said.append(message)

    await app({**scope, "client": ("127.0.0.1", 1)}, receive, send)
    answer: dict[str, Any] = json.loads(said[1]["body"])
    return answer


@contextmanager
def _traced(app: EdgeApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every statement of the spool and of the store of visitors, as SQLite runs it."""
    statements: list[str] = []
    connect = LeaseStore._connect

    def connected(store: LeaseStore) -> Any:
        connection = connect(store)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(LeaseStore, "_connect", connected)
    assert app.spool is not None
    app.spool._connection.set_trace_callback(statements.append)
    yield statements


async def _written(app: EdgeApp, visits: int) -> None:
    """On a busy machine an answer may not have waited for the disk."""
    while app.spool is not None and app.spool.metrics.written < visits:
        await app.spool.news()


def _waited_for(statements: list[str]) -> list[str]:
    """The commits before an answer: what is remembered of visitors is written between two batches."""
    return [
        line
        for before, line in pairwise(statements)
        if line.startswith("COMMIT") and not before.startswith("INSERT OR REPLACE INTO visitor")
    ]


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_a_hundred_visitors_cost_a_handful_of_statements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: dict[str, Any]
) -> None:
    tmp_path.joinpath("sites.json").write_text(json.dumps(snapshot(rules=[rules])))

    async def crowd() -> None:
        app = create_app(EdgeSettings(data_dir=tmp_path, keys=(EDGE_KEY,)))
        await app.start()
        with _traced(app, monkeypatch) as statements:
            await asyncio.gather(*(_resolved(app, f"early-visitor-{n}") for n in range(VISITORS)))
            await _written(app, VISITORS)
            statements.clear()  # the pool was read, and a stock of codes made
            seen = [await asyncio.gather(*(_resolved(app, f"visitor-{n}") for n in range(VISITORS)))]
            await _written(app, 2 * VISITORS)
            first = list(statements)
            statements.clear()
            seen.append(await asyncio.gather(*(_resolved(app, f"visitor-{n}") for n in range(VISITORS))))
            await _written(app, 3 * VISITORS)
            second = list(statements)
        await app.stop()
        shown = [[answer["rules"][0]["show"] for answer in answers] for answers in seen]
        assert len(set(shown[0])) == VISITORS
        assert shown[0] == shown[1], "who comes again sees what they saw"
        for round in (first, second):
            assert len(round) <= 14, "\n".join(line[:80] for line in round)
            assert len(_waited_for(round)) <= 2, "\n".join(line[:80] for line in round)

    asyncio.run(crowd())


def test_who_is_remembered_is_remembered_by_the_next_start(tmp_path: Path) -> None:
    tmp_path.joinpath("sites.json").write_text(json.dumps(snapshot()))

    async def visit() -> Any:
        app = create_app(EdgeSettings(data_dir=tmp_path, keys=(EDGE_KEY,)))
        await app.start()
        answer = await _resolved(app, "visitor-1")
        await app.stop()
        return answer["session"], answer["rules"]

    assert asyncio.run(visit()) == asyncio.run(visit())


def test_visitors_are_looked_up_by_their_key_however_many_there_are(tmp_path: Path) -> None:
    store = LeaseStore(tmp_path / "visitors.sqlite3")
    connection = store._connect()
    query, number = states_query(5)
    plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", ["x"] * 2 * number).fetchall()
    store.close()
    assert any(
        "SEARCH visitor USING INDEX sqlite_autoindex_visitor_1 (site=? AND visitor=?)" in row[3] for row in plan
    ), plan
    assert not any("SCAN visitor" in row[3] for row in plan), plan


def test_an_edge_without_websites_makes_no_store(tmp_path: Path) -> None:
    completion = Completion(LeaseStore(tmp_path / "visitors.sqlite3"))
    assert completion([]) == []
    completion.close()
    assert list(tmp_path.iterdir()) == []
