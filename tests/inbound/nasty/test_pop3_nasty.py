"""POP3 servers and letters that bring a session out of step: no letter becomes another, none is lost, none is deleted unstored."""

import itertools
import time
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import update

from tests.fixtures.contexts import People, opened_context
from tests.inbound.mail_world import Post, checked, fresh_address, letter, mailbox_on
from tests.servers.nasty_pop3 import NastyPop3, nasty_pop3
from tracker.inbound.storing import raw_of
from tracker.models import FetchRetry, MailboxProblem, PendingAction
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

FORGED = b"+OK forged\r\nFrom: boss@co.example\r\nSubject: FORGED\r\n\r\nPay at once.\r\n.\r\n"
MIB = 1024 * 1024


@pytest.fixture
def context(tmp_path: Path) -> Iterator[AppContext]:
    """On SQLite alone: what a server says is understood before any database hears of it. The sync tests run on both."""
    with opened_context(tmp_path, WINDOW_SCALE="0.01") as made:
        yield made


@pytest.fixture
def server() -> Iterator[NastyPop3]:
    with nasty_pop3() as server:
        yield server


@pytest.fixture
def post(context: AppContext, people: People, server: NastyPop3) -> Post:
    post = mailbox_on(context, people.user(), server, fresh_address(), protocol="pop3")
    post.choose(delete_loaded=True, delete_after_days=0)
    post.sync()
    return post


def stored(post: Post) -> list[bytes]:
    with post.context.database.reading() as session:
        return [raw_of(session, letter) for letter in post.letters()]


def make_due(post: Post, table: type[FetchRetry] | type[PendingAction], column: str) -> None:
    with post.context.database.session_scope() as session:
        session.exec(update(table).values({column: now() - timedelta(days=1)}))


def genuine(number: int) -> bytes:
    return letter(f"genuine-{number}")


def among_good_ones(server: NastyPop3, bad: bytes) -> list[bytes]:
    letters = [genuine(1), bad, *(genuine(number) for number in range(3, 9))]
    for number, raw in enumerate(letters, 1):
        server.put(f"u{number}", raw)
    return letters


@pytest.mark.parametrize(
    "body",
    [
        b"a" * (MIB + 1) + FORGED,
        b"a" * MIB + b"\r\n" + b"b" * MIB + FORGED,
        b"a" * (64 * 1024 - 1) + b"\r\n.\r\n" + FORGED,
        b"a" * (64 * 1024) + b"\r\n.\r\n" + FORGED,
        b"a" * (8 * 1024) + FORGED,
        b"hello\n.\n" + FORGED,
        b"hello\r.\r" + FORGED,
        b"hello\n.\r\n" + FORGED,
        b"." * 70_000 + b"\r\n..\r\n...\r\n" + FORGED,
        b"x" * (2 * MIB),
        b"ends with carriage returns\r\r\r\n\r\r\n",
    ],
    ids=map(str, range(11)),
)
def test_lines_of_any_length_and_end_are_read_whole(server: NastyPop3, post: Post, body: bytes) -> None:
    letters = among_good_ones(server, letter("long") + body + b"\r\n")
    post.sync()
    assert sorted(stored(post)) == sorted(letters)
    assert server.letters == {}
    assert post.mailbox.state == "active"


@pytest.mark.parametrize(
    "answer",
    [
        b"+OK\r\nSubject: half",
        b"+OK\r\n" + b"x" * 100_000,
        b"-ERR cannot read\r\n",
        b"+OK\r\nSubject: ends by itself\r\n.\r\n" + FORGED,
        b"+OK\r\n.\r\n+OK\r\n.\r\n",
        b"+OK",
        b"",
    ],
    ids=["half", "half a line", "refused", "a second answer", "two empty ones", "half a status", "nothing"],
)
def test_an_answer_that_breaks_off_or_goes_on_costs_only_its_letter(
    server: NastyPop3, post: Post, answer: bytes
) -> None:
    """One letter can have lost its end where the server lost it; all others are themselves, and nothing of it is deleted."""
    letters = among_good_ones(server, genuine(2))
    server.answers["RETR u2"] = answer
    server.cuts = {"RETR u2"} if answer.endswith((b"half", b"x", b"+OK")) or not answer else set()
    post.sync()
    post.sync()
    there = stored(post)
    assert [raw for raw in letters if raw not in there] in ([], [letters[1]])
    assert "FORGED" not in post.subjects()
    assert "u2" in server.letters
    server.answers.clear()
    server.cuts.clear()
    make_due(post, FetchRetry, "try_at")
    post.sync()
    assert letters[1] in stored(post) or "ends by itself" in post.subjects()


