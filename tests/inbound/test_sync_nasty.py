"""Servers that drop, lie, refuse and ask for pauses: nothing is lost, nothing doubled, nothing hammered."""

import re
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.houses import People
from tests.inbound.mail_world import Post, fresh_address, hours_ago, imap_date, letter, mailbox_on
from tests.servers_nasty import CUT, Answer, Held, NastyImap, nasty_imap
from tracker.db import now
from tracker.house import House
from tracker.models import FetchRetry, LetterCopy, MailboxFolder, MailboxProblem, PendingAction


@pytest.fixture
def server() -> Iterator[NastyImap]:
    with nasty_imap() as server:
        yield server


@pytest.fixture
def post(house: House, people: People, server: NastyImap) -> Post:
    return mailbox_on(house, people.user(), server, fresh_address())


def put(server: NastyImap, *subjects: str, **more: object) -> None:
    for subject in subjects:
        server.put(letter(subject), **{"date": imap_date(now()), **more})  # type: ignore[arg-type]


def once(pattern: bytes, answer: bytes | Answer) -> Answer:
    """A script that answers the first matching command so, and everything else as usual."""
    state = {"left": 1}

    def script(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        if not state["left"] or not re.search(pattern, command):
            return None
        state["left"] -= 1
        return answer(server, tag, command) if callable(answer) else answer.replace(b"TAG", tag)

    return script


def always(pattern: bytes, answer: bytes | Answer) -> Answer:
    def script(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        if not re.search(pattern, command):
            return None
        return answer(server, tag, command) if callable(answer) else answer.replace(b"TAG", tag)

    return script


BODY = rb"BODY\.PEEK\[\]"


def test_a_range_to_the_end_gives_the_last_letter_again_and_it_is_not_fetched(server: NastyImap, post: Post) -> None:
    """F1, F2: and no FETCH ever names a range."""
    put(server, "a", "b")
    post.sync()
    server.commands.clear()
    post.sync()
    assert server.said(rb"UID SEARCH UID 3:\*")
    assert server.said(b"FETCH") == []
    put(server, "c")
    post.sync()
    assert post.subjects() == ["a", "b", "c"]
    assert server.said(rb"FETCH \S*[:*]") == []


def test_letters_are_only_looked_at(server: NastyImap, post: Post) -> None:
    """F5: EXAMINE and PEEK, so that not even a crash can mark a letter."""
    put(server, "a")
    post.sync()
    assert server.said(b"^SELECT") == []
    assert [command for command in server.said(rb"BODY") if b"PEEK" not in command] == []


def test_a_line_cut_in_half_of_a_letter(server: NastyImap, post: Post) -> None:
    """F8: nothing of it is stored; the next line brings it whole."""
    put(server, "a", "b")

    def half(server: NastyImap, tag: bytes, command: bytes) -> bytes:
        usual = server.usual(tag, command)
        return usual[: len(usual) // 2] + CUT

    server.script = once(BODY, half)
    post.sync()
    assert post.subjects() == ["a", "b"]
    assert (server.lines, post.mailbox.state, post.mailbox.run_problem) == (3, "active", "")


def test_a_server_that_stays_away_is_tried_again_and_the_letters_wait(server: NastyImap, post: Post) -> None:
    """F8, F31: one failed run changes no state; three do, and the first good one changes it back."""
    post.sync()
    put(server, "a")
    server.greeting = b"* BYE down\r\n"
    for failures, state in ((1, "active"), (2, "active"), (3, "connection_error")):
        post.sync()
        mailbox = post.mailbox
        assert (mailbox.failures, mailbox.state) == (failures, state)
        assert mailbox.due_at is not None
        assert mailbox.due_at > now()
    server.greeting = b"* OK ready\r\n"
    post.sync()
    assert post.subjects() == ["a"]
    assert (post.mailbox.failures, post.mailbox.state, post.mailbox.broken_at) == (0, "active", None)
    assert post.told() == ["broken", "recovered"]


def test_the_line_drops_at_random(server: NastyImap, post: Post) -> None:
    """F31: a new line is opened without a word."""
    put(server, *(f"n {number}" for number in range(40)))
    state = {"commands": 0}

    def drop(_server: NastyImap, _tag: bytes, command: bytes) -> bytes | None:
        state["commands"] += 1
        return CUT if state["commands"] % 9 == 0 and command.startswith(b"UID") else None

    server.script = drop
    post.sync()
    post.sync()
    assert len(post.letters()) == 40
    assert post.mailbox.state == "active"


def test_answers_without_date_or_flags(server: NastyImap, post: Post) -> None:
    """F9."""
    server.put(letter("no date"))
    put(server, "nil")

    def nil(server: NastyImap, tag: bytes, command: bytes) -> bytes:
        usual = server.usual(tag, command)
        return re.sub(rb'INTERNALDATE "[^"]*"', b"INTERNALDATE NIL", usual).replace(b"FLAGS ()", b"FLAGS NIL")

    server.script = always(b"FETCH.*INTERNALDATE", nil)
    post.sync()
    assert post.subjects() == ["no date", "nil"]


def test_answers_that_nobody_asked_for(server: NastyImap, post: Post) -> None:
    """F10."""
    put(server, "a", "b")

    def chatty(server: NastyImap, tag: bytes, command: bytes) -> bytes:
        return b"* 7 FETCH (UID 70 FLAGS (\\Seen))\r\n* 9 EXISTS\r\n" + server.usual(tag, command).replace(
            tag + b" OK", b"* 8 FETCH (FLAGS (\\Seen) UID 80)\r\n" + tag + b" OK"
        )

    server.script = always(b"FETCH", chatty)
    post.sync()
    assert post.subjects() == ["a", "b"]
    assert post.rows(FetchRetry) == []


def test_an_answer_in_two_pieces(server: NastyImap, post: Post) -> None:
    """F11: flags first, the letter second."""
    put(server, "a")

    def pieces(server: NastyImap, tag: bytes, command: bytes) -> bytes:
        return b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n" + server.usual(tag, command)

    server.script = always(BODY, pieces)
    post.sync()
    assert post.subjects() == ["a"]


def test_letters_that_vanish_between_two_questions(server: NastyImap, post: Post) -> None:
    """F12."""
    put(server, "a", "b", "c")

    def vanish(server: NastyImap, tag: bytes, command: bytes) -> bytes:
        del server.letters[2]
        return server.usual(tag, command)

    server.script = once(BODY, vanish)
    post.sync()
    assert post.subjects() == ["a", "c"]
    assert post.rows(FetchRetry) == []
    assert post.folder().last_uid == 3


def test_some_messages_no_longer_exist(server: NastyImap, post: Post) -> None:
    """F12: a refusal of the whole question is asked again one by one."""
    put(server, "a", "b", "c")

    def refuse(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        return (
            tag + b" NO Some of the requested messages no longer exist\r\n"
            if b"," in command or b"FETCH 2 " in command
            else None
        )

    server.script = always(BODY, refuse)
    post.sync()
    assert post.subjects() == ["a", "c"]
    assert [retry.uid for retry in post.rows(FetchRetry)] == [2]
    server.script = lambda *_: None
    post.sync()
    assert post.subjects() == ["a", "c", "b"]
    assert post.rows(FetchRetry) == []


@pytest.mark.parametrize("mark", [b"~{%d}\r\n", b"{%d+}\r\n"])
def test_other_forms_of_literals_are_read(server: NastyImap, post: Post, mark: bytes) -> None:
    """F13."""
    put(server, "a", "b", "c")

    def strange(server: NastyImap, tag: bytes, command: bytes) -> bytes:
        usual = server.usual(tag, command)
        if b"UID 2 " not in usual:
            return usual
        return re.sub(rb"(UID 2 BODY\[\] )\{(\d+)\}\r\n", lambda m: m[1] + mark % int(m[2]), usual)

    server.script = always(BODY, strange)
    post.sync()
    post.sync()
    assert post.subjects() == ["a", "b", "c"]
    assert post.mailbox.state == "active"


def test_a_literal_of_three_gigabytes_is_refused_before_memory_is_taken(server: NastyImap, post: Post) -> None:
    """F14."""
    put(server, "a", "giant", "c")

    def giant(server: NastyImap, tag: bytes, command: bytes) -> bytes:
        usual = server.usual(tag, command)
        return re.sub(rb"(UID 2 BODY\[\] )\{(\d+)\}", rb"\1{3000000000}", usual)

    server.script = always(BODY, giant)
    started = time.monotonic()
    post.sync()
    assert time.monotonic() - started < 20
    assert post.subjects() == ["a", "c"]
    assert [retry.uid for retry in post.rows(FetchRetry)] == [2]
    assert "3000000000" in post.rows(FetchRetry)[0].problem


def test_a_letter_that_is_never_given_is_told_of_once(server: NastyImap, post: Post) -> None:
    put(server, "a")
    server.script = always(BODY, b"TAG NO cannot read\r\n")
    for _ in range(5):
        post.sync()
        with post.house.database.session_scope() as session:
            for retry in session.exec(select(FetchRetry)).all():
                retry.try_at = now()
                session.add(retry)
    assert [problem.code for problem in post.rows(MailboxProblem)] == ["retry_exhausted"]
    assert post.mailbox.state == "active"
    server.script = lambda *_: None
    post.sync()
    assert post.subjects() == ["a"]


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
    with post.house.database.session_scope() as session:
        for action in session.exec(select(PendingAction)).all():
            action.due_at = now()
            session.add(action)
    post.sync()
    assert server.said(rb"UID STORE 1 \+FLAGS.SILENT \(\\Deleted\)")
    assert server.said(b"^EXPUNGE")


def test_the_day_is_spent(server: NastyImap, post: Post) -> None:
    """F29: Gmail's quota of the day."""
    post.sync()
    put(server, "a")
    server.script = always(BODY, b"TAG NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)\r\n")
    post.sync()
    mailbox = post.mailbox
    assert mailbox.state == "throttled"
    assert "tries again by itself" in mailbox.state_detail
    assert mailbox.due_at is not None
    assert timedelta(hours=23) < mailbox.due_at - now() <= timedelta(hours=24)
    assert post.rows(FetchRetry) == []
    assert post.told() in ([], ["first_load"])


def test_the_server_says_how_long_to_wait(server: NastyImap, post: Post) -> None:
    """F30."""
    post.sync()
    put(server, "a")
    server.script = always(BODY, b"TAG NO Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n")
    post.sync()
    assert post.mailbox.due_at is not None
    assert timedelta(seconds=290) < post.mailbox.due_at - now() < timedelta(seconds=301)
    server.script = lambda *_: None
    post.sync()
    assert post.subjects() == ["a"]
    assert (post.mailbox.state, post.mailbox.failures) == ("active", 0)


def test_a_refused_login_is_believed_the_second_time_and_never_hammered(server: NastyImap, post: Post) -> None:
    """Servers answer so during troubles of their own; providers lock accounts that knock too often."""
    post.sync()
    server.script = always(b"LOGIN|AUTHENTICATE", b"TAG NO [AUTHENTICATIONFAILED] no\r\n")
    post.sync()
    assert post.mailbox.state == "active"
    post.sync()  # somebody pressed “sync now” at once: still one refusal
    assert (post.mailbox.state, post.mailbox.login_failures) == ("active", 1)
    states, dues = [], []
    for _ in range(9):
        post.change(login_failed_at=hours_ago(1))
        post.sync()
        states.append(post.mailbox.state)
        dues.append(post.mailbox.due_at)
    assert set(states) == {"auth_error"}
    assert dues[0] is not None
    assert timedelta(hours=5.9) < dues[0] - now() < timedelta(hours=6.1)
    assert dues[-1] is None
    assert post.told() == ["broken"]


def test_drops_never_end_in_a_loop(server: NastyImap, post: Post) -> None:
    put(server, "a", "b")
    server.script = always(BODY, CUT)
    post.sync()
    assert server.lines < 12
    assert post.letters() == []


def test_a_dripping_server_is_left(server: NastyImap, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps every timeout of a socket waiting; a run ends all the same."""
    post.sync()
    monkeypatch.setattr("tracker.inbound.sync.CUT_SECONDS", 1.5)

    def drip(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        time.sleep(0.3)
        return b"* OK still here\r\n" * 3 if command.startswith(b"LIST") else None

    server.script = drip
    started = time.monotonic()
    post.sync()
    assert time.monotonic() - started < 15
    assert post.mailbox.failures == 1


def test_a_server_may_answer_with_numbers_that_are_none(server: NastyImap, post: Post) -> None:
    put(server, "a")
    server.script = once(b"SEARCH UID", b"* SEARCH 1 0 99999999999 4294967295\r\nTAG OK done\r\n")
    post.sync()
    post.sync()
    assert post.subjects() == ["a"]
    assert post.folder().last_uid <= 4_294_967_295


def test_the_cursor_row_is_one_per_folder(server: NastyImap, post: Post) -> None:
    put(server, "a")
    post.sync()
    post.sync()
    assert len(post.rows(MailboxFolder)) == 1
