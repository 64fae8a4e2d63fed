"""The one HTML part is found in any message, and nothing but its body changes when it is replaced."""

import email
import email.policy
from email.message import Message
from pathlib import Path

import pytest

from tracker.outbound.mime_patch import HtmlPart, Untouched, find_html, replace_html
from tracker.outbound.rewriter.document import Edit
from tracker.outbound.rewriter.rewriting import Rewritten, rewrite

DATA = Path(__file__).parent.parent / "data" / "mime"
TRACKED = "https://track.example/c/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
PIXEL = "https://track.example/o/1.gif"
URL = "https://shop.example/offer?a=1&b=2"

UNTOUCHED = {
    "only_forwarded_message_has_html": "text_only",
    "text_alone": "text_only",
    "no_content_type_at_all": "text_only",
    "signed_smime": "signed",
    "signed_pgp_below_mixed": "signed",
    "signed_smime_opaque": "signed",
    "encrypted_pgp": "encrypted",
    "encrypted_smime": "encrypted",
    "inline_pgp_in_html": "inline_pgp",
    "inline_pgp_in_base64": "inline_pgp",
    "utf_7_is_not_read": "charset",
    "encoding_that_nobody_knows": "encoding",
    "base64_that_does_not_hold_together": "encoding",
    "header_without_body": "malformed",
}
FOUND = sorted(path.stem for path in DATA.glob("*.eml") if path.stem not in UNTOUCHED)


def raw(name: str) -> bytes:
    return (DATA / f"{name}.eml").read_bytes()


def html_part(message: bytes) -> HtmlPart:
    part = find_html(message)
    assert isinstance(part, HtmlPart), part
    return part


def replaced(message: bytes, part: HtmlPart, rewritten: Rewritten) -> bytes:
    return replace_html(message, part, rewritten.html, rewritten.edits)


def whole(old: str, new: str) -> list[Edit]:
    return [Edit(0, len(old), new)]


def tracked(message: bytes) -> bytes:
    part = html_part(message)
    return replaced(message, part, rewrite(part.html, lambda url, index: TRACKED, PIXEL))


def leaves(message: bytes) -> list[Message]:
    """The parts as the standard library reads them."""
    return [
        part
        for part in email.message_from_bytes(message, policy=email.policy.compat32).walk()
        if not part.is_multipart()
    ]


