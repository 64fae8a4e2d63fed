"""The parts of a raw MIME message as offsets (RFC 2045, 2046); nothing is decoded and nothing is printed again."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from tracker.mail.mime.fields import Field, body_start, fields, section_end

MAX_DEPTH = 100
"""Multiparts inside each other beyond this are taken as opaque."""

_PARAMETER = re.compile(
    r""";\s*(?P<name>[^\s=;"]+?)(?P<part>\*\d+)?(?P<extended>\*)?\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^;]*))""",
    re.DOTALL,
)
_PARAMETER_BEGINS = re.compile(r"(?:^|\s)[\w*-]+\s*=")
_TYPE = re.compile(r"[\s\"']*([^\s;/\"']+)\s*/\s*([^\s;/\"']+)")
_EMPTY_LINES = re.compile(rb"(?:[ \t]*\r*\n)+(?=[!-9;-~]+[ \t]*:)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED_QUOTE = re.compile(r"\\(\")")
_WINDOWS_FOLDER = re.compile(r"[A-Za-z]:\\|\\\\")


@dataclass
class Part:
    """A part: its header section is `start`:`header_end`, its body `body_start`:`body_end`."""

    start: int
    header_end: int
    body_start: int
    body_end: int
    fields: list[Field]
    content_type: str
    parameters: dict[str, str]
    disposition: str
    disposition_parameters: dict[str, str]
    children: list["Part"] = field(default_factory=list)
    is_alternative: bool = False
    """One form of the body among others (RFC 2046 section 5.1.4)."""

    def header(self, name: str) -> str:
        """The unfolded value of the first field of that name (in lower case), empty when there is none."""
        return next((each.value for each in self.fields if each.name == name), "")

    @property
    def multipart(self) -> bool:
        return self.content_type.startswith("multipart/")

    @property
    def file_name(self) -> str:
        """As it is written, empty when there is none."""
        return self.disposition_parameters.get("filename") or self.parameters.get("name", "")

    @property
    def is_attachment(self) -> bool:
        """A file: declared one, or with a name, or no text. Of a form of the body the name of its type says nothing."""
        declared = self.disposition == "attachment" or bool(self.disposition_parameters.get("filename"))
        named = bool(self.file_name) and not self.is_alternative
        return not self.multipart and (declared or named or not self.content_type.startswith("text/"))

    @property
    def is_inline_picture(self) -> bool:
        """A file that belongs into the HTML, which shows it by its Content-ID (RFC 2392)."""
        return (
            self.disposition != "attachment"
            and self.content_type.startswith("image/")
            and bool(self.header("content-id"))
        )


def read_parts(raw: bytes, boundaries: Mapping[int, str] | None = None) -> Part:
    """The whole message as a tree of parts, in one pass over its lines. Never raises.

    Empty lines before the header are stepped over; a message without any line feed has its lines end in carriage returns.
    ``boundaries`` are to be used, by the start of their part, in place of what it says itself (:mod:`tracker.mail.mime.repair`).
    """
    boundaries = boundaries or {}
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    empty = _EMPTY_LINES.match(raw)
    root = _begin(raw, empty.end() if empty else 0, "text/plain", boundaries)
    open_parts = [root] if _boundary(root) else []
    at = _next_delimiter(raw, root.body_start - 1)
    while open_parts and at >= 0:
        line_end = raw.find(b"\n", at)
        line_end = len(raw) if line_end < 0 else line_end + 1
        line = raw[at:line_end].rstrip(b" \t\r\n")
        depth, closing = _matching(open_parts, line)
        if depth >= 0:
            _close(raw, open_parts, depth, at)
            if closing:
                del open_parts[depth:]
            else:
                _open_child(raw, open_parts, line_end, boundaries)
        at = _next_delimiter(raw, max(line_end - 1, at))
    _close(raw, open_parts, 0, len(raw), to_the_end=True)
    return root


def walk(root: Part) -> Iterator[tuple[str, Part]]:
    """Every part in the order of the message with its place such as `1.2`, empty for the root.

    What an attached message holds is not among them.
    """
    waiting = [("", root)]
    while waiting:
        place, part = waiting.pop()
        yield place, part
        numbered = [(f"{place}.{number}".lstrip("."), child) for number, child in enumerate(part.children, 1)]
        waiting += reversed(numbered)


def leaves(root: Part) -> Iterator[tuple[str, Part]]:
    """The parts without parts of their own; the only part of a message has the place `1`."""
    return ((place or "1", part) for place, part in walk(root) if not part.children)


def split_value(value: str) -> tuple[str, dict[str, str]]:
    """A field value such as Content-Type: what stands before the first `;` in lower case, and its parameters.

    RFC 2231 continuations and character sets are put together.
    """
    head, semicolon, _ = value.partition(";")
    if not semicolon and "=" not in head:
        return head.strip().lower(), {}
    if "=" in head:
        head, value = _without_semicolon(head, value)
    pieces: dict[str, list[_Piece]] = {}
    for match in _PARAMETER.finditer(value):
        name = match["name"].lower()
        number = int(match["part"][1:6]) if match["part"] else None
        pieces.setdefault(name, []).append(_Piece(number, bool(match["extended"]), _parameter(name, match)))
    return head.strip().lower(), {name: _joined(values) for name, values in pieces.items()}


def _without_semicolon(head: str, value: str) -> tuple[str, str]:
    """A value whose first semicolon is missing, or all that stands before it."""
    begins = _PARAMETER_BEGINS.search(head)
    if begins is None:
        return head, value
    return head[: begins.start()], f"{head[: begins.start()]};{value[begins.start() :]}"


class _Piece(NamedTuple):
    """A piece of a parameter (RFC 2231 section 3); ``number`` is None for one that is not in pieces."""

    number: int | None
    extended: bool
    text: str


def _parameter(name: str, match: re.Match[str]) -> str:
    """The value as it was meant: names of files may hold blanks without quotes, and the folders of Windows within them."""
    is_name = name in ("name", "filename")
    if match["quoted"] is not None:
        plain = is_name and _WINDOWS_FOLDER.match(match["quoted"])
        return (_ESCAPED_QUOTE if plain else _ESCAPE).sub(r"\1", match["quoted"])
    bare = match["bare"].strip()
    return bare.strip("\"'") if is_name else (bare.split() or [""])[0]


def _joined(pieces: Sequence[_Piece]) -> str:
    """Of a parameter that is given several times: in one extended piece, in pieces, in one plain piece, in this order.

    Pieces are put together before they are decoded: a letter may be divided between two.
    """
    whole = next((piece for piece in pieces if piece.number is None and piece.extended), None)
    divided = list({piece.number: piece for piece in reversed(pieces) if piece.number is not None}.values())
    if whole is None and not divided:
        return pieces[0].text
    ordered = [whole] if whole is not None else sorted(divided, key=lambda piece: piece.number or 0)
    first = ordered[0]
    charset, text = "utf-8", first.text
    if first.extended and text.count("'") >= 2:
        charset, _, text = text.split("'", 2)
    runs = groupby([first._replace(text=text), *ordered[1:]], key=lambda piece: piece.extended)
    octets = (_octets("".join(piece.text for piece in run), extended) for extended, run in runs)
    return _in_charset(b"".join(octets), charset)


def _octets(text: str, extended: bool) -> bytes:
    octets = text.encode("utf-8", "surrogateescape")
    return unquote_to_bytes(octets) if extended else octets


def _in_charset(octets: bytes, charset: str) -> str:
    """What is not in its charset stays as raw octets, which are guessed as those of other fields are."""
    for label in (charset, "utf-8"):
        try:
            return octets.decode(label or "utf-8")
        except (LookupError, ValueError):
            continue
    return octets.decode("utf-8", "surrogateescape")


def _begin(raw: bytes, start: int, default_type: str, boundaries: Mapping[int, str]) -> Part:
    bound = _next_delimiter(raw, start - 1)  # no header field begins with a hyphen pair
    header_end = section_end(raw, start, len(raw) if bound < 0 else bound)
    header_fields = list(fields(raw, start, header_end))
    part = Part(start, header_end, body_start(raw, header_end), len(raw), header_fields, default_type, {}, "", {})
    declared, part.parameters = split_value(part.header("content-type"))
    shape = _TYPE.match(declared)
    if shape is not None:
        part.content_type = f"{shape[1]}/{shape[2]}"
    elif declared:
        part.content_type = "text/plain"  # RFC 2045 section 5.2
    part.disposition, part.disposition_parameters = split_value(part.header("content-disposition"))
    if start in boundaries:
        part.parameters["boundary"] = boundaries[start]
        part.content_type = part.content_type if part.multipart else "multipart/mixed"
    return part


def _boundary(part: Part) -> bytes:
    if not part.multipart:
        return b""
    return part.parameters.get("boundary", "").rstrip(" \t").encode("utf-8", "surrogateescape")


def _next_delimiter(raw: bytes, start: int) -> int:
    """The offset of the next line that begins with two hyphens, looked for from the line end at `start`."""
    if start <= 0 and raw.startswith(b"--"):
        return 0
    position = raw.find(b"\n--", max(start, 0))
    return position + 1 if position >= 0 else -1


def _matching(open_parts: list[Part], line: bytes) -> tuple[int, bool]:
    for depth in range(len(open_parts) - 1, -1, -1):
        boundary = _boundary(open_parts[depth])
        if line == b"--" + boundary:
            return depth, False
        if line == b"--" + boundary + b"--":
            return depth, True
    return -1, False


def _close(raw: bytes, open_parts: list[Part], depth: int, at: int, *, to_the_end: bool = False) -> None:
    """Ends the parts deeper than `depth`; the line end before a delimiter belongs to the delimiter."""
    end = at if to_the_end else at - (2 if raw[at - 2 : at] == b"\r\n" else 1)
    for parent in open_parts[depth:]:
        if parent.children and parent.children[-1].body_end == len(raw):
            last = parent.children[-1]
            last.body_end = max(end, last.start)
            last.header_end, last.body_start = min(last.header_end, last.body_end), min(last.body_start, last.body_end)
    del open_parts[depth + 1 :]


def _open_child(raw: bytes, open_parts: list[Part], start: int, boundaries: Mapping[int, str]) -> None:
    parent = open_parts[-1]
    default = "message/rfc822" if parent.content_type == "multipart/digest" else "text/plain"
    child = _begin(raw, start, default, boundaries)
    child.is_alternative = parent.content_type == "multipart/alternative"
    parent.children.append(child)
    if _boundary(child) and len(open_parts) < MAX_DEPTH:
        open_parts.append(child)
