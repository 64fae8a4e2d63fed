"""What every reader of a message must agree on: which parts it has, where they stand, and which of them are files."""

from pathlib import Path

import pytest

from tracker.mail.mime.encodings import octets_in
from tracker.mail.mime.parts import leaves, read_parts, walk

DATA = Path(__file__).parents[2] / "data" / "mime"


def part(*fields: str) -> bytes:
    return "\r\n".join([*fields, "", "Hello", ""]).encode()


@pytest.mark.parametrize(
    ("fields", "attachment", "inline_picture"),
    [
        ((), False, False),
        (("Content-Type: text/html",), False, False),
        (("Content-Type: text/html", "Content-Disposition: inline"), False, False),
        (("Content-Type: text/html", "Content-Disposition: attachment"), True, False),
        (("Content-Type: text/html", "Content-Disposition: INLINE; filename=a.html"), True, False),
        (("Content-Type: text/html; name=a.html",), True, False),
        (("Content-Type: text/plain; name*=utf-8''%D1%86.txt",), True, False),
        (("Content-Type: text/calendar; method=REQUEST",), False, False),
        (("Content-Type: application/pdf",), True, False),
        (("Content-Type: application/pdf", "Content-Disposition: inline", "Content-ID: <a@b>"), True, False),
        (("Content-Type: message/rfc822",), True, False),
        (("Content-Type: multipart/mixed; name=a; boundary=b",), False, False),
        (("Content-Type: image/png", "Content-ID: <a@b>"), True, True),
        (("Content-Type: image/png; name=a.png", "Content-ID: <a@b>", "Content-Disposition: inline"), True, True),
        (("Content-Type: image/png; name=a.png", "Content-ID: <a@b>", "Content-Disposition: attachment"), True, False),
        (("Content-Type: image/png; name=a.png", "Content-Disposition: inline"), True, False),
    ],
)
def test_what_is_a_file_and_what_a_picture_of_the_text(
    fields: tuple[str, ...], attachment: bool, inline_picture: bool
) -> None:
    parts = read_parts(part(*fields))
    assert (parts.is_attachment, parts.is_inline_picture) == (attachment, inline_picture)


def test_parts_come_in_the_order_of_the_message_with_their_places() -> None:
    root = read_parts((DATA / "related_in_alternative_in_mixed.eml").read_bytes())
    places = [(place, part.content_type) for place, part in walk(root)]
    assert places[:3] == [("", "multipart/mixed"), ("1", "multipart/alternative"), ("1.1", "text/plain")]
    assert [place for place, _ in places] == sorted(place for place, _ in places)
    assert [place for place, _ in leaves(root)] == [place for place, part in places if place not in ("", "1", "1.2")]
    assert [place for place, _ in leaves(read_parts(part()))] == ["1"]


def test_what_an_attached_message_holds_is_no_part_of_this_one() -> None:
    raw = (DATA / "only_forwarded_message_has_html.eml").read_bytes()
    (attached,) = [part for _, part in leaves(read_parts(raw)) if part.content_type == "message/rfc822"]
    assert attached.is_attachment
    assert b'<a href="https://shop.example/inner">x</a>' in octets_in(raw, attached)


def test_the_name_of_a_form_of_the_body_makes_no_file_of_it() -> None:
    raw = (DATA / "folded_fields_and_parameters.eml").read_bytes()
    assert [part.is_attachment for _, part in leaves(read_parts(raw))] == [False, False]
