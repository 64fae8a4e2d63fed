"""Find the one text/html part of a raw message, and put another document in its place.

Nothing but that part's body changes, and its Content-Transfer-Encoding where the new body cannot travel in the old one.
"""

import base64
import binascii
import quopri
import re
from dataclasses import dataclass

from tracker.outgoing.charset import ERRORS, codec_of
from tracker.outgoing.fields import add_header, first, normalise_line_ends, remove_header
from tracker.outgoing.mime_part import Part, read_parts

__all__ = [
    "HtmlPart",
    "Untouched",
    "add_header",
    "find_html",
    "normalise_line_ends",
    "remove_header",
    "replace_html",
]

MAX_LINE = 998
"""Octets of a line without its CRLF (RFC 5322 section 2.1.1)."""

_ENCODINGS = frozenset({"7bit", "8bit", "binary", "quoted-printable", "base64"})
_ARMOUR = re.compile(rb"^-----BEGIN PGP (?:SIGNED )?MESSAGE-----", re.MULTILINE)
_SIGNED = ("multipart/signed",)
_ENCRYPTED = ("multipart/encrypted", "application/pgp-encrypted")
_PKCS7 = ("application/pkcs7-mime", "application/x-pkcs7-mime")


@dataclass(frozen=True)
class HtmlPart:
    """The text/html part to rewrite: offsets in the raw message, the codec and encoding it was read with, its text."""

    start: int
    header_end: int
    body_start: int
    body_end: int
    charset: str
    encoding: str
    html: str


@dataclass(frozen=True)
class Untouched:
    """There is nothing to rewrite. Reasons: `text_only`, `signed`, `encrypted`, `inline_pgp`, `charset`, `encoding`."""

    reason: str


def find_html(raw: bytes) -> HtmlPart | Untouched:
    """The first text/html part that is shown as the body of the message. Never raises."""
    root = read_parts(raw)
    everything = list(_all_parts(root))
    sealed = _sealed(everything)
    if sealed is not None:
        return Untouched(sealed)
    part = next((one for one in _shown(root) if one.content_type == "text/html"), None)
    if part is None:
        return Untouched("inline_pgp" if _armoured(raw, everything) else "text_only")
    if _armoured(raw, everything):
        return Untouched("inline_pgp")
    return _read(raw, part)


def replace_html(raw: bytes, part: HtmlPart, html: str) -> bytes:
    """The message with `html` as the body of that part. Lines of the new body have at most 998 octets."""
    if html == part.html:
        return raw
    body = html.encode(part.charset, ERRORS)
    line_end = b"\r\n" if b"\r\n" in raw else b"\n"
    if part.encoding == "base64":
        return (
            raw[: part.body_start]
            + _base64(body, raw[part.body_start : part.body_end], line_end)
            + raw[part.body_end :]
        )
    if part.encoding == "quoted-printable":
        return raw[: part.body_start] + _quoted_printable(body, line_end) + raw[part.body_end :]
    if max(map(len, body.splitlines()), default=0) <= MAX_LINE:
        return raw[: part.body_start] + body + raw[part.body_end :]
    header = _with_encoding(raw[part.start : part.header_end], b"quoted-printable", line_end)
    return (
        raw[: part.start]
        + header
        + raw[part.header_end : part.body_start]
        + _quoted_printable(body, line_end)
        + raw[part.body_end :]
    )


def _all_parts(root: Part) -> "list[Part]":
    found, waiting = [], [root]
    while waiting:
        part = waiting.pop()
        found.append(part)
        waiting += reversed(part.children)
    return found


def _shown(root: Part) -> "list[Part]":
    """The parts that a mail program shows as the body, in order; attached files and forwarded messages are not."""
    return [part for part in _all_parts(root) if not part.children and not _attached(part)]


def _attached(part: Part) -> bool:
    return part.disposition == "attachment" or bool(part.disposition_parameters.get("filename"))


def _sealed(parts: list[Part]) -> str | None:
    for part in parts:
        if part.content_type in _SIGNED:
            return "signed"
        if part.content_type in _ENCRYPTED:
            return "encrypted"
        if part.content_type in _PKCS7:
            return "signed" if part.parameters.get("smime-type", "").lower() == "signed-data" else "encrypted"
    return None


def _armoured(raw: bytes, parts: list[Part]) -> bool:
    return any(
        part.content_type.startswith("text/")
        and not _attached(part)
        and _ARMOUR.search(raw, part.body_start, part.body_end) is not None
        for part in parts
    )


def _read(raw: bytes, part: Part) -> HtmlPart | Untouched:
    encoding = re.sub(r"\(.*?\)", "", part.header("content-transfer-encoding")).strip().lower() or "7bit"
    if encoding not in _ENCODINGS:
        return Untouched("encoding")
    body = _decoded(raw[part.body_start : part.body_end], encoding)
    charset = codec_of(part.parameters.get("charset", ""), body)
    if charset is None:
        return Untouched("charset")
    try:
        html = body.decode(charset, ERRORS)
    except (UnicodeError, ValueError):
        return Untouched("charset")
    return HtmlPart(part.start, part.header_end, part.body_start, part.body_end, charset, encoding, html)


def _decoded(body: bytes, encoding: str) -> bytes:
    if encoding == "quoted-printable":
        return quopri.decodestring(body)
    if encoding == "base64":
        cleaned = re.sub(rb"[^A-Za-z0-9+/=]", b"", body)
        try:
            return base64.b64decode(cleaned + b"=" * (-len(cleaned) % 4))
        except binascii.Error:
            return b""
    return body


def _base64(body: bytes, old: bytes, line_end: bytes) -> bytes:
    width = max(4, min(76, max(map(len, old.split()), default=76)) // 4 * 4)
    text = base64.b64encode(body)
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    tail = old[len(old.rstrip(b"\r\n")) :]
    return line_end.join(lines) + tail


def _quoted_printable(body: bytes, line_end: bytes) -> bytes:
    text = quopri.encodestring(body.replace(b"\r\n", b"\n"))
    return text.replace(b"\n", line_end)


def _with_encoding(header: bytes, encoding: bytes, line_end: bytes) -> bytes:
    from tracker.outgoing.fields import fields

    old = first(list(fields(header, 0, len(header))), "content-transfer-encoding")
    line = b"Content-Transfer-Encoding: " + encoding + line_end
    if old is None:
        return header + line
    return header[: old.start] + line + header[old.end :]
