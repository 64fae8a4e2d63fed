"""A message for a server that carries less than all octets: bodies in seven bits (RFC 6152 section 3), headers in ASCII (RFC 6532).

What can be written otherwise is; what cannot has its reason. Octets that need no change stay as they came.
"""

import base64
import re

from tracker.mail.addresses import Address, AddressError, normalise, read_field
from tracker.mail.mime import quoted_printable
from tracker.mail.mime.encodings import octets_in
from tracker.mail.mime.fields import Field, encoded_words, fields, fold, remove_header, section_end, with_encoding
from tracker.mail.mime.parts import Part, read_parts, walk
from tracker.mail.mime.text import decoded
from tracker.runtime.localized_text import LocalizedError, LocalizedText

_ADDRESS_FIELDS = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "bcc"}
    | {f"resent-{name}" for name in ("from", "sender", "to", "cc", "bcc")}
)
_SIGNATURES = frozenset(
    {"dkim-signature", "domainkey-signature", "arc-message-signature", "arc-seal", "x-google-dkim-signature"}
)
_PARAMETER = re.compile(r';\s*([^\s=;"*]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))')
_WIDTH = 76

Splice = tuple[int, int, bytes]
"""The octets from here to there give way to these."""


class Unfit(LocalizedError):
    """A message that the server cannot carry, with the reason."""


def is_signed(header_fields: list[Field]) -> bool:
    """Whether a header section says that its message was signed for its way (RFC 6376): any change of it would break that."""
    return any(field.name in _SIGNATURES for field in header_fields)


def without_signatures(raw: bytes) -> bytes:
    """The message without signatures for its way: whoever changes it has made them void."""
    for name in _SIGNATURES:
        raw = remove_header(raw, name)
    return raw


def in_seven_bits(raw: bytes) -> bytes:
    """The message with every body encoded that held an octet above 127. Raises :class:`Unfit` where that broke a signature."""
    root = read_parts(raw)
    parts = [part for _, part in walk(root)]
    if all(raw[part.body_start : part.body_end].isascii() for part in parts):
        return raw
    if is_signed(root.fields) or any(part.content_type == "multipart/signed" for part in parts):
        raise Unfit(
            LocalizedText(
                "The server takes no 8-bit text (8BITMIME), and the message is signed: encoding it would break the signature."
            )
        )
    line_end = b"\r\n" if b"\r\n" in raw else b"\n"
    splices = [splice for part in parts for splice in _encoded(raw, part, line_end)]
    return _spliced(raw, splices)


def _encoded(raw: bytes, part: Part, line_end: bytes) -> list[Splice]:
    body, header = raw[part.body_start : part.body_end], raw[part.start : part.header_end]
    if body.isascii():
        return []
    if part.children:
        between = _between(raw, part)
        declared = part.header("content-transfer-encoding")
        plain = [(part.start, part.header_end, with_encoding(header, b"7bit", line_end))] if declared else []
        return plain + between
    if part.content_type == "message/rfc822":
        new, encoding = in_seven_bits(in_ascii_headers(body)), b"7bit"
    elif part.content_type.startswith("text/"):
        new, encoding = quoted_printable.encode(octets_in(raw, part), line_end), b"quoted-printable"
    else:
        letters = base64.b64encode(octets_in(raw, part))
        new = line_end.join(letters[at : at + _WIDTH] for at in range(0, len(letters), _WIDTH)) + line_end
        encoding = b"base64"
    return [
        (part.start, part.header_end, with_encoding(header, encoding, line_end)),
        (part.body_start, part.body_end, new),
    ]


def _between(raw: bytes, part: Part) -> list[Splice]:
    """What stands before, between and behind the parts is read by nobody."""
    splices = []
    position = part.body_start
    for start, end in [*((child.start, child.body_end) for child in part.children), (part.body_end, part.body_end)]:
        text = raw[position:start]
        if not text.isascii():
            splices.append((position, start, re.sub(rb"[\x80-\xff]", b"?", text)))
        position = end
    return splices


def in_ascii_headers(raw: bytes) -> bytes:
    """The message with its headers in ASCII: words encoded (RFC 2047, 2231), domains as A-labels. Raises :class:`Unfit` for an
    address whose local part has other letters, and where a change would break a signature."""
    root = read_parts(raw)
    sections = [(part.start, part.header_end) for _, part in walk(root)]
    if all(raw[start:end].isascii() for start, end in sections):
        return raw
    if is_signed(root.fields):
        raise Unfit(
            LocalizedText(
                "The server takes no headers beyond ASCII (SMTPUTF8), and the message is signed with such headers."
            )
        )
    splices = [
        _in_ascii(field) for start, end in sections for field in fields(raw, start, end) if not field.value.isascii()
    ]
    return _spliced(raw, splices)


def _in_ascii(field: Field) -> Splice:
    name = field.name.title()
    if field.name in _ADDRESS_FIELDS:
        value = ", ".join(_written(mailbox, name) for mailbox in read_field(decoded(field.value)).mailboxes)
    elif field.name.startswith("content-"):
        value = _with_parameters(field.value)
    elif field.name in ("message-id", "in-reply-to", "references", "received", "return-path"):
        value = decoded(field.value).encode("ascii", "replace").decode()
    else:
        value = encoded_words(decoded(field.value), name)
    return field.start, field.end, fold(f"{name}: {value}").encode("ascii", "replace") + b"\r\n"


def _written(mailbox: Address, name: str) -> str:
    try:
        address = normalise(mailbox.address)
    except AddressError as error:
        raise Unfit(error.sentence) from None
    if not address.isascii():
        raise Unfit(
            LocalizedText(
                "The server does not take addresses with letters beyond ASCII (SMTPUTF8); %(address)s stands in this message.",
                address=mailbox.address,
            )
        )
    if not mailbox.name:
        return address
    quoted = mailbox.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>' if mailbox.name.isascii() else f"{encoded_words(mailbox.name, name)} <{address}>"


def _with_parameters(value: str) -> str:
    """The parameters whose values have other letters in the form of RFC 2231."""

    def extended(match: re.Match[str]) -> str:
        text = decoded(match[2] if match[2] is not None else match[3])
        if text.isascii():
            return match[0]
        octets = text.encode()
        return f"; {match[1]}*=utf-8''" + "".join(
            chr(o) if chr(o).isalnum() and o < 128 else f"%{o:02X}" for o in octets
        )

    return _PARAMETER.sub(extended, value)


def needs_utf8(raw: bytes) -> bool:
    """Whether the header section holds more than ASCII (RFC 6531 section 3.2)."""
    return not raw[: section_end(raw)].isascii()


def _spliced(raw: bytes, splices: list[Splice]) -> bytes:
    pieces: list[bytes] = []
    position = 0
    for start, end, new in sorted(splices, key=lambda splice: splice[0]):
        pieces += (raw[position:start], new)
        position = end
    return b"".join([*pieces, raw[position:]])
