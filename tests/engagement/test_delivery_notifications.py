"""What people did with many copies is told as if each were the only one."""

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, col, select, update

from tests.engagement.edge_by_hand import send_to
from tests.fixtures.contexts import People
from tracker.engagement.delivery_notifications import notify_settled
from tracker.models import Delivery, Event, FeedItem, Notification, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

_COLUMNS = "kind at first_at held_until news told machine vendor count opens clicks client detail"


def act(session: Session, copies: Sequence[Delivery], kind: str, at: datetime) -> dict[int, list[Event]]:
    """The same thing happens to every copy."""
    happened: dict[int, list[Event]] = defaultdict(list)
    for copy in copies:
        seen = Event(message_id=copy.message_id, delivery_id=copy.id, kind=kind, at=at, klass="human", confidence=0.9)
        seen.client = "Outlook"
        seen.counted = True
        session.add(seen)
        happened[copy.id or 0].append(seen)
    session.flush()
    return happened


@pytest.mark.parametrize("seed", range(4))
def test_many_at_once_leave_the_same_lines_as_one_after_another(
    context: AppContext, people: People, alice: User, seed: int
) -> None:
    """Two copies are told of alone, and their twins, to which the same happens, together."""
    addresses = [f"{name}@client.example" for name in ("anna", "luc", "twin.anna", "twin.luc")]
    anna, luc, *twins = send_to(context, people, alice, *addresses)
    chooser = random.Random(seed)
    at = now() - timedelta(days=20)
    quiet = {"quiet_from": 0, "quiet_until": 23 * 60 + 59} if seed % 2 else {"quiet_kinds": ["opened_again", "click"]}
    with context.database.session_scope() as session:
        session.exec(update(User).where(col(User.id) == alice.id).values(**quiet))
    for step in range(1, 25):
        at += timedelta(minutes=chooser.choice((1, 5, 40, 70, 60 * 25)))
        with context.database.session_scope() as session:
            pairs = [(anna, twins[0]), (luc, twins[1])][: chooser.choice((1, 2))]
            session.exec(update(Delivery).values(opens=step, clicks=1))
            together: list[Event] = []
            for single, twin in pairs:
                happened = act(session, (single, twin), chooser.choice(("open", "open", "click")), at)
                notify_settled(session, happened[single.id or 0])
                together += happened[twin.id or 0]
            notify_settled(session, together)
            if chooser.random() < 0.3:
                session.exec(update(Notification).values(read_at=at))
        for single, twin in pairs:
            first, second = lines(context, single, twin)
            assert [getattr(first, name) for name in _COLUMNS.split()] == [
                getattr(second, name) for name in _COLUMNS.split()
            ]
            assert (first.read_at is None) == (second.read_at is None)
    for single, twin in zip((anna, luc), twins, strict=True):
        first, second = lines(context, single, twin)
        assert hints(context, first) == hints(context, second) > 5


def lines(context: AppContext, *copies: Delivery) -> list[Notification]:
    with context.database.reading() as session:
        return [
            session.exec(select(Notification).where(Notification.subject == f"delivery:{copy.id}")).one()
            for copy in copies
        ]


def hints(context: AppContext, line: Notification) -> int:
    with context.database.reading() as session:
        return len(session.exec(select(FeedItem.id).where(FeedItem.subject == line.public_id)).all())


def test_nothing_is_said_of_an_older_act_without_a_line(context: AppContext, people: People, alice: User) -> None:
    """As when the message was muted while there were news."""
    (copy,) = send_to(context, people, alice, "anna@client.example")
    with context.database.session_scope() as session:
        act(session, [copy], "open", now() - timedelta(hours=2))
        happened = act(session, [copy], "open", now() - timedelta(hours=1))
        notify_settled(session, happened[copy.id or 0])
        notify_settled(session, [])
    with context.database.reading() as session:
        assert session.exec(select(Notification)).all() == []
