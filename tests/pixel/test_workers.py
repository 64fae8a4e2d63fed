"""Several workers of one edge on one port: who answers, what is written where, who is started again, who is left."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pixel.hits import Hit
from pixel.lease_store import LeaseStore, Shares
from pixel.pool_leases import PoolLease
from pixel.site_rules import read_snapshot
from pixel.spool import SpoolError, SpoolReader, spool_path, spool_paths
from pixel.tokens import Tokens, new_public_id, open_path
from pixel.visit_sessions import VisitorState
from pixel.visit_sources import Source
from tests.pixel.edge_client import ask_until_the_end
from tests.pixel.edge_server import (
    DRAIN_KEY,
    KEY,
    ROOT,
    EdgeProcess,
    edge_environment,
    edge_process,
    question,
    read_reply,
    running_edge,
)
from tests.pixel.snippet_site import KEY as SITE_KEY
from tests.pixel.snippet_site import pool, rule, snapshot
from tests.servers.processes import free_port, wait_until

BEARER = {"Authorization": f"Bearer {DRAIN_KEY}"}
UNLIMITED = {"INKLING_HITS_PER_SOURCE": "0", "INKLING_DRAIN_KEY": DRAIN_KEY}
TOKENS = Tokens([KEY])


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _written(data_dir: Path) -> dict[int, list[str]]:
    """The tokens in each spool."""
    written = {}
    for number, path in spool_paths(data_dir).items():
        with SpoolReader(path) as reader:
            written[number] = [hit.token for hit in reader.after(0, 1_000_000)]
    return written


def _all_up(edge: EdgeProcess, workers: int) -> bool:
    """Each runs, and has made its spool."""
    if len(_children(edge.process.pid)) != workers:
        return False
    try:
        return len(_written(edge.data_dir)) == workers
    except (SpoolError, sqlite3.OperationalError):  # one has a file, but no table in it yet
        return False


def _grew_beyond(answered: list[str], number: int) -> bool:
    return len(answered) > number


def _replaced(edge: EdgeProcess, victim: int) -> bool:
    return len(set(_children(edge.process.pid)) - {victim}) == 2


def _asked(edge: EdgeProcess, times: int) -> list[str]:
    """Opens, each over a connection of its own."""
    tokens = [TOKENS.open(new_public_id()) for _ in range(times)]
    for token in tokens:
        assert edge.ask(open_path(token)).status == 200
    return tokens


def test_workers_share_the_port_each_with_a_spool_and_are_drained_as_one_edge(tmp_path: Path) -> None:
    with edge_process(tmp_path, UNLIMITED, timeout=20, workers=3) as edge:
        wait_until(lambda: _all_up(edge, 3))
        tokens = _asked(edge, 60)
        written = _written(tmp_path)
        assert sorted(token for each in written.values() for token in each) == sorted(tokens), "once each"
        assert sum(bool(each) for each in written.values()) > 1, "several workers answer"
        drained: list[str] = []
        for number in (1, 2, 3):
            reply = edge.ask(f"/drain?after=0&spool={number}", **BEARER)
            assert reply.header("inkling-spools") == "1,2,3"
            hits = [Hit.from_json(line) for line in reply.body.splitlines()]
            drained += [hit.token for hit in hits]
            for _ in range(4):  # whichever worker is asked confirms for the one that writes
                edge.ask(f"/drain?after={hits[-1].id if hits else 0}&spool={number}", **BEARER)
        assert sorted(drained) == sorted(tokens)
        wait_until(lambda: not any(_written(tmp_path).values()))
        assert edge.ask("/drain?after=0&spool=4", **BEARER).status == 404
        edge.stop()
        assert edge.process.returncode == 0


def test_who_waits_for_hits_of_one_spool_hears_of_those_of_another(tmp_path: Path) -> None:
    with edge_process(tmp_path, UNLIMITED, timeout=20, workers=2) as edge:
        wait_until(lambda: _all_up(edge, 2))
        before = {number: len(tokens) for number, tokens in _written(tmp_path).items()}
        replies: list[bytes] = []
        waiting = threading.Thread(target=lambda: replies.append(edge.ask("/drain?after=0&wait=20", **BEARER).body))
        began = time.monotonic()
        waiting.start()
        wait_until(lambda: any((tmp_path / "wake").glob("edge-*")) if (tmp_path / "wake").exists() else False)
        while {number: len(tokens) for number, tokens in _written(tmp_path).items()}[2] == before[2]:
            _asked(edge, 1)
        waiting.join(15)
        assert replies
        assert time.monotonic() - began < 18, "not only when the time was over"
        assert not any((tmp_path / "wake").glob("edge-*")), "nobody listens any more"


def test_a_killed_worker_is_started_again_and_no_answered_hit_is_lost(tmp_path: Path) -> None:
    answered: list[str] = []
    with edge_process(tmp_path, UNLIMITED, timeout=20, workers=2) as edge:
        wait_until(lambda: _all_up(edge, 2))
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():  # a connection ends with its worker, and the next one goes to whoever lives
                ask_until_the_end(edge.port, TOKENS, answered)

        clients = [threading.Thread(target=ask) for _ in range(6)]
        for client in clients:
            client.start()
        for _ in range(3):
            victim = _children(edge.process.pid)[0]
            so_far = len(answered)
            wait_until(partial(_grew_beyond, answered, so_far + 20))
            os.kill(victim, signal.SIGKILL)
            wait_until(partial(_replaced, edge, victim))
        stop.set()
        said = edge.stop()
        for client in clients:
            client.join(20)
    written = Counter(token for tokens in _written(tmp_path).values() for token in tokens)
    assert set(answered) <= set(written)
    assert max(written.values()) == 1
    assert said.count("is started again") == 3


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_edge(tmp_path: Path, end: signal.Signals) -> None:
    with edge_process(tmp_path, workers=2) as edge:
        wait_until(lambda: _all_up(edge, 2))
        workers = _children(edge.process.pid)
        edge.process.send_signal(end)
        edge.process.wait(20)
        wait_until(lambda: not any(_lives(pid) for pid in workers))
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", edge.port))


@pytest.mark.parametrize(
    ("problem", "said"),
    [("port", "cannot be used"), ("spool", "another process writes"), ("number", "from 1 to 64")],
)
def test_what_cannot_begin_says_so_once_and_leaves_nobody(tmp_path: Path, problem: str, said: str) -> None:
    port = free_port()
    command = [sys.executable, "-m", "pixel", "--port", str(port), "--workers", "0" if problem == "number" else "2"]
    with socket.create_server(("127.0.0.1", port if problem == "port" else 0)), running_edge(tmp_path / "spool"):
        folder = tmp_path / problem
        ran = subprocess.run(
            command, cwd=ROOT, env=edge_environment(folder), capture_output=True, text=True, timeout=30
        )
    assert ran.returncode in (1, 2)
    assert said in ran.stderr


def test_workers_share_the_budget_of_a_token(tmp_path: Path) -> None:
    with edge_process(tmp_path, {"INKLING_HITS_PER_TOKEN": "10"}, timeout=20, workers=2) as edge:
        wait_until(lambda: _all_up(edge, 2))
        path = open_path(TOKENS.open(new_public_id()))
        for _ in range(50):
            assert edge.ask(path).status == 200
        assert (
            10 <= sum(len(tokens) for tokens in _written(tmp_path).values()) <= 12
        )  # two may count at the same moment


def test_a_spool_of_a_worker_that_is_no_more_is_drained_and_goes(tmp_path: Path) -> None:
    with edge_process(tmp_path, UNLIMITED, timeout=20, workers=2) as edge:
        wait_until(lambda: _all_up(edge, 2))
        while not _written(tmp_path)[2]:
            _asked(edge, 1)
        edge.stop()
    with edge_process(tmp_path, UNLIMITED, timeout=20) as edge:
        hits = [Hit.from_json(line) for line in edge.ask("/drain?after=0&spool=2", **BEARER).body.splitlines()]
        assert hits
        edge.ask(f"/drain?after={hits[-1].id}&spool=2", **BEARER)
        wait_until(lambda: 2 not in spool_paths(tmp_path))
        assert edge.ask("/drain?after=0&spool=1", **BEARER).header("inkling-spools") == "1"


SHORT_POOL = tuple(f"p{number}@site.example" for number in range(40))


@pytest.mark.parametrize(
    ("rules", "least"),
    [
        (rule(pool()), 120),
        (rule(pool(addresses=SHORT_POOL), substitution="manual_pool"), len(SHORT_POOL)),
        (rule(pool(), substitution="auto_short"), 120),
    ],
    ids=["long codes", "a pool of forty", "short codes"],
)
def test_workers_never_show_one_address_to_two_visitors_and_leave_none_over(
    tmp_path: Path, rules: dict[str, object], least: int
) -> None:
    tmp_path.joinpath("sites.json").write_text(json.dumps(snapshot(rules=[rules])))
    shown: list[tuple[str, str]] = []
    again: list[tuple[str, str]] = []
    with edge_process(tmp_path, UNLIMITED, timeout=20, workers=2) as edge:
        wait_until(lambda: _all_up(edge, 2))

        def visit(some: range, pairs: list[tuple[str, str]]) -> None:
            for number in some:  # each over a connection of its own: whichever worker it meets
                pairs.extend(_resolved(edge.port, f"visitor-{number:04d}"))

        def see_the_same_twice() -> bool:
            before = list(again)
            again.clear()
            visit(range(120), again)
            return again == before

        crowd = [threading.Thread(target=visit, args=(range(at, at + 20), shown)) for at in range(0, 120, 20)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        wait_until(see_the_same_twice)
        said = edge.stop()
    assert len({address for address, _ in again}) == len(again) == least
    if "without the store" not in said:  # on a machine that is overrun one worker does not wait for the other's writing
        assert sorted(again) == sorted(shown), "whichever worker they meet, they see what they saw"


def _resolved(port: int, visitor: str) -> list[tuple[str, str]]:
    body = json.dumps({"key": SITE_KEY, "visitor": visitor, "page": "https://127.0.0.1/"}).encode()
    asked = question("/et/v1/resolve", "POST", Content_Length=str(len(body)), User_Agent="Mozilla/5.0 Chrome/142.0")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(asked + body)
        answer = json.loads(read_reply(connection).body)
    return [(each["show"], visitor) for each in answer["rules"]]


def _stores(data_dir: Path, number: int) -> list[LeaseStore]:
    return [LeaseStore(data_dir / "visitors.sqlite3", shared=True) for _ in range(number)]


def _no_patterns(_text: str) -> Callable[[str], bool]:
    return lambda _: False


def test_two_stores_on_one_file_give_an_address_once_and_see_each_others_releases(tmp_path: Path) -> None:
    made = read_snapshot(snapshot(rules=[rule(pool(addresses=SHORT_POOL), substitution="manual_pool")]), _no_patterns)
    (dynamic,) = made.sites[SITE_KEY].rules
    shares, stores = Shares(made), _stores(tmp_path, 2)

    def lease(number: int, visitor: str, at: int) -> PoolLease | None:
        with stores[number % 2].batch(durable=True) as store:
            return store.lease(shares.of(dynamic, dynamic.pools[0]), dynamic, dynamic.pools[0], visitor, at)

    addresses = [lease(number, f"v{number}", 1_000 + number) for number in range(len(SHORT_POOL))]
    assert {each.address for each in addresses if each} == set(SHORT_POOL)
    assert lease(0, "late", 2_000) is lease(1, "late", 2_000) is None
    with stores[0].batch() as store:
        store.forget(SITE_KEY, "v7", 3_000)
    freed = lease(1, "late", 4_000)
    assert freed is not None
    assert addresses[7] is not None
    assert freed.address == addresses[7].address
    assert lease(0, "later", 5_000) is None
    held = [lease(number + 1, f"v{number}", 6_000) for number in range(7)]
    assert [each and each.address for each in held] == [each and each.address for each in addresses[:7]]
    for each in stores:
        each.close()


def test_a_store_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    (store,) = _stores(tmp_path, 1)
    with store.batch():
        pass
    store.close()
    import sqlite3

    with sqlite3.connect(tmp_path / "visitors.sqlite3") as old:
        old.execute("DROP INDEX lease_change")
        old.execute("ALTER TABLE lease DROP COLUMN change")
        old.execute("INSERT INTO lease VALUES ('p', 'a@site.example', 'v', 1, 2)")
        old.execute("DROP TABLE visitor")
        old.execute(
            "CREATE TABLE visitor (site TEXT, visitor TEXT, seen_at INTEGER, state TEXT, PRIMARY KEY (site, visitor)) WITHOUT ROWID"
        )
        old.execute("CREATE INDEX visitor_seen ON visitor (seen_at)")
        source = Source("std:direct", "Direct", "direct")
        state = VisitorState("v", "s", 1, 1, 5, source, source, 1)
        old.execute("INSERT INTO visitor VALUES ('site', 'v', 5, ?)", (state.text,))
    old.close()
    for _ in range(2):
        with store.batch([("site", "v")], durable=True):
            assert store.state("site", "v") == state
        store.close()
    with store.batch():
        assert store.forget_old(6)
    with store.batch([("site", "v")]):
        assert store.state("site", "v") is None
    store.close()
    assert spool_path(tmp_path, 3).name == "spool-3.sqlite3"
