"""Rules by country, as versions with their dates, where a workspace is looser than they ask, and what the operator allows at
most. Pure.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any

from tracker.consent.rules.states import STRICT_JURISDICTIONS, Pack, Purpose
from tracker.runtime.localized_text import N_, ActionError, LocalizedText


@dataclass(frozen=True)
class CountryRules:
    """One version of a country's rules: what it asks of a workspace, from when on, and where that is written."""

    code: str
    version: str
    since: str
    """A year, a month or a day, as precise as the source."""
    policy: Pack
    source: str
    asks: Mapping[str, Any]
    design: tuple[str, ...] = ()
    """Points of ``asks`` that are Inkling's choice and no authority's."""

    @property
    def starts(self) -> date:
        """The first day it can be meant for."""
        year, month, day = (*(int(part) for part in self.since.split("-")), 1, 1)[:3]
        return date(year, month, day)


@dataclass(frozen=True)
class Point:
    """One setting that is looser than the rules ask."""

    setting: str
    sentence: str
    """In English; goes through gettext."""
    here: Any
    asked: Any
    design: bool
    """Asked by Inkling's own choice, not by an authority."""


def _read() -> tuple[CountryRules, ...]:
    packs = json.loads(files("tracker.consent.rules").joinpath("country_rules.json").read_text("utf-8"))["packs"]
    return tuple(
        CountryRules(**{**pack, "policy": Pack(pack["policy"]), "design": tuple(pack["design"])}) for pack in packs
    )


ALL = _read()


def rules_for(code: str, on: date) -> CountryRules | None:
    """The rules in force that day for a jurisdiction (:mod:`tracker.consent.rules.jurisdiction`), the newest version.

    A country of the EEA without rules of its own has those of the EEA, and so has an unknown one; None for other countries.
    """
    own = _newest(code, on)
    return own or (_newest("EEA", on) if code in STRICT_JURISDICTIONS | {""} else None)


def _newest(code: str, on: date) -> CountryRules | None:
    started = [rules for rules in ALL if rules.code == code and rules.starts <= on]
    return max(started, key=lambda rules: rules.starts, default=None)


POINTS: Mapping[str, str] = {
    "policy": N_("people who were not asked are measured"),
    "accepted_grades": N_("weaker evidence is accepted for a consent"),
    "consent_months": N_("a consent is taken to be good for longer"),
    "ask_again_days": N_("people who said no are asked again sooner"),
    "footer": N_("measured mail does not say so, nor how to stop it"),
}


def looser_points(here: Mapping[str, Any], rules: CountryRules) -> list[Point]:
    """Where the workspace's preferences (by their names; others are ignored) are looser than these rules ask."""
    return [
        Point(name, POINTS[name], here[name], asked, name in rules.design)
        for name, asked in rules.asks.items()
        if name in here and _is_looser(name, here[name], asked)
    ]


def _is_looser(name: str, here: Any, asked: Any) -> bool:
    if name == "policy":
        return bool(here == Pack.NOTICE and asked != Pack.NOTICE)
    if name == "footer":
        return bool(asked) and not here
    return bool(here < asked if name == "ask_again_days" else here > asked)


_LOOSENESS = (Pack.OFF, Pack.STRICT, Pack.NOTICE)


class CeilingError(ActionError):
    """Something above the ceiling was asked for. It is refused, never quietly lowered."""

    def __init__(self, sentence: str) -> None:
        super().__init__("invalid", sentence, detail_code="above_ceiling")


@dataclass(frozen=True)
class Ceiling:
    """The loosest policy that may be chosen, and what may be measured."""

    policy: Pack = Pack.NOTICE
    purposes: frozenset[Purpose] = frozenset(Purpose)

    def lowered(self, pack: Pack) -> Pack:
        """What is in force of a policy that was chosen before the ceiling was set."""
        return min(pack, self.policy, key=_LOOSENESS.index)

    def allows(self, purpose: Purpose) -> bool:
        return self.policy != Pack.OFF and purpose in self.purposes

    def check_policy(self, pack: Pack) -> None:
        """Raises :class:`CeilingError` for a looser policy."""
        if self.lowered(pack) != pack:
            raise CeilingError(
                LocalizedText(
                    "The operator of this Inkling allows the policy “%(most)s” at the most (INKLING_TRACKING_CEILING).",
                    most=self.policy.value,
                )
            )

    def check_wish(self, purpose: Purpose) -> None:
        """Raises :class:`CeilingError` when this may not be measured."""
        if not self.allows(purpose):
            raise CeilingError(
                LocalizedText(
                    "The operator of this Inkling does not allow tracking %(purpose)s (INKLING_TRACKING_CEILING). Switch it off.",
                    purpose=LocalizedText(PURPOSE_LABELS[purpose]),
                )
            )


PURPOSE_LABELS = {
    Purpose.OPENS: N_("opens"),
    Purpose.CLICKS: N_("clicks"),
    Purpose.DOCUMENTS: N_("the reading of documents"),
}


def ceiling_of(words: Collection[str]) -> Ceiling:
    """The ceiling that the setting's words make: a policy, purposes, or both. No words: no ceiling."""
    packs = [pack for pack in _LOOSENESS if pack.value in words]
    purposes = frozenset(purpose for purpose in Purpose if purpose.value in words)
    return Ceiling(packs[0] if packs else Pack.NOTICE, purposes or frozenset(Purpose))
