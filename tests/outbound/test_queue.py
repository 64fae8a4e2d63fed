"""The queue against a real SMTP server that refuses, delays and hangs up."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.fixtures.contexts import People
from tests.servers import SmtpSink, free_port, smtp_sink, wait_until
from tracker.mail.account_servers import set_secret
from tracker.models import Account, Delivery, Message, Notification, User
from tracker.notifications import notify
from tracker.outbound import claimed_copies
from tracker.outbound.account_check import check_account
from tracker.outbound.cancel import cancel
from tracker.outbound.copies import Copy, make_copy
from tracker.outbound.queue import send_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import Lease, Leases
from tracker.runtime.limits import MAX_GIVE_UP_HOURS
from tracker.runtime.localized_text import ActionError


def send_all(context: AppContext) -> None:
    while send_due(context):
        pass


def deliveries(context: AppContext) -> dict[str, Delivery]:
    with context.database.reading() as session:
        return {d.address: d for d in session.exec(select(Delivery))}


def message_of(context: AppContext, message: Message) -> Message:
    with context.database.reading() as session:
        return session.get_one(Message, message.id)


def bell(context: AppContext, user: User) -> list[Notification]:
    with context.database.reading() as session:
        return list(notify.lines(session, user))


def make_due(context: AppContext) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Delivery).where(col(Delivery.next_try_at).is_not(None)).values(next_try_at=now()))


def test_a_temporary_refusal_is_tried_again(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink(defer={"anna@client.example": 1}) as sink:
        people.account(alice, sink)
        message = people.send(alice, "anna@client.example")
        send_all(context)
        waiting = deliveries(context)["anna@client.example"]
        assert (waiting.status, waiting.tries) == ("deferred", 1)
        assert waiting.reply.startswith("451")
        assert waiting.next_try_at is not None
        assert waiting.next_try_at > now() + timedelta(seconds=30)
        assert message_of(context, message).state == "queued"
        make_due(context)
        send_all(context)
        assert len(sink.accepted) == 1
    assert deliveries(context)["anna@client.example"].status == "accepted"
    assert message_of(context, message).state == "sent"


def test_a_permanent_refusal_is_shown_with_the_servers_words_and_rings(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink(refuse={"gone@client.example": "550 5.1.1 No such user here"}) as sink:
        people.account(alice, sink)
        message = people.send(alice, "gone@client.example", "anna@client.example")
        send_all(context)
    rows = deliveries(context)
    assert (rows["gone@client.example"].status, rows["anna@client.example"].status) == ("rejected", "accepted")
    assert "No such user here" in rows["gone@client.example"].reply
    assert message_of(context, message).state == "sent"
    assert [(line.kind, line.detail) for line in bell(context, alice)] == [
        ("rejected", rows["gone@client.example"].reply)
    ]


def test_everybody_refused_means_failed(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink(refuse=["gone@client.example"]) as sink:
        people.account(alice, sink)
        message = people.send(alice, "gone@client.example")
        send_all(context)
    assert message_of(context, message).state == "failed"


def test_a_wrong_password_keeps_the_mail_and_says_so_once(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink(login="alice", secret="right") as sink:
        account = people.account(alice, sink)
        with context.database.session_scope() as session:
            row = session.get_one(Account, account.id)
            set_secret(context, row, "smtp", "wrong-secret")
            session.add(row)
        people.send(alice, "anna@client.example")
        send_all(context)
        make_due(context)
        send_all(context)
        with context.database.reading() as session:
            broken = session.get_one(Account, account.id)
        assert broken.state == "broken"
        assert "refused the login or password" in broken.state_detail
        assert "wrong-secret" not in broken.state_detail
        (line,) = bell(context, alice)
        assert (line.kind, line.count) == ("problem", 1)
        with context.database.session_scope() as session:
            row = session.get_one(Account, account.id)
            set_secret(context, row, "smtp", "right")
            session.add(row)
        assert account.id is not None
        assert check_account(context, account.id).ok  # as the page does on saving; what waits is due at once
        send_all(context)
        assert len(sink.accepted) == 1
    with context.database.reading() as session:
        assert session.get_one(Account, account.id).state == "works"


def test_an_unreachable_host_keeps_the_mail(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    account = people.account(alice, smtp_sink)
    port = free_port()
    with context.database.session_scope() as session:
        session.exec(update(Account).where(col(Account.id) == account.id).values(smtp_port=port))
    people.send(alice, "anna@client.example")
    send_all(context)
    waiting = deliveries(context)["anna@client.example"]
    assert waiting.status == "deferred"
    assert f"Nothing listens on 127.0.0.1:{port}" in waiting.reply


def test_after_two_days_it_is_given_up(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink(defer={"anna@client.example": 9}) as sink:
        people.account(alice, sink)
        message = people.send(alice, "anna@client.example")
        with context.database.session_scope() as session:
            long_ago = now() - timedelta(hours=MAX_GIVE_UP_HOURS, minutes=1)
            session.exec(update(Message).where(col(Message.id) == message.id).values(send_at=long_ago))
        send_all(context)
    given_up = deliveries(context)["anna@client.example"]
    assert given_up.status == "rejected"
    assert "Given up after 48 hours. Last answer: 451" in given_up.reply


def test_a_line_cut_before_the_answer_means_one_more_try_of_the_same_message(
    context: AppContext, people: People
) -> None:
    alice = people.user()
    with smtp_sink(drop_after_data=1) as sink:
        people.account(alice, sink)
        people.send(alice, "anna@client.example")
        send_all(context)
        assert deliveries(context)["anna@client.example"].status == "deferred"
        make_due(context)
        send_all(context)
        assert sink.dropped[0].content == sink.accepted[0].content
        assert len(sink.accepted) == 1


def test_one_line_serves_all_copies_of_a_message(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.send(alice, "anna@client.example", "boris@client.example", "clara@client.example")
    assert send_due(context) == 3
    assert [a.recipients for a in smtp_sink.accepted] == [
        ("anna@client.example",),
        ("boris@client.example",),
        ("clara@client.example",),
    ]


def test_many_workers_hand_every_copy_over_once(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    for number in range(15):
        people.send(alice, f"anna{number}@client.example", f"boris{number}@client.example")
    workers = [threading.Thread(target=send_all, args=(context,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    send_all(context)
    handed_over = [a.recipients[0] for a in smtp_sink.accepted]
    assert len(handed_over) == len(set(handed_over)) == 30


def test_what_another_process_holds_is_left_to_it_until_its_lease_ends(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.send(alice, "anna@client.example", "boris@client.example")
    with context.database.session_scope() as session:
        anna = deliveries(context)["anna@client.example"]
        assert Leases("elsewhere").claim(session, "delivery", anna.id) is not None
    send_all(context)
    assert [a.recipients for a in smtp_sink.accepted] == [("boris@client.example",)]
    expire_leases(context)
    send_all(context)
    assert len(smtp_sink.accepted) == 2


def expire_leases(context: AppContext) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Lease).values(until=now() - timedelta(seconds=1)))


def test_a_slow_server_gets_each_copy_once_though_the_lease_ended_meanwhile(
    context: AppContext, people: People
) -> None:
    """A second worker takes it over then; what the first one hears too late is not written over what the second one heard."""
    alice = people.user()
    with smtp_sink(delay={"DATA": 1.0}) as sink:
        people.account(alice, sink)
        people.send(alice, "anna@client.example", "boris@client.example", "clara@client.example")
        first = threading.Thread(target=send_all, args=(context,))
        first.start()
        wait_until(lambda: held(context))
        second = replace(context, leases=Leases("second"))
        while first.is_alive():  # its leases are renewed, as by a worker's heartbeat
            send_due(second)
            context.leases._renewed_at = 0.0
            context.leases.renew(context.database)
            time.sleep(0.05)
        recipients = [a.recipients[0] for a in sink.accepted]
    assert sorted(recipients) == ["anna@client.example", "boris@client.example", "clara@client.example"]


def held(context: AppContext) -> set[str]:
    with context.database.reading() as session:
        return set(session.exec(select(Lease.subject).where(Lease.kind == "delivery")))


def test_an_outcome_that_comes_too_late_is_not_written_over_anothers(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink() as sink:
        people.account(alice, sink)
        sink.rules.delay = {"DATA": 60}
        sink.rules.refuse_content = "451 4.7.1 Try again later"
        people.send(alice, "anna@client.example")
        slow = threading.Thread(target=send_due, args=(context,))
        slow.start()
        wait_until(lambda: sink.commands["DATA"])
        expire_leases(context)  # the first worker was away: its heartbeat did not come
        with smtp_sink() as other:
            with context.database.session_scope() as session:
                session.exec(update(Account).values(smtp_port=other.port))
            assert send_due(replace(context, leases=Leases("second"))) == 1
            sink.rules.delay.clear()
            slow.join()
            assert len(other.accepted) == 1
    row = deliveries(context)["anna@client.example"]
    assert (row.status, row.reply, row.tries) == ("accepted", "", 1)
    assert held(context) == set()


def test_a_250_is_written_down_before_the_next_copy_is_handed_over(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink() as sink:
        people.account(alice, sink)
        people.send(alice, "anna@client.example", "boris@client.example")
        sink.rules.delay = {"DATA": 60}
        thread = threading.Thread(target=send_due, args=(context,))
        thread.start()
        wait_until(lambda: sink.commands["DATA"])
        sink.rules.delay = {"MAIL": 60}  # of the next one
        wait_until(lambda: deliveries(context)["anna@client.example"].status == "accepted")
        assert deliveries(context)["boris@client.example"].status == "queued"
        sink.rules.delay = {}
        thread.join()


def test_no_content_leaves_before_the_250_of_the_copy_before_is_on_disk(context: AppContext, people: People) -> None:
    """Its envelope does. A crash so repeats one copy of a connection at most."""
    alice = people.user()
    with smtp_sink() as sink:
        people.account(alice, sink, state="works")
        people.send(alice, "anna@client.example", "boris@client.example")
        sink.rules.delay = {"DATA": 60}
        thread = threading.Thread(target=send_due, args=(context,))
        thread.start()
        wait_until(lambda: sink.commands["DATA"] == 1)
        with context.database.session_scope() as session:  # whoever writes an outcome waits for this transaction
            session.exec(select(Message).with_for_update()).all()
            sink.rules.delay.clear()
            wait_until(lambda: sink.commands["RCPT"] == 2)
            time.sleep(0.2)
            assert sink.commands["DATA"] == 1
        thread.join()
        assert [a.recipients[0] for a in sink.accepted] == ["anna@client.example", "boris@client.example"]


def test_copies_are_composed_one_at_a_time(
    context: AppContext, people: People, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, accepted_before = people.user(), []

    def counting(*arguments: object, **more: object) -> object:
        accepted_before.append(len(smtp_sink.accepted))
        return make_copy(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(claimed_copies, "make_copy", counting)
    people.account(alice, smtp_sink)
    people.send(alice, "anna@client.example", "boris@client.example", "clara@client.example")
    send_all(context)
    assert accepted_before == [0, 1, 2]


def test_a_copy_that_cannot_be_composed_holds_up_no_other(
    context: AppContext, people: People, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(context: AppContext, raw: bytes, delivery: Delivery, *_: object, **__: object) -> Copy:
        if delivery.address.startswith("anna"):
            raise LookupError("what nobody thought of")
        return Copy(raw)

    monkeypatch.setattr(claimed_copies, "make_copy", broken)
    alice = people.user()
    people.account(alice, smtp_sink)
    people.send(alice, "anna@client.example", "boris@client.example")
    send_all(context)
    rows = deliveries(context)
    assert (rows["anna@client.example"].status, rows["boris@client.example"].status) == ("deferred", "accepted")
    assert rows["anna@client.example"].reply == "Something went wrong inside Inkling: LookupError"


def test_what_is_being_handed_over_cannot_be_taken_back(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink(delay={"MAIL": 60}) as sink:
        people.account(alice, sink)
        message = people.send(alice, "anna@client.example")
        thread = threading.Thread(target=send_due, args=(context,))
        thread.start()
        wait_until(lambda: held(context))
        with context.database.session_scope() as session, pytest.raises(ActionError, match="already been handed over"):
            cancel(session, session.get_one(Message, message.id))
        sink.rules.delay.clear()
        thread.join()
        assert len(sink.accepted) == 1


def test_an_unreachable_server_is_tried_once_for_all_that_waits(context: AppContext, people: People) -> None:
    alice, port = people.user(), free_port()
    with smtp_sink() as sink:
        people.account(alice, sink, smtp_port=port)
        for number in range(30):
            people.send(alice, f"r{number}@client.example")
        assert send_due(context) == 1
        assert send_due(context) == 0
        assert {(d.status, d.tries) for d in deliveries(context).values()} == {("deferred", 1)}
        (line,) = bell(context, alice)
        assert line.count == 1
        with context.database.session_scope() as session:
            session.exec(update(Account).values(smtp_port=sink.port))
        make_due(context)
        send_all(context)
        assert len(sink.accepted) == 30


def test_a_line_that_breaks_over_one_message_costs_the_others_no_try(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink(drop_after_data=1) as sink:
        people.account(alice, sink)
        people.send(alice, "anna@client.example", "boris@client.example")
        send_all(context)
        rows = deliveries(context)
        assert (rows["anna@client.example"].status, rows["boris@client.example"].status) == ("deferred", "accepted")
        assert rows["boris@client.example"].tries == 1
