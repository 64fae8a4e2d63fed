"""A worker that is told to stop: runs end at their next letter, their mailboxes are free at once, nothing is lost or doubled."""

import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from sqlmodel import Session

from tests.fixtures.contexts import People
from tests.fixtures.leases import holder
from tests.inbound.mail_world import Post, checked, fresh_address, letter, mailbox_on
from tests.servers import wait_until
from tests.servers.nasty import NastyImap, nasty_imap
from tracker.inbound.accept import accept_all
from tracker.inbound.fetch.fetched_letter import Accepted, FetchedLetter
from tracker.inbound.fetch.imap_run import MANY
from tracker.inbound.fetch.letter_importer import StoreLetters
from tracker.inbound.fetch.mailbox_runs import MailboxRuns
from tracker.models import FetchRetry, Mailbox, MailboxProblem
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.worker import Task, Worker

LETTERS = 250
"""More than one question of a load asks for."""


@pytest.fixture
def server() -> Iterator[NastyImap]:
    with nasty_imap() as server:
        for number in range(LETTERS):
            server.put(letter(f"n {number}", f"c{number}@client.example"))
        yield server


@pytest.fixture
def post(context: AppContext, people: People, server: NastyImap) -> Post:
    post = mailbox_on(context, people.user(), server, fresh_address(), first_window="all_unread")
    assert checked(post) == "active"
    return post


def slowly(session: Session, context: AppContext, mailbox: Mailbox, some: Sequence[FetchedLetter]) -> list[Accepted]:
    time.sleep(0.01 * len(some))
    return accept_all(session, context, mailbox, some)


def working(context: AppContext, take: StoreLetters = accept_all) -> Worker:
    runs = MailboxRuns(take)
    worker = Worker(context, [Task("runs", runs, 0.05, end=runs.end)])
    worker.start()
    return worker


def runs_in_hand() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("mailbox ")]


def assert_free_and_due(post: Post) -> None:
    mailbox = post.mailbox
    assert holder(post.context, "mailbox", post.mailbox_id) is None
    assert (mailbox.state, mailbox.failures, mailbox.run_problem) == ("active", 0, "")
    assert mailbox.due_at is not None
    assert mailbox.due_at <= now()
    assert post.rows(FetchRetry) == []
    assert post.rows(MailboxProblem) == []
    assert set(post.notice_events()) <= {"first_load"}


def finish(post: Post) -> None:
    """The next worker goes on at once, and ends it."""
    worker = working(post.context)
    try:
        wait_until(
            lambda: len(post.letters()) == LETTERS and holder(post.context, "mailbox", post.mailbox_id) is None, 60
        )
    finally:
        worker.stop()
    assert sorted(post.subjects()) == sorted(f"n {number}" for number in range(LETTERS))


@pytest.mark.parametrize("first_load", [True, False], ids=["first load", "ordinary run"])
def test_a_run_ends_at_its_next_letter(context: AppContext, post: Post, server: NastyImap, first_load: bool) -> None:
    if not first_load:
        later = {uid: server.letters.pop(uid) for uid in list(server.letters)[-MANY:]}
        post.sync()
        server.letters |= later
        post.change(due_at=now())
    before = len(post.letters())
    worker = working(context, slowly)
    wait_until(lambda: before < len(post.letters()) < LETTERS)
    started = time.monotonic()
    worker.stop()
    assert time.monotonic() - started < 5
    assert runs_in_hand() == []
    assert before < len(post.letters()) < LETTERS
    assert_free_and_due(post)
    finish(post)


def test_a_run_that_waits_for_its_server_is_cut_off(context: AppContext, post: Post, server: NastyImap) -> None:
    """And it is no failure of the mailbox: it was we who cut the line."""
    silent = threading.Event()

    def script(_server: NastyImap, _tag: bytes, command: bytes) -> None:
        if b"BODY.PEEK[]" in command:
            silent.wait(60)

    server.script = script
    worker = working(context)
    wait_until(lambda: server.said(rb"BODY\.PEEK\[\]"))
    started = time.monotonic()
    worker.stop(timeout=4.0)
    assert time.monotonic() - started < 4
    assert runs_in_hand() == []
    assert_free_and_due(post)
    server.script = lambda server, tag, command: None
    silent.set()
    finish(post)


def test_nothing_begins_once_it_is_to_stop(context: AppContext, post: Post, server: NastyImap) -> None:
    runs = MailboxRuns(accept_all)
    runs.end(context, 1.0)
    before = server.lines
    runs(context)
    runs.join()
    assert server.lines == before
    assert_free_and_due(post)
