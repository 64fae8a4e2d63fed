"""What a website's pages ask and tell, on its way into the spool: a batch of drafts is decided in one transaction of the store."""

import logging
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pixel.hits import HitRow, Kind, row_from_request
from pixel.lease_store import Key, LeaseStore, Shares, StoreError
from pixel.robots import device_of
from pixel.site_requests import Asked, Beacon
from pixel.site_rules import PublishedSite
from pixel.visit_decision import FORGET_AFTER, VisitDecision, VisitOutcome
from pixel.visit_sessions import bare
from pixel.visit_sources import search_phrase

_FORGET_EVERY = 3600.0
_RETRY_AFTER = 1.0
"""Seconds in which a store in trouble is not asked, so that it holds nobody up."""
_log = logging.getLogger("pixel.sites")


@dataclass(slots=True)
class Request:
    """What a hit needs of the request that it was."""

    at: int
    """Milliseconds."""
    client: str
    scope: Mapping[str, Any]

    def hit(self, kind: Kind, key: str, visitor: str, body: Mapping[str, Any]) -> HitRow:
        return row_from_request(
            at=self.at,
            kind=kind,
            token=key,
            delivery=visitor,
            link=None,
            client=self.client,
            self_user=None,
            scope=self.scope,
            body=body,
        )


class VisitDraft:
    """A page that asks what to show. ``outcome`` is there once it was completed."""

    def __init__(self, request: Request, asked: Asked, decision: VisitDecision, agent: str, robot: bool) -> None:
        self._request, self._asked, self._agent, self._robot = request, asked, agent, robot
        self._decision = decision
        self.visitor, self.is_durable = decision.visitor, decision.leases
        self.outcome: VisitOutcome | None = None

    def complete(self, store: LeaseStore | None) -> HitRow:
        self.outcome = outcome = self._decision.decide(store)
        facts = _visit(self._asked, outcome, self._robot, device_of(self._agent))
        return self._request.hit("visit", self._asked.key, outcome.state.visitor, facts)


class BeaconDraft:
    """What a page tells: a visitor who is still there keeps what they hold; one who took consent back is forgotten."""

    def __init__(self, request: Request, beacon: Beacon, site: PublishedSite, shares: Shares) -> None:
        self._request, self._beacon, self._site, self._shares = request, beacon, site, shares
        self.visitor: Key | None = (site.key, beacon.visitor)
        self.is_durable = site.leases

    def complete(self, store: LeaseStore | None) -> HitRow:
        beacon = self._beacon
        if store is not None:
            self._note(store, self._request.at)
        facts = {"kind": beacon.kind, "session": beacon.session, "address": beacon.address}
        return self._request.hit("beacon", beacon.key, beacon.visitor, facts)

    def _note(self, store: LeaseStore, at: int) -> None:
        key, visitor = self._site.key, self._beacon.visitor
        if self._beacon.kind == "withdrawal":
            store.forget(key, visitor, at)
            return
        state = store.state(key, visitor)
        if state is None:
            return
        store.remember(key, replace(state, seen_at=max(at, state.seen_at)))
        rule = next((rule for rule in self._site.rules if rule.id == state.rule), None)
        if rule is not None:
            store.prolong(rule, self._shares, visitor, at)


Draft = VisitDraft | BeaconDraft


class Completion:
    """Makes hits of the drafts of a batch, for the thread that writes the spool; without the store when that is in trouble."""

    def __init__(self, store: LeaseStore) -> None:
        self._store = store
        self._retry_at = self._forget_at = 0.0
        self.without_store = 0

    def close(self) -> None:
        if self._store.has_unwritten:
            with suppress(StoreError), self._store.batch(last=True):
                pass
        self._store.close()

    def __call__(self, drafts: Sequence[Draft]) -> list[HitRow | None]:
        """A hit for each; None for one that cannot be decided. Called with none after each batch and now and then, to write what
        waits."""
        if time.monotonic() >= self._retry_at:
            try:
                if drafts:
                    return self._stored(drafts)
                self._store.write_waiting()
            except StoreError as error:
                self._retry_at = time.monotonic() + _RETRY_AFTER
                _log.warning("visits are answered without the store of visitors: %s", error)
        self.without_store += len(drafts)
        return [_completed(draft, None) for draft in drafts]

    def _stored(self, drafts: Sequence[Draft]) -> list[HitRow | None]:
        visitors = {draft.visitor: None for draft in drafts if draft.visitor is not None}
        with self._store.batch(visitors, durable=any(draft.is_durable for draft in drafts)) as store:
            if time.monotonic() >= self._forget_at and store.forget_old(time.time_ns() // 1_000_000 - FORGET_AFTER):
                self._forget_at = time.monotonic() + _FORGET_EVERY
            return [_completed(draft, store) for draft in drafts]


def _completed(draft: Draft, store: LeaseStore | None) -> HitRow | None:
    try:
        return draft.complete(store)
    except sqlite3.Error:
        raise
    except Exception as error:  # one bad request must not stop the others
        _log.error("a visit could not be decided: %s", type(error).__name__)
        return None


def _visit(asked: Asked, outcome: VisitOutcome, robot: bool, device: str) -> dict[str, Any]:
    """What the spool keeps of a page: addresses without their queries, of which only marks are kept."""
    state = outcome.state
    facts: dict[str, Any] = {
        "session": state.session,
        "number": state.number,
        "began": outcome.began,
        "page": bare(asked.url),
        "source": state.source.as_dict(),
        "attributed": state.attributed.as_dict(),
        "marks": state.marks,
        "referrer": state.referrer,
        "rule": outcome.rule.id if outcome.rule else None,
        "shown": [each.as_dict() for each in outcome.shown],
    }
    optional = {
        "phrase": search_phrase(asked.referrer) if outcome.began else "",
        "exhausted": outcome.exhausted,
        "addresses": asked.addresses,
        "device": device,
        "screen": asked.screen,
        "language": asked.language,
        "timezone": asked.timezone,
        "robot": robot,
    }
    if asked.selectors is not None:
        facts["matched"] = asked.selectors
    return {**facts, **{name: value for name, value in optional.items() if value}}
