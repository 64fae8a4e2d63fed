"""Servers that drop, lie, refuse and ask for pauses: nothing is lost, nothing doubled, nothing hammered."""

import re
import time

import pytest
from sqlmodel import select

from tests.inbound.mail_world import Post, letter
from tests.inbound.nasty.answers import BODY, always, once, put
from tests.servers.nasty import CUT, NastyImap
from tracker.models import FetchRetry, MailboxProblem
from tracker.runtime.database import now


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
    """F8: the page says so at once, its person is sent word after three failed runs; the first good one ends it."""
    post.sync()
    put(server, "a")
    server.greeting = b"* BYE down\r\n"
    for failures, events in ((1, []), (2, []), (3, ["broken"])):
        post.sync()
        mailbox = post.mailbox
        assert (mailbox.failures, mailbox.state) == (failures, "connection_error")
        assert post.notice_events() == events
        assert mailbox.due_at is not None
        assert mailbox.due_at > now()
    server.greeting = b"* OK ready\r\n"
    post.sync()
    assert post.subjects() == ["a"]
    assert (post.mailbox.failures, post.mailbox.state, post.mailbox.broken_at) == (0, "active", None)
    assert post.notice_events() == ["broken", "recovered"]


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
        with post.context.database.session_scope() as session:
            for retry in session.exec(select(FetchRetry)).all():
                retry.try_at = now()
                session.add(retry)
    assert [problem.code for problem in post.rows(MailboxProblem)] == ["retry_exhausted"]
    assert post.mailbox.state == "active"
    server.script = lambda *_: None
    post.sync()
    assert post.subjects() == ["a"]


def test_a_server_may_answer_with_numbers_that_are_none(server: NastyImap, post: Post) -> None:
    put(server, "a")
    server.script = once(b"SEARCH UID", b"* SEARCH 1 0 99999999999 4294967295\r\nTAG OK done\r\n")
    post.sync()
    post.sync()
    assert post.subjects() == ["a"]
    assert post.folder().last_uid <= 4_294_967_295


def test_letters_of_which_nothing_can_be_known_do_not_take_those_below_them_along(
    server: NastyImap, post: Post
) -> None:
    """The line drops at six in a row, and is given up for: the next run passes them by."""
    post.sync()
    put(server, *(f"n {number}" for number in range(1, 10)))

    def drop(_server: NastyImap, _tag: bytes, command: bytes) -> bytes | None:
        asked = re.search(rb"UID FETCH (\S+) \(INTERNALDATE", command)
        uids = {uid for part in asked[1].split(b",") for uid in part.split(b":")} if asked else set()
        return CUT if uids & {b"3", b"4", b"5", b"6", b"7", b"8"} else None

    server.script = drop
    post.sync()
    post.sync()
    assert [subject for subject in post.subjects() if subject < "n 3"] == ["n 1", "n 2"]
