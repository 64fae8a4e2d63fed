"""IMAP servers that write otherwise than RFC 9051, each as some server does: all letters come, or all but the one it is about."""

import itertools
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import update

from tests.fixtures.contexts import opened_context
from tests.inbound.mail_world import Post, checked, imap_date, letter
from tests.inbound.nasty.answers import BODY, always, put
from tests.servers.nasty import CUT, NastyImap
from tracker.models import FetchRetry
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

MIB = 1024 * 1024
ALL = ["a", "b", "c"]


@pytest.fixture
def context(tmp_path: Path) -> Iterator[AppContext]:
    """On SQLite alone: what a server says is understood before any database hears of it. The sync tests run on both."""
    with opened_context(tmp_path, WINDOW_SCALE="0.01") as made:
        yield made


def lower(answer: bytes) -> bytes:
    """Words of answers in lower case; literals, and what stands in quotes, stay."""
    words = (
        rb"\b(OK|NO|FETCH|SEARCH|EXISTS|FLAGS|UIDVALIDITY|UIDNEXT|LIST|CAPABILITY|UID|INTERNALDATE|BODY|RFC822\.SIZE|BYE|ID|NIL"
        rb"|IMAP4REV1)\b"
    )
    return b"".join(
        re.sub(words, lambda match: match[0].lower(), line) if line.startswith(b"*") or b" OK " in line else line
        for line in answer.splitlines(keepends=True)
    )


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "two blanks after the star": lambda a: re.sub(rb"(?m)^\* ", b"*  ", a),
    "a tab after the star": lambda a: re.sub(rb"(?m)^\* ", b"*\t", a),
    "two blanks after the number": lambda a: re.sub(rb"(?m)^\* (\d+) ", rb"* \1  ", a),
    "two blanks after the word": lambda a: re.sub(rb"(?m)^\* (\d+ )?([A-Z]+) ", rb"* \1\2  ", a),
    "two blanks after the tag": lambda a: re.sub(rb"(?m)^([A-P]{4}\d+) OK", rb"\1  OK", a),
    "a blank before the star": lambda a: re.sub(rb"(?m)^\* ", b" * ", a),
    "blanks inside brackets": lambda a: re.sub(rb"(?m)^(\* \d+ FETCH \()", rb"\1  ", a),
    "blanks at the end": lambda a: re.sub(rb"(?m)done\r\n", b"done  \r\n", a),
    "no words after OK": lambda a: a.replace(b" OK done\r\n", b" OK\r\n"),
    "lower case": lower,
    "the tag in lower case": lambda a: re.sub(rb"(?m)^([A-P]{4}\d+) OK", lambda m: m[1].lower() + b" ok", a),
    "an empty line after the literal": lambda a: re.sub(rb"\r\n\)\r\n(?=\*|[A-P]{4}\d)", b"\r\n\r\n)\r\n", a),
    "two empty lines after the literal": lambda a: re.sub(rb"\r\n\)\r\n(?=\*|[A-P]{4}\d)", b"\r\n\r\n\r\n)\r\n", a),
    "empty lines between answers": lambda a: re.sub(rb"(?m)^(\* |[A-P]{4}\d+ OK)", rb"\r\n\1", a),
    "LF alone": lambda a: re.sub(
        rb"(?m)^(\* \d+ EXISTS|\* (?:OK|FLAGS|SEARCH|LIST|CAPABILITY)[^\r\n]*|[A-P]{4}\d+ OK done)\r\n", rb"\1\n", a
    ),
    "a bracket in the words": lambda a: a.replace(b"] ok\r\n", b"] ok [really]\r\n"),
    "status codes in lower case": lambda a: a.replace(b"[UIDVALIDITY", b"[uidvalidity").replace(
        b"[UIDNEXT", b"[UidNext"
    ),
    "chatter in between": lambda a: re.sub(
        rb"(?m)^(\* \d+ FETCH)", rb"* OK still here\r\n* 1 FETCH (FLAGS (\\Seen))\r\n\1", a
    ),
    "more letters while it answers": lambda a: a.replace(b"* FLAGS", b"* 1 EXISTS\r\n* FLAGS"),
    "EXISTS shrinks": lambda a: re.sub(rb"(?m)^\* (\d+) EXISTS", rb"* \1 EXISTS\r\n* 1 EXPUNGE\r\n* 2 EXISTS", a),
    "no UIDNEXT": lambda a: re.sub(rb"(?m)^\* OK \[UIDNEXT[^\n]*\n", b"", a),
    "UIDNEXT that is none": lambda a: re.sub(rb"\[UIDNEXT \d+\]", b"[UIDNEXT NIL]", a),
    "UIDNEXT beyond 32 bits": lambda a: re.sub(rb"\[UIDNEXT \d+\]", b"[UIDNEXT 99999999999]", a),
    "no flags": lambda a: a.replace(b"* FLAGS (\\Seen \\Deleted)\r\n", b"* FLAGS NIL\r\n"),
    "no capabilities": lambda a: re.sub(rb"\* CAPABILITY [^\r]*", b"* CAPABILITY IMAP4rev1", a),
    "sizes in quotes": lambda a: re.sub(rb"RFC822\.SIZE (\d+)", rb'RFC822.SIZE "\1"', a),
    "sizes of nought": lambda a: re.sub(rb"RFC822\.SIZE \d+", b"RFC822.SIZE 0", a),
    "sizes in the millions": lambda a: re.sub(rb"RFC822\.SIZE \d+", b"RFC822.SIZE 99999999", a),
    "sizes below nought": lambda a: re.sub(rb"RFC822\.SIZE \d+", b"RFC822.SIZE -1", a),
    "no answer to what was asked beside UID": lambda a: re.sub(rb" RFC822\.SIZE \d+", b"", a),
    "the letter as RFC822": lambda a: a.replace(b"BODY[] ", b"RFC822 "),
    "a blank in the name of the body": lambda a: a.replace(b"BODY[] ", b"BODY[ ] "),
    "pieces that are named as none": lambda a: a.replace(b"BODY[]<0>", b"BODY[]"),
    "~{n}": lambda a: re.sub(rb"\{(\d+)\}\r\n", rb"~{\1}\r\n", a),
    "a blank after {n}": lambda a: re.sub(rb"\{(\d+)\}\r\n", rb"{\1} \r\n", a),
    "UID at the end": lambda a: re.sub(
        rb"FETCH \((UID \d+) (.*?)\)\r\n(?=\*|[A-P]{4}\d)", rb"FETCH (\2 \1)\r\n", a, flags=re.DOTALL
    ),
    "flags of no known form": lambda a: re.sub(rb"FLAGS \(\)", rb'FLAGS (\\Seen "quoted" $Fla%g ] * NIL {x} 5)', a),
    "something nested": lambda a: re.sub(rb"FETCH \(", rb'FETCH (X-MORE (("a" NIL) (1 (2 "b)"))) ', a),
    "an envelope of NILs": lambda a: re.sub(
        rb"FETCH \(", rb"FETCH (ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ", a
    ),
    "a quoted bracket and backslash": lambda a: re.sub(rb"FETCH \(", rb'FETCH (X-ODD "a \\" ) \\\\ (" ', a),
}


