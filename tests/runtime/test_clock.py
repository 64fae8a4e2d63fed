"""A clock that ran a day ahead and came back: nothing waits until tomorrow for it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tracker.inbound.fetch.fetched_letter import LetterLocation
from tracker.inbound.fetch.letter_importer import NEVER, pass_by
from tracker.models import (
    Delivery,
    DeliveryStatus,
    DomainProfile,
    FetchRetry,
    HostHealth,
    Job,
    Mailbox,
    MailboxFolder,
    MailboxState,
    Message,
    MessageState,
    User,
)
from tracker.outbound.host_health import EVERY, HostCheck
from tracker.outbound.send_quota import send_quota
from tracker.privacy.clock import after_clock_came_back
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import Lease
from tracker.runtime.processes import Process, is_anybody_working

AHEAD = timedelta(days=1)


def mailbox(user: User) -> Mailbox:
    return Mailbox(user_id=user.id or 0, address="a@b.example", canonical="a@b.example", state=MailboxState.ACTIVE)


ROWS: dict[str, tuple[Callable[[User], Any], str, timedelta]] = {
    "a mailbox": (mailbox, "due_at", timedelta(minutes=10)),
    "a domain": (lambda _: DomainProfile(domain="b.example"), "due_at", timedelta(minutes=1)),
    "a nightly job": (lambda _: Job(name="rejudge", due_at=now()), "due_at", timedelta(days=1)),
}


@pytest.mark.parametrize("what", ROWS)
def test_what_was_put_off_then_is_due_now(context: AppContext, people: People, what: str) -> None:
    make, column, pause = ROWS[what]
    user = people.user()
    with context.database.session_scope() as session:
        row = make(user)
        setattr(row, column, now() + AHEAD + pause)
        session.add(row)
    after_clock_came_back(context)
    with context.database.reading() as session:
        assert getattr(session.exec(select(type(row))).one(), column) <= now()


def test_what_is_put_off_rightly_stays_so(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    user = people.user()
    people.account(user, smtp_sink)
    scheduled = people.send(user, "anna@client.example", send_at=now() + timedelta(days=30))
    with context.database.session_scope() as session:
        box = mailbox(user)
        box.due_at = now() + timedelta(hours=6)
        session.add_all([box, Job(name="rejudge", due_at=now() + timedelta(hours=24))])
        session.flush()
        folder = MailboxFolder(mailbox_id=box.id or 0, raw_name="INBOX", name="INBOX", cut_off=now())
        session.add(folder)
        session.flush()
        pass_by(session, LetterLocation(folder.id or 0, uidl="unwanted"))
    after_clock_came_back(context)
    with context.database.reading() as session:
        assert session.exec(select(FetchRetry.try_at)).one() == NEVER
        assert (session.exec(select(Mailbox.due_at)).one() or now()) > now() + timedelta(hours=5)
        assert session.exec(select(Job.due_at)).one() > now() + timedelta(hours=23)
        assert session.exec(select(Delivery.next_try_at)).one() == scheduled.send_at


def test_mail_that_was_queued_or_deferred_then_leaves_now(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    user = people.user()
    people.account(user, smtp_sink)
    queued, deferred = (people.send(user, f"{name}@client.example") for name in ("anna", "ben"))
    with context.database.session_scope() as session:
        for delivery in session.exec(select(Delivery)):
            delivery.next_try_at = now() + AHEAD + timedelta(seconds=5)
            if delivery.message_id == deferred.id:
                delivery.status = DeliveryStatus.DEFERRED
        message = session.get_one(Message, queued.id)
        assert message.state == MessageState.QUEUED
        message.created_at = message.listed_at = now() + AHEAD
    after_clock_came_back(context)
    with context.database.reading() as session:
        assert all(at is not None and at <= now() for at in session.exec(select(Delivery.next_try_at)))


def test_what_was_sent_then_uses_up_no_quota_of_today(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    user = people.user()
    account = people.account(user, smtp_sink, per_minute=1)
    people.send(user, "anna@client.example")
    with context.database.session_scope() as session:
        delivery = session.exec(select(Delivery)).one()
        delivery.accepted_at = now() + AHEAD
    with context.database.reading() as session:
        assert not send_quota(session, account, now()).wait


def test_signs_of_life_claims_and_looks_of_then_are_not_believed(context: AppContext) -> None:
    with context.database.session_scope() as session:
        session.add(Process(id="p", place="", number=1, started=1, at=now() + AHEAD))
        session.add(Lease(kind="delivery", subject="1", token="t", process="p", until=now() + AHEAD))
        session.add(HostHealth(id=1, url="http://a", checked_at=now() + AHEAD))
    after_clock_came_back(context)
    with context.database.reading() as session:
        assert not is_anybody_working(session)
        assert session.exec(select(Lease.until)).one() <= now()
        assert session.exec(select(HostHealth.checked_at)).one() <= now()


def test_the_digest_comes_the_next_time_the_clock_shows_its_hour(context: AppContext, people: People) -> None:
    user = people.user()
    with context.database.session_scope() as session:
        row = session.get_one(User, user.id)
        row.digest_hour, row.digest_at, row.quiet_ends_at = 8, now() + 2 * AHEAD, now() + 2 * AHEAD
    after_clock_came_back(context)
    with context.database.reading() as session:
        row = session.get_one(User, user.id)
        assert row.digest_at is not None
        assert row.digest_at <= now() + timedelta(hours=25)
        assert row.quiet_ends_at is not None
        assert row.quiet_ends_at <= now()


def test_the_tracking_host_is_looked_at_again(context: AppContext) -> None:
    check = HostCheck()
    check._next = now() + AHEAD
    check(context)
    assert check._next <= now() + EVERY
