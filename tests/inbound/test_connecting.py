"""Connecting a mailbox: once, within the limit, with a secret that goes nowhere, and words for what is wrong."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import func, select

from tests.fixtures.contexts import People
from tests.inbound.mail_world import SECRET, Post, checked, credential_of, fresh_address, letter, mailbox_on
from tests.servers import Dovecot
from tests.servers.nasty import Held, NastyImap, nasty_imap
from tracker.consent.preferences import set_preference
from tracker.inbound.credentials import (
    delete_credential,
    make_credential,
)
from tracker.inbound.mailbox_input import NewCredentials
from tracker.inbound.mailboxes import remove_mailbox
from tracker.models import Letter, Mailbox, User
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError


def test_a_mailbox_works(context: AppContext, people: People, dovecot: Dovecot) -> None:
    """C15: the password holds quotes, a backslash and letters beyond ASCII."""
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    dovecot.append(address, letter())
    dovecot.append(address, letter())
    post = mailbox_on(context, people.user(), dovecot, address)
    assert post.mailbox.state == "checking"
    assert checked(post) == "active"
    mailbox = post.mailbox
    assert (mailbox.state, mailbox.state_detail, mailbox.letters_on_server) == ("active", "", 2)
    assert "Sent Items" in mailbox.found_folders
    assert [flags - {"\\Recent"} for flags in dovecot.flags(address).values()] == [set(), set()]


def test_a_pop3_mailbox_works(context: AppContext, people: People, dovecot: Dovecot) -> None:
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    dovecot.append(address, letter())
    post = mailbox_on(context, people.user(), dovecot, address, protocol="pop3")
    assert checked(post) == "active"
    assert post.mailbox.letters_on_server == 1


def test_the_same_mailbox_twice_is_refused(context: AppContext, people: People, dovecot: Dovecot) -> None:
    """C1: whoever has it, and however it is written."""
    mailbox_on(context, people.user("Alice"), dovecot, "info@site-c1.ru")
    for person in ("Bob", "Carol"):
        with pytest.raises(ActionError) as refused:
            mailbox_on(context, people.user(person), dovecot, "Info@Site-C1.ru")
        assert refused.value.detail_code == "duplicate"
        assert "connected to Inkling already" in refused.value.sentence
    with context.database.reading() as session:
        assert session.exec(select(func.count()).select_from(Mailbox)).one() == 1


def test_two_saves_at_once_leave_one_mailbox(context: AppContext, people: People, dovecot: Dovecot) -> None:
    """C2."""
    alice, gate = people.user(), threading.Barrier(4)

    def save(_: int) -> str:
        gate.wait()
        try:
            mailbox_on(context, alice, dovecot, "info@site-c2.ru")
        except ActionError as error:
            return error.detail_code
        return "saved"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(save, range(4))) == ["duplicate", "duplicate", "duplicate", "saved"]


def test_removed_and_connected_again_its_letters_are_back(
    context: AppContext, people: People, dovecot: Dovecot
) -> None:
    """C4; but for nobody else."""
    alice, bob = people.user("Alice"), people.user("Bob")
    post = mailbox_on(context, alice, dovecot, "info@site-c4.ru")
    _keep_letter(context, post)
    _remove(context, post)
    assert mailbox_on(context, alice, dovecot, "info@site-c4.ru").mailbox_id == post.mailbox_id
    assert post.mailbox.removed_at is None
    _remove(context, post)
    other = mailbox_on(context, bob, dovecot, "info@site-c4.ru")
    assert other.mailbox_id != post.mailbox_id
    assert other.letters() == []
    assert len(post.letters()) == 1


def _keep_letter(context: AppContext, post: Post) -> None:
    with context.database.session_scope() as session:
        session.add(
            Letter(
                user_id=post.mailbox.user_id,
                mailbox_id=post.mailbox_id,
                identity="x",
                received_at=post.mailbox.created_at,
            )
        )


def _remove(context: AppContext, post: Post) -> None:
    with context.database.session_scope() as session:
        unused = remove_mailbox(session, session.get_one(Mailbox, post.mailbox_id))
        assert unused is not None
        delete_credential(session, unused)


def test_the_eleventh_mailbox_is_refused(context: AppContext, people: People, dovecot: Dovecot) -> None:
    """C5: those switched off count, those removed do not."""
    alice = people.user()
    posts = [mailbox_on(context, alice, dovecot, f"box{n}@site-c5.ru", active=n % 2 == 0) for n in range(10)]
    with pytest.raises(ActionError) as refused:
        mailbox_on(context, alice, dovecot, "box10@site-c5.ru")
    assert refused.value.detail_code == "limit"
    assert "10 mailboxes" in refused.value.sentence
    _remove(context, posts[0])
    mailbox_on(context, alice, dovecot, "box10@site-c5.ru")
    with context.database.session_scope() as session:
        set_preference(session, "mailbox_limit", 11)
    mailbox_on(context, alice, dovecot, "box11@site-c5.ru")


def test_a_wrong_password_keeps_everything_and_fetches_nothing(
    context: AppContext, people: People, dovecot: Dovecot
) -> None:
    """C6."""
    address = fresh_address()
    dovecot.add_user(address, "another")
    post = mailbox_on(context, people.user(), dovecot, address)
    started = time.monotonic()
    assert checked(post) == "auth_error"
    assert time.monotonic() - started < 8
    mailbox = post.mailbox
    assert mailbox.due_at is None
    assert "app password" in mailbox.state_detail
    with context.database.reading() as session:
        assert credential_of(session, post).secret is not None


def test_a_silent_server_is_given_up_after_eight_seconds(context: AppContext, people: People) -> None:
    """C7."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        post = mailbox_on(context, people.user(), NastyImap(silent.getsockname()[1]), fresh_address())
        started = time.monotonic()
        assert checked(post) == "connection_error"
        assert 7 < time.monotonic() - started < 12
    assert post.mailbox.due_at is None


