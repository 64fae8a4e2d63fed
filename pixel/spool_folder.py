"""The spools of one data folder: one for each process of the edge, and those that earlier processes have left.

Any process reads all of them, and the tracker drains them as one edge. Each is numbered from 1.
"""

import asyncio
import os
import re
import socket
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pixel.spool import Spool, SpoolError, SpoolReader
from pixel.spool_file import note_path, sole_writer, spool_path, spool_paths
from pixel.wake_folder import WAKE_FOLDER, socket_address

_BESIDE = ("-wal", "-shm", ".lock", ".confirmed")


class SpoolFolder:
    """All spools of the folder of a spool that this process writes. Safe to use from any thread, but for `news`."""

    def __init__(self, own: Spool) -> None:
        self._own = own
        self._data_dir = own.path.parent
        self._readers: dict[int, SpoolReader] = {}

    def numbers(self) -> list[int]:
        """Those that are there now."""
        return list(spool_paths(self._data_dir))

    def reader(self, number: int) -> SpoolReader | Spool | None:
        """Of the spool of this number, which its own process goes on writing; None when there is none."""
        path = spool_path(self._data_dir, number)
        if path == self._own.path:
            return self._own
        if number not in self._readers:
            with suppress(SpoolError):
                self._readers[number] = SpoolReader(path)
        return self._readers.get(number)

    def counts(self) -> dict[str, int]:
        """What was counted in all spools; of others than our own as of some seconds ago."""
        numbers = self.numbers()
        if len(numbers) < 2:
            return self._own.counts()
        total = Counter[str]()
        for number in numbers:  # our own from its file as well, so that every process says the same
            with suppress(SpoolError, sqlite3.Error, OSError), SpoolReader(spool_path(self._data_dir, number)) as each:
                total.update(each.counts())
        return dict(total)

    @contextmanager
    def news(self) -> Iterator[asyncio.Future[None]]:
        """Is done when the next hits are on disk in any of the spools."""
        if len(self.numbers()) < 2:
            waiter = self._own.news()
            try:
                yield waiter
            finally:
                waiter.cancel()
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        with _wake_socket(self._data_dir) as wakes:
            loop.add_reader(wakes, lambda: None if waiter.done() else waiter.set_result(None))
            try:
                yield waiter
            finally:
                loop.remove_reader(wakes)
                waiter.cancel()

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()


@contextmanager
def _wake_socket(data_dir: Path) -> Iterator[socket.socket]:
    """Hears what `notify_processes` tells."""
    folder = data_dir / WAKE_FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"edge-{os.getpid()}-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wakes:
        with socket_address(path) as address:
            wakes.bind(address)
        wakes.setblocking(False)
        try:
            yield wakes
        finally:
            path.unlink(missing_ok=True)


def leftovers(data_dir: Path, workers: int) -> list[Path]:
    """The spools of workers that there are no more."""
    return [path for number, path in spool_paths(data_dir).items() if number > workers]


def tidy(path: Path) -> bool:
    """Deletes from a spool that nobody writes any more what was confirmed, and the file once it is empty. True when it is gone."""
    try:
        lock = sole_writer(path)
    except SpoolError:
        return False  # somebody writes it after all
    try:
        with SpoolReader(path) as reader:
            confirmed, last = _confirmed(path), reader.last_id()
            waiting = reader.after(min(confirmed, last), 1)
        if waiting:
            return False
        for ending in ("", *_BESIDE):
            path.with_name(path.name + ending).unlink(missing_ok=True)
    except (SpoolError, sqlite3.Error, OSError):
        return False
    finally:
        os.close(lock)
    return True


def _confirmed(path: Path) -> int:
    try:
        text = note_path(path).read_text()
    except OSError:
        return 0
    return int(text) if re.fullmatch(r"\d{1,18}", text) else 0
