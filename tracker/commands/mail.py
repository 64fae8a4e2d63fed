"""Looking at one message, one URL, with the same code as in production."""

import argparse
import json
import sys
from urllib.parse import unquote, urlsplit

from pixel.tokens import new_public_id, token_in_path
from tracker.commands import CommandError
from tracker.commands.contexts import new_context
from tracker.mail.mime.fields import list_unsubscribe
from tracker.outbound.message_links import options_of
from tracker.outbound.mime_patch import Untouched, find_htmls, replace_html
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import Rewritten, rewrite
from tracker.runtime.context import AppContext
from tracker.runtime.settings import read_settings


def rewrite_message(words: argparse.Namespace) -> int:
    """Standard input as it would leave: to standard output. Why a message stays as it is goes to standard error."""
    context = new_context(read_settings())
    content = sys.stdin.buffer.read()
    if words.html:
        html = content.decode("utf-8", "surrogateescape")
        sys.stdout.buffer.write(
            _rewritten(context, html, words, new_public_id(), options_of(context)).html.encode(
                "utf-8", "surrogateescape"
            )
        )
        return 0
    parts = find_htmls(content)
    if isinstance(parts, Untouched):
        print(f"left untouched: {parts.reason}", file=sys.stderr)
        sys.stdout.buffer.write(content)
        return 0
    delivery, leave = new_public_id(), options_of(context, unsubscribe=list_unsubscribe(content))
    rewritten: list[Rewritten] = []
    for part in parts:
        first_link, is_last = sum(len(rewriting.links) for rewriting in rewritten), part is parts[-1]
        rewritten.append(_rewritten(context, part.html, words, delivery, leave, first_link, has_pixel=is_last))
    message = content
    for part, rewriting in reversed(list(zip(parts, rewritten, strict=True))):
        message = replace_html(message, part, rewriting.html, rewriting.edits)
    sys.stdout.buffer.write(message)
    return 0


def _rewritten(
    context: AppContext,
    html: str,
    words: argparse.Namespace,
    delivery: str,
    leave: Leave,
    first_link: int = 0,
    has_pixel: bool = True,
) -> Rewritten:
    def link(url: str, index: int) -> str | None:
        return context.click_url(delivery, first_link + index, url) if words.links else None

    return rewrite(html, link, context.pixel_url(delivery) if words.opens and has_pixel else None, leave=leave)


def inspect_url(words: argparse.Namespace) -> int:
    """What a URL of ours says, as JSON; exit code 1 when it is none of ours."""
    context = new_context(read_settings())
    kind, token = token_in_path(_path(words.url)) or (None, "")
    said: dict[str, object] = {"kind": kind, "valid": False}
    if opened := context.tokens.read_open(token) if kind == "open" else None:
        said |= {"valid": True, "delivery": opened.delivery}
    if clicked := context.tokens.read_click(token) if kind == "click" else None:
        said |= {"valid": True, "delivery": clicked.delivery, "link": clicked.link, "destination": clicked.url}
    elif trapped := context.tokens.read_trap(token) if kind == "click" else None:
        said |= {"kind": "hidden_link", "valid": True, "delivery": trapped.delivery}
    print(json.dumps(said, ensure_ascii=False))
    return 0 if said["valid"] else 1


def _path(url: str) -> str:
    try:
        return unquote(urlsplit(url).path)
    except ValueError:
        raise CommandError(f"{url} is no URL.") from None
