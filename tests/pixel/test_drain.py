"""The drain: hits in order for who has the key, and confirmed by asking for what comes after."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixel.hits import Hit
from pixel.tokens import open_path
from tests.pixel.edge_server import DRAIN_KEY, Reply, RunningEdge, running_edge
from tests.servers.processes import wait_until

BEARER = {"Authorization": f"Bearer {DRAIN_KEY}"}


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[RunningEdge]:
    with running_edge(tmp_path, drain_key=DRAIN_KEY) as running:
        yield running


def _hits(reply: Reply) -> list[Hit]:
    assert (reply.status, reply.header("content-type")) == (200, "application/x-ndjson")
    return [Hit.from_json(line) for line in reply.body.splitlines()]


def test_hits_come_in_order_and_are_confirmed_by_the_next_call(edge: RunningEdge) -> None:
    tokens = [edge.open_token() for _ in range(5)]
    for token in tokens:
        edge.ask(open_path(token), User_Agent="Агент".encode().decode("latin-1"))
    first = _hits(edge.ask("/drain?after=0&limit=2", **BEARER))
    assert [hit.token for hit in first] == tokens[:2]
    assert first == edge.hits()[:2]
    assert _hits(edge.ask("/drain?after=0&limit=2", **BEARER)) == first, "nothing is confirmed by reading"
    rest = _hits(edge.ask(f"/drain?after={first[1].id}", **BEARER))
    assert [hit.token for hit in rest] == tokens[2:]
    wait_until(lambda: edge.hits() == rest)
    assert _hits(edge.ask(f"/drain?after={rest[-1].id}", **BEARER)) == []
    wait_until(lambda: edge.hits() == [])


def test_what_is_confirmed_may_be_less_than_what_is_read(edge: RunningEdge) -> None:
    path = open_path(edge.open_token())
    for _ in range(6):
        edge.ask(path)
    waiting = edge.hits()
    for confirmed in (0, waiting[1].id):
        reply = edge.ask(f"/drain?after={waiting[4].id}&confirmed={confirmed}", **BEARER)
        assert _hits(reply) == waiting[5:]
        assert reply.header("inkling-last-id") == str(waiting[5].id)
        assert reply.header("inkling-spools") == "1"
    wait_until(lambda: edge.hits() == waiting[2:])
    above = edge.ask(f"/drain?after=0&confirmed={(waiting[5].id or 0) + 1}", **BEARER)
    assert above.status == 409
    assert [edge.ask(f"/drain?after=0&{odd}", **BEARER).status for odd in ("confirmed=x", "spool=-1", "spool=2")] == [
        400,
        400,
        404,
    ]
    assert edge.hits() == waiting[2:]


def test_many_confirmed_hits_go_in_slices(edge: RunningEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixel.spool._PRUNE_SLICE", 2)
    path = open_path(edge.open_token())
    for _ in range(9):
        edge.ask(path)
    rest = edge.hits()[7:]
    _hits(edge.ask(f"/drain?after={(rest[0].id or 0) - 1}", **BEARER))
    wait_until(lambda: edge.hits() == rest)


def test_who_waits_gets_the_next_hit_as_soon_as_it_is_on_disk(edge: RunningEdge) -> None:
    token, replies = edge.open_token(), []
    waiting = threading.Thread(target=lambda: replies.append(edge.ask("/drain?after=0&wait=20", **BEARER)))
    started = time.monotonic()
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    edge.ask(open_path(token))
    waiting.join(10)
    assert [hit.token for hit in _hits(replies[0])] == [token]
    assert time.monotonic() - started < 10
    assert [hit.token for hit in _hits(edge.ask("/drain?after=0&wait=20", **BEARER))] == [token], "it is there already"


def test_who_waits_in_vain_is_told_so_in_time(edge: RunningEdge) -> None:
    started = time.monotonic()
    assert _hits(edge.ask("/drain?after=0&wait=1", **BEARER)) == []
    assert 0.9 < time.monotonic() - started < 10
    assert edge.ask("/drain?after=0&wait=x", **BEARER).status == 400


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {DRAIN_KEY}x",
        f"bearer{DRAIN_KEY}",
        f"Basic {DRAIN_KEY}",
        DRAIN_KEY,
        "Bearer ÿ",
    ],
)
def test_without_the_key_there_is_nothing(edge: RunningEdge, authorization: str | None) -> None:
    edge.ask(open_path(edge.open_token()))
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = edge.ask("/drain?after=0", **headers)
    assert (reply.status, reply.header("www-authenticate")) == (401, "Bearer")
    assert b"token" not in reply.body
    assert len(edge.hits()) == 1


def test_no_key_configured_means_no_drain(tmp_path: Path) -> None:
    with running_edge(tmp_path) as edge:
        assert edge.ask("/drain?after=0", **BEARER).status == 404
        assert edge.ask("/drain?after=0", Authorization="Bearer ").status == 404
        assert edge.ask("/drain?after=0", Authorization="Bearer None").status == 404


@pytest.mark.parametrize(
    "query", ["after=x", "after=-1", "after=1.5", "limit=0", "limit=-1", "limit=x", "after=" + "9" * 30, "after=²"]
)
def test_questions_that_make_no_sense_change_nothing(edge: RunningEdge, query: str) -> None:
    edge.ask(open_path(edge.open_token()))
    assert edge.ask(f"/drain?{query}", **BEARER).status == 400
    assert len(edge.hits()) == 1


def test_a_place_in_another_spool_is_refused(edge: RunningEdge) -> None:
    """Taking it for a confirmation would throw away everything unread."""
    edge.ask(open_path(edge.open_token()))
    reply = edge.ask(f"/drain?after={edge.spool.last_id() + 1}", **BEARER)
    assert (reply.status, len(edge.hits())) == (409, 1)


def test_head_confirms_nothing(edge: RunningEdge) -> None:
    edge.ask(open_path(edge.open_token()))
    (hit,) = edge.hits()
    reply = edge.ask(f"/drain?after={hit.id}", "HEAD", **BEARER)
    assert (reply.status, reply.header("allow")) == (405, "GET")
    edge.ask(open_path(edge.open_token()))
    assert hit in edge.hits()


def test_the_limit_has_a_limit(edge: RunningEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixel.endpoints._MAX_DRAIN_LIMIT", 3)
    path = open_path(edge.open_token())
    for _ in range(5):
        edge.ask(path)
    assert len(_hits(edge.ask("/drain?limit=1000000", **BEARER))) == 3
