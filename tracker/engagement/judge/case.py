"""One hit made ready for the rules: the same evidence with what everybody asks about it worked out once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tracker.engagement.judge.browsers import RELEASES, Browser, Releases, browser
from tracker.engagement.judge.evidence import Evidence, HitState
from tracker.engagement.judge.ip_ranges import Table, facts, look_up
from tracker.engagement.judge.known_agents import KnownAgent, known_agent
from tracker.engagement.judge.verdict import Judgement, Reason, VerdictClass
from tracker.engagement.judge.windows import Windows
from tracker.runtime.values import value

LONGEST_AGE = 1e12


@value
class Case:
    """`age` is seconds after send, None when unknown; `is_link` covers clicks and beacons."""

    evidence: Evidence
    windows: Windows
    releases: Releases
    headers: Mapping[str, str]
    user_agent: str
    agent: KnownAgent
    browser: Browser
    facts: frozenset[str]
    age: float | None

    @property
    def state(self) -> HitState:
        return self.evidence.state

    @property
    def is_link(self) -> bool:
        return self.evidence.kind != "open"

    def younger_than(self, seconds: float) -> bool:
        """An unknown age is never young: no rule about haste may fire on what nobody measured."""
        return self.age is not None and self.age < seconds

    @property
    def shown_age(self) -> float | int:
        age = self.age or 0.0
        return round(age, 1) if age < 10 else round(age)

    def without_age(self) -> "Case":
        return replace(self, age=None)


def open_case(
    evidence: Evidence,
    windows: Windows = Windows(),
    releases: Releases = RELEASES,
    tables: Sequence[Table] | None = None,
) -> Case:
    """`tables` are the range files to ask; without them those that ship with the product."""
    headers = {name.lower().strip(): value.strip() for name, value in evidence.headers.items()}
    user_agent = headers.get("user-agent", "")
    return Case(
        evidence,
        windows,
        releases,
        headers,
        user_agent,
        known_agent(user_agent),
        browser(user_agent),
        facts(look_up(evidence.ip, evidence.net, tables)),
        known_age(evidence),
    )


def known_age(evidence: Evidence) -> float | None:
    """Seconds after send, or None for what is no such number."""
    seconds = evidence.seconds_after_send
    return float(seconds) if seconds is not None and -LONGEST_AGE < seconds < LONGEST_AGE else None


def decide(klass: VerdictClass, hundredths: int, *reasons: Reason | str, vendor: str | None = None) -> Judgement:
    """A verdict with its confidence in hundredths; a bare string is a reason without values."""
    full = tuple(Reason(reason) if isinstance(reason, str) else reason for reason in reasons)
    return Judgement(klass, max(0, min(hundredths, 99)) / 100, full, vendor)
