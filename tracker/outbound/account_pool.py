"""Accounts served side by side, so that the trouble of one never delays the mail of another.

Some threads take turns: each serves one account for a while, then whichever has waited longest. No account has two of them, no
mail host and no person more than two, and accounts that are known to be in trouble together no more than half of them.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown

log = logging.getLogger(__name__)

AT_ONCE = 8
PER_HOST = 2
PER_PERSON = 2
TURN_COPIES = 100
TURN_SECONDS = 10.0


@dataclass(frozen=True)
class WaitingAccount:
    """An account that has something due, ``since`` when. None is what has no account any more."""

    account_id: int | None
    user_id: int
    host: str
    is_troubled: bool
    since: datetime


class Turn:
    """How much of one account is done before another has its turn."""

    def __init__(self, shutdown: Shutdown) -> None:
        self.done = 0
        self.shutdown, self._end = shutdown, time.monotonic() + TURN_SECONDS

    @property
    def left(self) -> int:
        """How many more copies, as long as it is not over."""
        return TURN_COPIES - self.done

    @property
    def is_over(self) -> bool:
        return self.left <= 0 or time.monotonic() > self._end or self.shutdown.is_requested


FindWaiting = Callable[[Session, datetime], Sequence[WaitingAccount]]
Serve = Callable[[AppContext, int | None, Shutdown], int]
"""One turn of an account; returns how much was done. It ends early once a shutdown is requested."""


def serve_longest_waiting(context: AppContext, find: FindWaiting, serve: Serve) -> int:
    """One turn of the account that has waited longest, here and now. Returns how much was done; 0 means nothing is due."""
    with context.database.reading() as session:
        waiting = find(session, now())
    turns = (serve(context, account.account_id, Shutdown()) for account in sorted(waiting, key=lambda each: each.since))
    return next(filter(None, turns), 0)


class AccountPool:
    """A task of the worker. Called again and again; starts what can be started now and comes back at once."""

    def __init__(self, find: FindWaiting, serve: Serve, at_once: int = AT_ONCE) -> None:
        self._find, self._serve, self._at_once = find, serve, at_once
        self._lock = threading.Lock()
        self._busy: dict[int | None, WaitingAccount] = {}
        self._served: dict[int | None, float] = {}
        self._threads: list[threading.Thread] = []
        self._problem: Exception | None = None
        self._shutdown = Shutdown()

    def __call__(self, context: AppContext) -> int:
        """Returns 0: threads look themselves for the next account. Raises what stopped one of them."""
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        while (account := self._next(context)) is not None:
            thread = threading.Thread(target=self._run, args=(context, account), name="account", daemon=True)
            self._threads.append(thread)
            thread.start()
        return 0

    def join(self, seconds: float = 60.0) -> None:
        """Waits for the turns in hand."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def end(self, _context: AppContext, seconds: float) -> None:
        """Lets the message that each turn has in hand end; towards the end of the time the connections are cut."""
        self._shutdown.request()
        self.join(seconds * 0.8)
        self._shutdown.cut()
        self.join(seconds * 0.2)

    def _run(self, context: AppContext, first: WaitingAccount) -> None:
        account: WaitingAccount | None = first
        try:
            while account is not None:
                try:
                    self._serve(context, account.account_id, self._shutdown)
                finally:
                    with self._lock:
                        del self._busy[account.account_id]
                account = self._next(context)
        except Exception as error:  # the task says so, and goes on after a pause
            log.debug("account", exc_info=True)
            self._problem = error

    def _next(self, context: AppContext) -> WaitingAccount | None:
        """The account that is to be served now, and has its place from now on."""
        with self._lock:
            if len(self._busy) >= self._at_once or self._shutdown.is_requested:
                return None
            with context.database.reading() as session:
                waiting = self._find(session, now())
            self._served = {each.account_id: self._served.get(each.account_id, 0.0) for each in waiting}
            account = min(filter(self._has_place, waiting), key=self._turn, default=None)
            if account is not None:
                self._busy[account.account_id] = account
                self._served[account.account_id] = time.monotonic()
            return account

    def _turn(self, account: WaitingAccount) -> tuple[float, datetime]:
        """Whoever had a turn long ago, or none, comes first; then whoever waits longest."""
        return self._served[account.account_id], account.since

    def _has_place(self, account: WaitingAccount) -> bool:
        busy = self._busy.values()
        return (
            account.account_id not in self._busy
            and sum(each.host == account.host for each in busy) < PER_HOST
            and sum(each.user_id == account.user_id for each in busy) < PER_PERSON
            and (not account.is_troubled or sum(each.is_troubled for each in busy) < max(1, self._at_once // 2))
        )
