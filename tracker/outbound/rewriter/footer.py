"""The footer line of a tracked copy: what is measured, and the way to one's own choice. Pure."""

import hashlib
import html as entities
import re
from collections.abc import Callable
from dataclasses import dataclass

from tracker.outbound.rewriter.document import Document, Edit, Link
from tracker.outbound.rewriter.html_attributes import escaped, read_start_tag

_MARKUP = (
    '<div style="margin:20px 0 0 0;font-family:sans-serif;font-size:12px;line-height:1.5;color:#666666">'
    '{words} <a href="{url}" style="color:#666666;text-decoration:underline">{label}</a></div>'
)
_LONGEST = 4000
_IN_MARKUP = re.compile(r"<[A-Za-z/!?][^<>]*+\Z")  # a tag or comment that has not ended: what follows is no element


@dataclass(frozen=True)
class Footer:
    """The sentence, the words of its link, and where that leads."""

    words: str
    label: str
    url: str


def mark_of(words: str) -> str:
    """A digest of a footer's words and label, however they are spaced: its link carries it, so that it is known again."""
    return hashlib.sha256(" ".join(words.split()).encode("utf-8", "replace")).hexdigest()[:8]


def put_footer(document: Document, footer: Footer | None, mark: Callable[[str], str | None]) -> list[Edit]:
    """Takes old footers out, and puts the new one at the end of our own part, before any quote.

    `mark` gives the mark in a link of ours, None for any other address. A document that has this footer stays as it is.
    """
    if footer is not None and escaped(footer.url) in document.html:
        return []
    edits = without_footers(document, mark)
    place = document.last_place if document.last_place is not None else document.first_place
    if footer is not None and place is not None:
        edits.append(Edit(place, place, _markup(footer)))
    return edits


def without_footers(document: Document, mark: Callable[[str], str | None]) -> list[Edit]:
    """Takes our footers out; of one that is not as we wrote it only the link goes, and its words stay."""
    edits: list[Edit] = []
    for link in document.links:
        written = mark(link.url or "")
        if written is None:
            continue
        block = _block(document.html, link)
        if block is not None and mark_of(_text(document.html[block[0] : block[1]])) == written:
            edits.append(document.cut(*block))
        else:
            edits.append(document.new_href(link, ""))
    return edits


def _markup(footer: Footer) -> str:
    words, label = entities.escape(footer.words), entities.escape(footer.label)
    return _MARKUP.format(words=words, url=escaped(footer.url), label=label)


def _block(html: str, link: Link) -> tuple[int, int] | None:
    """The element that holds words, the link, and nothing else; None when this is no such thing."""
    element = link.element()
    if element is None:
        return None
    start, end = element
    opening = html.rfind("<", max(0, start - _LONGEST), start)
    tag = read_start_tag(html, opening) if opening >= 0 else None
    name = html[opening + 1 : opening + 4].lower()
    if tag is None or name != "div" or "<" in html[tag.end : start]:
        return None
    if _IN_MARKUP.search(html, max(0, opening - _LONGEST), opening) is not None:
        return None
    closing = html.find("<", end)
    if html[closing : closing + 6].lower() != "</div>" or html[end:closing].strip():
        return None
    return opening, closing + 6


def _text(block: str) -> str:
    """The words of markup that holds nothing but a link and text."""
    pieces = [piece.partition(">")[2] for piece in block.split("<")]
    return entities.unescape("".join(pieces))
