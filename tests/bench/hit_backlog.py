"""A whole backlog drained to its end, with fresh hits beside it: `python -m tests.bench.hit_backlog [--hits N] [--engine NAME]`.

Hits per second old and new, memory, how late the bell of fresh ones is meanwhile, and whether every hit is there once, with a
verdict and counted. A million takes some ten minutes on SQLite.
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event as Signal
from pathlib import Path

from sqlmodel import col, func, select

from pixel.spool_file import insert as write_hits
from pixel.spool_file import open_for_writing
from pixel.wake_folder import WRITTEN, notify_processes
from tests.bench.figures import add_figure
from tests.bench.ingest import bench_context, fill_backlog, fill_spool, line_waits, watch_bell
from tests.bench.ingest_world import HITS_PER_DELIVERY, one_hit, send_out
from tests.servers.processes import wait_until
from tracker.models import Delivery, DrainBacklog, Event, Verdict
from tracker.runtime.context import AppContext
from tracker.runtime.interpreter import keep_what_is_loaded
from tracker.worker import Worker, tasks

FRESH_A_SECOND = 50
FRESH_COPIES = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hits", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    words = parser.parse_args()
    with bench_context(words.engine, WINDOW_SCALE="0.001") as context:
        drain_to_the_end(context, words.engine, words.hits)


def drain_to_the_end(context: AppContext, engine: str, hits: int) -> None:
    sent = send_out(context, FRESH_COPIES + hits // HITS_PER_DELIVERY)
    fill_backlog(context, sent[FRESH_COPIES:], hits)
    fill_spool(context, ())
    keep_what_is_loaded()  # as the commands do that run a worker
    memory, began, busy, seen = _memory_mb(), time.time(), time.process_time(), dict[str, float]()
    worker = Worker(context, [task for task in tasks(context) if task.what in ("drain local", "settle")])
    worker.start()
    wait_until(lambda: _is_left_behind(context))  # what comes from now on is fresh
    with watch_bell(context, seen), _readers(context.settings.data_dir, sent[:FRESH_COPIES]) as fresh:
        most = _until_drained(context, hits)
        took, busy = time.time() - began, time.process_time() - busy
    while _counts(context)[0] < hits + fresh.value or _is_settling(context):
        time.sleep(0.5)
    worker.stop()
    events, apart, judged, clicks, counted = _counts(context)
    lost, doubled = hits + fresh.value - apart, events - apart
    waits = sorted(line_waits(context, seen, began))
    late = waits[round((len(waits) - 1) * 0.99)] * 1000
    print(
        f"{engine:11} {hits:,} waiting hits and {fresh.value:,} fresh ones in {took:,.0f} s, {busy:,.0f} s of processor"
    )
    print(
        f"{'':11} {lost} lost, {doubled} doubled, {events - judged} without a verdict, {clicks - counted} clicks uncounted"
    )
    print(
        f"{'':11} {late:,.0f} ms from hit to bell meanwhile, p99 of {len(waits):,}; {most - memory:,.0f} MB more memory at most"
    )
    row = f"Backlog of {hits:,} to its end, {engine}"
    add_figure(row, (hits + fresh.value) / took, "hits a second")
    add_figure(f"{row}: hits lost or doubled", lost + doubled, "", at_most=0)
    add_figure(f"{row}: hit to bell meanwhile, p99", late, "ms", at_most=2000)
    add_figure(f"{row}: more memory", most - memory, "MB")


def _until_drained(context: AppContext, hits: int) -> float:
    """The most memory meanwhile, in MB."""
    most, printed_at = 0.0, time.monotonic()
    while True:
        time.sleep(1)
        most = max(most, _memory_mb())
        with context.database.reading() as session:
            newest = session.exec(select(func.max(Event.id))).one() or 0
        if newest >= hits and not _is_left_behind(context):
            return most
        if time.monotonic() - printed_at > 60:
            printed_at = time.monotonic()
            print(f"{'':11} {newest:,} taken in, {_memory_mb():,.0f} MB", flush=True)


@contextmanager
def _readers(folder: Path, copies: Sequence[str]) -> "Iterator[Synchronized[int]]":
    """Another process that writes fresh hits until the end; how many they are."""
    processes = get_context("spawn")
    stop, count = processes.Event(), processes.Value("i", 0)
    readers = processes.Process(target=_hit, args=(folder, copies, stop, count))
    readers.start()
    try:
        yield count
    finally:
        stop.set()
        readers.join()


def _hit(folder: Path, copies: Sequence[str], stop: Signal, count: "Synchronized[int]") -> None:
    chooser = random.Random(1)
    with closing(open_for_writing(folder / "spool.sqlite3")) as spool:
        while not stop.wait(1 / FRESH_A_SECOND):
            write_hits(spool, [one_hit(chooser, chooser.choice(copies), datetime.now(UTC))])
            notify_processes(folder, WRITTEN)
            count.value += 1


def _is_left_behind(context: AppContext) -> bool:
    with context.database.reading() as session:
        return session.exec(select(DrainBacklog.id).limit(1)).first() is not None


def _is_settling(context: AppContext) -> bool:
    with context.database.reading() as session:
        return session.exec(select(Event.id).where(col(Event.settle_at).is_not(None)).limit(1)).first() is not None


def _counts(context: AppContext) -> tuple[int, int, int, int, int]:
    """Events, hits among them, events with a verdict, counted clicks, and clicks by the counters of copies."""
    clicks = select(func.count()).select_from(Event).where(col(Event.counted), Event.kind == "click")
    with context.database.reading() as session:
        events = session.exec(select(func.count()).select_from(Event)).one()
        hits = session.exec(select(func.count(func.distinct(Event.hit)))).one()
        judged = session.exec(select(func.count(func.distinct(Verdict.event_id)))).one()
        counted = session.exec(select(func.sum(Delivery.clicks))).one() or 0
        return events, hits, judged, session.exec(clicks).one(), counted


def _memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 / 1024


if __name__ == "__main__":
    main()
