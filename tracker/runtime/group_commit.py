"""Group commit: what several threads have ready at one moment is written in one transaction, as the edge's spool does it.

While one transaction waits for the disk the next ones gather; they share its statements and its commit.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

LARGEST_GROUP = 100


class GroupCommit(Generic[T, R]):
    """Calls ``write`` with what is waiting, in a thread of its own; it writes all of it in one transaction and gives a result for
    each. When that fails everything is taken back and each is written alone, so that what is wrong with one costs no other."""

    def __init__(self, write: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: list[tuple[T, Future[R]]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    def put(self, item: T) -> Future[R]:
        """The result is there once the item is committed."""
        future: Future[R] = Future()
        with self._lock:
            self._waiting.append((item, future))
        self._thread.submit(self._write_waiting)
        return future

    def close(self) -> None:
        """Writes what is waiting, and takes no more."""
        self._thread.shutdown()

    def _write_waiting(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
        if len(group) > 1 and self._write_together(group):
            return
        for item, future in group:
            try:
                (result,) = self._write([item])
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

    def _write_together(self, group: Sequence[tuple[T, Future[R]]]) -> bool:
        try:
            results = self._write([item for item, _ in group])
        except Exception as error:  # each alone then
            log.info("%d could not be written together: %s", len(group), type(error).__name__)
            log.debug("together", exc_info=True)
            return False
        for (_, future), result in zip(group, results, strict=True):
            future.set_result(result)
        return True
