"""Finds in a document its links and images, and the places where a pixel may stand, in one pass.

The document is cut into tokens by a tokenizer that follows the HTML standard; nothing here searches for tags itself.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from turbohtml import Token, TokenType, tokenize

from tracker.outbound.plain_text_lines import Lines, ends_in_text
from tracker.outbound.rewriter import quoted
from tracker.outbound.rewriter.document import Document, Edit, Image, Link
from tracker.outbound.rewriter.html_attributes import RAW_TEXT, first_attribute, read_start_tag, without

LINKS = frozenset({"a", "area"}) | {
    f"v:{shape}"
    for shape in ("rect", "roundrect", "shape", "oval", "line", "polyline", "arc", "curve", "image", "group")
}
"""Elements whose href is a link, the shapes of Outlook's VML among them."""

NO_TRACK = "data-no-track"

_CONDITIONAL_WATCHED = LINKS | {"img"}
_WATCHED: frozenset[str | None] = _CONDITIONAL_WATCHED | {"html", "body", "blockquote", "base"}
_HEAD = frozenset({"html", "head", "meta", "link", "base", "basefont", "bgsound", "template", "frameset", *RAW_TEXT})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
_BLANK = "\t\n\f\r \u00a0\u034f\u200b\u200c\u200d\ufeff\u00ad"
_UNSEEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|max-height\s*:\s*0|font-size\s*:\s*[01](?![0-9.])"
    r"|opacity\s*:\s*0(?![.0-9])",
    re.IGNORECASE,
)
_PREHEADER = re.compile(r"pre-?header|preview-?text", re.IGNORECASE)
_CONDITIONAL = re.compile(r"<!--\[if[^\]]*+\]>", re.IGNORECASE)
_COMMENT_END = re.compile(r"--!?>")
_TEXT, _START, _END, _COMMENT = TokenType.TEXT, TokenType.START_TAG, TokenType.END_TAG, TokenType.COMMENT


def scan(html: str) -> Document:
    """The document, read once. Never raises; linear in its size."""
    return _Scan(html).read()


@dataclass(slots=True)
class _Region:
    """An element that we are inside of, followed by counting the tags of its name."""

    tag: str
    depth: int = 1

    def open_after(self, tag: str) -> "_Region | None":
        """The region behind an end tag of that name, None when that ended it."""
        self.depth -= tag == self.tag
        return self if self.depth > 0 else None


