"""Where a click may lead: absolute web addresses, and their spelling in a Location header."""

import re
from urllib.parse import quote, unquote

MAX_URL = 8192
"""Longest destination that is signed, in characters."""

_WEB_ADDRESS = re.compile(
    r"""(?P<scheme>https?)://
        (?:(?P<userinfo>[^@/?\#\\\s]*)@)?
        (?P<host>\[[0-9A-Fa-f:.]+\]|[^@/?\#\\\s:\[\]<>"^`{|}]+)
        (?P<port>:[0-9]{0,5})?
        (?P<rest>(?:[/?\#].*)?)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
# The usual address, told at once: nothing but printable ASCII, no user, no port.
_USUAL = re.compile(r"https?://[a-z0-9.-]+(?:[/?#][!-~]*)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# RFC 3986 reserved and unreserved characters, "%" and the rest of printable ASCII stay as they were written.
_KEEP = "".join(chr(code) for code in range(0x21, 0x7F))


def is_web_address(url: str) -> bool:
    """True for an absolute http or https address with a host that every browser reads the same way.

    `https:x`, `//x`, `https:\\\\x`, an empty host, a backslash in the authority and control characters are refused.
    """
    if len(url) > MAX_URL:
        return False
    if _USUAL.fullmatch(url) is not None:
        return True
    return _CONTROL.search(url) is None and _WEB_ADDRESS.fullmatch(url) is not None


def location(url: str, own_hosts: frozenset[str] = frozenset()) -> bytes | None:
    """The destination as the ASCII value of a Location header; None when it must not be redirected to.

    ASCII is left byte for byte, only a space becomes `%20`; a host in other scripts becomes its A-labels (UTS 46), the
    rest percent-encoded UTF-8. A user part that begins like one of our own hosts (`https://our.host@elsewhere`) is refused.
    """
    parts = _WEB_ADDRESS.fullmatch(url) if is_web_address(url) else None
    if parts is None or _pretends(parts["userinfo"], own_hosts):
        return None
    if url.isascii() and " " not in url:
        return url.encode("ascii")
    host = _a_labels(parts["host"])
    if host is None:
        return None
    userinfo = "" if parts["userinfo"] is None else _percent_encoded(parts["userinfo"]) + "@"
    tail = (parts["port"] or "") + _percent_encoded(parts["rest"])
    return f"{parts['scheme']}://{userinfo}{host}{tail}".encode("ascii")


def host_of(url: str) -> str | None:
    """The host of a web address in lower case, without port; None when it is not one."""
    parts = _WEB_ADDRESS.fullmatch(url)
    return None if parts is None else parts["host"].strip("[]").rstrip(".").lower()


def origin_of(url: str) -> tuple[str, str] | None:
    """Host and port of a web address, the port made explicit; None when it is not one."""
    parts, host = _WEB_ADDRESS.fullmatch(url), host_of(url)
    if parts is None or host is None:
        return None
    return host, (parts["port"] or "").lstrip(":") or ("443" if parts["scheme"].lower() == "https" else "80")


def path_of(url: str) -> str:
    """The path of a web address, without query and fragment; empty when it has none."""
    parts = _WEB_ADDRESS.fullmatch(url)
    return "" if parts is None else re.split(r"[?#]", parts["rest"], maxsplit=1)[0]


def _pretends(userinfo: str | None, own_hosts: frozenset[str]) -> bool:
    return userinfo is not None and unquote(userinfo).lower().startswith(tuple(own_hosts))


def _percent_encoded(text: str) -> str:
    return quote(text, safe=_KEEP, errors="replace")


def _a_labels(host: str) -> str | None:
    if host.isascii():
        return host
    import idna  # its tables take 20 ms to load, and only rare links need them

    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return None
