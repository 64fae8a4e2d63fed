"""The spool: the edge's own append-only file of hits, one SQLite table in WAL mode with one writer.

Hits that arrive together share one commit: while the writing thread waits for the disk, the event loop collects the
next batch. A hit is answered when its batch is on disk, or after `ANSWER_SECONDS`, whichever comes first.
"""

import asyncio
import logging
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from pixel.hits import Hit
from pixel.spool_batch import Batch, Completion, Entry
from pixel.spool_file import (
    SpoolError,
    SpoolReader,
    add_counts,
    damaged_files,
    file_identity,
    insert,
    is_damage,
    lengthen_wal,
    note_path,
    open_for_writing,
    quarantine_file,
    read,
    sole_writer,
    spool_path,
    spool_paths,
)
from pixel.wake_folder import WAKE_FOLDER, WRITTEN, notify_processes, socket_address

__all__ = [
    "ANSWER_SECONDS",
    "WAKE_FOLDER",
    "Spool",
    "SpoolError",
    "SpoolMetrics",
    "SpoolReader",
    "damaged_files",
    "notify_processes",
    "socket_address",
    "spool_path",
    "spool_paths",
]

ANSWER_SECONDS = 0.1
"""Seconds after which a hit is answered without being on disk."""

_RETRY_AFTER = 0.25
_log = logging.getLogger("pixel.spool")
_MAX_BATCH = 1024
_MAX_WAITING = 10_000
_CROWD = 8
"""Hits in one batch that tell of a busy hour."""
_PRUNE_SLICE = 2_000
_NOTE_PERIOD = 2.0
_BUSY_PERIOD = 60.0


@dataclass
class SpoolMetrics:
    """Counts since the start.

    `lost` hits were answered without being on disk; `rescued` are those of them that were written after all. Hits `over_budget`
    were answered and are not meant to be written.
    """

    written: int = 0
    commits: int = 0
    lost: int = 0
    rescued: int = 0
    over_budget: int = 0


def _difference(present: SpoolMetrics, before: SpoolMetrics) -> dict[str, int]:
    names = ("written", "lost", "rescued", "over_budget")
    return {f"hits_{name}": getattr(present, name) - getattr(before, name) for name in names}


