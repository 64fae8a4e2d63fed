"""What a person reads of a letter: every part of it in its order, one form of each that comes in several. Pure.

A named text is a file only where there is other text to read, or where it says so itself.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tracker.inbound.parse.invitation import invitation_words
from tracker.inbound.parse.letter_text import text_from_html
from tracker.mail.mime.encodings import base64_octets, encoding_of, octets_in
from tracker.mail.mime.guess import is_utf_8
from tracker.mail.mime.parts import Part
from tracker.mail.mime.text import readable

MOST_TEXT = 1_000_000
MOST_HTML = 5_000_000
_MOST_PARTS = 50
_BODY_TYPES = ("text/plain", "text/html")
_FILE_TYPES = (
    "text/calendar",
    "text/vcard",
    "text/x-vcard",
    "text/directory",
    "text/csv",
    "text/css",
    "text/rfc822-headers",
)
_OTHER_FORMS = ("text/x-amp-html", "text/watch-html", "text/enriched", "text/richtext", "text/markdown")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:+-]{1,40})", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]{0,300}?charset", re.IGNORECASE)
_LINE_ENDS = re.compile(r"\r+\n?")
_NEEDS_HTML = re.compile(r"\bhtml\b", re.IGNORECASE)
_LONGEST_STUB = 300
_RICH = re.compile(r"<param>[^<]{0,500}</param>|<(?!<)/?[a-z-]{1,60}>", re.IGNORECASE | re.DOTALL)
_LOOKS_LIKE_HTML = re.compile(r"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_UNDECLARED = re.compile(rb"\s*(?:[A-Za-z0-9+/]{60,76}\r*\n){1,}+[A-Za-z0-9+/]{0,76}={0,2}\s*")
_BASE64_LINES = re.compile(rb"(?:[A-Za-z0-9+/=]+[ \t]*\r*\n|[ \t]*\r*\n)*+")


@dataclass(frozen=True)
class Bodies:
    """The words of a letter as text and as HTML, None where no part is HTML; and the places of the parts they were taken from."""

    text: str
    html: str | None
    places: frozenset[str]
    cut: bool


@dataclass
class _Reader:
    raw: bytes
    hint: str
    places: dict[int, str]
    unnamed: bool
    """There is text without a name, so that a named one is a file."""
    first: int
    read: dict[int, str] = field(default_factory=dict)
    cut: bool = False

    def is_body(self, part: Part) -> bool:
        if part.multipart:
            return not part.children
        if part.content_type not in _BODY_TYPES or part.disposition == "attachment":
            return False
        return not part.file_name or part.is_alternative or part.start == self.first or not self.unnamed

    def text(self, part: Part) -> str:
        """As it is written, HTML with its tags."""
        if part.start not in self.read:
            most = MOST_HTML if part.content_type == "text/html" else MOST_TEXT
            octets = _octets(self.raw, part)[: 4 * most]
            text = _with_line_ends(readable(octets, self._label(part, octets)))
            self.cut |= len(text) > most
            self.read[part.start] = _as_meant(text[:most], part)
        return self.read[part.start]

    def kind(self, part: Part) -> str:
        """text/html or text/plain, also of what could not be divided into parts, and of a document that is called text/plain."""
        if part.content_type == "text/html":
            return part.content_type
        return "text/html" if _LOOKS_LIKE_HTML.match(self.text(part)) else "text/plain"

    def plain(self, part: Part) -> str:
        text = self.text(part)
        return text_from_html(text) if self.kind(part) == "text/html" else text

    def _label(self, part: Part, octets: bytes) -> str:
        label = part.parameters.get("charset", "")
        if not label and (written := _CHARSET.search(part.header("content-type"))):
            label = written[1]
        names_it_itself = part.content_type == "text/html" and _META.search(octets, 0, 4096)
        return label or ("" if names_it_itself else self.hint)


def read_bodies(raw: bytes, root: Part, parts: Sequence[tuple[str, Part]], hint: str) -> Bodies:
    """``parts`` are the leaves of ``root`` with their places; ``hint`` is the charset for those that name none."""
    texts = [part for _, part in parts if part.content_type in _BODY_TYPES and part.disposition != "attachment"]
    unnamed = any(not part.file_name or part.is_alternative for part in texts)
    first = parts[0][1].start if parts else -1
    reader = _Reader(raw, hint, {part.start: place for place, part in parts}, unnamed, first)
    plain = list(_chosen(root, reader, "text/plain"))[:_MOST_PARTS]
    rich = list(_chosen(root, reader, "text/html"))[:_MOST_PARTS]
    used = {part.start for part in (*plain, *rich)}
    text = "\n\n".join(filter(None, (reader.plain(part).strip() for part in plain)))
    page = _page([part for part in rich if reader.text(part).strip()], reader)
    if not text and page is None:
        text, used = _other_text(parts, reader)
    used |= {
        part.start for _, part in parts if part.is_alternative and (reader.is_body(part) or _is_another_form(part))
    }
    places = frozenset(place for place, part in parts if part.start in used)
    return Bodies(text[:MOST_TEXT], page, places, reader.cut or len(text) > MOST_TEXT)


def _is_another_form(part: Part) -> bool:
    """Of the same words, for programs that show it."""
    return part.content_type in _OTHER_FORMS and part.disposition != "attachment"


def charset_hint(root: Part, parts: Sequence[tuple[str, Part]]) -> str:
    """What the letter says of its charset where it does: in its first text, else in a word of its Subject."""
    labels = (part.parameters.get("charset", "") for _, part in parts if part.content_type.startswith("text/"))
    named = re.search(r"=\?([\w.-]{2,40})(?:\*[\w-]*)?\?[bq]\?", root.header("subject"), re.IGNORECASE)
    return next(filter(None, labels), named[1] if named else "")


def _chosen(part: Part, reader: _Reader, wanted: str) -> Iterator[Part]:
    """The leaves to read, in order; of alternatives the form that holds the wanted type, or else the other."""
    if not part.children:
        yield from [part] if reader.is_body(part) else []
    elif part.content_type == "multipart/alternative":
        yield from _form([list(_chosen(child, reader, wanted)) for child in part.children], reader, wanted)
    else:
        for child in part.children:
            yield from _chosen(child, reader, wanted)


def _form(forms: Sequence[list[Part]], reader: _Reader, wanted: str) -> list[Part]:
    """The last of the purest forms with something in it (RFC 2046 section 5.1.4: the last is the best)."""

    def holds(form: list[Part]) -> tuple[bool, bool]:
        types = {reader.kind(part) for part in form}
        return wanted in types, len(types) == 1

    filled = [form for form in forms if any(reader.text(part).strip() for part in form)]
    ranked = sorted(filled, key=holds)
    best = ranked[-1] if ranked else []
    if wanted == "text/plain" and len(ranked) > 1 and _is_stub(best, reader):
        return ranked[-2]
    return best


def _is_stub(form: Sequence[Part], reader: _Reader) -> bool:
    """ "This message needs a program that shows HTML"."""
    text = "".join(reader.text(part) for part in form)
    return len(text) < _LONGEST_STUB and bool(_NEEDS_HTML.search(text)) and "http" not in text.lower()


def _page(rich: Sequence[Part], reader: _Reader) -> str | None:
    """One document; plain parts between keep their line breaks."""
    if not any(reader.kind(part) == "text/html" for part in rich):
        return None
    if len(rich) == 1:
        return reader.text(rich[0])
    return "\n".join(
        reader.text(part)
        if reader.kind(part) == "text/html"
        else f'<div style="white-space:pre-wrap">{html.escape(reader.text(part).strip(), quote=False)}</div>'
        for part in rich
    )[:MOST_HTML]


def _other_text(parts: Sequence[tuple[str, Part]], reader: _Reader) -> tuple[str, set[int]]:
    """Text of some other kind, better than nothing; an invitation in words, which stays a file beside them."""
    empty = set[int]()
    for _, part in parts:
        if part.content_type.startswith("text/") and part.content_type not in _FILE_TYPES and not part.is_attachment:
            if text := reader.text(part).strip():
                return text, {part.start}
            empty.add(part.start)
    calendar = next((part for _, part in parts if part.content_type == "text/calendar"), None)
    return (invitation_words(reader.text(calendar)) if calendar else ""), empty


def _with_line_ends(text: str) -> str:
    """CR CR LF is one line end; carriage returns alone are one each."""
    if "\r\r" in text:
        text = _LINE_ENDS.sub(lambda ends: "\n" if ends[0].endswith("\n") else "\n" * len(ends[0]), text)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _octets(raw: bytes, part: Part) -> bytes:
    """Of base64 below which somebody wrote a line, such as a list's footer, both. Text that is nothing but lines of base64, and
    does not say so, is decoded as well."""
    body = raw[part.body_start : part.body_end]
    if encoding_of(part.header("content-transfer-encoding")) == "base64" and (lines := _BASE64_LINES.match(body)):
        rest = body[lines.end() :]
        if lines[0].strip() and b" " in rest.strip():
            return octets_in(raw[: part.body_start + lines.end()], part) + b"\n" + rest
    if not part.header("content-transfer-encoding") and not part.multipart and _UNDECLARED.fullmatch(body):
        octets = base64_octets(body)
        return octets if is_utf_8(octets) and b"\0" not in octets else body
    return octets_in(raw, part)


def _as_meant(text: str, part: Part) -> str:
    if part.content_type == "text/plain" and part.parameters.get("format", "").lower() == "flowed":
        return _unflowed(text, part.parameters.get("delsp", "").lower() == "yes")
    if part.content_type in ("text/enriched", "text/richtext"):
        return _RICH.sub("", text)
    return text


def _unflowed(text: str, joins_words: bool) -> str:
    """Lines put together as RFC 3676 section 4 says; quotation marks stay."""
    lines: list[tuple[str, list[str]]] = []
    open_at = None
    for line in text.split("\n"):
        rest = line.lstrip(">")
        quoted = line[: len(line) - len(rest)]
        rest = rest.removeprefix(" ")
        if open_at != quoted or rest == "-- ":
            lines.append((quoted, []))
        flows = rest.endswith(" ") and rest != "-- "
        lines[-1][1].append(rest[:-1] if flows and joins_words else rest)
        open_at = quoted if flows else None
    return "\n".join(f"{quoted} {''.join(words)}" if quoted else "".join(words) for quoted, words in lines)
