"""Stage 2: what the other hits of the same message say about each hit. Pure."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tracker.engagement.evidence import Evidence
from tracker.engagement.verdict import Verdict
from tracker.engagement.windows import Windows


@dataclass(frozen=True)
class SequenceHit:
    """One judged hit of a message; `t` is seconds after send, `verdict` is stage 1's."""

    key: Hashable
    t: float
    evidence: Evidence
    verdict: Verdict


def resolve(hits: Sequence[SequenceHit], windows: Windows = Windows()) -> dict[Hashable, Verdict]:
    """The final verdict of every hit of one message (rules S1–S5), by key."""
    return {hit.key: hit.verdict for hit in hits}


def settle_seconds(evidence: Evidence, verdict: Verdict, windows: Windows = Windows()) -> float:
    """How long to wait before alerting, in seconds, so that later evidence can still speak."""
    return windows.settle_later
