"""An end to every talk with a mail server, however slowly it drips: timeouts of a socket count from its last byte."""

import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

LOOKS_EVERY = 0.5


class Deadline:
    """Cuts the connections given to :meth:`watch` once its time is over; reading from them then fails.

    It stops watching at the end of its block. Until then it holds each connection by a descriptor of its own, so that TLS may
    take the socket over meanwhile.
    """

    def __init__(self, seconds: float, most: float = math.inf) -> None:
        """``most`` are the seconds that it is never put off beyond."""
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self.is_over = False
        self._latest = time.monotonic() + most
        self._end = min(time.monotonic() + seconds, self._latest)
        self._step_end = math.inf
        self.step_is_over = False
        """Whether the present step, or the one before, was cut."""
        self._closed = threading.Event()
        threading.Thread(target=self._wait, name="deadline", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed.set()
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def restart(self, seconds: float) -> None:
        """So many seconds from now instead. What is over stays over."""
        self._end = min(time.monotonic() + seconds, self._latest)

    @contextmanager
    def step(self, seconds: float) -> Iterator[None]:
        """A shorter end for what is done in the block: it cuts the connections that are there, and the deadline itself goes on."""
        self.step_is_over = False
        self._step_end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._step_end = math.inf

    def watch(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.append(socket.socket(fileno=os.dup(connection.fileno())))
        if self.is_over:
            self.end()

    def end(self) -> None:
        """Its time is over now."""
        self.is_over = True
        self._cut()

    def _cut(self) -> None:
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # it ended by itself
                    connection.shutdown(socket.SHUT_RDWR)

    def _wait(self) -> None:
        """In a thread of its own. It looks now and then: to tell it of each new end would cost more than a hand-over does."""
        while (left := self._end - (moment := time.monotonic())) > 0:
            if moment > self._step_end:
                self.step_is_over = True
                self._cut()
            if self._closed.wait(min(left, LOOKS_EVERY)):
                return
        self.end()


class Shutdown:
    """The end of a worker as its connections see it: each stops at its next message, and one that waits for a server is cut in
    time. Nothing happens until :meth:`request`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: set[Deadline] = set()
        self._is_cut = False
        self.is_requested = False

    def request(self) -> None:
        """Whoever works ends at the next message from now on."""
        self.is_requested = True

    def cut(self) -> None:
        """Ends the connections that are still there: whatever they wait for, they get no more of it."""
        self.request()
        with self._lock:
            self._is_cut, deadlines = True, list(self._deadlines)
        for deadline in deadlines:
            deadline.end()

    @contextmanager
    def watching(self, deadline: Deadline) -> Iterator[None]:
        """While the block lasts its connections can be cut."""
        with self._lock:
            self._deadlines.add(deadline)
            is_too_late = self._is_cut
        if is_too_late:
            deadline.end()
        try:
            yield
        finally:
            with self._lock:
                self._deadlines.discard(deadline)
