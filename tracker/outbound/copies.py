"""One recipient's copy: the clean message with pixel and redirects as its frozen policy allows, or exactly as it is."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tracker.models import Delivery, TrackedLink
from tracker.outbound.message_links import is_own_trap, options_of, preference_mark
from tracker.outbound.mime_patch import Untouched, find_html, replace_html
from tracker.outbound.rewriter.footer import Footer, put_footer
from tracker.outbound.rewriter.hidden_link import hide
from tracker.outbound.rewriter.html_scan import scan
from tracker.outbound.rewriter.rewriting import byte_size, track
from tracker.runtime.context import AppContext

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copy:
    """The bytes for one recipient. ``problem`` is the rule by which tracking had to be left out, if it had."""

    raw: bytes
    problem: str | None = None
    no_place_for_pixel: bool = False
    """The document has no place where an image would be shown, a frameset for one: opens cannot be measured."""
    html_bytes_before: int | None = None
    html_bytes_after: int | None = None


MakeFooter = Callable[[str], Footer | None]
"""The footer line for a document."""


def make_copy(
    context: AppContext,
    raw: bytes,
    delivery: Delivery,
    links: Sequence[TrackedLink],
    *,
    hidden_link: bool = False,
    footer: MakeFooter = lambda _html: None,
) -> Copy:
    """The copy of one delivery, with a hidden link and a footer line where the workspace wants them.

    Never raises: when rewriting fails, the original goes out and ``problem`` says so.
    """
    if not delivery.opens_on and not delivery.clicks_on:
        return Copy(raw)
    try:
        return _tracked(context, raw, delivery, links, hidden_link, footer)
    except Exception as error:  # whatever goes wrong here, the mail goes out
        log.error("delivery %s: rewriting failed (%s)", delivery.public_id, type(error).__name__)
        return Copy(raw, problem="rewriting_failed")


def _tracked(
    context: AppContext,
    raw: bytes,
    delivery: Delivery,
    links: Sequence[TrackedLink],
    hidden_link: bool,
    footer: MakeFooter,
) -> Copy:
    part = find_html(raw)
    if isinstance(part, Untouched):
        return Copy(raw, problem=rule_of(part))
    allowed = {link.position: link.url for link in links if link.tracked}

    def click_url(url: str, index: int) -> str | None:
        if not delivery.clicks_on or allowed.get(index) != url:
            return None
        tracked = context.click_url(delivery.public_id, index, url)
        return tracked if _reads_back(context, tracked, url) else None

    pixel = context.pixel_url(delivery.public_id) if delivery.opens_on else None
    # Which links are left was decided when the message was accepted, and stands in the rows.
    leave = options_of(context, leave_text_urls=False, leave_one_time=False)
    document = scan(part.html)
    tracking = track(document, click_url, pixel, leave)
    trap = context.trap_url(delivery.public_id) if hidden_link and delivery.clicks_on else None
    edits = tracking.edits + hide(document, tracking.links, trap, lambda url: is_own_trap(context, url))
    edits += put_footer(document, footer(part.html), lambda url: preference_mark(context, url))
    html = document.spliced(edits)
    return Copy(
        replace_html(raw, part, html, edits),
        no_place_for_pixel=pixel is not None and not tracking.pixel,
        html_bytes_before=byte_size(part.html),
        html_bytes_after=byte_size(html),
    )


def rule_of(part: Untouched) -> str:
    """The rule for a message that holds nothing to rewrite."""
    if part.reason in ("signed", "encrypted", "inline_pgp"):
        return "protected"
    return "text_only" if part.reason == "text_only" else "rewriting_failed"


def _reads_back(context: AppContext, tracked: str, url: str) -> bool:
    """A link that would not lead exactly where it did stays as it is."""
    claims = context.tokens.read_click(tracked.rpartition("/c/")[2])
    return claims is not None and claims.url == url
