"""The worker: a table of tasks, each in its own thread at its own pace, until a signal."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tracker.db import now
from tracker.digest import send_due as send_digest
from tracker.engagement.ingest import BATCH as hits_at_once
from tracker.engagement.ingest import drain, retry_aside
from tracker.engagement.learned import learn_scanners
from tracker.engagement.look_ups import LookUps
from tracker.engagement.nightly import judge_nightly
from tracker.engagement.range_refresh import refresh_due
from tracker.engagement.reverse_names import ReverseNames
from tracker.engagement.settling import BATCH as settled_at_once
from tracker.engagement.settling import settle_due
from tracker.engagement.sources import Source, sources
from tracker.house import House
from tracker.inbound.accept import accept_all
from tracker.inbound.fetching import Mailboxes
from tracker.inbound.listener import Listener
from tracker.ledger_audit import lapse
from tracker.models import WorkerBeat
from tracker.mx import look_up_due
from tracker.notices.gathering import gather
from tracker.notices.outbox import tell_due
from tracker.notify import end_quiet_hours
from tracker.outgoing.follow_up import remind_due
from tracker.outgoing.host_health import check_due
from tracker.outgoing.queue import release_claims_of_dead, send_due, worker_name
from tracker.outgoing.sent_copy import append_due
from tracker.pauses import remind_undecided
from tracker.privacy import sweep

log = logging.getLogger(__name__)

BEAT_SECONDS = 10.0
"""How often a task that works says that it lives."""


@dataclass(frozen=True)
class Task:
    """One thing to do again and again. ``function`` returns how much it did; while that is not 0 it is called again at once."""

    what: str
    function: Callable[[House], int]
    period: float
    """Seconds between two looks when there is nothing to do."""
    end: Callable[[House, float], None] | None = None
    """Ends what the function has started beside itself, within so many seconds; called once the worker is to stop."""


def tasks(house: House) -> list[Task]:
    """Everything a worker does."""
    name = worker_name()
    mailboxes, listener = Mailboxes(name, accept_all), Listener(name, house.settings.listened_mailboxes)
    return [
        *(Task(f"drain {s.name}", partial(_drain, s), 0.1 if s.name == "local" else 1.0) for s in sources(house)),
        Task("hits set aside", retry_aside, 30.0),
        Task("settle", _settle, 0.1),
        Task("names of addresses", LookUps(ReverseNames(house)), 0.5),
        Task("scanner networks", learn_scanners, 60.0),
        Task("judge again", judge_nightly, 600.0),
        Task("range files", refresh_due, 600.0),
        Task("send", _sending(name), 0.25),
        Task("tracking host", check_due, 5.0),
        Task("mail exchangers", look_up_due, 1.0),
        Task("quiet hours", end_quiet_hours, 5.0),
        Task("digest", send_digest, 15.0),
        Task("notices", tell_due, 1.0),
        Task("gathered notices", gather, 15.0),
        Task("sent copies", append_due, 1.0),
        Task("mailboxes", mailboxes, 1.0, mailboxes.end),
        Task("new mail", listener, 1.0, listener.end),
        Task("reminders", remind_due, 5.0),
        Task("consents over", lapse, 60.0),
        Task("undecided pauses", remind_undecided, 60.0),
        Task("sweep", sweep, 600.0),
    ]


def _sending(name: str) -> Callable[[House], int]:
    """Sends; at first gives free what a process of this machine held that no longer lives, and tries again if it cannot."""
    released = False

    def send(house: House) -> int:
        nonlocal released
        if not released:
            release_claims_of_dead(house)
            released = True
        return send_due(house, name)

    return send


def _drain(source: Source, house: House) -> int:
    return _whole(drain(house, source), hits_at_once)


def _settle(house: House) -> int:
    return _whole(settle_due(house), settled_at_once)


def _whole(done: int, batch: int) -> int:
    """A trickle is taken in small lots, not hit by hit: what writes again and again leaves nobody else the database."""
    return done if done >= batch else 0


TURN_SECONDS = 0.0005
"""How long a thread keeps the interpreter: threads that wait for a database ask for it back thousands of times a second."""


class Worker:
    """Runs every task until :meth:`stop`. A task that fails says so, waits longer and goes on."""

    def __init__(self, house: House, table: Sequence[Task] | None = None) -> None:
        self._house = house
        self._table = tasks(house) if table is None else table
        self._stopping = threading.Event()
        self._deadline = 0.0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        sys.setswitchinterval(TURN_SECONDS)
        for task in self._table:
            thread = threading.Thread(target=self._go_on, args=(task,), name=task.what, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, patience: float = 10.0) -> None:
        """Lets every task end what it has in hand, for ``patience`` seconds in all: mailboxes that are being read, too."""
        self._deadline = time.monotonic() + patience
        self._stopping.set()
        for thread in self._threads:
            thread.join(self._left())

    def _left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def run_until(self, stop: threading.Event) -> None:
        """Works until ``stop`` is set."""
        self.start()
        stop.wait()
        self.stop()

    def _go_on(self, task: Task) -> None:
        failures = 0
        last_beat = 0.0
        while not self._stopping.is_set():
            problem, done = self._once(task)
            last_beat = self._beat(task, problem, 0.0 if failures else last_beat)
            failures = failures + 1 if problem else 0
            if not done:
                self._stopping.wait(pause(task.period, failures))
        self._end(task)

    def _end(self, task: Task) -> None:
        if task.end is None:
            return
        try:
            # A little less than is left, so that whoever waits for us sees us end.
            task.end(self._house, self._left() * 0.9)
        except Exception as error:  # the process ends all the same
            log.error("%s could not be ended: %s: %s", task.what, type(error).__name__, error)

    def _once(self, task: Task) -> tuple[str, int]:
        try:
            return "", task.function(self._house)
        except Exception as error:  # whatever it is, the other tasks and the next try go on
            log.error("%s failed: %s: %s", task.what, type(error).__name__, error)
            log.debug("%s", task.what, exc_info=True)
            return f"{type(error).__name__}: {error}"[:500], 0

    def _beat(self, task: Task, problem: str, last: float) -> float:
        moment = now()
        if not problem and moment.timestamp() - last < BEAT_SECONDS:
            return last
        try:
            with self._house.database.session_scope() as session:
                session.merge(WorkerBeat(task=task.what[:64], at=moment, problem=problem))
        except Exception as error:
            log.error("the beat of %s could not be written: %s", task.what, type(error).__name__)
        return moment.timestamp()


def pause(period: float, failures: int) -> float:
    """Seconds until a task's next look: doubled with every failure in a row, but at most a minute more than usual."""
    return min(period * 2.0 ** min(failures, 16), period + 60.0)
