"""A first load is quick because letters share a transaction (DECISIONS.md, “Small letters
share a question”); what holds for each letter alone holds all the same."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest
from imapclient import IMAPClient
from sqlalchemy import event
from sqlmodel import Session

from tests.fixtures.contexts import People
from tests.fixtures.counts import counted
from tests.fixtures.leases import hold_in, holder
from tests.inbound.mail_world import SECRET, Post, each, fresh_address, letter, mailbox_on
from tests.servers import Dovecot
from tracker.inbound.accept import accept
from tracker.inbound.fetch import imap
from tracker.inbound.fetch.fetched_letter import Accepted, FetchedLetter
from tracker.inbound.fetch.sync import sync_mailbox
from tracker.mail.mime.parts import Part, read_parts
from tracker.models import FetchRetry, LetterCopy, Mailbox, Notice
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

LETTERS = 30


@pytest.fixture
def post(context: AppContext, people: People, dovecot: Dovecot) -> Post:
    """A mailbox with thirty letters that were never loaded."""
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    for number in range(LETTERS):
        dovecot.append(address, letter(f"n {number}"), received_at=now())
    return mailbox_on(context, people.user(), dovecot, address)


ALL = [f"n {number}" for number in range(LETTERS)]


@contextmanager
def counted_commits(context: AppContext) -> Iterator[list[int]]:
    commits: list[int] = []

    def note(_connection: object) -> None:
        commits.append(1)

    event.listen(context.database.engine, "commit", note)
    try:
        yield commits
    finally:
        event.remove(context.database.engine, "commit", note)


def test_letters_of_a_first_load_share_transactions(
    context: AppContext, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[int] = []

    def read(raw: bytes, boundaries: Mapping[int, str] | None = None) -> Part:
        readings.append(len(raw))
        return read_parts(raw, boundaries)

    monkeypatch.setattr("tracker.mail.mime.repair.read_parts", read)
    with counted_commits(context) as commits, counted(context) as counts:
        assert post.sync() == LETTERS
    assert len(commits) < LETTERS
    assert counts["statements"] <= 64, counts  # said once for all of them, though all but one repeat an enquiry
    assert len(readings) == LETTERS, "each is divided into its parts once"
    assert post.subjects() == ALL
    assert len(post.rows(LetterCopy)) == LETTERS
    (load_notice,) = [notice for notice in post.rows(Notice) if notice.event == "first_load"]
    assert load_notice.facts == {"letters": LETTERS}


@pytest.mark.parametrize("most", [{"TOGETHER": 2}, {"TOGETHER_BYTES": 1000}])
def test_few_letters_share_one_transaction(post: Post, monkeypatch: pytest.MonkeyPatch, most: dict[str, int]) -> None:
    """Other writers of an SQLite file wait no longer than that."""
    for name, value in most.items():
        monkeypatch.setattr(f"tracker.inbound.fetch.letter_importer.{name}", value)
    with counted_commits(post.context) as commits:
        assert post.sync() == LETTERS
    assert len(commits) > LETTERS / 2
    assert post.subjects() == ALL


def test_killed_within_a_shared_transaction_nothing_of_it_stays(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.inbound.fetch.letter_importer.TOGETHER", 10)
    seen = []

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        seen.append(fetched.place.uid)
        if len(seen) == 28:
            raise KeyboardInterrupt
        return accept(session, context, mailbox, fetched)

    claim = post.claim()
    assert claim is not None
    with pytest.raises(KeyboardInterrupt):
        sync_mailbox(post.context, claim, each(take))
    assert post.subjects() == ALL[:20]
    assert post.folder().last_uid == 20
    assert post.sync() == LETTERS - 20
    assert post.subjects() == ALL
    assert post.rows(FetchRetry) == []


def test_one_bad_letter_takes_none_of_its_company_with_it(post: Post) -> None:
    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        accepted = accept(session, context, mailbox, fetched)
        if b"Subject: n 7\r" in fetched.read():
            raise ValueError("what a letter")
        return accepted

    assert post.sync(take=take) == LETTERS - 1
    assert post.subjects() == [subject for subject in ALL if subject != "n 7"]
    (retry,) = post.rows(FetchRetry)
    assert (retry.uid, retry.tries) == (8, 1)
    assert post.folder().last_uid == LETTERS


def test_the_same_letter_twice_in_one_transaction_is_one(post: Post, dovecot: Dovecot) -> None:
    twice = letter("twice")
    for _ in range(2):
        dovecot.append(post.address, twice, received_at=now())
    assert post.sync() == LETTERS + 1
    assert post.subjects() == [*ALL, "twice"]
    assert len(post.rows(LetterCopy)) == LETTERS + 2


def test_enquiries_of_one_sender_in_one_transaction_see_each_other(post: Post) -> None:
    """All thirty come from one person: the first counts, the others are its repeats."""
    post.sync()
    first, *others = post.letters()
    assert first.counted
    assert {other.repeat_of_id for other in others} == {first.id}
    assert not any(other.counted for other in others)


def test_while_letters_are_stored_the_next_ones_come(
    post: Post, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second question is asked before the letters of the first are stored; they end up in their order all the same."""
    monkeypatch.setattr("tracker.inbound.fetch.imap.METADATA_AT_ONCE", 10)
    asked = threading.Event()
    bodies = imap.bodies
    announced: list[bool] = []

    def ask(client: IMAPClient, uids: Sequence[int]) -> dict[int, bytes | None]:
        if uids[0] > 10:
            asked.set()
        return bodies(client, uids)

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        if fetched.place.uid == 1:
            announced.append(asked.wait(20))
        return accept(session, context, mailbox, fetched)

    monkeypatch.setattr("tracker.inbound.fetch.imap_run.imap.bodies", ask)
    assert post.sync(take=take) == LETTERS
    assert announced == [True]
    assert post.subjects() == ALL
    assert post.folder().last_uid == LETTERS


def test_the_lease_is_lost_while_the_next_letters_come(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was handed in behind the letters that found it lost is not done."""
    monkeypatch.setattr("tracker.inbound.fetch.imap.METADATA_AT_ONCE", 10)

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        if fetched.place.uid == 5:
            hold_in(session, "mailbox", mailbox.id)
        return accept(session, context, mailbox, fetched)

    assert post.sync(take=take) == 10
    assert post.subjects() == ALL[:10]
    assert post.folder().last_uid == 10
    assert holder(post.context, "mailbox", post.mailbox_id) == "elsewhere"
