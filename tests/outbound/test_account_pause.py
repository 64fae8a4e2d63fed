"""An account that has spent its limit is paused as a whole: none of its copies is written for it, and they keep their own time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert
from sqlmodel import col, func, select, update

from tests.fixtures.contexts import People
from tests.outbound.test_rates import a_minute_later, deliveries, send, the_account
from tests.servers import SmtpSink
from tracker.models import Account, Delivery, Message, User
from tracker.models.rows import public_id
from tracker.outbound.account_input import AccountChange
from tracker.outbound.accounts import change_account
from tracker.outbound.cancel import cancel
from tracker.outbound.claimed_copies import ClaimedCopies
from tracker.outbound.queue import accounts_due, next_due, send_due
from tracker.privacy.clock import after_clock_came_back
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.processes import register
from tracker.web.readiness import STANDS_STILL, readiness

MINUTE = timedelta(minutes=1)


@contextmanager
def written_rows(context: AppContext) -> Iterator[dict[str, int]]:
    """Rows that statements changed meanwhile, by the words they begin with."""
    rows: dict[str, int] = {}

    def executed(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        verb, words = statement.split(None, 1)[0], statement.split(None, 2)
        if verb == "UPDATE":
            rows[words[1]] = rows.get(words[1], 0) + cursor.rowcount

    event.listen(context.database.engine, "after_cursor_execute", executed)
    try:
        yield rows
    finally:
        event.remove(context.database.engine, "after_cursor_execute", executed)


def fill_queue(context: AppContext, message: Message, copies: int) -> None:
    """More copies of a message, all due, as one insert."""
    with context.database.session_scope() as session:
        row = session.exec(select(Delivery).where(Delivery.message_id == message.id)).one()
        values = row.model_dump(exclude={"id"})
        rows = [{**values, "public_id": public_id(), "position": 1 + number} for number in range(copies)]
        session.connection().execute(insert(Delivery), rows)


def change(context: AppContext, **fields: Any) -> None:
    with context.database.session_scope() as session:
        change_account(context, session, session.exec(select(Account)).one(), AccountChange(**fields))


def test_spending_the_limit_writes_none_of_the_copies_that_wait(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink, per_minute=2)
    fill_queue(context, people.send(alice, "anna@client.example"), 5_000)
    with written_rows(context) as rows:
        send(context)
    assert len(smtp_sink.accepted) == 2
    assert rows.get("delivery", 0) <= 4, "two were accepted, and looked at once more before"
    assert rows["account"] <= 2
    with context.database.reading() as session:
        waiting = select(func.count()).where(col(Delivery.next_try_at) <= now())
        assert session.exec(waiting).one() == 4_999
        assert accounts_due(session, now()) == []
        due, until = next_due(session), the_account(context).paused_until
        assert until is not None
        assert due == until > now() + timedelta(seconds=50), "the queue sleeps until then"
    with written_rows(context) as rows:
        change(context, per_minute=10)
    assert "delivery" not in rows or rows["delivery"] == 0
    send(context)
    assert len(smtp_sink.accepted) == 10


def raise_limit(context: AppContext) -> None:
    change(context, per_minute=3)


def take_limit_away(context: AppContext) -> None:
    change(context, per_minute=0)


def put_clock_right(context: AppContext) -> None:
    """A worker whose clock ran two days ahead had paused it."""
    with context.database.session_scope() as session:
        session.exec(update(Account).values(paused_until=now() + timedelta(days=2)))
        session.exec(update(Delivery).values(accepted_at=None))
    after_clock_came_back(context)


@pytest.mark.parametrize("ends", [a_minute_later, raise_limit, take_limit_away, put_clock_right])
def test_copies_go_on_when_the_pause_ends(
    context: AppContext, people: People, smtp_sink: SmtpSink, ends: Callable[[AppContext], None]
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink, per_minute=1)
    for name in ("anna", "boris"):
        people.send(alice, f"{name}@client.example")
    send(context)
    assert len(smtp_sink.accepted) == 1
    ends(context)
    send(context)
    assert [each.recipients[0] for each in smtp_sink.accepted] == ["anna@client.example", "boris@client.example"]


def test_a_limit_that_is_raised_while_a_turn_goes_on_counts_at_once(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    """The turn knows the account as it was: it must not pause it again by the limit of before."""
    alice = people.user()
    people.account(alice, smtp_sink, per_minute=1)
    for name in ("anna", "boris"):
        people.send(alice, f"{name}@client.example")
    send_due(context)
    before = the_account(context)
    raise_limit(context)
    with ClaimedCopies(context, before) as claimed:
        assert claimed.claim(10)
    assert the_account(context).paused_until is None


def test_scheduled_copies_keep_their_own_time_and_cancelled_ones_stay_away(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink, per_minute=1)
    later = now() + timedelta(hours=3)
    people.send(alice, "anna@client.example")
    scheduled = people.send(alice, "later@client.example", send_at=later)
    taken_back = people.send(alice, "boris@client.example")
    send(context)
    with context.database.session_scope() as session:
        cancel(session, session.get_one(Message, taken_back.id))
        assert next_due(session) == scheduled.send_at == later, "nothing of the paused account is due before"
    change(context, per_minute=0)
    send(context)
    assert [each.recipients[0] for each in smtp_sink.accepted] == ["anna@client.example"]
    times = [delivery.next_try_at for delivery in deliveries(context)]
    assert times == [None, later]


def test_the_next_wake_up_is_the_end_of_the_pause_or_whoever_is_due_before(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    moment = now()
    for name, until, first in (
        ("Alice", moment + 3 * MINUTE, moment - MINUTE),
        ("Bob", None, moment + 5 * MINUTE),
        ("Carol", moment + MINUTE, moment + 2 * MINUTE),
        ("Dora", moment - MINUTE, moment + 4 * MINUTE),
    ):
        _queued_with(context, people, people.user(name), smtp_sink, until, first)
    with context.database.reading() as session:
        assert accounts_due(session, now()) == []
        assert next_due(session) == moment + 2 * MINUTE
    with context.database.session_scope() as session:
        session.exec(update(Account).where(col(Account.paused_until) > moment + 2 * MINUTE).values(paused_until=None))
    with context.database.reading() as session:
        assert len(accounts_due(session, now())) == 1
        assert next_due(session) == moment - MINUTE


def _queued_with(
    context: AppContext, people: People, user: User, sink: SmtpSink, until: datetime | None, first: datetime
) -> None:
    account = people.account(user, sink)
    message = people.send(user, "anna@client.example")
    with context.database.session_scope() as session:
        session.exec(update(Account).where(col(Account.id) == account.id).values(paused_until=until))
        session.exec(update(Delivery).where(col(Delivery.message_id) == message.id).values(next_try_at=first))


@pytest.mark.parametrize(("ended", "problem"), [(-MINUTE, ""), (STANDS_STILL + MINUTE, "stands still")])
def test_copies_in_a_pause_are_no_sign_that_sending_stands_still(
    context: AppContext, people: People, smtp_sink: SmtpSink, ended: timedelta, problem: str
) -> None:
    register(context)
    alice = people.user()
    people.account(alice, smtp_sink, per_minute=1)
    people.send(alice, "anna@client.example")
    with context.database.session_scope() as session:
        session.exec(update(Delivery).values(next_try_at=now() - timedelta(hours=2)))
        session.exec(update(Account).values(paused_until=now() - ended))
    assert readiness(context)["sending"].startswith(problem)
    assert bool(readiness(context)["sending"]) == bool(problem)
