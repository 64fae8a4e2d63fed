"""Which consent event may follow which, and how long a yes is good for. Pure."""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tracker.consent.rules.proof import CHANNELS, GRADES, MoveError, Proof, grade_of
from tracker.consent.rules.states import ASK_AGAIN_AFTER, SAID_NO, Pack, State
from tracker.runtime.localized_text import LocalizedText

_ANYTHING = frozenset(State)
_MOVES: Mapping[State, frozenset[State]] = {
    State.UNKNOWN: _ANYTHING - {State.UNKNOWN, State.LAPSED, State.WITHDRAWN},
    State.ASKED: frozenset({State.GRANTED, State.REFUSED, State.OBJECTED, State.LAPSED, State.BLOCKED}),
    State.GRANTED: frozenset({State.WITHDRAWN, State.OBJECTED, State.LAPSED, State.BLOCKED, State.GRANTED}),
    State.REFUSED: frozenset({State.GRANTED, State.ASKED, State.OBJECTED, State.BLOCKED}),
    State.WITHDRAWN: frozenset({State.GRANTED, State.ASKED, State.OBJECTED, State.BLOCKED}),
    State.OBJECTED: frozenset({State.GRANTED, State.BLOCKED}),
    State.LAPSED: frozenset(
        {State.ASKED, State.GRANTED, State.REFUSED, State.WITHDRAWN, State.OBJECTED, State.BLOCKED}
    ),
    State.BLOCKED: frozenset(),
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
class Event:
    """A consent event about to be recorded."""

    state: State
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


def check_move(old: State, event: Event, *, now: datetime, since: datetime | None, terms: Terms) -> None:
    """Raises :class:`MoveError` when this event may not follow the present state, which was said at ``since``.

    Saying no may be recorded at any time and for any earlier moment; a yes or a question must come after the last word.
    """
    if event.at.tzinfo is None:
        raise MoveError("at", "“at” needs its time zone.")
    if event.at > now:
        raise MoveError("at", "“at” lies in the future; consent can only be recorded once it was given.")
    if event.channel not in CHANNELS and (event.actor, event.channel) != ("system", "time"):
        raise MoveError("channel", "“channel” must be one of %(channels)s.", channels=", ".join(CHANNELS))
    if event.state == State.GRANTED:
        _check_grade(event, terms)
    if event.state not in _MOVES[old]:
        raise MoveError("state", "“state” cannot go from %(old)s to %(new)s.", old=old.value, new=event.state.value)
    if event.state in (State.GRANTED, State.ASKED, State.LAPSED):
        _check_after_last_word(old, event, since, terms)


def _check_grade(event: Event, terms: Terms) -> None:
    if event.grade == "F":
        raise MoveError(
            "note",
            "A consent needs its evidence: say in “note” how, when and with which words it was given.",
        )
    if event.grade not in terms.accepted:
        raise MoveError(
            "channel",
            "Evidence of grade %(grade)s (%(meaning)s) is not enough here for a consent; accepted is %(accepted)s. Quote a "
            "written reply (reply_text), ask for consent by our page, or let an administrator accept it under Consent policy.",
            grade=event.grade,
            meaning=LocalizedText(GRADES[event.grade]),
            accepted=f"A–{terms.accepted[-1]}",
        )


def _check_after_last_word(old: State, event: Event, since: datetime | None, terms: Terms) -> None:
    if since is not None and event.at < since:
        raise MoveError(
            "at",
            "“at” lies before the present state (%(old)s) was said; an older word cannot undo a newer one.",
            old=old.value,
        )
    if event.state == State.GRANTED and old in SAID_NO and event.grade not in "ABC":
        raise MoveError(
            "channel",
            "After “%(old)s” only the person can agree again: by our form or page, or in writing (reply_text).",
            old=old.value,
        )
    if event.state == State.ASKED and old in SAID_NO and since is not None and event.at - since < terms.ask_again_after:
        raise MoveError(
            "at",
            "After “%(old)s” nobody is asked again for %(days)s days.",
            old=old.value,
            days=terms.ask_again_after.days,
        )


def in_force_until(state: State, at: datetime, terms: Terms) -> datetime | None:
    """When a yes lapses, and when an unanswered question does; None for what stays as it is."""
    if state == State.GRANTED:
        return _months_later(at, terms.months)
    return at + terms.ask_again_after if state == State.ASKED else None


def _months_later(at: datetime, months: int) -> datetime:
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, calendar.monthrange(year, month + 1)[1]))


def no_after(state: State, pack: Pack, *, objecting: bool = False) -> State | None:
    """What a no is called after ``state``; None where it is a no already."""
    if state in (State.BLOCKED, State.OBJECTED):
        return None
    if objecting:
        return State.OBJECTED
    if state in (State.GRANTED, State.LAPSED):
        return State.WITHDRAWN
    if state == State.UNKNOWN and pack == Pack.NOTICE:
        return State.OBJECTED
    return State.REFUSED if state in (State.UNKNOWN, State.ASKED) else None


def present_state(state: State, valid_until: datetime | None, now: datetime) -> State:
    """What the newest entry says now: a yes or a question whose time is over has lapsed, recorded or not."""
    return State.LAPSED if valid_until is not None and valid_until <= now else state
