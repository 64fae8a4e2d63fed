"""What the rewriter needs to know of a document: its links, its images, and the places where a pixel may stand.

The document is cut into tokens by a tokenizer that follows the HTML standard; nothing here searches for tags itself.
"""

import re
from dataclasses import dataclass, field

from turbohtml import Token, TokenType, tokenize

from tracker.outgoing import quoted
from tracker.outgoing.tags import Attribute, StartTag, read_start_tag, value_of, without

RAW_TEXT = frozenset(
    {"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext"}
)
VML = frozenset(
    {"v:rect", "v:roundrect", "v:shape", "v:oval", "v:line", "v:polyline", "v:arc", "v:curve", "v:image", "v:group"}
)
LINKS = VML | {"a", "area"}

_DOCUMENT = frozenset({"html", "head", "body"})
_HEAD = frozenset({"html", "head", "meta", "link", "base", "basefont", "bgsound", "template", *RAW_TEXT})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
_ALWAYS_WATCHED = LINKS | RAW_TEXT | _DOCUMENT | {"img", "blockquote", "base"}
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|max-height\s*:\s*0|font-size\s*:\s*[01](?![0-9.])"
    r"|opacity\s*:\s*0(?![.0-9])",
    re.IGNORECASE,
)
_PREHEADER = re.compile(r"pre-?header|preview-?text", re.IGNORECASE)
_CONDITIONAL = re.compile(r"<!--\[if[^\]]*+\]>", re.IGNORECASE)
_COMMENT_END = re.compile(r"--!?>")
_BLANK = "\t\n\f\r \u00a0\u034f\u200b\u200c\u200d\ufeff\u00ad"
_LINE_END = re.compile(r"\r\n?|\n")


@dataclass(slots=True)
class Link:
    """A link's start tag: where it is, its decoded href, and the text that people see."""

    tag: str
    href: Attribute
    value: str
    start: int
    marks: list[tuple[int, int, str]]
    quoted: bool
    text: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Image:
    """An image's start tag and its decoded source."""

    start: int
    end: int
    source: str
    quoted: bool


@dataclass(slots=True)
class _Region:
    """An element that we are inside of, followed by counting the tags of its name."""

    tag: str
    depth: int = 1