def payload(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


@pytest.mark.parametrize(("name", "reason"), UNTOUCHED.items())
def test_d3_d4_what_must_stay_says_why(name: str, reason: str) -> None:
    assert find_html(raw(name)) == Untouched(reason)


@pytest.mark.parametrize("name", FOUND)
def test_d13_only_the_body_of_one_part_changes(name: str) -> None:
    before = raw(name)
    part = html_part(before)
    after = tracked(before)
    assert after != before
    assert after[: part.start] == before[: part.start]
    behind = before[part.body_end :]
    assert after.endswith(behind)
    header = before[part.start : part.body_start]
    if not name.startswith("a_line_that_grows"):
        assert after[part.start : part.body_start] == header


@pytest.mark.parametrize("name", FOUND)
def test_the_new_document_is_read_as_it_was_written(name: str) -> None:
    before = raw(name)
    part = html_part(before)
    assert URL.split("?")[0].split("/offer")[0] in part.html or "s.example" in part.html
    result = rewrite(part.html, lambda url, index: TRACKED, PIXEL)
    again = html_part(replaced(before, part, result))
    assert again.html == result.html
    assert result.html.count(PIXEL) == 1
    assert TRACKED in result.html


@pytest.mark.parametrize("name", FOUND)
def test_d21_the_original_document_makes_the_original_message(name: str) -> None:
    before = raw(name)
    part = html_part(before)
    result = rewrite(part.html, lambda url, index: TRACKED, PIXEL)
    after = replaced(before, part, result)
    back = replace_html(after, html_part(after), part.html, whole(result.html, part.html))
    assert html_part(back).html == part.html
    assert replace_html(before, part, part.html, []) is before


@pytest.mark.parametrize("name", FOUND)
def test_d2_no_part_is_lost_and_the_others_are_the_same(name: str) -> None:
    before, after = leaves(raw(name)), leaves(tracked(raw(name)))
    assert len(before) == len(after)
    changed = [
        index for index, (old, new) in enumerate(zip(before, after, strict=True)) if old.as_bytes() != new.as_bytes()
    ]
    assert len(changed) == 1
    assert before[changed[0]].get_content_type().startswith("text/html")


@pytest.mark.parametrize("name", FOUND)
def test_d11_no_line_is_longer_than_998_octets(name: str) -> None:
    assert max(len(line.rstrip(b"\r")) for line in tracked(raw(name)).split(b"\n")) <= 998


CHARSETS = [
    ("windows_1252_8bit_and_a_meta_that_lies", "cp1252", "Größe “€”"),
    ("koi8_r_quoted_printable", "koi8-r", "Привет"),
    ("windows_1251_base64", "cp1251", "Привет"),
    ("iso_2022_jp_7bit", "iso2022_jp", 'こんにちは"<見積>"'),
    ("gb18030_base64", "gb18030", "你好𠀀"),
    ("utf_16_base64_with_mark", "utf-16", "héllo"),
    ("utf_16be_base64_with_mark", "utf-16", "héllo"),
    ("utf_16le_base64_without_mark", "utf-16-le", "héllo"),
    ("shift_jis_8bit", "cp932", "ソース表示①"),
    ("utf_8_with_mark_8bit", "utf-8", "grün"),
    ("no_charset_label_utf_8", "utf-8", "grün"),
    ("no_charset_label_latin_1", "latin-1", "grün"),
    ("label_says_ascii_and_is_wrong", "utf-8", "grün"),
    ("label_says_utf_8_and_is_wrong", "latin-1", "grün"),
    ("unknown_charset_label", "utf-8", "grün"),
    ("charset_label_in_two_pieces", "cp1252", "grün"),
]


@pytest.mark.parametrize(("name", "codec", "words"), CHARSETS, ids=[name for name, _, _ in CHARSETS])
def test_d7_d8_characters_survive(name: str, codec: str, words: str) -> None:
    """Read with another program and the true charset, the words are there, and so is the tracked link."""
    text = payload(leaves(tracked(raw(name)))[-1]).decode(codec)
    assert text.count(words) == 2
    assert f'href="{TRACKED}"' in text
    assert PIXEL in text


@pytest.mark.parametrize(("name", "words"), [(name, words) for name, _, words in CHARSETS if "wrong" not in name])
def test_d8_the_text_of_the_link_is_no_mojibake(name: str, words: str) -> None:
    links = rewrite(html_part(raw(name)).html, lambda url, index: None, None).links
    assert [(link.url, link.text) for link in links] == [(URL, words)] or "<" in words


def test_d7_markup_between_escape_sequences_is_text() -> None:
    before = raw("iso_2022_jp_with_vendor_characters")
    part = html_part(before)
    after = tracked(before)
    assert part.charset == "shifted"
    assert b'\x1b$B-!<"&>\x1b(B' in after
    assert after.replace(TRACKED.encode(), b"https://shop.example/offer?a=1&amp;b=2").startswith(
        before[: part.body_end - 6]
    )


def test_a_character_that_the_charset_lacks_becomes_a_reference() -> None:
    before = raw("koi8_r_quoted_printable")
    part = html_part(before)
    place = part.html.index("</body>")
    html = part.html.replace("</body>", "日</body>")
    after = replace_html(before, part, html, [Edit(place, place, "日")])
    assert html_part(after).html == part.html.replace("</body>", "&#26085;</body>")


def test_d1_the_text_part_is_not_touched() -> None:
    name = "alternative_text_and_html"
    text = raw(name).split(b"--b1")[1]
    assert text in tracked(raw(name))


def test_b44_d5_d6_attached_and_sibling_parts_keep_their_links() -> None:
    for name, urls in {
        "attached_html_and_message_stay": ("attached", "inner", "later"),
        "calendar_and_amp_beside_html": ("amp", "cal"),
        "two_html_parts_of_apple_mail": ("second",),
    }.items():
        after = tracked(raw(name))
        assert after.count(TRACKED.encode()) == 1
        assert all(f"https://shop.example/{url}".encode() in after for url in urls)


def test_c10_one_pixel_in_a_message_with_two_html_parts() -> None:
    assert tracked(raw("two_html_parts_of_apple_mail")).count(PIXEL.encode()) == 1


def test_d10_a_link_over_two_lines_is_found_and_the_other_lines_keep_their_octets() -> None:
    before = raw("quoted_printable_link_broken_in_two")
    part = html_part(before)
    assert [link.url for link in rewrite(part.html, lambda url, index: None, None).links] == [URL]
    after = tracked(before)
    for line in (
        b"Gr=C3=BC=C3=9Fe, a line that is left as its author folded it =E2=80=94=20=\r\nhere</p>  \r\n",
        b"<p>and =\r\nafter</p>\r\n",
    ):
        assert line in before
        assert line in after


def test_d9_base64_keeps_its_width_and_its_last_lines() -> None:
    before, after = raw("base64_lines_of_60"), tracked(raw("base64_lines_of_60"))
    body = after[html_part(after).body_start :]
    assert {len(line) for line in body.split()[:-1]} == {60}
    assert body.endswith(before[-6:])
    assert before.endswith(b"\r\n\r\n\r\n")


@pytest.mark.parametrize("name", ["a_line_that_grows_over_998", "a_line_that_grows_over_998_without_encoding_field"])
def test_d11_a_part_that_can_no_longer_travel_bare_becomes_quoted_printable(name: str) -> None:
    before, after = raw(name), tracked(raw(name))
    part, again = html_part(before), html_part(after)
    assert again.encoding == "quoted-printable"
    fields, old_fields = after[part.start : again.header_end], before[part.start : part.header_end]
    assert fields.count(b"Content-Transfer-Encoding: quoted-printable\r\n") == 1
    assert set(old_fields.splitlines()) - set(fields.splitlines()) <= {b"Content-Transfer-Encoding: 7bit"}


def test_an_octet_that_7bit_forbids_makes_the_part_quoted_printable() -> None:
    before = raw("alternative_text_and_html")
    part = html_part(before)
    html = part.html.replace("Hello", "Grüß Gott")
    after = replace_html(before, part, html, whole(part.html, html))
    assert after.isascii()
    assert html_part(after).encoding == "quoted-printable"


def test_line_feeds_alone_stay_line_feeds() -> None:
    assert b"\r" not in tracked(raw("line_feeds_alone"))


def test_long_documents_in_every_encoding() -> None:
    for name in ("koi8_r_quoted_printable", "windows_1251_base64", "windows_1252_8bit_and_a_meta_that_lies"):
        before = raw(name)
        part = html_part(before)
        html = part.html.replace("</p>", "\r\n".join(["</p><p>x <a href='https://shop.example/'>y</a>"] * 3000))
        long = replace_html(before, part, html, whole(part.html, html))
        result = rewrite(html_part(long).html, lambda url, index: TRACKED, PIXEL)
        assert len([link for link in result.links if link.tracked]) == 3001
        assert html_part(replaced(long, html_part(long), result)).html == result.html


def test_multiparts_without_end() -> None:
    """As deep as a message may nest and far deeper; one that was read by recursion would raise."""
    depth = 3000
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (at, at) for at in range(depth))
    assert find_html(deep + b"Content-Type: text/html\r\n\r\n<p>x</p>\r\n") == Untouched("text_only")
    shallow = (
        deep.split(b"Content-Type: multipart/mixed; boundary=b90\r\n")[0]
        + b"Content-Type: text/html\r\n\r\n<p>x</p>\r\n"
    )
    assert html_part(shallow).html == "<p>x</p>\r\n"


def test_many_parts_without_a_header_are_read_before_the_test_times_out() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nx\r\n" * 100_000
        + b"--b\r\nContent-Type: text/html\r\n\r\n<p>"
    )
    assert html_part(message).html == "<p>"
