"""When a letter was sent and when it was received, out of fields that may say anything. Pure: the moment is handed in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

_PLAUSIBLE = timedelta(days=7)
_AHEAD = timedelta(minutes=5)
_MOST_AHEAD = timedelta(hours=14)
_OLD = timedelta(days=7)
_NAMES_BY_HOURS = {
    -8: "PST",
    -7: "MST PDT",
    -6: "CST MDT",
    -5: "EST CDT",
    -4: "EDT",
    0: "UT UTC GMT Z WET",
    1: "WEST BST CET MET MEZ",
    2: "CEST MEST MESZ EET SAST",
    3: "EEST MSK TRT",
    4: "MSD SAMT",
    5: "YEKT",
    6: "OMST",
    7: "NOVT KRAT",
    8: "IRKT HKT SGT AWST",
    9: "YAKT JST KST",
    10: "VLAT AEST",
    11: "MAGT AEDT",
    12: "NZST",
    13: "NZDT",
}
"""Names of zones that mail programs write. Those with several meanings (IST) are none of them."""
_HOURS = {name: hours for hours, names in _NAMES_BY_HOURS.items() for name in names.split()}
_ZONE = re.compile(
    r":\d\d(?:[.:]\d\d)?\s*(?P<half>[ap]m\b)?\s*(?P<name>[A-Za-z]{1,5}\b)?\s*(?:(?P<sign>[+-])(?P<hours>\d{1,2}):?(?P<minutes>\d\d)?(?!\d))?",
    re.IGNORECASE,
)
_ISO = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)[T ]+(\d{1,2}:\d\d(?::\d\d)?)(?:[.,]\d+)?\s*(.*)", re.IGNORECASE)
_DOTTED = re.compile(r"\b(\d{1,2})\.(\d{1,2})\.(\d{4}),?\s+(\d{1,2}:\d\d(?::\d\d)?)\s*(.*)")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_USUAL = re.compile(
    rf"(?:[A-Z][a-z]{{2}}, )?(\d{{1,2}}) ({'|'.join(_MONTHS)}) (\d{{4}}) ([01]\d|2[0-3]):([0-5]\d):([0-5]\d) ([+-])(\d\d)([0-5]\d)",
    re.ASCII,
)
"""As nearly every program writes it."""
_NAMED = re.compile(
    r"\b(\d{1,2})\.?\s+(?:de\s+)?([^\W\d_]{3,12})\.?\s+(?:de\s+)?(\d{4}|1\d\d)\b(?:\s*г\.?)?,?\s*(.*)", re.IGNORECASE
)
_BEGINNINGS = (
    "jan янв січ gen ene sty led tam oca",
    "feb fev fév фев лют lut úno hel şub",
    "mar mär mrz mrt мар бер bře maalis",
    "apr avr abr апр кві kwi dub huh nis",
    "may mai mei maj mag май мая тра kvě tou",
    "jun juin giu июн чер cze čer kes haz",
    "jul juil lug июл лип lip čvc hei tem",
    "aug aoû aou ago авг сер sie srp elo ağu",
    "sep set сен вер wrz zář syy eyl",
    "oct okt ott out окт жов paź říj lok eki",
    "nov ноя лис lis marras kas",
    "dec dez déc dic дек гру gru pro jou ara",
)
"""How the months begin in the languages of Europe; the longer beginning goes first."""
_MONTH_BY_BEGINNING = {beginning: number for number, listed in enumerate(_BEGINNINGS) for beginning in listed.split()}
_YEAR_NOUGHT = re.compile(r"[A-Za-z]{3,9}[ -]+0000\b")


@dataclass(frozen=True)
class Receipt:
    """When a letter was received, and by which word: internal_date, received, date, fetched. ``backfilled``: old mail that was
    put into its folder lately."""

    at: datetime
    by: str
    backfilled: bool = False


def read_date(value: str) -> datetime | None:
    """A Date field in UTC; None for one that is missing or makes no sense. A missing or unknown zone is UTC (RFC 5322 4.3)."""
    if usual := _USUAL.fullmatch(value):
        return _read_usual(*usual.groups())
    value = _in_usual_order(value[:200])
    parsed = _parsed(value)
    if parsed is None or parsed[0] < 1980 or _YEAR_NOUGHT.search(value):
        return None
    zone = _zone(value)
    offset = parsed[9] or 0 if zone is None else zone
    if abs(offset) > 14 * 3600:
        return None
    year, month, day, hour, minute, second = parsed[:6]
    if match := _ZONE.search(value):
        hour = _hour_of_day(hour, (match["half"] or "").lower())
    try:
        midnight = datetime(year, month, day, tzinfo=timezone(timedelta(seconds=offset)))
        if not (hour in range(24) or (hour, minute, second) == (24, 0, 0)) or minute > 59 or second > 60:
            return None
        return (midnight + timedelta(hours=hour, minutes=minute, seconds=second)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _read_usual(
    day: str, month: str, year: str, hour: str, minute: str, second: str, sign: str, hours: str, minutes: str
) -> datetime | None:
    ahead = timedelta(hours=int(hours), minutes=int(minutes))
    if int(year) < 1980 or ahead > _MOST_AHEAD:
        return None
    try:
        moment = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC
        )
        return moment - ahead if sign == "+" else moment + ahead
    except (ValueError, OverflowError):
        return None


def _in_usual_order(value: str) -> str:
    """Dates as ISO 8601, with dots or with months in other languages, in the order and the words of RFC 5322."""
    if match := _ISO.search(value):
        year, month, day, time, zone = match.groups()
    elif match := _DOTTED.search(value):
        day, month, year, time, zone = match.groups()
    elif (match := _NAMED.search(value)) and (name := _month(match[2].lower())):
        year = int(match[3]) + 1900 * (len(match[3]) == 3)  # RFC 5322 section 4.3
        return f"{match[1]} {name} {year:04} {match[4]}"
    else:
        return value
    return f"{day} {_MONTHS[int(month) - 1]} {year} {time} {zone}" if int(month) in range(1, 13) else value


def _month(name: str) -> str:
    beginnings = (name[:length] for length in (6, 4, 3))
    number = next((_MONTH_BY_BEGINNING[begin] for begin in beginnings if begin in _MONTH_BY_BEGINNING), None)
    return "" if number is None else _MONTHS[number]


def _hour_of_day(hour: int, half: str) -> int:
    """An hour of half a day (``pm`` or ``am``) or of a whole one."""
    return hour % 12 + 12 * (half == "pm") if half and hour in range(1, 13) else hour


def names_unknown_zone(value: str) -> bool:
    """A name stands where the zone should, and it is none of the usual ones."""
    match = _ZONE.search(value[:200])
    return bool(match and match["name"] and not match["sign"] and match["name"].upper() not in _HOURS)


def _zone(value: str) -> int | None:
    """The offset in seconds, also of zones that the library reads otherwise (``MSK``, ``+3``, ``UTC+03:00``)."""
    match = _ZONE.search(value)
    if match is None:
        return None
    if match["sign"]:
        seconds = int(match["hours"]) * 3600 + int(match["minutes"] or 0) * 60
        return -seconds if match["sign"] == "-" else seconds
    hours = _HOURS.get((match["name"] or "").upper())
    return None if hours is None else hours * 3600


def _parsed(value: str) -> tuple[int, int, int, int, int, int, int, int, int, int | None] | None:
    try:
        return parsedate_tz(value)
    except Exception:  # the library stumbles over odd numbers in more than one way
        return None


def received_date(field: str) -> datetime | None:
    """The moment in a Received field: what stands behind its last semicolon."""
    return read_date(field.rpartition(";")[2].strip()) if ";" in field else None


def receipt(
    internal_date: datetime | None, received: Sequence[str], date: datetime | None, fetched_at: datetime
) -> Receipt:
    """INTERNALDATE; else the topmost Received; else Date if within seven days of now; else the moment of fetching. Never ahead."""
    top = next((moment for field in received[:5] if (moment := received_date(field)) is not None), None)
    if internal_date is not None:
        at, by = internal_date, "internal_date"
    elif top is not None:
        at, by = top, "received"
    elif date is not None and abs(date - fetched_at) <= _PLAUSIBLE:
        at, by = date, "date"
    else:
        at, by = fetched_at, "fetched"
    backfilled = by == "internal_date" and top is not None and at - top > _OLD
    return Receipt(fetched_at if at > fetched_at + _AHEAD else at, by, backfilled)
