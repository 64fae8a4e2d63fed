"""When mailboxes are due, and how many are read at once."""

import time
from datetime import timedelta

from tests.fixtures.contexts import People
from tests.fixtures.leases import holder, other_process
from tests.inbound.mail_world import SECRET, Post, checked, credential_of, fresh_address, letter, mailbox_on
from tests.servers import Dovecot, wait_until
from tests.servers.nasty import NastyImap, nasty_imap
from tracker.consent.preferences import set_preference
from tracker.inbound.accept import accept_all
from tracker.inbound.credentials import change_credential
from tracker.inbound.fetch.mailbox_runs import MailboxRuns
from tracker.inbound.fetch.schedule import AT_ONCE_PER_HOST, back_off, claim_due, next_run
from tracker.inbound.mailbox_input import CredentialsChange
from tracker.inbound.mailboxes import credential_changed, remove_mailbox
from tracker.models import Mailbox
from tracker.runtime import processes
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.processes import Process


def test_the_next_run_counts_from_when_this_one_was_planned() -> None:
    moment = now()
    for _ in range(100):
        due = next_run(moment - timedelta(minutes=2), moment) - moment
        assert timedelta(minutes=7, seconds=30) <= due <= timedelta(minutes=8, seconds=30)
        missed = next_run(moment - timedelta(hours=3), moment) - moment
        assert timedelta(minutes=9, seconds=30) <= missed <= timedelta(minutes=10, seconds=30)


def test_pauses_grow_to_an_hour() -> None:
    minutes = [back_off(failures).total_seconds() / 60 for failures in (1, 2, 3, 4, 5, 6, 50)]
    for pause, expected in zip(minutes, (1, 2, 5, 10, 30, 60, 60), strict=True):
        assert expected * 0.9 <= pause <= expected * 1.1


def test_forty_mailboxes_on_one_host_come_in_gently(context: AppContext, people: People) -> None:
    """F39: two at once, and a pause between logins."""
    with context.database.session_scope() as session:
        set_preference(session, "mailbox_limit", 100)
    user, logins, open_lines, most = people.user(), [], [0], [0]

    def script(_server: object, _tag: bytes, command: bytes) -> None:
        if command.startswith((b"LOGIN", b"AUTHENTICATE")):
            logins.append(time.monotonic())
            open_lines[0] += 1
            most[0] = max(most[0], open_lines[0])
            time.sleep(0.3)
        elif command.startswith(b"LOGOUT"):
            open_lines[0] -= 1

    with nasty_imap(script=script) as server:
        server.put(letter())
        posts = [mailbox_on(context, user, server, fresh_address(), active=True) for _ in range(6)]
        for post in posts:
            post.change(state="active")
        pool = MailboxRuns(accept_all)
        deadline = time.monotonic() + 30
        while not all(post.mailbox.good_run_at for post in posts) and time.monotonic() < deadline:
            pool(context)
            time.sleep(0.05)
        pool.join()
        assert all(post.mailbox.good_run_at for post in posts)
    assert most[0] <= AT_ONCE_PER_HOST
    assert logins[-1] - logins[0] > 1.2


def test_a_mailbox_of_a_dead_process_is_free_at_once(context: AppContext, people: People, dovecot: Dovecot) -> None:
    post = mailbox_on(context, people.user(), dovecot, fresh_address())
    dead = other_process(context)
    with context.database.session_scope() as session:
        session.add(Process(id=dead.leases.process, place=processes._place(), number=1, started=0))
    assert claim_due(dead) is not None
    assert post.claim() is None
    processes.register(context)
    assert post.claim() is not None


def test_the_worker_starts_what_is_due(context: AppContext, people: People, dovecot: Dovecot) -> None:
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    dovecot.append(address, letter("a"), received_at=now())
    post = mailbox_on(context, people.user(), dovecot, address)
    pool = MailboxRuns(accept_all)
    assert pool(context) == 0
    wait_until(lambda: post.mailbox.good_run_at is not None)
    pool.join()
    assert post.subjects() == ["a"]
    assert pool(context) == 0
    assert pool.busy == 0


def test_what_is_changed_during_a_run_is_checked_after_it(context: AppContext, people: People) -> None:
    """The end of the run says nothing about the new password, neither good nor bad."""
    for refused in (False, True):
        with nasty_imap() as server:
            post = mailbox_on(context, people.user(f"Alice{refused}"), server, fresh_address())
            assert checked(post) == "active"

            def script(_server: NastyImap, tag: bytes, command: bytes, post: Post = post) -> bytes | None:
                if b"LIST" not in command:
                    return None
                with context.database.session_scope() as session:
                    credential = credential_of(session, post)
                    change_credential(session, context, credential, CredentialsChange(secret="another"))
                    credential_changed(session, credential)
                return tag + b" NO [LIMIT] throttled\r\n" if refused else None  # noqa: B023

            server.script = script
            post.sync()
            mailbox = post.mailbox
            assert (mailbox.state, mailbox.failures, mailbox.run_problem) == ("checking", 0, "")
            assert holder(context, "mailbox", post.mailbox_id) is None
            assert mailbox.due_at is not None
            assert mailbox.due_at <= now()
            remove(post)


def remove(post: Post) -> None:
    with post.context.database.session_scope() as session:
        remove_mailbox(session, session.get_one(Mailbox, post.mailbox_id))
