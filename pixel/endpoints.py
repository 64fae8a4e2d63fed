"""The open image, the click redirect and the drain: straight-line code. It decides as little as possible.

The image is always an image, and a link with a valid token always leads to its destination: whatever happens to the
writing down, the answer goes out.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import parse_qs

from pixel import answers
from pixel.answers import Answer, Scope
from pixel.destinations import host_of, location, origin_of, path_of
from pixel.hits import HitRow, Kind, row_from_request
from pixel.limits import Limits
from pixel.proxies import Proxies, plain_address
from pixel.settings import EdgeSettings
from pixel.spool import Spool
from pixel.spool_folder import SpoolFolder
from pixel.tokens import SELF_COOKIE, TRAP_LINK, ClickClaims, Tokens, token_in_path

_log = logging.getLogger("pixel")
_DRAIN_LIMIT = 1000
_MAX_DRAIN_LIMIT = 5000
_MAX_WAIT = 30
_DRAIN_WORDS = "after and confirmed are a hit's id or 0, limit and spool are at least 1, wait is a number of seconds."
_COOKIE_START = SELF_COOKIE.encode("ascii") + b"="


class Endpoints:
    """The answers of the edge, over the spool that this process writes and those of its neighbours."""

    def __init__(self, settings: EdgeSettings, spool: Spool, spools: SpoolFolder, limits: Limits) -> None:
        self._settings = settings
        self._spool, self._spools = spool, spools
        self._tokens = Tokens(settings.keys)
        self._proxies = Proxies(settings.trusted_proxies)
        self._limits = limits
        self._own_hosts = settings.own_hosts
        self._own_origin = origin_of(settings.base_url)
        self._own_name = (host_of(settings.base_url) or "").encode("ascii")
        self._tracking_path = path_of(settings.tracking_url)

    def seen(self, scope: Scope, path: str) -> tuple[Answer, HitRow | None]:
        """The answer to who asks for a pixel or a link, and the hit that has to be on disk before it; None of what is no hit."""
        return self._open(scope, path) if path.startswith("/o/") else self._click(scope, path)

    def _open(self, scope: Scope, path: str) -> tuple[Answer, HitRow | None]:
        """Always the pixel. A valid token asked for with GET is a hit."""
        token = token_in_path(path)
        claims = self._tokens.read_open(token[1]) if token is not None else None
        if token is None or claims is None:
            return answers.PIXEL_ANSWER, None
        return answers.PIXEL_ANSWER, self._hit(scope, "open", token[1], claims.delivery, None)

    def _click(self, scope: Scope, path: str) -> tuple[Answer, HitRow | None]:
        """A redirect to the signed destination and nowhere else; what the query says is dropped."""
        token = token_in_path(path)
        claims = self._tokens.read_click(token[1]) if token is not None else None
        target = None if claims is None else self._destination(claims)
        if token is None or claims is None or target is None:
            return self._no_destination(scope, token[1] if token is not None else "")
        return answers.redirect(target), self._hit(scope, "click", token[1], claims.delivery, claims.link)

    def _no_destination(self, scope: Scope, token: str) -> tuple[Answer, HitRow | None]:
        """The hidden link has the address of any other link, so that nothing can tell it apart, and leads nowhere."""
        language = dict(scope["headers"]).get(b"accept-language", b"")
        trap = self._tokens.read_trap(token)
        if trap is None:
            return answers.not_found(language), None
        return answers.no_person(language), self._hit(scope, "click", token, trap.delivery, TRAP_LINK)

    async def drain(self, scope: Scope) -> Answer:
        """Hits after N as lines of JSON, for who has the drain key. Asking for what comes after N confirms N, or what ``confirmed``
        says.

        Each worker has a spool of its own: ``spool`` says which (1), and a header of every answer which there are. With
        ``wait`` the answer comes as soon as there are hits in any of them, at the latest after so many seconds.
        """
        if self._settings.drain_key is None:
            return answers.not_found(b"")
        offered = dict(scope["headers"]).get(b"authorization", b"")
        if not self._is_drain_key(offered):
            return answers.plain(401, "The drain key is missing or wrong.", [(b"www-authenticate", b"Bearer")])
        query = parse_qs(scope["query_string"].decode("ascii", "replace"))
        after, limit = _number(query, "after", 0), _number(query, "limit", _DRAIN_LIMIT)
        wait, number = _number(query, "wait", 0), _number(query, "spool", 1)
        confirmed = _number(query, "confirmed", after or 0)
        if after is None or not limit or wait is None or confirmed is None or number is None:
            return answers.plain(400, _DRAIN_WORDS)
        until = time.monotonic() + min(wait, _MAX_WAIT)
        while True:
            with self._spools.news() as news:
                answer, is_empty = await asyncio.to_thread(
                    self._drain, number, after, confirmed, min(limit, _MAX_DRAIN_LIMIT)
                )
                left = until - time.monotonic()
                if not is_empty or left <= 0:
                    return answer
                with suppress(TimeoutError):
                    await asyncio.wait_for(news, left)
                    wait = 0 if len(self._spools.numbers()) > 1 else wait  # the news may be another spool's
            until = until if wait else 0.0

    def _drain(self, number: int, after: int, confirmed: int, limit: int) -> tuple[Answer, bool]:
        """The answer, and whether it only says that there is nothing."""
        spool = self._spools.reader(number)
        if spool is None:
            return answers.plain(404, "There is no spool of this number."), False
        last = spool.last_id()
        if max(after, confirmed) > last:
            return answers.plain(409, "after is above every id of this spool; it belongs to another one."), False
        if confirmed:
            spool.prune(confirmed)
        hits = spool.after(after, limit)
        lines = b"".join(hit.to_json().encode() + b"\n" for hit in hits)
        return answers.drained(lines, self._spools.numbers(), last), not hits

    async def health(self) -> Answer:
        """200 while the spool accepts writes, 503 otherwise."""
        writable = await asyncio.to_thread(self._spool.writable)
        facts = {
            "status": "ok" if writable else "hits cannot be written to the spool",
            **await asyncio.to_thread(self._losses),
        }
        return answers.state(200 if writable else 503, facts)

    def _losses(self) -> dict[str, int]:
        names = ("lost", "rescued", "over_budget")
        if self._settings.workers == 1:  # since the start
            return {name: getattr(self._spool.metrics, name) for name in names}
        counts = self._spools.counts()
        return {name: counts.get(f"hits_{name}", 0) for name in names}

    async def metrics(self, scope: Scope) -> Answer:
        """The counts for Prometheus, for who has the drain key."""
        offered = dict(scope["headers"]).get(b"authorization", b"")
        if self._settings.drain_key is None or not self._is_drain_key(offered):
            return answers.not_found(b"")
        counts = await asyncio.to_thread(self._spools.counts)
        return answers.prometheus(f"inkling_{name} {value}" for name, value in counts.items())

    def _is_drain_key(self, offered: bytes) -> bool:
        return hmac.compare_digest(offered, b"Bearer " + (self._settings.drain_key or "").encode("ascii"))

    def _hit(self, scope: Scope, kind: Kind, token: str, delivery: str, link: int | None) -> HitRow | None:
        """What is to be written down; None of what is no hit, or over a budget. Never raises."""
        if scope["method"] != "GET":
            return None
        try:
            headers: dict[bytes, bytes] = dict(scope["headers"])
            if self._is_ours(headers) or (kind == "click" and _is_prefetch(headers)):
                return None
            client = self.client(scope)
            if not self._limits.allow(client, token, delivery, time.monotonic()):
                self._spool.metrics.over_budget += 1
                return None
            return row_from_request(
                at=time.time_ns() // 1_000_000,
                kind=kind,
                token=token,
                delivery=delivery,
                link=link,
                client=client,
                self_user=self._self_user(headers),
                scope=scope,
            )
        except Exception as error:
            self._spool.metrics.lost += 1
            _log.error("a hit was lost: %s", type(error).__name__)
            return None

    def client(self, scope: Scope) -> str:
        """The address of who asks, behind the proxies that are trusted."""
        peer = scope.get("client")
        peer_host = peer[0] if peer else ""
        if not self._proxies.trusts(peer_host):
            return plain_address(peer_host) or ""
        return self._proxies.client(
            peer_host, [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        )

    def _is_ours(self, headers: Mapping[bytes, bytes]) -> bool:
        """True when one of our own pages shows the mail: the sender reads it, not the recipient."""
        if headers.get(b"sec-fetch-site") == b"same-origin":
            return True
        referer = headers.get(b"referer")
        if referer is None or self._own_name not in referer.lower():
            return False
        url = referer[:2048].decode("ascii", "replace")
        return origin_of(url) == self._own_origin

    def _self_user(self, headers: Mapping[bytes, bytes]) -> str | None:
        cookie = headers.get(b"cookie", b"")
        if _COOKIE_START not in cookie:
            return None
        for pair in cookie.split(b";"):
            if pair.strip().startswith(_COOKIE_START):
                return self._tokens.read_self_mark(pair.strip()[len(_COOKIE_START) :].decode("ascii", "replace"))
        return None

    def _destination(self, claims: ClickClaims) -> bytes | None:
        """The Location of a click. A destination that is itself one of our tracked links is followed here, in one step.

        The inner token is shorter than the outer one, so this ends.
        """
        inner = self._tracked_link(claims.url)
        while inner is not None:
            claims = inner
            inner = self._tracked_link(claims.url)
        return location(claims.url, self._own_hosts)

    def _tracked_link(self, url: str) -> ClickClaims | None:
        if host_of(url) not in self._own_hosts:
            return None
        path = path_of(url).removeprefix(self._tracking_path)
        token = token_in_path(path)
        return self._tokens.read_click(token[1]) if token is not None and token[0] == "click" else None


def _is_prefetch(headers: Mapping[bytes, bytes]) -> bool:
    """True when the browser says that it only looks ahead: nobody has clicked yet."""
    marks = (headers.get(name, b"") for name in (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"))
    return any(b"prefetch" in mark.lower() or b"preview" in mark.lower() for mark in marks)


def _number(query: Mapping[str, list[str]], name: str, default: int) -> int | None:
    if name not in query:
        return default
    text = query[name][-1]
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None
