"""A spool that is locked, full or gone: answers go out all the same, and every loss can be seen. Traps E12, F17, G28."""

import os
import resource
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pixel.answers import PIXEL
from pixel.spool import SpoolReader, damaged_files
from pixel.tokens import Tokens, click_path, new_public_id, open_path
from tests.pixel.edge_server import KEY, EdgeProcess, RunningEdge, edge_process, running_edge
from tests.servers.processes import wait_until


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the write lock."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_e12_locked_spool_answers_counts_and_recovers(tmp_path: Path) -> None:
    with running_edge(tmp_path) as edge:
        opening, click = edge.open_token(), edge.click_token("https://example.org/")
        with locked(edge.spool.path):
            # these answers come while the lock is held: nothing else could let them go
            assert edge.ask(open_path(opening)).body == PIXEL
            assert edge.ask(click_path(click)).location == "https://example.org/"
            assert edge.app.metrics()["hits_lost"] == 2
            health = edge.ask("/healthz")
            assert health.status == 503
            assert b'"lost": 2' in health.body
            assert b"cannot be written" in health.body
            assert edge.hits() == []
        wait_until(lambda: edge.ask("/healthz").status == 200)
        wait_until(lambda: [hit.token for hit in edge.hits()] == [opening, click])
        counts = {name: count for name, count in edge.app.metrics().items() if not name.startswith("visits_")}
        assert counts | {"commits": 0} == {
            "hits_written": 2,
            "hits_lost": 2,
            "hits_rescued": 2,
            "hits_over_budget": 0,
            "commits": 0,
        }
        assert b'"lost": 2, "rescued": 2' in edge.ask("/healthz").body


def test_f17_many_clients_are_all_answered_while_the_spool_is_locked(tmp_path: Path) -> None:
    with running_edge(tmp_path) as edge:
        path = click_path(edge.click_token("https://example.org/"))
        answered: list[int] = []
        askers = [threading.Thread(target=lambda: answered.append(edge.ask(path).status)) for _ in range(40)]
        with locked(edge.spool.path):
            for asker in askers:
                asker.start()
            for asker in askers:
                asker.join()
            assert answered == [302] * 40
            assert edge.app.metrics()["hits_lost"] == 40
        wait_until(lambda: len(edge.hits()) == 40)
        assert edge.app.metrics()["hits_rescued"] == 40


