"""Quoted-printable (RFC 2045 section 6.7), with an encoder that touches only the lines whose text has changed."""

import binascii
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

_WIDTH = 76
_SMALL = 256 * 1024
"""Bytes of a text whose lines are remembered for the next copy of it."""
_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_TABS_AS_SPACES = bytes.maketrans(b"\t", b" ")
_ESCAPED = re.compile(rb"[^\t -<>-~]+")


class Change(NamedTuple):
    """The decoded octets `start`:`end` become `new`. Changes come in order and apart from each other."""

    start: int
    end: int
    new: bytes


def decode(text: bytes) -> bytes:
    """The octets that the text stands for; what is not quoted-printable stays as it is."""
    return binascii.a2b_qp(_TRAILING_SPACE.sub(b"", text) if _may_end_in_space(text) else text)


def _may_end_in_space(text: bytes) -> bool:
    """False when certainly no line of the text does."""
    return text.endswith((b" ", b"\t")) or b" \n" in text.translate(_TABS_AS_SPACES, b"\r")


def encode(body: bytes, line_end: bytes) -> bytes:
    """The octets in lines of at most 76 characters; only `line_end` in the body is a line break in the text."""
    return line_end.join(_soft_wrapped(line, line_end) for line in body.split(line_end))


def changed(text: bytes, changes: Sequence[Change], line_end: bytes) -> bytes | None:
    """The text with the changes made to what it stands for; lines without a change keep their octets.

    None when the lines cannot be told apart, so that the whole has to be encoded again.
    """
    if not changes:
        return text
    lines, decoded, ends = _lines_of(text) if len(text) <= _SMALL else _lines_of.__wrapped__(text)
    if not lines:
        return None
    last = len(lines) - 1
    pieces: list[bytes] = []
    unchanged = at = 0
    while at < len(changes):
        begin = end = min(bisect_right(ends, changes[at].start), last)
        local: list[Change] = []
        while at < len(changes) and (changes[at].start < ends[end] or end == last):
            end = max(end, min(bisect_left(ends, changes[at].end), last))
            local.append(changes[at])
            at += 1
        old, start = b"".join(decoded[begin : end + 1]), ends[begin] - len(decoded[begin])
        pieces += (*lines[unchanged:begin], _line(lines[end], old, local, start, line_end))
        unchanged = end + 1
    return b"".join((*pieces, *lines[unchanged:]))


@lru_cache(4)  # every copy of a message changes the same text
def _lines_of(text: bytes) -> tuple[list[bytes], list[bytes], list[int]]:
    """The lines, what each stands for, and where that ends; no lines where they cannot be told apart."""
    lines = text.splitlines(keepends=True) if b"\r" not in text.replace(b"\r\n", b"") else []
    decoded = list(map(decode if _may_end_in_space(text) else binascii.a2b_qp, lines))
    return lines, decoded, list(accumulate(map(len, decoded)))


def _line(last: bytes, decoded: bytes, changes: list[Change], start: int, line_end: bytes) -> bytes:
    """Whole lines of text, the last one given, that stand for `decoded` with the changes made."""
    for change in reversed(changes):
        decoded = decoded[: change.start - start] + change.new + decoded[change.end - start :]
    ending = last[len(last.rstrip(b"\r\n")) :]
    if ending and decoded.endswith(ending) and not last.rstrip().endswith(b"="):
        return encode(decoded[: -len(ending)], line_end) + ending
    return encode(decoded, line_end) + (b"=" + ending if ending else b"")


def _soft_wrapped(line: bytes, line_end: bytes) -> bytes:
    """One line of the body, without its line end, in lines of text. Never a line that could be read as a boundary."""
    text = binascii.b2a_qp(line, istext=False)  # wraps with a bare LF: others it writes as =0A
    if text.startswith(b"--") or b"\n--" in text:
        return _wrapped_without_boundaries(line, line_end)
    return text.replace(b"\n", line_end)


def _wrapped_without_boundaries(line: bytes, line_end: bytes) -> bytes:
    text = _ESCAPED.sub(_escape, line)
    if line.endswith((b" ", b"\t")):
        text = text[:-1] + b"=%02X" % line[-1]
    lines: list[bytes] = []
    position = 0
    while True:
        first = b"=2D" if text.startswith(b"--", position) else text[position : position + 1]
        if len(first) + len(text) - position - 1 <= _WIDTH:
            return line_end.join([*lines, first + text[position + 1 :]])
        end = position + _WIDTH - len(first)
        escape = text.rfind(b"=", end - 2, end)  # no line ends inside of one
        end = escape if escape >= 0 else end
        lines.append(first + text[position + 1 : end] + b"=")
        position = end


def _escape(octets: re.Match[bytes]) -> bytes:
    return b"=" + octets[0].hex("=").upper().encode()