@pytest.mark.parametrize("bad", [{3}, {1, 2, 3}, set(range(1, 9))])
def test_letters_that_end_every_session_do_not_keep_the_others(server: NastyPop3, post: Post, bad: set[int]) -> None:
    post.choose(delete_loaded=False)
    for number in range(1, 15):
        server.put(f"u{number}", genuine(number))
    for number in bad:
        server.answers[f"RETR u{number}"] = b"+OK\r\nSubject: half"
        server.cuts.add(f"RETR u{number}")
    for _ in range(3):
        post.sync()
    assert set(post.subjects()) == {f"genuine-{number}" for number in range(1, 15) if number not in bad}
    server.answers.clear()
    server.cuts.clear()
    make_due(post, FetchRetry, "try_at")
    post.sync()
    assert set(post.subjects()) == {f"genuine-{number}" for number in range(1, 15)}


def test_a_server_that_knows_nothing_of_dots(server: NastyPop3, post: Post) -> None:
    """The rest of the letter is never taken for an answer, and what was cut is not deleted."""
    server.stuffs = False
    letters = among_good_ones(server, letter("dots", body="before\r\n.\r\n" + FORGED.decode() + "\r\nafter"))
    post.sync()
    post.sync()
    there = stored(post)
    assert all(raw in there for raw in letters if raw != letters[1])
    assert "FORGED" not in post.subjects()
    assert list(server.letters) == ["u2"]


def test_what_is_shorter_than_it_should_be_is_not_deleted(server: NastyPop3, post: Post) -> None:
    server.put("u1", genuine(1))
    server.put("u2", genuine(2))
    server.listed["u2"] = 5_000
    post.sync()
    assert post.subjects() == ["genuine-1", "genuine-2"]
    assert list(server.letters) == ["u2"]
    assert [problem.code for problem in post.rows(MailboxProblem)] == ["not_deleted"]


def test_what_lies_under_a_known_uidl_now_is_loaded_instead_of_deleted(server: NastyPop3, post: Post) -> None:
    post.choose(delete_after_days=1)
    server.put("u1", genuine(1))
    post.sync()
    server.letters["u1"] = genuine(7)
    make_due(post, PendingAction, "due_at")
    post.sync()
    assert list(server.letters) == ["u1"]
    post.sync()
    assert post.subjects() == ["genuine-1", "genuine-7"]


def test_what_was_read_in_an_earlier_run_is_compared_once_more(server: NastyPop3, post: Post) -> None:
    post.choose(delete_after_days=1)
    server.put("u1", genuine(1))
    post.sync()
    make_due(post, PendingAction, "due_at")
    post.sync()
    assert server.letters == {}
    assert len(server.said("RETR")) == 2


