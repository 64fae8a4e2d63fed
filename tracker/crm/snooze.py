"""Until when an enquiry is put off, as people say it: days are days of the person's calendar, nine o'clock is their nine. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo

from tracker.notifications.rules import at_clock
from tracker.runtime.localized_text import N_

MORNING = 9 * 60
CHOICES: Mapping[str, str] = {
    "later": N_("In three hours"),
    "tomorrow": N_("Tomorrow at 9:00"),
    "monday": N_("Monday at 9:00"),
    "week": N_("In a week at 9:00"),
}
_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def snooze_time(choice: str, moment: datetime, zone: tzinfo) -> datetime | None:
    """The point of time of one of :data:`CHOICES`, or of a wall-clock time such as ``2026-03-29T02:30``; None for anything else.
    A time that the clock leaves out in spring is as much later as it was put forward."""
    if choice == "later":
        return moment + timedelta(hours=3)
    today = moment.astimezone(zone).date()
    days = {"tomorrow": 1, "monday": 7 - today.weekday(), "week": 7}
    if choice in days:
        return at_clock(today + timedelta(days=days[choice]), MORNING, zone)
    if not _LOCAL.fullmatch(choice):
        return None
    try:
        local = datetime.fromisoformat(choice)
        return at_clock(local.date(), local.hour * 60 + local.minute, zone)
    except (ValueError, OverflowError):
        return None