@pytest.mark.parametrize("way", WAYS)
def test_answers_are_taken_as_they_are_written(server: NastyImap, post: Post, way: str) -> None:
    server.written = WAYS[way]
    assert checked(post) == "active"
    post.sync()
    put(server, *ALL)
    post.sync()
    assert post.subjects() == ALL
    assert [row.too_large for row in post.letters()] == [False] * 3
    mailbox = post.mailbox
    assert (mailbox.state, mailbox.run_problem, mailbox.failures) == ("active", "", 0)
    assert post.rows(FetchRetry) == []


LEAP_SECOND = "a leap second of five minutes ago"


@pytest.mark.parametrize(
    "date",
    [
        "29-Nov-2026 18:00:00 +9959", "29-Nov-2026 18:00:00 +2400", "29-Nov-2026 18:00:00 -9999", "00-Jan-0000 00:00:00 +0000",
        "31-Feb-2026 10:00:00 +0000", "29-Nov-2026 25:61:61 +0000", "01-Jan-1970 00:00:00 +0000", "01-Jan-0001 00:00:00 +1400",
        "31-Dec-9999 23:59:59 -1200", "29-Nov-99999 18:00:00 +0000", "29-Foo-2026 18:00:00 +0000", "", "NIL", "yesterday",
        "29-Nov-2026", "29-Nov-2026 18:00:00", "29-Nov-2026 18:00:00 \xff", LEAP_SECOND, "-1-Nov-2026 0:0:0 +0",
    ],
)  # fmt: skip
def test_an_impossible_date_costs_no_letter(server: NastyImap, post: Post, date: str) -> None:
    """Its time falls back to the topmost Received field, to Date, to now; a leap second is the minute after."""
    came = (now() - timedelta(minutes=5)).replace(microsecond=0)
    first, second = imap_date(now()), imap_date(now())
    written = imap_date(came.replace(second=0)).replace(":00 +", ":60 +") if date == LEAP_SECOND else date

    def script(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        if b"INTERNALDATE" not in command:
            return None
        usual = server.usual(tag, command)
        return usual.replace(b"ODD", written.encode("latin-1"))

    server.script = script
    server.put(letter("good"), date=first)
    received = f"Received: from a by b; {came:%a, %d %b %Y %H:%M:%S +0000}\r\n".encode()
    server.put(received + letter("odd"), date="ODD")
    server.put(letter("fine"), date=second)
    post.sync()
    assert sorted(post.subjects()) == ["fine", "good", "odd"]
    assert post.mailbox.state == "active"
    odd = next(row for row in post.letters() if row.subject == "odd")
    assert abs(odd.received_at - came) <= timedelta(minutes=10)


def broken(answer: bytes) -> Callable[[NastyImap, bytes, bytes], bytes | None]:
    """This instead of what the server would say of the second letter."""

    def script(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        if not re.search(BODY, command) or 2 not in server._asked(re.search(rb"FETCH ([\d:*,]+)", command)):
            return None
        others = [uid for uid in server._asked(re.search(rb"FETCH ([\d:*,]+)", command)) if uid != 2]
        responses = b"".join(server.fetched(uid, command) for uid in others)
        return responses + answer + (b"" if answer.endswith(CUT) else tag + b" OK done\r\n")

    return script


@pytest.mark.parametrize(
    "answer",
    [
        b"* 2 FETCH (UID 2 BODY[] NIL)\r\n",
        b"* 2 FETCH (UID 2 BODY[] ())\r\n",
        b"* 2 FETCH (UID 2)\r\n",
        b"* 2 FETCH\r\n",
        b"",
        b"* 2 FETCH (UID 2 BODY[] {5}\r\nSubject: much longer than that\r\n\r\n)\r\n",
        b"* 2 FETCH (UID 2 BODY[] {0}\r\n)\r\n",
        b"* 2 FETCH (UID 2 BODY[] {999999999}\r\nSubject: half\r\n" + CUT,
        b"* 2 FETCH (UID 2 BODY[] {90}\r\nSubject: half\r\n" + CUT,
        b"* BYE out of memory\r\n" + CUT,
        b'* 2 FETCH (UID 2 BODY[] "never closed)\r\n',
        b"garbage\r\n",
        b"<b>Warning</b>: mysql is away\r\n",
        CUT,
    ],
)
def test_one_letter_in_trouble_costs_only_itself(server: NastyImap, post: Post, answer: bytes) -> None:
    post.sync()
    put(server, *ALL)
    server.script = broken(answer)
    post.sync()
    post.sync()
    assert post.subjects() == ["a", "c"]
    server.script = lambda *_: None
    with post.context.database.session_scope() as session:
        session.exec(update(FetchRetry).values(try_at=now()))
    post.sync()
    assert sorted(post.subjects()) == ALL
    assert post.rows(FetchRetry) == []


def test_many_letters_in_trouble_never_keep_the_news(server: NastyImap, post: Post) -> None:
    post.sync()
    put(server, *map(str, range(7)))
    server.script = always(BODY, CUT)
    for _ in range(2):
        post.sync()
    bad = set(server.letters)

    def script(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        asked = set(server._asked(re.search(rb"FETCH ([\d:*,]+)", command))) if re.search(BODY, command) else set()
        return CUT if asked & bad else None

    server.script = script
    put(server, "news")
    post.sync()
    assert post.subjects() == ["news"]


def test_a_run_in_which_no_body_could_be_had_is_no_good_run_and_says_so(server: NastyImap, post: Post) -> None:
    post.sync()
    good = post.mailbox.good_run_at
    put(server, "a", "b")
    server.script = always(BODY, b"* 1 FETCH (UID 1 BODY[] {30}\r\nhalf" + CUT)
    post.sync()
    mailbox = post.mailbox
    assert mailbox.good_run_at == good
    assert mailbox.state == "connection_error"
    assert mailbox.run_problem
    server.script = lambda *_: None
    post.sync()
    assert sorted(post.subjects()) == ["a", "b"]
    assert post.mailbox.state == "active"


@pytest.mark.parametrize("megabytes", [1, 11, 20])
def test_a_server_that_knows_nothing_of_pieces(server: NastyImap, post: Post, megabytes: int) -> None:
    """It gives all of a letter whatever piece it is asked for; the letter is loaded once, and is not too large."""
    raw = letter("large", body=("x" * 78 + "\r\n") * (megabytes * MIB // 80))
    server.put(raw, date=imap_date(now()))
    put(server, "small")

    def script(server: NastyImap, tag: bytes, command: bytes) -> bytes | None:
        return (
            server.usual(tag, re.sub(rb"(BODY\.PEEK\[\])<\d+\.\d+>", rb"\1", command))
            if BODY_PIECE.search(command)
            else None
        )

    server.script = script
    post.sync()
    assert sorted(post.subjects()) == ["large", "small"]
    assert [(row.size, row.too_large) for row in post.letters() if row.subject == "large"] == [(len(raw), False)]
    assert len(server.said(rb"FETCH 1\b.*BODY\.PEEK\[\]")) == 1


BODY_PIECE = re.compile(rb"BODY\.PEEK\[\]<")


@pytest.mark.parametrize(
    ("listed", "name"),
    [
        ('* LIST () "/" "Входящие/Заявки"\r\n'.encode(), "Входящие/Заявки"),
        ('* LIST () "/" Заявки\r\n'.encode(), "Заявки"),
        (b"* LIST () NIL {12}\r\n" + "Заявки".encode() + b"\r\n", "Заявки"),
        (b'* LIST () "/" Price requests\r\n', "Price requests"),
        (b'* list (\\hasnochildren) "/" "a \\"b\\" \\\\c"\r\n', 'a "b" \\c'),
        (b'* LIST () "." 2026\r\n', "2026"),
        (b'* LIST (\\NoInferiors \\X(y) "/" "Orders"\r\n* LIST () "/" Orders\r\n', "Orders"),
        (b'* LIST () "/" &BBcEMARPBDIEOgQ4-\r\n', "Заявки"),
        ('* LIST () "/" "Büro & Lager"\r\n'.encode(), "Büro & Lager"),
    ],
)
def test_folder_names_in_any_writing_are_shown_and_opened(
    server: NastyImap, post: Post, listed: bytes, name: str
) -> None:
    server.folders = (b"* LIST\r\n", b'* LIST () "/" INBOX\r\n', listed, b"* LIST (broken\r\n")
    post.choose(folders=["INBOX", name])
    put(server, "a")
    assert checked(post) == "active"
    assert name in post.mailbox.found_folders
    post.sync()
    assert post.folder(name).good_run_at is not None


def test_a_folder_name_is_never_a_command(server: NastyImap, post: Post) -> None:
    server.folders = (b'* LIST () "/" INBOX\r\n', b'* LIST () "/" {20}\r\nx"\r\nA1 DELETE INBOX \r\n')
    post.choose(all_folders=True)
    post.sync()
    assert server.said(b"^DELETE") == []
    assert post.mailbox.state == "active"


def endless(piece: bytes) -> Iterator[bytes]:
    return itertools.repeat(piece * (64 * 1024 // len(piece)), 600)


@pytest.mark.parametrize(
    ("word", "piece"),
    [
        (b"LIST", b'* LIST () "/" a\r\n'),
        (b"UID SEARCH", b"* SEARCH 1 2 3\r\n"),
        (b"EXAMINE", b"x"),
        (b"CAPABILITY", b"* OK\r\n"),
        (BODY, b"* 1 FETCH (UID 1 BODY[] {5000}\r\n" + b"x" * 5_000 + b")\r\n"),
    ],
)
def test_an_answer_without_end_fills_no_memory(
    server: NastyImap, post: Post, monkeypatch: pytest.MonkeyPatch, word: bytes, piece: bytes
) -> None:
    """40 MB and more would come."""
    monkeypatch.setattr("tracker.mail.imap_session.MOST_LINES", 3_000)  # counting memory makes each line slow
    put(server, "a")
    server.script = always(word, lambda *_: endless(piece))
    tracemalloc.start()
    post.sync()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * MIB
    assert post.letters() == []


def test_a_check_has_an_end(server: NastyImap, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracker.inbound.fetch.check.WHOLE_SECONDS", 1.5)

    def drip() -> Iterator[bytes]:
        while True:
            time.sleep(0.2)
            yield b" "

    server.script = always(b"LIST", lambda *_: drip())
    started = time.monotonic()
    assert checked(post) == "connection_error"
    assert time.monotonic() - started < 10


def test_a_letter_that_drips_is_put_aside_and_the_others_come(
    server: NastyImap, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.sync()
    monkeypatch.setattr("tracker.inbound.fetch.imap_connection.ANSWER_SECONDS", 1.0)
    put(server, *ALL)

    def drip() -> Iterator[bytes]:
        yield b"* 2 FETCH (UID 2 BODY[] {5000}\r\n"
        while True:
            time.sleep(0.2)
            yield b"x"

    def script(server: NastyImap, tag: bytes, command: bytes) -> Iterator[bytes] | None:
        asked = server._asked(re.search(rb"FETCH ([\d:*,]+)", command)) if re.search(BODY, command) else []
        return drip() if 2 in asked else None

    server.script = script
    post.sync()
    assert post.subjects() == ["a", "c"]


def test_numbers_that_mean_other_letters_now_delete_nothing(server: NastyImap, post: Post) -> None:
    """Between reading and deleting the folder was numbered anew."""
    post.choose(delete_loaded=True, delete_after_days=0)
    post.sync()
    put(server, "a")
    server.script = always(
        b"^SELECT", lambda s, tag, command: s.usual(tag, command).replace(b"UIDVALIDITY 1", b"UIDVALIDITY 2")
    )
    post.sync()
    assert post.subjects() == ["a"]
    assert server.said(b"STORE|EXPUNGE") == []


def test_of_a_letter_that_is_too_large_nothing_is_deleted(
    server: NastyImap, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("imap_run", "imap"):
        monkeypatch.setattr(f"tracker.inbound.fetch.{module}.MAX_LETTER", 100_000)
    monkeypatch.setattr("tracker.inbound.fetch.imap_run.MAX_LETTER_BEGINNING", 50_000)
    monkeypatch.setattr("tracker.inbound.fetch.imap.MAX_WHOLE_LETTER", 50_000)
    post.choose(delete_loaded=True, delete_after_days=0)
    post.sync()
    put(server, "a")
    server.put(letter("large", body=("x" * 78 + "\r\n") * 2_000), date=imap_date(now()))
    post.sync()
    assert sorted(post.subjects()) == ["a", "large"]
    assert list(server.letters) == [2]