class _Scan:
    def __init__(self, html: str) -> None:
        self.html = html
        self.document = Document(html)
        self._lines = Lines(html)
        self._last_tag = 0
        self._link: Link | None = None  # whose text we are in
        self._inside = ""  # the tag of a link, with or without href, that was not closed
        self._quote: _Region | None = None
        self._hidden: _Region | None = None
        self._documents: set[str] = set()
        self._text_seen = False
        self._has_frames = False

    def read(self) -> Document:
        octets = self.html.encode(
            "utf-8", "surrogatepass"
        ).lower()  # far quicker to search than text with wide characters
        self._may_be_marked = NO_TRACK.encode() in octets
        watched = _WATCHED | quoted.ELEMENTS if quoted.has_marks(octets) else _WATCHED
        if b"<!--[if" in octets:
            watched |= {None}  # comments have no tag
        tokens = tokenize(self.html, capture_source=True)
        self._read_unseen(tokens)
        for token in [token for token in tokens if token.tag in watched]:
            kind = token.type
            if kind is _START:
                self._start(token, self._offset(token))
            elif kind is _END:
                self._end(token, self._offset(token))
            elif kind is _COMMENT:
                self._comment(token)
        self._finish()
        return self.document

    def _offset(self, token: Token) -> int:
        offset = self._last_tag = self._lines.offset(token.line, token.col)
        return offset

    def _end_of(self, token: Token, start: int) -> int:
        return self._lines.end(start, token.source or "")

    # --- up to the first text that people see

    def _read_unseen(self, tokens: Iterator[Token]) -> None:
        """Until there is such a text, an element may be the hidden one that mailboxes show as preview."""
        raw = ""
        behind_hidden = False
        for token in tokens:
            kind, tag = token.type, token.tag or ""
            if behind_hidden:
                self.document.first_place, behind_hidden = self._offset(token), False
            if kind is _TEXT:
                if not raw and self._hidden is None and (token.data or "").strip(_BLANK):
                    self._set_first_place(self._offset(token))
                    self._text_seen = True
                    return
            elif kind is _START:
                raw = tag if tag in RAW_TEXT else ""
                self._unseen_start(token, tag)
            elif kind is _END:
                raw = "" if tag == raw else raw
                was_hidden = self._hidden is not None
                self._end(token, self._offset(token))
                behind_hidden = was_hidden and self._hidden is None and not self._inside
            elif kind is _COMMENT:
                self._comment(token)
        if behind_hidden and self._ends_in_text():
            self.document.first_place = len(self.html)

    def _unseen_start(self, token: Token, tag: str) -> None:
        start = self._offset(token)
        if self._hidden is not None:
            self._hidden.depth += tag == self._hidden.tag
        elif tag not in _HEAD and tag != "body":
            self._set_first_place(start)
            if tag not in _VOID and _is_unseen(token.attrs or []):
                self._hidden = _Region(tag)
        elif tag == "body" and not self._inside:
            self.document.first_place = self._end_of(token, start)
        elif tag == "frameset":
            self._has_frames = True
        if tag in _WATCHED or tag in quoted.ELEMENTS:
            self._start(token, start)

    def _set_first_place(self, offset: int) -> None:
        if self.document.first_place is None:
            self.document.first_place = offset

    # --- start tags

    def _start(self, token: Token, start: int) -> None:
        tag = token.tag or ""
        if self._quote is not None and self._quote.tag == tag:
            self._quote.depth += 1
        if tag in _CONDITIONAL_WATCHED:
            self._link_or_image(token, tag, start)
        elif tag in ("html", "body"):
            self._begin_document(tag, start)
        elif tag == "base":
            self.document.base = self.document.base or token.attr("href") or ""
        elif self._quote is None:
            self._begin_quote(token, tag, start)

    def _begin_document(self, tag: str, start: int) -> None:
        """A second html or body tag after text is the beginning of somebody else's document."""
        if self._text_seen:
            self._set_last_place(start)
            first = not self._documents or (tag == "body" and tag not in self._documents)
            if self._quote is None and not first:
                self._quote = _Region(tag)
        self._documents.add(tag)

    def _begin_quote(self, token: Token, tag: str, start: int) -> None:
        values = " ".join(value for name, value in token.attrs or () if name in quoted.ATTRIBUTES).lower()
        if tag != "blockquote" and quoted.begins_from_here(values):
            self._quote = _Region("")
        elif tag == "blockquote" or quoted.begins_within(values):
            self._quote = _Region(tag)
        if self._quote is not None:
            self._set_last_place(start)

    def _set_last_place(self, offset: int) -> None:
        """The first call decides; a place inside a link or an element nobody sees is no place."""
        if self.document.last_place is None:
            self.document.last_place = -1 if self._hidden is not None or self._inside else offset

    # --- links and images

    def _link_or_image(self, token: Token, tag: str, start: int) -> None:
        if tag == "img":
            self.document.images.append(Image(start, self._end_of(token, start), token.attr("src") or ""))
            return
        if tag != "area":
            self._close_link(start)
            self._inside = tag
        marks = self._marks(start) if self._may_be_marked and self._quote is None else []
        self.document.marks += marks
        href = first_attribute(self.html, start, "href")
        if href is None or href.value_start < 0:
            return
        link = Link(
            token.attr("href") or "", href.value_start, href.value_end, href.quote, start, self._end_of(token, start)
        )
        link.quoted, link.marked = self._quote is not None, bool(marks)
        self.document.links.append(link)
        if tag == "area":
            link.text = token.attr("alt") or ""
        else:
            self._link = link

    def _marks(self, start: int) -> list[Edit]:
        tag = read_start_tag(self.html, start)
        return [Edit(*without(self.html, a)) for a in tag.attributes if a.name == NO_TRACK] if tag else []

    def _close_link(self, offset: int) -> None:
        if self._link is not None:
            self._link.text_end = offset
            self._link = None
        self._inside = ""

    # --- end tags

    def _end(self, token: Token, start: int) -> None:
        tag = token.tag or ""
        if tag == self._inside:
            if self._link is not None:
                self._link.tag_end = self._end_of(token, start)
            self._close_link(start)
        elif tag in ("body", "html") and self._quote is None:
            self._set_last_place(start)
        if self._quote is not None:
            self._quote = self._quote.open_after(tag)
        if self._hidden is not None:
            self._hidden = self._hidden.open_after(tag)

    # --- comments

    def _comment(self, token: Token) -> None:
        """What a conditional comment holds is markup to the program that understands it (Outlook for Windows)."""
        if (token.data or "")[:3].lower() != "[if":
            return
        opening = _CONDITIONAL.match(self.html, self._offset(token))
        if opening is None:
            return
        closing = _COMMENT_END.search(self.html, opening.end())
        held = self.html[opening.end() : closing.start() if closing else len(self.html)]
        if "<" in held:
            outer, self._link, self._inside = (self._link, self._inside), None, ""
            self._read_conditional(held, opening.end())
            self._link, self._inside = outer

    def _read_conditional(self, held: str, shift: int) -> None:
        """Links and images alone: there are no places and no quotes."""
        lines, first = Lines(held), len(self.document.links)
        whole = held + ">" if held.endswith("<![endif]") else held
        for token in [t for t in tokenize(whole, capture_source=True) if t.tag in _CONDITIONAL_WATCHED]:
            start = shift + lines.offset(token.line, token.col)
            if token.type is _START:
                self._link_or_image(token, token.tag or "", start)
            elif token.tag == self._inside:
                self._close_link(start)
        self._close_link(shift + len(held))
        for link in self.document.links[first:]:
            link.conditional = True

    # --- the end of the document

    def _finish(self) -> None:
        document, end = self.document, len(self.html)
        if self._link is not None:  # nobody closed it: it stays open, and no pixel is put behind it
            self._link.text_end = end
        if (document.last_place is None or document.first_place is None) and self._ends_in_text():
            self._set_first_place(end)
            self._set_last_place(end)
        if document.last_place == -1 or self._has_frames:
            document.last_place = None
        if self._has_frames:
            document.first_place = None

    def _ends_in_text(self) -> bool:
        """True when markup appended to the document is read as markup: no open comment, tag or raw text element."""
        return ends_in_text(self.html[self._last_tag :])


def _is_unseen(attributes: Iterable[tuple[str, str]]) -> bool:
    """True when a start tag with these attributes hides its element, or names it as the text for previews."""
    return any(
        name == "hidden"
        or (name == "style" and _UNSEEN.search(value) is not None)
        or (name in ("class", "id") and _PREHEADER.search(value) is not None)
        for name, value in attributes
    )
