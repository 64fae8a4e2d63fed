"""The report: traps B52–B55."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from sqlmodel import Session

from tests.crm.shop_world import ShopWorld
from tracker.consent.preferences import set_preference
from tracker.crm.report import answers_report, enquiries_report
from tracker.crm.working_time import (
    ScheduleError,
    WorkingTime,
    change_working_time,
    office_hours,
    read_schedule,
    working_time,
)
from tracker.models import EnquiryStatus, Letter, User
from tracker.runtime.localized_text import ActionError
from tracker.runtime.report_table import Period, Report
from tracker.web.reports.tables import as_csv, period_of

KOLKATA, BERLIN = ZoneInfo("Asia/Kolkata"), ZoneInfo("Europe/Berlin")


def arrive(shop: ShopWorld, at: datetime, answered_at: datetime | None = None, by: User | None = None) -> Letter:
    """An enquiry that came then, and was answered then."""
    shop._letters += 1
    letter = shop.letter(f"s{shop._letters}@else.example", internal_date=at)
    with shop.context.database.session_scope() as session:
        stored, status = session.get_one(Letter, letter.id), session.get_one(EnquiryStatus, letter.id)
        stored.received_at = status.received_at = at
        if answered_at is not None:
            status.answered_at, status.answered_by, status.waiting_since = answered_at, (by or shop.olga).id, None
    return letter


def report(shop: ShopWorld, since: date | None, until: date | None, group: str = "mailbox") -> Report:
    with shop.context.database.reading() as session:
        olga = session.get_one(User, shop.olga.id)
        return enquiries_report(session, olga, period_of(olga, *(str(day or "") for day in (since, until))), group)


def lines(table: Report) -> list[str]:
    async def text() -> str:
        return "".join([str(part) async for part in as_csv("enquiries", table).body_iterator])  # type: ignore[attr-defined]

    return asyncio.run(text()).splitlines()


def test_b52_an_answer_belongs_to_the_period_of_its_enquiry(shop: ShopWorld) -> None:
    arrive(shop, datetime(2026, 1, 31, 23, 50, tzinfo=UTC), datetime(2026, 2, 1, 0, 10, tzinfo=UTC))
    (row,) = report(shop, None, None, "month").rows
    assert (row["group"], row["enquiries"], row["answered"], row["median_seconds"]) == ("2026-01", 1, 1, 1200)
    assert report(shop, date(2026, 2, 1), None).totals["enquiries"] == 0


def test_b53_a_day_is_a_day_of_the_person_s_zone(shop: ShopWorld) -> None:
    shop.change(shop.olga, timezone="Asia/Kolkata")
    for at in (datetime(2026, 5, 4, 0, 0, tzinfo=KOLKATA), datetime(2026, 5, 4, 23, 59, 59, tzinfo=KOLKATA)):
        arrive(shop, at.astimezone(UTC))
    arrive(shop, datetime(2026, 5, 5, 0, 0, tzinfo=KOLKATA).astimezone(UTC))
    day = report(shop, date(2026, 5, 4), date(2026, 5, 4), "day")
    assert [(row["group"], row["enquiries"]) for row in day.rows] == [("2026-05-04", 2)]
    assert day.totals["enquiries"] == sum(int(str(row["enquiries"])) for row in day.rows)
    assert lines(day)[-1].startswith(",2,")


@pytest.mark.parametrize(
    ("trap", "came", "answered", "minutes"),
    [
        ("B54", datetime(2026, 3, 7, 12, tzinfo=BERLIN), datetime(2026, 3, 9, 9, 10, tzinfo=BERLIN), 10),
        ("B54 on Sunday", datetime(2026, 3, 7, 12, tzinfo=BERLIN), datetime(2026, 3, 8, 12, tzinfo=BERLIN), 0),
        ("B54 over night", datetime(2026, 3, 9, 17, tzinfo=BERLIN), datetime(2026, 3, 10, 10, tzinfo=BERLIN), 120),
        ("B54 within a day", datetime(2026, 3, 9, 10, tzinfo=BERLIN), datetime(2026, 3, 9, 10, 30, tzinfo=BERLIN), 30),
    ],
)
def test_b54_only_office_hours_count(trap: str, came: datetime, answered: datetime, minutes: int) -> None:
    weekdays = read_schedule(dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), "09:00-18:00"))
    assert weekdays.worked(came, answered, BERLIN) == timedelta(minutes=minutes), trap


def test_b54_a_schedule_without_hours_is_refused_and_nights_and_whole_days_are_possible() -> None:
    for days in ({}, {"mon": ""}, {"mon": "9-18"}, {"mon": "25:00-26:00"}, {"mon": "09:00-09:00"}):
        with pytest.raises(ScheduleError):
            read_schedule(days)
    night = read_schedule({"mon": "22:00-06:00"})
    start = datetime(2026, 3, 9, 21, tzinfo=BERLIN)
    assert night.worked(start, start + timedelta(hours=24), BERLIN) == timedelta(hours=8)
    whole = read_schedule({"mon": "00:00-24:00"}, ["2026-03-16"])
    assert whole.worked(start - timedelta(days=1), start + timedelta(days=10), BERLIN) == timedelta(hours=24)


def test_b54_the_schedule_of_the_workspace_is_used(shop: ShopWorld) -> None:
    with shop.context.database.session_scope() as session:
        set_preference(session, "office_hours", {"days": {"mon": "09:00-18:00"}, "holidays": []})
    arrive(shop, datetime(2026, 3, 7, 12, tzinfo=UTC), datetime(2026, 3, 9, 9, 10, tzinfo=UTC))
    assert report(shop, None, None).totals["median_seconds"] == 600


def test_b55_without_answers_times_are_unknown_and_with_one_they_are_it(shop: ShopWorld) -> None:
    came = datetime(2026, 3, 9, 9, tzinfo=UTC)
    arrive(shop, came)
    totals = report(shop, None, None).totals
    assert (totals["median_seconds"], totals["p90_seconds"]) == (None, None)
    assert ",1,0,1,,," in lines(report(shop, None, None))[-1]
    arrive(shop, came, came + timedelta(minutes=7))
    totals = report(shop, None, None).totals
    assert (totals["median_seconds"], totals["p90_seconds"]) == (420, 420)


def test_b49_answers_are_counted_for_whoever_gave_them(shop: ShopWorld) -> None:
    came, ben = datetime(2026, 3, 9, 9, tzinfo=UTC), shop.person("Ben")
    arrive(shop, came, came + timedelta(minutes=7), ben)

    def read(session: Session) -> Any:
        return answers_report(session, session.get_one(User, shop.olga.id), Period()).rows

    with shop.context.database.reading() as session:
        assert read(session) == [{"manager": "Ben", "answers": 1, "median_seconds": 420, "p90_seconds": 420}]


def test_b54_hours_are_read_in_the_zone_of_the_workspace_and_what_is_none_is_refused(shop: ShopWorld) -> None:
    with shop.context.database.session_scope() as session:
        change = WorkingTime(days={"mon": "09:00-18:00"}, timezone="Europe/Berlin")
        change_working_time(session, change, session.get_one(User, shop.olga.id))
    arrive(shop, datetime(2026, 3, 7, 12, tzinfo=UTC), datetime(2026, 3, 9, 8, 10, tzinfo=UTC))
    assert report(shop, None, None).totals["median_seconds"] == 600, "nine in Berlin is eight in UTC"
    for days, holidays, field in (
        ({}, [], "days"), ({"tue": " "}, [], "days"), ({"mon": "9-18"}, [], "days.mon"),
        ({"mon": "9:00-18:00"}, ["tomorrow"], "holidays"), ({"mon": "9:00-18:00"}, ["2026-02-30"], "holidays"),
    ):  # fmt: skip
        with shop.context.database.session_scope() as session, pytest.raises(ActionError) as refused:
            change_working_time(session, WorkingTime(days=days, holidays=holidays), shop.olga)
        assert refused.value.field == field
    for facts in ({"timezone": "Mars/Base"}, {"days": {"moon": "9:00-18:00"}}, {"presence_minutes": 0}):
        with pytest.raises(ValidationError):
            WorkingTime.model_validate(facts)
    with shop.context.database.session_scope() as session:
        assert working_time(session).days == {"mon": "09:00-18:00"}
        change_working_time(session, WorkingTime(days=None), shop.olga)
        assert office_hours(session) is None
