"""The rewriter: tracked links and the pixel are spliced into a document, every other character stays.

Pure: no input or output, no clock, no settings. Linear in the size of the document.
"""

from collections.abc import Callable
from typing import NamedTuple

from tracker.outbound.rewriter.document import Document, Edit, Image, Link
from tracker.outbound.rewriter.href import has_placeholder, no_web_address, resolved, trimmed
from tracker.outbound.rewriter.html_attributes import escaped
from tracker.outbound.rewriter.html_scan import scan
from tracker.outbound.rewriter.leave_alone import Leave, reason_to_leave
from tracker.runtime.limits import GMAIL_CLIPS_AT

MAX_INDEX = 0xFFFE
_TEXT_LENGTH = 200
_DEFAULT = Leave()
_PIXEL = (
    '<img src="{}" width="1" height="1" alt="" role="presentation" aria-hidden="true"'
    ' style="display:block;position:absolute;width:1px;height:1px;border:0;margin:0;padding:0" />'
)


class FoundLink(NamedTuple):
    """An href of the document, in document order.

    `url` is the destination that a browser would request, in ASCII, for a web address; else the value without the space
    around it. `reason` says why a link is not tracked, None for a tracked one: `own_host`, `one_time`, `text_is_url`,
    `list_unsubscribe`, `marked`, `too_long`, `too_many`, `quoted`, `placeholder`, `refused`, `not_http`, `bad_url`,
    `relative`, `fragment`, `empty`.
    """

    index: int  # type: ignore[assignment]  # hides a method of tuples that nobody needs here
    url: str
    reason: str | None
    link: Link
    html: str

    @property
    def tracked(self) -> bool:
        return self.reason is None

    @property
    def text(self) -> str:
        """The beginning of what people see, in one line."""
        return _text(self.link, self.html)


class Tracking(NamedTuple):
    """The links of a document, and the edits that have them and its opening tracked.

    `pixel` tells whether the document then carries the pixel, be it from an earlier pass.
    """

    links: tuple[FoundLink, ...]
    edits: list[Edit]
    pixel: bool


class Rewritten(NamedTuple):
    """The new document, what was found in it, and the edits that lead to it."""

    html: str
    links: tuple[FoundLink, ...]
    edits: list[Edit]
    pixel: bool


def rewrite(html: str, link: Callable[[str, int], str | None], pixel: str | None, leave: Leave = _DEFAULT) -> Rewritten:
    """The document with `link(url, index)` in place of every trackable href, and one pixel.

    `link` is called in document order with the destination and the index of the href among all hrefs found; None
    leaves the link. `pixel` is the URL of the image or None. With nothing to change `html` of the result is the very
    object that came in. A second pass with the same arguments changes nothing.
    """
    document = scan(html)
    tracking = track(document, link, pixel, leave)
    return Rewritten(document.spliced(tracking.edits), *tracking)


def track(
    document: Document, link: Callable[[str, int], str | None], pixel: str | None, leave: Leave = _DEFAULT
) -> Tracking:
    """The edits that `rewrite` makes. Stale pixels and marks of links to leave alone go; quoted links are turned back."""
    if pixel is not None and any(image.source == pixel for image in document.images):
        return _already(document)
    edits = list(document.marks)
    if leave.is_own_pixel is not None:
        edits += _pixel_cuts(document, leave.is_own_pixel)
    links = tuple(_decide(document, anchor, index, link, leave, edits) for index, anchor in enumerate(document.links))
    placed = pixel is not None and _place_pixel(document, pixel, edits)
    return Tracking(links, edits, placed)


def unwrap(
    document: Document, original: Callable[[str], str | None], is_own_pixel: Callable[[str], bool]
) -> list[Edit]:
    """Takes out our pixels and turns our tracked links back, in a document of which no edits are known."""
    edits = _pixel_cuts(document, is_own_pixel)
    for link in document.links:
        url = original(link.url or "")
        if url is not None:
            edits.append(document.new_href(link, url))
    return edits


def byte_size(html: str) -> int:
    """Bytes of a document in UTF-8."""
    return len(html) if html.isascii() else len(html.encode("utf-8", "surrogatepass"))


def _already(document: Document) -> Tracking:
    """A document that carries this very pixel has been through here: whatever is left in it was left on purpose."""
    links = []
    for index, link in enumerate(document.links):
        links.append(FoundLink(index, link.url or trimmed(link.value), "own_host", link, document.html))
    return Tracking(tuple(links), [], True)


def _decide(
    document: Document,
    link: Link,
    index: int,
    tracked_url: Callable[[str, int], str | None],
    leave: Leave,
    edits: list[Edit],
) -> FoundLink:
    url = link.url
    value = link.value if link.host is not None else trimmed(link.value)
    reason = _reason(document.html, link, index, value, leave)
    if url is None:
        shown = resolved(value, document.base) if reason == "relative" else value
        return FoundLink(index, shown, reason, link, document.html)
    if reason == "quoted":
        new = leave.original(url) if leave.original is not None else None
        url = new or url
    else:
        new = tracked_url(url, index) if reason is None else None
        reason = reason or ("refused" if new is None else None)
    if new is not None:
        edits.append(document.new_href(link, new))
    return FoundLink(index, url, reason, link, document.html)


def _reason(html: str, link: Link, index: int, value: str, leave: Leave) -> str | None:
    if link.quoted:
        return "quoted"
    if link.marked:
        return "marked"
    if link.host is None and has_placeholder(value):
        return "placeholder"
    if link.url is None:
        return no_web_address(value)
    text = _text(link, html) if leave.leave_text_urls and link.may_show_address(html) else ""
    return reason_to_leave(link.url, text, leave, link.host) or ("too_many" if index > MAX_INDEX else None)


def _text(link: Link, html: str) -> str:
    return link.visible_text(html)[:_TEXT_LENGTH]


def _pixel_cuts(document: Document, is_own_pixel: Callable[[str], bool]) -> list[Edit]:
    return [document.cut(image.start, image.end) for image in document.images if _is_pixel(image, is_own_pixel)]


def _is_pixel(image: Image, is_own_pixel: Callable[[str], bool]) -> bool:
    """A mail program's image proxy appends the address that it stands for as a fragment."""
    value = trimmed(image.source)
    return is_own_pixel(value) or ("#http" in value and is_own_pixel(value.rpartition("#")[2]))


def _place_pixel(document: Document, pixel: str, edits: list[Edit]) -> bool:
    markup = _PIXEL.format(escaped(pixel))
    length = len(document.html) + len(markup) + sum(len(new) - (end - start) for start, end, new in edits)
    wide = byte_size(document.html) - len(document.html) if length > GMAIL_CLIPS_AT // 4 else 0
    place = document.last_place
    if place is None or length + wide > GMAIL_CLIPS_AT:
        place = document.first_place if document.first_place is not None else place
    if place is None:
        return False
    edits.append(Edit(place, place, markup))
    return True
