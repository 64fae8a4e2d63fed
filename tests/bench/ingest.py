"""The slow room: `python -m tests.bench.ingest [--hits N] [--engine sqlite|postgresql] [--workers N] [--backlog N]`. Figures, never
asserted.

Per engine: hits per second from spool to stored verdict; milliseconds from hit to bell at 500 hits a second, the settle
time taken off; seconds to judge all hits again. One process does the work, or several on PostgreSQL with ``--workers``.
With ``--backlog`` the bell of fresh ones is measured once more while so many hits wait. PostgreSQL runs beside it with
`fsync` off.
"""

import argparse
import cProfile
import pstats
import random
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

from sqlmodel import col, func, select

from pixel.hits import Hit
from pixel.spool_file import insert as write_hits
from pixel.spool_file import open_for_writing
from pixel.wake_folder import WRITTEN, notify_processes
from tests.bench.figures import add_figure
from tests.bench.ingest_world import HITS_PER_DELIVERY, make_hits, one_hit, send_out
from tests.fixtures.contexts import migrate_postgresql, opened_context
from tests.servers.postgresql import postgresql
from tracker.engagement.edge_sources import LocalSpool
from tracker.engagement.ingest import BATCH, drain, drain_backlog, prepare
from tracker.engagement.rejudge import rejudge_held
from tracker.models import Event, FeedItem, Notification
from tracker.runtime.context import AppContext
from tracker.runtime.interpreter import keep_what_is_loaded
from tracker.worker import Worker, tasks

RATE = 500
LOT_BESIDE_OTHERS = BATCH // 4
"""Workers with large lots meet in the same few messages of this small world, and wait for each other."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hits", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10, help="how long to watch the bell")
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--profile", action="store_true", help="where the time goes, instead of the figures")
    parser.add_argument("--workers", type=int, default=1, help="processes that take in together; on PostgreSQL")
    parser.add_argument(
        "--backlog", type=int, default=0, help="hits that wait already: how late the bell of fresh ones is"
    )
    words = parser.parse_args()
    for engine in words.engine or ("sqlite", "postgresql"):
        with bench_context(engine) as context:
            workers = 1 if engine == "sqlite" else words.workers
            measure(context, engine, words.hits, profiled if words.profile else timed, workers)
        bell(engine, words.seconds)
        if words.backlog:
            bell(engine, words.seconds, words.backlog)


def bell(engine: str, seconds: float, backlog: int = 0) -> None:
    """Prints how late the bell of fresh hits is, with so many that wait already."""
    with bench_context(engine, WINDOW_SCALE="0.001") as context:
        waits = sorted(bell_waits(context, seconds, backlog))
    half, most = (waits[round((len(waits) - 1) * part)] * 1000 for part in (0.5, 0.99))
    beside = f" beside a backlog of {backlog:,}" if backlog else ""
    lines = f"{len(waits):,} lines, {RATE} hits/s{beside}"
    print(f"{engine:11} {half:8,.0f} ms from hit to bell, p99 {most:,.0f} ms ({lines})", flush=True)
    row = f"Ingest, {engine}: hit to bell at {RATE} hits a second{beside}, p99"
    add_figure(row, most, "ms", at_most=2000 if backlog else 500)


@contextmanager
def bench_context(engine: str, **settings: str) -> Iterator[AppContext]:
    """A context on a fresh database of this engine."""
    folder = Path(tempfile.mkdtemp(prefix="inkling-bench-"))
    try:
        if engine == "sqlite":
            with opened_context(folder, **settings) as context:
                yield context
        else:
            with (
                postgresql() as cluster,
                opened_context(folder, cluster.fresh_database(migrate_postgresql), **settings) as context,
            ):
                yield context
    finally:
        shutil.rmtree(folder)


def measure(
    context: AppContext, engine: str, hits: int, clock: Callable[[Callable[[], None]], float], workers: int
) -> None:
    """Takes in so many hits that wait in the spool, then judges all of them again."""
    fill_spool(context, make_hits(send_out(context, hits // HITS_PER_DELIVERY), hits))
    drain_together, end = ready_to_drain(context, workers)
    begin = time.process_time()
    took = clock(drain_together)
    end()
    busy = time.process_time() - begin
    assert count_events(context) == hits
    per_second = f"{hits / took:8,.0f} hits/s from spool to stored verdict"
    print(f"{engine:11} {per_second} ({hits / busy:,.0f} per second of our own processor time)", flush=True)
    by = f"{workers} workers" if workers > 1 else "one worker"
    add_figure(f"Ingest, {engine}, {by}: spool to stored verdict", hits / took, "hits a second", at_least=3000)
    took = clock(lambda: print(f"{'':11} {rejudge_held(context)} verdicts changed"))
    print(f"{engine:11} {took:8,.1f} s to judge {hits:,} hits again", flush=True)


def timed(work: Callable[[], None]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def profiled(work: Callable[[], None]) -> float:
    profiler = cProfile.Profile()
    took = profiler.runcall(timed, work)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(40)
    return took


def ready_to_drain(context: AppContext, workers: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Workers that run already, as they do when hits come: what lets them drain all together, and what ends them."""
    settings, processes = context.settings, get_context("spawn")
    gate = processes.Barrier(workers)
    others = [
        processes.Process(target=_drain_apart, args=(settings.data_dir, settings.database_url, gate))
        for _ in range(workers - 1)
    ]
    for other in others:
        other.start()
    prepare(context)
    gate.wait()

    def drain_together() -> None:
        gate.wait()
        drain_all(context, LOT_BESIDE_OTHERS if others else BATCH)
        gate.wait()

    def end() -> None:
        for other in others:
            other.join()

    return drain_together, end


