"""Several processes of one edge on one port, which the kernel shares out among them (SO_REUSEPORT, socket(7))."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MOST_WORKERS = 64
_END_SECONDS = 8.0
_SHORT_LIFE = 5.0
_LONGEST_PAUSE = 5.0
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_log = logging.getLogger("pixel.workers")

Serve = Callable[[int, socket.socket], int]
"""Serves on the socket as the worker of this number (from 1) until a signal; the exit code."""


@dataclass
class _Worker:
    number: int
    pid: int = 0
    started_at: float = 0.0
    start_at: float = 0.0
    short_lives: int = 0


def run_workers(count: int, host: str, port: int, serve: Serve) -> int:
    """Runs so many workers until a signal, and starts one again that ends before. Nothing may run in other threads: it forks.

    1 when one of them cannot begin at all. Raises OSError when the port cannot be had. However this process ends, its workers end.
    """
    with _reserved_port(host, port) as bound:
        return _Workers(count, host, bound, serve).run()


def listening_socket(host: str, port: int, *, shared: bool = True) -> socket.socket:
    """A bound socket; the kernel gives the connections of a ``shared`` port to whichever of its sockets listen."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


@contextmanager
def _reserved_port(host: str, port: int) -> Iterator[int]:
    """Holds the port, so that it stays ours while no worker lives. Refused while anybody else has it, shared or not."""
    listening_socket(host, port, shared=False).close()
    with listening_socket(host, port) as reserved:
        yield reserved.getsockname()[1]


class _Workers:
    def __init__(self, count: int, host: str, port: int, serve: Serve) -> None:
        self._workers = [_Worker(number) for number in range(1, count + 1)]
        self._host, self._port, self._serve = host, port, serve
        self._mask: set[int] = set()
        self._alive = os.pipe()
        """Its writing end is this process's alone: a worker that reads the end of it has lost us."""

    def run(self) -> int:
        self._mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS))
        try:
            for worker in self._workers:
                self._start(worker)
            return self._watch()
        finally:
            self._end()
            for end in self._alive:
                os.close(end)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _watch(self) -> int:
        while True:
            signalled = signal.sigtimedwait(_SIGNALS, self._until_next_start())
            if signalled is not None and signalled.si_signo != signal.SIGCHLD:
                return 0
            for worker, status in self._ended():
                if os.WIFEXITED(status) and os.WEXITSTATUS(status) and not worker.start_at:
                    return 1  # it never began: what is wrong will not mend itself
                self._plan_start(worker)
            for worker in self._workers:
                if not worker.pid and worker.start_at <= time.monotonic():
                    self._start(worker)

    def _until_next_start(self) -> float:
        waiting = [worker.start_at for worker in self._workers if not worker.pid]
        return max(0.0, min(waiting) - time.monotonic()) if waiting else 3600.0

    def _ended(self) -> list[tuple[_Worker, int]]:
        ended = []
        for worker in self._workers:
            pid, status = os.waitpid(worker.pid, os.WNOHANG) if worker.pid else (0, 0)
            if pid:
                worker.pid = 0
                ended.append((worker, status))
        return ended

    def _plan_start(self, worker: _Worker) -> None:
        """At once; after a short life with a pause that is doubled each time."""
        lived = time.monotonic() - worker.started_at
        worker.short_lives = worker.short_lives + 1 if lived < _SHORT_LIFE else 0
        pause = min(0.05 * 2.0**worker.short_lives, _LONGEST_PAUSE) if worker.short_lives > 1 else 0.0
        worker.start_at = time.monotonic() + pause
        _log.error("worker %d of the edge has ended; it is started again", worker.number)

    def _start(self, worker: _Worker) -> None:
        worker.started_at = time.monotonic()
        worker.pid = os.fork()
        if not worker.pid:
            self._live(worker.number)

    def _live(self, number: int) -> None:
        """The worker's own process, which never comes back from here."""
        code = 1
        try:
            os.close(self._alive[1])
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            threading.Thread(target=_end_with, args=(self._alive[0],), name="parent", daemon=True).start()
            with listening_socket(self._host, self._port) as shared:
                code = self._serve(number, shared)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException as error:
            print(f"worker {number} of the edge: {error}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _end(self) -> None:
        """Asks every worker to end, and ends those that do not within some seconds."""
        until = time.monotonic() + _END_SECONDS
        self._tell(signal.SIGTERM)
        while any(worker.pid for worker in self._workers):
            self._ended()
            left = until - time.monotonic()
            if left <= 0:
                self._tell(signal.SIGKILL)
            signal.sigtimedwait({signal.SIGCHLD}, min(max(left, 0.05), 0.2))

    def _tell(self, number: int) -> None:
        for worker in self._workers:
            if worker.pid:
                os.kill(worker.pid, number)


def _end_with(parent: int) -> None:
    """Ends this process as a service manager would, once its parent is no more."""
    os.read(parent, 1)
    os.kill(os.getpid(), signal.SIGTERM)
