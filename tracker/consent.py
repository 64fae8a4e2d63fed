"""Consent: states, purposes, moves, and which copies may be tracked. Pure.

The stricter wins, and unknown means no. `spec` words: a *policy* says per delivery and purpose whether to track and which
rule decided; it is frozen when the message is sent and may only tighten afterwards.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from tracker.sentences import Sentence, Told


class Purpose(StrEnum):
    """What consent is asked for."""

    OPENS = "opens"
    CLICKS = "clicks"


class State(StrEnum):
    """Consent of one recipient to one purpose."""

    UNKNOWN = "unknown"
    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    LAPSED = "lapsed"
    BLOCKED = "blocked"


class Pack(StrEnum):
    """The workspace's consent policy."""

    STRICT = "strict"
    NOTICE = "notice"
    OFF = "off"


_EEA = "AT BE BG CY CZ DE DK EE EL ES EU EEA FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK"
STRICT_JURISDICTIONS = frozenset([*_EEA.split(" "), "UK", "GB"])
"""Countries of the European Economic Area and the United Kingdom (ISO 3166-1, and what else they are called)."""

ASK_AGAIN_AFTER = timedelta(days=182)
"""How long somebody who said no is left in peace before being asked again."""

_ANYTHING = frozenset(State)
_MOVES: Mapping[State, frozenset[State]] = {
    State.UNKNOWN: _ANYTHING - {State.UNKNOWN, State.LAPSED, State.WITHDRAWN},
    State.ASKED: frozenset({State.GRANTED, State.REFUSED, State.OBJECTED, State.LAPSED, State.BLOCKED}),
    State.GRANTED: frozenset({State.WITHDRAWN, State.OBJECTED, State.LAPSED, State.BLOCKED, State.GRANTED}),
    State.REFUSED: frozenset({State.GRANTED, State.ASKED, State.OBJECTED, State.BLOCKED}),
    State.WITHDRAWN: frozenset({State.GRANTED, State.ASKED, State.OBJECTED, State.BLOCKED}),
    State.OBJECTED: frozenset({State.GRANTED, State.BLOCKED}),
    State.LAPSED: frozenset({State.ASKED, State.GRANTED, State.REFUSED, State.OBJECTED, State.BLOCKED}),
    State.BLOCKED: frozenset(),
}

SILENT = frozenset({State.REFUSED, State.WITHDRAWN, State.OBJECTED, State.BLOCKED, State.LAPSED})
"""States in which a hit on mail already sent is answered and forgotten."""

SAID_NO = frozenset({State.REFUSED, State.WITHDRAWN, State.OBJECTED})

CHANNELS = (
    "web_form",
    "consent_mail_page",
    "reply_text",
    "contract",
    "phone_note",
    "import",
    "preference_page",
    "list_unsubscribe",
    "dsr",
    "objection_header",
    "demo",
)
_GRADES = {
    "web_form": "B",
    "consent_mail_page": "B",
    "preference_page": "B",
    "list_unsubscribe": "B",
    "objection_header": "B",
    "reply_text": "C",
    "import": "E",
}


class MoveError(Told):
    """A consent event that cannot be recorded; ``field`` names what is wrong."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def check_move(
    old: State, new: State, *, at: datetime, now: datetime, channel: str, note: str, since: datetime | None = None
) -> None:
    """Raises :class:`MoveError` when this event may not follow the present state, which was said at ``since``.

    Saying no may be recorded at any time and for any earlier moment; a yes or a question must come after the last word.
    """
    if at.tzinfo is None:
        raise MoveError("at", Sentence("“at” needs its time zone."))
    if at > now:
        raise MoveError("at", Sentence("“at” lies in the future; consent can only be recorded once it was given."))
    if channel not in CHANNELS:
        raise MoveError("channel", Sentence("“channel” must be one of %(channels)s.", channels=", ".join(CHANNELS)))
    if new == State.GRANTED and grade_of(channel) not in "AB" and not note.strip():
        raise MoveError(
            "note", Sentence("A consent needs its evidence: say in “note” how, when and with which words it was given.")
        )
    if new not in _MOVES[old]:
        raise MoveError("state", Sentence("“state” cannot go from %(old)s to %(new)s.", old=old.value, new=new.value))
    if new in (State.GRANTED, State.ASKED):
        _check_after_last_word(old, new, at, since, channel)


def _check_after_last_word(old: State, new: State, at: datetime, since: datetime | None, channel: str) -> None:
    if since is not None and at < since:
        raise MoveError(
            "at",
            Sentence(
                "“at” lies before the present state (%(old)s) was said; an older word cannot undo a newer one.",
                old=old.value,
            ),
        )
    if new == State.GRANTED and old in SAID_NO and grade_of(channel) not in "ABC":
        raise MoveError(
            "channel",
            Sentence(
                "After “%(old)s” only the person can agree again: by our form or page, or in writing (reply_text).",
                old=old.value,
            ),
        )
    if new == State.ASKED and old in SAID_NO and since is not None and at - since < ASK_AGAIN_AFTER:
        raise MoveError(
            "at",
            Sentence(
                "After “%(old)s” nobody is asked again for %(days)s days.", old=old.value, days=ASK_AGAIN_AFTER.days
            ),
        )


def grade_of(channel: str) -> str:
    """Evidence grade: A and B the person acted, C quoted reply, D asserted by a user, E imported."""
    return _GRADES.get(channel, "D")


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


def N_(text: str) -> str:
    return text


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


def chain_digest(previous: str, facts: Mapping[str, Any]) -> str:
    """SHA-256 over the previous entry's digest and this entry's facts in canonical JSON."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()
