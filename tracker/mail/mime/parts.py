"""The parts of a raw MIME message as offsets (RFC 2045, 2046); nothing is decoded and nothing is printed again."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from tracker.mail.mime.fields import Field, body_start, fields, first, section_end

MAX_DEPTH = 100
"""Multiparts inside each other beyond this are taken as opaque."""

_PARAMETER = re.compile(
    r""";\s*(?P<name>[^\s=;"]+?)(?P<part>\*\d+)?(?P<extended>\*)?\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s;]*))""",
    re.DOTALL,
)
_TYPE = re.compile(r"[\s\"']*([^\s;/\"']+)\s*/\s*([^\s;/\"']+)")
_EMPTY_LINES = re.compile(rb"(?:[ \t]*\r*\n)+(?=[!-9;-~]+[ \t]*:)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


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
        """The unfolded value of the first field of that name, empty when there is none."""
        found = first(self.fields, name)
        return found.value if found else ""

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
    head, _, _ = value.partition(";")
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for found in _PARAMETER.finditer(value):
        text = _ESCAPE.sub(r"\1", found["quoted"]) if found["quoted"] is not None else found["bare"]
        number = int(found["part"][1:6]) if found["part"] else 0
        pieces.setdefault(found["name"].lower(), []).append((number, bool(found["extended"]), text))
    return head.strip().lower(), {name: _joined(found) for name, found in pieces.items()}


def _joined(pieces: list[tuple[int, bool, str]]) -> str:
    numbered = sorted(pieces, key=lambda piece: piece[0])
    if len({number for number, _, _ in numbered}) < len(numbered):
        numbered = pieces[:1]
    text, charset = "", "utf-8"
    for number, extended, piece in numbered:
        if extended and number == 0 and piece.count("'") >= 2:
            charset, _, piece = piece.split("'", 2)
        text += _percent_decoded(piece, charset) if extended else piece
    return text


def _percent_decoded(text: str, charset: str) -> str:
    try:
        return unquote_to_bytes(text).decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return unquote_to_bytes(text).decode("latin-1")


def _begin(raw: bytes, start: int, default_type: str, boundaries: Mapping[int, str]) -> Part:
    bound = _next_delimiter(raw, start - 1)  # no header field begins with a hyphen pair
    header_end = section_end(raw, start, len(raw) if bound < 0 else bound)
    found = list(fields(raw, start, header_end))
    part = Part(start, header_end, body_start(raw, header_end), len(raw), found, default_type, {}, "", {})
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
    found = raw.find(b"\n--", max(start, 0))
    return found + 1 if found >= 0 else -1


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
