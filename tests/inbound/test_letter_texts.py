"""The text of a letter is what a person reads in a good mail program: charsets, encodings, parts, line ends, encoded-words."""

import base64
import quopri

import pytest

from tracker.inbound.parse.description import describe

RU = "Добрый день! Пришлите, пожалуйста, счёт на 15 штук."
DE, PL, EL = (
    "Schöne Grüße aus München",
    "Dzień dobry, proszę o wycenę piętnastu krzeseł. Łukasz",
    "Καλημέρα, πόσο κοστίζουν δεκαπέντε καρέκλες",
)
ZH, JA = "您好，請問價格", "お世話になります。価格"
MEETING = (
    "Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Talk\r\nEND:VEVENT\r\nEND:VCALENDAR"
)
IMAGE = (
    "Content-Type: image/png; name=a.png\r\nContent-ID: <a>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo="
)
PDF = "Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0="


def letter(body: bytes | str, *fields: str) -> bytes:
    head = [
        "From: Ivan <ivan@klient.example>",
        "To: Ann <ann@acme.example>",
        "Subject: x",
        "MIME-Version: 1.0",
        *fields,
    ]
    return "\r\n".join([*head, "", ""]).encode() + (body if isinstance(body, bytes) else body.encode())


def parts(*inside: str, boundary: str = "b1") -> str:
    return "".join(f"--{boundary}\r\n{part}\r\n" for part in inside) + f"--{boundary}--\r\n"


def plain(text: str, parameters: str = "; charset=utf-8") -> str:
    return f"Content-Type: text/plain{parameters}\r\n\r\n{text}"


def page(html: str) -> str:
    return f"Content-Type: text/html; charset=utf-8\r\n\r\n{html}"


def text(raw: bytes) -> str:
    return str(describe(raw)["text"])


@pytest.mark.parametrize(
    ("words", "codec", "label"),
    [
        (RU, "cp1251", "koi8-r"),
        (RU, "koi8-r", "windows-1251"),
        (RU, "cp1251", "iso-8859-1"),
        (RU, "koi8-r", "iso-8859-1"),
        (RU, "cp1251", "us-ascii"),
        (RU, "cp1251", "x-user-defined"),
        (RU, "cp1251", "'windows-1251'"),
        (RU, "utf-8", "windows-1252"),
        (RU, "utf-8", "koi8-r"),
        (RU, "koi8-r", "utf-8"),
        (RU, "utf-8", ""),
        (RU, "cp1251", ""),
        (RU, "koi8-r", ""),
        (RU, "cp866", ""),
        (RU, "iso8859-5", ""),
        (RU, "utf-16", "utf-16"),
        (RU, "utf-8-sig", ""),
        (DE, "latin-1", "utf-8"),
        (DE, "latin-1", "windows-1251"),
        (DE, "latin-1", ""),
        (PL, "cp1250", ""),
        (PL, "iso8859-2", ""),
        (EL, "iso8859-7", ""),
        (EL, "cp1253", "iso-8859-1"),
        (ZH, "utf-8", "big5"),
        (ZH, "gb18030", "gb2312"),
        (JA, "iso2022_jp", ""),
        (JA, "cp932", ""),
        (JA, "cp932", "iso-2022-jp"),
    ],
)
def test_words_are_readable_whatever_their_label(words: str, codec: str, label: str) -> None:
    fields = [f"Content-Type: text/plain; charset={label}"] if label else []
    assert text(letter(words.encode(codec), *fields)) == words


@pytest.mark.parametrize(
    "html",
    [
        b'<meta charset="windows-1251"><p>' + RU.encode("cp1251"),
        b'<html><META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=koi8-r"><p>' + RU.encode("koi8-r"),
        b'<meta charset="windows-1251"><p>' + RU.encode(),
        b'<meta charset="iso-8859-1"><p>' + RU.encode("cp1251"),
    ],
)
def test_html_without_a_label_has_its_meta_where_that_can_be_meant(html: bytes) -> None:
    assert text(letter(html, "Content-Type: text/html")) == RU


