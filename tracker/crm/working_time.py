"""The workspace’s working time: the office hours in which the report counts, how much of them lies between two moments, and how
long somebody counts as signed in.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field
from sqlmodel import Session

from tracker.consent.preferences import preference, set_preference
from tracker.mail.fields import ChangeModel, SingleLine
from tracker.models import User
from tracker.runtime.localized_text import ActionError, LocalizedError, LocalizedText

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)-([01]?\d|2[0-4]):([0-5]\d)")
_DAY = timedelta(days=1)


class ScheduleError(ValueError):
    """The schedule is none: ``day`` is the one that is wrong, or empty when no day has hours."""

    def __init__(self, day: str) -> None:
        super().__init__(day)
        self.day = day


@dataclass(frozen=True)
class Schedule:
    """``hours`` are minutes after midnight, from and to, for each weekday from Monday; an end before its begin lies on the next
    day, so that 22:00-06:00 can be said."""

    hours: tuple[tuple[int, int] | None, ...]
    holidays: frozenset[date] = frozenset()

    def worked(self, start: datetime, end: datetime, zone: tzinfo) -> timedelta:
        """The working time from ``start`` to ``end``."""
        total = timedelta()
        day = start.astimezone(zone).date() - _DAY
        last = end.astimezone(zone).date()
        while day <= last:
            span = self.hours[day.weekday()]
            if span is not None and day not in self.holidays:
                opens, closes = (
                    _moment(day, span[0], zone),
                    _moment(day, span[1] + (1440 if span[1] <= span[0] else 0), zone),
                )
                total += max(timedelta(), min(end, closes) - max(start, opens))
            day += _DAY
        return total


def read_schedule(days: Mapping[str, str], holidays: Sequence[str] = ()) -> Schedule:
    """A schedule from texts such as ``{"mon": "9:00-18:00"}``. Raises :class:`ScheduleError`."""
    hours = tuple(_span(name, days.get(name, "")) for name in DAYS)
    if not any(hours):
        raise ScheduleError("")
    try:
        return Schedule(hours, frozenset(map(date.fromisoformat, holidays)))
    except ValueError:
        raise ScheduleError("holidays") from None


def _span(day: str, text: str) -> tuple[int, int] | None:
    if not text.strip():
        return None
    parts = _SPAN.fullmatch(text.replace(" ", "").replace("–", "-"))
    if not parts:
        raise ScheduleError(day)
    begin, end = int(parts[1]) * 60 + int(parts[2]), int(parts[3]) * 60 + int(parts[4])
    if begin >= 1440 or end > 1440 or begin == end:
        raise ScheduleError(day)
    return begin, end


def _moment(day: date, minute: int, zone: tzinfo) -> datetime:
    later, minute = divmod(minute, 1440)
    return datetime.combine(day + timedelta(days=later), time(minute // 60, minute % 60), tzinfo=zone)


def _zone(name: str) -> str:
    try:
        return name and ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LocalizedError(
            LocalizedText("This time zone is not known. Choose one of the list, such as Europe/Berlin.")
        ) from None


def _day(name: str) -> str:
    if name not in DAYS:
        raise LocalizedError(LocalizedText("A day is one of %(days)s.", days=", ".join(DAYS)))
    return name


Hours = Annotated[SingleLine, Field(max_length=20)]


class WorkingTime(ChangeModel):
    """``days`` are hours such as ``09:00-18:00`` by ``mon`` to ``sun``; without them (null) every hour counts. ``holidays`` are
    days such as ``2026-12-25``. ``timezone`` is where the hours are read; empty for the zone of whoever reads the report."""

    days: dict[Annotated[str, AfterValidator(_day)], Hours] | None = None
    holidays: Annotated[list[Annotated[SingleLine, Field(max_length=10)]], Field(max_length=400)] = []
    timezone: Annotated[SingleLine, Field(max_length=60), AfterValidator(_zone)] = ""
    presence_minutes: Annotated[int, Field(ge=1, le=1440)] = 5
    """So long after the last thing they did people count as signed in."""


def working_time(session: Session) -> WorkingTime:
    """What stands."""
    stored = preference(session, "office_hours") or {}
    return WorkingTime(**{"days": None, **stored}, presence_minutes=preference(session, "presence_minutes"))


def change_working_time(session: Session, change: WorkingTime, by: User) -> WorkingTime:
    """Changes what is set. Raises :class:`ActionError` for hours or days that are none, and a schedule without hours."""
    new = working_time(session).model_copy(update=change.model_dump(include=change.model_fields_set))
    if new.days is not None:
        _check(new)
    stored = {} if new.days is None else new.model_dump(include={"days", "holidays", "timezone"})
    set_preference(session, "office_hours", stored, by.id)
    set_preference(session, "presence_minutes", new.presence_minutes, by.id)
    return new if new.days is not None else WorkingTime(presence_minutes=new.presence_minutes)


def _check(new: WorkingTime) -> None:
    try:
        read_schedule(new.days or {}, new.holidays)
    except ScheduleError as error:
        raise ActionError("invalid", *_PROBLEMS.get(error.day, (_HOURS, f"days.{error.day}"))) from None


_HOURS = LocalizedText("Write the hours as 9:00-18:00.")
_PROBLEMS = {
    "": (LocalizedText("No day has hours. Give at least one day hours, or count every hour."), "days"),
    "holidays": (LocalizedText("Write a holiday as 2026-12-25."), "holidays"),
}


def office_hours(session: Session) -> tuple[Schedule, ZoneInfo | None] | None:
    """The schedule and its zone (None for the reader's); None where every hour counts."""
    time = working_time(session)
    if time.days is None:
        return None
    return read_schedule(time.days, time.holidays), ZoneInfo(time.timezone) if time.timezone else None
