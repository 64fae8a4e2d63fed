"""Find the text/html parts of a raw message that are the letter, and put other documents in their place.

Nothing but a part's body changes, and its Content-Transfer-Encoding where the new body cannot travel in the old one.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from tracker.mail.mime import quoted_printable
from tracker.mail.mime.charset import codec_of, read, write
from tracker.mail.mime.fields import with_encoding
from tracker.mail.mime.parts import Part, leaves, read_parts, walk
from tracker.mail.mime.quoted_printable import Change
from tracker.mail.mime.transport import is_signed
from tracker.outbound.rewriter.document import Edit, in_order

MAX_LINE = 998
"""Octets of a line without its CRLF (RFC 5322 section 2.1.1)."""

_COMMENT = re.compile(r"\([^()]*\)")
_NO_BASE64 = bytes(sorted(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")))
_ARMOUR = re.compile(rb"(?:^|>)[ \t]*-----BEGIN PGP (?:SIGNED )?MESSAGE-----", re.MULTILINE)
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
    is_html: bool = True


@dataclass(frozen=True)
class Untouched:
    """There is nothing to rewrite. Reasons: `text_only`, `signed`, `encrypted`, `inline_pgp`, `charset`, `encoding`,
    `malformed`."""

    reason: str


def find_html(raw: bytes) -> HtmlPart | Untouched:
    """The first of them."""
    parts = find_htmls(raw)
    return parts if isinstance(parts, Untouched) else parts[0]


def find_htmls(raw: bytes, root: Part | None = None) -> list[HtmlPart] | Untouched:
    """The text/html parts that are shown as the body of the message, in their order: one as a rule, several where a mail program
    puts files between paragraphs. Never raises. ``root`` are its parts where they were read already."""
    root, bodies = root or read_parts(raw), _Bodies(raw)
    reason = _sealed_reason(bodies, root)
    if reason is not None:
        return Untouched(reason)
    htmls = [_read(bodies, part) for part in _shown(root)]
    unreadable = next((part for part in htmls if isinstance(part, Untouched)), None)
    parts = [part for part in htmls if isinstance(part, HtmlPart)]
    return unreadable or parts or Untouched("text_only")


def find_texts(raw: bytes, root: Part | None = None) -> list[HtmlPart]:
    """Every text that may be shown, plain ones and alternatives too; none of a message that is sealed or signed."""
    root, bodies = root or read_parts(raw), _Bodies(raw)
    if _sealed_reason(bodies, root) is not None or is_signed(root.fields):
        return []
    texts = [p for _, p in leaves(root) if p.content_type in ("text/html", "text/plain") and not p.is_attachment]
    return [part for part in (_read(bodies, text) for text in texts) if isinstance(part, HtmlPart)]


def _shown(part: Part) -> list[Part]:
    """Of alternatives the last one that has HTML, which is the best that there is (RFC 2046 section 5.1.4); of all others each."""
    if not part.children:
        return [part] if part.content_type == "text/html" and not part.is_attachment else []
    each = [_shown(child) for child in part.children]
    if part.content_type == "multipart/alternative":
        return next((parts for parts in reversed(each) if parts), [])
    return [html for parts in each for html in parts]


class _Bodies(dict[int, bytes | None]):
    """The octets of the bodies of a message's texts, by where they begin, each decoded once."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def of(self, part: Part) -> bytes | None:
        if part.body_start not in self:
            self[part.body_start] = _decoded(self._raw[part.body_start : part.body_end], _encoding(part))
        return self[part.body_start]


def _sealed_reason(bodies: _Bodies, root: Part) -> str | None:
    parts = [part for _, part in walk(root)]
    return _sealed(parts) or ("inline_pgp" if _armoured(bodies, parts) else None)


def difference(old: str, new: str) -> Edit:
    """One edit that makes the new text of the old one."""
    start = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    end = 0
    while end < min(len(old), len(new)) - start and old[len(old) - 1 - end] == new[len(new) - 1 - end]:
        end += 1
    return Edit(start, len(old) - end, new[start : len(new) - end])


