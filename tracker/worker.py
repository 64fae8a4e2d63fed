"""The worker: a table of tasks, each in its own thread, until a signal.

A task looks when a transaction has changed what it works on, when the moment comes that it said is the next, and in any case after
its period: that is only the safety net.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, func, select

from tracker.consent.audit import lapse
from tracker.consent.pending_opt_outs import remind_undecided
from tracker.crm.enquiries import wake_snoozed
from tracker.crm.file_import import continue_imports
from tracker.engagement.edge_sources import Edge, SourceError, edges
from tracker.engagement.ingest import BATCH as hits_at_once
from tracker.engagement.ingest import drain, drain_backlog, prepare, retry_quarantined
from tracker.engagement.range_refresh import refresh_due
from tracker.engagement.rejudge import rejudge_nightly
from tracker.engagement.reverse_dns import ReverseDns
from tracker.engagement.reverse_names import ReverseNames
from tracker.engagement.scanner_reputation import learn_scanners
from tracker.engagement.settling import BATCH as settled_at_once
from tracker.engagement.settling import settle_due
from tracker.inbound.accept import accept_all
from tracker.inbound.fetch.idle_watcher import IdleWatcher
from tracker.inbound.fetch.mailbox_runs import MailboxRuns
from tracker.inbound.probe import look_due, next_look
from tracker.mail.account_servers import WaitingSender
from tracker.mail.recipient_mx import look_up_due
from tracker.models import (
    ConsentEntry,
    DomainProfile,
    EnquiryStatus,
    Event,
    Job,
    Mailbox,
    Message,
    Notice,
    PushDelivery,
    QuarantinedHit,
    TrackingPause,
    User,
)
from tracker.models.search_index import index_new, index_older
from tracker.notifications import digest, notice_digest, notices
from tracker.notifications.notify import end_quiet_hours
from tracker.outbound.account_pool import AccountPool, Serve, WaitingAccount
from tracker.outbound.host_health import HostCheck
from tracker.outbound.messages import remind_due
from tracker.outbound.push_queue import push_to_browser, subscriptions_due
from tracker.outbound.queue import accounts_due, send_for_account
from tracker.outbound.queue import next_due as copies_due
from tracker.outbound.sent_answers import accounts_to_look_at, look_for_answers, next_sent_folder
from tracker.outbound.sent_copy import WANTED, accounts_with_copies, file_for_account
from tracker.outbound.webhook_queue import deliver_to_endpoint, endpoints_due
from tracker.outbound.webhook_queue import next_due as webhooks_due
from tracker.privacy.clock import after_clock_came_back
from tracker.privacy.retention import replay_erasures, sweep
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.interpreter import take_short_turns
from tracker.runtime.processes import HEARTBEAT, heartbeat, leave, register
from tracker.runtime.wakeup import Subscription
from tracker.sites.publishing import next_due as next_publishing
from tracker.sites.publishing import publish_due

log = logging.getLogger(__name__)

NET_SECONDS = 30.0
"""A task that is woken by changes looks by itself so often, in case that a wake-up was lost."""
ONCE = threading.TIMEOUT_MAX
"""The period of what is done when the worker starts, and then no more."""
GAP_SECONDS = 0.05
"""Between two looks of a task: a trickle is taken in small lots, not one by one."""


@dataclass(frozen=True)
class Task:
    """One thing to do again and again. ``function`` returns how much it did; while that is not 0 it is called again at once."""

    what: str
    function: Callable[[AppContext], int]
    period: float = NET_SECONDS
    """Seconds between two looks when nothing wakes it."""
    watches: tuple[str, ...] = ()
    """The tables whose changes wake it."""
    wake: Callable[[], None] | None = None
    """Lets a function that waits by itself come back, when it is woken or the worker is to stop; called from other threads."""
    due: Callable[[Session], datetime | None] | None = None
    """When there will be something to do, as far as is known now."""
    prepare: Callable[[AppContext], None] | None = None
    """Makes ready, before the first look, what the function would have to wait for when its first work comes."""
    end: Callable[[AppContext, float], None] | None = None
    """Ends what the function has started beside itself, within so many seconds; called once the worker is to stop."""


def _side_by_side(find: Callable[[Session, datetime], Sequence[WaitingSender]], serve: Serve) -> AccountPool:
    """People served side by side, so that the mail server of one keeps no other waiting."""

    def waiting(session: Session, moment: datetime) -> list[WaitingAccount]:
        return [WaitingAccount(each.user_id, *each) for each in find(session, moment)]

    return AccountPool(waiting, serve)


def tasks(context: AppContext) -> list[Task]:
    """Everything a worker does."""
    return [
        *_tasks_of_hits(context),
        *_tasks_of_sending(),
        *_tasks_of_reading(context),
        *_tasks_of_notifications(),
        *_tasks_of_upkeep(),
    ]


def _tasks_of_hits(context: AppContext) -> list[Task]:
    return [
        *(_draining(edge) for edge in edges(context)),
        Task("hits set aside", retry_quarantined, watches=("hit_aside",), due=_first(QuarantinedHit.try_at)),
        Task("settle", _settle, watches=("event",), due=_first(Event.settle_at)),
        Task("names of addresses", ReverseDns(ReverseNames(context)), watches=("hit_evidence",)),
        Task("scanner networks", learn_scanners, watches=("scanner_proof",)),
        Task("judge again", rejudge_nightly, 600.0, due=_first(Job.due_at)),
        Task("range files", refresh_due, 600.0),
    ]


def _tasks_of_sending() -> list[Task]:
    sending, filing = AccountPool(accounts_due, send_for_account), AccountPool(accounts_with_copies, file_for_account)
    host_check, filing_due = HostCheck(), _first(Message.sent_copy_at, WANTED)
    return [
        Task("send", sending, watches=("delivery", "account"), due=copies_due, end=sending.end),
        Task("tracking host", host_check, 60.0, due=host_check.due),
        Task("mail exchangers", look_up_due, watches=("domain_profile",), due=_first(DomainProfile.due_at)),
        Task("sent copies", filing, watches=("message",), due=filing_due, end=filing.end),
        Task("reminders", remind_due, watches=("message",), due=_first(Message.follow_up_at)),
    ]


def _tasks_of_reading(context: AppContext) -> list[Task]:
    mailboxes, watcher = MailboxRuns(accept_all), IdleWatcher(context.settings.listened_mailboxes)
    answers = AccountPool(accounts_to_look_at, look_for_answers, 4)
    site_tables = ("mailbox", "site", "site_block", "site_rule", "site_source")
    return [
        Task("mailboxes", mailboxes, watches=("mailbox",), due=_first(Mailbox.due_at), end=mailboxes.end),
        Task("new mail", watcher, watches=("mailbox", "credential"), wake=watcher.wake, end=watcher.end),
        Task("answers elsewhere", answers, 600.0, watches=("enquiry_status",), due=next_sent_folder, end=answers.end),
        Task("imports", continue_imports, watches=("customer_import",)),
        Task("snoozed", wake_snoozed, watches=("enquiry_status",), due=_first(EnquiryStatus.snoozed_until)),
        Task("sites", publish_due, watches=site_tables, due=next_publishing),
        Task("test letters of rules", look_due, watches=("site_rule",), due=next_look),
    ]


def _tasks_of_notifications() -> list[Task]:
    digests, notice_mail = (
        _side_by_side(digest.people_waiting, digest.send_due),
        _side_by_side(notices.people_to_tell, notices.tell_person),
    )
    hooks, pushes = AccountPool(endpoints_due, deliver_to_endpoint, 16), AccountPool(subscriptions_due, push_to_browser)
    digest_due = _first(User.digest_at, col(User.active).is_(True))
    notice_due = _first(Notice.due_at, col(Notice.sent_at).is_(None))
    return [
        Task("quiet hours", end_quiet_hours, watches=("user_account",), due=_first(User.quiet_ends_at)),
        Task("digest", digests, watches=("user_account",), due=digest_due, end=digests.end),
        Task("notices", notice_mail, watches=("notice",), due=notice_due, end=notice_mail.end),
        Task("gathered notices", notice_digest.add_due, watches=("mailbox_problem",), due=notice_digest.next_due),
        Task("webhooks", hooks, watches=("webhook_delivery", "webhook_endpoint"), due=webhooks_due, end=hooks.end),
        Task("push", pushes, watches=("push_delivery",), due=_first(PushDelivery.due_at), end=pushes.end),
    ]


def _tasks_of_upkeep() -> list[Task]:
    undecided_due = _first(TrackingPause.due_at, col(TrackingPause.decided_at).is_(None))
    return [
        Task("consents over", lapse, watches=("consent_entry",), due=_first(ConsentEntry.valid_until)),
        Task("undecided pauses", remind_undecided, watches=("tracking_pause",), due=undecided_due),
        Task("sweep", sweep, 600.0),
        Task("clock", after_clock_came_back, 60.0),
        Task("words of new mail", lambda context: index_new(context.database), watches=("message",)),
        Task("words of before the index", lambda context: index_older(context.database), ONCE),
        Task("erasures of before a restore", replay_erasures, ONCE),
    ]


def _first(column: Any, *conditions: ColumnElement[bool]) -> Callable[[Session], datetime | None]:
    """The earliest time in a column."""
    first = select(func.min(column)).where(col(column).is_not(None), *conditions)
    return lambda session: session.exec(first).one()


def _draining(edge: Edge) -> Task:
    is_local = edge.name == "local"  # a remote edge holds the question until it has hits
    period, watches = (NET_SECONDS, ("spool",)) if is_local else (GAP_SECONDS, ())
    return Task(f"drain {edge.name}", partial(_drain, edge), period, watches=watches, prepare=prepare)


def _drain(edge: Edge, context: AppContext) -> int:
    again, problem = 0, None
    for spool in edge.spools():
        try:
            fresh = drain(context, spool)
            # what comes meanwhile waits for no more than a small lot of what is old
            old = drain_backlog(context, spool, hits_at_once // 8)
            again += old or _whole(fresh, hits_at_once)
        except SourceError as error:  # the others go on
            problem = error
    if problem is not None:
        raise problem
    return again


def _settle(context: AppContext) -> int:
    return _whole(settle_due(context), settled_at_once)


def _whole(done: int, batch: int) -> int:
    """A trickle is taken in small lots, not hit by hit: what writes again and again leaves nobody else the database."""
    return done if done >= batch else 0


OVERDUE_SECONDS = 1.0
"""Until the next look at what is due and yet cannot be done, because another worker holds it."""


class Worker:
    """Runs every task until :meth:`stop`. A task that fails says so, waits longer and goes on."""

    def __init__(self, context: AppContext, table: Sequence[Task] | None = None) -> None:
        self._context = context
        self._table = tasks(context) if table is None else table
        self._shutdown = threading.Event()
        self._deadline = 0.0
        self._threads: list[threading.Thread] = []
        self._subscriptions: list[Subscription] = []
        self._heartbeat_wanted = threading.Event()
        self._problems = {task.what[:64]: "" for task in self._table}

    def start(self) -> None:
        take_short_turns()
        with suppress(DBAPIError):  # the database is away: the heartbeat registers as well
            register(self._context)
        for task in self._table:
            subscription = self._context.database.wakeups.subscribe(task.watches, task.wake)
            self._subscriptions.append(subscription)
            self._begin(task.what, self._go_on, task, subscription)
        self._begin("heartbeat", self._live)

    def _begin(self, name: str, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Lets every task end what it has in hand, for ``timeout`` seconds in all: mailboxes that are being read, too."""
        self._deadline = time.monotonic() + timeout
        self._shutdown.set()
        self._heartbeat_wanted.set()
        for subscription in self._subscriptions:
            subscription.wake()
        for thread in self._threads:
            thread.join(self._left())
        for subscription in self._subscriptions:
            self._context.database.wakeups.unsubscribe(subscription)
        self._subscriptions.clear()
        with suppress(DBAPIError):  # then the next process frees what we held
            leave(self._context)

    def _left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def run_until(self, stop: threading.Event) -> None:
        """Works until ``stop`` is set."""
        self.start()
        stop.wait()
        self.stop()

    def _go_on(self, task: Task, subscription: Subscription) -> None:
        failures = 0
        self._prepare(task)
        while not self._shutdown.is_set():
            subscription.clear()
            if self._shutdown.is_set():  # said between the two lines above
                break
            looked_at = time.monotonic()
            problem, done = self._once(task)
            self._note(task, problem)
            failures = failures + 1 if problem else 0
            if problem:
                self._shutdown.wait(pause(failures))
            elif not done:
                subscription.wait(self._until_due(task))
                self._shutdown.wait(max(0.0, looked_at + GAP_SECONDS - time.monotonic()))
        self._end(task)

    def _prepare(self, task: Task) -> None:
        if task.prepare is not None:
            try:
                task.prepare(self._context)
            except Exception as error:  # the task itself will say so
                log.debug("%s: %s", task.what, type(error).__name__)

    def _until_due(self, task: Task) -> float:
        """Seconds until the task has to look again, if nothing wakes it."""
        if task.due is None:
            return task.period
        try:
            with self._context.database.reading() as session:
                moment = task.due(session)
        except Exception as error:  # the database is away; the task itself will say so
            log.debug("%s: %s", task.what, type(error).__name__)
            return min(task.period, OVERDUE_SECONDS)
        if moment is None:
            return task.period
        left = (moment - now()).total_seconds()
        return min(task.period, left if left > 0 else OVERDUE_SECONDS)

    def _end(self, task: Task) -> None:
        if task.end is None:
            return
        try:
            # A little less than is left, so that whoever waits for us sees us end.
            task.end(self._context, self._left() * 0.9)
        except Exception as error:  # the process ends all the same
            log.error("%s could not be ended: %s: %s", task.what, type(error).__name__, error)

    def _once(self, task: Task) -> tuple[str, int]:
        try:
            return "", task.function(self._context)
        except Exception as error:  # whatever it is, the other tasks and the next try go on
            log.error("%s failed: %s: %s", task.what, type(error).__name__, error)
            log.debug("%s", task.what, exc_info=True)
            return f"{type(error).__name__}: {error}"[:500], 0

    def _note(self, task: Task, problem: str) -> None:
        """What has changed about a task is said at once."""
        name = task.what[:64]
        if self._problems[name] != problem:
            self._problems[name] = problem
            self._heartbeat_wanted.set()

    def _live(self) -> None:
        """Says that this process lives, and prolongs what it holds."""
        while not self._shutdown.is_set():
            self._heartbeat_wanted.clear()
            try:
                heartbeat(self._context, self._problems)
                self._context.leases.renew(self._context.database)
            except Exception as error:
                log.error("the heartbeat could not be written: %s", type(error).__name__)
            self._heartbeat_wanted.wait(HEARTBEAT.total_seconds())


def pause(failures: int) -> float:
    """Seconds until the next try of a task that failed so often in a row: doubled every time, a minute at most."""
    return min(0.25 * 2.0 ** min(failures, 16), 60.0)
