"""Rows past the ORM: what is written comes back, whatever stands in it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tracker.models import DrainCursor, Notice, User
from tracker.models.counting.bulk import add_or_keep_all, append_rows, array_literal, update_rows
from tracker.runtime.context import AppContext

CURSOR = DrainCursor.__table__  # type: ignore[attr-defined]
NOTICE = Notice.__table__  # type: ignore[attr-defined]
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


def test_texts_bytes_and_times_survive_updates_in_bulk(context: AppContext, people: People) -> None:
    users = [people.user(f"User{number}") for number in range(len(ODD))]
    rows = [{"id": user.id, "name": name} for user, name in zip(users, ODD, strict=True)]
    with context.database.session_scope() as session:
        update_rows(session, USER, rows)
    with context.database.reading() as session:
        names = dict(session.exec(select(User.id, User.name)).all())
    assert [names[user.id] for user in users] == list(ODD)


def test_a_time_of_another_zone_is_kept_as_the_same_moment(context: AppContext) -> None:
    moment = datetime(2026, 11, 26, 23, 30, 0, 1, tzinfo=timezone(timedelta(hours=3)))
    with context.database.session_scope() as session:
        append_rows(session, CURSOR, [{"edge": "a", "after": 1, "read_at": moment}])
        update_rows(session, CURSOR, [{"edge": "a", "read_at": moment + timedelta(seconds=1)}], key="edge")
    with context.database.reading() as session:
        assert session.get_one(DrainCursor, "a").read_at == (moment + timedelta(seconds=1)).astimezone(UTC)


def test_a_time_without_a_zone_is_refused(context: AppContext) -> None:
    with context.database.session_scope() as session, pytest.raises(ValueError, match="naive"):
        append_rows(session, CURSOR, [{"edge": "a", "after": 1, "read_at": datetime.now(UTC).replace(tzinfo=None)}])


def notices(user: User, subjects: Sequence[str]) -> list[dict[str, object]]:
    """Rows with times, JSON and columns without a value."""
    made = (
        Notice(event="letter", subject=subject, user_id=user.id or 0, facts={"said": subject}) for subject in subjects
    )
    return [item.model_dump(exclude={"id"}) for item in made]


def test_what_is_there_is_kept_and_the_rest_is_added(context: AppContext, people: People) -> None:
    alice = people.user()
    with context.database.session_scope() as session:
        first = add_or_keep_all(session, NOTICE, notices(alice, ODD[:3]), "subject")
    with context.database.session_scope() as session:
        added = add_or_keep_all(session, NOTICE, [*notices(alice, ODD), *notices(alice, ODD[-1:])], "event", "subject")
    assert set(first) == set(ODD[:3])
    assert set(added) == {("letter", subject) for subject in ODD[3:]}
    with context.database.reading() as session:
        rows = session.exec(select(Notice)).all()
    assert {row.subject: row.facts for row in rows} == {subject: {"said": subject} for subject in ODD}
    assert {row.subject: row.id for row in rows} == first | {subject: number for (_, subject), number in added.items()}
    assert all(row.due_at.tzinfo is not None and row.mailbox_id is None for row in rows)


def test_nothing_is_added_and_no_columns_are_named(context: AppContext, people: People) -> None:
    with context.database.session_scope() as session:
        assert add_or_keep_all(session, NOTICE, [], "subject") == {}
        assert add_or_keep_all(session, NOTICE, notices(people.user(), ["a"])) == {}
    with context.database.reading() as session:
        assert len(session.exec(select(Notice)).all()) == 1


@pytest.mark.parametrize("context", ["postgresql"], indirect=True)
def test_a_text_that_is_too_long_is_refused_and_not_cut(context: AppContext, people: People) -> None:
    row = notices(people.user(), ["a"])[0] | {"event": "x" * 1000}
    with pytest.raises(Exception, match="too long"), context.database.session_scope() as session:
        add_or_keep_all(session, NOTICE, [row])
