"""Somebody who sells, and one copy that was sent."""

import pytest
from sqlmodel import select

from tests.engagement.edge_by_hand import send_all
from tests.houses import People
from tests.servers import SmtpSink
from tracker.models import Delivery, User
from tracker.runtime.context import House


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    alice = people.user()
    people.account(alice, smtp_sink)
    return alice


@pytest.fixture
def sent(house: House, people: People, alice: User) -> Delivery:
    """One delivery, accepted, tracked."""
    people.grant("anna@client.example", name="Anna")
    people.send(alice, "anna@client.example")
    send_all(house)
    with house.database.reading() as session:
        return session.exec(select(Delivery)).one()
