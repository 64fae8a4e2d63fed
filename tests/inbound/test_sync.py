"""Reading a real Dovecot: what is new comes in, once; nothing on the server changes unless it was asked for."""

from datetime import timedelta

import pytest
from sqlmodel import Session, select

from tests.inbound.mail_world import Post, each, hours_ago, letter, mailbox_on, put
from tests.servers import Dovecot
from tracker.inbound.accept import accept, accept_all
from tracker.inbound.fetch.fetched_letter import Accepted, FetchedLetter
from tracker.inbound.fetch.sync import sync_mailbox
from tracker.inbound.mailboxes import remove_mailbox
from tracker.models import (
    FetchRetry,
    Letter,
    Mailbox,
    Notice,
    PendingAction,
    User,
)
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.limits import MAX_LETTER, MAX_WHOLE_LETTER


def test_the_first_run_loads_the_last_day_and_the_next_what_is_new(post: Post, dovecot: Dovecot) -> None:
    put(dovecot, post, "old", hours_ago(30))
    put(dovecot, post, "yesterday", hours_ago(23))
    put(dovecot, post, "today", hours_ago(1))
    assert post.sync() == 2
    assert post.subjects() == ["yesterday", "today"]
    put(dovecot, post, "later")
    assert post.sync() == 1
    assert post.sync() == 0
    assert post.subjects() == ["yesterday", "today", "later"]
    mailbox = post.mailbox
    assert (mailbox.state, mailbox.run_loaded, mailbox.run_problem) == ("active", 0, "")
    assert mailbox.due_at is not None
    assert timedelta(minutes=9) < mailbox.due_at - now() < timedelta(minutes=11)


def test_the_first_load_is_told_in_one_summary(post: Post, dovecot: Dovecot) -> None:
    for number in range(3):
        put(dovecot, post, f"letter {number}")
    post.sync()
    assert all(letter.silent for letter in post.letters())
    (notice,) = [notice for notice in post.rows(Notice) if notice.event == "first_load"]
    assert notice.facts == {"letters": 3}
    put(dovecot, post, "later")
    post.sync()
    assert [letter.silent for letter in post.letters()] == [True, True, True, False]


def test_the_window_is_a_day_to_the_second_whatever_the_zone_of_the_server(post: Post, dovecot: Dovecot) -> None:
    """F3, F4: SINCE compares dates alone; INTERNALDATE decides, and exactly a day is inside."""
    connected = post.mailbox.active_since.replace(microsecond=0) + timedelta(seconds=1)
    post.change(active_since=connected)
    for seconds in (-1, 0, 1):
        put(dovecot, post, f"{seconds:+}", connected - timedelta(days=1) + timedelta(seconds=seconds))
    put(dovecot, post, "zone", (connected - timedelta(hours=23, minutes=50)))
    post.sync()
    assert post.subjects() == ["+0", "+1", "zone"]


@pytest.mark.parametrize(
    ("window", "subjects"), [("all_unread", ["old", "new"]), ("from_now", []), ("last_24h", ["new", "seen"])]
)
def test_the_first_window_is_a_choice(post: Post, dovecot: Dovecot, window: str, subjects: list[str]) -> None:
    post.change(first_window=window)
    put(dovecot, post, "old", hours_ago(2000))
    put(dovecot, post, "new", hours_ago(2))
    put(dovecot, post, "seen", hours_ago(2), flags="\\Seen")
    post.sync()
    assert post.subjects() == subjects
    put(dovecot, post, "later", flags="\\Seen")
    post.sync()
    assert post.subjects() == [*subjects, "later"]


def test_reading_leaves_everything_unread(post: Post, dovecot: Dovecot) -> None:
    """F5."""
    uid = put(dovecot, post, "a")
    post.sync()
    assert dovecot.flags(post.address)[uid] - {"\\Recent"} == set()


def test_read_letters_come_in_too_unless_only_unread_ones_are_wanted(post: Post, dovecot: Dovecot) -> None:
    """D3: what a colleague opened in webmail is not lost."""
    post.sync()
    put(dovecot, post, "opened", flags="\\Seen")
    assert post.sync() == 1
    post.change(only_unread=True)
    put(dovecot, post, "opened too", flags="\\Seen")
    put(dovecot, post, "unread")
    post.sync()
    assert post.subjects() == ["opened", "unread"]


