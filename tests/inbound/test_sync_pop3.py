"""Reading over POP3, from a real Dovecot: the set of UIDLs is the state."""

import poplib
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from sqlmodel import Session, select

from tests.fixtures.contexts import People
from tests.inbound.mail_world import SECRET, Post, credential_of, fresh_address, hours_ago, letter, mailbox_on
from tests.servers import Dovecot
from tests.servers.nasty_pop3 import NastyPop3, nasty_pop3
from tracker.inbound.accept import accept
from tracker.inbound.fetch.fetched_letter import Accepted, FetchedLetter
from tracker.inbound.fetch.pop3 import Pop3
from tracker.inbound.mailbox_input import MailboxChange
from tracker.inbound.mailboxes import change_mailbox
from tracker.models import FetchRetry, LetterCopy, Mailbox, PendingAction
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.limits import MAX_WHOLE_LETTER


@pytest.fixture
def post(context: AppContext, people: People, dovecot: Dovecot) -> Post:
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    return mailbox_on(context, people.user(), dovecot, address, protocol="pop3")


def received(subject: str, at: datetime | None = None, body: str = "Good day") -> bytes:
    return f"Received: from a by b; {format_datetime(at or now())}\r\n".encode() + letter(subject, body=body)


def put(dovecot: Dovecot, post: Post, subject: str, at: datetime | None = None, **more: str) -> None:
    dovecot.append(post.address, received(subject, at, **more), received_at=at or now())


def test_the_first_day_comes_in_and_then_what_is_new(post: Post, dovecot: Dovecot) -> None:
    put(dovecot, post, "old", hours_ago(40))
    put(dovecot, post, "yesterday", hours_ago(20))
    put(dovecot, post, "today")
    assert post.sync() == 2
    assert post.subjects() == ["yesterday", "today"]
    assert post.mailbox.state == "active"
    put(dovecot, post, "later")
    assert post.sync() == 1
    assert post.sync() == 0
    assert len(dovecot.messages(post.address)) == 4


def test_the_search_for_the_first_day_ends_after_fifty_older_letters(context: AppContext, people: People) -> None:
    with nasty_pop3() as server:
        for number in range(200):
            server.put(f"old{number}", received("old", hours_ago(400)))
        server.put("new", received("new"))
        post = mailbox_on(context, people.user(), server, fresh_address(), protocol="pop3")
        post.sync()
        assert post.subjects() == ["new"]
        assert len(server.said("TOP")) == 51
        post.sync()
        assert len(server.said("TOP")) == 51
        assert len(server.said("RETR")) == 1


def test_letters_of_a_pause_are_passed_by(post: Post, dovecot: Dovecot) -> None:
    post.sync()
    _choose(post, active=False)
    put(dovecot, post, "pause", hours_ago(1))
    _choose(post, active=True)
    put(dovecot, post, "now", now() + timedelta(seconds=5))
    post.sync()
    assert post.subjects() == ["now"]


def _choose(post: Post, **choices: Any) -> None:
    with post.context.database.session_scope() as session:
        change_mailbox(
            session, session.get_one(Mailbox, post.mailbox_id), credential_of(session, post), MailboxChange(**choices)
        )


def test_numbers_change_and_uidls_stay(post: Post, dovecot: Dovecot) -> None:
    """F40."""
    for subject in ("a", "b", "c"):
        put(dovecot, post, subject)
    post.sync()
    with dovecot._as(post.address) as imap:
        imap.select()
        imap.store("1", "+FLAGS", "\\Deleted")
        imap.expunge()
    put(dovecot, post, "d")
    assert post.sync() == 1
    assert post.subjects() == ["a", "b", "c", "d"]


