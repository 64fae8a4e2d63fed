"""Image and link of a mail asked for in one moment: a program that takes all there is, not a reader."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence

from tracker.engagement.sequence_hit import SequenceHit
from tracker.engagement.stretches import pairs
from tracker.engagement.verdict import Reason
from tracker.engagement.windows import Windows

Found = Iterator[tuple[Hashable, Reason, Hashable]]


def machines_of_a_moment(ordered: Sequence[SequenceHit], windows: Windows) -> Found:
    """Pixel and link from one address by one browser within a second, soon after sending and where nobody had opened.

    Who had opened before may well click while the mail is drawn again; a Referer says that a page was on a screen.
    """
    by_host: dict[Hashable, list[SequenceHit]] = defaultdict(list)
    for hit in filter(_may_take_all, ordered):
        by_host[hit.host].append(hit)
    for hits in by_host.values():
        for one, other in pairs(hits[:2], lambda hit: hit.t, windows.same_moment):
            if _of_one_program(one, other) and one.case.younger_than(windows.same_moment_until):
                reason = Reason("open_and_click", {"seconds": round(other.t - one.t, 1)})
                yield one.key, reason, other.key
                yield other.key, reason, one.key


def _may_take_all(hit: SequenceHit) -> bool:
    judged = hit.verdict.klass in ("human", "unknown", "security_scanner")
    return judged and not hit.in_a_mail_program and not hit.address_is_shared


def _of_one_program(one: SequenceHit, other: SequenceHit) -> bool:
    opened, clicked = (other, one) if one.is_link else (one, other)
    if opened.is_link or not clicked.is_link or one.agent != other.agent or not one.agent:
        return False
    return not opened.evidence.state.prior_human_open_same_ip and not clicked.case.headers.get("referer")
