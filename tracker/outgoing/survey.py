"""What the rewriter needs to know of a document: its links, its images, and the places where a pixel may stand.

The document is cut into tokens by a tokenizer that follows the HTML standard; nothing here searches for tags itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from turbohtml import Token, TokenType, tokenize

from tracker.outgoing import quoted, skim
from tracker.outgoing.lines import Lines, ends_in_text, lowered
from tracker.outgoing.links import Link, read_link
from tracker.outgoing.tags import RAW_TEXT, Cut, decoded, first_attribute, read_start_tag, value_of, without
from tracker.outgoing.unseen import BLANK, is_blank, is_unseen

LINKS = skim.LINKS
NO_TRACK = "data-no-track"

_WATCHED: frozenset[str | None] = LINKS | {"html", "body", "blockquote", "img", "base"}
_HEAD = frozenset({"html", "head", "meta", "link", "base", "basefont", "bgsound", "template", "frameset", *RAW_TEXT})
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
_CONDITIONAL = re.compile(r"<!--\[if[^\]]*+\]>", re.IGNORECASE)
_COMMENT_END = re.compile(r"--!?>")
_TEXT, _START, _END, _COMMENT = TokenType.TEXT, TokenType.START_TAG, TokenType.END_TAG, TokenType.COMMENT


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
    """One pass over a document. `last_place` and `first_place` are offsets for a pixel, None where none is safe.

    `marks` are the `data-no-track` of elements without an href. The last place is the end of our own part, before quoted
    history; the first is its beginning, behind what only the preview of a mailbox shows.
    """

    def __init__(self, html: str, *, images: bool = True) -> None:
        self.html = html
        self._want_images = images
        self._begin()
        if "\0" in html or not self._skim():
            self._begin()
            self._read()

    def _begin(self) -> None:
        self.links: list[Link] = []
        self.images: list[Image] = []
        self.marks: list[Cut] = []
        self.base = ""
        self.first_place: int | None = None
        self.last_place: int | None = None
        self._open: Link | None = None
        self._inside = ""  # the tag of a link, with or without href, that was not closed
        self._quote: _Region | None = None
        self._hidden: _Region | None = None
        self._documents: set[str] = set()
        self._no_place = False
        self._last_tag = -1
        self._marked = True
        self._names_no_track = NO_TRACK in self.html

    # --- the quick way, for documents without oddities

    def _skim(self) -> bool:
        """False when something odd was met: then nothing of what was found holds."""
        position = self._skim_unseen()
        if position is None or not self._skim_from(position):
            return False
        self._finish()
        return True

    def _skim_unseen(self) -> int | None:
        """Where the first text begins that people see, the end of the document without one, None for an oddity."""
        behind_hidden = False
        for found in skim.EVERY_PIECE.finditer(self.html):
            kind, start = found.lastindex, found.start()
            if behind_hidden:
                self.first_place, behind_hidden = start, False
            if kind == skim.TEXT:
                if self._hidden is None and not is_blank(found[skim.TEXT]):
                    self._set_first_place(start)
                    return start
            elif kind == skim.OPENING:
                self._unseen_start(found[skim.OPENING], start, found.end())
            elif kind == skim.CLOSING:
                was_hidden = self._hidden is not None
                self._end(found[skim.CLOSING], start)
                behind_hidden = was_hidden and self._hidden is None and not self._inside
            elif kind == skim.CONDITIONAL_COMMENT:
                self._conditional(start)
            elif kind is None:
                return start if start == len(self.html) else None
        return None

    def _skim_from(self, position: int) -> bool:
        """From the first text that people see; the pattern changes with every quote that begins or ends."""
        outside = skim.outside(":3.0" in self.html)  # once: quotes may begin again and again in a long document
        while True:
            quote = self._quote
            pattern = outside if quote is None else skim.within(quote.tag)
            for found in pattern.finditer(self.html, position):
                kind = found.lastindex
                if kind == skim.CLOSED_LINK or kind == skim.ADDRESS or kind == skim.LINK:
                    self._usual_link(found, kind == skim.CLOSED_LINK)
                elif kind == skim.END:
                    self._end(found[skim.END], found.start(skim.END) - 2)
                elif kind == skim.START:
                    self._start(found[skim.START], found.start(skim.START) - 1, True)
                elif kind == skim.CONDITIONAL:
                    self._conditional(found.start(skim.CONDITIONAL) - 1)
                else:
                    return kind == skim.THE_END
                if self._quote is not quote:
                    position = found.end()
                    break

    def _usual_link(self, found: re.Match[str], closed: bool) -> None:
        """A link whose values stand between double quotes, with its text and end tag where that is simple."""
        _, address, host, value, text, _ = found.group(1, 2, 3, 4, 5, 6)
        start, end = found.span(skim.ADDRESS if address is not None else skim.LINK)
        value = address.replace("&amp;", "&") if address is not None else decoded(value)
        link = Link(value, start, end, '"', found.end() if text is None else found.start(5), host or "")
        link.quoted = self._quote is not None
        if self._inside:
            self._close_link(found.start(1))
        if not link.quoted and self._names_no_track:
            link.marks = _marks(self.html, found.start(1))
        self.links.append(link)
        if closed:
            link.text_end = found.start(6)
        else:
            self._inside, self._open = "a", link

    # --- the tokenizer's way

    def _read(self) -> None:
        self._lines = Lines(self.html)
        self._last_tag = 0
        octets = lowered(self.html)
        self._marked = NO_TRACK.encode() in octets
        watched = _WATCHED | quoted.ELEMENTS if quoted.has_marks(octets) else _WATCHED
        if b"<!--[if" in octets:
            watched |= {None}  # comments have no tag
        tokens = tokenize(self.html, capture_attributes=False)
        seen = self._read_unseen(tokens)
        for token in [token for token in tokens if token.tag in watched]:
            kind = token.type
            if kind is _START:
                self._start(token.tag or "", self._offset(token), seen)
            elif kind is _END:
                self._end(token.tag or "", self._offset(token))
            elif kind is _COMMENT:
                self._comment(token)
        self._finish()

    def _offset(self, token: Token) -> int:
        offset = self._last_tag = self._lines.offset(token.line, token.col)
        return offset

    # --- up to the first text that people see

    def _read_unseen(self, tokens: Iterator[Token]) -> bool:
        """True when there is such a text; until then an element may be the hidden one that mailboxes show as preview."""
        raw = ""
        behind_hidden = False
        for token in tokens:
            kind, tag = token.type, token.tag or ""
            if behind_hidden:
                self.first_place, behind_hidden = self._offset(token), False
            if kind is _TEXT:
                if not raw and self._hidden is None and (token.data or "").strip(BLANK):
                    self._set_first_place(self._offset(token))
                    return True
            elif kind is _START:
                raw = tag if tag in RAW_TEXT else ""
                self._unseen_start(tag, self._offset(token))
            elif kind is _END:
                raw = "" if tag == raw else raw
                was_hidden = self._hidden is not None
                self._end(tag, self._offset(token))
                behind_hidden = was_hidden and self._hidden is None and not self._inside
            elif kind is _COMMENT:
                self._comment(token)
        if behind_hidden and self._ends_in_text():
            self.first_place = len(self.html)
        return False

    def _unseen_start(self, tag: str, start: int, end: int | None = None) -> None:
        if self._hidden is not None:
            self._hidden.depth += tag == self._hidden.tag
        elif tag not in _HEAD and tag != "body":
            self._set_first_place(start)
            if tag not in _VOID and is_unseen(self.html, start, end):
                self._hidden = _Region(tag)
        elif tag == "body" and not self._inside and (end := end or _end_of_tag(self.html, start)) is not None:
            self.first_place = end
        elif tag == "frameset":
            self._no_place = True
        if tag in _WATCHED or tag in quoted.ELEMENTS:
            self._start(tag, start, False)

    def _set_first_place(self, offset: int) -> None:
        if self.first_place is None:
            self.first_place = offset

    # --- start tags

    def _start(self, tag: str, start: int, seen: bool) -> None:
        if self._quote is not None and self._quote.tag == tag:
            self._quote.depth += 1
        if tag in LINKS:
            self._link(tag, start)
        elif tag == "img":
            self._image(start)
        elif tag in ("html", "body"):
            self._document(tag, start, seen)
        elif tag == "base":
            self.base = self.base or value_of(self.html, first_attribute(self.html, start, "href"))
        elif self._quote is None:
            self._begin_quote(tag, start)

    def _document(self, tag: str, start: int, seen: bool) -> None:
        """A second html or body tag after text is the beginning of somebody else's document."""
        if seen:
            self._set_last_place(start)
            first = not self._documents or (tag == "body" and tag not in self._documents)
            if self._quote is None and not first:
                self._quote = _Region(tag)
        self._documents.add(tag)

    def _begin_quote(self, tag: str, start: int) -> None:
        marks = "blockquote" if tag == "blockquote" else self._quote_attributes(start)
        if quoted.begins_from_here(marks):
            self._quote = _Region("")
        elif tag == "blockquote" or quoted.begins_within(marks):
            self._quote = _Region(tag)
        if self._quote is not None:
            self._set_last_place(start)

    def _quote_attributes(self, start: int) -> str:
        tag = read_start_tag(self.html, start)
        found = tag.attributes if tag else []
        return " ".join(value_of(self.html, one) for one in found if one.name in quoted.ATTRIBUTES).lower()

    def _set_last_place(self, offset: int) -> None:
        """The first call decides; a place inside a link or an element nobody sees is no place."""
        if self.last_place is None:
            self.last_place = -1 if self._hidden is not None or self._inside else offset

    # --- links and images

    def _link(self, tag: str, start: int) -> None:
        if tag != "area":
            self._close_link(start)
            self._inside = tag
        is_quoted = self._quote is not None
        marks = _marks(self.html, start) if self._marked and not is_quoted else []
        link = read_link(self.html, start)
        if link is None:
            self.marks += marks
            return
        link.quoted, link.marks = is_quoted, marks
        self.links.append(link)
        if tag == "area":
            link.text = value_of(self.html, first_attribute(self.html, start, "alt"))
        else:
            self._open = link

    def _close_link(self, offset: int) -> None:
        if self._open is not None:
            self._open.text_end = offset
            self._open = None
        self._inside = ""

    def _image(self, start: int) -> None:
        if not self._want_images:
            return
        usual = skim.IMAGE.match(self.html, start)
        if usual is not None:
            self.images.append(Image(start, usual.end(), decoded(usual[1]), self._quote is not None))
        elif (tag := read_start_tag(self.html, start)) is not None:
            source = value_of(self.html, tag.first("src"))
            self.images.append(Image(start, tag.end, source, self._quote is not None))

    # --- end tags

    def _end(self, tag: str, start: int) -> None:
        if tag == self._inside:
            self._close_link(start)
        elif tag in ("body", "html") and self._quote is None and self.last_place is None:
            self._set_last_place(start)
        if self._quote is not None and self._quote.tag == tag:
            self._quote.depth -= 1
            self._quote = self._quote if self._quote.depth > 0 else None
        if self._hidden is not None and self._hidden.tag == tag:
            self._hidden.depth -= 1
            self._hidden = self._hidden if self._hidden.depth > 0 else None

    # --- comments

    def _comment(self, token: Token) -> None:
        """What a conditional comment holds is markup to the program that understands it (Outlook for Windows)."""
        if (token.data or "")[:3].lower() == "[if":
            self._conditional(self._offset(token))

    def _conditional(self, start: int) -> None:
        opening = _CONDITIONAL.match(self.html, start)
        if opening is None:
            return
        closing = _COMMENT_END.search(self.html, opening.end())
        inner = self.html[opening.end() : closing.start() if closing else len(self.html)]
        inner += ">" if inner.endswith("<![endif]") else ""
        if "<" in inner:
            self._adopt(_Held(inner, images=self._want_images), opening.end())

    def _adopt(self, held: "Survey", shift: int) -> None:
        is_quoted = self._quote is not None
        for link in held.links:
            link.shift(self.html, shift)
            link.quoted = is_quoted
        for image in held.images:
            image.start, image.end, image.quoted = image.start + shift, image.end + shift, is_quoted
        self.links += held.links
        self.images += held.images
        self.marks += [(start + shift, end + shift, new) for start, end, new in held.marks]

    # --- the end of the document

    def _finish(self) -> None:
        end = len(self.html)
        self._close_open_at(end)
        if (self.last_place is None or self.first_place is None) and self._ends_in_text():
            self._set_first_place(end)
            self._set_last_place(end)
        if self.last_place == -1 or self._no_place:
            self.last_place = None
        if self._no_place:
            self.first_place = None

    def _close_open_at(self, end: int) -> None:
        """The text of a link that nobody closed ends with the document, and it stays open: no pixel behind it."""
        if self._open is not None:
            self._open.text_end = end

    def _ends_in_text(self) -> bool:
        """True when markup appended to the document is read as markup: no open comment, tag or raw text element."""
        if self._last_tag < 0:
            return True  # the quick way ends in no other way
        return ends_in_text(self.html[self._last_tag :])


class _Held(Survey):
    """What a conditional comment holds: links and images, no places and no quotes of its own."""

    def _skim_unseen(self) -> int | None:
        return 0

    def _read_unseen(self, tokens: Iterator[Token]) -> bool:
        return True

    def _conditional(self, start: int) -> None:
        pass

    def _begin_quote(self, tag: str, start: int) -> None:
        pass

    def _document(self, tag: str, start: int, seen: bool) -> None:
        pass

    def _finish(self) -> None:
        self._close_open_at(len(self.html))


def _end_of_tag(html: str, start: int) -> int | None:
    tag = read_start_tag(html, start)
    return tag.end if tag is not None else None


def _marks(html: str, start: int) -> list[Cut]:
    tag = read_start_tag(html, start)
    return [without(html, one) for one in tag.attributes if one.name == NO_TRACK] if tag else []
