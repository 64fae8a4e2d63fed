"""An HTML document that was scanned once, and the edits that are spliced into it together. Pure.

Whoever changes a document (links, pixel, hidden link, footer, old tracking) gives edits; every other character stays.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from turbohtml import TokenType, tokenize

from tracker.outbound.rewriter.html_attributes import RAW_TEXT, escaped

_UNFINISHED = re.compile(r"(?:<[/!?]?|&[#\w]*)\Z")


class Edit(NamedTuple):
    """The characters `start`:`end` of the document give way to `new`."""

    start: int
    end: int
    new: str


class Image(NamedTuple):
    """An image's start tag and its decoded source."""

    start: int
    end: int
    source: str


@dataclass(slots=True)
class Link:
    """`value` is the decoded href, in which a tab may stand for a line end; `url` the web address that a browser would request
    for it, None for any other, and `host` its host where it has neither port nor placeholder and reads as it is written.

    Its characters are `start`:`end` of the document, between quotes of kind `quote`. `tag_start` and `text_start` are
    where its start tag begins and ends. `text_end` is where its text ends and `tag_end` where its own end tag ends, -1
    without one. `text` is the replacement text of an area. `conditional` are links that Outlook alone reads.
    """

    value: str
    url: str | None
    host: str | None
    start: int
    end: int
    quote: str
    tag_start: int
    text_start: int
    text_end: int = -1
    tag_end: int = -1
    text: str | None = None
    marked: bool = False
    quoted: bool = False
    conditional: bool = False

    def visible_text(self, html: str) -> str:
        """What people see, in one line; the replacement text of an image where there is nothing else."""
        text = self._content(html)
        if self.text is None and ("<" in text or "&" in text):
            text = _without_markup(text)
        return " ".join(text.split())

    def may_show_address(self, html: str) -> bool:
        """False when the visible text has neither a dot nor a colon, as far as can be said without reading its markup."""
        text = self._content(html)
        return "." in text or ":" in text or "&" in text

    def _content(self, html: str) -> str:
        if self.text is not None:
            return self.text
        return html[self.text_start : self.text_end] if self.text_end >= 0 else ""

    def element(self) -> tuple[int, int] | None:
        """From its start tag to its end tag; None where it has none, and for a link that Outlook alone reads."""
        return None if self.tag_end < 0 or self.conditional else (self.tag_start, self.tag_end)


@dataclass(slots=True)
class Document:
    """What one scan of `html` found.

    `marks` take out every `data-no-track` of our own part. `last_place` and `first_place` are offsets for a pixel, None
    where none is safe: the end of our own part, before quoted history; and its beginning, behind what only the preview of
    a mailbox shows. `quotes` are the elements that hold an older message, from where to where.
    """

    html: str
    links: list[Link] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    marks: list[Edit] = field(default_factory=list)
    base: str = ""
    first_place: int | None = None
    last_place: int | None = None
    quotes: list[tuple[int, int]] = field(default_factory=list)

    def new_href(self, link: Link, url: str) -> Edit:
        """The link leads to `url`; to nowhere with an empty one."""
        new = escaped(url, link.quote or '"')
        return Edit(link.start, link.end, new if link.quote else f'"{new}"')

    def cut(self, start: int, end: int) -> Edit:
        """Takes out `start`:`end`. Text that would become a tag or a reference with what follows it is kept apart from it."""
        joins = _UNFINISHED.search(self.html, max(0, start - 40), start) is not None
        return Edit(start, end, "<!---->" if joins else "")

    def spliced(self, edits: Iterable[Edit]) -> str:
        """The text with these edits made, in whatever order they come; with none the very object."""
        pieces: list[str] = []
        position = 0
        for start, end, new in in_order(edits):
            pieces += (self.html[position:start], new)
            position = end
        return "".join([*pieces, self.html[position:]]) if pieces else self.html


def in_order(edits: Iterable[Edit]) -> list[Edit]:
    """The edits by their place, apart from each other; insertions at one place keep their order.

    An edit inside of what another one replaces is lost with it; edits that overlap otherwise are a ValueError.
    """
    apart: list[Edit] = []
    position = 0
    for edit in sorted(edits, key=_outer_first):
        if edit.start >= position:
            apart.append(edit)
            position = edit.end
        elif edit.end > position:
            raise ValueError(f"edits overlap at {edit.start}")
    return apart


def _outer_first(edit: Edit) -> tuple[int, bool, int]:
    return edit.start, edit.end > edit.start, -edit.end


def _without_markup(text: str) -> str:
    seen: list[str] = []
    alternative = raw = ""
    for token in tokenize(text):
        tag = token.tag or ""
        if token.type is TokenType.TEXT:
            seen.append("" if raw else token.data or "")
        elif token.type is not TokenType.COMMENT:
            raw = tag if token.type is TokenType.START_TAG and tag in RAW_TEXT else ""
            if tag == "img" and not alternative:
                alternative = token.attr("alt") or ""
    words = "".join(seen)
    return words if words.strip() else alternative
