"""The timeline of a message by days: what reads the same is one line, and a day on which people did much has a line of it first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from tracker.locale import _, ngettext, zone
from tracker.web.http.formats import relative
from tracker.web.messages.activity_labels import Line

MUCH = 2
"""From so many facts of people on, a day has a line of its own."""


@dataclass(frozen=True)
class TimelineDay:
    """One day in the reader's zone: its lines, those that read the same together; newest first."""

    groups: Sequence[Sequence[Line]]

    @property
    def at(self) -> datetime:
        return self.groups[0][0].at

    @property
    def summary(self) -> str:
        """What people did on that day, each by name: ``Anna Berg: opened twice, one reply``; empty where that was little."""
        lines = [line for group in self.groups for line in group if line.tone == "person"]
        if len(lines) < MUCH:
            return ""
        people = dict.fromkeys(line.who for line in reversed(lines))
        return "; ".join(_facts_of(who, [line.kind for line in lines if line.who == who]) for who in people)


def timeline_days(lines: Sequence[Line]) -> list[TimelineDay]:
    days = (list(of_day) for _day, of_day in groupby(lines, key=_day_of))
    return [TimelineDay([list(run) for _key, run in groupby(day, key=_reads)]) for day in days]


def _day_of(line: Line) -> date:
    return line.at.astimezone(zone()).date()


def _reads(line: Line) -> tuple[str, ...]:
    """What a line says to whoever reads quickly."""
    if line.tone == "machine":
        return ("machine",)
    is_of_person = line.can_be_overruled and line.tone == "person"
    again = relative(line.at) if is_of_person else line.event  # letters and trouble stand alone
    return line.kind, line.title, line.who, line.through, line.url, again


def _facts_of(who: str, kinds: Sequence[str]) -> str:
    facts = ", ".join(_facts(kinds))
    return f"{who}: {facts}" if who else facts


def _facts(kinds: Sequence[str]) -> Iterable[str]:
    if opens := kinds.count("open") + kinds.count("inferred"):
        yield ngettext("opened once", "opened %(num)s times", opens)
    if clicks := kinds.count("click"):
        yield ngettext("clicked once", "clicked %(num)s times", clicks)
    if replies := kinds.count("reply"):
        yield ngettext("one reply", "%(num)s replies", replies)
    if reactions := kinds.count("reaction"):
        yield ngettext("one reaction", "%(num)s reactions", reactions)
    if "unsubscribe" in kinds:
        yield _("unsubscribed")
