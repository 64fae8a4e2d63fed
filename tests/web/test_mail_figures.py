"""Your mail in numbers: right on known data, each number leads to the list it counts, a table behind each picture."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.web.conftest import ClientOf
from tests.web.mail_world import ANNA, LUC, Seen, To, Written, write
from tests.web.reading import attribute, every, text_at, words
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.messages.figures import ENOUGH, hours_of, interval

UNTRACKED = To("luc@x.example", opens=False, clicks=False, rule="unknown")


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [  # of the published examples of Wilson's interval
        (0, 20, 0.000, 0.161),
        (10, 20, 0.299, 0.701),
        (20, 20, 0.839, 1.000),
        (81, 263, 0.255, 0.366),
        (15, 148, 0.062, 0.160),
        (0, 0, 0.0, 1.0),
    ],
)
def test_an_interval_says_how_little_few_messages_tell(part: int, whole: int, low: float, high: float) -> None:
    assert interval(part, whole) == pytest.approx((low, high), abs=0.001)


def test_hours_are_the_readers_also_when_the_clocks_change() -> None:
    moments = [
        datetime(2026, 3, 28, 8, 30, tzinfo=UTC),  # Saturday, 9:30 in Berlin
        datetime(2026, 3, 30, 7, 30, tzinfo=UTC),  # Monday, 9:30 in Berlin, the clocks put forward
        datetime(2026, 3, 29, 22, 30, tzinfo=UTC),  # Monday already
    ]
    hours = hours_of(moments, ZoneInfo("Europe/Berlin"))
    placed = {(cell.weekday, cell.hour): cell.count for cell in hours.cells() if cell.count}
    assert placed == {(5, 9): 1, (0, 9): 1, (0, 0): 1}
    assert hours.best is None, "three are too few to say so"
    assert hours_of(moments[:1] * ENOUGH + moments[1:], ZoneInfo("Europe/Berlin")).best == (5, 9)
    assert hours_of(moments[:2] * ENOUGH, ZoneInfo("Europe/Berlin")).best is None, "two are as good"


def test_each_step_counts_what_its_list_holds(
    context: AppContext, client: httpx.Client, client_of: ClientOf, alice: User, bob: User
) -> None:
    opened = Seen("open", "human", 60)
    write(
        context,
        alice,
        Written("1", (ANNA,), (opened, Seen("click", "human", 70, link=0), Seen("reply", "human", 90))),
        Written("2", (ANNA, LUC), (opened, Seen("open", "human", 80, 1))),
        Written("3", (ANNA,), (Seen("open", "security_scanner", 1),)),
        Written("4", (UNTRACKED,), (Seen("reply", "human", 60),)),
        Written("long ago", (ANNA,), (opened,), timedelta(days=200)),
    )
    write(context, bob, Written("of Bob", (ANNA,), (opened,)))
    page = client.get("/mail/figures")
    counts = [words(link) for link in every(page, ".funnel a")]
    assert counts == ["4", "3", "2", "1", "2"]
    for link in every(page, ".funnel a"):
        assert len(every(client.get(attribute(link, "href")), ".mail-row")) == int(words(link)), attribute(link, "href")
    assert "%" not in text_at(page, ".funnel")
    assert attribute(every(page, ".funnel-bar rect")[-1], "width") == "50.0%"
    assert words(every(client.get("/mail/figures?days=365"), ".funnel a")[0]) == "5"
    assert words(every(client_of(bob).get("/mail/figures"), ".funnel a")[0]) == "1"


def test_the_hours_hold_what_people_did_and_stand_in_a_table(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    seen = (Seen("open", "human", 60), Seen("open", "security_scanner", 61), Seen("reply", "human", 90))
    write(context, alice, Written("1", (ANNA,), seen, timedelta(days=2), columns={"last_activity_at": now()}))
    page = client.get("/mail/figures")
    titles = re.findall("<title>([^<]*: 1)</title>", page.text)
    assert len(titles) == 2
    cells = [words(cell) for cell in every(page, ".hours-table td") if words(cell)]
    assert cells == ["1", "1"]
    assert "Most often" not in page.text


def test_without_mail_it_says_so(client: httpx.Client) -> None:
    assert "Nothing sent in this time" in client.get("/mail/figures?days=x").text
