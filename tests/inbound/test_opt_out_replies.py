"""A reply that asks not to be tracked: tracking stops at once, a person decides, and silence changes nothing (consent 2.8.3)."""

from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.engagement.edge_by_hand import Edge, ingest_hits
from tests.fixtures.contexts import People
from tests.inbound.arrivals import Arrivals, connected
from tests.inbound.test_answering import (
    ANNA,
    BORIS,
    answer,
    arrive,
    copy_to,
    lines,
    sent_message,  # noqa: F401  (fixture)
)
from tests.servers import SmtpSink
from tracker.consent.ledger import broken_at, consent_of, ledger
from tracker.consent.pending_opt_outs import DECIDE_WITHIN, decide, remind_undecided
from tracker.consent.rules import MEASURED, ConsentState
from tracker.models import Event, Message, Notification, Recipient, TrackingPause, User
from tracker.outbound.queue import send_due
from tracker.privacy.erase import erase
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

STOP = "The price is fine. Please don’t track me."


def person(context: AppContext, address: str = ANNA) -> Recipient:
    with context.database.reading() as session:
        return session.exec(select(Recipient).where(Recipient.lookup == address)).one()


def pauses(context: AppContext) -> list[TrackingPause]:
    with context.database.reading() as session:
        return list(session.exec(select(TrackingPause).order_by(col(TrackingPause.id))))


def rung(context: AppContext, user: User) -> list[Notification]:
    return [line for line in lines(context, user) if line.kind == "withdrawal"]


def states(context: AppContext, address: str = ANNA) -> set[ConsentState]:
    id_ = person(context, address).id or 0
    with context.database.reading() as session:
        said = consent_of(session, [id_])[id_]
    return {said[purpose] for purpose in MEASURED}


def decided(context: AppContext, user: User, *, withdrawn: bool, number: int = 0) -> bool:
    with context.database.session_scope() as session:
        pause = session.get_one(TrackingPause, pauses(context)[number].id)
        return decide(session, pause, session.get_one(User, user.id), withdrawn=withdrawn)


def send_again(context: AppContext, people: People, user: User) -> Message:
    message = people.send(user, ANNA, subject="Once more")
    while send_due(context):
        pass
    return message


def test_it_is_proposed_and_never_recorded_by_itself(
    context: AppContext,
    inbox: Arrivals,
    sent: Message,
    alice: User,
) -> None:
    letter = arrive(inbox, answer(sent, body=STOP))
    (pause,) = pauses(context)
    assert (pause.words, pause.letter_id, pause.user_id) == ("Please don’t track me.", letter.id, alice.id)
    assert pause.due_at - pause.began_at == DECIDE_WITHIN == timedelta(hours=72)
    assert states(context) == {ConsentState.GRANTED}
    assert person(context).paused_at is not None
    assert person(context, BORIS).paused_at is None
    (line,) = rung(context, alice)
    assert "Please don’t track me." in line.detail


def test_meanwhile_new_copies_are_untracked_and_hits_are_not_kept(
    context: AppContext,
    people: People,
    inbox: Arrivals,
    sent: Message,
    alice: User,
    smtp_sink: SmtpSink,
) -> None:
    waiting = people.send(alice, ANNA, subject="Planned before")
    arrive(inbox, answer(sent, body=STOP))
    new = send_again(context, people, alice)
    for message in (waiting, new):
        copy = copy_to(context, message, ANNA)
        assert (copy.opens_on, copy.clicks_on, copy.opens_rule, copy.clicks_rule) == (False, False, "paused", "paused")
    assert not any(b"/o/" in mail.content for mail in smtp_sink.accepted[-2:])
    edge = Edge()
    edge.hit(copy_to(context, sent, ANNA))
    ingest_hits(context, edge)
    with context.database.reading() as session:
        assert session.exec(select(Event.kind)).all() == ["reply"]


def test_yes_is_a_withdrawal_with_the_words_as_proof(
    context: AppContext,
    people: People,
    inbox: Arrivals,
    sent: Message,
    alice: User,
) -> None:
    letter = arrive(inbox, answer(sent, body=STOP))
    assert decided(context, alice, withdrawn=True)
    assert states(context) == {ConsentState.WITHDRAWN}
    with context.database.reading() as session:
        entries = ledger(session, person(context))[-2:]
        assert broken_at(session, person(context)) is None
    assert {(e.state, e.channel, e.grade, e.note, e.actor) for e in entries} == {
        ("withdrawn", "reply_text", "C", "“Please don’t track me.”", f"user:{alice.id}")
    }
    assert all(abs(e.at - letter.received_at) < timedelta(seconds=1) for e in entries)
    assert person(context).paused_at is None
    assert rung(context, alice) == []
    assert copy_to(context, send_again(context, people, alice), ANNA).opens_rule == "withdrawn"
    assert not decided(context, alice, withdrawn=False), "decided once"
    assert pauses(context)[0].decision == "withdrawn"


