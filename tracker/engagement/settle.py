"""How long an alert waits so that later evidence can still speak."""

from tracker.engagement.evidence import Evidence
from tracker.engagement.verdict import Verdict, alertable
from tracker.engagement.windows import Windows


def settle_seconds(evidence: Evidence, verdict: Verdict, windows: Windows = Windows()) -> float:
    """Seconds to wait before alerting: 60 for an open soon after sending, 15 for a click, else 5.

    What is not alertable at all (Apple's prefetch, a proxy that came too early) waits the shortest time.
    """
    age = evidence.seconds_after_send
    if age is None or not alertable(verdict):
        return windows.settle_later
    if evidence.kind == "open":
        return windows.settle_open if age < windows.settle_open_until else windows.settle_later
    return windows.settle_click if age < windows.settle_click_until else windows.settle_later
