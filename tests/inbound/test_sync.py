"""Reading a real Dovecot: what is new comes in, once; nothing on the server changes unless it was asked for."""

import shutil
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from imapclient import imap_utf7
from sqlmodel import Session, col, select

from tests.houses import People, opened_house
from tests.inbound.mail_world import SECRET, Post, each, fresh_address, hours_ago, letter, mailbox_on
from tests.servers import Dovecot, wait_until
from tracker.db import now
from tracker.house import House
from tracker.inbound.accept import accept, accept_all
from tracker.inbound.credentials import make_credential
from tracker.inbound.fetched import Accepted, Fetched
from tracker.inbound.mailboxes import change_mailbox, connect_mailbox, remove_mailbox, sync_now
from tracker.inbound.sync import sync_mailbox
from tracker.limits import MAX_LETTER, MAX_WHOLE_LETTER
from tracker.models import (
    FetchRetry,
    Letter,
    LetterCopy,
    Mailbox,
    MailboxFolder,
    MailboxProblem,
    Notice,
    PendingAction,
    User,
)


@pytest.fixture
def post(house: House, people: People, dovecot: Dovecot) -> Post:
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    return mailbox_on(house, people.user(), dovecot, address)


def put(dovecot: Dovecot, post: Post, subject: str, at: datetime | None = None, **more: str) -> int:
    return dovecot.append(post.address, letter(subject), received_at=at or now(), **more)


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
        patch.setattr("tracker.inbound.imap_run.act", _die)
        with pytest.raises(KeyboardInterrupt):
            sync_mailbox(post.house, claim, accept_all)
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
        sync_mailbox(post.house, claim, each(_die_taking))
    assert post.subjects() == []
    post.sync()
    assert post.subjects() == ["a"]


def _die_taking(session: Session, house: House, mailbox: Mailbox, fetched: Fetched) -> Accepted:
    accept(session, house, mailbox, fetched)
    raise KeyboardInterrupt


def test_one_bad_letter_costs_only_itself(post: Post, dovecot: Dovecot) -> None:
    """Three tries, then it is kept as it came; the others were never held up."""
    for subject in ("a", "bad", "b"):
        put(dovecot, post, subject)

    def take(session: Session, house: House, mailbox: Mailbox, fetched: Fetched) -> Accepted:
        if b"Subject: bad" in fetched.read() and not fetched.unparsed:
            raise ValueError("what a letter\0")
        return accept(session, house, mailbox, fetched)

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
    _hurry(post)
    post.sync(take=take)
    assert post.subjects() == ["a", "b", ""]
    assert post.letters()[-1].unparsed
    assert post.rows(FetchRetry) == []


def _hurry(post: Post) -> None:
    with post.house.database.session_scope() as session:
        for retry in session.exec(select(FetchRetry)).all():
            retry.try_at = now()
            session.add(retry)


def test_a_letter_to_be_tried_again_may_be_gone(post: Post, dovecot: Dovecot) -> None:
    put(dovecot, post, "a")
    post.sync()
    folder = post.folder()
    assert folder.id is not None
    assert folder.uidvalidity is not None
    with post.house.database.session_scope() as session:
        session.add(FetchRetry(folder_id=folder.id, uidvalidity=folder.uidvalidity, uid=4000, try_at=now()))
    post.sync()
    assert post.rows(FetchRetry) == []
    assert post.mailbox.state == "active"


def test_loaded_letters_may_be_deleted_and_no_others(post: Post, dovecot: Dovecot) -> None:
    """F43 and the rule that what was loaded before stays."""
    put(dovecot, post, "before")
    post.sync()
    _choose(post, delete_loaded=True)
    put(dovecot, post, "marked by somebody", flags="\\Deleted")
    put(dovecot, post, "ours")
    post.sync()
    left = dovecot.messages(post.address)
    assert [b"before" in raw or b"marked by somebody" in raw for raw in left] == [True, True]
    assert post.subjects() == ["before", "ours"]


