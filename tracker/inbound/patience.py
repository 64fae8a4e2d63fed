"""An end to every talk with a mail server, however slowly it drips: timeouts of a socket count from its last byte."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Patience:
    """Cuts the lines given to :meth:`watch` once its time is over; reading from them then fails."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[socket.socket] = []
        self.over = False

    def watch(self, line: socket.socket) -> None:
        with self._lock:
            self._lines.append(line)
        if self.over:
            self.end()

    def end(self) -> None:
        with self._lock:
            self.over, lines = True, self._lines
        for line in lines:
            try:
                socket.socket.shutdown(line, socket.SHUT_RDWR)
            except OSError:  # it ended by itself
                continue


@contextmanager
def patience(seconds: float) -> Iterator[Patience]:
    """Watches lines until the block ends, for at most so long."""
    mine = Patience()
    timer = threading.Timer(seconds, mine.end)
    timer.daemon = True
    timer.start()
    try:
        yield mine
    finally:
        timer.cancel()