def replace_html(raw: bytes, part: HtmlPart, html: str, edits: Iterable[Edit]) -> bytes:
    """The message with `html`, which `edits` make of its own, as the body of that part; every octet outside it as it came.

    The charset stays: a character that it lacks becomes a character reference. So does the encoding, unless lines of more
    than 998 octets or octets that 7bit forbids would travel in none: then the part becomes quoted-printable. Lines of
    quoted-printable without a change keep their octets.
    """
    if html == part.html:
        return raw
    header, text = raw[part.start : part.header_end], raw[part.body_start : part.body_end]
    line_end = b"\r\n" if b"\r\n" in raw[part.start : part.body_start] else b"\n"
    new = write(html, part.charset)
    if part.encoding == "base64":
        body = _base64(new, text, line_end)
    elif part.encoding == "quoted-printable":
        body = _quoted_printable(text, _changes(part, edits), new, line_end)
    elif _may_travel_bare(part, new):
        body = new
    else:
        header, body = with_encoding(header, b"quoted-printable", line_end), quoted_printable.encode(new, line_end)
    whole = memoryview(raw)  # what stands behind the text may be 25 MB
    between = whole[part.header_end : part.body_start]
    return b"".join((whole[: part.start], header, between, body, whole[part.body_end :]))


def _sealed(parts: list[Part]) -> str | None:
    for part in parts:
        if part.content_type in _SIGNED:
            return "signed"
        if part.content_type in _ENCRYPTED:
            return "encrypted"
        if part.content_type in _PKCS7:
            return "signed" if part.parameters.get("smime-type", "").lower() == "signed-data" else "encrypted"
    return None


def _armoured(bodies: _Bodies, parts: list[Part]) -> bool:
    texts = (part for part in parts if part.content_type.startswith("text/") and not part.is_attachment)
    return any(_is_armour(bodies.of(text) or b"") for text in texts)


def _is_armour(text: bytes) -> bool:
    return b"-----BEGIN PGP" in text and _ARMOUR.search(text) is not None


def _encoding(part: Part) -> str:
    return _COMMENT.sub("", part.header("content-transfer-encoding")).strip().lower() or "7bit"


def _read(bodies: _Bodies, part: Part) -> HtmlPart | Untouched:
    if part.body_start == part.header_end:
        return Untouched("malformed")  # no empty line: there is a header section and no body
    body = bodies.of(part)
    if body is None:
        return Untouched("encoding")
    codec = codec_of(part.parameters.get("charset", ""), body)
    text = read(body, codec) if codec is not None else None
    if text is None:
        return Untouched("charset")
    html, charset = text
    place = (part.start, part.header_end, part.body_start, part.body_end)
    return HtmlPart(*place, charset, _encoding(part), html, part.content_type == "text/html")


def _decoded(text: bytes, encoding: str) -> bytes | None:
    """The body's octets; None for an encoding that is not known and for base64 that does not hold together."""
    if encoding == "quoted-printable":
        return quoted_printable.decode(text)
    if encoding != "base64":
        return text if encoding in ("7bit", "8bit", "binary") else None
    letters = text.translate(None, _NO_BASE64).rstrip(b"=")
    try:
        body = base64.b64decode(letters + b"=" * (-len(letters) % 4))
    except binascii.Error:
        return None
    return body if len(body) == len(letters) * 3 // 4 else None


def _base64(body: bytes, old: bytes, line_end: bytes) -> bytes:
    """Lines as long as the old ones, and the line ends that the old body closed with."""
    width = max(4, min(76, max(map(len, old.split()), default=76)) // 4 * 4)
    text = base64.b64encode(body)
    return line_end.join(text[at : at + width] for at in range(0, len(text), width)) + old[len(old.rstrip(b"\r\n")) :]


def _changes(part: HtmlPart, edits: Iterable[Edit]) -> list[Change]:
    """The edits in octets; not true in a charset whose octets depend on those before."""
    changes: list[Change] = []
    position = offset = 0
    for start, end, new in in_order(edits):
        begin = offset + len(write(part.html[position:start], part.charset))
        position, offset = end, begin + len(write(part.html[start:end], part.charset))
        changes.append(Change(begin, offset, write(new, part.charset)))
    return changes


def _quoted_printable(text: bytes, changes: list[Change], new: bytes, line_end: bytes) -> bytes:
    """The old text with its changed lines encoded again; all of it where that would not stand for the new octets."""
    patched = quoted_printable.changed(text, changes, line_end)
    if patched is not None and quoted_printable.decode(patched) == new and _longest_line(patched) <= MAX_LINE:
        return patched
    return quoted_printable.encode(new, line_end)


def _may_travel_bare(part: HtmlPart, new: bytes) -> bool:
    was_bare = part.encoding != "7bit" or not write(part.html, part.charset).isascii()
    return _longest_line(new) <= MAX_LINE and (was_bare or new.isascii())


def _longest_line(body: bytes) -> int:
    lines = body.split(b"\n")
    longest = max(map(len, lines))
    return longest if longest <= MAX_LINE else max(len(line.rstrip(b"\r")) for line in lines)
