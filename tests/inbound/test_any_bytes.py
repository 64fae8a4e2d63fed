"""Any bytes at all are read without an exception, shown without a script, and cost work and memory in proportion to their size."""

import json
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inbound.corpus import DATA
from tracker.inbound.parse.description import describe
from tracker.inbound.parse.letter import parse
from tracker.mail.safe_html import clean, runs_something

HEAD = b"Return-Path: <>\r\nFrom: MAILER-DAEMON@x.example\r\nTo: c@d.example\r\nSubject: Re: x\r\n"
PLAIN, HTML = (HEAD + b"Content-Type: text/%s; charset=utf-8\r\n\r\n" % kind for kind in (b"plain", b"html"))
KINDS = {
    kind: HEAD + b"Content-Type: " + kind + b"\r\n\r\n"
    for kind in (
        *(
            b"multipart/mixed; boundary=b",
            b"multipart/mixed; boundary=no",
            b"multipart/alternative; boundary=b",
            b"text/plain",
        ),
        *(b"text/plain; format=flowed; delsp=yes", b"text/enriched", b"text/calendar", b"message/delivery-status"),
        *(b"message/feedback-report", b"text/html", b"application/x"),
    )
}
PIECES = [
    b"word word\r\n",
    b"> a\r\nb:\r\n",
    b"On Sun, Nov 29, 2026 at 6:00 PM Ann\r\n",
    b"x\r\n\r\nFrom: a\r\n",
    b"a@b.example:\r\n",
    b"a@",
    b" ",
    b"\t",
    b"-",
    b"--\r\n",
    b"--a b\r\n",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\r\n",
    b">",
    b"_",
    b"a \r\n",
    b"A;b\r\n",
    b"--b\r\n\r\nx\r\n",
    b"--q\r\nContent-Type: multipart/mixed; boundary=w\r\n\r\n",
    b"<param>",
    b"BEGIN:VEVENT\r\n",
    b"begin 644 a\r\n",
    b"<blockquote>x",
    b"<p style='border-top:1px'>x<div style='border-top:1px'>",
    b"<div class=gmail_signature>x",
    b"<div>",
    b"<meta ",
    b"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\n\r\n",
    b"m-aaaaaaaaaaaaaaaaaaaaaaa-",
    b"Feedback-Type: x\r\n",
    "добрый день ".encode("koi8-r"),
    "schöne grüße ".encode("latin-1"),
    "добрый день ".encode(),
    b"QUFB",
    b"QUFB\r\n",
    b"\0",
    b"\xff",
    b"=?utf-8?Q?a",
    b"<script>",
    b"<a",
    b'"(',
    b"BEGIN:VEVENT\r\nA;",
    b"-----Original Message-----\r\n",
    b"Sent from my ",
]
FIELDS = [
    b"=?utf-8?Q?a",
    b"=?utf-8?B?YQ==?= ",
    b"<a@b> ",
    b"<a",
    b'"(',
    b"charset ",
    b'a="',
    b"\r",
    b"a@",
    b"m-aaaaaa-",
    b"re: ",
    b"[ext] ",
    b'\\"',
]
NAMES = [b"Subject", b"From", b"References", b"Content-Type", b"Content-Transfer-Encoding", b"X-Any"]
QUOTED_PRINTABLE = HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
DIVIDED = KINDS[b"multipart/mixed; boundary=b"]
LONE = [
    b" ",
    b"\t ",
    b"-",
    b"> ",
    b"_",
    b"a",
    b"a@",
    b"a.",
    b'\\"',
    b"\\(",
    b"<a ",
    b"<meta ",
    b"=",
    b": ",
    b"\r",
    b"\n ",
    b"(",
    b"1",
    b"[",
]
"""Runs of these are what patterns look at."""


@given(
    st.sampled_from([*KINDS.values()]),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=40),
)
def test_any_bytes_are_read_and_shown_without_a_script(head: bytes, pieces: list[bytes]) -> None:
    _read_and_shown(head + b"".join(pieces))


@given(st.sampled_from(sorted(DATA.glob("*.eml"))), st.integers(0, 4000), st.integers(0, 60), st.binary(max_size=8))
def test_a_letter_that_was_damaged_is_read(path: Path, at: int, length: int, put: bytes) -> None:
    raw = path.read_bytes()
    _read_and_shown(raw[:at] + put + raw[at + length :])


def _read_and_shown(raw: bytes) -> None:
    json.dumps(describe(raw)).encode()
    page = parse(raw).html
    assert page is None or not runs_something(clean(page))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_work_for_a_body_grows_with_its_size_alone(kind: bytes) -> None:
    for piece in PIECES:
        _grows_evenly(partial(_filled, KINDS[kind], piece))


@pytest.mark.parametrize("name", NAMES)
def test_the_work_for_a_field_grows_with_its_size_alone(name: bytes) -> None:
    for piece in FIELDS:
        _grows_evenly(partial(_field, name, piece))


def _filled(head: bytes, piece: bytes, size: int) -> bytes:
    return head + piece * (size // len(piece))


def _field(name: bytes, piece: bytes, size: int) -> bytes:
    return name + b": " + piece * (size // len(piece)) + b"\r\n\r\nx"


def _grows_evenly(made: Callable[[int], bytes]) -> None:
    """Ten times the bytes take about ten times the lines of code, far less than the hundred times of a cost that grows with the
    square."""
    small, large = (_lines_run(made(size)) for size in (300, 3_000))
    assert large < 20 * small, made(30)


def _lines_run(raw: bytes) -> int:
    """How many lines of Python run for a letter, each turn of a loop counted."""
    lines = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        describe(raw)
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", LONE, ids=repr)
def test_a_pattern_that_looks_at_a_long_run_again_and_again_would_never_end(piece: bytes) -> None:
    """No line of Python runs inside a pattern: here the square of the size is minutes, the size itself a moment."""
    for head in (KINDS[b"text/plain"], QUOTED_PRINTABLE, KINDS[b"text/html"]):
        describe(_filled(head + b"x\r\n", piece, 150_000) + b"x\r\nx")
    for name in (b"From", b"References", b"Content-Type"):
        describe(_field(name, piece, 60_000))


def test_memory_grows_with_the_size_alone() -> None:
    made = [
        PLAIN + b"word\r\n" * 3_000,
        HTML + b"<p>word" * 3_000,
        DIVIDED + b"--b\r\n\r\nx\r\n" * 1_500,
    ]
    for raw in made:
        tracemalloc.start()
        describe(raw)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 150 * len(raw)
