"""A fresh message from the fields of a form, read again with the standard library."""

import email
import email.policy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.mail.addresses import Address
from tracker.mail.mime.build import MessageContent, build_message, text_of
from tracker.outbound.mime_patch import HtmlPart, find_html, replace_html
from tracker.outbound.rewriter.rewriting import rewrite


@dataclass(frozen=True)
class Upload:
    filename: str
    content_type: str
    content: bytes
    cid: str | None = None


DRAFT = MessageContent(
    sender=Address("anna@shop.example", "Anna"),
    to=(Address("bob@buyer.example", "Bob"),),
    subject="Offer",
    message_id="<1@shop.example>",
    date=datetime(2026, 1, 5, 10, 0, tzinfo=UTC),
    html="<p>Hello <b>Bob</b></p>",
)


def read(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, _class=EmailMessage, policy=email.policy.default)


def built(**changes: object) -> EmailMessage:
    return read(build_message(replace(DRAFT, **changes)))  # type: ignore[arg-type]


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_html_alone_gets_a_text_alternative() -> None:
    message = built()
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert body(message, "plain").strip() == "Hello Bob"
    assert body(message, "html").strip() == "<p>Hello <b>Bob</b></p>"


def test_c11_text_alone_stays_text() -> None:
    message = built(html=None, text="Grüße\n.\nFrom here\n")
    assert message.get_content_type() == "text/plain"
    assert body(message, "plain") == "Grüße\n.\nFrom here\n"


def test_html_and_text_are_kept_as_written() -> None:
    message = built(text="My own words")
    assert (body(message, "plain"), body(message, "html")) == ("My own words\n", "<p>Hello <b>Bob</b></p>\n")


def test_neither_is_an_empty_text() -> None:
    assert built(html=None, attachments=(Upload("a.pdf", "application/pdf", b"x"),)).get_body() is not None


def test_headers() -> None:
    message = built(
        sender=Address("anna@shop.example", "Müller, Änna"),
        to=(Address("bob@buyer.example", 'Bob "B", Jr.'), Address("c@buyer.example")),
        cc=(Address("d@buyer.example", "Дарья"),),
        subject="Grüße aus 東京 " * 10,
        in_reply_to="<0@buyer.example>",
        references=("<a@buyer.example>", "no msg-id", "<0@buyer.example>"),
        headers=(("List-Unsubscribe", "<https://x.example/u>"), ("X-Note", "ü")),
    )
    assert getaddresses([str(message["From"])]) == [("Müller, Änna", "anna@shop.example")]
    assert [(address.display_name, address.addr_spec) for address in message["To"].addresses] == [
        ('Bob "B", Jr.', "bob@buyer.example"),
        ("", "c@buyer.example"),
    ]
    assert message["Cc"].addresses[0].display_name == "Дарья"
    assert message["Subject"].split() == ("Grüße aus 東京 " * 10).split()
    assert message["Date"].datetime == DRAFT.date
    assert (message["Message-ID"], message["In-Reply-To"]) == ("<1@shop.example>", "<0@buyer.example>")
    assert message["References"] == "<a@buyer.example> <0@buyer.example>"
    assert (message["List-Unsubscribe"], message["X-Note"]) == ("<https://x.example/u>", "ü")
    assert message["MIME-Version"] == "1.0"


def test_d16_there_is_no_bcc() -> None:
    assert built(cc=(Address("d@buyer.example"),))["Bcc"] is None


def test_a_domain_in_another_script_becomes_a_labels_and_a_local_part_stays() -> None:
    raw = build_message(replace(DRAFT, to=(Address("grüße@bücher.example", "B"),)))
    assert "To: B <grüße@xn--bcher-kva.example>\r\n".encode() in raw


def test_many_recipients_are_folded() -> None:
    to = tuple(Address(f"person{index}@buyer.example", f"Person Number {index}, Esq.") for index in range(200))
    raw = build_message(replace(DRAFT, to=to))
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert [address.addr_spec for address in read(raw)["To"].addresses] == [item.address for item in to]


def test_long_identifiers_are_never_encoded() -> None:
    long = "<" + "a" * 200 + "@shop.example>"
    raw = build_message(replace(DRAFT, message_id=long, in_reply_to=long, references=(long, long)))
    assert f"Message-ID: {long}\r\n".encode() in raw
    assert b"=?" not in raw


def test_d11_lines_are_short_whatever_is_in_them() -> None:
    html = "<p>" + "x" * 5000 + "é" * 5000 + "</p>"
    raw = build_message(replace(DRAFT, html=html, text="y" * 5000, subject="z" * 3000))
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    message = read(raw)
    assert body(message, "html").strip() == html
    assert message["Subject"] == "z" * 3000
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert raw.isascii()


