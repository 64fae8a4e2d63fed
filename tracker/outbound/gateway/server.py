"""The gateway: mail programs submit through Inkling (RFC 6409). Listens in a thread of its own; any number of clients at once."""

import asyncio
import errno
import logging
import socket
import ssl
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from uvicorn.loops.auto import auto_loop_factory

from pixel.connections import ConnectionGuard, ServerLimits, raise_descriptor_limit
from tracker.outbound.gateway.access import GatewayLimits
from tracker.outbound.gateway.session import ClientSlot, GatewaySession
from tracker.runtime.context import AppContext
from tracker.runtime.interpreter import take_short_turns
from tracker.runtime.settings import Network

log = logging.getLogger(__name__)

SNIFF_SECONDS = 1.0
"""How long a client may take to begin TLS by itself; then it is greeted in plain. A ClientHello is one
journey of a packet away, and on a mobile line that takes most of a second."""
GOODBYE_SECONDS = 10.0
"""Seconds that a message in hand has to be committed when the gateway closes."""
_TLS_HANDSHAKE = b"\x16"  # RFC 8446 section 5.1: the type of the first record
FULL = b"421 4.7.0 Too many connections; try again later\r\n"
_THREADS = 8
_BACKLOG = 512


class Gateway:
    """``start`` listens, ``stop`` ends every line politely. With a certificate both STARTTLS and TLS from the start are spoken on
    the one port: who talks TLS first gets TLS."""

    def __init__(self, context: AppContext, host: str, port: int, limits: GatewayLimits | None = None) -> None:
        self.host, self.port = host, port
        self._context, self._limits = context, limits or GatewayLimits()
        self._tls = _tls_context(context)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shutdown: asyncio.Event | None = None
        self._listeners: list[socket.socket] = []
        self._welcomes: dict[asyncio.Task[None], ClientSlot] = {}
        self._sessions: set[GatewaySession] = set()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="gateway")
        self._guard = _guard(self._limits, context.settings.trusted_proxies)

    @property
    def from_elsewhere(self) -> bool:
        """Whether programs on other machines can sign in: with a certificate only, for tokens never travel in plain."""
        return self._tls is not None

    def listen(self) -> None:
        """Takes the port; 0 means any free one, then found in ``port``. Raises OSError when it cannot be had."""
        if not self._listeners:
            self._listeners = _listen(self.host, self.port)
            self.port = self._listeners[0].getsockname()[1]

    def start(self) -> None:
        """Serves, once. Raises OSError when the port cannot be had."""
        # the library writes addresses, and what it takes for commands, into its log
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        self.listen()
        take_short_turns()
        serving = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(serving,), name="gateway", daemon=True)
        self._thread.start()
        serving.wait()

    def stop(self) -> None:
        """Takes no more clients, lets messages in hand be committed and answered, and ends the lines."""
        if self._thread is not None and self._loop is not None and self._shutdown is not None:
            self._loop.call_soon_threadsafe(self._shutdown.set)
            self._thread.join()
            self._thread = None
        for listener in self._listeners:
            listener.close()
        self._pool.shutdown()

    def _run(self, serving: threading.Event) -> None:
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(self._live(serving))

    async def _live(self, serving: threading.Event) -> None:
        self._loop, self._shutdown = asyncio.get_running_loop(), asyncio.Event()
        for listener in self._listeners:
            self._open_door(listener)
        serving.set()
        await self._shutdown.wait()
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            listener.close()
        for place in list(self._welcomes.values()):
            place.end()
        await asyncio.gather(*self._welcomes, return_exceptions=True)
        await self._say_goodbye()

    def _open_door(self, listener: socket.socket) -> None:
        assert self._loop is not None
        if listener.fileno() >= 0:
            self._loop.add_reader(listener, self._let_in, listener)

    def _let_in(self, listener: socket.socket) -> None:
        assert self._loop is not None
        try:
            line, peer = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:  # no more file descriptors, for instance: the line waits outside
            log.error("gateway: no line can be taken (%s)", error.strerror)
            self._loop.remove_reader(listener)
            self._loop.call_later(1, self._open_door, listener)
            return
        line.setblocking(False)
        place = ClientSlot(self._guard, str(peer[0]), partial(_hang_up, line))
        if not place.is_held:
            _refuse(line)
            return
        welcome = self._loop.create_task(self._welcome(line, place))
        self._welcomes[welcome] = place
        welcome.add_done_callback(self._welcomes.pop)

    async def _welcome(self, line: socket.socket, place: ClientSlot) -> None:
        """Never cancelled, for uvloop would forget the session of a line that it is just connecting: the line is hung up."""
        try:
            encrypted = self._tls is not None and await _talks_tls(line)
            _, session = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._session(encrypted, place), line, ssl=self._tls if encrypted else None
            )
            place.end = session.abort
        except (OSError, ssl.SSLError):
            log.info("gateway: a line ended before it began")
            place.leave()
            line.close()

    def _session(self, encrypted: bool, place: ClientSlot) -> GatewaySession:
        self._sessions = {session for session in self._sessions if session.transport is not None}
        session = GatewaySession(self._context, self._limits, self._pool, self._tls, place, encrypted=encrypted)
        self._sessions.add(session)
        return session

    async def _say_goodbye(self) -> None:
        open_lines = [session for session in self._sessions if session.transport is not None]
        await asyncio.gather(*(session.say_goodbye() for session in open_lines), return_exceptions=True)
        if open_lines:
            ends = [asyncio.create_task(session.ended.wait()) for session in open_lines]
            await asyncio.wait(ends, timeout=GOODBYE_SECONDS)


def _guard(limits: GatewayLimits, trusted_proxies: Sequence[Network]) -> ConnectionGuard:
    most = min(limits.connections, max(16, raise_descriptor_limit() // 8))
    of_source = min(limits.connections_per_source, max(8, most // 4))
    return ConnectionGuard(ServerLimits(connections=most, connections_per_source=of_source), trusted_proxies)


def _hang_up(line: socket.socket) -> None:
    with suppress(OSError):  # the other side did
        line.shutdown(socket.SHUT_RDWR)


def _refuse(line: socket.socket) -> None:
    with line, suppress(OSError):
        line.send(FULL)


async def _talks_tls(line: socket.socket) -> bool:
    """Whether the client begins with a TLS handshake instead of waiting for the greeting. Takes no byte from the line."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(line, readable.set)
    try:
        await asyncio.wait_for(readable.wait(), SNIFF_SECONDS)
        return line.recv(1, socket.MSG_PEEK) == _TLS_HANDSHAKE
    except (TimeoutError, OSError):
        return False
    finally:
        loop.remove_reader(line)


def _listen(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address that the host name has; with port 0 all on the same free one."""
    listeners: list[socket.socket] = []
    trouble = OSError(errno.EADDRNOTAVAIL, f"{host} has no address")
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
        taken = listeners[0].getsockname()[1] if listeners else port
        try:
            listeners.append(socket.create_server((address[0], taken), family=family, backlog=_BACKLOG))
            listeners[-1].setblocking(False)
        except OSError as error:  # a machine may have a name for ::1 and no IPv6
            trouble = error
    if not listeners:
        raise trouble
    return listeners


def _tls_context(context: AppContext) -> ssl.SSLContext | None:
    settings = context.settings
    if settings.smtp_tls_cert is None:
        return None
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(settings.smtp_tls_cert, settings.smtp_tls_key)
    return tls
