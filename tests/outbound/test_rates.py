"""How fast an account may send: what is too much waits in its order, says why, and holds nobody else up."""

import threading
from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tracker.models import Account, Delivery, User
from tracker.outbound.queue import send_due
from tracker.outbound.send_quota import limits_of
from tracker.outbound.sending_domain.sending_services import link_rewriter
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def account(context: AppContext, people: People, user: User, sink: SmtpSink, **limits: int) -> Account:
    return people.account(user, sink, **limits)


def send(context: AppContext) -> None:
    while send_due(context):
        pass


def deliveries(context: AppContext) -> list[Delivery]:
    with context.database.reading() as session:
        return list(session.exec(select(Delivery).order_by(col(Delivery.id))).all())


def the_account(context: AppContext) -> Account:
    with context.database.reading() as session:
        return session.exec(select(Account)).one()


def a_minute_later(context: AppContext) -> None:
    with context.database.session_scope() as session:
        minute = timedelta(minutes=1)
        for account in session.exec(select(Account)):
            account.paused_until = account.paused_until and account.paused_until - minute
        for row in session.exec(select(Delivery)):
            row.accepted_at = row.accepted_at and row.accepted_at - minute
            row.next_try_at = row.next_try_at and row.next_try_at - minute
            session.add(row)


def test_what_is_too_much_for_a_minute_waits_in_its_order(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    account(context, people, alice, smtp_sink, per_minute=2)
    for n in range(5):
        people.send(alice, f"r{n}@client.example")
    send(context)
    assert [d.status for d in deliveries(context)] == ["accepted", "accepted", "queued", "queued", "queued"]
    paused = the_account(context)
    assert paused.pause_reason == "At most 2 messages a minute leave from this address."
    assert paused.paused_until is not None
    assert timedelta(seconds=50) < paused.paused_until - now() <= timedelta(minutes=1)
    assert deliveries(context)[2].tries == 0
    a_minute_later(context)
    send(context)
    a_minute_later(context)
    send(context)
    assert [m.recipients[0] for m in smtp_sink.accepted] == [f"r{n}@client.example" for n in range(5)]
    assert {d.reply for d in deliveries(context)} == {""}


def test_a_group_counts_by_its_copies(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    account(context, people, alice, smtp_sink, per_minute=2)
    people.send(alice, "a@client.example", "b@client.example", "c@client.example")
    send(context)
    assert len(smtp_sink.accepted) == 2


def test_the_day_counts_too(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    account(context, people, alice, smtp_sink, per_minute=0, per_day=3)
    for n in range(4):
        people.send(alice, f"r{n}@client.example")
    send(context)
    paused = the_account(context)
    assert (len(smtp_sink.accepted), deliveries(context)[3].status) == (3, "queued")
    assert paused.pause_reason == "At most 3 messages a day leave from this address."
    assert paused.paused_until is not None
    assert paused.paused_until > now() + timedelta(hours=23)


def test_another_account_does_not_wait_for_it(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice, bob = people.user("Alice"), people.user("Bob")
    account(context, people, alice, smtp_sink, per_minute=1)
    account(context, people, bob, smtp_sink)
    for n in range(3):
        people.send(alice, f"a{n}@client.example")
    people.send(bob, "b@client.example")
    send(context)
    assert sorted(m.recipients[0] for m in smtp_sink.accepted) == ["a0@client.example", "b@client.example"]


def test_several_workers_together_do_not_go_over_it(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    account(context, people, alice, smtp_sink, per_minute=5)
    for n in range(12):
        people.send(alice, f"r{n}@client.example")
    workers = [threading.Thread(target=send_due, args=(context,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(smtp_sink.accepted) == 5


def test_a_waiting_message_can_be_cancelled_by_its_row(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    account(context, people, alice, smtp_sink, per_minute=1)
    for n in range(2):
        people.send(alice, f"r{n}@client.example")
    send(context)
    with context.database.session_scope() as session:
        session.exec(update(Delivery).where(col(Delivery.status) == "queued").values(status="cancelled"))
    a_minute_later(context)
    send(context)
    assert len(smtp_sink.accepted) == 1


@pytest.mark.parametrize(
    ("preset", "set_to", "limits"),
    [
        ("gmail", {}, (30, 500)),
        ("gmail", {"per_minute": 5}, (5, 500)),
        ("gmail", {"per_day": 0}, (30, 0)),
        ("other", {}, (0, 0)),
    ],
)
def test_what_the_service_takes_unless_the_person_set_it(
    preset: str, set_to: dict[str, int], limits: tuple[int, int]
) -> None:
    made = Account(user_id=1, address="a@b.example", preset=preset, smtp_host="h", smtp_port=1, smtp_security="tls")
    for name, value in set_to.items():
        setattr(made, name, value)
    assert limits_of(made) == limits


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("smtp.sendgrid.net", "SendGrid"),
        ("SMTP.EU.Mailgun.org.", "Mailgun"),
        ("email-smtp.eu-west-1.amazonaws.com", "Amazon SES"),
        ("smtp.gmail.com", None),
        ("notmailgun.org", None),
    ],
)
def test_D24_services_that_rewrite_links_are_known(host: str, name: str | None) -> None:
    assert link_rewriter(host) == name
