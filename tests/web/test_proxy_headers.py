"""Whom a request came from: what a named proxy says of the visitor, and nothing that a visitor says of themself."""

import asyncio
from ipaddress import ip_network
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from tracker.web.http.middleware import Forwarded

PROXIES = [ip_network("10.0.0.0/8")]


def seen(peer: tuple[str, int] | None, **headers: str) -> tuple[str | None, str]:
    """The visitor's address and the scheme, as the pages see them."""
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    pairs = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    unused: Any = None
    scope = {"type": "http", "scheme": "http", "client": peer, "headers": pairs}
    asyncio.run(Forwarded(app, PROXIES)(scope, unused, unused))
    return scopes[0]["client"] and scopes[0]["client"][0], scopes[0]["scheme"]


@pytest.mark.parametrize(
    ("peer", "chain", "visitor"),
    [
        ("10.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "198.51.100.7:51234", "198.51.100.7"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::FFFF:198.51.100.7", "198.51.100.7"),
        ("::ffff:192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("192.0.2.1", "127.0.0.1", "192.0.2.1"),
    ],
)
def test_the_visitor_is_the_nearest_address_that_is_no_proxy_of_ours(peer: str, chain: str, visitor: str) -> None:
    assert seen((peer, 40000), x_forwarded_for=chain)[0] == visitor


def test_who_has_no_address_stays_without_one_whatever_they_claim() -> None:
    assert seen(None, x_forwarded_for="127.0.0.1") == (None, "http")


def test_only_a_named_proxy_may_say_that_the_way_was_secure() -> None:
    assert seen(("10.0.0.1", 1), x_forwarded_proto="HTTPS")[1] == "https"
    assert seen(("10.0.0.1", 1), x_forwarded_proto="javascript")[1] == "http"
    assert seen(("192.0.2.1", 1), x_forwarded_proto="https")[1] == "http"
