"""Whether a copy may be tracked, and the rule that decides: the most restrictive wins. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from tracker.consent.states import N_, SILENT, STRICT_JURISDICTIONS, Pack, State


@dataclass(frozen=True)
class Facts:
    """What the policy of one recipient and purpose is decided from."""

    pack: Pack
    state: State
    never_track: bool = False
    jurisdiction: str | None = None
    wanted: bool = True
    """The message's own switch."""
    measurable: bool = True
    """There is an HTML part that we may change."""
    host_healthy: bool = True
    recipients: int = 1
    recipient_limit: int = 10
    is_sender: bool = False


@dataclass(frozen=True)
class Decision:
    """Whether to track, and the rule that decided: a stable code, with its sentence in :data:`RULES`."""

    on: bool
    rule: str


RULES: Mapping[str, str] = {
    "policy_off": N_("tracking is switched off for the workspace"),
    "never_track": N_("is on the never-track list"),
    "refused": N_("refused"),
    "withdrawn": N_("withdrew consent"),
    "objected": N_("objected"),
    "blocked": N_("must never be tracked"),
    "lapsed": N_("consent has lapsed"),
    "asked": N_("was asked and has not answered"),
    "unknown": N_("was never asked"),
    "switched_off": N_("switched off for this message"),
    "text_only": N_("text only: cannot be measured"),
    "group_too_large": N_("too many recipients for separate copies"),
    "host_unhealthy": N_("the tracking host does not answer"),
    "own_address": N_("is yourself"),
    "rewriting_failed": N_("this message could not be prepared for tracking"),
    "protected": N_("signed or encrypted: left untouched"),
    "granted": N_("agreed"),
    "notice": N_("informed by the notice, no objection"),
}


def decide(facts: Facts) -> Decision:
    """The policy for one recipient and purpose: the strictest rule that applies decides."""
    for applies, rule in _refusals(facts):
        if applies:
            return Decision(on=False, rule=rule)
    return Decision(on=True, rule="granted" if facts.state == State.GRANTED else "notice")


def _refusals(facts: Facts) -> list[tuple[bool, str]]:
    """Strictest first: what the workspace forbids, what the person said, what the sender chose, what is possible."""
    jurisdiction = (facts.jurisdiction or "").strip().upper()
    in_notice = facts.pack == Pack.NOTICE and jurisdiction not in STRICT_JURISDICTIONS | {""}
    noticed = in_notice and facts.state == State.UNKNOWN
    open_question = facts.state in (State.UNKNOWN, State.ASKED, State.LAPSED)
    return [
        (facts.pack == Pack.OFF, "policy_off"),
        (facts.state == State.BLOCKED, "blocked"),
        (facts.never_track, "never_track"),
        (facts.is_sender, "own_address"),
        (facts.state in SILENT and facts.state != State.LAPSED, facts.state.value),
        (open_question and not noticed, facts.state.value),
        (not facts.wanted, "switched_off"),
        (not facts.measurable, "text_only"),
        (facts.recipients > facts.recipient_limit, "group_too_large"),
        (not facts.host_healthy, "host_unhealthy"),
    ]


def may_keep(frozen_on: bool, pack: Pack, state: State, never_track: bool) -> bool:
    """Whether a hit may be kept: it was allowed when sent, and nothing said or decided since forbids it.

    The stricter wins: without a consent in force a hit is kept only where the notice alone allowed it and still does. Somebody
    who withdrew and was asked again has not agreed.
    """
    allowed = {State.GRANTED, State.UNKNOWN} if pack == Pack.NOTICE else {State.GRANTED}
    return frozen_on and pack != Pack.OFF and state in allowed and not never_track
