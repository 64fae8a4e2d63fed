"""Between the pure rewriter and the context: which hosts are ours, how our own links are read back, what a message holds."""

import html as entities
import logging
import re
from collections.abc import Sequence

from sqlmodel import Session
from turbohtml import parse

from tracker.consent.preference_links import preference_links
from tracker.consent.preferences import preference
from tracker.mail.mime.parts import Part
from tracker.outbound.mime_patch import difference, find_texts, replace_html
from tracker.outbound.rewriter.footer import without_footers
from tracker.outbound.rewriter.hidden_link import without_traps
from tracker.outbound.rewriter.html_scan import scan
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import FoundLink, rewrite, unwrap
from tracker.outbound.rewriter.wrapped import may_hold, swept, tokens_in
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
    """The destination of one of our tracked links, on any host we ever had and in whatever wrapper; None for any other URL."""
    claims = (context.tokens.read_click(token) for kind, token in tokens_in(url) if kind == "c")
    return next((claim.url for claim in claims if claim), None)


def is_own_pixel(context: AppContext, url: str) -> bool:
    return any(kind == "o" and context.tokens.read_open(token) is not None for kind, token in tokens_in(url))


def is_own_trap(context: AppContext, url: str) -> bool:
    """True for a hidden link of ours, on any host we ever had."""
    return any(kind == "c" and context.tokens.read_trap(token) is not None for kind, token in tokens_in(url))


def preference_mark(context: AppContext, url: str) -> str | None:
    """The mark in the address of a recipient's page, on any host we ever had; None for any other URL."""
    links = (preference_links(context).read(token) for kind, token in tokens_in(url) if kind == "r")
    return next((link.mark for link in links if link), None)


def _without_token(context: AppContext, url: str) -> str | None:
    """What stands in the place of an address of ours wherever it may not leave: where it led, else nothing. None for any other."""
    url = entities.unescape(url)
    if (original := original_of(context, url)) is not None:
        return original
    return (
        ""
        if is_own_pixel(context, url) or is_own_trap(context, url) or preference_mark(context, url) is not None
        else None
    )


def strip_own_tracking(context: AppContext, html: str | None) -> str | None:
    """What was written, pasted or quoted without our pixels, hidden links and footers, and our tracked links turned back; whoever
    wraps them, and wherever they stand: nobody's token leaves with a message to somebody else.

    Never raises: what cannot be cleaned goes out as it was written.
    """
    if not html or not may_hold(html):
        return html
    try:
        document = scan(html)
        edits = without_traps(document, lambda url: is_own_trap(context, url))
        edits += without_footers(document, lambda url: preference_mark(context, url))
        edits += unwrap(document, lambda url: original_of(context, url), lambda url: is_own_pixel(context, url))
        return swept(document.spliced(edits), lambda url: _without_token(context, url), entities.escape)
    except Exception as error:
        log.error("old tracking could not be taken out of a message: %s", type(error).__name__)
        return html


def text_without_ours(context: AppContext, text: str | None) -> str | None:
    """The same for plain text."""
    return swept(text, lambda url: _without_token(context, url)) if text else text


def message_without_ours(context: AppContext, raw: bytes, root: Part | None = None) -> bytes:
    """The same for the texts of a whole message; what is sealed, attached or unreadable stays as it is."""
    for part in reversed(find_texts(raw, root)):
        clean = strip_own_tracking if part.is_html else text_without_ours
        text = clean(context, part.html) or ""
        if text != part.html:
            raw = replace_html(raw, part, text, [difference(part.html, text)])
    return raw


def strip_markers(html: str | None) -> str | None:
    """The document without the marks of links that are to be left alone: they are for us, not for the recipient."""
    if not html or "data-no-track" not in html.lower():
        return html
    document = scan(html)
    return document.spliced(document.marks)


def find_links(
    session: Session,
    context: AppContext,
    html: str | Sequence[str] | None,
    untracked: frozenset[str],
    unsubscribe: frozenset[str] = frozenset(),
) -> Sequence[FoundLink]:
    """Every link of a message and whether it would be tracked; ``untracked`` are the ones the sender switched off. Of a message in
    several parts the links are counted through."""
    if not html:
        return ()
    leave = options_of(context, leave_text_urls=preference(session, "leave_text_urls"), unsubscribe=unsubscribe)
    # What is asked for is only whether the rewriter would take the link, so any address does for an answer.
    links: list[FoundLink] = []
    for part in [html] if isinstance(html, str) else html:
        rewritten = rewrite(
            part, lambda url, _: None if url in untracked else "https://example.invalid/", None, leave=leave
        )
        links += [link._replace(index=len(links) + number) for number, link in enumerate(rewritten.links)]
    return tuple(
        link
        for link in links
        if not is_own_trap(context, link.url) and not preference_links(context).read_url(link.url)
    )


def snippet_of(html: str | None, text: str | None) -> str:
    """The first words of a message, for lists."""
    words = text if text else parse(html).to_text() if html else ""
    return re.sub(r"\s+", " ", words).strip()[:280]