class Survey:
    """One pass over a document. `last_place` and `first_place` are offsets for a pixel, None where none is safe."""

    def __init__(self, html: str, *, images: bool = True) -> None:
        self.html = html
        self.links: list[Link] = []
        self.images: list[Image] = []
        self.marks: list[tuple[int, int, str]] = []
        self.base = ""
        self.first_place: int | None = None
        self.last_place: int | None = None
        self._want_images = images
        self._early = True  # until the first text that people see
        self._first_pending = False
        self._raw = ""
        self._open: Link | None = None
        self._inside = ""  # the tag of a link, with or without href, that was not closed
        self._quote: _Region | None = None
        self._hidden: _Region | None = None
        self._seen: set[str] = set()
        self._watched = set(_ALWAYS_WATCHED)
        self._quote_marks = quoted.has_marks(html)
        if self._quote_marks:
            self._watched |= quoted.ELEMENTS
        self._lines = _Lines(html)
        self._shift = 0
        self._last_token = 0
        self._read()

    def _read(self) -> None:
        text, start, end, comment, doctype = (
            TokenType.TEXT,
            TokenType.START_TAG,
            TokenType.END_TAG,
            TokenType.COMMENT,
            TokenType.DOCTYPE,
        )
        token: Token | None = None
        watched = self._watched
        for token in tokenize(self.html, capture_attributes=False):
            kind = token.type
            if self._first_pending:
                self._set_first_place(token)
            if kind is text:
                if self._early or self._open is not None:
                    self._text(token)
            elif kind is start:
                if self._early or token.tag in watched:
                    self._start(token, token.tag or "")
            elif kind is end:
                if token.tag in watched:
                    self._end(token, token.tag or "")
            elif kind is comment:
                self._comment(token)
            elif kind is doctype and not self._early:
                self._second_document("html", self._offset(token), 0)
        self._finish(token)

    def _offset(self, token: Token) -> int:
        return self._lines.offset(token.line, token.col)

    # --- text, and the first of it that people see

    def _text(self, token: Token) -> None:
        data = token.data or ""
        if self._raw or not data.strip(_BLANK):
            if self._open is not None and not self._raw:
                self._open.text.append(data)
            return
        if self._open is not None:
            self._open.text.append(data)
        if self._early and self._hidden is None:
            if self.first_place is None:
                self.first_place = self._offset(token)
            self._early = False

    def _set_first_place(self, token: Token) -> None:
        self._first_pending = False
        self.first_place = self._offset(token)

    # --- start tags

    def _start(self, token: Token, tag: str) -> None:
        start = self._offset(token)
        for region in (self._quote, self._hidden):
            if region is not None and region.tag == tag:
                region.depth += 1
        if tag in RAW_TEXT:
            self._raw = tag
        if tag in _DOCUMENT:
            self._document(tag, start)
        elif self._quote is None:
            self._begin_quote(tag, start)
        if self._early:
            self._early_start(tag, start)
        if tag in LINKS:
            self._link(tag, start)
        elif tag == "img":
            self._image(start)
        elif tag == "base" and not self.base:
            self.base = self._attribute_value(start, "href")

    def _document(self, tag: str, start: int) -> None:
        """A second html or body tag after text is the beginning of somebody else's document."""
        if not self._early and tag != "head":
            self._second_document(tag, start, 1)
        self._seen.add(tag)
        if tag == "body" and self._early and self._hidden is None and not self._inside:
            tag_read = read_start_tag(self.html, start)
            self.first_place = tag_read.end if tag_read else self.first_place

    def _second_document(self, tag: str, start: int, depth: int) -> None:
        self._set_last_place(start)
        first = not self._seen or (tag == "body" and "body" not in self._seen)
        if self._quote is None and not first:
            self._open_quote(tag, depth)

    def _begin_quote(self, tag: str, start: int) -> None:
        if tag == "blockquote":
            self._set_last_place(start)
            self._open_quote(tag, 1)
        elif self._quote_marks and tag in quoted.ELEMENTS:
            marks = self._quote_attributes(start)
            if quoted.FROM_HERE.search(marks):
                self._set_last_place(start)
                self._open_quote("", 1)
            elif quoted.WITHIN.search(marks):
                self._set_last_place(start)
                self._open_quote(tag, 1)

    def _quote_attributes(self, start: int) -> str:
        tag = read_start_tag(self.html, start)
        found = tag.attributes if tag else []
        return " ".join(value_of(self.html, one) for one in found if one.name in quoted.ATTRIBUTES)

    def _open_quote(self, tag: str, depth: int) -> None:
        self._quote = _Region(tag, depth)
        self._watched.add(tag)

    def _set_last_place(self, offset: int) -> None:
        """The first call decides; a place inside a link or an element nobody sees is no place."""
        if self.last_place is None:
            self.last_place = -1 if self._hidden is not None or self._inside else offset

    def _early_start(self, tag: str, start: int) -> None:
        if self._hidden is not None or tag in _HEAD or tag == "body":
            return
        if self.first_place is None:
            self.first_place = start
        read = read_start_tag(self.html, start)
        if read is not None and tag not in _VOID and _is_unseen(self.html, read):
            self._hidden = _Region(tag)
            self._watched.add(tag)

    # --- links and images

    def _link(self, tag: str, start: int) -> None:
        read = read_start_tag(self.html, start)
        if read is None:
            return
        if tag != "area":
            self._open, self._inside = None, tag
        marked = [] if self._quote is not None else _marks(self.html, read)
        href = read.first("href")
        if href is None or href.value_start < 0:
            self.marks += marked
            return
        link = Link(tag, href, value_of(self.html, href), start, marked, self._quote is not None)
        self.links.append(link)
        if tag == "area":
            link.text.append(value_of(self.html, read.first("alt")))
        else:
            self._open = link

    def _image(self, start: int) -> None:
        if self._open is None and not self._want_images:
            return
        read = read_start_tag(self.html, start)
        if read is None:
            return
        if self._open is not None and not "".join(self._open.text).strip():
            self._open.text.append(value_of(self.html, read.first("alt")))
        if self._want_images:
            source = value_of(self.html, read.first("src"))
            self.images.append(Image(start, read.end, source, self._quote is not None))

    def _attribute_value(self, start: int, name: str) -> str:
        read = read_start_tag(self.html, start)
        return value_of(self.html, read.first(name)) if read else ""

    # --- end tags

    def _end(self, token: Token, tag: str) -> None:
        if tag == self._raw:
            self._raw = ""
        if tag == self._inside:
            self._open, self._inside = None, ""
        if tag in ("body", "html") and self._quote is None:
            self._set_last_place(self._offset(token))
        if self._quote is not None and self._quote.tag == tag:
            self._quote.depth -= 1
            self._quote = self._quote if self._quote.depth > 0 else None
        if self._hidden is not None and self._hidden.tag == tag:
            self._hidden.depth -= 1
            if self._hidden.depth <= 0:
                self._hidden = None
                self._first_pending = self._early and not self._inside

    # --- comments

    def _comment(self, token: Token) -> None:
        """What a conditional comment holds is markup to the program that understands it (Outlook for Windows)."""
        data = token.data
        if data is None or data[:3].lower() != "[if":
            return
        start = self._offset(token)
        opening = _CONDITIONAL.match(self.html, start)
        if opening is None:
            return
        closing = _COMMENT_END.search(self.html, opening.end())
        inner = self.html[opening.end() : closing.start() if closing else len(self.html)]
        if inner:
            self._adopt(inner, opening.end())

    def _adopt(self, inner: str, shift: int) -> None:
        held = _Held(inner, images=self._want_images)
        for link in held.links:
            link.href = link.href._replace(
                start=link.href.start + shift,
                end=link.href.end + shift,
                value_start=link.href.value_start + shift,
                value_end=link.href.value_end + shift,
            )
            link.start += shift
            link.marks = [(start + shift, end + shift, new) for start, end, new in link.marks]
            link.quoted = self._quote is not None
        self.links += held.links
        self.marks += [(start + shift, end + shift, new) for start, end, new in held.marks]
        for image in held.images:
            image.start, image.end, image.quoted = image.start + shift, image.end + shift, self._quote is not None
        self.images += held.images

    # --- the end of the document

    def _finish(self, token: Token | None) -> None:
        end = len(self.html)
        if self._first_pending or self.first_place is None:
            self.first_place = end if self._ends_in_text(token) else None
        if self.last_place is None and self._ends_in_text(token):
            self._set_last_place(end)
        if self.last_place == -1:
            self.last_place = None

    def _ends_in_text(self, token: Token | None) -> bool:
        """True when markup appended to the document is read as markup: no open comment, tag or raw text element."""
        if self._raw:
            return False
        probe = self.html[self._offset(token) if token else 0 :]
        found = [one for one in tokenize(probe + "<br>", capture_attributes=False) if one.type is TokenType.START_TAG]
        return bool(found) and _Lines(probe).offset(found[-1].line, found[-1].col) == len(probe)


class _Held(Survey):
    """What a conditional comment holds: links and images, no places."""

    def _set_last_place(self, offset: int) -> None:
        pass

    def _comment(self, token: Token) -> None:
        pass

    def _open_quote(self, tag: str, depth: int) -> None:
        pass

    def _finish(self, token: Token | None) -> None:
        pass


class _Lines:
    """Offsets from lines and columns, asked for in the order of the document. Lines end as the HTML standard says."""

    def __init__(self, html: str) -> None:
        self._html = html
        self._line = 1
        self._start = 0

    def offset(self, line: int, col: int) -> int:
        while self._line < line:
            end = _LINE_END.search(self._html, self._start)
            self._start = end.end() if end else len(self._html)
            self._line += 1
        return self._start + col


def _is_unseen(html: str, tag: StartTag) -> bool:
    for attribute in tag.attributes:
        if attribute.name == "hidden":
            return True
        if attribute.name == "style" and _UNSEEN.search(value_of(html, attribute)):
            return True
        if attribute.name in ("class", "id") and _PREHEADER.search(value_of(html, attribute)):
            return True
    return False


def _marks(html: str, tag: StartTag) -> list[tuple[int, int, str]]:
    return [without(html, one) for one in tag.attributes if one.name == "data-no-track"]
