"""Finds in a document its links and images, and the places where a pixel may stand, in one pass.

The document is cut into tokens by a tokenizer that follows the HTML standard; nothing here searches for tags itself.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from operator import attrgetter

from turbohtml import Token, TokenType, tokenize

from tracker.outbound.rewriter import quoted
from tracker.outbound.rewriter.document import Document, Edit, Image, Link
from tracker.outbound.rewriter.href import trimmed, usual_host, web_address
from tracker.outbound.rewriter.html_attributes import RAW_TEXT, find_href, read_start_tag, without

LINKS = frozenset({"a", "area"}) | {
    f"v:{shape}"
    for shape in ("rect", "roundrect", "shape", "oval", "line", "polyline", "arc", "curve", "image", "group")
}
"""Elements whose href is a link, the shapes of Outlook's VML among them."""

NO_TRACK = "data-no-track"

_CONDITIONAL_WATCHED = LINKS | {"img"}
_TAGS = _CONDITIONAL_WATCHED | {"html", "body", "blockquote", "base"}
_NAME_END = r"(?=[\t\n\f\r />])"
_WATCHED = re.compile(
    rf"</?(?:{'|'.join(sorted(_TAGS))}){_NAME_END}|<!--\[if|{quoted.FROM_COMMENT}|({quoted.MAY_BEGIN})", re.DOTALL
)
_ORIGINAL_MESSAGE = re.compile(quoted.FROM_COMMENT, re.IGNORECASE)
_ELEMENT = re.compile(rf"</?(?:{'|'.join(sorted(quoted.ELEMENTS))}){_NAME_END}")
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
_BATCH = 1000  # tokens that are held at a time: more of them are slower to reach
_SOURCE = attrgetter("source")
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
        self._last_tag = 0
        self._link: Link | None = None  # whose text we are in
        self._inside = ""  # the tag of a link, with or without href, that was not closed
        self._quote: _Region | None = None
        self._quote_start = 0
        self._hidden: _Region | None = None
        self._documents: set[str] = set()
        self._text_seen = False
        self._has_frames = False

    def read(self) -> Document:
        tokens = _tokens(self.html)
        self._read_unseen(tokens)
        while batch := list(islice(tokens, _BATCH)):
            self._read_seen(batch)
        self._finish()
        return self.document

    def _read_seen(self, tokens: Sequence[Token]) -> None:
        """The same few tags come again and again: what their sources say is looked at once each."""
        sources = list(map(_SOURCE, tokens))
        each = {source: source.lower() for source in set(sources) if source is not None}
        watched = {source: match for source, lowered in each.items() if (match := _WATCHED.match(lowered)) is not None}
        marked = {source for source, match in watched.items() if match.lastindex is not None}
        matter = set(watched)
        if marked or self._quote is not None:
            matter |= {source for source, lowered in each.items() if _ELEMENT.match(lowered) is not None}
        for token in compress(tokens, map(matter.__contains__, sources)):
            kind, tag = token.type, token.tag or ""
            if kind is _START:
                if tag not in quoted.ELEMENTS or (self._quote.tag == tag if self._quote else token.source in marked):
                    self._start(token, tag)
            elif kind is _END:
                self._end(token, tag)
            elif kind is _COMMENT:
                self._comment(token)

    # --- up to the first text that people see

    def _read_unseen(self, tokens: Iterator[Token]) -> None:
        """Until there is such a text, an element may be the hidden one that mailboxes show as preview."""
        raw = ""
        behind_hidden = False
        for token in tokens:
            kind, tag = token.type, token.tag or ""
            if behind_hidden:
                self.document.first_place, behind_hidden = token.col, False
            if kind is _TEXT:
                if not raw and self._hidden is None and (token.data or "").strip(_BLANK):
                    self._set_first_place(token.col)
                    self._text_seen = True
                    return
            elif kind is _START:
                raw = tag if tag in RAW_TEXT else ""
                self._unseen_start(token, tag)
            elif kind is _END:
                raw = "" if tag == raw else raw
                was_hidden = self._hidden is not None
                self._end(token, tag)
                behind_hidden = was_hidden and self._hidden is None and not self._inside
            elif kind is _COMMENT:
                self._comment(token)
        if behind_hidden and self._ends_in_text():
            self.document.first_place = len(self.html)

    def _unseen_start(self, token: Token, tag: str) -> None:
        if self._hidden is not None:
            self._hidden.depth += tag == self._hidden.tag
        elif tag not in _HEAD and tag != "body":
            self._set_first_place(token.col)
            if tag not in _VOID and _is_unseen(token.attrs or []):
                self._hidden = _Region(tag)
        elif tag == "body" and not self._inside:
            self.document.first_place = _end_of(token)
        elif tag == "frameset":
            self._has_frames = True
        if tag in _TAGS or tag in quoted.ELEMENTS:
            self._start(token, tag)

    def _set_first_place(self, offset: int) -> None:
        if self.document.first_place is None:
            self.document.first_place = offset

    # --- start tags

    def _start(self, token: Token, tag: str) -> None:
        self._last_tag = token.col
        if self._quote is not None and self._quote.tag == tag:
            self._quote.depth += 1
        if tag in _CONDITIONAL_WATCHED:
            self._link_or_image(token, tag)
        elif tag in ("html", "body"):
            self._begin_document(tag, token.col)
        elif tag == "base":
            self.document.base = self.document.base or token.attr("href") or ""
        elif self._quote is None:
            self._begin_quote(token, tag)

    def _begin_document(self, tag: str, start: int) -> None:
        """A second html or body tag after text is the beginning of somebody else's document."""
        if self._text_seen:
            self._set_last_place(start)
            first = not self._documents or (tag == "body" and tag not in self._documents)
            if self._quote is None and not first:
                self._quote, self._quote_start = _Region(tag), start
        self._documents.add(tag)

    def _begin_quote(self, token: Token, tag: str) -> None:
        values = " ".join(value for name, value in token.attrs or () if name in quoted.ATTRIBUTES).lower()
        if tag != "blockquote" and quoted.begins_from_here(values):
            self._quote_from(token.col, "")
        elif tag == "blockquote" or quoted.begins_within(values):
            self._quote_from(token.col, tag)

    def _quote_from(self, start: int, tag: str) -> None:
        """The older message begins, and goes on to the end of that element; to the end of the document without one."""
        self._quote, self._quote_start = _Region(tag), start
        self._set_last_place(start)

    def _set_last_place(self, offset: int) -> None:
        """The first call decides; a place inside a link or an element nobody sees is no place."""
        if self.document.last_place is None:
            self.document.last_place = -1 if self._hidden is not None or self._inside else offset

    # --- links and images

    def _link_or_image(self, token: Token, tag: str, shift: int = 0) -> None:
        start = shift + token.col
        end = start + len(token.source or "")
        if tag == "img":
            self.document.images.append(Image(start, end, token.attr("src") or ""))
            return
        if tag != "area":
            self._close_link(start)
            self._inside = tag
        marks = self._marks(start) if self._quote is None and token.attr(NO_TRACK) is not None else None
        if marks:
            self.document.marks += marks
        href = find_href(self.html, start)
        if href is None:
            return
        value_start, value_end, quote = href
        value = token.attr("href") or ""
        host = usual_host(value)
        url = web_address(trimmed(value)) if host is None else value
        link = Link(value, url, host, value_start, value_end, quote, start, end)
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

    def _end(self, token: Token, tag: str) -> None:
        self._last_tag = token.col
        if tag == self._inside:
            if self._link is not None:
                self._link.tag_end = _end_of(token)
            self._close_link(token.col)
        elif tag in ("body", "html") and self._quote is None:
            self._set_last_place(token.col)
        if self._quote is not None:
            self._quote = self._quote.open_after(tag)
            if self._quote is None:
                self.document.quotes.append((self._quote_start, _end_of(token)))
        if self._hidden is not None:
            self._hidden = self._hidden.open_after(tag)

    # --- comments

    def _comment(self, token: Token) -> None:
        """What a conditional comment holds is markup to the program that understands it (Outlook for Windows)."""
        if self._quote is None and _ORIGINAL_MESSAGE.fullmatch(token.source or "") is not None:
            self._quote_from(token.col, "")
        if (token.data or "")[:3].lower() != "[if":
            return
        self._last_tag = token.col
        opening = _CONDITIONAL.match(self.html, token.col)
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
        first = len(self.document.links)
        whole = held + ">" if held.endswith("<![endif]") else held
        for token in [t for t in _tokens(whole) if t.tag in _CONDITIONAL_WATCHED]:
            if token.type is _START:
                self._link_or_image(token, token.tag or "", shift)
            elif token.tag == self._inside:
                self._close_link(shift + token.col)
        self._close_link(shift + len(held))
        for link in self.document.links[first:]:
            link.conditional = True

    # --- the end of the document

    def _finish(self) -> None:
        document, end = self.document, len(self.html)
        if self._quote is not None:
            document.quotes.append((self._quote_start, end))
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
        probe = self.html[self._last_tag :]
        starts = [token for token in _tokens(probe + "<br>") if token.type is _START]
        return bool(starts) and starts[-1].col == len(probe)


def _tokens(html: str) -> Iterator[Token]:
    """Tokens whose columns are offsets in the text: as one line, with a tab for every character of a line end.

    In markup a tab is what a line end is, and of an address both are left out.
    """
    return tokenize(html.replace("\r", "\t").replace("\n", "\t"), capture_source=True)


def _end_of(token: Token) -> int:
    return token.col + len(token.source or "")


def _is_unseen(attributes: Iterable[tuple[str, str]]) -> bool:
    """True when a start tag with these attributes hides its element, or names it as the text for previews."""
    return any(
        name == "hidden"
        or (name == "style" and _UNSEEN.search(value) is not None)
        or (name in ("class", "id") and _PREHEADER.search(value) is not None)
        for name, value in attributes
    )
