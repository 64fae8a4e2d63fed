"""Days and times as people write them."""

import pytest

from tracker.locale.written_days import as_iso


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
