"""Any bytes at all are read without an exception, shown without a script, and cost time and memory in proportion to their size."""

import json
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

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
]


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


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: repr(piece)[2:22])
def test_the_cost_of_a_body_grows_with_its_size_alone(piece: bytes) -> None:
    for head in KINDS.values():
        _grows_evenly(partial(_filled, head, piece))


@pytest.mark.parametrize("piece", FIELDS)
@pytest.mark.parametrize(
    "name", [b"Subject", b"From", b"References", b"Content-Type", b"Content-Transfer-Encoding", b"X-Any"]
)
def test_the_cost_of_a_field_grows_with_its_size_alone(name: bytes, piece: bytes) -> None:
    _grows_evenly(lambda size: name + b": " + piece * (size // len(piece)) + b"\r\n\r\nx")


def _filled(head: bytes, piece: bytes, size: int) -> bytes:
    return head + piece * (size // len(piece))


def _grows_evenly(made: Callable[[int], bytes]) -> None:
    """Sixteen times the bytes take far less than the 256 times of a cost that grows with the square."""
    small, large = (_cost(made(size)) for size in (3_000, 48_000))
    assert large < 64 * max(small, 0.01)


def _cost(raw: bytes) -> float:
    began = time.process_time()
    describe(raw)
    return time.process_time() - began


def test_memory_grows_with_the_size_alone() -> None:
    divided = KINDS[b"multipart/mixed; boundary=b"]
    made = [
        PLAIN + b"word\r\n" * 10_000,
        HTML + b"<p>word" * 10_000,
        divided + b"--b\r\n\r\nx\r\n" * 5_000,
    ]
    for raw in made:
        tracemalloc.start()
        describe(raw)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 150 * len(raw)
