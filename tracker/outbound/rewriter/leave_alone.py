"""Which links stay as their author wrote them, and the reason that is kept for each."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from tracker.outbound.rewriter import one_time_links as data
from tracker.outbound.rewriter.href import host_and_port, trimmed, web_address

MAX_URL_LENGTH = 1800

_RANDOM = re.compile(data.RANDOM_SEGMENT)
_WORD = re.compile(data.ONE_TIME_WORD)
_SUFFICIENT = re.compile(f"[?&#;](?:{'|'.join(data.PARAMETERS)})")
# Passes quickly over the parameters that are most frequent by far.
_PARAMETER = re.compile(
    f"[?&#;](?!utm_(?:source|medium|campaign|term|content|id)=)(?:{'|'.join(data.PARAMETERS)}|{data.PROVING_PARAMETER})"
)
_HOST = re.compile(r"https?://([^/?#]*)/")
_WRITTEN_OUT = re.compile(r"(?:[a-z][a-z0-9+.-]*://|www\.)\S+", re.IGNORECASE)
_DOMAIN = re.compile(r"[^\s/@?#]+\.[^\s/@?#.]{2,}(?:[/?#]\S*)?")


@dataclass(frozen=True)
class Leave:
    """What the rewriter leaves alone, and how it knows our own addresses.

    `own_hosts`: the tracking hosts, as `host` or `host:port` (the scheme's own port left out), lower case.
    `list_unsubscribe`: the web addresses of the message's List-Unsubscribe field.
    `original`: gives the destination of one of our tracked URLs, None for any other URL.
    `is_own_pixel`: True for the URL of a pixel of ours.
    """

    own_hosts: frozenset[str] = frozenset()
    list_unsubscribe: frozenset[str] = frozenset()
    leave_text_urls: bool = True
    leave_one_time: bool = True
    max_url_length: int = MAX_URL_LENGTH
    original: Callable[[str], str | None] | None = None
    is_own_pixel: Callable[[str], bool] | None = None


def reason_to_leave(url: str, text: str, leave: Leave, host: str | None) -> str | None:
    """Why a web address (canonical) with that visible text is left; None when it may be tracked.

    `host` is that of the address where it is known and has no port.
    """
    if is_own(url, leave, host):
        return "own_host"
    if leave.list_unsubscribe and _is_listed(url, leave.list_unsubscribe):
        return "list_unsubscribe"
    if leave.leave_one_time and is_one_time(url):
        return "one_time"
    if leave.leave_text_urls and ("." in text or ":" in text) and is_written_out(text, url):
        return "text_is_url"
    return "too_long" if len(url) > leave.max_url_length else None


def is_own(url: str, leave: Leave, host: str | None) -> bool:
    """True for an address on a tracking host, and for a tracked URL of ours on any host that we once had."""
    if leave.own_hosts and (host or host_and_port(url)) in leave.own_hosts:
        return True
    return leave.original is not None and leave.original(url) is not None


@lru_cache(4096)  # of all copies of a message, its preview, and whatever stands in it several times
def is_one_time(url: str) -> bool:
    """True for sign-in, reset, confirmation and pre-signed addresses: following one may use it up."""
    lowered = url.lower()
    host = _HOST.match(lowered)
    paths = _one_time_paths(host[1]) if host is not None else None
    if host is not None and paths is not None and paths.match(lowered, host.end()) is not None:
        return True
    if _PARAMETER.search(lowered) is None and _RANDOM.search(lowered) is None:
        return False
    return _SUFFICIENT.search(lowered) is not None or _WORD.search(lowered) is not None


@lru_cache(4096)
def _one_time_paths(host: str) -> re.Pattern[str] | None:
    paths = [path for hosts, path in data.PLACES if re.fullmatch(hosts, host) is not None]
    return re.compile("|".join(paths)) if paths else None


def is_written_out(text: str, url: str) -> bool:
    """True when the visible text is itself an address, so that another address behind it would look like a fraud.

    A bare `example.com/page` counts only when it names the host that the link leads to; "Node.js" is no address.
    """
    if _WRITTEN_OUT.fullmatch(text) is not None:
        return True
    if _DOMAIN.fullmatch(text) is None:
        return False
    shown = web_address("https://" + text)
    return shown is not None and _bare_host(shown) == _bare_host(url)


def _is_listed(url: str, listed: frozenset[str]) -> bool:
    return url in listed or any(web_address(trimmed(known)) == url for known in listed)


def _bare_host(url: str) -> str:
    return host_and_port(url).removeprefix("www.")
