"""The bell's bulk way says of many copies what `notify.tell` says of one."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlmodel import Session, col, select, update

from tests.engagement.edge_by_hand import send_to
from tests.houses import People
from tracker.db import now
from tracker.engagement.bell import Telling, tell_all
from tracker.house import House
from tracker.models import Delivery, Event, FeedItem, Notification, User
from tracker.notify import tell

_COLUMNS = "kind at first_at held_until news told machine vendor count opens clicks client detail"


def act(session: Session, copies: Sequence[Delivery], kind: str, at: datetime) -> list[SimpleNamespace]:
    """The same thing happens to every copy."""
    for copy in copies:
        seen = Event(message_id=copy.message_id, delivery_id=copy.id, kind=kind, at=at, klass="human", confidence=0.9)
        seen.counted = True
        session.add(seen)
    session.flush()
    return [SimpleNamespace(kind=kind, at=at, client="Outlook")]


@pytest.mark.parametrize("seed", range(4))
def test_the_bulk_way_and_the_single_way_leave_the_same_lines(
    house: House, people: People, alice: User, seed: int
) -> None:
    one, other = send_to(house, people, alice, "anna@client.example", "luc@client.example")
    chooser = random.Random(seed)
    at = now() - timedelta(days=20)
    quiet = {"quiet_from": 0, "quiet_until": 23 * 60 + 59} if seed % 2 else {"quiet_kinds": ["opened_again", "click"]}
    with house.database.session_scope() as session:
        session.exec(update(User).where(col(User.id) == alice.id).values(**quiet))
    for step in range(1, 25):
        at += timedelta(minutes=chooser.choice((1, 5, 40, 70, 60 * 25)))
        facts = {"opens": step, "clicks": 1, "count": step + 1, "client": "Outlook"}
        with house.database.session_scope() as session:
            fresh = act(session, (one, other), chooser.choice(("open", "open", "click")), at)
            tell(session, alice.id or 0, fresh, message_id=one.message_id, delivery_id=one.id or 0, **facts)
            about = {"message_id": other.message_id, "delivery_id": other.id, **facts}
            tell_all(session, [Telling(alice.id or 0, other.id or 0, fresh, about)])
            if chooser.random() < 0.3:
                session.exec(update(Notification).values(read_at=at))
        first, second = lines(house, one, other)
        assert [getattr(first, name) for name in _COLUMNS.split()] == [
            getattr(second, name) for name in _COLUMNS.split()
        ]
        assert (first.read_at is None) == (second.read_at is None)
    assert hints(house, first) == hints(house, second) > 5


def lines(house: House, *copies: Delivery) -> list[Notification]:
    with house.database.reading() as session:
        return [
            session.exec(select(Notification).where(Notification.subject == f"delivery:{copy.id}")).one()
            for copy in copies
        ]


def hints(house: House, line: Notification) -> int:
    with house.database.reading() as session:
        return len(session.exec(select(FeedItem.id).where(FeedItem.subject == line.public_id)).all())


def test_nothing_is_said_of_an_older_act_without_a_line(house: House, people: People, alice: User) -> None:
    """As when the message was muted while there were news."""
    (copy,) = send_to(house, people, alice, "anna@client.example")
    with house.database.session_scope() as session:
        act(session, [copy], "open", now() - timedelta(hours=2))
        fresh = act(session, [copy], "open", now() - timedelta(hours=1))
        about = {
            "message_id": copy.message_id,
            "delivery_id": copy.id,
            "opens": 2,
            "clicks": 0,
            "count": 2,
            "client": "",
        }
        tell_all(session, [Telling(alice.id or 0, copy.id or 0, fresh, about)])
        tell_all(session, [])
    with house.database.reading() as session:
        assert session.exec(select(Notification)).all() == []
