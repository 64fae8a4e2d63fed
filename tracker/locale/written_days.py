"""Days and times as people write them in a field. Pure."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_WRITTEN = re.compile(r"(?:(\d{1,2})\.(\d{1,2})\.(\d{4})|(\d{4})-(\d\d)-(\d\d))(?:[T,\s]\s*(\d{1,2}):(\d\d))?")


def as_iso(text: str) -> str:
    """``30.11.2026 9:00`` and ``2026-11-30 9:00`` as ISO 8601 has it, ``2026-11-30T09:00``; anything else as it is."""
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        return text
    day, month, year = match.group(1, 2, 3) if match[1] else match.group(6, 5, 4)
    clock = f"T{match[7]:0>2}:{match[8]}" if match[7] else ""
    return f"{year}-{month:0>2}-{day:0>2}{clock}"


def first_moment(at: date | datetime, zone: ZoneInfo) -> datetime:
    """When a day begins there; a moment as it is."""
    if isinstance(at, datetime):
        return at
    try:
        return datetime.combine(at, time.min, zone).astimezone(UTC)
    except OverflowError:  # the first and the last day there is, seen from the other side of the world
        return datetime.combine(at, time.min, UTC)


def next_day(at: date) -> date:
    return at if at == date.max else at + timedelta(days=1)
