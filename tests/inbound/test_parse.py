"""Traps P1 to P25: any bytes are understood as far as they can be, and nothing raises."""

import hashlib
import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.inbound.corpus import DATA, raw, simple
from tracker.inbound.parse.category import categorise
from tracker.inbound.parse.file_names import LONGEST, safe_name
from tracker.inbound.parse.identity import content_hash, identity
from tracker.inbound.parse.letter import MOST_REFERENCES, ParsedLetter, content_of, parse
from tracker.inbound.parse.quotations import own_text, snippet
from tracker.inbound.parse.reports import read_report
from tracker.mail.addresses import Address

TEN = datetime(2026, 11, 26, 10, tzinfo=UTC)
PIECES = [
    *(b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Content-Type: ", b"References: ", b"Content-Transfer-Encoding: "),
    *(b"multipart/mixed; boundary=x", b"multipart/report; report-type=delivery-status; boundary=x", b"message/rfc822"),
    *(
        b"text/plain; charset=",
        b"text/html",
        b"message/delivery-status",
        b"utf-7",
        b"hz",
        b"base64",
        b"quoted-printable",
    ),
    *(
        b"=?utf-8?B?",
        b"=?koi8-r?Q?",
        b"?=",
        b"<",
        b">",
        b'"',
        b"(",
        b")",
        b",",
        b";",
        b":",
        b"@",
        b"a@b.example",
        b"\\",
    ),
    *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--x", b"--x--", b"=", b"=3D", b"\0", b"\xff\xfe", b"\xcf\xf0", b" ", b"\t"),
]


def checked(letter: ParsedLetter) -> ParsedLetter:
    """Everything in it can be stored and shown."""
    as_text = json.dumps(
        [letter.subject, letter.text, letter.html, letter.headers_text, letter.message_id, *letter.references]
    )
    as_text += json.dumps([[item.address, item.name] for item in (*letter.senders, *letter.to, *letter.cc)])
    as_text += json.dumps(
        [[file.filename, file.written_name, file.content_id, file.content_type] for file in letter.files]
    )
    assert "\\u0000" not in as_text
    as_text.encode()
    for text in (letter.subject, letter.text, letter.html or "", letter.headers_text):
        text.encode("utf-8")
    return letter


@pytest.mark.parametrize("path", sorted(DATA.glob("*.eml")), ids=lambda path: path.stem)
def test_every_letter_of_the_corpus_is_read(path: object) -> None:
    letter = checked(parse(path.read_bytes()))  # type: ignore[attr-defined]
    assert letter.to or "p01" in str(path) or "p22" in str(path)


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=20)), max_size=60).map(b"".join))
def test_nothing_raises_on_any_bytes(octets: bytes) -> None:
    letter = checked(parse(octets))
    categorise(letter, frozenset(), False)
    read_report(octets)
    assert len(identity(None, letter.message_id, content_hash(letter))) == 64
    own_text(letter.text)
    for file in letter.files:
        content = content_of(octets, file.part)
        assert content is not None
        assert hashlib.sha256(content).hexdigest() == file.digest


@given(st.text(max_size=200), st.text(max_size=60), st.text(max_size=300))
def test_nothing_raises_on_any_text(subject: str, name: str, body: str) -> None:
    octets = f"From: {name} <a@b.example>\nSubject: {subject}\n\n{body}".encode("utf-8", "replace")
    checked(parse(octets))


def test_p1_a_lone_quote_in_to() -> None:
    letter = parse(raw("p01-to-is-one-quote"))
    assert letter.to == ()
    assert letter.sender == Address("anna@client.example", "Anna Berg")


def test_p2_a_message_id_in_square_brackets_is_kept_as_text() -> None:
    assert parse(raw("p02-message-id-in-brackets")).message_id == "[b378c5e2@microsoft.com]"


def test_p3_a_line_break_in_a_name_becomes_a_space() -> None:
    assert parse(raw("p03-line-break-in-the-name")).sender == Address("anna@client.example", "Anna Bcc: x")


def test_p4_a_parameter_without_value() -> None:
    letter = parse(raw("p04-parameter-without-value"))
    assert letter.content_type == "text/plain"
    assert letter.text.startswith("Hello, what")


def test_p5_unknown_charsets_are_guessed() -> None:
    letter = parse(raw("p05-unknown-charset"))
    assert letter.subject == "Заказ стульев"
    assert letter.text == "Сколько стоят сорок стульев?"


