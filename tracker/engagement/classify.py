"""Stage 1: who made this one hit? The first rule that fires decides. Pure."""

from tracker.engagement.evidence import Evidence, Kind, Link, Net, State
from tracker.engagement.verdict import Klass, Reason, Verdict, alertable
from tracker.engagement.windows import Windows

__all__ = [
    "RULE_SET",
    "Evidence",
    "Kind",
    "Klass",
    "Link",
    "Net",
    "Reason",
    "State",
    "Verdict",
    "Windows",
    "alertable",
    "classify",
    "client_name",
]

RULE_SET = "1"


def classify(evidence: Evidence, windows: Windows = Windows()) -> Verdict:
    return Verdict("unknown", 0.40, (Reason("nothing_fits"),))


def client_name(headers: dict[str, str]) -> str:
    return "Unknown"
