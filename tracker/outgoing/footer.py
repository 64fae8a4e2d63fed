"""The footer line of a tracked copy: what is measured, and the way to one's own choice. Pure.

It only inserts, and takes out old ones.
"""

import hashlib
import html as entities
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tracker.outgoing.hidden_link import end_of_link, in_comment, start_of_link
from tracker.outgoing.href import trimmed, web_address
from tracker.outgoing.links import Link
from tracker.outgoing.rewrite import Edit, Rewritten, cut_out, edited, emptied
from tracker.outgoing.survey import Survey
from tracker.outgoing.tags import escaped, read_start_tag

_MARKUP = (
    '<div style="margin:20px 0 0 0;font-family:sans-serif;font-size:12px;line-height:1.5;color:#666666">'
    '{words} <a href="{url}" style="color:#666666;text-decoration:underline">{label}</a></div>'
)
_LONGEST = 4000


@dataclass(frozen=True)
class Footer:
    """The sentence, the words of its link, and where that leads."""

    words: str
    label: str
    url: str


def mark_of(words: str) -> str:
    """A digest of a footer's words and label, however they are spaced: its link carries it, so that it is known again."""
    return hashlib.sha256(" ".join(words.split()).encode("utf-8", "replace")).hexdigest()[:8]


def put_footer(rewritten: Rewritten, html: str, footer: Footer | None, mark: Callable[[str], str | None]) -> Rewritten:
    """The rewritten document of `html` with old footers taken out, and the new one at the end of our own part.

    That is before any quote. `mark` gives the mark in a link of ours, None for any other address.
    `restore` gives `html` back; a document that has this footer stays as it is.
    """
    if footer is not None and escaped(footer.url) in html:
        return rewritten
    found = Survey(html, images=False)
    edits = list(_old_ones(html, found.links, mark))
    place = found.last_place if found.last_place is not None else found.first_place
    if footer is not None and place is not None:
        edits.append(Edit(place, "", _markup(footer)))
    return edited(rewritten, html, edits) if edits else rewritten


def without_footers(html: str, mark: Callable[[str], str | None]) -> str:
    """A document as people should see it, with our footers taken out; the very object when there are none."""
    return put_footer(Rewritten(html, (), (), False), html, None, mark).html if "/r/" in html else html


def _markup(footer: Footer) -> str:
    words, label = entities.escape(footer.words), entities.escape(footer.label)
    return _MARKUP.format(words=words, url=escaped(footer.url), label=label)


def _old_ones(html: str, links: list[Link], mark: Callable[[str], str | None]) -> Iterator[Edit]:
    if "/r/" not in html:
        return
    for link in links:
        said = mark(web_address(trimmed(link.value)) or "")
        if said is None:
            continue
        block = _block(html, link)
        if block is not None and mark_of(_text(html[block[0] : block[1]])) == said:
            yield cut_out(html, *block)
        else:
            yield emptied(
                html, link
            )  # a mail program made something else of it, or words have grown into it: they stay


def _block(html: str, link: Link) -> tuple[int, int] | None:
    """The element that holds words, the link, and nothing else; None when this is no such thing."""
    start, end = start_of_link(html, link), end_of_link(html, link)
    if start is None or end is None or in_comment(html, end):
        return None
    opening = html.rfind("<", max(0, start - _LONGEST), start)
    tag = read_start_tag(html, opening) if opening >= 0 else None
    name = html[opening + 1 : opening + 4].lower()
    if tag is None or name != "div" or "<" in html[tag.end : start]:
        return None
    closing = html.find("<", end)
    if html[closing : closing + 6].lower() != "</div>" or html[end:closing].strip():
        return None
    return opening, closing + 6


def _text(block: str) -> str:
    """The words of markup that holds nothing but a link and text."""
    pieces = [piece.partition(">")[2] for piece in block.split("<")]
    return entities.unescape("".join(pieces))