def test_microsoft_wants_its_own_sign_in(context: AppContext, people: People) -> None:
    """C13."""
    post, state = _told(context, people, b"NO AUTHENTICATE failed. Basic authentication is disabled.")
    assert state == "needs_oauth"
    assert "Microsoft" in post.mailbox.state_detail


def test_yandex_says_that_imap_is_off(context: AppContext, people: People) -> None:
    """C14."""
    post, state = _told(context, people, b"NO [AUTHENTICATIONFAILED] LOGIN invalid credentials or IMAP is disabled")
    assert state == "auth_error"
    assert "Switch on access by IMAP" in post.mailbox.state_detail


def test_too_many_connections_are_tried_again(context: AppContext, people: People) -> None:
    """F28."""
    post, state = _told(context, people, b"NO [ALERT] Too many simultaneous connections. (Failure)")
    assert state == "throttled"
    assert post.mailbox.due_at is not None


def _told(context: AppContext, people: People, words: bytes) -> tuple[Post, str]:
    def script(_server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        return tag + b" " + words + b"\r\n" if command.startswith((b"LOGIN", b"AUTHENTICATE")) else None

    with nasty_imap(script=script) as server:
        post = mailbox_on(context, people.user(), server, fresh_address())
        return post, checked(post)


def test_the_check_loads_nothing(context: AppContext, people: People) -> None:
    """C18: a few commands, whatever the number of letters."""
    with nasty_imap() as server:
        server.letters = dict.fromkeys(range(1, 300_001), Held(b""))
        post = mailbox_on(context, people.user(), server, fresh_address())
        started = time.monotonic()
        assert checked(post) == "active"
        assert time.monotonic() - started < 8
        assert len(server.commands) < 10
        assert server.said(b"FETCH|SEARCH|SELECT") == []
    assert post.mailbox.letters_on_server == 300_000


def test_a_missing_folder_is_named(context: AppContext, people: People, dovecot: Dovecot) -> None:
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    post = mailbox_on(context, people.user(), dovecot, address, folders=["INBOX", "Запросы"])
    assert checked(post) == "folder_missing"
    assert "Запросы" in post.mailbox.state_detail
    assert "Sent Items" in post.mailbox.found_folders


def test_pop3_knows_no_read_marks(context: AppContext, people: People, dovecot: Dovecot) -> None:
    alice = people.user()
    with pytest.raises(ActionError) as refused:
        mailbox_on(context, alice, dovecot, fresh_address(), protocol="pop3", mark_read=True)
    assert refused.value.field == "mark_read"


def test_a_preset_fills_the_servers_in(context: AppContext, people: People) -> None:
    alice = people.user()
    assert alice.id is not None
    with context.database.session_scope() as session:
        credential = make_credential(session, context, alice.id, NewCredentials(preset="yandex", login="a@ya.ru"))
        other = make_credential(
            session, context, alice.id, NewCredentials(preset="mailru", protocol="pop3", login="a@bk.ru")
        )
        assert (credential.host, credential.port, credential.security) == ("imap.yandex.ru", 993, "tls")
        assert (other.host, other.port, other.security) == ("pop.mail.ru", 995, "tls")


def test_users_are_gone_with_their_mailboxes(context: AppContext, people: People, dovecot: Dovecot) -> None:
    alice = people.user()
    post = mailbox_on(context, alice, dovecot, fresh_address())
    with context.database.session_scope() as session:
        session.delete(session.get_one(User, alice.id))
    with context.database.reading() as session:
        assert session.get(Mailbox, post.mailbox_id) is None
