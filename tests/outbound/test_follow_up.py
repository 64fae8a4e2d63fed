"""Reminders: rung once, when the days are over and nobody answered."""

from datetime import timedelta

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tracker.models import Message, Notification
from tracker.outbound.messages import remind_due
from tracker.outbound.queue import send_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def rung(context: AppContext) -> list[tuple[str, int]]:
    with context.database.reading() as session:
        return [(line.kind, line.count) for line in session.exec(select(Notification))]


@pytest.mark.parametrize(
    ("changes", "rings"),
    [
        ({}, True),
        ({"replies": 1}, False),
        ({"state": "queued"}, False),
        ({"state": "failed"}, False),
        ({"follow_up_at": now() + timedelta(hours=1)}, False),
    ],
    ids=["nobody answered", "a reply came", "still waiting", "never arrived", "not yet"],
)
def test_a_reminder_rings_once_for_what_nobody_answered(
    context: AppContext, people: People, smtp_sink: SmtpSink, changes: dict[str, object], rings: bool
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    message = people.send(alice, "anna@client.example", follow_up_days=3)
    assert send_due(context) == 1
    with context.database.session_scope() as session:
        row = session.get_one(Message, message.id)
        assert row.follow_up_at is not None
        assert timedelta(days=2, hours=23) < row.follow_up_at - now() <= timedelta(days=3)
        for name, value in {"follow_up_at": now() - timedelta(seconds=1), **changes}.items():
            setattr(row, name, value)
    remind_due(context)
    assert remind_due(context) == 0
    assert rung(context) == ([("follow_up", 1)] if rings else [])
