"""S6: one address seen over the mail of many recipients; and what S7 takes for a proof. Pure."""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

from tracker.engagement.judge.evidence import Evidence
from tracker.engagement.judge.sequence_hit import SequenceHit
from tracker.engagement.judge.time_windows import time_windows
from tracker.engagement.judge.verdict import Judgement, Reason
from tracker.engagement.judge.windows import Windows

RECIPIENTS = 3
DOMAINS = 2
MESSAGES_TO_LEARN = 3
# What Apple, chats and the sender ask for says nothing about an address.
LEFT_OUT = ("privacy_prefetch", "link_preview", "sender_self")
PROOF = ("honeypot_neighbour", "honeypot", "burst", "many_recipients")


@dataclass(frozen=True)
class AddressHit:
    """`at` is in seconds on one clock for all hits (say, Unix time); `recipient` is an addr-spec."""

    key: Hashable
    at: float
    recipient: str
    evidence: Evidence
    verdict: Judgement

    @cached_property
    def hit(self) -> SequenceHit:
        return SequenceHit(self.key, self.at, self.evidence, self.verdict)


def resolve_addresses(hits: Sequence[AddressHit], windows: Windows = Windows()) -> dict[Hashable, Judgement]:
    """S6: the verdict of every hit, by key, after looking at who else each address read mail of."""
    final = {hit.key: hit.verdict for hit in hits}
    for everybody in _by_host(hits).values():
        group = [hit for hit in everybody if hit.verdict.klass not in LEFT_OUT]
        for hit, reason, trigger in shared_ip_bursts(group, windows):
            final[hit.key] = burst_verdict(hit.verdict, reason, trigger)
    return final


def burst_verdict(verdict: Judgement, reason: Reason, trigger: Hashable) -> Judgement:
    """The verdict of a hit whose address asked for many recipients' mail at once."""
    if verdict.klass not in ("human", "unknown"):
        return verdict
    return Judgement("security_scanner", 0.90, (reason, *verdict.reasons), verdict.vendor, trigger)


def _by_host(hits: Iterable[AddressHit]) -> dict[Hashable, list[AddressHit]]:
    """Hits in order of time, grouped by address. Image proxies and relays serve everybody and are left out,
    and so is what has no time."""
    groups: dict[Hashable, list[AddressHit]] = defaultdict(list)
    for hit in sorted((hit for hit in hits if not math.isnan(hit.at)), key=lambda hit: hit.at):
        if not hit.hit.address_is_shared and hit.verdict.klass not in ("privacy_prefetch", "link_preview"):
            groups[hit.hit.host].append(hit)
    return groups


class AddressUse(Protocol):
    """A hit as S6 looks at it: when, whose mail, under which key."""

    @property
    def key(self) -> Hashable: ...
    @property
    def at(self) -> float: ...
    @property
    def recipient(self) -> str: ...


A = TypeVar("A", bound=AddressUse)


def shared_ip_bursts(group: Sequence[A], windows: Windows = Windows()) -> Iterator[tuple[A, Reason, Hashable]]:
    """S6 on the hits of one address in order of time: who belongs to a crowd, why, and the key of the hit that showed it."""
    for window in time_windows(group, lambda hit: hit.at, windows.cross_recipient):
        recipients = {hit.recipient.lower() for hit in window}
        if len(recipients) >= RECIPIENTS and len({address.rpartition("@")[2] for address in recipients}) >= DOMAINS:
            took = round(window[-1].at - window[0].at)
            reason = Reason("many_recipients", {"recipients": len(recipients), "seconds": took})
            yield from ((hit, reason, window[-1].key) for hit in window)