def test_attachments() -> None:
    files = (
        Upload("räport 2026; v=2.pdf", "application/pdf", bytes(range(256)) * 10),
        Upload("note.txt", "text/plain", b"gr\xfcn\r\n"),
        Upload("mail.eml", "message/rfc822", b"Subject: x\r\n\r\ny"),
        Upload("п" * 120 + ".csv", "text/csv", b"a;b"),
    )
    message = built(attachments=files)
    assert message.get_content_type() == "multipart/mixed"
    attachments = list(message.iter_attachments())
    assert [part.get_filename() for part in attachments] == [file.filename for file in files]
    assert [part.get_payload(decode=True) for part in attachments] == [file.content for file in files]
    assert [part.get_content_type() for part in attachments] == [
        "application/pdf",
        "text/plain",
        "application/octet-stream",
        "text/csv",
    ]


def test_inline_images_stand_beside_the_html() -> None:
    image = Upload("logo.png", "image/png", b"\x89PNG", "logo@shop.example")
    message = built(
        html='<img src="cid:logo@shop.example">', attachments=(image, Upload("a.pdf", "application/pdf", b"x"))
    )
    related = next(part for part in message.walk() if part.get_content_type() == "multipart/related")
    shown, logo = related.iter_parts()
    assert (shown.get_content_type(), logo["Content-ID"]) == ("text/html", "<logo@shop.example>")
    assert logo.get_content_disposition() == "inline"
    assert [part.get_filename() for part in message.iter_attachments()] == ["a.pdf"]


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"subject": "Offer\r\nBcc: x@y.example"}, "Subject"),
    ({"subject": "Offer\nx"}, "Subject"),
    ({"sender": Address("anna@shop.example", "Anna\r\nBcc: x@y.example")}, "From"),
    ({"sender": Address("anna@shop.example\r\nBcc: x@y.example")}, "From"),
    ({"to": (Address("bob@buyer.example", "Bob\nX"),)}, "To"),
    ({"to": (Address('"a\0b"@buyer.example'),)}, "To"),
    ({"to": (Address("no address"),)}, "To"),
    ({"cc": (Address("bob@buyer.example, x@y.example"),)}, "Cc"),
    ({"message_id": "<1@shop.example>\r\nBcc: x"}, "Message-ID"),
    ({"message_id": ""}, "Message-ID"),
    ({"in_reply_to": "<1@shop.example> <2@shop.example>\n"}, "In-Reply-To"),
    ({"headers": (("X-A", "b\r\nBcc: x"),)}, "X-A"),
    ({"headers": (("X-A\r\nBcc", "x"),)}, "header field name"),
    ({"headers": (("bcc", "x@y.example"),)}, "bcc"),
    ({"headers": (("Content-Type", "text/html"),)}, "Content-Type"),
    ({"attachments": (Upload('a"\r\nX: y.pdf', "application/pdf", b""),)}, "file name"),
    ({"attachments": (Upload("a.pdf", "application/pdf\r\nX: y", b""),)}, "content type"),
    ({"attachments": (Upload("a.pdf", "pdf", b""),)}, "content type"),
    ({"attachments": (Upload("a.png", "image/png", b"", "a>\r\nX: y"),)}, "Content-ID"),
    ({"date": datetime(2026, 1, 5)}, "Date"),  # noqa: DTZ001
]


@pytest.mark.parametrize(
    ("changes", "field"), REFUSED, ids=[f"{field}: {sorted(changes)}" for changes, field in REFUSED]
)
def test_what_would_be_another_header_is_refused_by_name(changes: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        build_message(replace(DRAFT, **changes))  # type: ignore[arg-type]


@given(st.text(), st.text())
def test_any_words_make_a_message_or_a_sentence(subject: str, name: str) -> None:
    try:
        raw = build_message(replace(DRAFT, subject=subject, sender=Address("anna@shop.example", name)))
    except ValueError:
        return
    message = read(raw)
    assert list(message.keys()) == ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]
    assert message["Subject"].split() == subject.split()
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@given(st.text(), st.text())
def test_any_text_and_html_travel(html: str, text: str) -> None:
    raw = build_message(replace(DRAFT, html=html, text=text))
    assert raw.isascii()
    part = find_html(raw)
    assert isinstance(part, HtmlPart)
    expected = html.encode("utf-8", "replace").decode()
    assert "".join(part.html.split()) == "".join(expected.split())


def test_what_is_built_can_be_tracked() -> None:
    raw = build_message(replace(DRAFT, html='<p>Grüße <a href="https://x.example/?a=1&amp;b=2">x</a></p>'))
    part = find_html(raw)
    assert isinstance(part, HtmlPart)
    result = rewrite(part.html, lambda url, index: "https://track.example/c/1", "https://track.example/o/1")
    assert "https://track.example/c/1" in body(read(replace_html(raw, part, result.html, result.edits)), "html")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo\n"),
        ('<a href="https://x.example/p">Offer</a>', "Offer (https://x.example/p)\n"),
        ('<a href="https://x.example/p">https://x.example/p</a>', "https://x.example/p\n"),
        ('<a href="mailto:a@x.example">write</a> <a href="#x">up</a>', "write up\n"),
        ("<ul><li>a<li>b</ul>", "* a\n* b\n"),
        ('<style>p{}</style><title>t</title><script>x</script>Hi <img alt="there">', "Hi there\n"),
        ("", "\n"),
    ],
)
def test_text_alternative(html: str, text: str) -> None:
    assert text_of(html) == text
