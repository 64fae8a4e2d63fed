"""What narrows a report: any column, by words, equality and bounds, in two levels."""

from datetime import UTC, datetime

import pytest

from tracker.runtime.localized_text import ActionError
from tracker.runtime.report_table import Report, narrowed

MARCH, APRIL = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4))
ROWS = [
    {"source": "Google Ads", "group": "Google", "visits": 15, "share": 0.5, "at": MARCH, "counted": True},
    {"source": "Bing", "group": "", "visits": 5, "share": 0.25, "at": APRIL, "counted": False},
    {"source": "bing ads", "group": "Google", "visits": 0, "share": None, "at": None, "counted": True},
]  # fmt: skip
TABLE = Report(list(ROWS[0]), ROWS, {"source": None, "visits": 20, "share": 1.0, "counted": 2})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        ([("source", "bing")], [1, 2]),
        ([("source", "BING")], [1, 2]),
        ([("source.is", "bing")], [1]),
        ([("source.not", "bing")], [0, 2]),
        ([("source.not", "bing"), ("source.not", "google ads")], [2]),
        ([("source", "google"), ("source.is", "nothing")], []),
        ([("source", "google"), ("source", "bing")], [0, 1, 2]),
        ([("source", "bing"), ("in_group", "google")], [2]),
        ([("in_group", "-")], [1]),
        ([("in_group.not", "-")], [0, 2]),
        ([("visits", "5")], [1]),
        ([("visits", "five")], []),
        ([("visits.min", "5")], [0, 1]),
        ([("visits.min", "5"), ("visits.max", "10")], [1]),
        ([("visits", "0")], [2]),
        ([("share.min", "0,3")], [0]),
        ([("share", "-")], [2]),
        ([("at.min", "2026-03-15")], [1]),
        ([("at", "2026-03")], [0]),
        ([("counted", "false")], [1]),
        ([("counted.is", "TRUE")], [0, 2]),
        ([], [0, 1, 2]),
    ],
)
def test_rows_that_fit(filters: list[tuple[str, str]], rows: list[int]) -> None:
    assert [ROWS.index(row) for row in narrowed(TABLE, filters).rows] == rows  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "filters", [[("shoes", "x")], [("visits.most", "1")], [("visits.min", "many")], [("a.b.c", "1")]]
)
def test_what_is_no_filter_is_refused(filters: list[tuple[str, str]]) -> None:
    with pytest.raises(ActionError):
        narrowed(TABLE, filters)


def test_sums_are_of_the_rows_that_fit_and_what_is_no_sum_is_left_out() -> None:
    assert narrowed(TABLE, [("source", "bing")]).totals == {"source": None, "visits": 5, "share": None, "counted": 1}
