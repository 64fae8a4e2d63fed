"""Stage 1 of many hits: programs send the same request again and again, and of a request that is old only its looks count."""

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache

from tracker.engagement.judge.browsers import Releases
from tracker.engagement.judge.case import Case, known_age, open_case
from tracker.engagement.judge.classify import classify_case
from tracker.engagement.judge.evidence import Evidence, HitState, Kind, Link, Net
from tracker.engagement.judge.ip_ranges import Table
from tracker.engagement.judge.verdict import Judgement
from tracker.engagement.judge.windows import Windows

REMEMBERED = 4096
Headers = tuple[tuple[str, str], ...]


class FirstStage:
    """The case and the verdict of single hits, as `open_case` and `classify_case` say them.

    Past every window no rule looks at the age, and no rule looks at the address itself once its networks were looked up, nor at
    which link it was but for the hidden one. Such hits share their case, which knows neither address nor link.
    """

    def __init__(self, windows: Windows, releases: Releases, tables: Sequence[Table] | None) -> None:
        self._rules = (windows, releases, tables)
        self._horizon = max(getattr(windows, field.name) for field in fields(windows))
        self._networks_known = tables is not None and not tables
        self._of_old = lru_cache(REMEMBERED)(self._judge_old)

    def __call__(self, evidence: Evidence) -> tuple[Case, Judgement]:
        age = known_age(evidence)
        if age is None or age < self._horizon or not self._networks_known:
            return self._judge(evidence)
        looks = tuple(evidence.headers.items())
        hidden = evidence.link == "honeypot"
        return self._of_old(evidence.kind, evidence.method, looks, evidence.net, evidence.state, hidden)

    def _judge_old(
        self, kind: Kind, method: str, looks: Headers, net: Net, state: HitState, hidden: bool
    ) -> tuple[Case, Judgement]:
        link: Link = "honeypot" if hidden else None
        return self._judge(Evidence(kind, "", method, dict(looks), self._horizon, net, state, link))

    def _judge(self, evidence: Evidence) -> tuple[Case, Judgement]:
        case = open_case(evidence, *self._rules)
        return case, classify_case(case)


@lru_cache(maxsize=16)
def first_stage(windows: Windows, releases: Releases, tables: tuple[Table, ...] | None) -> FirstStage:
    """One for all that are judged by the same rules."""
    return FirstStage(windows, releases, tables)
