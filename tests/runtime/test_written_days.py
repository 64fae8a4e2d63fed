"""Days, times and numbers as people write them."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from tracker.locale.written_days import as_iso, first_moment, next_day
from tracker.runtime.values import whole_number


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("30.11.2026", "2026-11-30"),
        ("1.2.2026", "2026-02-01"),
        ("30.11.2026 14:00", "2026-11-30T14:00"),
        ("30.11.2026, 9:05", "2026-11-30T09:05"),
        ("2026-11-30 9:05", "2026-11-30T09:05"),
        ("2026-11-30T14:00", "2026-11-30T14:00"),
        (" 2026-11-30 ", "2026-11-30"),
        ("2026-11-30T14:00:30+01:00", "2026-11-30T14:00:30+01:00"),
        ("tomorrow", "tomorrow"),
        ("", ""),
        ("11/30/2026", "11/30/2026"),
    ],
)
def test_both_ways_are_read_and_anything_else_stays(written: str, iso: str) -> None:
    assert as_iso(written) == iso


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin", "UTC"])
@pytest.mark.parametrize("at", [date.min, date.max])
def test_the_ends_of_time_are_days_everywhere(at: date, zone: str) -> None:
    assert first_moment(at, ZoneInfo(zone)).year == at.year
    assert next_day(at) >= at


def test_a_day_begins_where_the_reader_is() -> None:
    assert first_moment(date(2026, 3, 30), ZoneInfo("Europe/Berlin")) == datetime(2026, 3, 29, 22, tzinfo=UTC)
    assert next_day(date(2026, 2, 28)) == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        (" 12 ", 12),
        ("007", 7),
        ("99", 99),
        ("100", None),
        ("²", None),
        ("٣", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1_0", None),
        ("", None),
        ("9" * 5000, None),
        ("0" * 5000, None),
    ],
)
def test_a_number_is_ascii_digits_within_its_bounds(text: str, number: int | None) -> None:
    assert whole_number(text, 99) == number
