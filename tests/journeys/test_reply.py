"""The way of a reply: tracked mail leaves over real SMTP, the answer appears in a real Dovecot, the worker reads it, the message is
replied and the bell rings. Nothing here is called by hand but the two people."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tests.inbound.corpus import raw
from tests.inbound.mail_world import SECRET, Post, fresh_address, mailbox_on
from tests.servers import Dovecot, SmtpSink, wait_until
from tracker.demo.world import answer
from tracker.models import Event, Letter, Message, Notification, User
from tracker.runtime.context import AppContext
from tracker.worker import Worker

ANNA, BORIS = "anna@client.example", "boris@client.example"


@contextmanager
def working(context: AppContext) -> Iterator[None]:
    worker = Worker(context)
    worker.start()
    try:
        yield
    finally:
        worker.stop(timeout=60.0)
        for thread in threading.enumerate():
            if thread.name.startswith("mailbox "):
                thread.join(60)


@pytest.fixture
def post(context: AppContext, people: People, dovecot: Dovecot, smtp_sink: SmtpSink) -> Post:
    """Alice, who sends through the sink and reads her mail in Dovecot."""
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    alice = people.user()
    people.account(alice, smtp_sink, address=address)
    return mailbox_on(context, alice, dovecot, address)


def message_of(context: AppContext, message: Message) -> Message:
    with context.database.reading() as session:
        return session.get_one(Message, message.id)


def rung(context: AppContext, user: User) -> list[str]:
    with context.database.reading() as session:
        return list(session.exec(select(Notification.kind).where(Notification.user_id == user.id)))


def poll_now(post: Post) -> None:
    """Presses “sync now”."""
    post.change(sync_wanted=True, due_at=datetime.now(UTC))


def test_a_reply_finds_its_message(
    context: AppContext, people: People, dovecot: Dovecot, smtp_sink: SmtpSink, post: Post
) -> None:
    people.grant(ANNA)
    message = people.send(post.user, ANNA, BORIS, follow_up_days=3)
    with working(context):
        wait_until(lambda: len(smtp_sink.accepted) == 2)
        sent = {item.recipients[0]: item.content for item in smtp_sink.accepted}
        assert message_from_bytes(sent[ANNA], policy=policy.default)["Message-ID"] == message.message_id
        reply, to = answer(sent[ANNA], ANNA, "Anna", "Yes, please!", datetime.now(UTC))
        assert to == post.address
        wait_until(lambda: post.mailbox.good_run_at)  # else the reply belongs to what a first load finds
        dovecot.append(post.address, reply)
        poll_now(post)
        wait_until(lambda: message_of(context, message).replies == 1)
        report = raw("k06-report-without-original").replace(b"full@buyer.example", BORIS.encode())
        original = (
            b"--=_b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: " + message.message_id.encode() + b"\r\n"
        )
        dovecot.append(post.address, report.replace(b"--=_b--", original + b"\r\n--=_b--"))
        poll_now(post)
        wait_until(lambda: message_of(context, message).bounces == 1)
    after = message_of(context, message)
    assert (after.replies, after.bounces, after.opens, after.follow_up_at) == (1, 1, 1, None)
    assert sorted(rung(context, post.user)) == ["bounce", "reply"]
    with context.database.reading() as session:
        letters = session.exec(select(Letter).where(Letter.mailbox_id == post.mailbox_id)).all()
        events = session.exec(select(Event.kind).where(Event.message_id == message.id)).all()
    assert {letter.category: letter.in_reply_to_message_id for letter in letters} == {
        "human": message.id,
        "bounce": message.id,
    }
    assert sorted(events) == ["bounce", "reply"]