@pytest.mark.parametrize("label", ["cp-1251", "windows-1251", "WINDOWS-1251", "x-cp1251", "'windows-1251'"])
def test_p5_spellings_of_a_charset(label: str) -> None:
    octets = f"Content-Type: text/plain; charset={label}\n\n".encode() + "Привет".encode("cp1251")
    assert parse(octets).text == "Привет"


def test_p6_a_raw_cp1251_subject_is_readable() -> None:
    assert parse(raw("p06-raw-cp1251-subject")).subject == "Заказ стульев"


def test_p7_a_letter_split_over_two_words_is_joined() -> None:
    assert parse(raw("p07-letter-split-over-words")).subject == "Вопрос"


@pytest.mark.parametrize("name", ["p11-address-as-quoted-name", "p12-address-as-bare-name"])
def test_p11_p12_the_bracketed_address_is_the_sender(name: str) -> None:
    letter = parse(raw(name))
    assert letter.senders == (Address("ivan@y.example", "boss@x.example"),)


def test_p13_an_address_without_brackets_is_found_and_flagged() -> None:
    letter = parse(raw("p13-address-without-brackets"))
    assert letter.sender == Address("ivan@x.example", "Иван")
    assert "from_address_by_pattern" in letter.defects


def test_p14_three_thousand_letters_inside_each_other() -> None:
    checked(parse(b"From: a@b.example\n" + b"Content-Type: message/rfc822\n\n" * 3000 + b"x"))
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000))
    checked(parse(nested))


