"""Single values of a filter: out of the address bar, and back into it. Days are days in the reader's zone."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tracker.locale import gettext as _

MAX_WORDS = 200


class FilterError(ValueError):
    """A filter value that cannot be understood; ``field`` is its name in the address bar."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def values(query: Mapping[str, str], name: str) -> list[str]:
    """Every value of a name that may be repeated."""
    getlist = getattr(query, "getlist", None)
    return [str(text) for text in getlist(name)] if getlist else [query.get(name, "")]


def chosen(name: str, texts: Iterable[str], known: Mapping[str, str]) -> tuple[str, ...]:
    """The named ones of ``known``, in its order. Several may stand in one text, divided by commas. Raises :class:`FilterError`."""
    wanted = {one for text in texts for one in text.split(",") if one}
    for one in wanted - known.keys():
        text = _("“%(name)s” cannot be “%(value)s”; it is one of %(values)s.") % {
            "name": name,
            "value": one[:40],
            "values": ", ".join(known),
        }
        raise FilterError(name, text)
    return tuple(one for one in known if one in wanted)


def yes_or_no(name: str, text: str) -> bool | None:
    if text not in ("", "true", "false"):
        raise FilterError(name, _("“%(name)s” is true or false.") % {"name": name})
    return None if not text else text == "true"


def words(name: str, text: str) -> str:
    found = " ".join(text.replace("\0", " ").split())
    if len(found) > MAX_WORDS:
        raise FilterError(
            name, _("“%(name)s” is longer than %(limit)s characters.") % {"name": name, "limit": MAX_WORDS}
        )
    return found


def moment(name: str, text: str) -> date | datetime | None:
    text = text.strip()
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return date.fromisoformat(text)
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise FilterError(name, _("“%(name)s” is not a day; write it as 2026-03-31.") % {"name": name}) from None


def as_text(value: object) -> str:
    """A value as it stands in the address bar; empty for none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):  # a point of time is a date too
        return value.isoformat()
    return str(value or "")


def spellings(word: str) -> list[str]:
    """SQLite folds the case of ASCII letters only, so other scripts are looked for in the spellings that people use."""
    return sorted({word} if word.isascii() else {word, word.lower(), word.upper(), word.capitalize()})


def first_moment(day: date | datetime, zone: ZoneInfo) -> datetime:
    if isinstance(day, datetime):
        return day
    try:
        return datetime.combine(day, time.min, zone).astimezone(UTC)
    except OverflowError:  # the first and the last day there is, seen from the other side of the world
        return datetime.combine(day, time.min, UTC)


def next_day(day: date) -> date:
    return day if day == date.max else day + timedelta(days=1)
