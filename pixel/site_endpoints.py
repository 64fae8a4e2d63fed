"""The website's side of the edge: the snippet, what a visitor sees in place of an address, and what they do with it.

Everything is answered from the published snapshot and a file beside the spool. A visit is in the spool, committed, before its
answer goes out; whatever goes wrong, the page keeps its own addresses.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pixel import site_answers
from pixel.answers import Answer, AnswerBody, Reply
from pixel.hits import compact_json
from pixel.limits import Budgets, Limits
from pixel.robots import device_of, is_robot
from pixel.settings import EdgeSettings
from pixel.site_config import SiteConfig
from pixel.site_drafts import BeaconDraft, Completion, Request, VisitDraft
from pixel.site_requests import LARGEST, Asked, Receive, read_asked, read_beacon, read_body
from pixel.site_rules import PublishedSite, answers_of
from pixel.spool import Spool
from pixel.visit_decision import VisitDecision, VisitOutcome
from pixel.visit_seal import Seal
from pixel.visit_sources import Arrival, host_of

LARGEST_SNAPSHOT = 32 * 1024 * 1024
VISITS_PER_KEY = 1_000_000
"""A minute and site: what is over it is answered with nothing to swap."""
STORED_WITHIN = 1.0
"""Seconds that a page's answer waits for the disk. The snippet itself waits for two."""
_MOST_SECONDS = 1800
_SNIPPET = Path(__file__).with_name("snippet.js")
_log = logging.getLogger("pixel.sites")
Scope = MutableMapping[str, Any]


def visit_budgets(budgets: Budgets) -> Budgets:
    """Of visits: a source has the same budget as for hits, a site one of its own."""
    return Budgets(budgets.per_source, VISITS_PER_KEY, 0)


