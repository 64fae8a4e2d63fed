"""Which worker listens to a mailbox, until when, and how it goes beside the runs."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fixtures.contexts import People
from tests.fixtures.leases import free, hold, other_process
from tests.inbound.idle.world import (
    QUICK,
    arrives,
    assert_untouched,
    heard,
    left_alone,
    listener_of,
    logins,
    read_once,
    row,
    stays,
    working,
)
from tests.inbound.mail_world import Post, credential_of, fresh_address, mailbox_on
from tests.servers import wait_until
from tests.servers.nasty import CUT, NastyImap, nasty_imap
from tests.test_worker import worker_process
from tracker.inbound.credentials import change_credential
from tracker.inbound.fetch.idle_leases import want_run
from tracker.inbound.mailbox_input import CredentialsChange, MailboxChange
from tracker.inbound.mailboxes import change_mailbox, credential_changed, remove_mailbox
from tracker.models import Mailbox, MailboxListening
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def test_two_workers_one_listener(context: AppContext, post: Post, server: NastyImap) -> None:
    ours, theirs = context.leases.process, "theirs"
    with working(context):
        with working(other_process(context, theirs)):
            wait_until(lambda: heard(post) and server.idling)
            stays(lambda: len(server.idling) <= 1)
            assert listener_of(post) in (ours, theirs)
        # One of them has gone, politely.
        wait_until(lambda: heard(post) and server.idling)
        assert listener_of(post) == ours
    assert listener_of(post) is None


def test_a_worker_elsewhere_is_followed_after_its_lease(context: AppContext, post: Post, server: NastyImap) -> None:
    hold(context, "listening", post.mailbox_id, seconds=2)
    with working(context):
        stays(lambda: not server.idling, 0.8)
        wait_until(lambda: listener_of(post) == context.leases.process and heard(post))


def test_a_worker_that_lost_its_lease_leaves(context: AppContext, post: Post, server: NastyImap) -> None:
    with working(context):
        wait_until(lambda: heard(post) and server.idling)
        hold(context, "listening", post.mailbox_id)
        wait_until(lambda: not server.idling)
        assert server.said(rb"^LOGOUT")
    assert listener_of(post) == "elsewhere"


@pytest.mark.timeout(180)
def test_killed_while_listening_the_next_one_listens(context: AppContext, post: Post, server: NastyImap) -> None:
    with worker_process(context) as process:
        wait_until(lambda: heard(post), 60)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert heard(post), "nobody has said that it ended"
    with worker_process(context):
        wait_until(lambda: len(server.idling) == 1 and heard(post))
        arrives(server, "Still heard")
        wait_until(lambda: post.subjects() == ["Still heard"])


def switch_off(post: Post) -> None:
    with post.context.database.session_scope() as session:
        change_mailbox(
            session,
            session.get_one(Mailbox, post.mailbox_id),
            credential_of(session, post),
            MailboxChange(active=False),
        )


def remove(post: Post) -> None:
    with post.context.database.session_scope() as session:
        remove_mailbox(session, session.get_one(Mailbox, post.mailbox_id))


def change_password(post: Post) -> None:
    with post.context.database.session_scope() as session:
        credential = credential_of(session, post)
        change_credential(session, post.context, credential, CredentialsChange(secret="another"))
        credential_changed(session, credential)


def change_folders(post: Post) -> None:
    with post.context.database.session_scope() as session:
        mailbox = session.get_one(Mailbox, post.mailbox_id)
        change_mailbox(session, mailbox, credential_of(session, post), MailboxChange(folders=["Sales"]))


@pytest.mark.parametrize("change", [switch_off, remove, change_password, change_folders])
def test_changes_end_the_line(
    context: AppContext, post: Post, server: NastyImap, change: Callable[[Post], None]
) -> None:
    with working(context):
        wait_until(lambda: heard(post) and server.idling)
        (line,) = server.idling
        change(post)
        wait_until(lambda: line not in server.idling)
        assert server.said(rb"^LOGOUT")
        if change is not change_password:  # then the mailbox is tested, and listened to again
            wait_until(lambda: not heard(post))


def test_it_listens_to_the_folder_that_is_read_now(context: AppContext, post: Post, server: NastyImap) -> None:
    server.folders += (b'* LIST () "/" Sales\r\n',)
    with working(context):
        wait_until(lambda: heard(post) and server.idling)
        change_folders(post)
        wait_until(lambda: server.idled_in[-1] == b"Sales" and heard(post))
        with context.database.session_scope() as session:
            mailbox = session.get_one(Mailbox, post.mailbox_id)
            change_mailbox(session, mailbox, credential_of(session, post), MailboxChange(folders=["Sales", "Inbox"]))
        wait_until(lambda: server.idled_in[-1] == b"INBOX" and heard(post))


def test_a_server_without_idle_is_never_asked(context: AppContext, people: People) -> None:
    with nasty_imap() as server:
        post = read_once(mailbox_on(context, people.user(), server, fresh_address()))
        before = server.lines
        with working(context):
            stays(lambda: server.lines == before)
            assert post.rows(MailboxListening) == []
            post.change(capabilities=["IDLE", "IMAP4REV1"])  # it had it once
            wait_until(lambda: left_alone(post))
        assert server.said(rb"^IDLE") == []
    assert_untouched(post)


def test_a_refused_sign_in_is_not_tried_again(context: AppContext, post: Post, server: NastyImap) -> None:
    """The password was changed at the provider, which may lock the account of whoever tries on."""
    with working(context, pace=replace(QUICK, refused_rest=0.1)):
        wait_until(lambda: heard(post) and server.idling)
        refuse = b" NO [AUTHENTICATIONFAILED] Invalid credentials\r\n"
        server.script = lambda server, tag, command: tag + refuse if command.startswith(b"AUTHENTICATE") else None
        before = logins(server)
        server.tell(CUT)
        wait_until(lambda: row(post).refused_at is not None)
        stays(lambda: logins(server) == before + 1)
        assert_untouched(post)
        server.script = lambda server, tag, command: None
        stays(lambda: logins(server) == before + 1, 0.5)
        post.change(due_at=now())  # an ordinary run finds that it works
        wait_until(lambda: heard(post))
        assert row(post).refused_at is None
        assert logins(server) == before + 3


def test_no_more_than_the_operator_allows(context: AppContext, people: People, post: Post, server: NastyImap) -> None:
    other = read_once(mailbox_on(context, people.user("Bob"), server, fresh_address()))
    with working(context, most=0):
        stays(lambda: not server.idling and post.rows(MailboxListening) == [], 0.5)
    with working(context, most=1):
        wait_until(lambda: heard(post) and server.idling)
        stays(lambda: len(server.idling) == 1, 0.5)
        switch_off(post)
        wait_until(lambda: heard(other))


def test_pauses_of_runs_are_not_shortened(context: AppContext, post: Post) -> None:
    later = now() + timedelta(minutes=5)
    for trouble in ({"failures": 1}, {"login_failures": 1}, {"state": "throttled"}, {"active": False}):
        post.change(due_at=later, **trouble)
        assert want_run(context, post.mailbox_id)
        assert (post.mailbox.due_at, post.mailbox.sync_wanted) == (later, False)
        post.change(failures=0, login_failures=0, state="active", active=True)
    hold(context, "mailbox", post.mailbox_id)
    assert not want_run(context, post.mailbox_id), "it is being read"
    assert (post.mailbox.due_at, post.mailbox.sync_wanted) == (later, False)
    free(context, "mailbox", post.mailbox_id)
    assert want_run(context, post.mailbox_id)
    assert post.mailbox.sync_wanted


def test_news_during_a_run_makes_another(context: AppContext, post: Post, server: NastyImap) -> None:
    with working(context):
        wait_until(lambda: heard(post) and server.idling)
        hold(context, "mailbox", post.mailbox_id)
        arrives(server, "Just missed")
        stays(lambda: not post.subjects(), 0.8)
        free(context, "mailbox", post.mailbox_id)
        wait_until(lambda: post.subjects() == ["Just missed"])
