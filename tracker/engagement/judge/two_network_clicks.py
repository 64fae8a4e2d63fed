"""S5: the same link from two networks within half a minute is one person and one machine."""

from collections.abc import Hashable, Iterator, Sequence

from tracker.engagement.judge.browser_score import UNKNOWN_FROM
from tracker.engagement.judge.ip_ranges import parse_address
from tracker.engagement.judge.sequence_hit import SequenceHit
from tracker.engagement.judge.time_windows import pairs
from tracker.engagement.judge.verdict import Reason
from tracker.engagement.judge.windows import Windows

Found = Iterator[tuple[Hashable, Reason, Hashable]]


def machine_clicks(ordered: Sequence[SequenceHit], windows: Windows) -> Found:
    """The machine's half of each pair: the poorer request; of two equally good ones the later; of two poor ones both.

    Where one half is already known as a machine the other is the person, unless it is poor as well.
    """
    clicks = [hit for hit in ordered if _may_be_half(hit)]
    for earlier, other in pairs(clicks, lambda hit: hit.t, windows.pair):
        if earlier.evidence.link != other.evidence.link or _same_network(earlier, other):
            continue
        reason = Reason("machine_of_pair", {"seconds": round(other.t - earlier.t)})
        for hit in _machines(earlier, other):
            yield hit.key, reason, (other if hit is earlier else earlier).key


def _may_be_half(hit: SequenceHit) -> bool:
    judged = hit.verdict.klass in ("human", "unknown", "security_scanner")
    return hit.is_link and isinstance(hit.evidence.link, int) and judged


def _machines(click: SequenceHit, other: SequenceHit) -> list[SequenceHit]:
    poor = [hit for hit in (click, other) if _is_poor(hit)]
    if poor:
        return poor
    return [click if click.header_points > other.header_points else other]


def _is_poor(hit: SequenceHit) -> bool:
    return hit.verdict.klass == "security_scanner" or hit.header_points >= UNKNOWN_FROM


def _same_network(hit: SequenceHit, other: SequenceHit) -> bool:
    if not _version(hit) or not _version(other):
        return hit.agent == other.agent  # nobody knows the address: the same program may as well be the same person
    if hit.neighbourhood == other.neighbourhood or "apple_relay" in hit.case.facts & other.case.facts:
        return True
    first, second = hit.evidence.net.asn, other.evidence.net.asn
    if first is not None and second is not None:
        return first == second
    return hit.agent == other.agent and _version(hit) != _version(other)


def _version(hit: SequenceHit) -> int:
    """One browser on a line with both protocols may use either for each request."""
    address = parse_address(hit.evidence.ip)
    return address.version if address else 0
