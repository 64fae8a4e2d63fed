"""What the edge says to a website's pages: CORS for the site's own hosts, and never a cookie."""

import gzip
from functools import lru_cache

from pixel.answers import Answer, Headers, header_lines

_COMMON: Headers = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-robots-tag", b"noindex, nofollow"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"vary", b"Origin"),
]


def _cors(origin: str) -> Headers:
    return [*_COMMON, (b"access-control-allow-origin", origin.encode("latin-1"))] if origin else _COMMON


def _json_headers(origin: str) -> Headers:
    return [(b"content-type", b"application/json"), *_cors(origin)]


@lru_cache(256)
def _json_lines(origin: str) -> bytes:
    return header_lines(_json_headers(origin))


def json_answer(origin: str, body: bytes) -> Answer:
    """JSON for the page of this origin (empty: a program's that named none)."""
    headers = _json_headers(origin)
    return Answer(200, headers, body, _json_lines(origin))


def nothing(origin: str) -> Answer:
    """204: taken."""
    return Answer(204, _cors(origin), b"")


def preflight(origin: str) -> Answer:
    """For whoever sends JSON as JSON; our own snippet asks in a way that needs none."""
    allowed: Headers = [
        (b"access-control-allow-methods", b"POST"),
        (b"access-control-allow-headers", b"content-type"),
        (b"access-control-max-age", b"600"),
    ]
    return Answer(204, [*_cors(origin), *allowed], b"")


def refused(status: int, sentence: str) -> Answer:
    """Without CORS: the page learns nothing."""
    return Answer(status, [(b"content-type", b"text/plain; charset=utf-8"), *_COMMON], f"{sentence}\n".encode())


def script(text: str, *, packed: bool) -> Answer:
    """The snippet, which any page may load and keep for five minutes."""
    body = text.encode()
    headers: Headers = [
        (b"content-type", b"text/javascript; charset=utf-8"),
        (b"cache-control", b"public, max-age=300"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"cross-origin"),
        (b"access-control-allow-origin", b"*"),
        (b"vary", b"Accept-Encoding"),
    ]
    if packed:
        body = gzip.compress(body, 9)
        headers.append((b"content-encoding", b"gzip"))
    return Answer(200, headers, body)
