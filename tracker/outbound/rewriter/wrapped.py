"""URLs inside other people's URLs: link scanners, search engines and image proxies carry the address that they stand for. Pure.

Whatever the wrapper is: its address is read as it is, percent-decoded, and in the codes that scanners use, and looked through for
what a signature proves to be ours. No list of wrappers has to be kept.
"""

import binascii
import html as entities
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote

from tracker.outbound.rewriter.document import Document
from tracker.outbound.rewriter.href import trimmed

MOST_READINGS = 24
"""Readings of one URL; wrappers of wrappers are read as long as there are fewer."""
_LONGEST_CODE = 8_000
_CODE = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){30,}")
_MAY_HOLD = re.compile(r"(?:[/_]|%(?:25)*2f)[cor](?:[/_]|%(?:25)*2f)", re.IGNORECASE)
_CODES = bytes(65 if chr(octet) in "+/_-" or (octet < 128 and chr(octet).isalnum()) else 32 for octet in range(256))
_SLASHES = bytes.maketrans(b"_CORcor", b"/rrrrrr")
_TOKEN = re.compile(r"/([cor])/([A-Za-z0-9_-]{16,})")
_RUN = re.compile(r"[^\s\"'<>`\\{}|^]{24,}")
_START = re.compile(r"https?(?:://|%(?:25)*3a%(?:25)*2f%(?:25)*2f)", re.IGNORECASE)
_V2 = str.maketrans("-_", "%/")
_URL_SAFE = str.maketrans("+/", "-_")


def may_hold(text: str) -> bool:
    """False for what certainly holds no token, in whatever wrapper. Of most texts that is said without a regular expression."""
    octets = text.encode("ascii", "replace")
    if b"/r/" in octets.translate(_SLASHES) or b"A" * 60 in octets.translate(_CODES):
        return True
    return "%" in text and _MAY_HOLD.search(text) is not None


def may_hold_tokens(document: Document) -> bool:
    """False for a document of whose links and images certainly none has a token in its address."""
    links = (link.url or "" for link in document.links)
    images = (trimmed(image.source) for image in document.images)
    return may_hold("\n".join((*links, *images)))


def tokens_in(url: str) -> Iterator[tuple[str, str]]:
    """What may be a token of ours in a URL, with its kind (``c``, ``o``, ``r``); the likeliest first."""
    if not may_hold(url):
        return
    for reading in _readings(url):
        for match in _TOKEN.finditer(reading):
            kind, token = match[1], match[2]
            yield kind, token
            if (bare := token.rstrip("_")) != token:  # urldefense ends what it carries with two of them
                yield kind, bare


def _readings(url: str) -> Iterator[str]:
    waiting, seen = [url], {url}
    while waiting and len(seen) <= MOST_READINGS:
        reading = waiting.pop(0)
        yield reading
        for further in _decoded(reading):
            if further not in seen:
                seen.add(further)
                waiting.append(further)


def _decoded(url: str) -> Iterator[str]:
    if "%" in url:
        yield unquote(url)
    if "&" in url:
        yield entities.unescape(url)
    if "-3A" in url:  # urldefense.proofpoint.com/v2
        yield unquote(url.translate(_V2))
    for code in _CODE.findall(url[:_LONGEST_CODE]):
        yield from _text_of(_base64, code)
    for code in _HEX.findall(url[:_LONGEST_CODE]):
        yield from _text_of(bytes.fromhex, code)


def _text_of(octets: Callable[[str], bytes], code: str) -> Iterator[str]:
    try:
        text = octets(code).decode("ascii")
    except (binascii.Error, ValueError):
        return
    if text.isprintable():
        yield text


def _base64(code: str) -> bytes:
    letters = code.rstrip("=").translate(_URL_SAFE)
    return urlsafe_b64decode(letters + "=" * (-len(letters) % 4))


def swept(text: str, replacement: Callable[[str], str | None], written: Callable[[str], str] = str) -> str:
    """The text with every URL replaced for which there is a replacement; ``written`` puts a URL as text or markup has it."""
    if not may_hold(text):
        return text
    return _RUN.sub(lambda run: _run(run[0], replacement, written), text)


def _run(run: str, replacement: Callable[[str], str | None], written: Callable[[str], str]) -> str:
    start = _START.search(run)
    if start is None or run.startswith("data:") or not may_hold(run):
        return run
    is_encoded = "%" in start[0]
    end = len(run.rstrip(").,;:!?]"))
    if is_encoded and (next_value := run.find("&", start.end())) >= 0:
        end = next_value
    new = replacement(run[start.start() : end])
    if new is None:
        return run
    return run[: start.start()] + (quote(new, safe="") if is_encoded else written(new)) + run[end:]