def _drain_apart(folder: Path, database_url: str, gate: Barrier) -> None:
    with opened_context(folder, database_url) as context:
        prepare(context)
        gate.wait()
        gate.wait()
        drain_all(context, LOT_BESIDE_OTHERS)
        gate.wait()


def drain_all(context: AppContext, lot: int = BATCH) -> None:
    """Until nothing waits that nobody has in hand."""
    source = LocalSpool(context)
    while drain(context, source) + drain_backlog(context, source, lot):
        pass


def count_events(context: AppContext) -> int:
    with context.database.reading() as session:
        return session.exec(select(func.count()).select_from(Event)).one()


def fill_spool(context: AppContext, hits: Sequence[Hit]) -> None:
    with closing(open_for_writing(context.settings.data_dir / "spool.sqlite3")) as spool:
        write_hits(spool, hits)


def fill_backlog(context: AppContext, deliveries: Sequence[str], hits: int) -> None:
    """Hits of last week, a part at a time: what is measured afterwards is the memory of taking them in."""
    for begin in range(0, hits, 20_000):
        fill_spool(context, make_hits(deliveries, min(20_000, hits - begin)))


def bell_waits(context: AppContext, seconds: float, backlog: int = 0) -> list[float]:
    """Seconds between the end of the settle time of a copy's first open or click and the moment a page can read its line.

    Hits come from another process, four to a copy, a third of them machines'.
    """
    fresh, old = round(RATE * seconds / HITS_PER_DELIVERY), min(backlog // HITS_PER_DELIVERY, 50_000)
    sent = send_out(context, fresh + old)
    deliveries = sent[:fresh]
    fill_backlog(context, sent[fresh:], backlog)
    fill_spool(context, ())
    began, memory, taken = time.time(), _peak_mb(), count_events(context)
    seen: dict[str, float] = {}
    worker = Worker(context, [task for task in tasks(context) if task.what in ("drain local", "settle")])
    readers = get_context("spawn").Process(target=hit_steadily, args=(context.settings.data_dir, deliveries, seconds))
    keep_what_is_loaded()  # as the commands do that run a worker
    with watch_bell(context, seen):
        worker.start()
        readers.start()
        readers.join()
        time.sleep(3)
    worker.stop()
    if backlog:
        rate = (count_events(context) - taken) / (time.time() - began)
        print(f"{'':11} {rate:8,.0f} hits/s taken in, old and new; {_peak_mb() - memory:,.0f} MB more memory at most")
    return line_waits(context, seen, began)


def line_waits(context: AppContext, seen: Mapping[str, float], began: float) -> list[float]:
    """Seconds that lines of hits since ``began`` took until a page could read them."""
    return [seen[line] - due for line, due in _due(context) if line in seen and due >= began]


@contextmanager
def watch_bell(context: AppContext, seen: dict[str, float]) -> Iterator[None]:
    """Meanwhile notes when a page could first read of each line."""
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(context, seen, stop))
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def hit_steadily(folder: Path, deliveries: Sequence[str], seconds: float) -> None:
    """The readers: so many hits a second into the spool, each on disk before the next."""
    chooser = random.Random(1)
    begin = time.perf_counter()
    with closing(open_for_writing(folder / "spool.sqlite3")) as spool:
        for number in range(round(RATE * seconds)):
            time.sleep(max(0.0, begin + number / RATE - time.perf_counter()))
            write_hits(spool, [one_hit(chooser, chooser.choice(deliveries), datetime.now(UTC))])
            notify_processes(folder, WRITTEN)


def _watch(context: AppContext, seen: dict[str, float], stop: threading.Event) -> None:
    """Looks for new hints as an open page does, fifty times a second."""
    after = 0
    while not stop.wait(0.02):
        with context.database.reading() as session:
            new = select(FeedItem.id, FeedItem.subject).where(col(FeedItem.id) > after, FeedItem.kind == "notification")
            hints = session.exec(new.order_by(col(FeedItem.id))).all()
        moment = time.time()
        for number, line in hints:
            after = number or after
            seen.setdefault(line, moment)


def _due(context: AppContext) -> list[tuple[str, float]]:
    """Each bell line with the moment at which it could have rung at the earliest."""
    settle = timedelta(seconds=0.005)  # windows.settle_later at this scale
    with context.database.reading() as session:
        first = (
            select(Notification.public_id, func.min(Event.at))
            .join(Event, col(Event.delivery_id) == col(Notification.delivery_id))
            .where(col(Event.alerted))
        )
        rows = session.exec(first.group_by(col(Notification.public_id))).all()
    return [(line, (at + settle).timestamp()) for line, at in rows]


if __name__ == "__main__":
    main()
