"""Header fields of a raw message: found, taken out and added without printing the others again (RFC 5322 section 2.2)."""

import re
from collections.abc import Iterator
from email.header import Header
from typing import NamedTuple

_FIELD = re.compile(rb"(?P<name>[!-9;-~]+)[ \t]*:(?P<value>[^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)")
_LINE = re.compile(rb"[^\n]*(?:\n|\Z)")
_SECTION_END = re.compile(rb"\n(?=\r*\n)")
_EMPTY_LINE = re.compile(rb"\r*\n")
_FOLD = re.compile(rb"(?<!\r)\r*\n(?=[ \t])")
_NAME = re.compile(r"[!-9;-~]+")
_IN_BRACKETS = re.compile(r"<\s*(https?:[^<>]*)>", re.IGNORECASE)
_FOLD_AT = 76
_LONG_WORD = re.compile(r"\S{900}")


class Field(NamedTuple):
    """A header field at `start`:`end` of the raw message, its line end included; `name` in lower case, `value` unfolded."""

    name: str
    value: str
    start: int
    end: int


def section_end(raw: bytes, start: int = 0, end: int | None = None) -> int:
    """Where the header section that begins at `start` ends: just past the line end of its last field."""
    end = len(raw) if end is None else end
    if _EMPTY_LINE.match(raw, start):
        return start
    match = _SECTION_END.search(raw, start, end)
    return match.end() if match else end


def body_start(raw: bytes, header_end: int) -> int:
    """Where the body begins: past the empty line that follows the header section, if there is one."""
    empty = _EMPTY_LINE.match(raw, header_end)
    return empty.end() if empty else header_end


def fields(raw: bytes, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """The fields of the header section `start`:`end` in their order; lines that are no field are stepped over."""
    end = section_end(raw, start) if end is None else end
    while start < end:
        match = _FIELD.match(raw, start, end)
        if match is None:
            line = _LINE.match(raw, start, end)
            start = line.end() if line and line.end() > start else end
            continue
        name, value = match.groups()
        value = (_FOLD.sub(b"", value) if b"\n" in value else value).strip()
        after = match.end()
        yield Field(name.decode("ascii").lower(), value.decode("utf-8", "surrogateescape"), start, after)
        start = after


def first(header_fields: list[Field], name: str) -> Field | None:
    """The first of the fields with that name."""
    return next((field for field in header_fields if field.name == name.lower()), None)


def list_unsubscribe(raw: bytes) -> frozenset[str]:
    """The web addresses of the List-Unsubscribe fields (RFC 2369): links to them are never tracked."""
    values = (field.value for field in fields(raw) if field.name == "list-unsubscribe")
    return frozenset(re.sub(r"\s", "", url) for value in values for url in _IN_BRACKETS.findall(value))


def remove_header(raw: bytes, name: str) -> bytes:
    """The message without any field of that name; every other byte as it came."""
    pieces: list[memoryview] = []
    position, whole = 0, memoryview(raw)
    for field in fields(raw):
        if field.name == name.lower():
            pieces.append(whole[position : field.start])
            position = field.end
    return raw if position == 0 else b"".join((*pieces, whole[position:]))


def add_header(raw: bytes, name: str, value: str) -> bytes:
    """The message with one more field at the end of its header section; every other byte as it came.

    Folded between words at 76 characters; words of other scripts become encoded-words (RFC 2047). Raises ValueError for a
    name that is none and for a value with a line break or another control character in it.
    """
    line = header_line(name, value)
    at = section_end(raw)
    if b"\r\n" not in raw[:at] and b"\n" in raw[: at + 1]:
        line = line.replace(b"\r\n", b"\n")
    before = b"" if at == 0 or raw[:at].endswith(b"\n") else b"\r\n"
    whole = memoryview(raw)
    return b"".join((whole[:at], before, line, whole[at:]))


def with_encoding(header: bytes, encoding: bytes, line_end: bytes) -> bytes:
    """The header section with this Content-Transfer-Encoding in the place of its old one, or at its end."""
    line = b"Content-Transfer-Encoding: " + encoding + line_end
    old = first(list(fields(header, 0, len(header))), "content-transfer-encoding")
    return header + line if old is None else header[: old.start] + line + header[old.end :]


def header_line(name: str, value: str) -> bytes:
    """One header field, folded, with CRLF at its end. ValueError as for `add_header`."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a header field name")
    check_text(name, value)
    if not value.isascii() or "=?" in value or _LONG_WORD.search(value):
        value = encoded_words(value, name)
    return fold(f"{name}: {value}").encode("ascii") + b"\r\n"


def encoded_words(text: str, name: str) -> str:
    """The text as encoded-words of at most 75 characters, a space between them (RFC 2047), to stand in the field `name`."""
    return " ".join(Header(text, "utf-8", maxlinelen=75, header_name=name).encode(linesep="\n").split())


def fold(line: str) -> str:
    """A line broken before spaces so that its lines have at most 76 characters where the words allow it."""
    if len(line) <= _FOLD_AT:
        return line
    lines: list[str] = []
    for word in re.findall(r"\s*\S+|\s+$", line):
        # Never a fold after the name alone: some programs read such a field as an empty one.
        if lines and len(lines[-1]) + len(word) > _FOLD_AT and not lines[-1].endswith(":"):
            lines.append(word)
        elif lines:
            lines[-1] += word
        else:
            lines.append(word)
    return "\r\n".join(lines)


def check_text(name: str, value: str) -> None:
    """Raises ValueError, naming the field, for a line break or another control character in a header value."""
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]", value) or re.search(r"[\ud800-\udfff]", value):
        raise ValueError(f"{name} must be one line of text without control characters; take the line break out")


def normalise_line_ends(raw: bytes) -> bytes:
    """The message with every bare CR and bare LF made CRLF; the same object when there is none."""
    pairs = raw.count(b"\r\n")
    if raw.count(b"\n") == pairs and raw.count(b"\r") == pairs:
        return raw
    return re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