@pytest.mark.parametrize(
    "spelt",
    [
        *(
            "quoted_printable",
            "Quoted-Printable; x",
            "quoted printable",
            "QP",
            "quoted-printable (of Ann)",
            '"quoted-printable"',
        ),
        *("base-64", "BASE64;", "base64 (encoded)", '"base64"', "Base64, really", "b64"),
        *("8-bit", "8bits", "utf-8", "none", "text/plain", "base64 of another kind"),
    ],
)
def test_an_encoding_is_what_its_name_means(spelt: str) -> None:
    body = quopri.encodestring(RU.encode()) if spelt.strip('"').lower()[0] == "q" else base64.encodebytes(RU.encode())
    body = body if spelt.strip('"').lower()[0] in "qb" else RU.encode()
    assert text(letter(body, "Content-Type: text/plain; charset=utf-8", f"Content-Transfer-Encoding: {spelt}")) == RU


ENCODED = "Content-Transfer-Encoding: base64"


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        ("Hello, we need 15 pieces, please.", ENCODED, "Hello, we need 15 pieces, please."),
        (RU, ENCODED, RU),
        (
            base64.encodebytes(RU.encode()) + b"\r\n___\r\nThis list is archived\r\n",
            ENCODED,
            f"{RU}\n___\nThis list is archived",
        ),
        (base64.encodebytes((RU * 3).encode()), "X-Mailer: careless", RU * 3),
        (base64.encodebytes((RU * 3).encode()), "Content-Transfer-Encoding: x-base64", RU * 3),
        ("caf=C3=A9", "Content-Transfer-Encoding: quote-printable", "café"),
        ("begin 644 a.txt\n#0V%T\n`\nend\n", "Content-Transfer-Encoding: x-uuencode", "Cat"),
    ],
)
def test_base64_is_where_it_is(body: bytes | str, field: str, expected: str) -> None:
    assert text(letter(body, "Content-Type: text/plain; charset=utf-8", field)) == expected


ALTERNATIVE, RELATED = (
    "Content-Type: multipart/alternative; boundary=in",
    "Content-Type: multipart/related; boundary=in",
)
PICTURED = parts(page("<img src=cid:a>words"), IMAGE, boundary="in")
BOTH = parts(plain("words"), page("<p>words</p>"), boundary="in")


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("mixed", parts(plain(RU)), RU),
        ('mixed; boundary=""', parts(plain(RU)), RU),
        ("mixed; boundary==_a(b)/c", parts(plain(RU), boundary="=_a(b)/c"), RU),
        ("mixed; boundary=abc", parts(plain(RU), boundary="ABC"), RU),
        ("mixed; boundary=zz", "Only a preamble here.\r\n", "Only a preamble here."),
        ("mixed; boundary=zz", f"This is a multi-part message in MIME format.\r\n\r\n{parts(plain(RU))}", RU),
        ("mixed; boundary=b1", parts(f"Content-Type: multipart/alternative; boundary=no\r\n\r\n{BOTH}"), "words"),
        ("mixed; boundary=b1", f"--b1\r\n{plain(RU)}", RU),
        ("alternative", "<html><body><p>Hello there</p></body></html>", "Hello there"),
        (f"alternative; boundary=b1\r\n{ENCODED}", base64.encodebytes(parts(plain(RU)).encode()), RU),
        (
            "mixed; boundary=b1",
            parts(f"{ALTERNATIVE}\r\n{ENCODED}\r\n\r\n{base64.encodebytes(BOTH.encode()).decode()}"),
            "words",
        ),
        (
            "mixed; boundary=b1",
            parts(plain("first"), IMAGE, plain("second"), page("<p>third</p>")),
            "first\n\nsecond\n\nthird",
        ),
        ("mixed; boundary=b1", parts(f"{ALTERNATIVE}\r\n\r\n{BOTH}", plain("footer")), "words\n\nfooter"),
        ("alternative; boundary=b1", parts(plain(" "), page("<p>real</p>")), "real"),
        (
            "alternative; boundary=b1",
            parts(plain("This message requires an HTML capable program."), page("<p>real</p>")),
            "real",
        ),
        ("alternative; boundary=b1", parts(page("<p>rich</p>"), plain("words")), "words"),
        ("alternative; boundary=b1", parts(plain("words"), f"{RELATED}\r\n\r\n{PICTURED}"), "words"),
        ("mixed; boundary=b1", parts(plain("words", "; name=body.txt"), PDF), "words"),
        ("mixed; boundary=b1", parts(PDF, plain("words", "; name=body.txt\r\nContent-Disposition: inline")), "words"),
        (
            "mixed; boundary=b1",
            parts(plain("words"), plain("log", "; name=log.txt\r\nContent-Disposition: inline")),
            "words",
        ),
        ("mixed; boundary=b1", parts(plain("words"), plain("log", "\r\nContent-Disposition: attachment")), "words"),
        ("mixed; boundary=b1", parts(plain("hi")).replace("\r\n", "\r\r\n"), "hi"),
        ("mixed; boundary=b1", parts("Content-Type: text/html charset=utf-8\r\n\r\n<p>Привет"), "Привет"),
        ("mixed; boundary=b1", parts(plain("<!DOCTYPE html><html><body><p>Hello</p></body></html>")), "Hello"),
        ("alternative; boundary=b1", parts(plain(""), MEETING), "Talk"),
    ],
)
def test_parts_are_read_as_they_were_meant(kind: str, body: bytes | str, expected: str) -> None:
    assert text(letter(body, f"Content-Type: multipart/{kind}")) == expected


