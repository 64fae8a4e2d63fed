"""Folders of a real Dovecot: by their names, moved between, gone, rebuilt, restored."""

import shutil
import time

from imapclient import imap_utf7
from sqlmodel import col, select

from tests.inbound.mail_world import Post, hours_ago, letter
from tests.servers import Dovecot, wait_until
from tracker.models import (
    Letter,
    LetterCopy,
    MailboxFolder,
    MailboxProblem,
)
from tracker.runtime.database import now


def test_other_folders_by_their_real_names(post: Post, dovecot: Dovecot) -> None:
    """F18, F20: modified UTF-7, slashes and brackets."""
    for name, subject in (("Запросы", "cyrillic"), ("a[b]/c d", "brackets")):
        dovecot.append(post.address, letter(subject), imap_utf7.encode(name).decode(), received_at=now())
    dovecot.append(post.address, letter("sent"), "Sent Items", received_at=now())
    dovecot.append(post.address, letter("spam"), "Junk", received_at=now())
    post.choose(folders=["INBOX", "Запросы", "a[b]/c d", "Sent Items", "Junk"])
    post.sync()
    assert sorted(post.subjects()) == ["brackets", "cyrillic"]
    post.choose(folders=["INBOX"], all_folders=True)
    post.sync()
    assert sorted(post.subjects()) == ["brackets", "cyrillic"]


def test_a_letter_that_was_moved_is_the_same_letter(post: Post, dovecot: Dovecot) -> None:
    """F36."""
    raw = letter("moved")
    dovecot.append(post.address, raw, received_at=now())
    post.sync()
    post.choose(all_folders=True)
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
    assert post.notice_events() == ["broken", "recovered"]


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
    with post.context.database.session_scope() as session:
        row = session.exec(select(MailboxFolder).where(MailboxFolder.mailbox_id == post.mailbox_id)).one()
        row.last_uid = 0
        session.add(row)
        for restored in session.exec(select(Letter).order_by(col(Letter.id).desc()).limit(105)).all():
            session.delete(restored)
    assert post.sync() == 105
    assert len(post.letters()) == 110
    assert all(letter.silent for letter in post.letters())