def test_deletion_counts_from_a_clean_end(post: Post, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    """F41: a line lost before QUIT deletes nothing; the letters are known, and deleted next time."""
    _choose(post, delete_loaded=True)
    post.sync()
    put(dovecot, post, "a")
    with monkeypatch.context() as patch:
        patch.setattr(Pop3, "quit", _drop)
        post.sync()
    assert post.subjects() == ["a"]
    assert len(dovecot.messages(post.address)) == 1
    assert len(post.rows(PendingAction)) == 1
    assert post.sync() == 0
    assert dovecot.messages(post.address) == []
    assert post.rows(PendingAction) == []


def _drop(self: Pop3) -> None:
    self.close()
    raise poplib.error_proto("-ERR EOF")


@pytest.fixture
def server() -> Iterator[NastyPop3]:
    with nasty_pop3() as server:
        yield server


@pytest.fixture
def odd(context: AppContext, people: People, server: NastyPop3) -> Post:
    return mailbox_on(context, people.user(), server, fresh_address(), protocol="pop3")


def test_a_uidl_given_away_again(odd: Post, server: NastyPop3) -> None:
    """F42."""
    server.put("x1", received("first"))
    odd.sync()
    server.letters = {}
    odd.sync()
    server.put("x1", received("second"))
    odd.sync()
    assert odd.subjects() == ["first", "second"]
    assert len(odd.rows(LetterCopy)) == 1


def test_without_uidl_it_is_refused_with_words(odd: Post, server: NastyPop3) -> None:
    server.refused = {"UIDL"}
    odd.sync()
    mailbox = odd.mailbox
    assert mailbox.state == "connection_error"
    assert "UIDL" in mailbox.state_detail


def test_a_session_in_use_is_tried_again(odd: Post, server: NastyPop3) -> None:
    odd.sync()
    server.answers["PASS"] = b"-ERR [IN-USE] Do you have another POP session running?\r\n"
    odd.sync()
    assert odd.mailbox.state == "throttled"
    assert odd.mailbox.due_at is not None


def test_dots_long_lines_and_odd_bytes_come_through(odd: Post, server: NastyPop3) -> None:
    raw = letter("odd", body=".dot\r\n..dots\r\n" + "x" * 5000 + "\r\n.\r\nend")
    server.put("x", raw)
    seen = []

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        seen.append(fetched.read())
        return accept(session, context, mailbox, fetched)

    odd.sync(take=take)
    assert seen == [raw]


def test_one_bad_letter_costs_only_itself(odd: Post, server: NastyPop3) -> None:
    for name in ("a", "bad", "c"):
        server.put(name, received(name))
    server.answers["RETR 2"] = b"-ERR cannot read\r\n"
    odd.sync()
    assert odd.subjects() == ["a", "c"]
    del server.answers["RETR 2"]
    odd.sync()
    assert odd.subjects() == ["a", "c", "bad"]
    assert odd.rows(FetchRetry) == []


def test_what_is_dropped_is_not_loaded_again(odd: Post, server: NastyPop3) -> None:
    server.put("own notice", received("notice"))
    for _ in range(2):
        odd.sync(take=lambda *_: Accepted("dropped", touch=False))
    assert len(server.said("RETR")) == 1


def test_a_large_letter_goes_to_disk(post: Post, dovecot: Dovecot) -> None:
    put(dovecot, post, "large", body=("x" * 78 + "\r\n") * (MAX_WHOLE_LETTER // 80 + 4000))
    paths = []

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        paths.append(fetched.path)
        return accept(session, context, mailbox, fetched)

    post.sync(take=take)
    assert post.subjects() == ["large"]
    assert paths[0] is not None
    assert not paths[0].exists()


def test_a_lost_line_keeps_what_was_committed(odd: Post, server: NastyPop3) -> None:
    for name in ("a", "b", "c"):
        server.put(name, received(name))
    server.answers["RETR 3"] = b"+OK\r\nSubject: half"
    server.cuts = {"RETR 3"}
    odd.sync()
    assert odd.subjects() == ["a", "b"]
    server.answers.clear()
    server.cuts = set()
    odd.sync()
    assert odd.subjects() == ["a", "b", "c"]


def test_letters_are_waited_for(odd: Post, server: NastyPop3) -> None:
    server.put("a", received("a"))
    odd.sync()
    with odd.context.database.reading() as session:
        assert [copy.uidl for copy in session.exec(select(LetterCopy)).all()] == ["a"]
