"""Rows past the ORM: what is written comes back, whatever stands in it."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlmodel import select

from tests.houses import People
from tracker.counting.bulk import append_rows, array_literal, update_rows
from tracker.house import House
from tracker.models import DrainCursor, User

CURSOR = DrainCursor.__table__  # type: ignore[attr-defined]
USER = User.__table__  # type: ignore[attr-defined]

ODD = ("", "NULL", "{a,b}", 'a "quoted" word', r"back\slash", "two\nlines\tand a tab", "имя", "'; DROP TABLE event; --")


@pytest.mark.parametrize(
    ("values", "literal"),
    [
        ([1, None, -2], "{1,NULL,-2}"),
        ([True, 0.5], "{True,0.5}"),
        (['a"b', r"c\d", "NULL"], r'{"a\"b","c\\d","NULL"}'),
        ([b"\x00\xff"], r'{"\\x00ff"}'),
    ],
)
def test_an_array_is_written_as_the_manual_says(values: list[object], literal: str) -> None:
    assert array_literal(values) == literal


def test_texts_bytes_and_times_survive_updates_in_bulk(house: House, people: People) -> None:
    users = [people.user(f"User{number}") for number in range(len(ODD))]
    rows = [{"id": user.id, "name": name} for user, name in zip(users, ODD, strict=True)]
    with house.database.session_scope() as session:
        update_rows(session, USER, rows)
    with house.database.reading() as session:
        names = dict(session.exec(select(User.id, User.name)).all())
    assert [names[user.id] for user in users] == list(ODD)


def test_a_time_of_another_zone_is_kept_as_the_same_moment(house: House) -> None:
    moment = datetime(2026, 11, 26, 23, 30, 0, 1, tzinfo=timezone(timedelta(hours=3)))
    with house.database.session_scope() as session:
        append_rows(session, CURSOR, [{"edge": "a", "after": 1, "read_at": moment}])
        update_rows(session, CURSOR, [{"edge": "a", "read_at": moment + timedelta(seconds=1)}], key="edge")
    with house.database.reading() as session:
        assert session.get_one(DrainCursor, "a").read_at == (moment + timedelta(seconds=1)).astimezone(UTC)


def test_a_time_without_a_zone_is_refused(house: House) -> None:
    with house.database.session_scope() as session, pytest.raises(ValueError, match="naive"):
        append_rows(session, CURSOR, [{"edge": "a", "after": 1, "read_at": datetime.now(UTC).replace(tzinfo=None)}])