def test_no_ends_the_pause(context: AppContext, people: People, inbox: Arrivals, sent: Message, alice: User) -> None:
    arrive(inbox, answer(sent, body=STOP))
    assert decided(context, alice, withdrawn=False)
    assert (states(context), person(context).paused_at, rung(context, alice)) == ({ConsentState.GRANTED}, None, [])
    assert copy_to(context, send_again(context, people, alice), ANNA).opens_on
    arrive(inbox, answer(sent, "Message-ID: <new@client.example>", body="I said: do not track me!"))
    assert person(context).paused_at is not None, "said again, it is asked again"


def test_without_a_decision_the_pause_stays_and_is_told_again(
    context: AppContext,
    inbox: Arrivals,
    sent: Message,
    alice: User,
) -> None:
    arrive(inbox, answer(sent, body=STOP))
    with context.database.session_scope() as session:
        session.exec(update(Notification).values(read_at=now()))
    assert remind_undecided(context) == 0
    with context.database.session_scope() as session:
        session.exec(update(TrackingPause).values(due_at=now() - timedelta(seconds=1)))
    assert remind_undecided(context) == 1
    (line,) = rung(context, alice)
    assert line.read_at is None
    assert person(context).paused_at is not None
    assert remind_undecided(context) == 0, "not again before three days are over"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("Can you track the parcel?", id="a false friend"),
        pytest.param("Fine.\n\nOn 26 November 2026 Alice wrote:\n> Please don't track me.", id="in a quotation"),
        pytest.param("Fine.\n\n-----Original Message-----\nFrom: Alice\nDo not track me.", id="in the older message"),
    ],
)
def test_only_what_the_writer_says_of_tracking_counts(
    context: AppContext,
    inbox: Arrivals,
    sent: Message,
    body: str,
) -> None:
    arrive(inbox, answer(sent, body=body))
    assert (pauses(context), person(context).paused_at) == ([], None)


def test_who_never_agreed_refuses(context: AppContext, inbox: Arrivals, sent: Message, alice: User) -> None:
    arrive(inbox, answer(sent, sender=BORIS, body="Не отслеживайте мои письма"))
    assert decided(context, alice, withdrawn=True)
    assert states(context, BORIS) == {ConsentState.REFUSED}
    arrive(inbox, answer(sent, sender=BORIS, body="Не отслеживайте!"))
    assert len(pauses(context)) == 1, "a no already: nothing to ask"


def test_one_question_per_person_however_often_and_wherever_it_is_said(
    context: AppContext,
    inbox: Arrivals,
    sent: Message,
    alice: User,
) -> None:
    octets = answer(sent, "Message-ID: <r1@client.example>", body=STOP)
    arrive(inbox, octets)
    arrive(inbox, answer(sent, body="Stop tracking me!"))
    other = connected(context, alice, "sales@site.example")
    arrive(other, octets)
    assert len(pauses(context)) == 1
    decided(context, alice, withdrawn=False)
    arrive(connected(context, alice, "third@site.example"), octets)
    assert len(pauses(context)) == 1, "a copy of what was decided asks nothing new"


def test_two_who_were_asked_the_pause_ends_with_the_last_no_or_the_first_yes(
    context: AppContext,
    people: People,
    inbox: Arrivals,
    sent: Message,
    alice: User,
) -> None:
    bob = people.user("Bob")
    arrive(inbox, answer(sent, body=STOP))
    arrive(connected(context, bob, "bob@site.example"), answer(sent, body="Stop tracking me"))
    assert [pause.user_id for pause in pauses(context)] == [alice.id, bob.id]
    assert decided(context, alice, withdrawn=False)
    assert person(context).paused_at is not None
    assert len(rung(context, bob)) == 1
    assert decided(context, bob, withdrawn=True, number=1)
    assert (person(context).paused_at, states(context)) == (None, {ConsentState.WITHDRAWN})


def test_erasure_takes_the_words(context: AppContext, inbox: Arrivals, sent: Message, alice: User) -> None:
    arrive(inbox, answer(sent, body=STOP))
    erase(context, ANNA, "system")
    assert (pauses(context), rung(context, alice)) == ([], [])