def test_p15_parts_headers_and_recipients_have_limits() -> None:
    began = time.process_time()
    parts = parse(b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\nContent-Type: image/png\n\nabc\n" * 20_000)
    assert "too_many_parts" in parts.defects
    assert len(parts.files) == 200
    header = parse(
        b"X: " + b"a" * 1_000_000 + b"\nTo: " + b", ".join(b"u%d@x.example" % n for n in range(5000)) + b"\n\nhi"
    )
    assert {"headers_cut", "to_too_many_addresses"} <= set(header.defects)
    assert (len(header.to), header.text) == (500, "hi")
    assert len(header.headers_text) <= 256 * 1024
    assert time.process_time() - began < 30


@pytest.mark.parametrize(
    "piece", [b"(", b"<", b'"', b"\\", b';a="', b"=?", b"=?a?q?", b"a@", b"(a", b"[", b",", b"\t\n "]
)
@pytest.mark.parametrize("name", [b"To", b"Subject", b"Content-Type", b"References", b"Date", b"Auto-Submitted"])
def test_p15_no_field_takes_long(name: bytes, piece: bytes) -> None:
    began = time.process_time()
    letter = parse(name + b": " + piece * (100_000 // len(piece)) + b"\n\nx")
    categorise(letter, frozenset(), False)
    assert time.process_time() - began < 5


def test_p16_nul_bytes_go() -> None:
    letter = checked(parse(raw("p16-nul-bytes")))
    assert (letter.subject, letter.text) == ("nothing", "here there")


def test_p17_an_endless_message_id_is_kept_as_a_digest() -> None:
    endless = parse(simple(f"Message-ID: <{'a' * 1200}@x.example>")).message_id
    assert len(endless) == 64
    assert endless != parse(simple(f"Message-ID: <{'a' * 1201}@x.example>")).message_id


def test_p18_the_first_from_counts() -> None:
    letter = parse(raw("p18-from-twice"))
    assert letter.senders == (Address("anna@client.example", "Anna Berg"),)
    assert "field_repeated" in letter.defects
    assert letter.value("__proto__") == "x"


def test_p19_text_is_derived_and_winmail_kept() -> None:
    letter = parse(raw("p19-html-only"))
    assert letter.html is not None
    assert letter.text == "Hello there\n\nAnna"
    assert parse(simple(body="")).text == ""
    (file,) = parse(raw("p19-winmail")).files
    assert (file.filename, file.size) == ("winmail.dat", 4)


def test_p20_html_is_kept_as_it_came_for_the_sanitiser() -> None:
    letter = parse(raw("p20-script-and-pictures"))
    assert letter.html is not None
    assert "<script>" in letter.html
    assert "alert" not in letter.text


def test_p21_file_names_are_safe_and_the_written_ones_kept() -> None:
    files = parse(raw("p21-hostile-file-names")).files
    assert [file.filename for file in files][:2] == ["passwd", "_CON"]
    assert len(files[2].filename) == LONGEST
    assert files[2].filename.endswith(".txt")
    assert files[3].filename == "offerfdp.exe"
    assert files[0].written_name == "../../etc/passwd"


@given(st.text(max_size=300), st.sampled_from(["image/png", "x/y", ""]))
def test_p21_no_name_is_unsafe(written: str, kind: str) -> None:
    name = safe_name(written, kind, 1)
    assert 0 < len(name) <= LONGEST
    assert not set(name) & set('/\\:*?"<>|\0\r\n')
    assert name.strip(". ") == name


def test_p22_no_recipients_named() -> None:
    letter = parse(raw("p22-undisclosed-recipients"))
    assert letter.to == ()
    assert letter.values("delivered-to") == ["info+0011@site.example"]


def test_p23_broken_encodings_give_what_they_can() -> None:
    assert parse(raw("p23-broken-encodings")).text == "Hello, world"
    soft = b"Content-Transfer-Encoding: quoted-printable\n\nabc=\n"
    assert parse(soft).text == "abc"
    assert parse(b"Content-Transfer-Encoding: base64\n\nQUJD=").text == "ABC"


def test_p24_p25_letters_are_told_apart_by_content() -> None:
    first, other = (parse(simple("Message-ID: <same@x.example>", body=body)) for body in ("one", "other"))
    assert identity(None, first.message_id, content_hash(first)) != identity(
        None, other.message_id, content_hash(other)
    )
    first, other = (parse(simple("Subject: hi", body=body)) for body in ("one", "other"))
    assert identity(None, first.message_id, content_hash(first)) != identity(
        None, other.message_id, content_hash(other)
    )


def test_another_delivery_is_the_same_letter() -> None:
    first = simple("Message-ID: <a@x.example>", "Subject: hi")
    again = (
        b"Received: from b by c; Thu, 26 Nov 2026 11:00:00 +0000\r\nX-Spam: no\r\nDelivered-To: b@c.example\r\n" + first
    )
    assert content_hash(parse(first)) == content_hash(parse(again))
    assert identity(7, "a", "b") == identity(7, "c", "d") != identity(8, "a", "b")


def test_k10_references_in_any_shape() -> None:
    ids = " ".join(f"<{number}@x.example>" for number in range(300))
    letter = parse(simple(f"References: {ids[:900]}\r\n {ids[900:]}"))
    assert len(letter.references) == MOST_REFERENCES
    assert letter.references[-1] == "299@x.example"
    assert parse(simple("References: <a@x.example>,\r\n\t<b@x.example>")).references == ("a@x.example", "b@x.example")
    assert parse(simple("In-Reply-To: a@x.example (Anna's message)")).in_reply_to == ("a@x.example",)


def test_k15_sealed_letters_keep_their_body_as_a_file() -> None:
    letter = parse(raw("k15-signed-and-encrypted"))
    assert letter.text == ""
    assert [file.filename for file in letter.files] == ["smime.p7m"]


def test_k16_an_invitation_is_a_file_and_a_person() -> None:
    letter = parse(raw("k16-invitation"))
    assert [(file.content_type, file.filename) for file in letter.files] == [("text/calendar", "file-1.ics")]
    assert categorise(letter, frozenset(), False).category == "human"


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Yes!\n\nOn Mon, 2 Nov 2026, Anna Berg <a@b.c> wrote:\n> How much?", "Yes!"),
        ("Да\n\nчт, 26 нояб. 2026 г. в 10:00, Марина <m@x.ru>:\n> Сколько?\n", "Да"),
        ("Ok\n\n-----Original Message-----\nFrom: x\nSent: y\n", "Ok"),
        ("Ok\n\nFrom: Anna <a@b.c>\nSent: Monday\nTo: me\nSubject: x\n\nolder", "Ok"),
        ("> quoted\nanswer below", "answer below"),
        ("From: this point on\nit is mine", "From: this point on\nit is mine"),
    ],
    ids=["gmail", "russian", "outlook-line", "outlook-heads", "inline", "no-heads"],
)
def test_own_words(text: str, own: str) -> None:
    assert own_text(text) == own
    assert snippet(text) == " ".join(own.split())
