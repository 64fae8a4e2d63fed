"""The end of a worker as its runs see it: each stops at its next letter, and one that waits for a server is cut off in time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tracker.inbound.patience import Patience


class Stopping:
    """Shared by the runs of one worker. Nothing happens until :meth:`want`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[Patience] = set()
        self._cut = False
        self.wanted = False

    def want(self) -> None:
        """Runs end at their next letter from now on."""
        self.wanted = True

    def cut(self) -> None:
        """Ends the lines of the runs that are still there: whatever they wait for, they get no more of it."""
        self.want()
        with self._lock:
            self._cut, waiting = True, list(self._waiting)
        for watch in waiting:
            watch.end()

    @contextmanager
    def watching(self, watch: Patience) -> Iterator[None]:
        """While the block lasts its lines can be cut."""
        with self._lock:
            self._waiting.add(watch)
            too_late = self._cut
        if too_late:
            watch.end()
        try:
            yield
        finally:
            with self._lock:
                self._waiting.discard(watch)
