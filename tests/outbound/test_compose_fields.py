"""Header fields of a raw message: one taken out or added, every other octet kept."""

import email
import email.policy
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tracker.mail.mime.fields import add_header, list_unsubscribe, normalise_line_ends, remove_header

DATA = Path(__file__).parent.parent / "data" / "mime"
MESSAGE = (
    b"From: a@b.example\r\nX-Inkling-Track: opens,\r\n\tlinks\r\nSubject: x\r\n\r\nX-Inkling-Track: in the body\r\n"
)


def test_d23_a_control_field_goes_with_its_folded_lines_and_its_doubles() -> None:
    before = (DATA / "bcc_and_our_own_field.eml").read_bytes()
    after = remove_header(remove_header(before, "Bcc"), "X-Inkling-Track")
    dropped = (
        b"Bcc: Carol <carol@buyer.example>,\r\n Dave <dave@buyer.example>\r\n",
        b"X-Inkling-Track: opens,\r\n\tlinks\r\n",
        b"x-inkling-track: none\r\n",
    )
    expected = before
    for field in dropped:
        assert field in expected
        expected = expected.replace(field, b"")
    assert after == expected
    assert b"\r\n\r\nX-Inkling-Track: in the body\r\n" in after


def test_a_field_that_is_not_there_leaves_the_very_same_object() -> None:
    assert remove_header(MESSAGE, "Bcc") is MESSAGE


@pytest.mark.parametrize("name", ["X-Inkling", "Track", "X-Inkling-Track-More"])
def test_no_other_field_is_mistaken(name: str) -> None:
    assert remove_header(MESSAGE, name) is MESSAGE


def test_a_field_in_the_first_place_and_in_the_last_and_alone() -> None:
    assert remove_header(MESSAGE, "from") == MESSAGE[len(b"From: a@b.example\r\n") :]
    assert remove_header(MESSAGE, "SUBJECT") == MESSAGE.replace(b"Subject: x\r\n", b"")
    assert remove_header(b"Bcc: a@b.example\r\n\r\nx", "Bcc") == b"\r\nx"
    assert remove_header(b"Bcc: a@b.example", "Bcc") == b""
    assert remove_header(b"\r\nBcc: a@b.example\r\n", "Bcc") == b"\r\nBcc: a@b.example\r\n"


def test_a_space_before_the_colon_hides_nothing() -> None:
    assert remove_header(b"Bcc : a@b.example\nTo: c\n\nx", "Bcc") == b"To: c\n\nx"


def test_lines_that_are_no_field_are_stepped_over() -> None:
    assert remove_header(b"From a@b Mon Jan\nBcc: x\n\nbody", "Bcc") == b"From a@b Mon Jan\n\nbody"


def test_a_field_is_added_at_the_end_of_the_section() -> None:
    after = add_header(MESSAGE, "X-One", "1")
    assert after == MESSAGE.replace(b"Subject: x\r\n", b"Subject: x\r\nX-One: 1\r\n")
    assert add_header(b"A: b\n\nx", "C", "d") == b"A: b\nC: d\n\nx"
    assert add_header(b"A: b", "C", "d") == b"A: b\r\nC: d\r\n"
    assert add_header(b"\r\nbody", "C", "d") == b"C: d\r\n\r\nbody"
    assert add_header(b"", "C", "d") == b"C: d\r\n"


def test_d15_a_long_value_is_folded_between_words() -> None:
    value = ", ".join(f"<https://lists.example/unsubscribe/{index}>" for index in range(20))
    after = add_header(b"A: b\r\n\r\n", "List-Unsubscribe", value)
    assert max(map(len, after.split(b"\r\n"))) <= 78
    assert email.message_from_bytes(after, policy=email.policy.default)["List-Unsubscribe"] == value


def test_a_value_in_another_script_becomes_encoded_words() -> None:
    after = add_header(b"A: b\r\n\r\n", "Subject", "Grüße aus 東京 " * 20)
    assert after.isascii()
    assert max(map(len, after.split(b"\r\n"))) <= 78
    assert (
        email.message_from_bytes(after, policy=email.policy.default)["Subject"].split()
        == ("Grüße aus 東京 " * 20).split()
    )


@pytest.mark.parametrize(
    "value", ["a\r\nBcc: x@y.example", "a\nb", "a\rb", "a\0b", "a\x0bb", "a\u2028b", "a\x85b", "\udc80"]
)
def test_a_line_break_in_a_value_is_refused_by_name(value: str) -> None:
    with pytest.raises(ValueError, match=r"^X-One must be one line"):
        add_header(MESSAGE, "X-One", value)


@pytest.mark.parametrize("name", ["", "A B", "A:", "A\r\nB", "Ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a header field name"):
        add_header(MESSAGE, name, "x")


def test_a43_d14_the_addresses_of_list_unsubscribe() -> None:
    raw = (
        b"List-Unsubscribe: <mailto:u@x.example?subject=stop>,\r\n <https://x.example/u?id=1&x=2>\r\n"
        b"list-unsubscribe: <HTTPS://y.example/\r\n z>\r\n\r\n"
    )
    assert list_unsubscribe(raw) == {"https://x.example/u?id=1&x=2", "HTTPS://y.example/z"}
    assert list_unsubscribe(MESSAGE) == frozenset()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\nb\r\nc\rd", b"a\r\nb\r\nc\r\nd"),
        (b"a\n.\nb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"\n\r\r\n", b"\r\n\r\n\r\n"),
        (b"", b""),
    ],
)
def test_line_ends_become_crlf(before: bytes, after: bytes) -> None:
    assert normalise_line_ends(before) == after
    assert normalise_line_ends(after) is after


octets = st.lists(
    st.sampled_from(
        [b"A: b", b"X-One: 1", b"x-one:2", b"\r\n", b"\n", b" fold", b"\tfold", b":", b"\r", b"\xff", b"body", b"--b"]
    )
).map(b"".join)


@given(octets)
def test_what_was_added_can_be_taken_out(raw: bytes) -> None:
    assume(not raw.endswith(b"\r"))  # what would be added makes a line end of it
    clean = remove_header(raw, "X-Two")
    assert clean == raw
    after = add_header(raw, "X-Two", "2")
    assert len(after) > len(raw)
    back = remove_header(after, "X-Two")
    assert back in (raw, raw + b"\r\n", raw + b"\n")


@given(octets)
def test_removing_keeps_the_other_fields_in_their_order(raw: bytes) -> None:
    after = remove_header(raw, "X-One")
    assert remove_header(after, "X-One") == after
    position = 0
    for octet in after:
        position = raw.index(octet, position) + 1
