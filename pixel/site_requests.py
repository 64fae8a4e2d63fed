"""What the snippet asks and tells, read without trust: every text cut, printable and of its kind, or left out."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from pixel.visit_sources import clean

LARGEST = 8 * 1024
"""Bytes of a body."""
LONGEST_URL = 2048
_KEY = re.compile(r"[A-Za-z0-9]{16,64}")
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_SCREEN = re.compile(r"\d{1,5}x\d{1,5}")
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{1,35}")
_ZONE = re.compile(r"[A-Za-z0-9_+/-]{1,64}")
_MOST_SELECTORS = 100
_MOST_ADDRESSES = 10
_decode = json.JSONDecoder().decode
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
BeaconKind = Literal["click", "copy", "view", "withdrawal"]


@dataclass(slots=True)
class Asked:
    """A page asks what to show. ``url`` is the page's address with its query, of which only marks are ever kept."""

    key: str
    visitor: str
    session: str
    url: str
    referrer: str
    screen: str
    language: str
    timezone: str
    webdriver: bool
    selectors: tuple[dict[str, str], ...] | None
    """Which of the site's selectors stand on the page; None when the page did not look."""
    addresses: tuple[str, ...]
    held: str
    stores: bool
    """Whether the browser can remember anything; a visitor who is new on every page is leased nothing."""


@dataclass(frozen=True, slots=True)
class Beacon:
    key: str
    visitor: str
    session: str
    kind: BeaconKind
    address: str
    url: str


async def read_body(receive: Receive, most: int = LARGEST) -> bytes | None:
    """The body; None when it is too large or the client has gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def read_asked(body: bytes) -> Asked | None:
    """None for what cannot be understood at all."""
    made = _object(body)
    key = _matching(_KEY, made.get("key"))
    if not key:
        return None
    return Asked(
        key=key,
        visitor=_matching(_ID, made.get("visitor")),
        session=_matching(_ID, made.get("session")),
        url=_url(made.get("page")),
        referrer=_url(made.get("referrer")),
        screen=_matching(_SCREEN, made.get("screen")),
        language=_matching(_LANGUAGE, made.get("language")),
        timezone=_matching(_ZONE, made.get("timezone")),
        webdriver=made.get("webdriver") is True,
        selectors=_selectors(made.get("selectors")),
        addresses=_addresses(made.get("addresses")),
        held=_text(made.get("held"), 4096),
        stores=made.get("storage") is not False,
    )


def read_beacon(body: bytes) -> Beacon | None:
    """None for what is no beacon."""
    made = _object(body)
    key, visitor = _matching(_KEY, made.get("key")), _matching(_ID, made.get("visitor"))
    kind = made.get("kind")
    if not key or not visitor or kind not in ("click", "copy", "view", "withdrawal"):
        return None
    return Beacon(
        key=key,
        visitor=visitor,
        session=_matching(_ID, made.get("session")),
        kind=cast(BeaconKind, kind),
        address=_text(made.get("address"), 254).lower(),
        url=_url(made.get("page")),
    )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        made = _decode(body.decode())
    except (ValueError, RecursionError):
        return {}
    return made if isinstance(made, dict) else {}


def _text(value: Any, longest: int) -> str:
    return clean(value, longest) if isinstance(value, str) else ""


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def _url(value: Any) -> str:
    """Cut before it is read: a page's address may have any length. Half characters go."""
    return clean(value, 4 * LONGEST_URL) if isinstance(value, str) else ""


def _selectors(value: Any) -> tuple[dict[str, str], ...] | None:
    if not isinstance(value, list):
        return None
    pairs = [each for each in value[:_MOST_SELECTORS] if isinstance(each, dict)]
    return tuple(
        {"attribute": _text(each.get("attribute"), 16), "value": _text(each.get("value"), 500)} for each in pairs
    )


def _addresses(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    texts = (_text(each, 254).lower() for each in value[:_MOST_ADDRESSES])
    return tuple(text for text in texts if "@" in text)
