"""A fresh message from the fields of a form."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from types import MappingProxyType
from typing import Protocol
from urllib.parse import unquote, urlsplit

from turbohtml import Document, PlainText, parse

from tracker.mail.addresses import Address, AddressError, normalise
from tracker.mail.mime.fields import check_text, encoded_words, fold, header_line, section_end

_POLICY = SMTP.clone(cte_type="7bit")  # quoted-printable or base64, whichever is shorter: any server takes them
_TEXT_WIDTH = 76
_LONGEST_QUOTED = 400
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_MSG_ID = re.compile(r"<[!-;=?-~]{1,900}>")
_TAKEN = frozenset(
    {"from", "to", "cc", "bcc", "subject", "date", "message-id", "in-reply-to", "references", "mime-version"}
)
_TAKEN |= {"content-type", "content-transfer-encoding", "content-disposition"}
_NO_FILES: Mapping[str, str] = MappingProxyType({})
UNDISCLOSED = "undisclosed-recipients:;"
"""In To of a message that names nobody (RFC 5322 section 3.4: a group without members)."""
_NO_MSG_ID = "<none@invalid>"
_CID = re.compile(r"[!#-'*+\-./0-9=?@A-Z^_`a-z{|}~]{1,200}")
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}")


class File(Protocol):
    """A file to send along; with `cid` it is an image that the HTML shows as `cid:` and that name."""

    @property
    def filename(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def content(self) -> bytes: ...
    @property
    def cid(self) -> str | None: ...


@dataclass(frozen=True)
class MessageContent:
    """What a person filled in, and what the journey of the send adds. There is no Bcc: it is never in a header.

    `message_id`, `in_reply_to` and `references` are msg-ids; `date` knows its time zone; `headers` are further fields.
    """

    sender: Address
    to: tuple[Address, ...]
    subject: str
    message_id: str
    date: datetime
    cc: tuple[Address, ...] = ()
    html: str | None = None
    text: str | None = None
    attachments: Sequence[File] = ()
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


def build_message(draft: MessageContent) -> bytes:
    """The message in wire form: CRLF, UTF-8, no line over 998 octets.

    With HTML alone a text alternative is derived from it; with text alone there is no HTML. Raises ValueError, naming the
    field, for a line break or control character in anything that becomes a header.
    """
    _check(draft)
    lines = [*_originator_lines(draft), *_other_lines(draft)]
    return b"".join(lines) + _body(draft).as_bytes(policy=_POLICY)


def text_of(html: str, files: Mapping[str, str] = _NO_FILES) -> str:
    """A text/plain alternative: paragraphs, lists and tables laid out, web addresses behind the text of their links.

    ``files`` are the names of pictures by their Content-IDs.
    """
    page = parse(html)
    for link in page.select("a[href]"):
        href = str(link.attrs.get("href") or "").strip()
        if not href.lower().startswith(("http:", "https:")) or link.text.strip() == href:
            del link.attrs["href"]
    return (
        page.to_text(PlainText(width=_TEXT_WIDTH, links="inline", images=True)).strip() or _pictures(page, files)
    ) + "\n"


def _pictures(page: Document, files: Mapping[str, str]) -> str:
    """What stands for a text without any words: the pictures by their files' names."""
    names = [_picture(str(image.attrs.get("src") or ""), files) for image in page.select("img")]
    return "\n".join(f"[{name}]" for name in names)


def _picture(source: str, files: Mapping[str, str]) -> str:
    if source.startswith("cid:"):
        return files.get(unquote(source[4:])) or "picture"
    path = "" if source.startswith("data:") else unquote(urlsplit(source).path)
    name = "".join(c for c in path.rpartition("/")[2] if c.isprintable())
    return name[:100] if "." in name else "picture"


def _originator_lines(draft: MessageContent) -> Iterator[bytes]:
    yield _address_line("From", (draft.sender,))
    if draft.to:
        yield _address_line("To", draft.to)
    if draft.cc:
        yield _address_line("Cc", draft.cc)
    if not draft.to and not draft.cc:
        yield header_line("To", UNDISCLOSED)


