"""Workers that listen quickly, and what can be seen of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from tests.fixtures.leases import holder
from tests.inbound.mail_world import Post, checked, letter
from tests.servers.nasty import NastyImap
from tracker.inbound.accept import accept_all
from tracker.inbound.fetch.idle_leases import is_subscribed
from tracker.inbound.fetch.idle_watcher import IdleWatcher, Pace
from tracker.inbound.fetch.mailbox_runs import MailboxRuns
from tracker.models import MailboxListening
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.worker import Task, Worker

QUICK = Pace(
    round=0.05, idle_round=0.2, look=1.0, gather=0.2, between_runs=0.5, between_logins=0.0, pause=0.05, longest_pause=0.1
)  # fmt: skip
IDLING = "IMAP4rev1 UIDPLUS ID AUTH=PLAIN IDLE"


@contextmanager
def working(context: AppContext, pace: Pace = QUICK, most: int = 100) -> Iterator[None]:
    runs, listener = MailboxRuns(accept_all), IdleWatcher(most, pace)
    changes = ("mailbox", "credential")
    listening = Task("new mail", listener, 0.1, watches=changes, wake=listener.wake, end=listener.end)
    worker = Worker(context, [Task("runs", runs, 0.1, end=runs.end), listening])
    worker.start()
    try:
        yield
    finally:
        worker.stop()


def read_once(post: Post) -> Post:
    assert checked(post) == "active"
    post.sync()
    assert post.mailbox.due_at is not None
    assert post.mailbox.due_at > now() + timedelta(minutes=9)
    return post


def row(post: Post) -> MailboxListening:
    (listening,) = (row for row in post.rows(MailboxListening) if row.mailbox_id == post.mailbox_id)
    return listening


def listener_of(post: Post) -> str | None:
    """The process that listens."""
    return holder(post.context, "listening", post.mailbox_id)


def heard(post: Post) -> bool:
    with post.context.database.reading() as session:
        return is_subscribed(session, post.mailbox)


def arrives(server: NastyImap, subject: str) -> None:
    server.put(letter(subject))
    server.tell(b"* %d EXISTS\r\n" % len(server.letters))


def logins(server: NastyImap) -> int:
    return len(server.said(rb"^(LOGIN|AUTHENTICATE)"))


def stays(is_so: Callable[[], bool], seconds: float = 1.0) -> None:
    """It is so, and goes on being so."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert is_so()
        time.sleep(0.02)


def assert_untouched(post: Post) -> None:
    mailbox = post.mailbox
    assert (mailbox.state, mailbox.failures, mailbox.login_failures, mailbox.sync_wanted) == ("active", 0, 0, False)
    assert mailbox.due_at is not None
    assert mailbox.due_at > now() + timedelta(minutes=8)
    assert post.notice_events() == []


def left_alone(post: Post) -> bool:
    soon = now() + timedelta(hours=5)
    rows = [row for row in post.rows(MailboxListening) if row.mailbox_id == post.mailbox_id]
    rests = any(row.not_before is not None and row.not_before > soon for row in rows)
    return rests and listener_of(post) is None
