"""Who may come upon a letter in the demo: machines and people, each with the request it really makes.

Agents and networks are those of the facts in ``tracker.engagement``; every request goes to the real edge over HTTP. The edge of the
demo trusts this machine as a proxy, so that a visitor can come from the network it would come from.
"""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from html import unescape

import httpx

from tracker.runtime.localized_text import N_

_CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)


@dataclass(frozen=True)
class Visitor:
    """One kind of visitor: what it fetches of a letter, from where, as whom."""

    label: str
    address: str
    headers: dict[str, str]
    opens: bool
    follows_links: bool


VISITORS = {
    "gmail": Visitor(
        N_("Opened in Gmail"),
        "66.249.84.33",
        {"user-agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"},
        opens=True,
        follows_links=False,
    ),
    "apple": Visitor(
        N_("Fetched ahead by Apple Mail"),
        "104.28.30.10",
        {"user-agent": "Mozilla/5.0"},
        opens=True,
        follows_links=False,
    ),
    "scanner": Visitor(
        N_("Checked by Microsoft’s mail protection"),
        "40.94.28.12",
        {"user-agent": _CHROME, "accept": "*/*"},
        opens=True,
        follows_links=True,
    ),
    "barracuda": Visitor(
        N_("Checked by Barracuda’s gateway"), "209.222.82.7", {"user-agent": _CHROME}, opens=False, follows_links=True
    ),
}


def visit(visitor: Visitor, raw: bytes) -> int:
    """Makes the visitor's requests for one letter. Returns how many there were; 0 means that the letter carries nothing of ours."""
    urls = [*_pixels(raw)] if visitor.opens else []
    urls += _links(raw) if visitor.follows_links else []
    with httpx.Client(headers=visitor.headers | {"x-forwarded-for": visitor.address}, timeout=5) as client:
        for url in urls:
            client.get(url)
    return len(urls)


def html_of(raw: bytes) -> str | None:
    """The HTML of a letter, None when it has none."""
    part = message_from_bytes(raw, policy=policy.default).get_body(("html",))
    return str(part.get_content()) if part is not None else None


def _pixels(raw: bytes) -> list[str]:
    return [unescape(url) for url in re.findall(r'src="(http[^"]+/o/[^"]+)"', html_of(raw) or "")]


def _links(raw: bytes) -> list[str]:
    return [unescape(url) for url in re.findall(r'href="(http[^"]+/c/[^"]+)"', html_of(raw) or "")]