class Spool:
    """The writing end. Raises SpoolError when another process has it or the file cannot be used.

    `append` belongs to one event loop at a time; `after`, `last_id`, `prune`, `writable` and `close` may be called from any thread.
    """

    def __init__(self, path: str | os.PathLike[str], complete: Completion | None = None) -> None:
        self.path = Path(path)
        self._complete_drafts = complete
        self.metrics = SpoolMetrics()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = sole_writer(self.path)
        try:
            self._connection = open_for_writing(self.path)
            self._identity = file_identity(self.path)
            self._reader = SpoolReader(self.path)
            self._counts_before = self._reader.counts()
        except SpoolError:
            os.close(self._lock)
            raise
        except (sqlite3.Error, OSError) as error:
            os.close(self._lock)
            raise SpoolError(f"{self.path} cannot be used as a spool: {error}") from error
        self._open = Batch()
        self._waiters: list[asyncio.Future[None]] = []
        self._writing = False
        self._handing_over: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failing = False
        self._closed = False
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._note_read_at = self._forgot_at = 0.0
        self._counted = SpoolMetrics()
        """What of the metrics stands in the file."""
        self._deleted = False
        self._wal_grows = True
        self._thread = threading.Thread(target=self._write_until_closed, name="spool", daemon=True)
        self._thread.start()

    # the event loop's side

    async def append(self, hit: Any, seconds: float | None = None) -> bool:
        """True when the hit (a row, or the row that was made of a draft) is on disk; False when that could not be had within so
        many seconds (`ANSWER_SECONDS`) and the loss is counted."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.submit(hit, lambda is_stored: None if answer.done() else answer.set_result(is_stored), seconds)
        return await answer

    def submit(self, hit: Any, tell: Callable[[bool], None], seconds: float | None = None) -> None:
        """The same for who does not wait in a coroutine: ``tell`` is called once, by the loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._handing_over, self._writing = loop, None, False
        batch, seconds = self._open, ANSWER_SECONDS if seconds is None else seconds
        if self._closed or len(batch.entries) >= _MAX_WAITING:
            self.metrics.lost += 1
            loop.call_soon(tell, False)
            return
        batch.entries.append(Entry(hit, tell, seconds))
        if seconds not in batch.overdue:
            batch.overdue[seconds] = self._in(seconds, self._give_answers, batch, seconds)
        if not self._writing and self._handing_over is None:
            # not at once: whoever is ready in this turn of the loop joins the batch
            self._handing_over = loop.call_soon(self._hand_over)

    def news(self) -> asyncio.Future[None]:
        """Is done when the next hits are on disk. Whoever waits no more cancels it."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters = [*(each for each in self._waiters if not each.done()), waiter]
        return waiter

    def _hand_over(self) -> None:
        self._handing_over = None
        if self._writing or self._closed or not self._open.entries:
            return
        batch, self._open = self._open, Batch()
        if len(batch.entries) > _MAX_BATCH:
            self._open.entries = batch.entries[_MAX_BATCH:]
            del batch.entries[_MAX_BATCH:]
            for seconds in batch.overdue:
                self._open.overdue[seconds] = self._in(seconds, self._give_answers, self._open, seconds)
        self._writing = True
        self._jobs.put(lambda: self._write(batch))

    def _give_answers(self, batch: Batch, seconds: float = math.inf) -> None:
        """Answers whoever waits no longer than this, and counts each as lost."""
        batch.overdue.pop(seconds, None)
        for entry in batch.entries:
            if entry.seconds <= seconds and not entry.is_answered:
                entry.is_answered = True
                self.metrics.lost += 1
                entry.tell(False)

    def _written(self, batch: Batch) -> None:
        self._writing = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        batch.cancel_timers()
        self._hand_over()  # first: the disk works while the answers go out
        for entry in batch.entries:
            if entry.is_answered:
                self.metrics.rescued += 1
            else:
                entry.is_answered = True
                entry.tell(True)

    def _not_written(self, batch: Batch) -> None:
        """Keeps the hits for another try: a full disk or a lock may pass."""
        self._writing = False
        batch.cancel_timers()
        self._give_answers(batch)
        self._open.entries[:0] = batch.entries
        if self._handing_over is None:
            self._handing_over = self._in(_RETRY_AFTER, self._hand_over)

    def _given_up(self, batch: Batch) -> None:
        self._writing = False
        batch.cancel_timers()
        self._give_answers(batch)
        self._hand_over()

    def _in(self, seconds: float, call: Callable[..., None], *arguments: Any) -> asyncio.TimerHandle:
        assert self._loop is not None
        return self._loop.call_later(seconds, call, *arguments)

    # any thread

    def after(self, n: int, limit: int = 1000) -> list[Hit]:
        """At most `limit` hits with an id above `n`, in the order of their ids."""
        return self._reader.after(n, limit)

    def last_id(self) -> int:
        """The highest id ever given. A new spool starts above every id of the one before it."""
        return self._reader.last_id()

    def counts(self) -> dict[str, int]:
        """What was counted since the spool was made, such as ``hits_lost``."""
        fresh = _difference(self.metrics, SpoolMetrics())
        return {name: self._counts_before.get(name, 0) + count for name, count in fresh.items()}

    def prune(self, n: int) -> None:
        """Confirms every hit up to `n`; they are deleted in slices between the commits of new ones."""
        self._jobs.put(lambda: self._prune(n))

    def writable(self, timeout: float = ANSWER_SECONDS) -> bool:
        """True when a commit can be had now: the last one succeeded, or a fresh try does within `patience` seconds."""
        if self._closed or not self._thread.is_alive():
            return False
        if not self._failing:
            return True
        tried = threading.Event()
        self._jobs.put(lambda: self._try(tried))
        return tried.wait(timeout) and not self._failing

    def close(self) -> None:
        """Writes what still waits, gives up the file. Later appends are lost and counted."""
        if self._closed:
            return
        self._closed = True
        rest = self._open
        if rest.entries:
            self._jobs.put(lambda: self._write(rest))
        self._jobs.put(None)
        self._thread.join()
        self._reader.close()
        os.close(self._lock)

    # the writing thread

    def _write_until_closed(self) -> None:
        try:
            while (job := self._next_job()) is not None:
                job()
            self._note_counts()
        finally:
            self._connection.close()

    def _next_job(self) -> Callable[[], None] | None:
        while True:
            if time.monotonic() - self._note_read_at >= _NOTE_PERIOD:
                self._read_note()
                self._note_counts()
            try:
                return self._jobs.get(timeout=_NOTE_PERIOD)
            except Empty:
                self._forget()
                if self._complete_drafts is not None:
                    self._complete_drafts([])

    def _write(self, batch: Batch) -> None:
        try:
            self._keep_in_place()
            self._complete(batch)
            insert(self._connection, [entry.hit for entry in batch.entries])
        except sqlite3.DatabaseError as error:
            self._failing = True
            if is_damage(error):
                _log.error("THE SPOOL IS DAMAGED (%s): it is moved aside, and a new one is begun", error)
                quarantine_file(self.path)  # the next try makes a new one
            if is_damage(error) or isinstance(error, sqlite3.OperationalError):  # locked, full: may pass
                self._tell_loop(self._not_written, batch)
            else:  # one bad row must not stop the line
                _log.error("%d hits could not be written: %s", len(batch.entries), type(error).__name__)
                self._tell_loop(self._given_up, batch)
        except (SpoolError, OSError):  # locked, full, input or output error: may pass
            self._failing = True
            self._tell_loop(self._not_written, batch)
        except Exception as error:  # one bad row must not stop the line
            _log.error("%d hits could not be written: %s", len(batch.entries), type(error).__name__)
            self._tell_loop(self._given_up, batch)
        else:
            self._failing = False
            self.metrics.written += len(batch.entries)
            self.metrics.commits += 1
            self._tell_loop(self._written, batch)
            if self._wal_grows and len(batch.entries) >= _CROWD:
                self._wal_grows = lengthen_wal(self.path)
            notify_processes(self.path.parent, WRITTEN)
            if self._complete_drafts is not None:
                self._complete_drafts([])

    def _complete(self, batch: Batch) -> None:
        """Makes hits of drafts, once: a batch that has to be tried again has none left."""
        drafts = [entry for entry in batch.entries if not isinstance(entry.hit, (tuple, Hit))]
        if not drafts:
            return
        assert self._complete_drafts is not None, "who appends drafts says how they are completed"
        for entry, hit in zip(drafts, self._complete_drafts([entry.hit for entry in drafts]), strict=True):
            entry.hit = hit
        if undecided := [entry for entry in drafts if entry.hit is None]:
            batch.entries = [entry for entry in batch.entries if entry.hit is not None]
            self._tell_loop(self._give_answers, Batch(undecided))

    def _keep_in_place(self) -> None:
        """Makes a new file when ours was deleted or replaced, with what the old one still held."""
        if file_identity(self.path) == self._identity:
            return
        _log.error("the spool file was taken away; a new one is made")
        try:
            held = read(self._connection, 0, -1)
        except sqlite3.DatabaseError:
            held = []  # it was damaged
        connection = open_for_writing(self.path)
        insert(connection, held)
        self._connection.close()
        self._connection, self._identity = connection, file_identity(self.path)
        self._wal_grows = True

    def _tell_loop(self, call: Callable[[Batch], None], batch: Batch) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended, and nobody waits for the answers
            self._loop.call_soon_threadsafe(call, batch)

    def _prune(self, n: int) -> None:
        try:
            gone = self._connection.execute(
                "DELETE FROM hit WHERE id IN (SELECT id FROM hit WHERE id <= ? ORDER BY id LIMIT ?)",
                (n, _PRUNE_SLICE),
            ).rowcount
        except sqlite3.Error:
            return  # whoever drains next confirms again
        self._deleted = self._deleted or gone > 0
        if gone == _PRUNE_SLICE:
            self.prune(n)
        elif time.monotonic() - self._forgot_at > _BUSY_PERIOD:
            self._forget()

    def _forget(self) -> None:
        """Deleted rows leave the write-ahead file as well: there their first writing would stand until it is written over."""
        if not self._deleted:
            return
        self._forgot_at = time.monotonic()
        with suppress(sqlite3.Error):  # somebody reads: next time
            (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._deleted, self._wal_grows = bool(busy), True

    def _try(self, tried: threading.Event) -> None:
        """Leaves out one id: the smallest change that has to reach the disk."""
        try:
            self._keep_in_place()
            self._connection.execute("UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'hit'")
            self._failing = False
        except (sqlite3.Error, SpoolError, OSError):
            self._failing = True
        tried.set()

    def _note_counts(self) -> None:
        """Adds what was counted since the last time to the file, where other processes and later starts read it."""
        present = replace(self.metrics)
        news = _difference(present, self._counted)
        if any(news.values()):
            with suppress(sqlite3.Error):  # it cannot be written just now: next time
                add_counts(self._connection, news)
                self._counted = present

    def _read_note(self) -> None:
        """Does what a reader in another process asked for with `SpoolReader.prune`."""
        self._note_read_at = time.monotonic()
        note = note_path(self.path)
        try:
            n = int(note.read_text())
            note.unlink()
        except (OSError, ValueError):
            return
        if n <= self.last_id():
            self._prune(n)