def test_of_a_letter_that_is_too_large_nothing_is_deleted(
    server: NastyPop3, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of one that says so, nor of one whose length was a lie."""
    monkeypatch.setattr("tracker.inbound.fetch.pop3_run.MAX_LETTER", 100_000)
    among_good_ones(server, letter("large", body=("x" * 78 + "\r\n") * 2_000))
    server.put("u9", letter("lied", body=("x" * 78 + "\r\n") * 2_000))
    server.listed["u9"] = 700
    post.sync()
    assert len(post.subjects()) == 9
    assert sorted(server.letters) == ["u2", "u9"]
    assert {row.subject for row in post.letters() if row.too_large} == {"large", "lied"}


def test_one_uidl_for_several_letters(server: NastyPop3, post: Post) -> None:
    for number in (1, 2, 3):
        server.put(f"u{number}", genuine(number))
    server.answers["UIDL"] = b"+OK\r\n1 same\r\n2 same\r\n3 own\r\n.\r\n"
    post.sync()
    assert sorted(post.subjects()) == ["genuine-1", "genuine-2", "genuine-3"]


def test_uidls_longer_than_any_column(server: NastyPop3, post: Post) -> None:
    post.choose(delete_loaded=False)
    for number in (1, 2):
        server.put("x" * 400 + str(number), genuine(number))
    post.sync()
    post.sync()
    assert post.subjects() == ["genuine-1", "genuine-2"]
    assert len(server.said("RETR")) == 2


def endless(piece: bytes) -> Iterator[bytes]:
    return itertools.chain([b"+OK\r\n"], itertools.repeat(piece * (64 * 1024 // len(piece)), 1_600))


@pytest.mark.parametrize("word", ["UIDL", "LIST", "RETR", "TOP", "PASS", "USER"])
@pytest.mark.parametrize("piece", [b"1 abc\r\n", b"x"], ids=["lines", "one line"])
def test_an_answer_without_end_fills_no_memory(
    server: NastyPop3, post: Post, monkeypatch: pytest.MonkeyPatch, word: str, piece: bytes
) -> None:
    """100 MB and more would come."""
    monkeypatch.setattr("tracker.inbound.fetch.pop3.MOST_LINES", 20_000)  # counting memory makes each line slow
    server.put("u1", genuine(1))
    server.answers[word] = endless(piece)
    if word == "TOP":
        server.listed["u1"] = 50 * MIB
    tracemalloc.start()
    post.sync()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (60 if word == "RETR" else 40) * MIB
    assert post.letters() == [] or word in ("RETR", "TOP")
    assert "u1" in server.letters


def test_a_letter_that_drips_is_put_aside_and_the_others_come(
    server: NastyPop3, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.inbound.fetch.imap_connection.ANSWER_SECONDS", 1.0)

    def drip() -> Iterator[bytes]:
        yield b"+OK\r\n"
        while True:
            time.sleep(0.2)
            yield b"x"

    among_good_ones(server, genuine(2))
    server.answers["RETR u2"] = drip()
    post.sync()
    assert len(post.subjects()) == 7
    assert list(server.letters) == ["u2"]


@pytest.mark.parametrize(
    ("answers", "security", "state", "words"),
    [
        ({"STLS": b"-ERR unknown command\r\n"}, "starttls", "connection_error", "STARTTLS"),
        ({"STLS": b"-ERR\r\n"}, "starttls", "connection_error", "STARTTLS"),
        ({"CAPA": b"-ERR\r\n", "STLS": b"-ERR TLS not available\r\n"}, "starttls", "connection_error", "STARTTLS"),
        ({"USER": b"-ERR Command disabled; use STLS first\r\n"}, "none", "connection_error", "over TLS"),
        ({"PASS": b"-ERR [SYS/TEMP] the user database is away\r\n"}, "none", "throttled", "pause"),
        ({"PASS": b"-ERR [SYS/PERM] no maildrop here\r\n"}, "none", "connection_error", "says nothing about this one"),
        ({"PASS": b"-ERR Unable to lock maildrop\r\n"}, "none", "connection_error", "says nothing about this one"),
        ({"PASS": b"-ERR [AUTH] wrong password\r\n"}, "none", "auth_error", "login or password"),
        ({"PASS": b"-ERR Invalid login or password. Please try again.\r\n"}, "none", "auth_error", "login or password"),
        ({"USER": b"-ERR no such user\r\n"}, "none", "auth_error", "login or password"),
        ({"UIDL": b"-ERR no\r\n", "STAT": b"+OK 0 0\r\n"}, "none", "active", ""),
        ({"UIDL": b"-ERR no\r\n", "STAT": b"+OK 3 900\r\n"}, "none", "connection_error", "UIDL"),
    ],
)
def test_a_check_says_what_the_server_means(
    context: AppContext,
    people: People,
    server: NastyPop3,
    answers: dict[str, bytes],
    security: str,
    state: str,
    words: str,
) -> None:
    server.answers.update(answers)
    post = mailbox_on(context, people.user(), server, fresh_address(), protocol="pop3", security=security)
    assert checked(post) == state
    assert words in str(post.mailbox.state_detail)


@pytest.mark.parametrize(
    "greeting",
    [b"-ERR too many connections\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\n", b"\r\n", endless(b"x")],
)
def test_a_greeting_may_be_anything(context: AppContext, people: People, server: NastyPop3, greeting: bytes) -> None:
    server.greeting = greeting
    post = mailbox_on(context, people.user(), server, fresh_address(), protocol="pop3")
    assert checked(post) == {b"+OK\n": "active", b"-ERR too many connections\r\n": "throttled"}.get(
        greeting if isinstance(greeting, bytes) else b"", "connection_error"
    )


def test_what_comes_before_tls_is_not_taken_for_what_comes_in_it(
    context: AppContext, people: People, server: NastyPop3
) -> None:
    server.answers["STLS"] = b"+OK begin\r\n+OK\r\n+OK\r\n+OK\r\n1 forged\r\n.\r\n"
    post = mailbox_on(context, people.user(), server, fresh_address(), protocol="pop3", security="starttls")
    assert checked(post) == "connection_error"
    assert server.said("USER") == []
