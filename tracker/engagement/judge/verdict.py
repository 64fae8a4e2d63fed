"""The verdict on one hit: a class, how sure we are, and why in words."""

from collections.abc import Hashable, Mapping
from dataclasses import field
from functools import cached_property
from typing import Any, Literal

from tracker.engagement.judge.evidence import Evidence
from tracker.engagement.judge.reasons import SENTENCES, Translate, as_written
from tracker.engagement.judge.windows import Windows
from tracker.runtime.values import value

VerdictClass = Literal[
    "human",
    "mail_proxy",
    "privacy_prefetch",
    "security_scanner",
    "link_preview",
    "sender_self",
    "crawler",
    "unknown",
]
ALERT_CONFIDENCE = 0.5


class _Blank(dict[str, str | int | float]):
    def __missing__(self, key: str) -> str:
        return "?"


@value
class Reason:
    """A stable `code` and the `values` of its sentence; both are stored, the sentence is made when shown."""

    code: str
    values: Mapping[str, str | int | float] = field(default_factory=dict)

    def sentence(self, translate: Translate = as_written) -> str:
        """The reason in words; never raises, also for codes of older rule sets."""
        msgid = SENTENCES.get(self.code)
        return translate(msgid) % _Blank(self.values) if msgid else self.code.replace("_", " ")


@value
class Judgement:
    """`confidence` is 0–1 in hundredths. `vendor` names whose machine it was ("google", "barracuda", …) if known.

    `trigger` is the key of another hit that showed it, where the sequence or the address did.
    """

    klass: VerdictClass
    confidence: float
    reasons: tuple[Reason, ...] = ()
    vendor: str | None = None
    trigger: Hashable | None = None

    def has(self, code: str) -> bool:
        return code in self.codes

    @cached_property
    def codes(self) -> frozenset[str]:
        return frozenset(reason.code for reason in self.reasons)

    @cached_property
    def reasons_as_json(self) -> list[dict[str, Any]]:
        """As rows keep them; nobody changes them."""
        return [{"code": reason.code, "values": dict(reason.values)} for reason in self.reasons]


def alertable(verdict: Judgement) -> bool:
    """Whether a person should be told, once the settle time is over.

    Only `human` and `mail_proxy` with a confidence of at least 0.5. A mail proxy that came too early after sending
    carries the reason `proxy_early` and stays a grey line.
    """
    if verdict.klass not in ("human", "mail_proxy") or verdict.has("proxy_early"):
        return False
    return verdict.confidence >= ALERT_CONFIDENCE


def settle_seconds(evidence: Evidence, verdict: Judgement, windows: Windows = Windows()) -> float:
    """Seconds to wait before alerting: 60 for an open soon after sending, 15 for a click, else 5.

    What is not alertable at all (Apple's prefetch, a proxy that came too early) waits the shortest time.
    """
    age = evidence.seconds_after_send
    if age is None or not alertable(verdict):
        return windows.settle_later
    if evidence.kind == "open":
        return windows.settle_open if age < windows.settle_open_until else windows.settle_later
    return windows.settle_click if age < windows.settle_click_until else windows.settle_later
