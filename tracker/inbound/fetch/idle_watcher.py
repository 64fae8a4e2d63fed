"""Listening beside the poll: servers that offer IDLE tell of a new letter, and its mailbox is read at once, by an ordinary run.

The listener loads nothing and decides nothing about a mailbox. Whatever happens to its lines, the poll goes on: a line that drops
is no failure of the mailbox, and is opened again after growing pauses; a server that drops many, or wants fewer, is left alone for
hours; a refused sign-in is not tried again before a run has worked.

One thread waits at all lines with a selector: a line says something a few times an hour, and a thread for each would cost more
memory than all the rest of it. Only opening takes time, so a few threads do that, and each ends with it.
"""

import logging
import random
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from queue import Empty, SimpleQueue

from tracker.inbound.credentials import server_of
from tracker.inbound.fetch import idle_leases
from tracker.inbound.fetch.check import TROUBLE, meaning
from tracker.inbound.fetch.idle_connection import IdleConnection, NoIdle, open_idle_connection
from tracker.inbound.fetch.idle_leases import Target
from tracker.inbound.fetch.refusals import ServerRefusal, read_refusal
from tracker.mail.connections import ConnectError, Server
from tracker.mail.imap_commands import Opened
from tracker.models import MailboxState
from tracker.runtime.context import AppContext
from tracker.runtime.lease import HeldLease

log = logging.getLogger(__name__)

OPENING_AT_ONCE = 4
TAKEN_AT_ONCE = 20
_REFUSED = (MailboxState.AUTH_ERROR, MailboxState.NEEDS_OAUTH, MailboxState.NO_CREDENTIALS)


@dataclass(frozen=True)
class Pace:
    """Seconds, unless it says otherwise."""

    round: float = 0.5
    """While something is going on at a line."""
    idle_round: float = 5.0
    look: float = 30.0
    """Between two looks at the rows when no change of them was heard of."""
    renew: float = 9 * 60.0
    """IDLE is said again after so long: RFC 2177 asks for it within 29 minutes, routers forget a silent line sooner."""
    answer: float = 30.0
    """A server that answers no later is taken to be gone."""
    gather: float = 1.0
    """A burst of letters makes one run."""
    between_runs: float = 15.0
    between_logins: float = 1.0
    """At one host."""
    pause: float = 5.0
    longest_pause: float = 300.0
    """After the first drop, tripled with each that follows, up to the longest."""
    most_drops: int = 10
    lately: float = 3600.0
    """So many drops within that time, and the mailbox is left alone."""
    rest: float = 6 * 3600.0
    refused_rest: float = 3600.0
    goodbye: float = 1.0


@dataclass
class WatchedFolder:
    """A mailbox that is ours to listen to: with its line, or between two."""

    target: Target
    lease: HeldLease
    connection: IdleConnection | None = None
    is_opening: bool = False
    try_at: float = 0.0
    drops: deque[float] = field(default_factory=deque)
    opened: Opened | None = None
    """The folder as it was found last."""
    news_at: float | None = None
    """Since when there is news that no run was asked for."""
    asked_at: float = float("-inf")
    is_noted: bool = False
    """The row says that we hear."""


