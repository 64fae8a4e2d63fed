"""Whether a copy may be tracked, and the rule that decides: the most restrictive wins. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from tracker.consent.rules.states import SILENT, STRICT_JURISDICTIONS, ConsentState, Pack
from tracker.runtime.localized_text import N_
from tracker.runtime.values import value


@value
class Facts:
    """What the policy of one recipient and purpose is decided from."""

    pack: Pack
    state: ConsentState
    grade: str = "A"
    """Of the evidence behind ``state``."""
    accepted: str = "ABC"
    """Grades that count for a yes."""
    jurisdiction: str | None = None
    ceiling: bool = True
    """The operator allows this purpose to be measured."""
    role: bool = True
    """People in the sender's role may measure it."""
    account: bool = True
    """It may be measured in mail of the sending account."""
    never_track: bool = False
    paused: bool = False
    """A reply asks not to be tracked, and whether that is a withdrawal has not been decided yet."""
    notice_given: bool = True
    """The copy tells the person what is measured and how to object."""
    is_sender: bool = False
    wanted: bool = True
    """The message's own switch."""
    measurable: bool = True
    """There is an HTML part that we may change."""
    host_healthy: bool = True
    recipients: int = 1
    recipient_limit: int = 10


@dataclass(frozen=True)
class Decision:
    """Whether to track, and the rule that decided: a stable code, with its sentence in :data:`RULES`."""

    on: bool
    rule: str


RULES: Mapping[str, str] = {
    "ceiling": N_("the operator does not allow it to be tracked"),
    "policy_off": N_("tracking is switched off for the workspace"),
    "role": N_("your role may not track"),
    "account": N_("mail from this address is not tracked"),
    "never_track": N_("is on the never-track list"),
    "refused": N_("refused"),
    "withdrawn": N_("withdrew consent"),
    "objected": N_("objected"),
    "blocked": N_("must never be tracked"),
    "paused": N_("paused until somebody has decided about a reply"),
    "lapsed": N_("consent has lapsed"),
    "weak_evidence": N_("agreed, but the evidence is not enough"),
    "asked": N_("was asked and has not answered"),
    "unknown": N_("was never asked"),
    "no_notice": N_("would not be told: the footer is switched off"),
    "switched_off": N_("switched off for this message"),
    "text_only": N_("text only: cannot be measured"),
    "group_too_large": N_("too many recipients for separate copies"),
    "host_unhealthy": N_("the tracking host does not answer"),
    "own_address": N_("is yourself"),
    "rewriting_failed": N_("this message could not be prepared for tracking"),
    "protected": N_("signed or encrypted: left untouched"),
    "signed_already": N_("signed by the mail program (DKIM): left untouched"),
    "granted": N_("agreed"),
    "notice": N_("informed by the notice, no objection"),
}

BASES: Mapping[str, str] = {"granted": "consent_5_3", "notice": "li_notice"}
"""The lawful basis of what is measured, by the rule that allowed it; ``none`` for every other rule."""


def decide(facts: Facts) -> Decision:
    """The policy for one recipient and purpose: the strictest rule that applies decides."""
    for applies, rule in (*_standing(facts), *_of_the_message(facts)):
        if applies:
            return Decision(on=False, rule=rule)
    return Decision(on=True, rule="granted" if facts.state == ConsentState.GRANTED else "notice")


def forbidden_by(facts: Facts) -> str | None:
    """The rule that forbids measuring this person at all, whatever the message; None when nothing does.

    What is asked again before every hand-over and of every hit: the answer may have become a no since the message was frozen.
    """
    return next((rule for applies, rule in _standing(facts) if applies), None)


def may_keep(frozen_on: bool, facts: Facts) -> bool:
    """Whether a hit may be kept: it was allowed when sent, and nothing said or decided since forbids it."""
    return frozen_on and forbidden_by(facts) is None


def _standing(facts: Facts) -> list[tuple[bool, str]]:
    """Strictest first: what the operator and the workspace forbid, then what the person said."""
    noticed = _by_notice(facts)
    open_question = facts.state in (ConsentState.UNKNOWN, ConsentState.ASKED, ConsentState.LAPSED)
    return [
        (not facts.ceiling, "ceiling"),
        (facts.pack == Pack.OFF, "policy_off"),
        (not facts.role, "role"),
        (not facts.account, "account"),
        (facts.never_track, "never_track"),
        (facts.state == ConsentState.BLOCKED, "blocked"),
        (facts.is_sender, "own_address"),
        (facts.state in SILENT and facts.state != ConsentState.LAPSED, facts.state.value),
        (facts.paused, "paused"),
        (open_question and not noticed, facts.state.value),
        (noticed and not facts.notice_given, "no_notice"),
        (facts.state == ConsentState.GRANTED and facts.grade not in facts.accepted, "weak_evidence"),
    ]


def _by_notice(facts: Facts) -> bool:
    """Nobody asked, the policy is content with a notice, and so are the rules of the person's country."""
    jurisdiction = (facts.jurisdiction or "").strip().upper()
    mild = facts.pack == Pack.NOTICE and jurisdiction not in STRICT_JURISDICTIONS | {""}
    return mild and facts.state == ConsentState.UNKNOWN


def _of_the_message(facts: Facts) -> list[tuple[bool, str]]:
    """What the sender chose, and what is possible."""
    return [
        (not facts.wanted, "switched_off"),
        (not facts.measurable, "text_only"),
        (facts.recipients > facts.recipient_limit, "group_too_large"),
        (not facts.host_healthy, "host_unhealthy"),
    ]
