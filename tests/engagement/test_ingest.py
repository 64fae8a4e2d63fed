"""From hits to events, counters and bell, on both databases."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.engagement.edge_by_hand import (
    APPLE,
    CHROME,
    GMAIL,
    Edge,
    bell,
    events,
    ingest_hits,
    message_of,
    send_all,
    settle,
)
from tests.fixtures.contexts import People
from tracker.consent.preferences import set_policy
from tracker.consent.rules import ConsentState, Pack
from tracker.engagement.ingest import quarantine, retry_quarantined
from tracker.engagement.rejudge import overrule
from tracker.models import Delivery, DrainCursor, Event, HitEvidence, Message, QuarantinedHit, User
from tracker.models import Verdict as VerdictRow
from tracker.privacy.retention import sweep
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import Keyring


def test_a_person_counts_and_rings_only_after_settling(context: AppContext, alice: User, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent)
    (event,) = ingest_hits(context, edge)
    assert (event.klass, event.counted, message_of(context).opens) == ("human", True, 1)
    assert bell(context, alice) == []
    settle(context)
    (line,) = bell(context, alice)
    assert (line.kind, line.opens, line.delivery_id) == ("open", 1, sent.id)


@pytest.mark.parametrize(
    ("headers", "client", "klass", "counts"),
    [
        (GMAIL, "66.249.84.33", "mail_proxy", True),
        (APPLE, "104.28.30.10", "privacy_prefetch", False),
        (CHROME, "40.94.0.17", "unknown", False),
        (CHROME, "209.222.82.7", "security_scanner", False),
        ({"user-agent": "Slackbot-LinkExpanding 1.0"}, "3.3.3.3", "link_preview", False),
    ],
)
def test_machines_are_kept_grey_and_never_ring(
    context: AppContext, alice: User, sent: Delivery, headers: dict[str, str], client: str, klass: str, counts: bool
) -> None:
    edge = Edge()
    edge.hit(sent, headers=headers, client=client, after=1.0)
    (event,) = ingest_hits(context, edge)
    settle(context)
    message = message_of(context)
    assert event.klass == klass
    assert (message.opens, message.machine) == ((1, 0) if counts else (0, 1))
    assert len(bell(context, alice)) == (1 if counts else 0)


def test_the_same_hit_read_twice_is_one_event(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent)
    ingest_hits(context, edge)
    with context.database.session_scope() as session:
        session.delete(session.get_one(DrainCursor, "local"))
    assert len(ingest_hits(context, edge)) == 1
    with context.database.reading() as session:
        assert session.exec(select(QuarantinedHit)).all() == []


def test_the_senders_own_browser_never_counts(context: AppContext, alice: User, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, self_user=alice.public_id)
    edge.hit(sent, "click", link=0, self_user=alice.public_id, after=700)
    assert [(e.klass, e.counted) for e in ingest_hits(context, edge)] == [("sender_self", False)] * 2
    settle(context)
    message = message_of(context)
    assert (message.opens, message.clicks, message.machine, bell(context, alice)) == (0, 0, 0, [])


def test_a_click_without_an_open_tells_of_one_open(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, headers=CHROME | {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate"})
    ingest_hits(context, edge)
    message = message_of(context)
    assert (message.opens, message.clicks) == (1, 1)


def test_a_burst_is_taken_back_and_the_bell_corrected(context: AppContext, alice: User, sent: Delivery) -> None:
    navigate = CHROME | {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "accept": "text/html,*/*"}
    edge = Edge()
    edge.hit(sent, "click", link=0, headers=navigate, after=600)
    ingest_hits(context, edge)
    settle(context)
    assert [line.kind for line in bell(context, alice)] == ["click"]
    edge.hit(sent, "click", link=1, headers=navigate, after=600.005)
    assert [e.klass for e in ingest_hits(context, edge)] == ["security_scanner"] * 2
    message = message_of(context)
    assert (message.clicks, message.opens, message.machine) == (0, 0, 2)
    assert [line.kind for line in bell(context, alice)] == ["corrected"]
    with context.database.reading() as session:
        versions = session.exec(
            select(VerdictRow.version).order_by(col(VerdictRow.event_id), col(VerdictRow.version))
        ).all()
    assert versions[:2] == [1, 2]


def test_repeats_of_one_reading_are_one_open(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    for moment in (600, 600.05, 600.1):
        edge.hit(sent, headers=GMAIL, client="66.249.84.33", after=moment)
    ingest_hits(context, edge)
    assert message_of(context).opens == 1
    assert [e.merged for e in events(context)] == [False, True, True]


def test_who_never_agreed_or_withdrew_leaves_no_trace(
    context: AppContext, people: People, alice: User, sent: Delivery
) -> None:
    edge = Edge()
    people.send(alice, "luc@client.example")
    send_all(context)
    with context.database.reading() as session:
        luc = session.exec(select(Delivery).where(Delivery.address == "luc@client.example")).one()
    edge.hit(luc)
    people.consent("anna@client.example", ConsentState.WITHDRAWN)
    edge.hit(sent)
    edge.hit(sent, "click", link=0)
    assert ingest_hits(context, edge) == []
    assert edge.confirmed == 3
    with context.database.reading() as session:
        assert session.exec(select(HitEvidence)).all() == []


def test_with_tracking_switched_off_nothing_more_is_kept(context: AppContext, sent: Delivery) -> None:
    with context.database.session_scope() as session:
        set_policy(session, Pack.OFF, "")
    edge = Edge()
    edge.hit(sent)
    assert ingest_hits(context, edge) == []


def test_evidence_is_sealed_and_goes_after_its_time(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, client="198.51.100.77")
    (event,) = ingest_hits(context, edge)
    with context.database.reading() as session:
        (evidence,) = session.exec(select(HitEvidence)).all()
    assert b"198.51.100.77" not in evidence.sealed
    assert "Chrome/156" not in json.dumps(event.reasons)
    assert timedelta(days=6) < evidence.expires_at - now() <= timedelta(days=7)
    with context.database.session_scope() as session:
        session.exec(update(HitEvidence).values(expires_at=now() - timedelta(seconds=1)))
    sweep(context)
    with context.database.reading() as session:
        assert session.exec(select(HitEvidence)).all() == []
    settle(context)
    assert message_of(context).opens == 1


def test_the_users_word_stands_against_every_rule(context: AppContext, alice: User, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent)
    (event,) = ingest_hits(context, edge)
    settle(context)
    with context.database.session_scope() as session:
        overrule(session, context, session.get_one(Event, event.id), session.get_one(User, alice.id), human=False)
    assert message_of(context).opens == 0
    assert [line.kind for line in bell(context, alice)] == ["corrected"]
    edge.hit(sent, after=5000)
    ingest_hits(context, edge)
    assert [e.counted for e in events(context)] == [False, True]
    with context.database.session_scope() as session:
        overrule(session, context, session.get_one(Event, event.id), session.get_one(User, alice.id), human=True)
    assert message_of(context).opens == 2


def test_a_hit_that_overtakes_our_note_of_the_250_has_no_negative_age(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, after=-2, headers=GMAIL, client="66.249.84.33")
    (event,) = ingest_hits(context, edge)
    assert event.klass == "mail_proxy"


def test_a_poisoned_hit_is_set_aside_the_line_goes_on_and_nothing_is_lost(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    good = edge.hit(sent)
    edge.hits[0] = replace(good, received_at=good.received_at.replace(tzinfo=None))
    edge.hit(sent, after=900)
    assert [e.hit for e in ingest_hits(context, edge)] == [2]
    assert edge.confirmed == 2
    with context.database.reading() as session:
        (quarantined,) = session.exec(select(QuarantinedHit)).all()
    assert (quarantined.hit, quarantined.problem) == (1, "TypeError")
    assert b"198." not in quarantined.sealed
    with context.database.session_scope() as session:
        session.exec(update(QuarantinedHit).values(try_at=now()))
    assert retry_quarantined(context) == 1  # read back from its sealed line, the time has its zone again
    assert {e.hit for e in events(context)} == {1, 2}
    with context.database.reading() as session:
        assert session.exec(select(QuarantinedHit)).all() == []


def test_a_hit_whose_key_was_lost_holds_up_no_other_that_was_set_aside(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    lost = edge.hit(sent)
    readable = edge.hit(sent, after=900)
    quarantine(context, "local", lost, "TypeError")
    quarantine(context, "local", readable, "TypeError")
    foreign = Keyring(("k9-of-another-house-0123456789-abcdefgh",))
    with context.database.session_scope() as session:
        sealed = foreign.encrypt(lost.to_json().encode(), f"aside:local:{lost.id}")
        session.exec(update(QuarantinedHit).where(col(QuarantinedHit.hit) == lost.id).values(sealed=sealed))
        session.exec(update(QuarantinedHit).values(try_at=now() - timedelta(minutes=1)))
    assert [retry_quarantined(context) for _ in range(3)] == [1, 1, 0], "each was tried once, then nothing is due"
    assert [e.hit for e in events(context)] == [readable.id]
    with context.database.reading() as session:
        (quarantined,) = session.exec(select(QuarantinedHit)).all()
    assert (quarantined.hit, quarantined.problem, quarantined.tries) == (lost.id, "Undecryptable", 2)
    assert quarantined.try_at > now()


def test_what_waits_longest_is_tried_first(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    for wait in (1, 3, 2):
        hit = edge.hit(sent, after=wait)
        quarantine(context, "local", hit, "TypeError")
        with context.database.session_scope() as session:
            due = now() - timedelta(minutes=wait)
            session.exec(update(QuarantinedHit).where(col(QuarantinedHit.hit) == hit.id).values(try_at=due))
    order = []
    while retry_quarantined(context):
        order += [e.hit for e in events(context) if e.hit not in order]
    assert order == [2, 3, 1]


def test_a_muted_message_counts_but_does_not_ring(context: AppContext, alice: User, sent: Delivery) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Message).values(muted=True))
    edge = Edge()
    edge.hit(sent)
    ingest_hits(context, edge)
    settle(context)
    assert (message_of(context).opens, bell(context, alice)) == (1, [])


def test_ten_opens_are_one_bell_line(context: AppContext, alice: User, sent: Delivery) -> None:
    edge = Edge()
    for number in range(10):
        edge.hit(sent, after=600 + 100 * number)
        ingest_hits(context, edge)
        settle(context)
    (line,) = bell(context, alice)
    assert (line.opens, line.count, line.read_at) == (10, 10, None)
