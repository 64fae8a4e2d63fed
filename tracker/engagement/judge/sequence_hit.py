"""One judged hit of a message, and what the sequence rules ask about it."""

from collections.abc import Hashable
from dataclasses import field
from functools import cached_property

from tracker.engagement.judge.browser_score import browser_score
from tracker.engagement.judge.case import Case, open_case
from tracker.engagement.judge.evidence import Evidence
from tracker.engagement.judge.ip_ranges import neighbourhood_key, same_host_key
from tracker.engagement.judge.network_rules import PROBABLE
from tracker.engagement.judge.verdict import Judgement
from tracker.runtime.values import value

# People are behind these addresses as well, so nothing may be concluded for everybody there.
SHARED_ADDRESSES = {"gmail_proxy", "apple_relay", "mailru", *PROBABLE}


@value
class SequenceHit:
    """`t` is in seconds on one clock for all hits, `verdict` is stage 1's. `key` is whatever the caller wants it back under."""

    key: Hashable
    t: float
    evidence: Evidence
    verdict: Judgement
    opened_case: Case | None = field(default=None, repr=False, compare=False)
    """The evidence made ready, where that was done before."""

    @cached_property
    def case(self) -> Case:
        return self.opened_case or open_case(self.evidence)

    @property
    def is_link(self) -> bool:
        return self.evidence.kind != "open"

    @cached_property
    def host(self) -> Hashable:
        """Equal for hits of one address; an address that nobody knows equals no other."""
        return same_host_key(self.evidence.ip) or ("unknown", self.key)

    @cached_property
    def neighbourhood(self) -> Hashable:
        return neighbourhood_key(self.evidence.ip) or ("unknown", self.key)

    @property
    def agent(self) -> str:
        return self.case.user_agent

    @cached_property
    def address_is_shared(self) -> bool:
        return not SHARED_ADDRESSES.isdisjoint(self.case.facts) or self.verdict.klass == "mail_proxy"

    @cached_property
    def header_points(self) -> int:
        """The browser score without age: how poor the request is in itself."""
        return browser_score(self.case.without_age()).points

    @property
    def user_activated(self) -> bool:
        return self.case.headers.get("sec-fetch-user") == "?1"

    @property
    def in_a_mail_program(self) -> bool:
        return self.case.agent.role in ("mail_client", "embedded_engine", "office_discovery")

    def is_settled_as(self, *codes: str) -> bool:
        return not self.verdict.codes.isdisjoint(codes)
