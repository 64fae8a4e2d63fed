"""Hits: one request as the edge saw it, unjudged. The record that crosses from the edge to the tracker."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined]
from typing import Any, Literal
from urllib.parse import urlsplit

_encoder = json.JSONEncoder(separators=(",", ":"), check_circular=False)
_chunks = c_make_encoder(None, _encoder.default, encode_basestring_ascii, None, ":", ",", False, False, True)


def compact_json(value: Any) -> str:
    """JSON without spaces. The standard library's encoder in C, made once: ``encode`` makes one for each call."""
    return "".join(_chunks(value, 0))


MailKind = Literal["open", "click"]
Kind = Literal["open", "click", "visit", "beacon"]
KINDS = frozenset({"open", "click", "visit", "beacon"})
WEBSITE_KINDS = frozenset({"visit", "beacon"})
"""Those of a website's visitors: the token is the site's key, the delivery the visitor, and the body says the rest."""

# The headers of a hit (Referer as its host only) and how many bytes of each are kept. No others are, ever.
KEPT_HEADERS: dict[bytes, int] = {
    b"user-agent": 512,
    b"accept": 256,
    b"accept-language": 128,
    b"accept-encoding": 128,
    b"referer": 255,
    b"sec-fetch-site": 32,
    b"sec-fetch-mode": 32,
    b"sec-fetch-dest": 32,
    b"sec-fetch-user": 32,
    b"sec-ch-ua": 256,
    b"sec-purpose": 64,
    b"purpose": 64,
    b"x-purpose": 64,
    b"x-moz": 64,
    b"x-native-host": 128,
    b"via": 256,
    b"from": 256,
    b"dnt": 16,
}
_KEPT = tuple((name, name.decode("ascii"), limit) for name, limit in KEPT_HEADERS.items() if name != b"referer")


@dataclass(frozen=True, slots=True)
class Hit:
    """One request for a pixel or a tracked link, or what a website's visitor did.

    `id` is None until the spool has given one. `received_at` is UTC with milliseconds. `client` is the address behind
    the named proxies, IPv4 in dotted form, or empty when unknown. `headers` has lower-case names. `self_user` is the
    public id of our own person whose browser asked, proven by the self mark.
    """

    id: int | None
    received_at: datetime
    kind: Kind
    token: str
    delivery: str
    link: int | None
    method: str
    client: str
    http_version: str
    headers: Mapping[str, str]
    self_user: str | None
    body: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        """One line of JSON."""
        body = {} if self.body is None else {"body": self.body}
        return compact_json(
            {
                **body,
                "id": self.id,
                "received_at": self.received_at.astimezone(UTC).isoformat(timespec="milliseconds"),
                "kind": self.kind,
                "token": self.token,
                "delivery": self.delivery,
                "link": self.link,
                "method": self.method,
                "client": self.client,
                "http_version": self.http_version,
                "headers": dict(self.headers),
                "self_user": self.self_user,
            }
        )

    @classmethod
    def from_json(cls, line: str | bytes) -> "Hit":
        """The hit of one line. Raises ValueError when the line is not one."""
        try:
            fields = json.loads(line)
            fields["received_at"] = datetime.fromisoformat(fields["received_at"]).astimezone(UTC)
            hit = cls(**fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a hit: {error}") from error
        if not _is_sound(hit):
            raise ValueError("not a hit: a field has the wrong type")
        return hit


def _is_sound(hit: Hit) -> bool:
    texts = (hit.token, hit.delivery, hit.method, hit.client, hit.http_version)
    return (
        hit.kind in KINDS
        and type(hit.body) in (dict, type(None))
        and all(type(text) is str for text in texts)
        and type(hit.id) in (int, type(None))
        and type(hit.link) in (int, type(None))
        and type(hit.self_user) in (str, type(None))
        and type(hit.headers) is dict
        and all(type(value) is str for value in hit.headers.values())
    )


HitRow = tuple[int, Kind, str, str, int | None, str, str, str, str, str | None, str | None]
"""A hit as the spool stores it: :class:`Hit` without its id, the moment in milliseconds, headers and body as JSON."""


def row_from_request(
    *,
    at: int,
    kind: Kind,
    token: str,
    delivery: str,
    link: int | None,
    client: str,
    self_user: str | None,
    scope: Mapping[str, Any],
    body: Mapping[str, Any] | None = None,
) -> HitRow:
    """The hit of an ASGI request, every text cut to its fixed length. Never raises on odd bytes."""
    return (
        at,
        kind,
        token,
        delivery,
        link,
        scope["method"][:16],
        client,
        scope.get("http_version", "")[:8],
        _headers_json(tuple([pair for pair in scope["headers"] if pair[0] in KEPT_HEADERS])),
        self_user,
        None if body is None else compact_json(body),
    )


def row_of(hit: Hit) -> HitRow:
    """The hit as the spool stores it."""
    return (
        round(hit.received_at.timestamp() * 1000),
        hit.kind,
        hit.token,
        hit.delivery,
        hit.link,
        hit.method,
        hit.client,
        hit.http_version,
        compact_json(hit.headers),
        hit.self_user,
        None if hit.body is None else compact_json(hit.body),
    )


@lru_cache(1024)  # the proxies of mail providers and the browsers of a day send the same headers again and again
def _headers_json(pairs: tuple[tuple[bytes, bytes], ...]) -> str:
    return compact_json(kept_headers(dict(pairs)))


def kept_headers(raw_headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """The headers worth keeping, by lower-case name, cut and printable; Referer as its host."""
    headers = {name: _printable(raw_headers[raw], limit) for raw, name, limit in _KEPT if raw in raw_headers}
    if b"referer" in raw_headers:
        headers["referer"] = referer_host(raw_headers[b"referer"])
    return headers


def referer_host(referer: bytes) -> str:
    """The host of a Referer value in lower case; empty when it has none."""
    try:
        host = urlsplit(referer[:2048].decode("ascii", "replace").strip()).hostname or ""
    except ValueError:
        return ""
    return _printable(host.encode("utf-8"), KEPT_HEADERS[b"referer"])


def _printable(value: bytes, limit: int) -> str:
    text = value[:limit].decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else "\ufffd" for mark in text)
