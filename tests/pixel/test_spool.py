"""The spool: in order, on disk before the answer, one writer, and nothing lost in silence."""

import asyncio
import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pixel.hits import Hit
from pixel.spool import ANSWER_SECONDS, Spool, SpoolError, SpoolReader
from pixel.tokens import new_public_id
from tests.pixel.edge_server import ROOT
from tests.servers.processes import wait_until


def a_hit(name: str = "t") -> Hit:
    return Hit(
        id=None,
        received_at=datetime(2026, 11, 22, 10, 0, 0, 123000, UTC),
        kind="click",
        token=name,
        delivery=new_public_id(),
        link=2,
        method="GET",
        client="192.0.2.1",
        http_version="1.1",
        headers={"user-agent": "Агент"},
        self_user=None,
    )


async def append_all(spool: Spool, *hits: Hit, seconds: float = 20) -> list[bool]:
    return await asyncio.gather(*(spool.append(hit, seconds) for hit in hits))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite3"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    spool = Spool(path)
    yield spool
    spool.close()


def test_hits_come_back_whole_and_in_order(spool: Spool) -> None:
    hits = [a_hit(f"t{i}") for i in range(700)]
    assert asyncio.run(append_all(spool, *hits)) == [True] * 700
    stored = spool.after(0, 1000)
    ids = [hit.id or 0 for hit in stored]
    assert ids == sorted(set(ids))
    assert [(hit.token, hit.delivery, hit.received_at, hit.headers) for hit in stored] == [
        (hit.token, hit.delivery, hit.received_at, hit.headers) for hit in hits
    ]
    assert spool.after(ids[9], 3) == stored[10:13]
    assert spool.after(ids[-1]) == []
    assert spool.last_id() == ids[-1]


def test_hits_that_arrive_together_share_a_commit(spool: Spool) -> None:
    asyncio.run(append_all(spool, *(a_hit() for _ in range(500))))
    assert (spool.metrics.written, spool.metrics.commits) == (500, 1)


def test_hits_that_arrive_during_a_commit_share_the_next_one(spool: Spool) -> None:
    async def many_clients() -> None:
        async def client() -> None:
            for _ in range(20):
                assert await spool.append(a_hit(), 20)

        await asyncio.gather(*(client() for _ in range(50)))

    asyncio.run(many_clients())
    assert spool.metrics.written == 1000
    assert spool.metrics.commits <= 200


def test_an_answered_hit_is_there_for_another_process(spool: Spool) -> None:
    """Read by a process of its own, so nothing that only this one has in memory can count."""
    asyncio.run(append_all(spool, a_hit("seen")))
    program = f"from pixel.spool import SpoolReader; print(SpoolReader({str(spool.path)!r}).after(0)[0].token)"
    assert (
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=True).stdout == b"seen\n"
    )


def test_prune_deletes_up_to_the_id_and_ids_are_never_used_again(path: Path) -> None:
    spool = Spool(path)
    asyncio.run(append_all(spool, a_hit("a"), a_hit("b"), a_hit("c")))
    first, second, third = spool.after(0)
    spool.prune(second.id or 0)
    wait_until(lambda: spool.after(0) == [third])
    spool.prune(third.id or 0)
    wait_until(lambda: spool.after(0) == [])
    assert spool.last_id() == third.id
    spool.close()

    again = Spool(path)
    asyncio.run(append_all(again, a_hit("d")))
    (fourth,) = again.after(0)
    assert (fourth.id or 0) > (third.id or 0) > (first.id or 0)
    again.close()


def test_a_new_spool_starts_above_every_id_of_a_lost_one(tmp_path: Path) -> None:
    """Otherwise a reader that remembers its place would overlook the hits of the new one."""
    last = 0
    for folder in ("first", "second"):
        spool = Spool(tmp_path / folder / "spool.sqlite3")
        assert spool.last_id() > last
        asyncio.run(append_all(spool, *(a_hit() for _ in range(50))))
        last = spool.last_id()
        spool.close()