def test_what_was_skipped_stays_on_the_server_unread(post: Post, dovecot: Dovecot) -> None:
    """F44."""
    _choose(post, delete_loaded=True, mark_read=True)
    uid = put(dovecot, post, "unknown customer")

    def skip(session: Session, house: House, mailbox: Mailbox, fetched: Fetched) -> Accepted:
        return Accepted("new", accept(session, house, mailbox, fetched).letter_id, touch=False)

    post.sync(take=skip)
    assert dovecot.flags(post.address)[uid] - {"\\Recent"} == set()


def test_deletion_may_wait(post: Post, dovecot: Dovecot) -> None:
    _choose(post, delete_loaded=True, delete_after_days=3)
    put(dovecot, post, "a")
    post.sync()
    assert len(dovecot.messages(post.address)) == 1
    with post.house.database.session_scope() as session:
        for action in session.exec(select(PendingAction)).all():
            assert timedelta(days=2.9) < action.due_at - now() < timedelta(days=3.1)
            action.due_at = now()
            session.add(action)
    post.sync()
    assert dovecot.messages(post.address) == []


def _choose(post: Post, **choices: object) -> None:
    with post.house.database.session_scope() as session:
        change_mailbox(session, session.get_one(Mailbox, post.mailbox_id), None, **choices)


def test_what_its_person_deleted_does_not_come_back(post: Post, dovecot: Dovecot) -> None:
    """F37, and C4: not even after the mailbox was removed and connected again."""
    put(dovecot, post, "unwanted")
    post.sync()
    with post.house.database.session_scope() as session:
        (row,) = session.exec(select(Letter).where(Letter.mailbox_id == post.mailbox_id)).all()
        row.deleted_at, row.subject = now(), ""
        session.add(row)
        mailbox = session.get_one(Mailbox, post.mailbox_id)
        user_id = mailbox.user_id
        remove_mailbox(session, mailbox)
    with post.house.database.reading() as session:
        user = session.get_one(User, user_id)
    again = mailbox_on(post.house, user, dovecot, post.address)
    assert again.mailbox_id == post.mailbox_id
    put(dovecot, post, "wanted")
    again.sync()
    assert again.subjects() == ["", "wanted"]


def test_other_folders_by_their_real_names(post: Post, dovecot: Dovecot) -> None:
    """F18, F20: modified UTF-7, slashes and brackets."""
    for name, subject in (("Запросы", "cyrillic"), ("a[b]/c d", "brackets")):
        dovecot.append(post.address, letter(subject), imap_utf7.encode(name).decode(), received_at=now())
    dovecot.append(post.address, letter("sent"), "Sent Items", received_at=now())
    dovecot.append(post.address, letter("spam"), "Junk", received_at=now())
    _choose(post, folders=["INBOX", "Запросы", "a[b]/c d", "Sent Items", "Junk"])
    post.sync()
    assert sorted(post.subjects()) == ["brackets", "cyrillic"]
    _choose(post, folders=["INBOX"], all_folders=True)
    post.sync()
    assert sorted(post.subjects()) == ["brackets", "cyrillic"]


def test_a_letter_that_was_moved_is_the_same_letter(post: Post, dovecot: Dovecot) -> None:
    """F36."""
    raw = letter("moved")
    dovecot.append(post.address, raw, received_at=now())
    post.sync()
    _choose(post, all_folders=True)
    dovecot.append(post.address, raw, "Archive", received_at=now())
    post.sync()
    assert post.subjects() == ["moved"]
    assert len(post.rows(LetterCopy)) == 2


def test_a_folder_that_is_gone_breaks_the_mailbox_with_words(post: Post, dovecot: Dovecot) -> None:
    post.sync()
    post.change(folders=["Nowhere"])
    post.sync()
    assert post.mailbox.state == "folder_missing"
    post.change(folders=["INBOX"])
    post.sync()
    assert post.mailbox.state == "active"
    assert post.told() == ["broken", "recovered"]


def test_a_rebuilt_folder_is_recognised(post: Post, dovecot: Dovecot) -> None:
    """F21, F22: the same letters under another UIDVALIDITY, and three that came meanwhile."""
    old = [letter(f"old {number}") for number in range(20)]
    for raw in old:
        dovecot.append(post.address, raw, received_at=hours_ago(2))
    post.sync()
    before = post.folder().uidvalidity
    _rebuild(dovecot, post, [*old, *(letter(f"new {number}") for number in range(3))])
    assert post.sync() == 3
    folder = post.folder()
    assert folder.uidvalidity != before
    assert folder.rebuilt_at is not None
    assert [p.code for p in post.rows(MailboxProblem)] == ["rebuilt"]
    copies = post.rows(LetterCopy)
    assert len(copies) == 23
    assert {copy.uidvalidity for copy in copies} == {folder.uidvalidity}
    dovecot.append(post.address, letter("later"), received_at=now())
    assert post.sync() == 1


