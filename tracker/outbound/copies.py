"""One recipient's copy: the clean message with pixel and redirects as its frozen policy allows, or exactly as it is."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from tracker.models import Delivery
from tracker.outbound.message_links import is_own_trap, options_of, preference_mark
from tracker.outbound.mime_patch import HtmlPart, Untouched, find_htmls, replace_html
from tracker.outbound.rewriter.document import Document, Edit
from tracker.outbound.rewriter.footer import Footer, put_footer
from tracker.outbound.rewriter.hidden_link import hide
from tracker.outbound.rewriter.html_scan import scan
from tracker.outbound.rewriter.rewriting import MAX_INDEX, byte_size, track
from tracker.outbound.rewriter.wrapped import may_hold_tokens
from tracker.runtime.context import AppContext
from tracker.runtime.limits import GMAIL_CLIPS_AT

log = logging.getLogger(__name__)


class PlannedLink(Protocol):
    """What is known of a link since its message was accepted."""

    position: int
    url: str
    tracked: bool


LONG_HTML = GMAIL_CLIPS_AT // 2
"""Bytes beyond which people are told how long their HTML became."""


@dataclass(frozen=True)
class Copy:
    """The bytes for one recipient. ``problem`` is the rule by which tracking had to be left out, if it had."""

    raw: bytes
    problem: str | None = None
    no_place_for_pixel: bool = False
    """The document has no place where an image would be shown, a frameset for one: opens cannot be measured."""
    html_bytes_before: int = 0
    """Of its HTML as written, and as it goes out."""
    html_bytes_after: int = 0

    @property
    def is_as_planned(self) -> bool:
        """Nothing had to be left out."""
        return not self.problem and not self.no_place_for_pixel


@dataclass(frozen=True)
class ScannedMessage:
    """What all copies of a message begin with: its HTML parts, each read once. Making a copy changes nothing of it."""

    parts: list[HtmlPart]
    documents: list[Document]
    html_bytes: int


def scan_message(raw: bytes) -> ScannedMessage | Untouched:
    parts = find_htmls(raw)
    if isinstance(parts, Untouched):
        return parts
    return ScannedMessage(parts, [scan(part.html) for part in parts], sum(byte_size(part.html) for part in parts))


MakeFooter = Callable[[str], Footer | None]
"""The footer line for a document."""


def make_copy(
    context: AppContext,
    raw: bytes,
    delivery: Delivery,
    links: Sequence[PlannedLink],
    *,
    hidden_link: bool = False,
    footer: MakeFooter = lambda _html: None,
    read: Callable[[bytes], ScannedMessage | Untouched] = scan_message,
) -> Copy:
    """The copy of one delivery, with a hidden link and a footer line where the workspace wants them. ``read`` is
    :func:`scan_message`, or knows what it said about the message before.

    Never raises: when rewriting fails, the original goes out and ``problem`` says so.
    """
    if not delivery.opens_on and not delivery.clicks_on:
        return Copy(raw)
    try:
        message = read(raw)
        if isinstance(message, Untouched):
            return Copy(raw, problem=rule_of(message))
        return _tracked(context, raw, message, delivery, links, hidden_link, footer)
    except Exception as error:  # whatever goes wrong here, the mail goes out
        log.error("delivery %s: rewriting failed (%s)", delivery.public_id, type(error).__name__)
        return Copy(raw, problem="rewriting_failed")


def _tracked(
    context: AppContext,
    raw: bytes,
    message: ScannedMessage,
    delivery: Delivery,
    links: Sequence[PlannedLink],
    hidden_link: bool,
    footer: MakeFooter,
) -> Copy:
    parts, documents = message.parts, message.documents
    allowed = {link.position: link.url for link in links if link.tracked}
    pixel = context.pixel_url(delivery.public_id) if delivery.opens_on else None
    pixel_in = _place_of_pixel(message)
    trap = context.trap_url(delivery.public_id) if hidden_link and delivery.clicks_on else None
    trap_in = max(range(len(parts)), key=lambda number: len(documents[number].links))
    # Which links are left was decided when the message was accepted, and stands in the rows.
    leave = options_of(context, leave_text_urls=False, leave_one_time=False)
    is_trap: Callable[[str], bool] = partial(is_own_trap, context)
    mark: Callable[[str], str | None] = partial(preference_mark, context)
    if not any(map(may_hold_tokens, documents)):  # no address has to be looked into for something of ours
        leave = replace(leave, original=None, is_own_pixel=None)
        is_trap = mark = _nothing
    new: list[tuple[str, list[Edit]]] = []
    first_link, has_pixel = 0, False
    for number, document in enumerate(documents):
        link = partial(_click_url, context, delivery, allowed, first_link)
        tracking = track(document, link, pixel if number == pixel_in else None, leave)
        edits = tracking.edits + hide(document, tracking.links, trap if number == trap_in else None, is_trap)
        line = footer(document.html) if number == len(documents) - 1 else None
        edits += put_footer(document, line, mark)
        new.append((document.spliced(edits), edits))
        first_link, has_pixel = first_link + len(document.links), has_pixel or tracking.pixel
    for part, (html, edits) in reversed(list(zip(parts, new, strict=True))):
        raw = replace_html(raw, part, html, edits)
    return Copy(
        raw,
        no_place_for_pixel=pixel is not None and not has_pixel,
        html_bytes_before=message.html_bytes,
        html_bytes_after=sum(byte_size(html) for html, _ in new),
    )


def _nothing(_url: str) -> Any:
    """What an address holds that is none of ours."""
    return None


def _place_of_pixel(message: ScannedMessage) -> int | None:
    """The last document with a place for it; the first one where a mailbox would show only the beginning of all of them."""
    places = [
        number
        for number, document in enumerate(message.documents)
        if document.first_place is not None or document.last_place is not None
    ]
    return (places[0] if message.html_bytes > GMAIL_CLIPS_AT else places[-1]) if places else None


def _click_url(
    context: AppContext, delivery: Delivery, allowed: Mapping[int, str], first_link: int, url: str, number: int
) -> str | None:
    index = first_link + number
    if not delivery.clicks_on or allowed.get(index) != url or index > MAX_INDEX:
        return None
    return context.click_url(delivery.public_id, index, url)


def rule_of(part: Untouched) -> str:
    """The rule for a message that holds nothing to rewrite."""
    if part.reason in ("signed", "encrypted", "inline_pgp"):
        return "protected"
    return "text_only" if part.reason == "text_only" else "rewriting_failed"
