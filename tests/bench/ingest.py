"""The slow room: `python -m tests.bench.ingest [--hits N] [--engine sqlite|postgresql]`. Figures, never asserted.

Per engine: hits per second from spool to stored verdict; milliseconds from hit to bell at 500 hits a second, the settle
time taken off; seconds to judge all hits again. One process does the work. PostgreSQL runs beside it with `fsync` off.
"""

import argparse
import cProfile
import pstats
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

from sqlmodel import col, func, select

from pixel.hits import Hit
from pixel.spool_file import WRITTEN, notify_processes, open_for_writing
from pixel.spool_file import insert as write_hits
from tests.bench.ingest_world import HITS_PER_DELIVERY, make_hits, one_hit, send_out
from tests.houses import migrate_postgresql, opened_house
from tests.servers_postgresql import postgresql
from tracker.engagement.ingest import drain
from tracker.engagement.reevaluate import reevaluate
from tracker.engagement.sources import LocalSpool
from tracker.models import Event, FeedItem, Notification
from tracker.runtime.context import House
from tracker.worker import Worker, tasks

RATE = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hits", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10, help="how long to watch the bell")
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--profile", action="store_true", help="where the time goes, instead of the figures")
    words = parser.parse_args()
    for engine in words.engine or ("sqlite", "postgresql"):
        with bench_house(engine) as house:
            measure(house, engine, words.hits, profiled if words.profile else timed)
        with bench_house(engine, WINDOW_SCALE="0.001") as house:
            waits = sorted(bell_waits(house, words.seconds))
            half, most = (waits[round((len(waits) - 1) * part)] * 1000 for part in (0.5, 0.99))
            lines = f"{len(waits):,} lines, {RATE} hits/s"
            print(f"{engine:11} {half:8,.0f} ms from hit to bell, p99 {most:,.0f} ms ({lines})", flush=True)


@contextmanager
def bench_house(engine: str, **settings: str) -> Iterator[House]:
    """A house on a fresh database of this engine."""
    folder = Path(tempfile.mkdtemp(prefix="inkling-bench-"))
    try:
        if engine == "sqlite":
            with opened_house(folder, **settings) as house:
                yield house
        else:
            with (
                postgresql() as cluster,
                opened_house(folder, cluster.fresh_database(migrate_postgresql), **settings) as house,
            ):
                yield house
    finally:
        shutil.rmtree(folder)


def measure(house: House, engine: str, hits: int, clock: Callable[[Callable[[], None]], float]) -> None:
    """Takes in so many hits that wait in the spool, then judges all of them again."""
    fill_spool(house, make_hits(send_out(house, hits // HITS_PER_DELIVERY), hits))
    begin = time.process_time()
    took = clock(lambda: drain_all(house))
    busy = time.process_time() - begin
    assert count_events(house) == hits
    per_second = f"{hits / took:8,.0f} hits/s from spool to stored verdict"
    print(f"{engine:11} {per_second} ({hits / busy:,.0f} per second of our own processor time)", flush=True)
    took = clock(lambda: print(f"{'':11} {reevaluate(house)} verdicts changed"))
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


def drain_all(house: House) -> None:
    source = LocalSpool(house)
    while drain(house, source):
        pass


def count_events(house: House) -> int:
    with house.database.reading() as session:
        return session.exec(select(func.count()).select_from(Event)).one()


def fill_spool(house: House, hits: Sequence[Hit]) -> None:
    with closing(open_for_writing(house.settings.data_dir / "spool.sqlite3")) as spool:
        write_hits(spool, hits)


def bell_waits(house: House, seconds: float) -> list[float]:
    """Seconds between the end of the settle time of a copy's first open or click and the moment a page can read its line.

    Hits come from another process, four to a copy, a third of them machines'.
    """
    deliveries = send_out(house, round(RATE * seconds / HITS_PER_DELIVERY))
    fill_spool(house, ())
    seen: dict[str, float] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(house, seen, stop))
    worker = Worker(house, [task for task in tasks(house) if task.what in ("drain local", "settle")])
    readers = get_context("spawn").Process(target=hit_steadily, args=(house.settings.data_dir, deliveries, seconds))
    worker.start()
    watcher.start()
    readers.start()
    readers.join()
    time.sleep(3)
    stop.set()
    watcher.join()
    worker.stop()
    return [seen[line] - due for line, due in _due(house) if line in seen]


def hit_steadily(folder: Path, deliveries: Sequence[str], seconds: float) -> None:
    """The readers: so many hits a second into the spool, each on disk before the next."""
    chooser = random.Random(1)
    begin = time.perf_counter()
    with closing(open_for_writing(folder / "spool.sqlite3")) as spool:
        for number in range(round(RATE * seconds)):
            time.sleep(max(0.0, begin + number / RATE - time.perf_counter()))
            write_hits(spool, [one_hit(chooser, chooser.choice(deliveries), datetime.now(UTC))])
            notify_processes(folder, WRITTEN)


def _watch(house: House, seen: dict[str, float], stop: threading.Event) -> None:
    """Looks for new hints as an open page does, fifty times a second."""
    after = 0
    while not stop.wait(0.02):
        with house.database.reading() as session:
            new = select(FeedItem.id, FeedItem.subject).where(col(FeedItem.id) > after, FeedItem.kind == "notification")
            hints = session.exec(new.order_by(col(FeedItem.id))).all()
        moment = time.time()
        for number, line in hints:
            after = number or after
            seen.setdefault(line, moment)


def _due(house: House) -> list[tuple[str, float]]:
    """Each bell line with the moment at which it could have rung at the earliest."""
    settle = timedelta(seconds=0.005)  # windows.settle_later at this scale
    with house.database.reading() as session:
        first = (
            select(Notification.public_id, func.min(Event.at))
            .join(Event, col(Event.delivery_id) == col(Notification.delivery_id))
            .where(col(Event.alerted))
        )
        rows = session.exec(first.group_by(col(Notification.public_id))).all()
    return [(line, (at + settle).timestamp()) for line, at in rows]


if __name__ == "__main__":
    main()
