"""One page of one visitor: who it is, which session and source, which rule, which addresses."""

import os
from dataclasses import dataclass
from typing import Any

from pixel.lease_store import Key, LeaseStore
from pixel.site_codes import long_codes, tagged
from pixel.site_config import SiteConfig
from pixel.site_requests import Asked
from pixel.site_rules import Block, Choice, Pool, PublishedSite, Rule, choices
from pixel.visit_sessions import MINUTE, VisitorState, rule_for, seen_again
from pixel.visit_sources import Arrival, marks_of

FORGET_AFTER = 90 * 1440 * MINUTE
"""Milliseconds after which a visitor who did not come back is forgotten."""


def new_id() -> str:
    """Of a visitor or a session: 128 random bits."""
    return os.urandom(16).hex()


@dataclass(slots=True)
class Shown:
    """An address that a visitor sees in a block. ``pool`` is empty for a real address of a static line."""

    block: Block
    address: str
    pool: str = ""
    since: int = 0
    until: int = 0
    rested: bool = True

    def as_dict(self) -> dict[str, Any]:
        made: dict[str, Any] = {"block": self.block.id, "address": self.address}
        if self.pool:
            made |= {"pool": self.pool, "since": self.since, "until": self.until}
        return made if self.rested else {**made, "rested": False}


@dataclass(slots=True)
class VisitOutcome:
    """What a page gets to see, and what is remembered of its visitor."""

    state: VisitorState
    began: bool
    rule: Rule | None
    shown: tuple[Shown, ...] = ()
    exhausted: tuple[str, ...] = ()


class VisitDecision:
    """One page of one visitor: what it shows is decided in the store's transaction, or without it."""

    def __init__(
        self,
        config: SiteConfig,
        site: PublishedSite,
        asked: Asked,
        arrival: Arrival,
        held: VisitorState | None,
        at: int,
        robot: bool,
    ) -> None:
        self._snapshot, self._shares = config.snapshot, config.shares
        self._site, self._asked, self._arrival, self._held = site, asked, arrival, held
        self._at, self._robot = at, robot
        self._visitor = asked.visitor or (held.visitor if held else "")
        self.leases = site.leases

    @property
    def visitor(self) -> Key | None:
        """Of whom something may be remembered."""
        return (self._site.key, self._visitor) if self._visitor else None

    def decide(self, store: LeaseStore | None) -> VisitOutcome:
        """Who it is, which session and source, which rule, which addresses. Without a store no pool is leased."""
        state, began = self._state(store)
        self._visitor = state.visitor
        rule = rule_for(self._site, state)
        shown: list[Shown] = []
        exhausted: list[str] = []
        codes = {pool: code for pool, code in state.codes.items() if code[1] > self._at - FORGET_AFTER}
        for choice in choices(self._site, rule, state.source) if rule else ():
            seen = self._shown(store, rule, choice, codes) if rule else None
            if seen is not None:
                shown.append(seen)
            elif choice.pool is not None:
                exhausted.append(choice.pool.id)
        state.rule, state.codes = rule.id if rule else "", codes
        if store is not None:
            store.remember(self._site.key, state)
        return VisitOutcome(state, began, rule, tuple(shown), tuple(exhausted))

    def _state(self, store: LeaseStore | None) -> tuple[VisitorState, bool]:
        asked, held, visitor = self._asked, self._held, self._visitor
        known = store.state(self._site.key, visitor) if store is not None and visitor else None
        if held is not None and held.visitor == visitor and (known is None or held.seen_at > known.seen_at):
            known = held
        session = asked.session if known is None and asked.session else new_id()
        marks = marks_of(asked.url)
        visitor = visitor or new_id()
        return seen_again(self._site, known, self._arrival, marks, self._at, visitor, session)

    def _shown(
        self, store: LeaseStore | None, rule: Rule, choice: Choice, codes: dict[str, tuple[str, int]]
    ) -> Shown | None:
        if choice.pool is None:
            return Shown(choice.block, choice.address or "")
        if rule.substitution == "auto_generation":
            seen: Shown | None = self._coded(store, rule, choice, choice.pool, codes)
        else:
            seen = self._leased(store, rule, choice, choice.pool, codes)
        if seen is None and choice.reserve is not None:
            return Shown(choice.block, choice.reserve)
        return seen

    def _coded(
        self,
        store: LeaseStore | None,
        rule: Rule,
        choice: Choice,
        pool: Pool,
        codes: dict[str, tuple[str, int]],
    ) -> Shown:
        address, until = codes.get(pool.id, ("", 0))
        if not address or not address.endswith(pool.base[pool.base.rindex("@") :]):
            address = tagged(pool.base, self._new_code(store))
        until = self._at + rule.lease_minutes * MINUTE
        codes[pool.id] = address, until
        return Shown(choice.block, address, pool.id, self._at, until)

    def _new_code(self, store: LeaseStore | None) -> str:
        edge = self._snapshot.edge
        return store.new_code(edge) if store is not None else long_codes(edge, os.urandom(64))[0]

    def _leased(
        self,
        store: LeaseStore | None,
        rule: Rule,
        choice: Choice,
        pool: Pool,
        codes: dict[str, tuple[str, int]],
    ) -> Shown | None:
        address, until = codes.get(pool.id, ("", 0))
        if address and until > self._at and address not in self._shares.of(rule, pool):
            return Shown(choice.block, address, pool.id, self._at, until)  # another machine's, and still the visitor's
        codes.pop(pool.id, None)
        if store is None or self._robot or not self._asked.stores:
            return None
        lease = store.lease(self._shares.of(rule, pool), rule, pool, self._visitor, self._at)
        if lease is None:
            return None
        codes[pool.id] = lease.address, lease.until
        return Shown(choice.block, lease.address, pool.id, lease.since, lease.until, lease.rested)
