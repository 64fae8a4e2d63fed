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
    message_of,
    send_all,
    settle,
    take_in,
)
from tests.houses import People
from tracker.consent.preferences import set_policy
from tracker.consent.rules import Pack, State
from tracker.engagement.ingest import retry_aside, set_aside
from tracker.engagement.overrule import overrule
from tracker.models import Delivery, DrainCursor, Event, HitAside, HitEvidence, Message, User
from tracker.models import Verdict as VerdictRow
from tracker.privacy.retention import sweep
from tracker.runtime.context import House
from tracker.runtime.database import now
from tracker.runtime.keyring import KeyRing


def test_a_person_counts_and_rings_only_after_settling(house: House, alice: User, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent)
    (event,) = take_in(house, edge)
    assert (event.klass, event.counted, message_of(house).opens) == ("human", True, 1)
    assert bell(house, alice) == []
    settle(house)
    (line,) = bell(house, alice)
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
    house: House, alice: User, sent: Delivery, headers: dict[str, str], client: str, klass: str, counts: bool
) -> None:
    edge = Edge()
    edge.hit(sent, headers=headers, client=client, after=1.0)
    (event,) = take_in(house, edge)
    settle(house)
    message = message_of(house)
    assert event.klass == klass
    assert (message.opens, message.machine) == ((1, 0) if counts else (0, 1))
    assert len(bell(house, alice)) == (1 if counts else 0)


def test_the_same_hit_read_twice_is_one_event(house: House, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent)
    take_in(house, edge)
    with house.database.session_scope() as session:
        session.delete(session.get_one(DrainCursor, "local"))
    assert len(take_in(house, edge)) == 1
    with house.database.reading() as session:
        assert session.exec(select(HitAside)).all() == []


def test_the_senders_own_browser_never_counts(house: House, alice: User, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, self_user=alice.public_id)
    edge.hit(sent, "click", link=0, self_user=alice.public_id, after=700)
    assert [(e.klass, e.counted) for e in take_in(house, edge)] == [("sender_self", False)] * 2
    settle(house)
    message = message_of(house)
    assert (message.opens, message.clicks, message.machine, bell(house, alice)) == (0, 0, 0, [])


