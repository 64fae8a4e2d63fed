"""Exact duplicates: one act of one person that made several requests. For display and alerts only."""

from collections.abc import Hashable, Sequence

from tracker.engagement.sequence_hit import SequenceHit
from tracker.engagement.windows import Windows


def merge_duplicates(hits: Sequence[SequenceHit], windows: Windows = Windows()) -> dict[Hashable, Hashable]:
    """The key of every repeat, with the key of the hit that it repeats.

    Same link, address and agent within 10 s of the one before; the same pixel within 30 s of it, from any address
    (Gmail re-fetches through several proxies). Only hits of one class are merged, so classify first.
    """
    repeats: dict[Hashable, Hashable] = {}
    newest: dict[Hashable, tuple[float, Hashable]] = {}
    for hit in sorted(hits, key=lambda hit: hit.t):
        window = windows.duplicate_click if hit.is_link else windows.duplicate_open
        what = _what(hit)
        before, first = newest.get(what, (float("-inf"), hit.key))
        if hit.t - before <= window:
            repeats[hit.key] = first
        newest[what] = (hit.t, repeats.get(hit.key, hit.key))
    return repeats


def _what(hit: SequenceHit) -> Hashable:
    if not hit.is_link:
        return (hit.evidence.kind, hit.verdict.klass)
    return (hit.evidence.kind, hit.verdict.klass, hit.evidence.link, hit.host, hit.agent)
