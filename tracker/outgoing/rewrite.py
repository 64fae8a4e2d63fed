"""The rewriter: tracked links and the pixel are spliced into a document, every other character stays.

Pure: no input or output, no clock, no settings. Linear in the size of the document.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import NamedTuple

from tracker.limits import GMAIL_CLIPS_AT
from tracker.outgoing.href import has_placeholder, no_web_address, resolved, trimmed, web_address
from tracker.outgoing.leave_alone import Leave, may_be_one_time, reason_to_leave
from tracker.outgoing.links import Link
from tracker.outgoing.survey import Image, Survey
from tracker.outgoing.tags import escaped

__all__ = [
    "CLIPPED_ABOVE",
    "Edit",
    "FoundLink",
    "Leave",
    "Rewritten",
    "cut_out",
    "edited",
    "emptied",
    "restore",
    "rewrite",
    "unwrap",
]

CLIPPED_ABOVE = GMAIL_CLIPS_AT

MAX_INDEX = 0xFFFE
_TEXT_LENGTH = 200
_DEFAULT = Leave()
_UNFINISHED = re.compile(r"(?:<[/!?]?|&[#\w]*)\Z")
_PIXEL = (
    '<img src="{}" width="1" height="1" alt="" role="presentation" aria-hidden="true"'
    ' style="display:block;position:absolute;width:1px;height:1px;border:0;margin:0;padding:0" />'
)


class Edit(NamedTuple):
    """At `start`, an offset in the original document, the characters `old` became `new`."""

    start: int
    old: str
    new: str


class FoundLink(NamedTuple):
    """An href of the document, in document order.

    `url` is the destination that a browser would request, in ASCII, for a web address; else the value without the space
    around it. `reason` says why a link is not tracked, None for a tracked one: `own_host`, `one_time`, `text_is_url`,
    `list_unsubscribe`, `marked`, `too_long`, `too_many`, `quoted`, `placeholder`, `refused`, `not_http`, `bad_url`,
    `relative`, `fragment`, `empty`.
    """

    index: int  # type: ignore[assignment]  # hides a method of tuples that nobody needs here
    url: str
    text: str
    tracked: bool
    reason: str | None


@dataclass(frozen=True)
class Rewritten:
    """The new document, what was found in it, and the edits that lead to it, in order and apart from each other.

    `pixel` tells whether the document carries the pixel, be it from an earlier pass.
    """

    html: str
    links: tuple[FoundLink, ...]
    edits: tuple[Edit, ...]
    pixel: bool

    @property
    def size(self) -> int:
        """Bytes of the new document in UTF-8."""
        return _size(self.html)

    @property
    def size_before(self) -> int:
        """Bytes of the document before, in UTF-8."""
        return self.size - sum(_size(new) - _size(old) for _, old, new in self.edits)

    @property
    def clipped(self) -> bool:
        """True when the new document is longer than Gmail shows at once."""
        return self.size > CLIPPED_ABOVE


def rewrite(html: str, link: Callable[[str, int], str | None], pixel: str | None, leave: Leave = _DEFAULT) -> Rewritten:
    """The document with `link(url, index)` in place of every trackable href, and one pixel.

    `link` is called in document order with the destination and the index of the href among all hrefs found; None
    leaves the link. `pixel` is the URL of the image or None. With nothing to change `html` of the result is the very
    object that came in. A second pass with the same arguments changes nothing.
    """
    found = Survey(html, images=pixel is not None or leave.is_own_pixel is not None)
    if pixel is not None and any(image.source == pixel for image in found.images):
        return _already(html, found)
    edits = [edit for image in found.images if (edit := _without_stale_pixel(image, leave, html)) is not None]
    edits += [Edit(start, html[start:end], new) for start, end, new in found.marks]
    one_time = leave.leave_one_time and _may_be_one_time(found.links)
    links: list[FoundLink] = []
    for index, one in enumerate(found.links):
        if one.host and not one.quoted and not one.marks:
            links.append(_decide_usual(one, index, link, leave, one_time, html, edits))
        else:
            links.append(_decide(one, index, link, leave, found.base, html, edits))
    placed = pixel is not None and _place_pixel(html, found, pixel, edits)
    return Rewritten(_spliced(html, edits), tuple(links), tuple(edits), placed)


def restore(rewritten: Rewritten) -> str:
    """The document as it was before `rewrite`, character for character."""
    if not rewritten.edits:
        return rewritten.html
    pieces: list[str] = []
    position = shift = 0
    for edit in rewritten.edits:
        start = edit.start + shift
        pieces += (rewritten.html[position:start], edit.old)
        position = start + len(edit.new)
        shift += len(edit.new) - len(edit.old)
    pieces.append(rewritten.html[position:])
    return "".join(pieces)


def edited(rewritten: Rewritten, html: str, more: list[Edit]) -> Rewritten:
    """The same rewriting of `html` with further edits, which lie apart from those it has."""
    edits = [*rewritten.edits, *more]
    return replace(rewritten, html=_spliced(html, edits), edits=tuple(edits))


def cut_out(html: str, start: int, end: int) -> Edit:
    """Takes out `start`:`end`. Text that would become a tag or a reference with what follows it is kept apart from it."""
    joins = _UNFINISHED.search(html, max(0, start - 40), start) is not None
    return Edit(start, html[start:end], "<!---->" if joins else "")


def emptied(html: str, one: Link) -> Edit:
    """The link keeps its place and leads nowhere."""
    return _new_href(html, one, "")


def unwrap(html: str, original: Callable[[str], str | None], is_own_pixel: Callable[[str], bool]) -> str:
    """A document that we do not hold the edits of, with our pixels taken out and our tracked links turned back."""
    found = Survey(html)
    edits = [_taken_out(image, html) for image in found.images if _is_pixel(image.source, is_own_pixel)]
    for one in found.links:
        url = original(web_address(trimmed(one.value)) or "")
        if url is not None:
            edits.append(_new_href(html, one, url))
    return _spliced(html, edits)


def _already(html: str, found: Survey) -> Rewritten:
    """A document that carries this very pixel has been through here: whatever is left in it was left on purpose."""
    links = (
        FoundLink(index, web_address(trimmed(one.value)) or trimmed(one.value), _text(one, html), False, "own_host")
        for index, one in enumerate(found.links)
    )
    return Rewritten(html, tuple(links), (), True)


def _may_be_one_time(links: list[Link]) -> bool:
    usual = [one for one in links if one.host and not one.quoted]
    return bool(usual) and may_be_one_time([one.value for one in usual], {one.host for one in usual})


def _decide_usual(
    one: Link,
    index: int,
    link: Callable[[str, int], str | None],
    leave: Leave,
    one_time: bool,
    html: str,
    edits: list[Edit],
) -> FoundLink:
    """As `_decide`, for an address that stands in the document as a browser takes it."""
    url, text = one.value, one.visible_text(html)[:_TEXT_LENGTH]
    reason = reason_to_leave(url, text, leave, one.host, one_time=one_time)
    if reason is None and index > MAX_INDEX:
        reason = "too_many"
    tracked = link(url, index) if reason is None else None
    if tracked is None:
        return FoundLink(index, url, text, False, reason or "refused")
    edits.append(_new_href(html, one, tracked))
    return FoundLink(index, url, text, True, None)


def _decide(
    one: Link,
    index: int,
    link: Callable[[str, int], str | None],
    leave: Leave,
    base: str,
    html: str,
    edits: list[Edit],
) -> FoundLink:
    edits += [Edit(start, html[start:end], new) for start, end, new in one.marks]
    value, text = trimmed(one.value), _text(one, html)
    url = web_address(value)
    if one.quoted:
        if url is not None and leave.original is not None and (was := leave.original(url)) is not None:
            edits.append(_new_href(html, one, was))
            url = was
        return FoundLink(index, url or value, text, False, "quoted")
    reason = _reason(one, value, url, text, leave)
    if url is None:
        return FoundLink(index, resolved(value, base) if reason == "relative" else value, text, False, reason)
    if reason is None and index > MAX_INDEX:
        reason = "too_many"
    tracked = link(url, index) if reason is None else None
    if tracked is None:
        return FoundLink(index, url, text, False, reason or "refused")
    edits.append(_new_href(html, one, tracked))
    return FoundLink(index, url, text, True, None)


def _reason(one: Link, value: str, url: str | None, text: str, leave: Leave) -> str | None:
    if one.marks:
        return "marked"
    if has_placeholder(value):
        return "placeholder"
    if url is None:
        return no_web_address(value)
    return reason_to_leave(url, text, leave)


def _text(one: Link, html: str) -> str:
    return one.visible_text(html)[:_TEXT_LENGTH]


def _new_href(html: str, one: Link, url: str) -> Edit:
    new = escaped(url, one.quote or '"')
    return Edit(one.start, html[one.start : one.end], new if one.quote else f'"{new}"')


def _without_stale_pixel(image: Image, leave: Leave, html: str) -> Edit | None:
    if leave.is_own_pixel is None or not _is_pixel(image.source, leave.is_own_pixel):
        return None
    return _taken_out(image, html)


def _taken_out(image: Image, html: str) -> Edit:
    return cut_out(html, image.start, image.end)


def _is_pixel(source: str, is_own_pixel: Callable[[str], bool]) -> bool:
    """A mail program's image proxy appends the address that it stands for as a fragment."""
    value = trimmed(source)
    return is_own_pixel(value) or ("#http" in value and is_own_pixel(value.rpartition("#")[2]))


def _place_pixel(html: str, found: Survey, pixel: str, edits: list[Edit]) -> bool:
    markup = _PIXEL.format(escaped(pixel))
    grown = len(markup) + sum(len(edit.new) - len(edit.old) for edit in edits)
    place = found.last_place
    if place is None or (len(html) + grown > CLIPPED_ABOVE // 4 and _size(html) + grown > CLIPPED_ABOVE):
        place = found.first_place if found.first_place is not None else place
    if place is None:
        return False
    edits.append(Edit(place, "", markup))
    return True


def _size(html: str) -> int:
    return len(html) if html.isascii() else len(html.encode("utf-8", "surrogatepass"))


def _spliced(html: str, edits: list[Edit]) -> str:
    if not edits:
        return html
    edits.sort(key=itemgetter(0, 1))  # of two at one place the insertion comes first
    pieces: list[str] = []
    position = 0
    for start, old, new in edits:
        pieces += (html[position:start], new)
        position = start + len(old)
    pieces.append(html[position:])
    return "".join(pieces)
