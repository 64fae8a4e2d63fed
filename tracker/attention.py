"""Which of the things that people did with a copy deserve attention now, and which only make a counter grow. Pure.

Certain before probable, and never the same news twice within half an hour.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

News = Literal["first_open", "opened_again", "interest", "click"]
Told = Mapping[str, datetime]
"""When each kind of news about a copy was told last."""

KINDS = ("first_open", "opened_again", "interest", "click", "reply", "enquiry", "follow_up", "trouble")
"""What a person may let ring or only count."""
TROUBLE = ("bounce", "rejected", "problem")


@dataclass(frozen=True)
class Act:
    """One thing a person did: ``kind`` is open or click."""

    kind: str
    at: datetime


@dataclass(frozen=True)
class Habits:
    """When news are news."""

    silence: timedelta = timedelta(hours=24)
    """An open after so long is told again."""
    burst: timedelta = timedelta(hours=1)
    burst_acts: int = 3
    """So many opens and clicks within that time are interest."""
    fold: timedelta = timedelta(minutes=30)
    """The same news within that time fold into the counter; a burst folds for as long as a burst may last."""

    def folding(self, news: str) -> timedelta:
        return max(self.fold, self.burst) if news == "interest" else self.fold


def judge(acts: Sequence[Act], fresh: Collection[Act], told: Told, habits: Habits = Habits()) -> News | None:
    """The news in ``fresh``, which are among ``acts``; None when only the counter grows.

    ``acts`` is everything that people did with the copy so far, ``told`` what was said of it.
    """
    if not fresh:
        return None
    newest = max(fresh, key=lambda act: act.at)
    clicks = [act for act in fresh if act.kind == "click"]
    if clicks and not _told_lately("click", max(act.at for act in clicks), told, habits):
        return "click"
    if told and newest.at <= max(told.values()):
        return None  # it comes late: what happened after it was told already
    found = _open_news(acts, fresh, newest, told, habits)
    return found if found is not None and not _told_lately(found, newest.at, told, habits) else None


def _told_lately(news: str, at: datetime, told: Told, habits: Habits) -> bool:
    return news in told and at - told[news] < habits.folding(news)


def _open_news(
    acts: Sequence[Act], fresh: Collection[Act], newest: Act, told: Told, habits: Habits
) -> Literal["first_open", "opened_again", "interest"] | None:
    if _is_interest(acts, newest, told, habits):
        return "interest"
    first_fresh = min(act.at for act in fresh)
    before = [act.at for act in acts if act.at < first_fresh]
    if not before:
        return None if told else "first_open"
    return "opened_again" if first_fresh - max(before) >= habits.silence else None


def _is_interest(acts: Sequence[Act], newest: Act, told: Told, habits: Habits) -> bool:
    """A burst that was not told yet: what a told click or burst was made of does not count again."""
    since = max((told[news] for news in ("click", "interest") if news in told), default=None)
    within = [
        act for act in acts if newest.at - habits.burst <= act.at <= newest.at and (since is None or act.at > since)
    ]
    return len(within) >= habits.burst_acts


def preference_of(kind: str, news: str = "") -> str:
    """Which of :data:`KINDS` decides about a bell line."""
    if kind in TROUBLE:
        return "trouble"
    if news:
        return news
    return {"open": "first_open", "answered": "reply"}.get(kind, kind)


def end_of_quiet(moment: datetime, zone: tzinfo, start: int | None, end: int | None) -> datetime | None:
    """When the quiet hours around ``moment`` end; None when it is not quiet.

    ``start`` and ``end`` are minutes after midnight in ``zone``, and may lie on both sides of midnight.
    """
    if start is None or end is None or start == end:
        return None
    local = moment.astimezone(zone)
    minute = local.hour * 60 + local.minute
    overnight = start > end
    if not (minute >= start or minute < end if overnight else start <= minute < end):
        return None
    day = local.date() + timedelta(days=1 if overnight and minute >= start else 0)
    return _at_clock(day, end, zone)


def next_clock(moment: datetime, zone: tzinfo, minute: int) -> datetime:
    """The next time, after ``moment``, that the clock of ``zone`` shows that minute of a day."""
    day = moment.astimezone(zone).date()
    for ahead in range(3):
        at = _at_clock(day + timedelta(days=ahead), minute, zone)
        if at > moment:
            return at
    raise AssertionError("a day has every minute once in three days")


def _at_clock(day: date, minute: int, zone: tzinfo) -> datetime:
    """A wall-clock time as a moment in UTC; one that is left out in spring is as much later as the clock was put forward."""
    return datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone).astimezone(UTC)
