"""Reminders ring when they are due, once, and never after a reply."""

from datetime import timedelta

import pytest
from sqlmodel import select

from tests.houses import People
from tests.servers import SmtpSink
from tracker.db import now
from tracker.house import House
from tracker.models import Message, Notification
from tracker.outgoing.follow_ups import remind_due
from tracker.outgoing.queue import send_due


def due(house: House, message: Message, **facts: object) -> None:
    with house.database.session_scope() as session:
        row = session.get_one(Message, message.id)
        row.follow_up_at = now() - timedelta(seconds=1)
        for name, value in facts.items():
            setattr(row, name, value)
        session.add(row)


@pytest.fixture
def sent(house: House, people: People, smtp_sink: SmtpSink) -> Message:
    alice = people.user()
    people.account(alice, smtp_sink)
    message = people.send(alice, "anna@client.example", follow_up_days=3)
    while send_due(house, "test:1"):
        pass
    return message


def rung(house: House) -> list[str]:
    with house.database.reading() as session:
        return list(session.exec(select(Notification.kind)))


def test_it_rings_once_when_it_is_due(house: House, sent: Message) -> None:
    assert remind_due(house) == 0
    due(house, sent)
    assert remind_due(house) == 1
    assert remind_due(house) == 0
    assert rung(house) == ["follow_up"]


@pytest.mark.parametrize("facts", [{"replies": 1}, {"muted": True}], ids=["answered", "muted"])
def test_it_stays_silent(house: House, sent: Message, facts: dict[str, object]) -> None:
    due(house, sent, **facts)
    assert remind_due(house) == 1
    assert rung(house) == []
    assert remind_due(house) == 0
