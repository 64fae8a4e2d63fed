"""Hits for the tests: a complete current browser at home, an hour after sending, unless a test says otherwise."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from tracker.engagement.judge.case import known_age
from tracker.engagement.judge.evidence import Evidence, HitState, Kind, Link, Net
from tracker.engagement.judge.sequence import judged_hits
from tracker.engagement.judge.verdict import Judgement

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:147.0) Gecko/20100101 Firefox/147.0"
OUTLOOK = "Mozilla/4.0 (compatible; ms-office; MSOffice 16)"
GMAIL_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
HOME = "198.51.100.23"
ELSEWHERE = "203.0.113.200"

_IMAGE = {"accept": "image/avif,image/webp,*/*;q=0.8", "accept-language": "en", "sec-fetch-mode": "no-cors"}
_PAGE = {
    "accept": "text/html,*/*;q=0.8",
    "accept-language": "en",
    "sec-fetch-mode": "navigate",
    "sec-fetch-user": "?1",
    "sec-ch-ua": '"Chromium";v="156"',
}


def opened(
    agent: str = CHROME,
    seconds: float | None = 3600.0,
    ip: str = HOME,
    net: Net = Net(),
    state: HitState = HitState(),
    headers: Mapping[str, str | None] = {},
) -> Evidence:
    """The pixel; a header given as None was not sent."""
    return _hit("open", {**_IMAGE, "user-agent": agent, **headers}, seconds, ip, net, state, None)


def click(
    agent: str = CHROME,
    seconds: float | None = 3600.0,
    ip: str = HOME,
    net: Net = Net(),
    state: HitState = HitState(),
    link: Link = 0,
    headers: Mapping[str, str | None] = {},
) -> Evidence:
    """A link; a header given as None was not sent."""
    return _hit("click", {**_PAGE, "user-agent": agent, **headers}, seconds, ip, net, state, link)


def _hit(
    kind: Kind, headers: dict[str, Any], seconds: float | None, ip: str, net: Net, state: HitState, link: Link
) -> Evidence:
    sent = {name: value for name, value in headers.items() if value is not None}
    return Evidence(kind, ip, headers=sent, seconds_after_send=seconds, net=net, state=state, link=link)


def judge_sequence(hits: Iterable[tuple[Hashable, Evidence]]) -> dict[Hashable, Judgement]:
    """The final verdict on each hit of one message and recipient, by its key."""
    return {hit.key: hit.verdict for hit in judged_hits((key, known_age(each), each) for key, each in hits)}