def test_pruned_addresses_are_wiped_from_the_file(path: Path) -> None:
    spool = Spool(path)
    asyncio.run(append_all(spool, *(a_hit("wipe-me-4711") for _ in range(50))))
    spool.prune(spool.last_id())
    wait_until(lambda: spool.after(0) == [])
    spool.close()
    assert b"wipe-me-4711" not in path.read_bytes()


def test_nobody_else_may_read_the_file(spool: Spool) -> None:
    asyncio.run(append_all(spool, a_hit()))
    for file in spool.path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_a_reader_in_another_process_confirms_by_note(spool: Spool) -> None:
    asyncio.run(append_all(spool, a_hit("a"), a_hit("b")))
    with SpoolReader(spool.path) as reader:
        first, second = reader.after(0)
        assert reader.last_id() == second.id
        reader.prune(first.id or 0)
        wait_until(lambda: reader.after(0) == [second])


@pytest.mark.parametrize("note", ["", "x", "-", "9" * 400, "9" * 5000, "\x00", "-1"])
def test_a_broken_note_confirms_nothing(path: Path, note: str) -> None:
    spool = Spool(path)
    asyncio.run(append_all(spool, a_hit("a")))
    path.with_name(path.name + ".confirmed").write_text(note)
    spool.close()
    again = Spool(path)
    assert asyncio.run(append_all(again, a_hit("b"))) == [True]
    assert [hit.token for hit in again.after(0)] == ["a", "b"]
    again.close()


def test_readers_do_not_disturb_the_writer(spool: Spool) -> None:
    asyncio.run(append_all(spool, a_hit()))
    reading = sqlite3.connect(spool.path, isolation_level=None)
    reading.execute("BEGIN")
    reading.execute("SELECT * FROM hit").fetchall()
    assert asyncio.run(append_all(spool, a_hit())) == [True]
    reading.close()


