"""Which of the things that people did with a copy deserve attention now, and which only make a counter grow. Pure.

Certain before probable, and never the same news twice within half an hour.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

News = Literal["first_open", "opened_again", "interest", "click"]
NotifiedAt = Mapping[str, datetime]
"""When each kind of news about a copy was told last."""

KINDS = ("first_open", "opened_again", "interest", "click", "reply", "enquiry", "follow_up", "trouble")
"""What a person may let ring or only count."""
SILENCE = timedelta(hours=24)
"""An open after so long is told again."""
BURST = timedelta(hours=1)
BURST_COUNT = 3
"""So many opens and clicks within that time are interest."""
FOLD = timedelta(minutes=30)
"""The same news within that time fold into the counter."""
_BY_KIND = {
    "open": "first_open",
    "answered": "reply",
    **dict.fromkeys(("letter", "customer_assigned", "enquiry_assigned", "enquiry_due"), "enquiry"),
}
TROUBLE = ("bounce", "complaint", "rejected", "problem")


@dataclass(frozen=True)
class Activity:
    """One thing a person did: ``kind`` is open or click."""

    kind: str
    at: datetime


def news_of(activities: Sequence[Activity], fresh: Collection[Activity], notified_at: NotifiedAt) -> News | None:
    """The news in ``fresh``, which are among ``activities``; None when only the counter grows.

    ``activities`` is everything that people did with the copy so far, ``notified_at`` what was said of it.
    """
    if not fresh:
        return None
    newest = max(activity.at for activity in fresh)
    clicks = [activity.at for activity in fresh if activity.kind == "click"]
    if clicks and not _told_lately("click", max(clicks), notified_at):
        return "click"
    if notified_at and newest <= max(notified_at.values()):
        return None  # it comes late: what happened after it was told already
    news = _open_news(
        [activity.at for activity in activities], min(activity.at for activity in fresh), newest, notified_at
    )
    return news if news is not None and not _told_lately(news, newest, notified_at) else None


def _told_lately(news: News, at: datetime, notified_at: NotifiedAt) -> bool:
    """A burst folds for as long as a burst may last."""
    return news in notified_at and at - notified_at[news] < (max(FOLD, BURST) if news == "interest" else FOLD)


def _open_news(times: Sequence[datetime], first: datetime, newest: datetime, notified_at: NotifiedAt) -> News | None:
    if _is_interest(times, newest, notified_at):
        return "interest"
    before = [at for at in times if at < first]
    if not before:
        return None if notified_at else "first_open"
    return "opened_again" if first - max(before) >= SILENCE else None


def _is_interest(times: Sequence[datetime], newest: datetime, notified_at: NotifiedAt) -> bool:
    """A burst that was not told yet: what a told click or burst was made of does not count again."""
    since = max((notified_at[news] for news in ("click", "interest") if news in notified_at), default=None)
    burst = [at for at in times if newest - BURST <= at <= newest and (since is None or at > since)]
    return len(burst) >= BURST_COUNT


def preference_of(kind: str, news: str = "") -> str:
    """Which of :data:`KINDS` decides about a bell line."""
    if kind in TROUBLE:
        return "trouble"
    if news and kind in ("open", "click"):
        return news
    return _BY_KIND.get(kind, kind)


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
    return at_clock(day, end, zone)


def next_clock(moment: datetime, zone: tzinfo, minute: int) -> datetime:
    """The next time, after ``moment``, that the clock of ``zone`` shows that minute of a day."""
    day = moment.astimezone(zone).date()
    for ahead in range(3):
        at = at_clock(day + timedelta(days=ahead), minute, zone)
        if at > moment:
            return at
    raise AssertionError("a day has every minute once in three days")


def at_clock(day: date, minute: int, zone: tzinfo) -> datetime:
    """A wall-clock time as a moment in UTC; one that is left out in spring is as much later as the clock was put forward."""
    return datetime.combine(day, time(minute // 60, minute % 60), tzinfo=zone).astimezone(UTC)
