"""Somebody who sells, and one copy that was sent."""

import pytest
from sqlmodel import select

from tests.engagement.edge_by_hand import send_all
from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tracker.models import Delivery, User
from tracker.runtime.context import AppContext


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    alice = people.user()
    people.account(alice, smtp_sink)
    return alice


@pytest.fixture
def sent(context: AppContext, people: People, alice: User) -> Delivery:
    """One delivery, accepted, tracked."""
    people.grant("anna@client.example", name="Anna")
    people.send(alice, "anna@client.example")
    send_all(context)
    with context.database.reading() as session:
        return session.exec(select(Delivery)).one()
