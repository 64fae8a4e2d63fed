"""Letters recognised by their header sections."""

from hypothesis import given
from hypothesis import strategies as st

from tests.inbound.mail_world import letter
from tracker.inbound.parse.header_hash import header_hash


def test_a_letter_and_its_header_section_are_one() -> None:
    raw = letter("Цена")
    assert header_hash(raw) == header_hash(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n") != ""


def test_the_way_it_took_does_not_count() -> None:
    raw = letter("a")
    assert header_hash(b"Received: from a by b\r\nX-Spam: no\r\n" + raw) == header_hash(raw)


def test_order_folding_and_line_ends_do_not_count() -> None:
    first = b"From: a@b.example\r\nSubject: a long\r\n subject\r\n\r\nx"
    other = b"subject: a long subject\nFROM:  a@b.example\n\ny"
    assert header_hash(first) == header_hash(other)


def test_another_field_is_another_letter() -> None:
    assert header_hash(b"Subject: a\r\n\r\n") != header_hash(b"Subject: b\r\n\r\n")
    assert header_hash(b"From: a\r\n\r\n") != header_hash(b"To: a\r\n\r\n")


def test_nothing_to_go_by_gives_nothing() -> None:
    assert header_hash(b"") == header_hash(b"\r\n\r\nFrom: a\r\n") == header_hash(b"X: y\r\n\r\n") == ""


@given(st.binary(max_size=300))
def test_any_bytes_at_all(raw: bytes) -> None:
    assert len(header_hash(raw)) in (0, 64)