def _other_lines(draft: MessageContent) -> Iterator[bytes]:
    yield header_line("Subject", draft.subject)
    yield header_line("Date", format_datetime(draft.date))
    yield header_line("Message-ID", draft.message_id)
    if draft.in_reply_to:
        yield header_line("In-Reply-To", draft.in_reply_to)
    if known := [reference for reference in draft.references if _MSG_ID.fullmatch(reference)]:
        yield header_line("References", " ".join(known))
    for name, value in draft.headers:
        if name.lower() in _TAKEN:
            raise ValueError(f"{name}: this header field is not for `headers`")
        yield header_line(name, value)


def _address_line(name: str, mailboxes: Sequence[Address]) -> bytes:
    return fold(f"{name}: " + ", ".join(_written(name, mailbox) for mailbox in mailboxes)).encode() + b"\r\n"


def add_addresses(raw: bytes, name: str, mailboxes: Sequence[Address]) -> bytes:
    """The message with one more address field at the end of its header section."""
    at = section_end(raw)
    return raw[:at] + _address_line(name, mailboxes) + raw[at:]


def _written(field: str, mailbox: Address) -> str:
    name = mailbox.name.strip()
    check_text(field, name)
    try:
        address = normalise(mailbox.address)
    except AddressError as error:
        raise ValueError(f"{field}: {error}") from None
    check_text(field, address)
    if not name:
        return address
    if not name.isascii() or "=?" in name or len(name) > _LONGEST_QUOTED:
        return f"{encoded_words(name, field)} <{address}>"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f"{name} <{address}>" if _ATOMS.fullmatch(name) else f'"{quoted}" <{address}>'


def _body(draft: MessageContent) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    html = None if draft.html is None else _encodable(draft.html)
    files = {file.cid: file.filename for file in draft.attachments if file.cid}
    message.set_content(_encodable(draft.text) if draft.text is not None else text_of(html or "", files))
    if html is not None:
        message.add_alternative(html, subtype="html")
        _add_images(message, [attachment for attachment in draft.attachments if attachment.cid])
    for attachment in draft.attachments:
        if html is None or not attachment.cid:
            main, sub = _content_type(attachment.content_type)
            message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=attachment.filename)
    return message


def _add_images(message: EmailMessage, images: Sequence[File]) -> None:
    shown = message.get_body(("html",))
    assert isinstance(shown, EmailMessage)
    for image in images:
        main, sub = _content_type(image.content_type)
        cid = f"<{image.cid}>"
        shown.add_related(
            image.content, maintype=main, subtype=sub, cid=cid, disposition="inline", filename=image.filename or None
        )


def _content_type(declared: str) -> tuple[str, str]:
    """The type to declare; a message or multipart may not be base64 (RFC 2046 5.2.1) and travels as plain octets."""
    main, _, sub = declared.lower().partition("/")
    return ("application", "octet-stream") if main in ("message", "multipart") else (main, sub)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _check(draft: MessageContent) -> None:
    if draft.date.tzinfo is None:
        raise ValueError("Date: a time zone is needed")
    for name, value in (("Message-ID", draft.message_id), ("In-Reply-To", draft.in_reply_to or _NO_MSG_ID)):
        if _MSG_ID.fullmatch(value) is None:
            raise ValueError(f"{name}: {value[:80]!r} is no msg-id; it must read like <name@example.com>")
    for file in draft.attachments:
        _check_file(file)


def _check_file(file: File) -> None:
    check_text("attachment file name", file.filename)
    if _CONTENT_TYPE.fullmatch(file.content_type) is None:
        raise ValueError(
            f"attachment {file.filename[:80]!r}: content type {file.content_type[:80]!r} must read like image/png"
        )
    if file.cid and _CID.fullmatch(file.cid) is None:
        raise ValueError(
            f"attachment {file.filename[:80]!r}: Content-ID {file.cid[:80]!r} must read like logo@example.com"
        )
