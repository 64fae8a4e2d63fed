"""What an edge remembers of a visitor of a site between two pages, and when a new session begins. Pure; times are milliseconds.

The same facts travel with the visitor as a signed text, so that another edge goes on where this one stopped.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pixel.hits import compact_json
from pixel.site_rules import PublishedSite, Rule, levels, rule_of
from pixel.source_conditions import source_of
from pixel.visit_sources import CAMPAIGN_MARKS, DIRECT, Arrival, Source, begins_nothing, host_of

MINUTE = 60_000
NON_DIRECT_DAYS = 90
"""So long a direct visit is attributed to the source before it."""


@dataclass
class VisitorState:
    """One visitor of one site, as of one page: complete before anybody asks for its ``text``.

    ``source`` is the session's own; ``attributed`` what letters are attributed to.

    ``codes`` are the addresses that the visitor holds, by pool, each with the moment until which it is theirs.
    """

    visitor: str
    session: str
    number: int
    began_at: int
    seen_at: int
    source: Source
    attributed: Source
    attributed_at: int
    marks: Mapping[str, str] = field(default_factory=dict)
    referrer: str = ""
    rule: str = ""
    codes: Mapping[str, tuple[str, int]] = field(default_factory=dict)

    _text: str = field(default="", init=False, compare=False)

    @property
    def text(self) -> str:
        """The state as JSON, made once: for the store and for what travels with the visitor."""
        self._text = self._text or self._as_json()
        return self._text

    def _as_json(self) -> str:
        facts = {
            "v": self.visitor,
            "s": self.session,
            "n": self.number,
            "b": self.began_at,
            "t": self.seen_at,
            "o": _packed(self.source),
            "a": _packed(self.attributed),
            "at": self.attributed_at,
            "m": self.marks,
            "r": self.referrer,
            "u": self.rule,
            "c": self.codes,
        }
        return compact_json(facts)

    @classmethod
    def from_text(cls, text: str | bytes) -> "VisitorState":
        """Of what :attr:`text` was; nothing else is ever handed in: it was signed or lay in our own file."""
        made = json.loads(text)
        return cls(
            visitor=made["v"],
            session=made["s"],
            number=made["n"],
            began_at=made["b"],
            seen_at=made["t"],
            source=Source(*made["o"]),
            attributed=Source(*made["a"]),
            attributed_at=made["at"],
            marks=made["m"],
            referrer=made["r"],
            rule=made["u"],
            codes={pool: (address, until) for pool, (address, until) in made["c"].items()},
        )


def _packed(source: Source) -> list[str]:
    return [source.id, source.name, source.channel, source.group]


def bare(url: str) -> str:
    """An address without query and fragment, where names and secrets stand; cut to a length."""
    return url.partition("#")[0].partition("?")[0][:1024]


def seen_again(
    site: PublishedSite,
    state: VisitorState | None,
    arrival: Arrival,
    marks: Mapping[str, str],
    at: int,
    visitor: str,
    session: str,
) -> tuple[VisitorState, bool]:
    """A new state, of the visitor after this page, and whether a session began with it, for which ``visitor`` and ``session`` are
    the ids."""
    if state is not None and not _begins_session(site, state, arrival, marks, at):
        return replace(state, seen_at=max(at, state.seen_at)), False
    source = source_of(arrival, marks, site.sources) or DIRECT
    attributed, attributed_at = source, at
    if state is not None and site.last_non_direct and source == DIRECT and _still_counts(state, at):
        attributed, attributed_at = state.attributed, state.attributed_at
    made = VisitorState(
        visitor=visitor,
        session=session,
        number=state.number + 1 if state else 1,
        began_at=at,
        seen_at=at,
        source=source,
        attributed=attributed,
        attributed_at=attributed_at,
        marks=marks,
        referrer="" if begins_nothing(arrival) else bare(arrival.referrer),
        rule=_rule_held(site, state, source, at) if state else "",
        codes=state.codes if state else {},
    )
    return made, True


def _still_counts(state: VisitorState, at: int) -> bool:
    return at - state.attributed_at <= NON_DIRECT_DAYS * 1440 * MINUTE


def _begins_session(
    site: PublishedSite, state: VisitorState, arrival: Arrival, marks: Mapping[str, str], at: int
) -> bool:
    if at - state.seen_at > site.session_minutes * MINUTE:
        return True
    if begins_nothing(arrival):
        return False
    new_marks = {name: value for name, value in marks.items() if name in CAMPAIGN_MARKS}
    if new_marks and new_marks != {name: state.marks[name] for name in state.marks if name in CAMPAIGN_MARKS}:
        return True
    return bool(host_of(arrival.referrer)) and bare(arrival.referrer) != state.referrer


def _rule_held(site: PublishedSite, state: VisitorState, source: Source, at: int) -> str:
    """The rule whose code the visitor holds stays theirs while the lease lasts, when only the source has changed."""
    held = next((rule for rule in site.rules if rule.id == state.rule), None)
    if held is None or held.sources is None or not held.sources.isdisjoint(levels(source, site.sources)):
        return ""  # decided anew, in the order of today
    return held.id if any(until > at for pool, (_, until) in state.codes.items() if pool in _pools(held)) else ""


def _pools(rule: Rule) -> set[str]:
    return {pool.id for pool in rule.pools}


def rule_for(site: PublishedSite, state: VisitorState) -> Rule | None:
    """The session's rule: the one it began with while that is still active, else the first that fits."""
    held = next((rule for rule in site.rules if rule.id == state.rule), None)
    return held or rule_of(site, state.source)