def test_what_is_not_read_as_text_is_listed_and_what_is_read_is_not() -> None:
    amp = "Content-Type: text/x-amp-html; charset=utf-8\r\n\r\n<html amp4email>"
    raw = letter(parts(plain("words"), amp, page("<p>words")), "Content-Type: multipart/alternative; boundary=b1")
    assert describe(raw)["files"] == []
    inner = "Content-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\nSubject: =?utf-8?Q?=D0=A1=D1=87=D1=91=D1=82?= 15/2\r\n\r\nx"
    raw = letter(parts(plain("words"), inner), "Content-Type: multipart/mixed; boundary=b1")
    assert [file["name"] for file in describe(raw)["files"]] == ["Счёт 15 2.eml"]
    raw = letter(
        parts(plain("words"), plain("log", "; name=log.txt"), PDF, page("<p>x")),
        "Content-Type: multipart/mixed; boundary=b1",
    )
    assert [file["name"] for file in describe(raw)["files"]] == ["log.txt", "a.pdf"]
    raw = letter(
        parts(plain("words"), page("<p>x"), "Content-Type: text/calendar\r\n\r\nx"),
        "Content-Type: multipart/alternative; boundary=b1",
    )
    assert [file["content_type"] for file in describe(raw)["files"]] == ["text/calendar"]


@pytest.mark.parametrize(
    ("body", "parameters", "expected"),
    [
        (
            "A long line \r\nthat goes on \r\nand ends.\r\n> quoted \r\n> words\r\n-- \r\nsig\r\n",
            "format=flowed",
            "A long line that goes on and ends.\n> quoted words\n-- \nsig",
        ),
        (" From here\r\n >not quoted\r\n", "format=flowed", "From here\n>not quoted"),
        ("abc \r\ndef\r\n", "format=Flowed; DelSp=Yes", "abcdef"),
        ("> abc \r\n>> def \r\n>> ghi\r\n", "format=flowed", "> abc \n>> def ghi"),
        ("abc \r\ndef\r\n", "format=fixed", "abc \ndef"),
    ],
)
def test_flowed_lines_are_put_together(body: str, parameters: str, expected: str) -> None:
    assert text(letter(body, f"Content-Type: text/plain; charset=utf-8; {parameters}")) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"From: Ivan <ivan@klient.example>\rSubject: x\r\rBody here\r",
        b"From: Ivan <ivan@klient.example>\r\r\nSubject: x\r\r\n\r\r\nBody here\r\r\n",
        b"\r\n\r\nFrom: Ivan <ivan@klient.example>\r\nSubject: x\r\n\r\nBody here",
        b" \n\nFrom: Ivan <ivan@klient.example>\nSubject: x\n\nBody here",
        b"From ivan@x Sun Nov 29 2026\nFrom: Ivan <ivan@klient.example>\nSubject: x\n\nBody here",
        b"From: Ivan <ivan@klient.example>\nSubject: x\nContent-Type: text/plain/stupid\n\nBody here",
        b"From: Ivan <ivan@klient.example>\nSubject: x\nContent-Type: garbage\n\nBody here",
        b"From: Ivan <ivan@klient.example>\nSubject: x\nContent-Type: text/enriched\n\n<bold>Body</bold> here",
    ],
)
def test_line_ends_and_beginnings(raw: bytes) -> None:
    said = describe(raw)
    assert (said["from"]["address"], said["subject"], said["text"]) == ("ivan@klient.example", "x", "Body here")