def test_a_reader_may_not_write(spool: Spool) -> None:
    with SpoolReader(spool.path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM hit")


def test_two_writers_of_one_spool_are_refused(spool: Spool) -> None:
    with pytest.raises(SpoolError, match="another process writes"):
        Spool(spool.path)
    assert asyncio.run(append_all(spool, a_hit())) == [True]


def test_the_lock_ends_with_its_process(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    owner = context.Process(target=_own_and_die, args=(path,))
    owner.start()
    owner.join(30)
    assert owner.exitcode == 9
    Spool(path).close()


def _own_and_die(path: Path) -> None:
    Spool(path)
    os._exit(9)


def test_there_is_nothing_to_read_before_the_edge_was_there(path: Path) -> None:
    with pytest.raises(SpoolError, match="no spool"):
        SpoolReader(path)
    assert not path.exists()


def test_a_folder_in_its_place_is_refused_and_left_alone(path: Path) -> None:
    path.mkdir()
    with pytest.raises(SpoolError, match="cannot be used"):
        Spool(path)
    assert path.is_dir()


def test_a_spool_of_a_newer_version_is_refused(path: Path) -> None:
    Spool(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(SpoolError, match="newer version"):
        Spool(path)


def test_closing_writes_what_still_waits(path: Path) -> None:
    spool = Spool(path)

    async def append_and_close() -> list[bool]:
        waiting = [asyncio.ensure_future(spool.append(a_hit())) for _ in range(5)]
        await asyncio.sleep(0)
        await asyncio.to_thread(spool.close)
        return await asyncio.gather(*waiting)

    assert asyncio.run(append_and_close()) == [True] * 5
    with SpoolReader(path) as reader:
        assert len(reader.after(0)) == 5


def test_a_disk_that_hangs_keeps_nobody_waiting(spool: Spool) -> None:
    """The writing thread stands still, as it does in a commit that does not come back."""
    disk = threading.Event()

    def hang() -> None:
        disk.wait()

    spool._jobs.put(hang)

    async def answered_while_it_hangs() -> None:
        assert await append_all(spool, a_hit("a"), a_hit("b"), seconds=ANSWER_SECONDS) == [False, False]
        assert await append_all(spool, a_hit("c"), seconds=ANSWER_SECONDS) == [False]
        assert (spool.metrics.lost, spool.metrics.written) == (3, 0)
        disk.set()
        assert await append_all(spool, a_hit("d")) == [True]

    asyncio.run(answered_while_it_hangs())
    assert [hit.token for hit in spool.after(0)] == ["a", "b", "c", "d"]
    assert (spool.metrics.lost, spool.metrics.rescued, spool.metrics.written) == (3, 3, 4)


def test_after_closing_a_hit_is_lost_and_counted(path: Path) -> None:
    spool = Spool(path)
    spool.close()
    spool.close()
    assert asyncio.run(append_all(spool, a_hit())) == [False]
    assert spool.metrics.lost == 1
    assert not spool.writable()


def test_a_client_that_went_away_takes_nothing_with_it(spool: Spool) -> None:
    async def one_leaves() -> bool:
        leaving = asyncio.ensure_future(spool.append(a_hit("gone")))
        staying = asyncio.ensure_future(spool.append(a_hit("here")))
        await asyncio.sleep(0)
        leaving.cancel()
        return await staying

    assert asyncio.run(one_leaves())
    assert [hit.token for hit in spool.after(0)] == ["gone", "here"]
    assert spool.metrics.lost == spool.metrics.rescued == 0


def test_one_impossible_row_does_not_stop_the_line(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    assert asyncio.run(append_all(spool, a_hit("\ud800"))) == [False]
    assert "UnicodeEncodeError" in caplog.text
    assert asyncio.run(append_all(spool, a_hit("next"))) == [True]


def test_pruned_hits_leave_every_file_of_the_spool(path: Path) -> None:
    """Deleting a row leaves its bytes in free pages and in the write-ahead file; here it must not."""
    spool = Spool(path)
    for number in range(3):
        assert asyncio.run(append_all(spool, *(a_hit(f"telltale-{number}-{n}") for n in range(40)))) == [True] * 40
    assert telltales(path), "what is looked for is found while it is there"
    spool.prune(spool.last_id() - 1)
    wait_until(lambda: len(spool.after(0)) == 1)
    wait_until(lambda: telltales(path) == {path.name: 1})
    spool.prune(spool.last_id())
    wait_until(lambda: not telltales(path))
    assert asyncio.run(append_all(spool, a_hit("still-working"))) == [True]
    spool.close()


def length_at_rest(file: Path) -> int:
    """Of a file to which another thread may be adding zeros just now: while it does, a part of them counts."""
    lengths = [0]
    while lengths[-5:] != lengths[-1:] * 5:
        time.sleep(0.001)
        lengths.append(file.stat().st_size)
    return lengths[-1]


def test_in_a_busy_hour_commits_write_over_room_that_is_there_and_a_kill_leaves_a_sound_file(path: Path) -> None:
    spool, lengths = Spool(path), list[int]()
    wal, crashed = path.with_name(path.name + "-wal"), path.with_name("crashed.sqlite3")
    for number in range(40):
        assert asyncio.run(append_all(spool, *(a_hit(f"{number}-{n}") for n in range(30)))) == [True] * 30
        lengths.append(length_at_rest(wal))
    for ending in ("", "-wal"):  # as a kill leaves them
        crashed.with_name(crashed.name + ending).write_bytes(path.with_name(path.name + ending).read_bytes())
    spool.close()
    assert lengths[-1] > 1_000_000
    assert {(length - lengths[0]) % (512 * 1024) for length in lengths} == {0}, "no commit has lengthened it"
    for each in (path, crashed):
        with SpoolReader(each) as reader:
            assert [hit.token for hit in reader.after(0, 5000)] == [
                f"{number}-{n}" for number in range(40) for n in range(30)
            ]


def telltales(path: Path) -> dict[str, int]:
    """How often what must go stands in each file beside the spool."""
    counts = {file.name: file.read_bytes().count(b"telltale-") for file in path.parent.iterdir() if file.is_file()}
    return {name: count for name, count in counts.items() if count}