class IdleWatcher:
    """Called again and again by the worker; each time it waits a moment for news. At most ``most`` mailboxes; 0 is off."""

    def __init__(self, most: int, pace: Pace | None = None) -> None:
        self._most, self._pace = most, pace or Pace()
        self._selector = selectors.DefaultSelector()
        self._all: dict[int, WatchedFolder] = {}
        self._leaving: dict[IdleConnection, float] = {}
        self._opened: SimpleQueue[tuple[WatchedFolder, IdleConnection | ServerRefusal | None]] = SimpleQueue()
        self._opening = 0
        self._next_login: dict[str, float] = {}
        self._look_at = 0.0
        self._ended = False
        self._wake_ends: tuple[socket.socket, socket.socket] | None = None

    def wake(self) -> None:
        """Rows have changed, a line was opened, or it is time to stop: the round that waits ends. From any thread."""
        if self._wake_ends is not None:
            with suppress(OSError):
                self._wake_ends[1].send(b"!")

    def __call__(self, context: AppContext) -> int:
        """One round. Returns how many mailboxes are listened to."""
        if not self._most:
            return 0
        if self._wake_ends is None:
            self._wake_ends = socket.socketpair()
            for end in self._wake_ends:
                end.setblocking(False)
            self._selector.register(self._wake_ends[0], selectors.EVENT_READ)
        if time.monotonic() >= self._look_at:
            self._look(context)
        self._open(context)
        if self._all or self._leaving:
            self._wait(self._pace.round if self._is_busy() else self._pace.idle_round)
        self._take_opened(context)
        for watched in list(self._all.values()):
            self._mind(context, watched)
        self._note(context)
        return len(self._all)

    def end(self, context: AppContext, _seconds: float) -> None:
        """Says goodbye at every line, and lets other workers listen at once."""
        self._ended = True
        ours = list(self._all.values())
        for watched in ours:
            self._leave(watched)
        while self._leaving:
            self._wait(0.1)
        self._take_opened(context)
        self._selector.close()
        for end in self._wake_ends or ():
            end.close()
        for watched in ours:
            idle_leases.release(context, watched.lease)

    def _is_busy(self) -> bool:
        """Whether some line is not simply waiting for news."""
        return bool(self._leaving) or any(
            each.connection is None or each.news_at is not None for each in self._all.values()
        )

    def _look(self, context: AppContext) -> None:
        """What is ours still, and what is to be had. Raises what the database raises; then the lines simply go on."""
        moment = time.monotonic()
        mine = idle_leases.still_held(context, [watched.lease for watched in self._all.values()])
        for number, watched in list(self._all.items()):
            if mine.get(number) == watched.target:
                watched.target = mine[number]  # read further, perhaps
            else:
                paused = idle_leases.asks_for_pause(context, number)
                self._let_go(context, watched, rest=self._pace.rest if paused else 0.0)
        room = min(self._most - len(self._all), TAKEN_AT_ONCE)
        if room > 0:
            for lease, target in idle_leases.take(context, room).items():
                self._all[target.mailbox_id] = WatchedFolder(target, lease)
        self._look_at = moment + self._pace.look

    def _open(self, context: AppContext) -> None:
        """Begins to open lines whose time has come, gently with their hosts."""
        moment = time.monotonic()
        for watched in self._all.values():
            host = watched.target.credential.host
            if self._opening >= OPENING_AT_ONCE:
                return
            if (
                watched.connection
                or watched.is_opening
                or moment < max(watched.try_at, self._next_login.get(host, 0.0))
            ):
                continue
            self._next_login[host] = moment + self._pace.between_logins
            self._opening += 1
            watched.is_opening = True
            name = f"listening {watched.target.mailbox_id}"
            threading.Thread(target=self._open_one, args=(context, watched), name=name, daemon=True).start()

    def _open_one(self, context: AppContext, watched: WatchedFolder) -> None:
        """In a thread of its own."""
        opened = opened_connection(context, watched.target)
        if isinstance(opened, IdleConnection) and self._ended:
            opened.close()
        else:
            self._opened.put((watched, opened))
            self.wake()

    def _take_opened(self, context: AppContext) -> None:
        while True:
            try:
                watched, opened = self._opened.get_nowait()
            except Empty:
                return
            self._opening -= 1
            watched.is_opening = False
            is_ours = self._all.get(watched.target.mailbox_id) is watched and not self._ended
            if isinstance(opened, IdleConnection):
                if is_ours:
                    self._begin(watched, opened)
                else:
                    opened.close()
            elif is_ours:
                self._not_opened(context, watched, opened)

    def _begin(self, watched: WatchedFolder, connection: IdleConnection) -> None:
        """What came while nobody listened is news as well."""
        if _has_news(connection.opened, watched.opened, watched.target.last_uid):
            watched.news_at = watched.news_at or time.monotonic()
        watched.connection, watched.opened = connection, connection.opened
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.begin()
        connection.hear()

    def _not_opened(self, context: AppContext, watched: WatchedFolder, refusal: ServerRefusal | None) -> None:
        if refusal is None:
            self._let_go(context, watched, rest=self._pace.rest)
        elif refusal.state in _REFUSED:
            self._let_go(context, watched, rest=self._pace.refused_rest, refused=True)
        elif refusal.state == MailboxState.THROTTLED:
            self._let_go(context, watched, rest=max(self._pace.rest, refusal.wait))
        else:
            self._dropped(context, watched)

    def _wait(self, seconds: float) -> None:
        """For news at any line; those of TLS may have some that the selector does not see."""
        connections = {
            watched.connection for watched in self._all.values() if watched.connection
        } | self._leaving.keys()
        more = {connection for connection in connections if connection.has_more}
        ready = {key.data for key, _ in self._selector.select(0.0 if more else seconds)}
        if None in ready:
            ready.discard(None)
            assert self._wake_ends is not None
            self._wake_ends[0].recv(4096)
            self._look_at = 0.0
        for connection in ready | more:
            connection.hear()
        for connection, until in list(self._leaving.items()):
            if connection.has_ended or time.monotonic() > until:
                del self._leaving[connection]
                self._close(connection)

    def _mind(self, context: AppContext, watched: WatchedFolder) -> None:
        moment, connection = time.monotonic(), watched.connection
        if connection is not None:
            connection.keep_up(self._pace.renew, self._pace.answer)
            if connection.idle.news:
                connection.idle.news = False
                watched.opened = None  # it is another folder than it was found
                watched.news_at = watched.news_at or moment
        if watched.news_at is not None and moment >= max(
            watched.news_at + self._pace.gather, watched.asked_at + self._pace.between_runs
        ):
            self._ask(context, watched)
        if connection is not None and connection.idle.over:
            self._over(context, watched, connection)

    def _ask(self, context: AppContext, watched: WatchedFolder) -> None:
        if idle_leases.want_run(context, watched.target.mailbox_id):
            watched.news_at, watched.asked_at = None, time.monotonic()
        else:
            watched.news_at = time.monotonic()

    def _over(self, context: AppContext, watched: WatchedFolder, connection: IdleConnection) -> None:
        host, idle = watched.target.credential.host, connection.idle
        log.info("mailbox %s: no more listening at %s (%s)", watched.target.mailbox_id, host, idle.over)
        asked = read_refusal(host, idle.said, login=False) if idle.said else None
        if idle.over == "refused" or asked is not None:
            self._let_go(context, watched, rest=max(self._pace.rest, asked.wait if asked else 0.0))
        else:
            self._dropped(context, watched)

    def _dropped(self, context: AppContext, watched: WatchedFolder) -> None:
        """The next try later, or not for hours when there were many."""
        moment, drops = time.monotonic(), watched.drops
        if watched.connection is not None:
            self._close(watched.connection)
            watched.connection = None
        drops.append(moment)
        while drops[0] < moment - self._pace.lately:
            drops.popleft()
        if len(drops) >= self._pace.most_drops:
            self._let_go(context, watched, rest=self._pace.rest)
            return
        pause = min(self._pace.pause * 3.0 ** (len(drops) - 1), self._pace.longest_pause)
        watched.try_at = moment + pause * random.uniform(0.9, 1.1)  # noqa: S311

    def _let_go(self, context: AppContext, watched: WatchedFolder, *, rest: float = 0.0, refused: bool = False) -> None:
        self._leave(watched)
        idle_leases.release(context, watched.lease, rest=timedelta(seconds=rest), refused=refused)

    def _leave(self, watched: WatchedFolder) -> None:
        self._all.pop(watched.target.mailbox_id, None)
        connection, watched.connection = watched.connection, None
        if connection is None:
            return
        if connection.idle.over:
            self._close(connection)
            return
        connection.leave()
        self._leaving[connection] = time.monotonic() + self._pace.goodbye

    def _close(self, connection: IdleConnection) -> None:
        self._selector.unregister(connection.socket)
        connection.close()

    def _note(self, context: AppContext) -> None:
        """Tells in the rows where we hear, and where no more."""
        for is_subscribed in (True, False):
            changed = [
                line
                for line in self._all.values()
                if line.is_noted != is_subscribed and _is_subscribed(line, is_subscribed)
            ]
            self._note_some(context, changed, is_subscribed=is_subscribed)

    def _note_some(self, context: AppContext, some: Iterable[WatchedFolder], *, is_subscribed: bool) -> None:
        idle_leases.note_subscribed(context, [line.lease for line in some], is_subscribed=is_subscribed)
        for line in some:
            line.is_noted = is_subscribed


