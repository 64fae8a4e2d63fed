"""Messages whose parts cannot be told apart as they say: divided as they were meant. For reading; what is sent is left alone."""

import re
from itertools import islice

from tracker.mail.mime.encodings import encoding_of, octets_of
from tracker.mail.mime.parts import Part, read_parts, walk

_ROUNDS = 3
"""Broken parts inside broken parts beyond this stay whole."""
_MOST = 100
_DELIMITER = re.compile(
    rb"^--(?=[^\s-]|-+[^\s-])([^\r\n]{1,200}?)[ \t]{0,20}\r*\n(?=content-[a-z-]{1,30}[ \t]*:|\r*\n)",
    re.IGNORECASE | re.MULTILINE,
)
_BEGINS_DIVIDED = re.compile(
    rb"(?:[ \t]*\r*\n)*(?:this is a multi-?part message[^\n]*\n(?:[ \t]*\r*\n)*)?(?=--[^\s])", re.IGNORECASE
)


def divided(raw: bytes) -> tuple[bytes, Part]:
    """The message and its parts. Multiparts that were encoded as a whole are decoded in it, a boundary that never comes is
    replaced by the first line that looks like one. What cannot be divided stays a part without parts, to be read as text.

    Never raises; the work grows with the length of the message alone.
    """
    raw, root = _with_encoded_parts(raw)
    boundaries: dict[int, str] = {}
    for _ in range(_ROUNDS):
        missing = {part.start: boundary for part in _whole(root) if (boundary := _likely_boundary(raw, part))}
        if not missing:
            break
        boundaries |= missing
        root = read_parts(raw, boundaries)
    return raw, root


def _whole(root: Part) -> list[Part]:
    """Multiparts without parts, and a message of no declared type."""
    undeclared = [root] if not root.header("content-type") and not root.children else []
    return [*undeclared, *islice((part for _, part in walk(root) if part.multipart and not part.children), _MOST)]


def _with_encoded_parts(raw: bytes) -> tuple[bytes, Part]:
    """RFC 2045 section 6.4 forbids it; some programs encode a multipart as if it were text."""
    root = read_parts(raw)
    for _ in range(_ROUNDS):
        pieces, position = [], 0
        for part in _whole(root):
            written = part.header("content-transfer-encoding")
            octets = octets_of(raw[part.body_start : part.body_end], written) if encoding_of(written) else b""
            if part.multipart and _DELIMITER.search(octets):
                pieces += [raw[position : part.body_start], octets, b"\r\n"]
                position = part.body_end
        if not pieces:
            break
        raw = b"".join([*pieces, raw[position:]])
        root = read_parts(raw)
    return raw, root


def _likely_boundary(raw: bytes, part: Part) -> str:
    body = raw[part.body_start : part.body_end]
    begin = 0
    if not part.multipart:
        divides = _BEGINS_DIVIDED.match(body)
        if divides is None:
            return ""
        begin = divides.end()
    delimiter = _DELIMITER.search(body, begin) if part.multipart else _DELIMITER.match(body, begin)
    return delimiter[1].decode("utf-8", "surrogateescape") if delimiter else ""
