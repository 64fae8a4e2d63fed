"""Waking: whoever waits for work hears of it when the transaction that made it has committed.

A commit says which tables it wrote. In the process itself that reaches the waiting at once; other processes hear of it through
PostgreSQL's NOTIFY, or on an SQLite file through a datagram to each of their sockets in the folder ``wake`` of the data folder.
A wake-up says only “look”: it may come for nothing, and one that is lost is made up for by the next look in any case.
"""

import logging
import os
import select
import socket
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Protocol

from pixel.spool import WAKE_FOLDER, notify_processes, socket_address

if TYPE_CHECKING:
    import psycopg

log = logging.getLogger(__name__)

CHANNEL = "inkling"
_RECONNECT_SECONDS = 5.0
_LARGEST = 4096
_STOP = b"stop"


class Subscription:
    """One who waits for changes of some tables. ``call``, where there is one, is called in the thread that committed."""

    def __init__(self, tables: Collection[str], call: Callable[[], None] | None = None) -> None:
        self.tables = frozenset(tables)
        self._call = call
        self._woken = threading.Event()

    def wake(self) -> None:
        self._woken.set()
        if self._call is not None:
            self._call()

    def clear(self) -> None:
        """Before looking: what changes from now on wakes again."""
        self._woken.clear()

    def wait(self, seconds: float) -> bool:
        """Until something has changed since :meth:`clear`, at most so long. Whether it has."""
        return self._woken.wait(max(0.0, seconds))


class _Listener(Protocol):
    """Hears of the commits of other processes until it is closed."""

    def close(self) -> None: ...


class WakeUps:
    """The subscriptions of this process. Safe to use from any thread.

    While there are any it listens at ``data_dir`` (to edges, and on SQLite to other processes of ours), and at the PostgreSQL
    database ``url`` where one is named.
    """

    def __init__(self, data_dir: Path, url: str | None = None) -> None:
        self.process = token_hex(8)
        self._data_dir, self._url = data_dir, url
        self._listeners: list[_Listener] = []
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()

    def subscribe(self, tables: Collection[str], call: Callable[[], None] | None = None) -> Subscription:
        """From now on changes of these tables wake it, whichever process makes them."""
        subscription = Subscription(tables, call)
        with self._lock:
            self._subscriptions.add(subscription)
            if not self._listeners:
                self._listeners = self._listen()
        return subscription

    def _listen(self) -> list[_Listener]:
        listeners: list[_Listener] = []
        try:
            listeners.append(SocketListener(self, self._data_dir))
        except OSError as error:
            log.warning("other processes on %s cannot be heard: %s", self._data_dir, error)
        if self._url is not None:
            listeners.append(PostgresListener(self, self._url))
        return listeners

    def unsubscribe(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions.discard(subscription)
            is_last = not self._subscriptions
        if is_last:
            self.close()

    def close(self) -> None:
        """Stops listening to other processes."""
        with self._lock:
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()

    def changed(self, tables: Iterable[str]) -> None:
        """Wakes who waits for one of these tables in this process."""
        names = frozenset(tables)
        with self._lock:
            concerned = [each for each in self._subscriptions if each.tables & names]
        for subscription in concerned:
            subscription.wake()

    def wake_all(self) -> None:
        """After something may have been missed."""
        with self._lock:
            everybody = list(self._subscriptions)
        for subscription in everybody:
            subscription.wake()

    def message(self, tables: Iterable[str]) -> str:
        """What other processes are told: who we are, and which tables changed."""
        return f"{self.process}:{','.join(sorted(tables))}"

    def tell_folder(self, tables: Iterable[str]) -> None:
        """Tells the other processes on the data folder."""
        notify_processes(self._data_dir, self.message(tables).encode(), but=self.process)

    def heard(self, message: str) -> None:
        """What another process, or this one, told."""
        process, _, tables = message.partition(":")
        if process != self.process:
            self.changed(tables.split(","))


class SocketListener:
    """Hears datagrams at a socket of its own in the data folder."""

    def __init__(self, wakeups: WakeUps, data_dir: Path) -> None:
        self._wakeups = wakeups
        self._path = data_dir / WAKE_FOLDER / wakeups.process
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with socket_address(self._path) as address:
            self._socket.bind(address)
        self._thread = threading.Thread(target=self._run, name="wake-ups", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._path.unlink()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)
        self._thread.join(1.0)
        self._socket.close()

    def _run(self) -> None:
        with suppress(OSError):
            while message := self._socket.recv(_LARGEST):
                self._wakeups.heard(message.decode(errors="replace"))


class PostgresListener:
    """Hears NOTIFY on a connection of its own, opened anew when it breaks."""

    def __init__(self, wakeups: WakeUps, url: str) -> None:
        self._wakeups, self._url = wakeups, url
        self._stop_reading, self._stop_writing = os.pipe()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="wake-ups", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopped = True
        os.write(self._stop_writing, _STOP)
        self._thread.join(5.0)
        os.close(self._stop_writing)
        os.close(self._stop_reading)

    def _run(self) -> None:
        import psycopg  # not where SQLite is used: loading it takes as long as all of the start

        while not self._stopped:
            try:
                with psycopg.connect(self._url, autocommit=True, application_name="inkling wake-ups") as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._wakeups.wake_all()
                    self._hear(connection)
            except (psycopg.Error, OSError) as error:
                log.warning("wake-ups of other processes cannot be heard for now: %s", type(error).__name__)
                select.select([self._stop_reading], [], [], _RECONNECT_SECONDS)

    def _hear(self, connection: "psycopg.Connection[Any]") -> None:
        while True:
            ready, _, _ = select.select([connection.fileno(), self._stop_reading], [], [])
            if self._stopped:
                return
            if ready:
                connection.pgconn.consume_input()
            while (notification := connection.pgconn.notifies()) is not None:
                self._wakeups.heard(notification.extra.decode(errors="replace"))