def _has_news(opened: Opened, before: Opened | None, last_uid: int) -> bool:
    """Whether the folder may have other letters than when it was found or read last. A run in vain is harmless."""
    if before is None:
        return opened.uidnext is not None and opened.uidnext > last_uid + 1
    numbering = (opened.uidvalidity, opened.uidnext) != (before.uidvalidity, before.uidnext)
    return numbering or opened.letters > before.letters


def _is_subscribed(watched: WatchedFolder, is_subscribed: bool) -> bool:
    """Between two IDLEs nothing has changed."""
    if watched.connection is None:
        return not is_subscribed
    return is_subscribed and watched.connection.idle.is_subscribed


def opened_connection(context: AppContext, target: Target) -> IdleConnection | ServerRefusal | None:
    """The line, or why there is none; None when the server offers no IDLE. Never raises."""
    server: Server | None = None
    try:
        server = server_of(context, target.credential)
        return open_idle_connection(context, target, server)
    except NoIdle:
        return None
    except (ConnectError, *TROUBLE) as error:
        refusal = meaning(server, error)
        log.info("mailbox %s: cannot be listened to now (%s)", target.mailbox_id, refusal.state)
        return refusal
    except Exception as error:  # a mistake of ours, or the database is away: the poll goes on
        log.exception("mailbox %s: listening failed", target.mailbox_id)
        return meaning(server, error)