def _limit_files(edge: EdgeProcess, size: int) -> None:
    _, hard = resource.prlimit(edge.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(edge.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def test_e12_a_full_disk_loses_no_answer_and_says_so(tmp_path: Path) -> None:
    """The system refuses the process any growth of a file, as a full disk does."""
    tokens = Tokens([KEY])
    first, second = tokens.open(new_public_id()), tokens.open(new_public_id())
    with edge_process(tmp_path) as edge, edge.reader() as reader:
        _limit_files(edge, 0)
        assert edge.ask(open_path(first)).body == PIXEL
        assert edge.ask("/healthz").status == 503
        assert reader.after(0) == []
        _limit_files(edge, resource.RLIM_INFINITY)
        wait_until(lambda: edge.ask("/healthz").status == 200)
        assert edge.ask(open_path(second)).body == PIXEL
        wait_until(lambda: {hit.token for hit in reader.after(0)} == {first, second})


def test_e12_a_deleted_spool_is_made_anew_with_what_it_held(tmp_path: Path) -> None:
    with running_edge(tmp_path / "data") as edge:
        tokens = [edge.open_token() for _ in range(3)]
        edge.ask(open_path(tokens[0]))
        last = edge.spool.last_id()
        for file in edge.spool.path.parent.glob("spool.sqlite3*"):
            file.unlink()
        edge.ask(open_path(tokens[1]))
        assert [hit.token for hit in edge.hits()] == tokens[:2]
        assert all((hit.id or 0) > last for hit in edge.hits())
        edge.ask(open_path(tokens[2]))
        assert [hit.token for hit in edge.hits()] == tokens


def test_e12_a_folder_that_is_gone_is_a_loss_that_shows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_edge(tmp_path / "data") as edge:
        token = edge.open_token()
        shutil.move(tmp_path / "data", tmp_path / "elsewhere")
        assert edge.ask(open_path(token)).body == PIXEL
        assert edge.app.metrics()["hits_lost"] == 1
        assert edge.ask("/healthz").status == 503
        shutil.move(tmp_path / "elsewhere", tmp_path / "data")
        wait_until(lambda: edge.ask("/healthz").status == 200)
        wait_until(lambda: [hit.token for hit in edge.hits()] == [token])
    assert token not in caplog.text


def test_waiting_hits_do_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixel.spool._MAX_WAITING", 5)
    with running_edge(tmp_path) as edge:
        path = open_path(edge.open_token())
        with locked(edge.spool.path):
            assert [edge.ask(path).body for _ in range(8)] == [PIXEL] * 8
            assert edge.app.metrics()["hits_lost"] == 8
        wait_until(lambda: edge.app.metrics()["hits_rescued"] == 5)
        assert len(edge.hits()) == 5


def test_a_mistake_of_ours_is_a_loss_and_not_a_broken_image(
    edge: RunningEdge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    token = edge.open_token()
    lost = edge.app.metrics()["hits_lost"]
    with monkeypatch.context() as patch:
        patch.setattr("pixel.endpoints.row_from_request", None)
        assert edge.ask(open_path(token), User_Agent="a person").body == PIXEL
    assert edge.app.metrics()["hits_lost"] == lost + 1
    assert "a hit was lost: TypeError" in caplog.text
    assert token not in caplog.text
    assert "a person" not in caplog.text


def noise_at_the_head(path: Path) -> None:
    path.write_bytes(os.urandom(16384) + path.read_bytes()[16384:])


def noise_in_the_middle(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + os.urandom(4096) + content[8192:])


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


def text_instead(path: Path) -> None:
    path.write_text("this is no database, but it is long enough to be taken for one" * 100)


@pytest.mark.parametrize("damage", [noise_at_the_head, noise_in_the_middle, cut_off, text_instead])
def test_a_damaged_spool_is_moved_aside_and_a_new_one_begun_above_its_ids(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    with running_edge(tmp_path) as edge:
        for _ in range(200):
            edge.ask(open_path(edge.open_token()))
        last = edge.spool.last_id()
    path = tmp_path / "spool.sqlite3"
    damage(path)
    (tmp_path / "spool.sqlite3.above").write_text(
        str(last + 7 * 86400 * 1_000_000)
    )  # as a clock that ran ahead leaves it
    with running_edge(tmp_path) as edge:
        assert edge.ask("/healthz").status == 200
        assert edge.ask(open_path(edge.open_token())).body == PIXEL
        (hit,) = edge.spool.after(0)
        assert (hit.id or 0) > last + 7 * 86400 * 1_000_000 - 1
    (quarantined,) = damaged_files(path)
    assert quarantined.stat().st_mode & 0o077 == 0
    assert "THE SPOOL IS DAMAGED" in caplog.text


def test_a_spool_that_is_damaged_while_the_edge_runs_is_replaced(tmp_path: Path) -> None:
    with running_edge(tmp_path) as edge:
        for _ in range(50):
            edge.ask(open_path(edge.open_token()))
        last = edge.spool.last_id()
        edge.spool._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with (tmp_path / "spool.sqlite3").open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 4096 * 20)
        edge.spool._connection.execute("PRAGMA shrink_memory")
        tokens = [edge.open_token() for _ in range(5)]
        for token in tokens:
            assert edge.ask(open_path(token)).body == PIXEL
        if damaged_files(tmp_path / "spool.sqlite3"):
            wait_until(lambda: edge.ask("/healthz").status == 200)
            wait_until(lambda: {hit.token for hit in edge.spool.after(last)} >= set(tokens))
        assert edge.ask("/healthz").status == 200


def test_an_undamaged_spool_is_left_as_it_is(tmp_path: Path) -> None:
    for _ in range(2):
        with running_edge(tmp_path) as edge:
            edge.ask(open_path(edge.open_token()))
    assert damaged_files(tmp_path / "spool.sqlite3") == []
    with SpoolReader(tmp_path / "spool.sqlite3") as reader:
        assert len(reader.after(0)) == 2
