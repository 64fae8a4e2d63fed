"""What deserves attention: named stories with their news, quiet hours, and the bell that follows on both databases."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select, update

from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tracker.engagement.delivery_notifications import correct_notifications, notify_settled
from tracker.models import Delivery, Event, FeedItem, Notification, User
from tracker.notifications import notify
from tracker.notifications.rules import Activity, NotifiedAt, end_of_quiet, news_of, next_clock, preference_of
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def story(*acts: tuple[str, float]) -> list[str | None]:
    """The news of each act in turn, at these minutes, as the bell would tell them."""
    done: list[Activity] = []
    announced: dict[str, datetime] = {}
    news: list[str | None] = []
    for kind, minute in acts:
        act = Activity(kind, NOON + timedelta(minutes=minute))
        done.append(act)
        news_kind = news_of(done, [act], announced)
        if news_kind is not None:
            announced[news_kind] = act.at
        news.append(news_kind)
    return news


DAY = 24 * 60.0


@pytest.mark.parametrize(
    ("acts", "news"),
    [
        ([("open", 0)], ["first_open"]),
        ([("open", 0), ("open", 5)], ["first_open", None]),
        ([("open", 0), ("open", 200), ("open", 500)], ["first_open", None, None]),
        ([("open", 0), ("open", DAY - 1)], ["first_open", None]),
        ([("open", 0), ("open", DAY)], ["first_open", "opened_again"]),
        ([("open", 0), ("open", DAY), ("open", DAY + 60), ("open", 3 * DAY)], ["first_open", "opened_again", None, "opened_again"]),
        ([("open", 0), ("open", 20), ("open", 40)], ["first_open", None, "interest"]),
        ([("open", 0), ("open", 40), ("open", 70)], ["first_open", None, None]),
        ([("open", m) for m in range(0, 60, 10)], ["first_open", None, "interest", None, None, None]),
        ([("open", m) for m in (0, 10, 20, 51, 52, 53)], ["first_open", None, "interest", None, None, None]),
        ([("open", m) for m in (0, 10, 20, 81, 82, 83)], ["first_open", None, "interest", None, None, "interest"]),
        ([("click", 0)], ["click"]),
        ([("open", 0), ("click", 1)], ["first_open", "click"]),
        ([("click", 0), ("open", 1)], ["click", None]),
        ([("click", 0), ("click", 10), ("click", 29)], ["click", None, None]),
        ([("click", 0), ("click", 31)], ["click", "click"]),
        ([("click", 0), ("click", 5), ("open", 6), ("open", 7)], ["click", None, None, "interest"]),
        ([("click", 0), ("open", DAY)], ["click", "opened_again"]),
    ],
)  # fmt: skip
def test_stories(acts: Sequence[tuple[str, float]], news: list[str | None]) -> None:
    assert story(*acts) == news


def test_many_at_once_are_one_piece_of_news() -> None:
    acts = [Activity("open", NOON + timedelta(minutes=m)) for m in (0, 3, 9)]
    assert news_of(acts, acts, {}) == "interest"
    assert news_of([*acts, Activity("click", NOON)], [Activity("click", NOON), *acts], {}) == "click", (
        "the certain before the probable"
    )
    assert news_of(acts[:2], acts[:2], {}) == "first_open"
    assert news_of([], [], {}) is None


def test_what_comes_late_is_no_news() -> None:
    notified_at: NotifiedAt = {"opened_again": NOON}
    late = Activity("open", NOON - timedelta(hours=1))
    assert news_of([late, Activity("open", NOON)], [late], notified_at) is None
    click = Activity("click", NOON - timedelta(hours=1))
    assert news_of([click], [click], notified_at) == "click", "a first click is news whenever it is heard of"


@pytest.mark.parametrize(
    ("kind", "news", "preference"),
    [("open", "interest", "interest"), ("open", "", "first_open"), ("click", "click", "click"), ("reply", "", "reply"),
     ("bounce", "", "trouble"), ("rejected", "", "trouble"), ("problem", "", "trouble"), ("follow_up", "", "follow_up")],
)  # fmt: skip
def test_which_preference_decides(kind: str, news: str, preference: str) -> None:
    assert preference_of(kind, news) == preference


@pytest.mark.parametrize(
    ("local", "start", "end", "until"),
    [
        ("2026-11-22 21:59", "22:00", "07:30", None),
        ("2026-11-22 22:00", "22:00", "07:30", "2026-11-23 07:30"),
        ("2026-11-23 03:00", "22:00", "07:30", "2026-11-23 07:30"),
        ("2026-11-23 07:29", "22:00", "07:30", "2026-11-23 07:30"),
        ("2026-11-23 07:30", "22:00", "07:30", None),
        ("2026-11-23 12:30", "12:00", "13:00", "2026-11-23 13:00"),
        ("2026-11-23 11:59", "12:00", "13:00", None),
        ("2026-12-31 23:00", "22:00", "06:00", "2027-01-01 06:00"),
        ("2026-03-28 23:00", "22:00", "02:30", "2026-03-29 03:30"),  # that half past two is left out
        ("2026-10-24 23:00", "22:00", "07:00", "2026-10-25 07:00"),
        ("2026-11-22 23:00", "08:00", "08:00", None),
    ],
)
def test_quiet_hours_are_the_persons_own(local: str, start: str, end: str, until: str | None) -> None:
    moment = datetime.fromisoformat(local).replace(tzinfo=BERLIN)
    ends = end_of_quiet(moment.astimezone(UTC), BERLIN, minutes(start), minutes(end))
    assert (ends.astimezone(BERLIN).strftime("%Y-%m-%d %H:%M") if ends else None) == until


def test_without_both_ends_it_is_never_quiet() -> None:
    assert end_of_quiet(NOON, BERLIN, None, 60) is None
    assert end_of_quiet(NOON, BERLIN, 0, None) is None


def test_the_next_time_the_clock_shows_it() -> None:
    assert next_clock(NOON, BERLIN, 13 * 60 + 1) == NOON + timedelta(minutes=1)
    assert next_clock(NOON, BERLIN, 13 * 60) == NOON + timedelta(days=1), "it is one o'clock there: tomorrow"
    before_spring = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert next_clock(before_spring, BERLIN, 8 * 60) == datetime(2026, 3, 29, 6, tzinfo=UTC)


def minutes(clock: str) -> int:
    hours, _, rest = clock.partition(":")
    return int(hours) * 60 + int(rest)


# --- the bell


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    alice = people.user()
    people.account(alice, smtp_sink)
    return alice


@pytest.fixture
def copy(context: AppContext, people: People, alice: User) -> Delivery:
    people.send(alice, "anna@client.example")
    with context.database.reading() as session:
        return session.exec(select(Delivery)).one()


def act(context: AppContext, copy: Delivery, kind: str = "open", minute: float = 0) -> Notification | None:
    """A person does something with the copy, and it has settled."""
    with context.database.session_scope() as session:
        event = Event(
            message_id=copy.message_id, delivery_id=copy.id, kind=kind, at=NOON + timedelta(minutes=minute),
            klass="human", confidence=0.9, counted=True, alerted=True, client="Chrome",
        )  # fmt: skip
        session.add(event)
        session.flush()
        happened = session.exec(select(Event.kind).where(Event.delivery_id == copy.id)).all()
        opens, clicks = happened.count("open"), happened.count("click")
        session.exec(update(Delivery).where(col(Delivery.id) == copy.id).values(opens=opens, clicks=clicks))
        notify_settled(session, [event])
    return line_of(context)


def line_of(context: AppContext) -> Notification | None:
    with context.database.reading() as session:
        return session.exec(select(Notification)).first()


def change(context: AppContext, user: User, **columns: object) -> None:
    with context.database.session_scope() as session:
        row = session.get_one(User, user.id)
        for name, value in columns.items():
            setattr(row, name, value)
        session.add(row)


def read_all(context: AppContext, user: User) -> None:
    with context.database.session_scope() as session:
        notify.mark_all_read(session, user)


def badge(context: AppContext, user: User) -> int:
    with context.database.reading() as session:
        return notify.unread_count(session, user)


def test_what_is_no_news_makes_the_counter_grow_and_nothing_else(
    context: AppContext, alice: User, copy: Delivery
) -> None:
    first = act(context, copy)
    assert first is not None
    assert (first.news, first.kind, badge(context, alice)) == ("first_open", "open", 1)
    read_all(context, alice)
    then = act(context, copy, minute=3)
    assert then is not None
    assert (then.count, then.at, badge(context, alice)) == (2, NOON + timedelta(minutes=3), 0), (
        "counted, not unread again"
    )
    more = act(context, copy, minute=6)
    assert more is not None
    assert (more.news, more.count, badge(context, alice)) == ("interest", 3, 1)
    assert more.told == {"first_open": NOON.isoformat(), "interest": (NOON + timedelta(minutes=6)).isoformat()}


def test_a_click_stays_a_click_while_opens_fold_into_it(context: AppContext, alice: User, copy: Delivery) -> None:
    act(context, copy, "click")
    line = act(context, copy, "open", 5)
    assert line is not None
    assert (line.kind, line.news, line.opens, line.clicks) == ("click", "click", 1, 1)


def test_what_a_person_wants_counted_comes_in_read(context: AppContext, alice: User, copy: Delivery) -> None:
    change(context, alice, quiet_kinds=["first_open", "interest"])
    line = act(context, copy)
    assert line is not None
    assert line.read_at is not None
    assert badge(context, alice) == 0
    assert act(context, copy, "click", 2) is not None
    assert badge(context, alice) == 1, "clicks may ring"


def test_a_counted_kind_does_not_read_an_unread_line_away_for_good(
    context: AppContext, alice: User, copy: Delivery
) -> None:
    change(context, alice, quiet_kinds=["trouble"])
    with context.database.session_scope() as session:
        notify.notify(session, alice.id or 0, "account:1", "problem", NOON, detail="The server does not answer.")
    assert badge(context, alice) == 0
    change(context, alice, quiet_kinds=[])
    with context.database.session_scope() as session:
        notify.notify(session, alice.id or 0, "account:1", "problem", NOON, detail="The server does not answer.")
    assert badge(context, alice) == 1


def test_quiet_hours_hold_the_line_and_tell_once_at_their_end(context: AppContext, alice: User, copy: Delivery) -> None:
    local = now().astimezone(BERLIN)
    minute = local.hour * 60 + local.minute
    change(context, alice, timezone="Europe/Berlin", quiet_from=minute, quiet_until=(minute + 90) % 1440)
    line = act(context, copy)
    assert line is not None
    assert line.held_until is not None
    assert timedelta(minutes=88) < line.held_until - now() <= timedelta(minutes=90)
    assert (line.read_at, badge(context, alice)) == (None, 0), "it is there, unread, and does not ring"
    assert notify.end_quiet_hours(context) == 0
    with context.database.session_scope() as session:
        for row in session.exec(select(Notification)):
            row.held_until = now() - timedelta(seconds=1)
            session.add(row)
    change(context, alice, quiet_ends_at=now() - timedelta(seconds=1), quiet_from=None)
    with context.database.reading() as session:
        before = notify.newest_feed_id(session)
    assert notify.end_quiet_hours(context) == 1
    assert notify.end_quiet_hours(context) == 0
    with context.database.reading() as session:
        hints = session.exec(select(FeedItem).where(FeedItem.user_id == alice.id)).all()
    assert [hint.kind for hint in hints if (hint.id or 0) > before] == ["notification"]
    assert badge(context, alice) == 1


def test_a_line_that_rings_again_by_day_is_held_no_longer(context: AppContext, alice: User, copy: Delivery) -> None:
    local = now().astimezone(UTC)
    minute = local.hour * 60 + local.minute
    change(context, alice, quiet_from=minute, quiet_until=(minute + 90) % 1440)
    act(context, copy)
    change(context, alice, quiet_from=None, quiet_until=None)
    line = act(context, copy, "click", 1)
    assert line is not None
    assert line.held_until is None
    assert badge(context, alice) == 1


@pytest.mark.parametrize(
    ("facts", "machine", "vendor"),
    [
        ({"klass": "security_scanner", "vendor": "barracuda"}, "security_scanner", "barracuda"),
        ({"klass": "link_preview", "client": "Slack"}, "link_preview", "Slack"),
        ({"klass": "unknown", "overruled": True}, "user", ""),
    ],
)
def test_a_correction_says_who_it_was_and_a_later_first_open_is_news(
    context: AppContext, alice: User, copy: Delivery, facts: dict[str, object], machine: str, vendor: str
) -> None:
    act(context, copy, "click")
    read_all(context, alice)
    with context.database.session_scope() as session:
        for event in session.exec(select(Event)):
            event.counted = False
            for name, value in facts.items():
                setattr(event, name, value)
            session.add(event)
        session.flush()
        correct_notifications(session, [copy.id or 0])
    line = line_of(context)
    assert line is not None
    assert (line.kind, line.machine, line.vendor, line.read_at is None) == ("corrected", machine, vendor, False)
    line = act(context, copy, "open", 10)
    assert line is not None
    assert (line.kind, line.news, line.machine, badge(context, alice)) == ("open", "first_open", "", 1)


def test_an_unmuted_message_is_not_told_of_as_if_it_were_new(context: AppContext, alice: User, copy: Delivery) -> None:
    with context.database.session_scope() as session:
        session.add(
            Event(
                message_id=copy.message_id,
                delivery_id=copy.id,
                kind="open",
                at=NOON,
                klass="human",
                confidence=0.9,
                counted=True,
            )
        )
    assert act(context, copy, minute=5) is None
    line = act(context, copy, minute=3000)
    assert line is not None
    assert line.news == "opened_again"