class SiteEndpoints:
    """The answers to a website's pages. ``client`` tells who asks, behind the proxies that are trusted."""

    def __init__(
        self,
        settings: EdgeSettings,
        spool: Spool,
        completion: Completion,
        client: Callable[[Scope], str],
        limits: Limits,
    ) -> None:
        self._settings, self._spool, self._completion, self._client = settings, spool, completion, client
        self.config = SiteConfig(settings.data_dir)
        self._seal = Seal(settings.keys)
        self._limits = limits
        self.resolved = self.limited = 0
        self.answers = {
            "/et/v1/resolve": self._answered_soon(self._resolve),
            "/et/v1/beacon": self._answered_soon(self._beacon),
        }
        """Who answers what pages ask and tell, by path."""

    def close(self) -> None:
        self._completion.close()

    def metrics(self) -> dict[str, int]:
        return {
            "visits_resolved": self.resolved,
            "visits_over_limit": self.limited,
            "visits_without_store": self._completion.without_store,
        }

    # --- the snippet

    def snippet(self, path: str, headers: Mapping[bytes, bytes]) -> Answer:
        """``/s/{key}.js``: the script with what its site needs. 404 for a key that nobody has."""
        snapshot = self.config.look()
        site = snapshot.sites.get(path.removeprefix("/s/").removesuffix(".js"))
        if site is None or not path.endswith(".js"):
            return site_answers.refused(404, "There is no such site.")
        packed = b"gzip" in headers.get(b"accept-encoding", b"")
        return _script(_facts_of(site, self._settings.tracking_url), packed)

    # --- a page asks

    async def answer(self, scope: Scope, receive: Receive, path: str) -> Answer:
        """The answer to what a page asks or tells, for a server that hands over a body piece by piece."""
        body = await read_body(receive)
        if body is None:
            return _TOO_LARGE
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.answers[path](scope, body, lambda made: None if answer.done() else answer.set_result(made))
        return await answer

    def _answered_soon(self, answer: Callable[[Scope, bytes, Reply], Answer | None]) -> AnswerBody:
        """Who replies with what is answered at once; with a draft's answer the spool does, later."""

        def reply_soon(scope: Scope, body: bytes, reply: Reply) -> None:
            try:
                at_once = answer(scope, body, reply) if len(body) <= LARGEST else _TOO_LARGE
            except Exception as error:
                _log.error("a page could not be answered: %s", type(error).__name__)
                at_once = _FAILED
            if at_once is not None:
                asyncio.get_running_loop().call_soon(reply, at_once)

        return reply_soon

    def _resolve(self, scope: Scope, body: bytes, reply: Reply) -> Answer | None:
        """What this page shows in place of its addresses."""
        headers = dict(scope["headers"])
        asked = read_asked(body)
        if asked is None:
            return _NOT_ASKED
        origin, site, refusal = self._site(headers, asked.key, asked.url)
        if site is None:
            return refusal
        agent = headers.get(b"user-agent", b"").decode("utf-8", "replace")[:512]
        robot = asked.webdriver or is_robot(agent)
        client = self._client(scope)
        if (robot and site.ignore_robots) or self._over_limit(client, site):
            return site_answers.json_answer(origin, NOTHING)
        request = Request(time.time_ns() // 1_000_000, client, scope)
        draft = VisitDraft(request, asked, self._decision(site, asked, agent, robot, request.at), agent, robot)

        def reply_with(is_stored: bool) -> None:
            self.resolved += 1
            # an address whose visit is stored nowhere would tell nothing, and its letter would look forged
            answer = self._body(site, draft.outcome) if is_stored and draft.outcome is not None else NOTHING
            reply(site_answers.json_answer(origin, answer))

        self._spool.submit(draft, reply_with, STORED_WITHIN)
        return None

    def _site(self, headers: Mapping[bytes, bytes], key: str, page: str) -> tuple[str, PublishedSite | None, Answer]:
        """The origin to answer to, and the site; without one what to say instead. An origin that is not the site's own learns
        nothing; a program that names none is believed about its page."""
        origin = headers.get(b"origin", b"").decode("latin-1")[:300]
        if key not in self.config.look().sites:
            return "", None, _UNKNOWN
        site = self.config.site_at(key, host_of(origin or page))
        return (origin, site, _ELSEWHERE) if site is not None else ("", None, _ELSEWHERE)

    def preflight(self, headers: Mapping[bytes, bytes]) -> Answer:
        """For a page that asks with JSON as JSON: any site's own hosts."""
        origin = headers.get(b"origin", b"").decode("latin-1")[:300]
        host = host_of(origin)
        known = any(self.config.site_at(key, host) is not None for key in self.config.look().sites)
        return site_answers.preflight(origin) if known else _ELSEWHERE

    def _over_limit(self, client: str, site: PublishedSite) -> bool:
        if self._limits.allow(client, site.key, "", time.monotonic()):
            return False
        self.limited += 1
        return True

    def _decision(self, site: PublishedSite, asked: Asked, agent: str, robot: bool, at: int) -> VisitDecision:
        arrival = Arrival(
            page=asked.url,
            referrer=asked.referrer,
            device=device_of(agent),
            language=asked.language,
            hosts=site.hosts,
            ignored=site.ignored_referrers,
        )
        held = self._seal.open(asked.held, site.key) if asked.held else None
        return VisitDecision(self.config, site, asked, arrival, held, at, robot)

    def _body(self, site: PublishedSite, outcome: VisitOutcome) -> bytes:
        """The JSON; ids and what is held are of characters that need no quoting."""
        shown = [(each.block, each.address) for each in outcome.shown]
        seconds = min(site.session_minutes * 60, _MOST_SECONDS)
        if outcome.rule is not None and outcome.rule.pools:
            seconds = min(seconds, max(60, outcome.rule.lease_minutes * 30))
        state, expires = outcome.state, _expires(outcome)
        return (
            f'{{"visitor":"{state.visitor}","session":"{state.session}","rules":{compact_json(answers_of(shown))},"ttl":{seconds},'
            f'"expires":{"null" if expires is None else expires},"held":"{self._seal.close(state, site.key)}"}}'
        ).encode()

    # --- a page tells

    def _beacon(self, scope: Scope, body: bytes, reply: Reply) -> Answer | None:
        """A click on an address that was shown, a copy of it, a sign of life, or consent that was taken back."""
        report = read_beacon(body)
        if report is None:
            return _NOT_TOLD
        origin, site, refusal = self._site(dict(scope["headers"]), report.key, report.url)
        if site is None:
            return refusal
        client = self._client(scope)
        if self._over_limit(client, site):
            return site_answers.nothing(origin)
        draft = BeaconDraft(Request(time.time_ns() // 1_000_000, client, scope), report, site, self.config.shares)
        self._spool.submit(draft, lambda _: reply(site_answers.nothing(origin)), STORED_WITHIN)
        return None

    # --- the tracker publishes

    async def put_snapshot(self, scope: Scope, receive: Receive) -> Answer:
        """Takes a new configuration into force, from whoever has the drain key."""
        key = self._settings.drain_key
        offered = dict(scope["headers"]).get(b"authorization", b"")
        if key is None:
            return site_answers.refused(404, "There is no drain key.")
        if not hmac.compare_digest(offered, b"Bearer " + key.encode("ascii")):
            return site_answers.refused(401, "The drain key is missing or wrong.")
        body = await read_body(receive, LARGEST_SNAPSHOT)
        if body is None:
            return site_answers.refused(413, f"A snapshot may have {LARGEST_SNAPSHOT} bytes.")
        try:
            self.config.put(body)
        except (ValueError, KeyError, TypeError, AttributeError):
            return site_answers.refused(400, "This is no snapshot of sites that this version can read.")
        except OSError as error:
            return site_answers.refused(503, f"The snapshot could not be written: {type(error).__name__}.")
        return site_answers.nothing("")


NOTHING = compact_json({"visitor": None, "session": None, "rules": [], "ttl": _MOST_SECONDS}).encode()
"""For robots, and for who asks too often: the page stays as it is."""
_TOO_LARGE = site_answers.refused(413, f"The body may have {LARGEST} bytes.")
_NOT_ASKED = site_answers.refused(400, "The body is JSON with a site's key and the page.")
_NOT_TOLD = site_answers.refused(400, "The body is JSON with key, visitor and kind.")
_FAILED = site_answers.refused(500, "This could not be answered.")
_UNKNOWN = site_answers.refused(404, "There is no such site.")
_ELSEWHERE = site_answers.refused(403, "This page is not one of the site's.")


def _expires(outcome: VisitOutcome) -> int | None:
    """Seconds after which something that is shown may be somebody else's; None where it never is."""
    if outcome.rule is None or outcome.rule.substitution not in ("auto_short", "manual_pool"):
        return None
    untils = [each.until for each in outcome.shown if each.pool]
    return max(0, min(untils) - outcome.state.seen_at) // 1000 if untils else None


@lru_cache(1)
def _source() -> str:
    return _SNIPPET.read_text("utf-8")


@lru_cache(256)
def _script(facts: str, packed: bool) -> Answer:
    """The readable script with its site's facts in the one place that is made for them."""
    return site_answers.script(_source().replace("/*SITE*/ {}", facts, 1), packed=packed)


def _facts_of(site: PublishedSite, tracking_url: str) -> str:
    selectors = [
        {"attribute": attribute, "value": value}
        for block in site.blocks.values()
        for attribute, value in block.selectors
    ]
    facts = {
        "key": site.key,
        "url": tracking_url,
        "consent": site.consent_mode,
        "days": site.cookie_days,
        "hosts": sorted(site.hosts),
        "selectors": selectors,
    }
    return compact_json(facts).replace("<", "\\u003c")
