"""Runs over a real Dovecot: ended in the middle, one at a time, too long, caught up."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from tests.fixtures.contexts import People, opened_context
from tests.fixtures.leases import hold_in, holder
from tests.inbound.mail_world import SECRET, Post, fresh_address, hours_ago, put
from tests.servers import Dovecot
from tracker.inbound.accept import accept, accept_all
from tracker.inbound.credentials import make_credential
from tracker.inbound.fetch.fetched_letter import Accepted, FetchedLetter
from tracker.inbound.fetch.sync import sync_mailbox
from tracker.inbound.mailbox_input import NewCredentials
from tracker.inbound.mailboxes import connect_mailbox, remove_mailbox, sync_now
from tracker.models import (
    Mailbox,
    MailboxFolder,
)
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def test_switched_off_in_the_middle_the_run_stops_at_the_next_letter(post: Post, dovecot: Dovecot) -> None:
    """C19."""
    post.sync()
    for number in range(5):
        put(dovecot, post, f"n {number}")

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        if b"Subject: n 2" in fetched.read():
            mailbox.active, mailbox.paused_at, mailbox.due_at, mailbox.state = False, now(), None, "paused"
        return accept(session, context, mailbox, fetched)

    post.sync(take=take)
    assert post.subjects() == ["n 0", "n 1", "n 2"]
    mailbox = post.mailbox
    assert (mailbox.state, mailbox.due_at, holder(post.context, "mailbox", mailbox.id)) == ("paused", None, None)
    assert post.folder().last_uid == 3


def test_a_first_load_stops_after_the_letters_that_share_the_transaction(
    post: Post, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C19."""
    monkeypatch.setattr("tracker.inbound.fetch.letter_importer.TOGETHER", 4)
    for number in range(6):
        put(dovecot, post, f"n {number}")

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        if b"Subject: n 2\r" in fetched.read():
            mailbox.active, mailbox.paused_at, mailbox.due_at, mailbox.state = False, now(), None, "paused"
        return accept(session, context, mailbox, fetched)

    assert post.sync(take=take) == 4
    assert post.mailbox.state == "paused"
    assert post.folder().last_uid == 4


def test_letters_of_a_pause_are_not_collected_unless_asked_for(post: Post, dovecot: Dovecot) -> None:
    """D1."""
    post.sync()
    post.choose(active=False)
    assert post.mailbox.state == "paused"
    post.change(paused_at=hours_ago(48))
    put(dovecot, post, "yesterday", hours_ago(30))
    put(dovecot, post, "today", hours_ago(3))
    post.choose(active=True, collect_pause_days=1)
    put(dovecot, post, "now", now() + timedelta(seconds=2))
    post.sync()
    assert post.subjects() == ["today", "now"]


def test_after_an_outage_everything_is_caught_up(post: Post, dovecot: Dovecot) -> None:
    post.sync()
    with post.context.database.session_scope() as session:
        row = session.get_one(MailboxFolder, post.folder().id)
        row.cut_off = row.good_run_at = hours_ago(200)
        session.add(row)
    put(dovecot, post, "during the outage", hours_ago(40))
    post.sync()
    assert post.subjects() == ["during the outage"]


def test_two_workers_never_read_one_mailbox_at_once(post: Post, dovecot: Dovecot) -> None:
    """F35, F38."""
    for number in range(30):
        put(dovecot, post, f"n {number}")
    post.change(due_at=now())
    gate, taken = threading.Barrier(4), []

    def work() -> None:
        gate.wait()
        claim = post.claim()
        if claim is not None:
            taken.append(claim)
            sync_mailbox(post.context, claim, accept_all)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    assert len(post.letters()) == 30


def test_a_lost_lease_ends_the_run(post: Post, dovecot: Dovecot) -> None:
    """A worker that slept for an hour does not go on where another has taken over."""
    post.sync()
    for number in range(3):
        put(dovecot, post, f"n {number}")

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        hold_in(session, "mailbox", mailbox.id)
        return accept(session, context, mailbox, fetched)

    post.sync(take=take)
    assert post.subjects() == ["n 0"]
    assert holder(post.context, "mailbox", post.mailbox_id) == "elsewhere"


def test_sync_now_during_a_run_makes_another_one(post: Post, dovecot: Dovecot) -> None:
    put(dovecot, post, "a")

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        sync_now(session, mailbox)
        return accept(session, context, mailbox, fetched)

    post.sync(take=take)
    assert post.mailbox.due_at is not None
    assert post.mailbox.due_at <= now()


def test_a_run_that_takes_too_long_goes_on_next_time(
    post: Post, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        put(dovecot, post, f"n {number}")
    with monkeypatch.context() as patch:
        patch.setattr("tracker.inbound.fetch.sync.RUN_SECONDS", -1.0)
        assert post.sync() == 0
    mailbox = post.mailbox
    assert mailbox.good_run_at is None
    assert mailbox.due_at is not None
    assert mailbox.due_at <= now()
    assert post.sync() == 60


def test_it_works_over_tls_too(tmp_path: Path, dovecot: Dovecot) -> None:
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    with opened_context(tmp_path, CA_FILE=str(dovecot.ca_file)) as context:
        user = People(context).user()
        assert user.id is not None
        for security, port in (("tls", dovecot.imaps_port), ("starttls", dovecot.imap_port)):
            with context.database.session_scope() as session:
                server: Any = {"host": "localhost", "port": port, "security": security, "login": address}
                credential = make_credential(session, context, user.id, NewCredentials(secret=SECRET, **server))
                mailbox = connect_mailbox(session, user.id, credential)
            assert mailbox.id is not None
            post = Post(context, user, mailbox.id, address)
            put(dovecot, post, security)
            post.sync()
            assert post.mailbox.state == "active", post.mailbox.run_problem
            with context.database.session_scope() as session:
                remove_mailbox(session, session.get_one(Mailbox, mailbox.id))
        assert post.subjects() == ["tls", "starttls"]
