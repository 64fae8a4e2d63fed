"""Which consent event may follow which, and how long a yes is good for. Pure."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tracker.consent.rules.proof import CHANNELS, GRADES, ConsentError, Proof, grade_of
from tracker.consent.rules.states import ASK_AGAIN_AFTER, SAID_NO, ConsentState, Pack
from tracker.runtime.localized_text import LocalizedText

_ANYTHING = frozenset(ConsentState)
_TRANSITIONS: Mapping[ConsentState, frozenset[ConsentState]] = {
    ConsentState.UNKNOWN: _ANYTHING - {ConsentState.UNKNOWN, ConsentState.LAPSED, ConsentState.WITHDRAWN},
    ConsentState.ASKED: frozenset(
        {ConsentState.GRANTED, ConsentState.REFUSED, ConsentState.OBJECTED, ConsentState.LAPSED, ConsentState.BLOCKED}
    ),
    ConsentState.GRANTED: frozenset(
        {ConsentState.WITHDRAWN, ConsentState.OBJECTED, ConsentState.LAPSED, ConsentState.BLOCKED, ConsentState.GRANTED}
    ),
    ConsentState.REFUSED: frozenset(
        {ConsentState.GRANTED, ConsentState.ASKED, ConsentState.OBJECTED, ConsentState.BLOCKED}
    ),
    ConsentState.WITHDRAWN: frozenset(
        {ConsentState.GRANTED, ConsentState.ASKED, ConsentState.OBJECTED, ConsentState.BLOCKED}
    ),
    ConsentState.OBJECTED: frozenset({ConsentState.GRANTED, ConsentState.BLOCKED}),
    ConsentState.LAPSED: frozenset(
        {
            ConsentState.ASKED,
            ConsentState.GRANTED,
            ConsentState.REFUSED,
            ConsentState.WITHDRAWN,
            ConsentState.OBJECTED,
            ConsentState.BLOCKED,
        }
    ),
    ConsentState.BLOCKED: frozenset(),
}


@dataclass(frozen=True)
class Terms:
    """What the workspace asks of a consent of this person."""

    accepted: str = "ABC"
    """Grades of evidence that a yes may have. Never F."""
    months: int = 24
    """How long a yes is good for."""
    ask_again_after: timedelta = ASK_AGAIN_AFTER


@dataclass(frozen=True)
class ConsentEvent:
    """A consent event about to be recorded."""

    state: ConsentState
    at: datetime
    actor: str
    channel: str
    proof: Proof = field(default_factory=Proof)

    @property
    def grade(self) -> str:
        return grade_of(self.channel, self.actor, self.proof)


def accepted_grades(pack: Pack, is_strict: bool, chosen: str) -> str:
    """The grades a yes may have: up to the chosen one, unless both policy and country are content with a notice. Never F."""
    least = chosen if is_strict or pack != Pack.NOTICE else "E"
    return "ABCDE"[: "ABCDE".index(least) + 1]


def check_transition(
    old: ConsentState, event: ConsentEvent, *, now: datetime, since: datetime | None, terms: Terms
) -> None:
    """Raises :class:`ConsentError` when this event may not follow the present state, which was said at ``since``.

    Saying no may be recorded at any time and for any earlier moment; a yes or a question must come after the last word.
    """
    if event.at.tzinfo is None:
        raise ConsentError("at", "“at” needs its time zone.")
    if event.at > now:
        raise ConsentError("at", "“at” lies in the future; consent can only be recorded once it was given.")
    if event.channel not in CHANNELS and (event.actor, event.channel) != ("system", "time"):
        raise ConsentError("channel", "“channel” must be one of %(channels)s.", channels=", ".join(CHANNELS))
    if event.state == ConsentState.GRANTED:
        _check_grade(event, terms)
    if event.state not in _TRANSITIONS[old]:
        raise ConsentError("state", "“state” cannot go from %(old)s to %(new)s.", old=old.value, new=event.state.value)
    if event.state in (ConsentState.GRANTED, ConsentState.ASKED, ConsentState.LAPSED):
        _check_after_last_word(old, event, since, terms)


def _check_grade(event: ConsentEvent, terms: Terms) -> None:
    if event.grade == "F":
        raise ConsentError(
            "note",
            "A consent needs its evidence: say in “note” how, when and with which words it was given.",
        )
    if event.grade not in terms.accepted:
        raise ConsentError(
            "channel",
            "Evidence of grade %(grade)s (%(meaning)s) is not enough here for a consent; accepted is %(accepted)s. Quote a "
            "written reply (reply_text), ask for consent by our page, or let an administrator accept it under Consent policy.",
            grade=event.grade,
            meaning=LocalizedText(GRADES[event.grade]),
            accepted=f"A–{terms.accepted[-1]}",
        )


def _check_after_last_word(old: ConsentState, event: ConsentEvent, since: datetime | None, terms: Terms) -> None:
    if since is not None and event.at < since:
        raise ConsentError(
            "at",
            "“at” lies before the present state (%(old)s) was said; an older word cannot undo a newer one.",
            old=old.value,
        )
    if event.state == ConsentState.GRANTED and old in SAID_NO and event.grade not in "ABC":
        raise ConsentError(
            "channel",
            "After “%(old)s” only the person can agree again: by our form or page, or in writing (reply_text).",
            old=old.value,
        )
    if (
        event.state == ConsentState.ASKED
        and old in SAID_NO
        and since is not None
        and event.at - since < terms.ask_again_after
    ):
        raise ConsentError(
            "at",
            "After “%(old)s” nobody is asked again for %(days)s days.",
            old=old.value,
            days=terms.ask_again_after.days,
        )


def in_force_until(state: ConsentState, at: datetime, terms: Terms) -> datetime | None:
    """When a yes lapses, and when an unanswered question does; None for what stays as it is."""
    if state == ConsentState.GRANTED:
        return _months_later(at, terms.months)
    return at + terms.ask_again_after if state == ConsentState.ASKED else None


def _months_later(at: datetime, months: int) -> datetime:
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, calendar.monthrange(year, month + 1)[1]))


def no_after(state: ConsentState, pack: Pack, *, objecting: bool = False) -> ConsentState | None:
    """What a no is called after ``state``; None where it is a no already."""
    if state in (ConsentState.BLOCKED, ConsentState.OBJECTED):
        return None
    if objecting:
        return ConsentState.OBJECTED
    if state in (ConsentState.GRANTED, ConsentState.LAPSED):
        return ConsentState.WITHDRAWN
    if state == ConsentState.UNKNOWN and pack == Pack.NOTICE:
        return ConsentState.OBJECTED
    return ConsentState.REFUSED if state in (ConsentState.UNKNOWN, ConsentState.ASKED) else None


def present_state(state: ConsentState, valid_until: datetime | None, now: datetime) -> ConsentState:
    """What the newest entry says now: a yes or a question whose time is over has lapsed, recorded or not."""
    return ConsentState.LAPSED if valid_until is not None and valid_until <= now else state
