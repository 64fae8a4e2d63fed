"""What holds for every message, found or made up."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tracker.mail.mime import quoted_printable
from tracker.mail.mime.charset import read, write
from tracker.mail.mime.quoted_printable import Change
from tracker.outbound.mime_patch import HtmlPart, find_html, replace_html
from tracker.outbound.rewriter.rewriting import rewrite

FIELDS = [
    b"Content-Type: text/html; charset=utf-8\r\n",
    b"Content-Type: text/html; charset=iso-2022-jp\r\n",
    b'Content-Type: text/html; charset="utf-16"\r\n',
    b"Content-Type: text/html;\r\n charset*0=win;charset*1=dows-1252\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b'Content-Type: multipart/alternative; boundary="b b"\r\n',
    b"Content-Type: multipart/signed; boundary=c\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Transfer-Encoding: 8bit\r\n",
    b"Content-Disposition: attachment\r\n",
    b"junk\r\n",
]
BODIES = [
    b'<a href=3D"https://x/=\r\ny">z</a>',
    b'<a href="https://x.example/y">z</a>',
    b"PGEgaHJlZj0iaHR0cHM6Ly94Ij54PC9hPg==\r\n",
    *(
        b"\x1b$B$3$s\x1b(B",
        b"\x1b$",
        b"\x1b(B",
        b"\xff\xfe",
        b"\xc3\xa9",
        b"\0",
        b"x" * 1200,
        b"=",
        b"\r",
        b"\x81",
        b" \r\n",
    ),
    *(b"--b\r\n", b"--b b\r\n", b"--b--\r\n", b"--b b--\r\n", b"\r\n", b"\n"),
]
messages = st.lists(
    st.one_of(st.sampled_from(FIELDS), st.sampled_from(BODIES), st.binary(max_size=4)), max_size=14
).map(b"".join)
html_messages = st.builds(
    lambda label, encoding, body: b"Content-Type: text/html; charset=%s\r\n%s\r\n" % (label, encoding) + b"".join(body),
    st.sampled_from(
        [
            b"utf-8",
            b"us-ascii",
            b"windows-1251",
            b"iso-2022-jp",
            b"gb18030",
            b"big5",
            b"shift_jis",
            b"euc-kr",
            b"utf-16",
            b"hz-gb-2312",
        ]
    ),
    st.sampled_from(FIELDS[7:10]),
    st.lists(st.one_of(st.sampled_from(BODIES), st.binary(max_size=4)), max_size=12),
)


@given(st.one_of(messages, html_messages, st.binary()))
@settings(max_examples=600)
def test_a_message_is_found_replaced_and_found_again(raw: bytes) -> None:
    part = find_html(raw)
    if not isinstance(part, HtmlPart):
        return
    result = rewrite(
        part.html, lambda url, index: f"https://track.example/c/{index}?x=1&y=2", "https://track.example/o/1"
    )
    after = replace_html(raw, part, result.html, result.edits)
    assert after[: part.start] == raw[: part.start]
    behind = raw[part.body_end :]
    assert after.endswith(behind)
    again = find_html(after)
    assert isinstance(again, HtmlPart)
    assert again.html == result.html
    if result.edits:
        body = after[again.body_start : len(after) - len(behind)]
        assert max(len(line) for line in body.split(b"\n")) <= 999


octets = st.lists(
    st.one_of(
        st.binary(max_size=3),
        st.sampled_from([b"a" * 80, b" ", b"\t", b"=", b"--", b"\r\n", b"\n", b"<a ", b"<b>", b"\xc3\xa9", b"."]),
    )
).map(b"".join)
encoded = st.lists(
    st.sampled_from(
        [
            b"a",
            b"=3D",
            b"=\r\n",
            b"\r\n",
            b"=C3=A9",
            b" ",
            b"= \r\n",
            b"xyz" * 9,
            b"\n",
            b"=0D=0A",
            b"=0A",
            b"=",
            b"=zz",
        ]
    )
).map(b"".join)


@given(octets, st.sampled_from([b"\r\n", b"\n"]))
def test_quoted_printable_turns_back(body: bytes, line_end: bytes) -> None:
    text = quoted_printable.encode(body, line_end)
    assert quoted_printable.decode(text) == body
    lines = text.split(line_end)
    assert max(map(len, lines)) <= 76
    assert not any(line.startswith(b"--") or line.endswith((b" ", b"\t")) for line in lines)
    assert text.isascii()


@given(encoded, octets, st.data())
def test_quoted_printable_is_changed_in_place(text: bytes, new: bytes, data: st.DataObject) -> None:
    body = quoted_printable.decode(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), min_size=4, max_size=4)))
    changes = (
        [Change(cuts[0], cuts[1], new), Change(cuts[2], cuts[3], b"")]
        if cuts[1] < cuts[2]
        else [Change(cuts[0], cuts[1], new)]
    )
    expected = body
    for change in reversed(changes):
        expected = expected[: change.start] + change.new + expected[change.end :]
    after = quoted_printable.changed(text, changes, b"\r\n")
    assert after is None or quoted_printable.decode(after) == expected


CODECS = [
    "utf-8",
    "cp1252",
    "cp1251",
    "koi8-r",
    "iso2022_jp",
    "gb18030",
    "big5hkscs",
    "cp932",
    "cp949",
    "euc_jp",
    "utf-16-le",
    "utf-16-be",
    "hz",
]


@given(st.one_of(st.binary(), octets), st.sampled_from(CODECS))
@settings(max_examples=400)
def test_text_turns_back_into_its_octets(body: bytes, codec: str) -> None:
    decoded = read(body, codec)
    if decoded is None:
        assert codec.startswith(("utf-16", "iso2022", "hz"))
        return
    text, used = decoded
    assert write(text, used) == body
    assert write(text + "<img>", used) == body + write("<img>", used)
