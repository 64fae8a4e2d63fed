"""Times and numbers as the reader writes them: in the language and zone that are being spoken (:mod:`tracker.locale`)."""

from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_skeleton, format_timedelta
from babel.numbers import format_compact_decimal, format_decimal
from babel.units import format_unit
from markupsafe import Markup

from tracker.locale import _, babel_locale, zone
from tracker.runtime.database import now


def ago(at: datetime | None) -> Markup:
    """``4 min ago`` in a ``<time>`` element that carries the full time; nothing for None."""
    return Markup("") if at is None else _time(at, relative(at), live=True)


def when(at: datetime | None) -> Markup:
    """``14:03`` today, ``12 Mar`` this year, ``12 Mar 2025`` else, in a ``<time>`` element; nothing for None."""
    return Markup("") if at is None else _time(at, short(at), live=False)


def relative(at: datetime) -> str:
    """The distance from this moment in words; ``just now`` under a minute."""
    distance = at - now()
    if abs(distance) < timedelta(minutes=1):
        return _("just now")
    return format_timedelta(distance, add_direction=True, format="short", threshold=0.99, locale=babel_locale())


def span(distance: timedelta) -> str:
    """A length of time in words, from a minute on."""
    return format_timedelta(max(distance, timedelta(minutes=1)), format="short", threshold=0.99, locale=babel_locale())


def seconds(number: int) -> str:
    """So many seconds as a length of time in words."""
    return span(timedelta(seconds=number))


def short(at: datetime) -> str:
    """A time as short as it can be told from this moment."""
    here, today = at.astimezone(zone()), now().astimezone(zone()).date()
    if here.date() == today:
        return f"{here:%H:%M}"
    return _short_date(here.date(), here.year == today.year, babel_locale())


@lru_cache(2000)
def _short_date(day: date, is_this_year: bool, locale: Locale) -> str:
    return format_skeleton("MMMd", day, locale=locale) if is_this_year else format_date(day, "medium", locale=locale)


def full(at: datetime) -> str:
    """Day and time to the second with the zone's name, for tooltips and details."""
    return _full(at.replace(microsecond=0), zone(), babel_locale())


@lru_cache(5000)
def _full(at: datetime, zone: ZoneInfo, locale: Locale) -> str:
    here = at.astimezone(zone)
    name = zone.key if f"{here:%Z}" == zone.key else f"{zone.key}, {here:%Z}"
    return f"{format_datetime(here, 'medium', tzinfo=zone, locale=locale)} ({name})"


def day(written: str) -> str:
    """A day or a point of time in ISO 8601 as a day with its month in words."""
    is_day = len(written) == len("2026-03-31")
    at = date.fromisoformat(written) if is_day else datetime.fromisoformat(written)
    with suppress(OverflowError):  # the first or the last day there is
        at = at.astimezone(zone()) if isinstance(at, datetime) else at
    return format_date(at, "long", locale=babel_locale())


def weekday(at: datetime) -> str:
    """A day with its name: ``Monday, 30 November``."""
    return format_date(at.astimezone(zone()), "EEEE, d MMMM", locale=babel_locale())


def day_and_month(at: datetime) -> str:
    """``12 Mar``, whatever the year."""
    return format_skeleton("MMMd", at.astimezone(zone()), locale=babel_locale())


def short_day(at: date) -> str:
    """A day as it stands in a narrow table: ``Mon 30 Nov``."""
    return format_skeleton("MMMEd", at, locale=babel_locale())


def day_in_words(at: datetime) -> str:
    """``Today``, ``Yesterday``, else as in a narrow table."""
    then, today = at.astimezone(zone()).date(), now().astimezone(zone()).date()
    names = {today: _("Today"), today - timedelta(days=1): _("Yesterday")}
    return names.get(then) or short_day(then)


def count(number: float) -> str:
    """A number with the reader's separators. (Small ones have none: a list shows hundreds.)"""
    if isinstance(number, int) and 0 <= number < 1000:
        return str(number)
    return str(format_decimal(number, locale=babel_locale()))


def size(number: int) -> str:
    """So many bytes as people say it: ``409 bytes``, ``1.2 kB``, ``14 MB``."""
    if number < 1000:
        return format_unit(number, "byte", locale=babel_locale())
    amount, unit = (number / 1_000_000, "megabyte") if number >= 1_000_000 else (number / 1000, "kilobyte")
    return format_unit(round(amount, 1 if amount < 10 else None), unit, "short", locale=babel_locale())


def compact(number: int) -> str:
    """A number of at most four characters or so: ``999``, ``12K``."""
    return str(format_compact_decimal(number, locale=babel_locale())) if number >= 10_000 else count(number)


def _time(at: datetime, text: str, *, live: bool) -> Markup:
    pieces = (_TIME, at.isoformat(timespec="seconds"), _TITLE, full(at), _LIVE if live else _STILL, text, _END)
    return Markup("").join(pieces)  # escapes what is no markup; a format takes twice as long


_TIME, _TITLE, _END = Markup('<time datetime="'), Markup('" title="'), Markup("</time>")
_LIVE, _STILL = Markup('" data-ago>'), Markup('">')
