"""How much working time lies between two moments: a schedule of the workspace's week, and its holidays. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

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
