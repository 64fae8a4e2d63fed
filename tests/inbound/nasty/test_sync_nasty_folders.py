"""Servers that count, search and name their folders in their own way."""

import re

import pytest
from sqlmodel import select

from tests.inbound.mail_world import Post, hours_ago, imap_date, letter
from tests.inbound.nasty.answers import BODY, always, put
from tests.servers.nasty import Held, NastyImap
from tracker.models import LetterCopy, MailboxFolder, MailboxProblem, PendingAction
from tracker.runtime.database import now


def test_a_folder_with_very_many_letters_is_searched_in_pieces(server: NastyImap, post: Post) -> None:
    """F15: no answer comes near the million bytes that a line may have."""
    old = Held(letter("old"), imap_date(hours_ago(900)))
    server.letters = dict.fromkeys(range(1_000_001, 1_130_001), old)
    server.script = lambda server, tag, command: _as_usual_since(server, tag, command)
    put(server, "new")
    post.sync()
    assert post.subjects() == ["new"]
    assert len(server.said(b"UID SEARCH UID .*SINCE")) == 3
    server.commands.clear()
    put(server, "newer")
    post.sync()
    assert post.subjects() == ["new", "newer"]


def _as_usual_since(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
    if command.startswith(b"FETCH"):  # by sequence numbers
        places, uids = [int(n) for n in command.split()[1].split(b",")], sorted(server.letters)
        return b"".join(b"* %d FETCH (UID %d)\r\n" % (n, uids[n - 1]) for n in places) + tag + b" OK done\r\n"
    if b"SINCE" in command:
        asked = server._asked(re.search(rb"UID ([\d:*]+)", command[11:]))
        young = [
            uid
            for uid in asked
            if server.letters[uid].raw.startswith(b"From") and b"Subject: old" not in server.letters[uid].raw
        ]
        return b"* SEARCH " + b" ".join(b"%d" % uid for uid in young) + b"\r\n" + tag + b" OK done\r\n"
    return None


def test_a_refused_search_is_replaced_by_a_fetch_of_numbers(server: NastyImap, post: Post) -> None:
    """F16."""
    put(server, "a", "b")
    server.script = always(b"SEARCH", b"TAG BAD unknown search key\r\n")
    put(server, "old", date=imap_date(hours_ago(30)))

    def by_number(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        if b"SEARCH" in command:
            return tag + b" BAD unknown search key\r\n"
        if command.startswith(b"FETCH"):
            return b"".join(server.fetched(uid, command) for uid in sorted(server.letters)) + tag + b" OK done\r\n"
        return None

    server.script = by_number
    post.sync()
    assert post.subjects() == ["a", "b"]
    put(server, "c")
    post.sync()
    assert post.subjects() == ["a", "b", "c"]


def test_no_charset_is_ever_sent(server: NastyImap, post: Post) -> None:
    """F17."""
    put(server, "a")
    post.sync()
    post.sync()
    assert server.said(b"SEARCH")
    assert server.said(b"CHARSET") == []


def test_folder_names_that_cannot_be_decoded_hurt_no_other(server: NastyImap, post: Post) -> None:
    """F19, F20: and a delimiter that is NIL."""
    server.folders = (
        b'* LIST () "/" "&BB4EQgQ"\r\n', b'* LIST () "/" "INBOX/&&"\r\n', b"* LIST () NIL Flat\r\n",
        b'* LIST () "/" INBOX\r\n', b'* LIST (\\Noselect) "/" Top\r\n', b'* LIST () "/" "12"\r\n',
        b'* LIST () "/" {5}\r\nlit"a\r\n',
    )  # fmt: skip
    put(server, "a")
    post.sync()
    assert post.subjects() == ["a"]
    assert {"Flat", "INBOX", "12", 'lit"a'} <= set(post.mailbox.found_folders)


def test_no_numbering_that_lasts(server: NastyImap, post: Post) -> None:
    """F23: letters are told apart by what they are, and no cursor is kept."""
    server.uidvalidity = server.uidnext = 0
    put(server, "a", "b")
    post.sync()
    folder = post.folder()
    assert (folder.uidvalidity, folder.last_uid) == (None, 0)
    server.letters = {uid + 50: held for uid, held in server.letters.items()}
    put(server, "c")
    server.commands.clear()
    post.sync()
    assert post.subjects() == ["a", "b", "c"]
    assert post.rows(LetterCopy) == []
    assert len(server.said(BODY)) == 1


@pytest.mark.parametrize("same", [True, False])
def test_a_lower_uidvalidity_is_believed_only_when_letters_moved(server: NastyImap, post: Post, same: bool) -> None:
    """F24."""
    server.uidvalidity = 500
    put(server, "a", "b", "c")
    post.sync()
    server.uidvalidity = 400
    if not same:
        server.letters = {uid + 10: held for uid, held in server.letters.items()}
    put(server, "d")
    server.commands.clear()
    post.sync()
    assert post.subjects() == ["a", "b", "c", "d"]
    assert {copy.uidvalidity for copy in post.rows(LetterCopy)} == {400}
    assert [problem.code for problem in post.rows(MailboxProblem)] == ([] if same else ["rebuilt"])
    assert len(server.said(BODY)) == 1


def test_a_server_from_a_backup(server: NastyImap, post: Post) -> None:
    """F25: UIDNEXT fell behind our cursor, under the same UIDVALIDITY."""
    put(server, *(f"n {number}" for number in range(10)))
    post.sync()
    server.letters = {uid: held for uid, held in server.letters.items() if uid <= 5}
    put(server, "after the backup")
    post.sync()
    assert post.subjects() == [*(f"n {number}" for number in range(10)), "after the backup"]
    put(server, "later")
    post.sync()
    assert post.subjects()[-1] == "later"
    assert [problem.code for problem in post.rows(MailboxProblem)] == ["rebuilt"]


@pytest.mark.parametrize("lie", [1, 2, 4_000_000_000])
def test_a_wrong_uidnext_loses_nothing(server: NastyImap, post: Post, lie: int) -> None:
    server.uidnext = lie
    put(server, "a", "b", "c")
    post.sync()
    put(server, "d")
    post.sync()
    put(server, "e")
    post.sync()
    assert post.subjects() == ["a", "b", "c", "d", "e"]
    assert [problem.code for problem in post.rows(MailboxProblem)] == []


def test_gmail_shows_a_letter_in_every_label(server: NastyImap, post: Post) -> None:
    """F27: it is loaded once, by its number, which may need all of 64 bits."""
    server.capabilities = "IMAP4rev1 X-GM-EXT-1 UIDPLUS ID"
    server.folders = (b'* LIST () "/" INBOX\r\n', b'* LIST () "/" Clients\r\n')
    post.change(folders=["INBOX", "Clients"])
    put(server, "a", gmail_id=2**64 - 5)
    put(server, "b", gmail_id=77)
    post.sync()
    assert post.subjects() == ["a", "b"]
    assert len(server.said(BODY)) == 1
    assert len(post.rows(LetterCopy)) == 4
    assert server.said(rb'^ID \("name" "Inkling"\)')


def test_gmail_deletes_by_moving_to_trash(server: NastyImap, post: Post) -> None:
    server.capabilities = "IMAP4rev1 X-GM-EXT-1 UIDPLUS"
    server.folders = (b'* LIST () "/" INBOX\r\n', b'* LIST (\\Trash) "/" "[Gmail]/Bin"\r\n')
    post.change(delete_loaded=True)
    put(server, "a", gmail_id=7)
    post.sync()
    assert server.said(rb'UID COPY 1 "\[Gmail\]/Bin"')
    assert server.said(b"EXPUNGE") == []


def test_without_uidplus_only_what_is_ours_is_expunged(server: NastyImap, post: Post) -> None:
    """F43: while somebody else has marked a letter, nothing is."""
    server.capabilities = "IMAP4rev1"
    post.sync()
    post.change(delete_loaded=True)
    put(server, "a")
    others = {"found": b"9"}
    server.script = always(
        rb"SEARCH DELETED", lambda _s, tag, _c: b"* SEARCH " + others["found"] + b"\r\n" + tag + b" OK done\r\n"
    )
    post.sync()
    assert server.said(b"EXPUNGE|STORE") == []
    others["found"] = b""
    with post.context.database.session_scope() as session:
        for action in session.exec(select(PendingAction)).all():
            action.due_at = now()
            session.add(action)
    post.sync()
    assert server.said(rb"UID STORE 1 \+FLAGS.SILENT \(\\Deleted\)")
    assert server.said(b"^EXPUNGE")


def test_the_cursor_row_is_one_per_folder(server: NastyImap, post: Post) -> None:
    put(server, "a")
    post.sync()
    post.sync()
    assert len(post.rows(MailboxFolder)) == 1