def test_unknown_old_letters_of_a_rebuilt_folder_come_in_silently(post: Post, dovecot: Dovecot) -> None:
    raw = letter("known")
    dovecot.append(post.address, raw, received_at=hours_ago(2))
    post.sync()
    _rebuild(dovecot, post, [])
    dovecot.append(post.address, letter("restored"), received_at=hours_ago(10))
    dovecot.append(post.address, raw, received_at=hours_ago(2))
    dovecot.append(post.address, letter("fresh"), received_at=now())
    post.sync()
    assert {letter.subject: letter.recovered for letter in post.letters()} == {
        "known": False, "restored": True, "fresh": False,
    }  # fmt: skip


def _rebuild(dovecot: Dovecot, post: Post, letters: list[bytes]) -> None:
    """Gives INBOX a new UIDVALIDITY, and these letters."""
    before = post.folder().uidvalidity or 0
    wait_until(
        lambda: int(time.time()) > before
    )  # Dovecot's UIDVALIDITY is about the second in which a folder was made
    home = dovecot.folder / "home" / post.address / "Maildir"
    for part in ("cur", "new"):
        for path in (home / part).iterdir():
            path.unlink()
    for path in home.glob("dovecot*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with dovecot._as(post.address) as imap:
        imap.select()
    for raw in letters:
        dovecot.append(post.address, raw, received_at=hours_ago(2) if b"Subject: old" in raw else now())


def test_our_database_from_a_backup_doubles_nothing(post: Post, dovecot: Dovecot) -> None:
    """F26: the cursor is behind; letters are known by identity, and many at once ring once."""
    for number in range(110):
        dovecot.append(post.address, letter(f"n {number}"), received_at=now())
    post.sync()
    with post.house.database.session_scope() as session:
        row = session.exec(select(MailboxFolder).where(MailboxFolder.mailbox_id == post.mailbox_id)).one()
        row.last_uid = 0
        session.add(row)
        for kept in session.exec(select(Letter).order_by(col(Letter.id).desc()).limit(105)).all():
            session.delete(kept)
    assert post.sync() == 105
    assert len(post.letters()) == 110
    assert all(letter.silent for letter in post.letters())


def test_a_large_letter_goes_to_disk_and_a_giant_is_cut(post: Post, dovecot: Dovecot) -> None:
    """F34: the others come in all the same."""
    body = "x" * 78 + "\r\n"
    seen: list[tuple[int, bool, bool]] = []

    def take(session: Session, house: House, mailbox: Mailbox, fetched: Fetched) -> Accepted:
        if fetched.size > MAX_WHOLE_LETTER:
            seen.append((len(fetched.read()), fetched.path is not None, fetched.too_large))
        return accept(session, house, mailbox, fetched)

    large = letter("large", body=body * (MAX_WHOLE_LETTER // 80 + 5000))
    dovecot.append(post.address, letter("first"), received_at=now())
    dovecot.append(post.address, large, received_at=now())
    dovecot.append(post.address, letter("giant", body=body * (MAX_LETTER // 80 + 5000)), received_at=now())
    dovecot.append(post.address, letter("last"), received_at=now())
    post.sync(take=take)
    assert post.subjects() == ["first", "large", "giant", "last"]
    assert [letter.too_large for letter in post.letters()] == [False, False, True, False]
    assert seen == [(len(large), True, False), (1024 * 1024, True, True)]
    assert list((post.house.settings.data_dir / "loading").iterdir()) == []


def test_switched_off_in_the_middle_the_run_stops_at_the_next_letter(post: Post, dovecot: Dovecot) -> None:
    """C19."""
    post.sync()
    for number in range(5):
        put(dovecot, post, f"n {number}")

    def take(session: Session, house: House, mailbox: Mailbox, fetched: Fetched) -> Accepted:
        if b"Subject: n 2" in fetched.read():
            mailbox.active, mailbox.paused_at, mailbox.due_at, mailbox.state = False, now(), None, "paused"
        return accept(session, house, mailbox, fetched)

    post.sync(take=take)
    assert post.subjects() == ["n 0", "n 1", "n 2"]
    mailbox = post.mailbox
    assert (mailbox.state, mailbox.due_at, mailbox.lease_owner) == ("paused", None, None)
    assert post.folder().last_uid == 3


def test_a_first_load_stops_after_the_letters_that_share_the_transaction(
    post: Post, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C19."""
    monkeypatch.setattr("tracker.inbound.taking.TOGETHER", 4)
    for number in range(6):
        put(dovecot, post, f"n {number}")

    def take(session: Session, house: House, mailbox: Mailbox, fetched: Fetched) -> Accepted:
        if b"Subject: n 2\r" in fetched.read():
            mailbox.active, mailbox.paused_at, mailbox.due_at, mailbox.state = False, now(), None, "paused"
        return accept(session, house, mailbox, fetched)

    assert post.sync(take=take) == 4
    assert post.mailbox.state == "paused"
    assert post.folder().last_uid == 4


def test_letters_of_a_pause_are_not_collected_unless_asked_for(post: Post, dovecot: Dovecot) -> None:
    """D1."""
    post.sync()
    _choose(post, active=False)
    assert post.mailbox.state == "paused"
    post.change(paused_at=hours_ago(48))
    put(dovecot, post, "yesterday", hours_ago(30))
    put(dovecot, post, "today", hours_ago(3))
    _choose(post, active=True, collect_pause_days=1)
    put(dovecot, post, "now", now() + timedelta(seconds=2))
    post.sync()
    assert post.subjects() == ["today", "now"]


def test_after_an_outage_everything_is_caught_up(post: Post, dovecot: Dovecot) -> None:
    post.sync()
    with post.house.database.session_scope() as session:
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
            sync_mailbox(post.house, claim, accept_all)

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

    def take(session: Session, house: House, mailbox: Mailbox, fetched: Fetched) -> Accepted:
        mailbox.lease_owner = "another"
        return accept(session, house, mailbox, fetched)

    post.sync(take=take)
    assert post.subjects() == ["n 0"]
    assert post.mailbox.lease_owner == "another"


def test_sync_now_during_a_run_makes_another_one(post: Post, dovecot: Dovecot) -> None:
    put(dovecot, post, "a")

    def take(session: Session, house: House, mailbox: Mailbox, fetched: Fetched) -> Accepted:
        assert sync_now(mailbox)
        return accept(session, house, mailbox, fetched)

    post.sync(take=take)
    assert post.mailbox.due_at is not None
    assert post.mailbox.due_at <= now()


def test_a_run_that_takes_too_long_goes_on_next_time(
    post: Post, dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        put(dovecot, post, f"n {number}")
    with monkeypatch.context() as patch:
        patch.setattr("tracker.inbound.sync.RUN_SECONDS", -1.0)
        assert post.sync() == 0
    mailbox = post.mailbox
    assert mailbox.good_run_at is None
    assert mailbox.due_at is not None
    assert mailbox.due_at <= now()
    assert post.sync() == 60


def test_it_works_over_tls_too(tmp_path: Path, dovecot: Dovecot) -> None:
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    with opened_house(tmp_path, CA_FILE=str(dovecot.ca_file)) as house:
        user = People(house).user()
        assert user.id is not None
        for security, port in (("tls", dovecot.imaps_port), ("starttls", dovecot.imap_port)):
            with house.database.session_scope() as session:
                credential = make_credential(
                    session, house, user.id, SECRET, host="localhost", port=port, security=security, login=address
                )
                mailbox = connect_mailbox(session, user.id, credential)
            assert mailbox.id is not None
            post = Post(house, user, mailbox.id, address)
            put(dovecot, post, security)
            post.sync()
            assert post.mailbox.state == "active", post.mailbox.run_problem
            with house.database.session_scope() as session:
                remove_mailbox(session, session.get_one(Mailbox, mailbox.id))
        assert post.subjects() == ["tls", "starttls"]
