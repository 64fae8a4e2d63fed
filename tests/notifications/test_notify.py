"""The bell: one line for one person about one subject, and hints that a page can resume from."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tracker.models import FeedItem, Message, Notification, User
from tracker.notifications import notify
from tracker.runtime.context import AppContext

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def alice(people: People) -> User:
    return people.user("Alice")


@pytest.fixture
def bob(people: People) -> User:
    return people.user("Bob")


def ring(
    context: AppContext, user: User, subject: str = "delivery:1", kind: str = "open", minute: int = 0, **facts: object
) -> str:
    assert user.id is not None
    with context.database.session_scope() as session:
        return notify.notify(session, user.id, subject, kind, NOON + timedelta(minutes=minute), **facts).public_id


def bell(context: AppContext, user: User, **more: object) -> Sequence[Notification]:
    with context.database.reading() as session:
        return notify.lines(session, user, **more)  # type: ignore[arg-type]


def unread(context: AppContext, user: User) -> int:
    with context.database.reading() as session:
        return notify.unread_count(session, user)


def hints(context: AppContext, user: User | None = None, after: int = 0, limit: int = 500) -> list[tuple[str, str]]:
    with context.database.reading() as session:
        items = notify.feed_after(session, user.id if user else None, after, limit)
        return [(item.kind, item.subject) for item in items]


def test_one_line_per_subject_with_a_counter(context: AppContext, alice: User) -> None:
    first = ring(context, alice, count=1, opens=1, client="Apple Mail")
    again = ring(context, alice, kind="click", minute=5, count=3, opens=2, clicks=1, client="Chrome")
    assert first == again
    (line,) = bell(context, alice)
    assert (line.kind, line.count, line.opens, line.clicks, line.client) == ("click", 3, 2, 1, "Chrome")
    assert (line.first_at, line.at) == (NOON, NOON + timedelta(minutes=5))
    ring(context, alice, "delivery:2", minute=1)
    assert [line.subject for line in bell(context, alice)] == ["delivery:1", "delivery:2"], "the newest is on top"


def test_a_read_line_is_unread_again_when_something_happens(context: AppContext, alice: User) -> None:
    public_id = ring(context, alice)
    with context.database.session_scope() as session:
        assert notify.mark_read(session, alice, public_id)
    assert unread(context, alice) == 0
    ring(context, alice, minute=2)
    assert (unread(context, alice), len(bell(context, alice))) == (1, 1)


def test_news_that_come_late_do_not_move_a_line_back(context: AppContext, alice: User) -> None:
    ring(context, alice, minute=30)
    ring(context, alice, minute=10)
    assert [line.at for line in bell(context, alice)] == [NOON + timedelta(minutes=30)]


def test_a_correction_stays_in_its_place(context: AppContext, alice: User) -> None:
    """What was seen stays seen, and nothing vanishes: a person would look for it."""
    assert alice.id is not None
    corrected = ring(context, alice, opens=2)
    ring(context, alice, "delivery:2", minute=9)
    with context.database.session_scope() as session:
        notify.mark_read(session, alice, corrected)
    with context.database.session_scope() as session:
        notify.correct(session, alice.id, "delivery:1", opens=0, kind="corrected")
        notify.correct(session, alice.id, "delivery:77", opens=0)
    newest, line = bell(context, alice)
    assert newest.subject == "delivery:2"
    assert (line.kind, line.opens, line.at, line.read_at is None) == ("corrected", 0, NOON, False)
    assert unread(context, alice) == 1
    assert hints(context)[-1] == ("notification", corrected)


def test_reading_one_line(context: AppContext, alice: User) -> None:
    first, other = ring(context, alice), ring(context, alice, "delivery:2")
    with context.database.session_scope() as session:
        assert notify.mark_read(session, alice, first)
    (before,) = [line.read_at for line in bell(context, alice) if line.public_id == first]
    with context.database.session_scope() as session:
        assert notify.mark_read(session, alice, first), "reading it again is no mistake"
        assert not notify.mark_read(session, alice, "no such line")
    assert [line.public_id for line in bell(context, alice, unread_only=True)] == [other]
    (after,) = [line.read_at for line in bell(context, alice) if line.public_id == first]
    assert after == before, "when it was first read"


def test_reading_all_and_reading_a_message(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    people.account(alice, smtp_sink)
    message: Message = people.send(alice, "anna@client.example", "luc@client.example")
    for number in (1, 2):
        ring(context, alice, f"delivery:{number}", message_id=message.id)
    ring(context, alice, "delivery:3")
    assert message.id is not None
    with context.database.session_scope() as session:
        notify.mark_message_read(session, alice, message.id)
    assert [line.subject for line in bell(context, alice, unread_only=True)] == ["delivery:3"]
    with context.database.session_scope() as session:
        notify.mark_all_read(session, alice)
    assert unread(context, alice) == 0
    assert len(bell(context, alice)) == 3


def test_another_persons_line_is_not_touched(context: AppContext, alice: User, bob: User) -> None:
    assert alice.id is not None
    hers, his = ring(context, alice, message_id=None), ring(context, bob)
    assert hers != his
    with context.database.session_scope() as session:
        assert not notify.mark_read(session, alice, his)
        notify.mark_all_read(session, alice)
        notify.mark_message_read(session, alice, 1)
        notify.correct(session, alice.id, "delivery:1", opens=7)
    (line,) = bell(context, bob)
    assert (line.public_id, line.read_at, line.opens) == (his, None, 0)
    assert (unread(context, alice), unread(context, bob)) == (0, 1)
    assert {subject for _, subject in hints(context, bob)} == {his}


def test_lines_come_in_pages(context: AppContext, alice: User) -> None:
    for number in range(5):
        ring(context, alice, f"delivery:{number}", minute=number)
    first = bell(context, alice, limit=2)
    then = bell(context, alice, limit=2, before=(first[-1].at, first[-1].id))
    assert [line.subject for line in [*first, *then]] == ["delivery:4", "delivery:3", "delivery:2", "delivery:1"]


def test_lines_of_one_moment_are_in_pages_too(context: AppContext, alice: User) -> None:
    for number in range(5):
        ring(context, alice, f"delivery:{number}", minute=1)
    seen: list[str] = []
    before = None
    while page := bell(context, alice, limit=2, before=before):
        seen += [line.subject for line in page]
        before = (page[-1].at, page[-1].id)
    assert seen == [f"delivery:{number}" for number in (4, 3, 2, 1, 0)]


def test_workers_that_ring_at_once_leave_one_line(context: AppContext, alice: User) -> None:
    start, raised = threading.Barrier(5), []

    def work() -> None:
        start.wait()
        try:
            ring(context, alice)
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    assert len(bell(context, alice)) == 1
    assert len(hints(context, alice)) == 5


def test_a_page_gets_what_it_missed(context: AppContext, alice: User, bob: User) -> None:
    assert alice.id is not None
    with context.database.session_scope() as session:
        for number in range(3):
            notify.announce(session, alice.id, "message", f"m{number}")
        notify.announce(session, bob.id or 0, "letter", "b0")
    with context.database.reading() as session:
        newest = notify.newest_feed_id(session)
        ids = [item.id or 0 for item in notify.feed_after(session, alice.id, 0)]
    assert ids == sorted(ids)
    assert hints(context, alice) == [("message", "m0"), ("message", "m1"), ("message", "m2")]
    assert hints(context, alice, after=ids[0]) == [("message", "m1"), ("message", "m2")]
    assert hints(context, alice, limit=2) == [("message", "m0"), ("message", "m1")], (
        "the oldest first, so that none is left out"
    )
    assert hints(context, after=ids[-1]) == [("letter", "b0")]
    assert hints(context, after=newest) == []


def test_an_empty_feed_begins_at_nothing(context: AppContext, alice: User) -> None:
    with context.database.reading() as session:
        assert notify.newest_feed_id(session) == 0
        assert session.exec(select(FeedItem)).all() == []


def test_nothing_rings_when_the_transaction_fails(context: AppContext, alice: User) -> None:
    def fail() -> None:
        with context.database.session_scope() as session:
            notify.notify(session, alice.id or 0, "delivery:1", "open", NOON)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert (bell(context, alice), hints(context)) == ([], [])
