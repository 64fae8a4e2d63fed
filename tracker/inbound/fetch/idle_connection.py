"""A line at which we wait for a server to tell of new mail. It is read when something came, and never waited for."""

import socket
import ssl
import time
from contextlib import suppress

from tracker.inbound.fetch.idle import Idle
from tracker.inbound.fetch.idle_leases import Target
from tracker.inbound.fetch.imap_connection import ImapConnection
from tracker.mail.connections import Server
from tracker.mail.imap_commands import Opened, open_folder
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Deadline

OPENING_SECONDS = 60.0
AT_ONCE = 16 * 1024
READINGS = 16
"""Reads in a row before other lines have their turn."""
_NOT_YET = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_KEEPALIVE = (("TCP_KEEPIDLE", 120), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))


class NoIdle(Exception):
    """The server offers no IDLE (any more), so it is not asked for it."""


class IdleConnection:
    """A signed-in session with its folder open. All but :func:`open_idle_connection` happens in one thread, at once."""

    def __init__(self, line: ImapConnection, opened: Opened) -> None:
        self.opened = opened
        self.idle = Idle(opened.letters)
        self.socket: socket.socket = line.client.socket()
        self.has_more = False
        """There is something to read that no selector sees: TLS has it already."""
        self.has_ended = False
        self._line = line
        self.asked_at = time.monotonic()
        """When we said something last that the server has to answer."""
        self._come = _come_before(line)

    def begin(self) -> None:
        self._say(self.idle.begin())
        self._hear(self._come)

    def hear(self) -> None:
        """Takes in what has come. ``idle.over`` tells when the line has ended."""
        self.has_more = False
        for _ in range(READINGS):
            try:
                octets = self.socket.recv(AT_ONCE)
            except _NOT_YET:
                return
            except OSError:
                octets = b""
            if not octets:
                self._ended()
                return
            self._hear(octets)
        self.has_more = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def keep_up(self, renew_after: float, answer_within: float) -> None:
        """IDLE again in time, and an end to a line whose other end is gone."""
        silence = time.monotonic() - self.asked_at
        if self.idle.waits:
            if silence > answer_within:
                self.idle.over = self.idle.over or "silent"
        elif silence > renew_after:
            self._say(self.idle.renew())

    def leave(self) -> None:
        """Says goodbye; the server ends the line then."""
        self._say(self.idle.leave())

    def close(self) -> None:
        with suppress(OSError):  # it may have ended by itself
            # Of the socket alone: in TLS the other end would be waited for.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
        self._line.close()

    def _hear(self, octets: bytes) -> None:
        answer = self.idle.hear(octets)
        if answer:
            self._say(answer)

    def _say(self, octets: bytes) -> None:
        """Some bytes always find room, unless the other end has not read for long."""
        self.asked_at = time.monotonic()
        try:
            said = self.socket.send(octets)
        except OSError:
            said = 0
        if said < len(octets):
            self._ended()

    def _ended(self) -> None:
        self.has_ended, self.idle.over = True, self.idle.over or "ended"


def open_idle_connection(context: AppContext, target: Target, server: Server) -> IdleConnection:
    """Signs in as a run does, and opens the folder read-only. Takes its time; raises what that raises, and :class:`NoIdle`."""
    with Deadline(OPENING_SECONDS) as deadline:
        line = ImapConnection(context, server, deadline)
        try:
            if not line.client.has_capability("IDLE"):
                raise NoIdle
            idle_connection = IdleConnection(line, open_folder(line.client, target.raw_folder.encode("latin-1")))
        except BaseException:
            line.close()
            raise
    return idle_connection


def _come_before(line: ImapConnection) -> bytes:
    """What came with the last answer: imaplib has read it from the socket. From here on nobody waits at the socket."""
    connection: socket.socket = line.client.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    connection.setblocking(False)
    try:
        come = line.client._imap.file.peek()
    except _NOT_YET:
        return b""
    return bytes(come)