def word(octets: bytes, label: str) -> str:
    return f"=?{label}?B?{base64.b64encode(octets).decode()}?="


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("=?utf-8?B?0JfQsNC/0YA=?= =?utf-8?B?0L7RgQ==?=", "Запрос"),
        ("=?utf-8?B?0JfQsNC?= =?utf-8?B?/0YDQvtGB?=", "Запрос"),
        ("=?utf-8?Q?=D0=97?==?utf-8?Q?=D0=B0?=", "За"),
        ("=?utf-8?B?0JfQsNC/0YDQvtGB", "Запрос"),
        ("=?utf-8?B?0JfQsNC/0YDQvtGB0Ys?=", "Запросы"),
        ("=?utf-8?Q?=D0=97=D0=B0 price?=", "За price"),
        ("=?utf-8*ru?Q?=D0=97=D0=B0?=", "За"),
        ("=?UTF-8?q?=d0=97=d0=b0?=", "За"),
        ("=?utf-8?Q?price?=20ok??=", "price? ok?"),
        ("=?utf-8?Q?За?=", "За"),
        ("=?utf-8?B?PT91dGYtOD9RP2FiYz89?=", "abc"),
        (word("Запрос цены".encode("cp1251"), "koi8-r"), "Запрос цены"),
        (word("Запрос цены".encode("cp1251"), "iso-8859-1"), "Запрос цены"),
        (word("Запрос".encode(), "iso-8859-1"), "Запрос"),
        ("a =?b?c d", "a =?b?c d"),
    ],
)
def test_encoded_words_as_they_really_come(written: str, read: str) -> None:
    assert describe(f"From: a@b.example\r\nSubject: {written}\r\n\r\nx".encode())["subject"] == read


@pytest.mark.parametrize(
    ("words", "codec"),
    [("Запрос цены", "cp1251"), ("Łódź krzesła", "iso8859-2"), ("Frösche", "latin-1"), ("가격 문의", "euc-kr")],
)
def test_raw_fields_have_the_charset_that_the_text_names(words: str, codec: str) -> None:
    octets = words.encode(codec)
    raw = b"From: %s <a@b.example>\r\nSubject: %s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" % (
        octets,
        octets,
    )
    raw += b"Content-Type: text/plain; charset=%s\r\n\r\nx\r\n--b\r\n" % codec.encode()
    raw += b'Content-Type: application/pdf; name="%s.pdf"\r\n\r\nx\r\n--b--\r\n' % octets
    said = describe(raw)
    assert (said["from"]["name"], said["subject"], said["files"][0]["name"]) == (words, words, f"{words}.pdf")


def test_an_invitation_is_shown_in_words() -> None:
    event = (
        "SUMMARY;LANGUAGE=ru:Встреча\\, обсудим\r\nDTSTART;TZID=Europe/Moscow:20260303T100000\r\nLOCATION:Office\r\n"
    )
    calendar = f"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n{event}END:VEVENT\r\nEND:VCALENDAR"
    said = describe(letter(calendar, "Content-Type: text/calendar; method=REQUEST; charset=utf-8"))
    assert said["text"] == "Встреча, обсудим\n2026-03-03 10:00 Europe/Moscow\nOffice"
    assert [file["content_type"] for file in said["files"]] == ["text/calendar"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["begin:vevent", "dtstart:20261201T070000Z", "summary:Talk", "end:vevent"], "Talk\n2026-12-01 07:00 UTC"),
        (
            ["BEGIN:VEVENT", "DTSTART;VALUE=DATE:20261201", "SUMMARY:A long", "  name", "END:VEVENT"],
            "A long name\n2026-12-01",
        ),
        (
            ["BEGIN:VEVENT", 'DTSTART;TZID="(UTC+03:00) Moscow":20261201T100000', "SUMMARY:Talk", "END:VEVENT"],
            "Talk\n2026-12-01 10:00 (UTC+03:00) Moscow",
        ),
        (
            ["BEGIN:VEVENT", "SUMMARY:Talk", "BEGIN:VALARM", "DESCRIPTION:REMINDER", "END:VALARM", "END:VEVENT"],
            "Talk",
        ),
        (["BEGIN:VTODO", "SUMMARY:Buy", "DUE:20261201T070000Z", "END:VTODO"], "Buy\n2026-12-01 07:00 UTC"),
        (["BEGIN:VFREEBUSY", "END:VFREEBUSY"], "BEGIN:VCALENDAR\nBEGIN:VFREEBUSY\nEND:VFREEBUSY\nEND:VCALENDAR"),
    ],
)
def test_events_as_programs_write_them(lines: list[str], words: str) -> None:
    calendar = "\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR"])
    assert text(letter(calendar, "Content-Type: text/calendar; charset=utf-8")) == words
