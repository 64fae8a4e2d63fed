"""Between the pure rewriter and the context: which hosts are ours, how our own links are read back, what a message holds."""

import logging
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from sqlmodel import Session
from turbohtml import parse

from tracker.consent.preference_links import preference_links
from tracker.consent.preferences import preference
from tracker.outbound.rewriter.footer import without_footers
from tracker.outbound.rewriter.hidden_link import without_traps
from tracker.outbound.rewriter.html_scan import scan
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import FoundLink, rewrite, unwrap
from tracker.runtime.context import AppContext

log = logging.getLogger(__name__)


def options_of(
    context: AppContext,
    *,
    leave_text_urls: bool = True,
    leave_one_time: bool = True,
    unsubscribe: frozenset[str] = frozenset(),
) -> Leave:
    """What the rewriter leaves alone in this context; ``unsubscribe`` are the addresses of the message's List-Unsubscribe."""
    return Leave(
        own_hosts=context.own_hosts,
        list_unsubscribe=unsubscribe,
        leave_text_urls=leave_text_urls,
        leave_one_time=leave_one_time,
        original=lambda url: original_of(context, url),
        is_own_pixel=lambda url: is_own_pixel(context, url),
    )


def original_of(context: AppContext, url: str) -> str | None:
    """The destination of one of our tracked links, on any host we ever had; None for any other URL."""
    token = _token(url, "/c/") if "/c/" in url else ""
    claims = context.tokens.read_click(token) if token else None
    return claims.url if claims else None


def is_own_pixel(context: AppContext, url: str) -> bool:
    token = _token(url, "/o/")
    return bool(token) and context.tokens.read_open(token.removesuffix(".gif")) is not None


def is_own_trap(context: AppContext, url: str) -> bool:
    """True for a hidden link of ours, on any host we ever had."""
    token = _token(url, "/c/") if "/c/" in url else ""
    return bool(token) and context.tokens.read_trap(token) is not None


def preference_mark(context: AppContext, url: str) -> str | None:
    """The mark in the address of a recipient's page, on any host we ever had; None for any other URL."""
    link = preference_links(context).read_url(url)
    return link.mark if link else None


def _token(url: str, mark: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return path.partition(mark)[2].partition("/")[0]


def strip_own_tracking(context: AppContext, html: str | None) -> str | None:
    """What was written, pasted or quoted without our pixels, hidden links and footers, and our tracked links turned back.

    Never raises: what cannot be cleaned goes out as it was written.
    """
    if not html or not any(mark in html for mark in ("/o/", "/c/", "/r/")):
        return html
    try:
        document = scan(html)
        edits = without_traps(document, lambda url: is_own_trap(context, url))
        edits += without_footers(document, lambda url: preference_mark(context, url))
        edits += unwrap(document, lambda url: original_of(context, url), lambda url: is_own_pixel(context, url))
        return document.spliced(edits)
    except Exception as error:
        log.error("a message could not be cleaned of our own links (%s)", type(error).__name__)
        return html


def strip_markers(html: str | None) -> str | None:
    """The document without the marks of links that are to be left alone: they are for us, not for the recipient."""
    if not html or "data-no-track" not in html.lower():
        return html
    document = scan(html)
    return document.spliced(document.marks)


def find_links(
    session: Session,
    context: AppContext,
    html: str | None,
    untracked: frozenset[str],
    unsubscribe: frozenset[str] = frozenset(),
) -> Sequence[FoundLink]:
    """Every link of a message and whether it would be tracked; ``untracked`` are the ones the sender switched off."""
    if not html:
        return ()
    leave = options_of(context, leave_text_urls=preference(session, "leave_text_urls"), unsubscribe=unsubscribe)
    # What is asked for is only whether the rewriter would take the link, so any address does for an answer.
    found = rewrite(html, lambda url, _: None if url in untracked else "https://example.invalid/", None, leave=leave)
    return tuple(
        link
        for link in found.links
        if not is_own_trap(context, link.url) and not preference_links(context).read_url(link.url)
    )


def snippet_of(html: str | None, text: str | None) -> str:
    """The first words of a message, for lists."""
    words = text if text else parse(html).to_text() if html else ""
    return re.sub(r"\s+", " ", words).strip()[:280]