def test_deleted_letters_and_drafts_are_passed(post: Post, dovecot: Dovecot) -> None:
    put(dovecot, post, "gone", flags="\\Deleted")
    put(dovecot, post, "draft", flags="\\Draft")
    put(dovecot, post, "letter")
    post.sync()
    assert post.subjects() == ["letter"]


def test_marking_read_happens_after_the_commit(post: Post, dovecot: Dovecot) -> None:
    """F6: when the run dies in between, the next one marks, and stores nothing twice."""
    post.change(mark_read=True)
    uid = put(dovecot, post, "a")
    claim = post.claim()
    assert claim is not None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tracker.inbound.fetch.imap_run.act", _die)
        with pytest.raises(KeyboardInterrupt):
            sync_mailbox(post.context, claim, accept_all)
    assert "\\Seen" not in dovecot.flags(post.address)[uid]
    assert len(post.rows(PendingAction)) == 1
    assert post.sync() == 0
    assert "\\Seen" in dovecot.flags(post.address)[uid]
    assert post.rows(PendingAction) == []
    assert post.subjects() == ["a"]


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_crash_before_the_commit_loads_the_letter_again_once(post: Post, dovecot: Dovecot) -> None:
    """F7."""
    put(dovecot, post, "a")
    claim = post.claim()
    assert claim is not None
    with pytest.raises(KeyboardInterrupt):
        sync_mailbox(post.context, claim, each(_die_importing))
    assert post.subjects() == []
    post.sync()
    assert post.subjects() == ["a"]


