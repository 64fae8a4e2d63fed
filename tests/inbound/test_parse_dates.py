"""When a letter was sent and received, however its Date and Received fields are written."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.inbound.corpus import raw, simple
from tracker.inbound.parse.dates import read_date, receipt
from tracker.inbound.parse.letter import parse

TEN = datetime(2026, 11, 26, 10, tzinfo=UTC)


@pytest.mark.parametrize("name", ["p08-date-out-of-this-world", "p10-year-nought"])
def test_p8_p10_an_impossible_date_says_nothing(name: str) -> None:
    letter = parse(raw(name))
    assert letter.sent_at is None
    assert "date_unusable" in letter.defects
    assert receipt(TEN, letter.values("received"), letter.sent_at, TEN + timedelta(minutes=3)).at == TEN


@pytest.mark.parametrize("written", ["Thu, 26 Nov 2026 10:00:00 +2400", "yesterday", "=?utf-8?q?x?=", "99999999999999"])
def test_p8_other_dates_that_are_none(written: str) -> None:
    assert parse(simple().replace(b"Thu, 26 Nov 2026 10:00:00 +0000", written.encode())).sent_at is None


@pytest.mark.parametrize(
    ("zone", "hour"),
    [
        *(
            ("MSK", 16),
            ("MSD", 15),
            ("+3", 16),
            ("+03", 16),
            ("+03:00", 16),
            ("+0300", 16),
            ("GMT+3", 16),
            ("UTC+03:00", 16),
        ),
        *(
            ("+0300 (MSK)", 16),
            ("CET", 18),
            ("CEST", 17),
            ("EET", 17),
            ("YEKT", 14),
            ("JST", 10),
            ("Z", 19),
            ("UT", 19),
        ),
        *(("-0330", 23), ("", 19), ("-0000", 19)),
    ],
)
def test_zones_as_programs_write_them(zone: str, hour: int) -> None:
    letter = parse(b"Date: Sun, 29 Nov 2026 19:30:00 " + zone.encode() + b"\r\n\r\nx")
    assert letter.sent_at is not None
    assert letter.sent_at.hour == hour
    assert "date_zone_unknown" not in letter.defects


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-30T09:15:00+03:00", "2026-11-30T06:15:00"),
        ("2026-11-30 09:15:00 +0300", "2026-11-30T06:15:00"),
        ("2026-11-30T09:15:00.123Z", "2026-11-30T09:15:00"),
        ("30.11.2026 09:15", "2026-11-30T09:15:00"),
        ("29.11.2026, 9:15:10 +0300", "2026-11-29T06:15:10"),
        ("Пн, 30 ноября 2026 09:15:00 +0300", "2026-11-30T06:15:00"),
        ("30 мар 2026 09:15:00 +0300", "2026-03-30T06:15:00"),
        ("30 мая 2026 г., 09:15", "2026-05-30T09:15:00"),
        ("Mo, 30. Dez 2026 09:15:00 +0300", "2026-12-30T06:15:00"),
        ("lun., 30 nov. 2026 09:15:00 +0300", "2026-11-30T06:15:00"),
        ("30 de agosto de 2026 09:15:00 +0300", "2026-08-30T06:15:00"),
        ("pon., 30 paź 2026 09:15:00 +0300", "2026-10-30T06:15:00"),
        ("ma 30 marraskuuta 2026 09:15:00 +0300", "2026-11-30T06:15:00"),
        ("Mon, 30 Nov 126 09:15:00 +0300", "2026-11-30T06:15:00"),
        ("Mon, 30 Xyz 2026 09:15:00 +0300", None),
        ("Mon, 30 Nov 2026 7:00 PM +0300", "2026-11-30T16:00:00"),
        ("Mon, 30 Nov 2026 12:05:00 AM", "2026-11-30T00:05:00"),
        ("Mon, 30 Nov 2026 19:00:00 PM", "2026-11-30T19:00:00"),
        ("Mon, 30 Nov 2026 24:00:00 +0000", "2026-12-01T00:00:00"),
        ("2026-13-30 09:15:00", None),
        ("30.13.2026 09:15", None),
        ("Mon, 30 Nov 2026 24:01:00 +0000", None),
        ("Mon, 30 Feb 2026 10:20:30 +0000", None),
    ],
)
def test_dates_in_other_orders_and_words(written: str, moment: str | None) -> None:
    at = read_date(written)
    assert (at and at.replace(tzinfo=None).isoformat()) == moment


@pytest.mark.parametrize("zone", ["XYZ", "IST", "Local"])
def test_an_unknown_zone_is_said_to_be_unknown(zone: str) -> None:
    letter = parse(b"Date: Sun, 29 Nov 2026 19:30:00 " + zone.encode() + b"\r\n\r\nx")
    assert letter.sent_at is not None
    assert "date_zone_unknown" in letter.defects


def test_p9_a_date_without_zone_is_utc_and_can_be_compared() -> None:
    sent = parse(raw("p09-date-without-zone")).sent_at
    assert sent == TEN
    assert sent is not None
    assert sent.tzinfo is not None


@pytest.mark.parametrize(
    ("internal", "received", "date", "fetched", "expected"),
    [
        (TEN, [], None, TEN, (TEN, "internal_date", False)),
        (
            None,
            ["from a by b; Thu, 26 Nov 2026 12:00:00 +0300"],
            None,
            TEN,
            (TEN - timedelta(hours=1), "received", False),
        ),
        (None, ["nonsense"], TEN - timedelta(days=6), TEN, (TEN - timedelta(days=6), "date", False)),
        (None, [], TEN - timedelta(days=8), TEN, (TEN, "fetched", False)),
        (TEN + timedelta(hours=1), [], None, TEN, (TEN, "internal_date", False)),
        (TEN, ["by b; Wed, 18 Nov 2026 10:00:00 +0000"], None, TEN, (TEN, "internal_date", True)),
    ],
    ids=["internal", "received", "date", "none", "f32-ahead", "f33-backfilled"],
)
def test_receipt_time(
    internal: datetime | None, received: list[str], date: datetime | None, fetched: datetime, expected: object
) -> None:
    receipt_time = receipt(internal, received, date, fetched)
    assert (receipt_time.at, receipt_time.by, receipt_time.backfilled) == expected