def test_a_click_without_an_open_tells_of_one_open(house: House, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, headers=CHROME | {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate"})
    take_in(house, edge)
    message = message_of(house)
    assert (message.opens, message.clicks) == (1, 1)


def test_a_burst_is_taken_back_and_the_bell_corrected(house: House, alice: User, sent: Delivery) -> None:
    navigate = CHROME | {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "accept": "text/html,*/*"}
    edge = Edge()
    edge.hit(sent, "click", link=0, headers=navigate, after=600)
    take_in(house, edge)
    settle(house)
    assert [line.kind for line in bell(house, alice)] == ["click"]
    edge.hit(sent, "click", link=1, headers=navigate, after=600.005)
    assert [e.klass for e in take_in(house, edge)] == ["security_scanner"] * 2
    message = message_of(house)
    assert (message.clicks, message.opens, message.machine) == (0, 0, 2)
    assert [line.kind for line in bell(house, alice)] == ["corrected"]
    with house.database.reading() as session:
        versions = session.exec(
            select(VerdictRow.version).order_by(col(VerdictRow.event_id), col(VerdictRow.version))
        ).all()
    assert versions[:2] == [1, 2]


def test_repeats_of_one_reading_are_one_open(house: House, sent: Delivery) -> None:
    edge = Edge()
    for moment in (600, 600.05, 600.1):
        edge.hit(sent, headers=GMAIL, client="66.249.84.33", after=moment)
    take_in(house, edge)
    assert message_of(house).opens == 1
    assert [e.merged for e in events(house)] == [False, True, True]


def test_who_never_agreed_or_withdrew_leaves_no_trace(
    house: House, people: People, alice: User, sent: Delivery
) -> None:
    edge = Edge()
    people.send(alice, "luc@client.example")
    send_all(house)
    with house.database.reading() as session:
        luc = session.exec(select(Delivery).where(Delivery.address == "luc@client.example")).one()
    edge.hit(luc)
    people.consent("anna@client.example", State.WITHDRAWN)
    edge.hit(sent)
    edge.hit(sent, "click", link=0)
    assert take_in(house, edge) == []
    assert edge.confirmed == 3
    with house.database.reading() as session:
        assert session.exec(select(HitEvidence)).all() == []


def test_with_tracking_switched_off_nothing_more_is_kept(house: House, sent: Delivery) -> None:
    with house.database.session_scope() as session:
        set_policy(session, Pack.OFF, "")
    edge = Edge()
    edge.hit(sent)
    assert take_in(house, edge) == []


def test_evidence_is_sealed_and_goes_after_its_time(house: House, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, client="198.51.100.77")
    (event,) = take_in(house, edge)
    with house.database.reading() as session:
        (evidence,) = session.exec(select(HitEvidence)).all()
    assert b"198.51.100.77" not in evidence.sealed
    assert "Chrome/156" not in json.dumps(event.reasons)
    assert timedelta(days=6) < evidence.expires_at - now() <= timedelta(days=7)
    with house.database.session_scope() as session:
        session.exec(update(HitEvidence).values(expires_at=now() - timedelta(seconds=1)))
    sweep(house)
    with house.database.reading() as session:
        assert session.exec(select(HitEvidence)).all() == []
    settle(house)
    assert message_of(house).opens == 1


def test_the_users_word_stands_against_every_rule(house: House, alice: User, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent)
    (event,) = take_in(house, edge)
    settle(house)
    with house.database.session_scope() as session:
        overrule(session, house, session.get_one(Event, event.id), session.get_one(User, alice.id), human=False)
    assert message_of(house).opens == 0
    assert [line.kind for line in bell(house, alice)] == ["corrected"]
    edge.hit(sent, after=5000)
    take_in(house, edge)
    assert [e.counted for e in events(house)] == [False, True]
    with house.database.session_scope() as session:
        overrule(session, house, session.get_one(Event, event.id), session.get_one(User, alice.id), human=True)
    assert message_of(house).opens == 2


def test_a_hit_that_overtakes_our_note_of_the_250_has_no_negative_age(house: House, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, after=-2, headers=GMAIL, client="66.249.84.33")
    (event,) = take_in(house, edge)
    assert event.klass == "mail_proxy"


def test_a_poisoned_hit_is_set_aside_the_line_goes_on_and_nothing_is_lost(house: House, sent: Delivery) -> None:
    edge = Edge()
    good = edge.hit(sent)
    edge.hits[0] = replace(good, received_at=good.received_at.replace(tzinfo=None))
    edge.hit(sent, after=900)
    assert [e.hit for e in take_in(house, edge)] == [2]
    assert edge.confirmed == 2
    with house.database.reading() as session:
        (aside,) = session.exec(select(HitAside)).all()
    assert (aside.hit, aside.problem) == (1, "TypeError")
    assert b"198." not in aside.sealed
    with house.database.session_scope() as session:
        session.exec(update(HitAside).values(try_at=now()))
    assert retry_aside(house) == 1  # read back from its sealed line, the time has its zone again
    assert {e.hit for e in events(house)} == {1, 2}
    with house.database.reading() as session:
        assert session.exec(select(HitAside)).all() == []


def test_a_hit_whose_key_was_lost_holds_up_no_other_that_was_set_aside(house: House, sent: Delivery) -> None:
    edge = Edge()
    lost = edge.hit(sent)
    readable = edge.hit(sent, after=900)
    set_aside(house, "local", lost, "TypeError")
    set_aside(house, "local", readable, "TypeError")
    foreign = KeyRing(("k9-of-another-house-0123456789-abcdefgh",))
    with house.database.session_scope() as session:
        sealed = foreign.encrypt(lost.to_json().encode(), f"aside:local:{lost.id}")
        session.exec(update(HitAside).where(col(HitAside.hit) == lost.id).values(sealed=sealed))
        session.exec(update(HitAside).values(try_at=now() - timedelta(minutes=1)))
    assert [retry_aside(house) for _ in range(3)] == [1, 1, 0], "each was tried once, then nothing is due"
    assert [e.hit for e in events(house)] == [readable.id]
    with house.database.reading() as session:
        (aside,) = session.exec(select(HitAside)).all()
    assert (aside.hit, aside.problem, aside.tries) == (lost.id, "Undecryptable", 2)
    assert aside.try_at > now()


def test_what_waits_longest_is_tried_first(house: House, sent: Delivery) -> None:
    edge = Edge()
    for wait in (1, 3, 2):
        hit = edge.hit(sent, after=wait)
        set_aside(house, "local", hit, "TypeError")
        with house.database.session_scope() as session:
            due = now() - timedelta(minutes=wait)
            session.exec(update(HitAside).where(col(HitAside.hit) == hit.id).values(try_at=due))
    order = []
    while retry_aside(house):
        order += [e.hit for e in events(house) if e.hit not in order]
    assert order == [2, 3, 1]


def test_a_muted_message_counts_but_does_not_ring(house: House, alice: User, sent: Delivery) -> None:
    with house.database.session_scope() as session:
        session.exec(update(Message).values(muted=True))
    edge = Edge()
    edge.hit(sent)
    take_in(house, edge)
    settle(house)
    assert (message_of(house).opens, bell(house, alice)) == (1, [])


def test_ten_opens_are_one_bell_line(house: House, alice: User, sent: Delivery) -> None:
    edge = Edge()
    for number in range(10):
        edge.hit(sent, after=600 + 100 * number)
        take_in(house, edge)
        settle(house)
    (line,) = bell(house, alice)
    assert (line.opens, line.count, line.read_at) == (10, 10, None)
