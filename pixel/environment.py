"""Values of the environment, checked alike by every program: a value or the file that holds it in, what it stands for out.

Whatever cannot be used raises SettingError, whose text names the variable; a secret is never in it.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from pixel.tokens import check_keys

Network = IPv4Network | IPv6Network
DEFAULT_URL = "http://127.0.0.1:8000"
MIN_DRAIN_KEY = 24
_MAKE_ONE = "make one with: openssl rand -hex 32"


class SettingError(ValueError):
    """A setting that cannot be used; the text names the variable and what is wrong with it."""


def value(environ: Mapping[str, str], name: str) -> str:
    """The value of a variable or of the file that `NAME_FILE` names; empty when neither is set."""
    text, path = environ.get(name, "").strip(), environ.get(f"{name}_FILE", "").strip()
    if text and path:
        raise SettingError(f"{name} and {name}_FILE are both set; keep one of them")
    try:
        return Path(path).read_text("utf-8").strip() if path else text
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{name}_FILE names a file that cannot be read: {path} ({error})") from None


def words(text: str) -> list[str]:
    """A list divided by commas or, as in files, by line ends."""
    return [word.strip() for word in re.split(r"[,\r\n]", text) if word.strip()]


def secret_keys(name: str, text: str) -> tuple[str, ...]:
    keys = tuple(words(text))
    try:
        check_keys(keys)
    except ValueError as error:
        raise SettingError(f"{name}: {error}; {_MAKE_ONE}") from None
    return keys


def drain_key(name: str, text: str) -> str | None:
    if text and not re.fullmatch(rf"[!-~]{{{MIN_DRAIN_KEY},}}", text):
        raise SettingError(f"{name} must have {MIN_DRAIN_KEY} or more ASCII characters without spaces; {_MAKE_ONE}")
    return text or None


def url(name: str, text: str) -> str:
    """An http address without query, fragment and user, and without a slash at its end."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"[!-~]+", text) or re.search(r"[?#@]", text):
        raise SettingError(f"{name} must be an address like https://mail.example.com, not {text!r}")
    return text.rstrip("/")


def base_url(name: str, text: str) -> str:
    """The same without a path: pages and their parts name each other from the root."""
    address = url(name, text)
    if urlsplit(address).path:
        raise SettingError(f"{name} must have no path, not {text!r}; the pages need a host of their own")
    return address


def networks(name: str, text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(word, strict=False) for word in words(text))
    except ValueError as error:
        raise SettingError(f"{name} must be addresses or networks, divided by commas: {error}") from None


def number(name: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        raise SettingError(f"{name} must be a number, not {text!r}") from None
    if not least <= value <= most:
        raise SettingError(f"{name} must lie between {least:g} and {most:g}, not {text}")
    return value


def whole(name: str, text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise SettingError(f"{name} must be a whole number, not {text!r}")
    return int(number(name, text, least, most))


def hits(name: str, text: str) -> int | None:
    """A budget of the edge, 0 for no limit; None when nothing is set."""
    return whole(name, text, 0, 1_000_000_000) if text else None