def _die_importing(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
    accept(session, context, mailbox, fetched)
    raise KeyboardInterrupt


def test_one_bad_letter_costs_only_itself(post: Post, dovecot: Dovecot) -> None:
    """Three tries, then it is kept as it came; the others were never held up."""
    for subject in ("a", "bad", "b"):
        put(dovecot, post, subject)

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        if b"Subject: bad" in fetched.read() and not fetched.unparsed:
            raise ValueError("what a letter\0")
        return accept(session, context, mailbox, fetched)

    post.sync(take=take)
    assert post.subjects() == ["a", "b"]
    (retry,) = post.rows(FetchRetry)
    assert (retry.tries, retry.problem) == (1, "ValueError: what a letter")
    post.sync(take=take)
    (retry,) = post.rows(FetchRetry)
    assert retry.tries == 2
    assert timedelta(minutes=55) < retry.try_at - now() < timedelta(minutes=61)
    post.sync(take=take)
    assert post.subjects() == ["a", "b"]
    _poll_now(post)
    post.sync(take=take)
    assert post.subjects() == ["a", "b", ""]
    assert post.letters()[-1].unparsed
    assert post.rows(FetchRetry) == []


def _poll_now(post: Post) -> None:
    with post.context.database.session_scope() as session:
        for retry in session.exec(select(FetchRetry)).all():
            retry.try_at = now()
            session.add(retry)


def test_a_letter_to_be_tried_again_may_be_gone(post: Post, dovecot: Dovecot) -> None:
    put(dovecot, post, "a")
    post.sync()
    folder = post.folder()
    assert folder.id is not None
    assert folder.uidvalidity is not None
    with post.context.database.session_scope() as session:
        session.add(FetchRetry(folder_id=folder.id, uidvalidity=folder.uidvalidity, uid=4000, try_at=now()))
    post.sync()
    assert post.rows(FetchRetry) == []
    assert post.mailbox.state == "active"


def test_loaded_letters_may_be_deleted_and_no_others(post: Post, dovecot: Dovecot) -> None:
    """F43 and the rule that what was loaded before stays."""
    put(dovecot, post, "before")
    post.sync()
    post.choose(delete_loaded=True)
    put(dovecot, post, "marked by somebody", flags="\\Deleted")
    put(dovecot, post, "ours")
    post.sync()
    left = dovecot.messages(post.address)
    assert [b"before" in raw or b"marked by somebody" in raw for raw in left] == [True, True]
    assert post.subjects() == ["before", "ours"]


def test_what_was_skipped_stays_on_the_server_unread(post: Post, dovecot: Dovecot) -> None:
    """F44."""
    post.choose(delete_loaded=True, mark_read=True)
    uid = put(dovecot, post, "unknown customer")

    def skip(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        return Accepted("new", accept(session, context, mailbox, fetched).letter_id, touch=False)

    post.sync(take=skip)
    assert dovecot.flags(post.address)[uid] - {"\\Recent"} == set()


def test_deletion_may_wait(post: Post, dovecot: Dovecot) -> None:
    post.choose(delete_loaded=True, delete_after_days=3)
    put(dovecot, post, "a")
    post.sync()
    assert len(dovecot.messages(post.address)) == 1
    with post.context.database.session_scope() as session:
        for action in session.exec(select(PendingAction)).all():
            assert timedelta(days=2.9) < action.due_at - now() < timedelta(days=3.1)
            action.due_at = now()
            session.add(action)
    post.sync()
    assert dovecot.messages(post.address) == []


def test_what_its_person_deleted_does_not_come_back(post: Post, dovecot: Dovecot) -> None:
    """F37, and C4: not even after the mailbox was removed and connected again."""
    put(dovecot, post, "unwanted")
    post.sync()
    with post.context.database.session_scope() as session:
        (row,) = session.exec(select(Letter).where(Letter.mailbox_id == post.mailbox_id)).all()
        row.deleted_at, row.subject = now(), ""
        session.add(row)
        mailbox = session.get_one(Mailbox, post.mailbox_id)
        user_id = mailbox.user_id
        remove_mailbox(session, mailbox)
    with post.context.database.reading() as session:
        user = session.get_one(User, user_id)
    again = mailbox_on(post.context, user, dovecot, post.address)
    assert again.mailbox_id == post.mailbox_id
    put(dovecot, post, "wanted")
    again.sync()
    assert again.subjects() == ["", "wanted"]


def test_a_large_letter_goes_to_disk_and_a_giant_is_cut(post: Post, dovecot: Dovecot) -> None:
    """F34: the others come in all the same."""
    body = "x" * 78 + "\r\n"
    seen: list[tuple[int, bool, bool]] = []

    def take(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        if fetched.size > MAX_WHOLE_LETTER:
            seen.append((len(fetched.read()), fetched.path is not None, fetched.too_large))
        return accept(session, context, mailbox, fetched)

    large = letter("large", body=body * (MAX_WHOLE_LETTER // 80 + 5000))
    dovecot.append(post.address, letter("first"), received_at=now())
    dovecot.append(post.address, large, received_at=now())
    dovecot.append(post.address, letter("giant", body=body * (MAX_LETTER // 80 + 5000)), received_at=now())
    dovecot.append(post.address, letter("last"), received_at=now())
    post.sync(take=take)
    assert post.subjects() == ["first", "large", "giant", "last"]
    assert [letter.too_large for letter in post.letters()] == [False, False, True, False]
    assert seen == [(len(large), True, False), (1024 * 1024, True, True)]
    assert list((post.context.settings.data_dir / "loading").iterdir()) == []


@pytest.mark.parametrize("first", [True, False])
def test_letters_that_are_read_together_count_in_the_order_of_their_receipt(
    post: Post, dovecot: Dovecot, first: bool
) -> None:
    """Whatever their UIDs are, in a first load and in what is new: of letters 25, 13 and 0 hours old the first and the last."""
    post.change(active_since=hours_ago(2))
    if not first:
        post.sync()
    for subject, hours in (("third", 0), ("second", 13), ("first", 25)):
        put(dovecot, post, subject, hours_ago(hours))
    post.sync()
    letters = {letter.subject: letter for letter in post.letters()}
    assert {subject: letter.counted for subject, letter in letters.items()} == {
        "first": True,
        "second": False,
        "third": True,
    }
    assert letters["second"].repeat_of_id == letters["first"].id
    assert post.folder().last_uid == 3


def test_a_run_that_ends_between_letters_out_of_order_loses_none(post: Post, dovecot: Dovecot) -> None:
    post.sync()
    for subject, hours in (("c", 0.1), ("a", 0.3), ("b", 0.2)):
        put(dovecot, post, subject, hours_ago(hours))
    post.change(active_since=hours_ago(1))

    def one_and_no_more(session: Session, context: AppContext, mailbox: Mailbox, fetched: FetchedLetter) -> Accepted:
        if post.letters():
            raise KeyboardInterrupt
        return accept(session, context, mailbox, fetched)

    with pytest.raises(KeyboardInterrupt):
        post.sync(take=one_and_no_more)
    assert (post.subjects(), post.folder().last_uid) == (["a"], 0)
    post.sync()
    assert post.subjects() == ["a", "b", "c"]
