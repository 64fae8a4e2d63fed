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
from tracker.outbound.mime_patch import Untouched, find_html, replace_html
from tracker.outbound.rewriter.rewriting import Rewritten, rewrite
from tracker.runtime.context import AppContext
from tracker.runtime.settings import read_settings


def rewrite_message(words: argparse.Namespace) -> int:
    """Standard input as it would leave: to standard output. Why a message stays as it is goes to standard error."""
    context = new_context(read_settings())
    given = sys.stdin.buffer.read()
    if words.html:
        html = given.decode("utf-8", "surrogateescape")
        sys.stdout.buffer.write(_rewritten(context, html, words).html.encode("utf-8", "surrogateescape"))
        return 0
    part = find_html(given)
    if isinstance(part, Untouched):
        print(f"left untouched: {part.reason}", file=sys.stderr)
        sys.stdout.buffer.write(given)
        return 0
    rewritten = _rewritten(context, part.html, words, list_unsubscribe(given))
    sys.stdout.buffer.write(replace_html(given, part, rewritten.html, rewritten.edits))
    return 0


def _rewritten(
    context: AppContext, html: str, words: argparse.Namespace, unsubscribe: frozenset[str] = frozenset()
) -> Rewritten:
    delivery = new_public_id()
    pixel = context.pixel_url(delivery) if words.opens else None
    link = (lambda url, index: context.click_url(delivery, index, url)) if words.links else (lambda _url, _index: None)
    return rewrite(html, link, pixel, leave=options_of(context, unsubscribe=unsubscribe))


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
