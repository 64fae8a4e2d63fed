"""Retention, restriction, correction, who looked: on both databases."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.engagement.edge_by_hand import Edge, bell, settle, take_in
from tests.houses import People
from tests.servers import SmtpSink
from tests.test_privacy_data import ANNA, a_life
from tracker.consent.ledger import broken_at, ledger
from tracker.consent.rules import Purpose, State
from tracker.models import Event, Message, Notification, Recipient, TrackedLink, TrackingView, User, Verdict
from tracker.privacy.periods import DEFAULTS, PeriodError, checked, periods, set_periods
from tracker.privacy.restrict import freeze, strike, unfreeze
from tracker.privacy.retention import preview, sweep
from tracker.privacy.views import note_message_view, note_view, views_of
from tracker.recipients import find
from tracker.runtime.context import House
from tracker.runtime.database import now


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    user = people.user()
    people.account(user, smtp_sink)
    return user


def counted(house: House) -> list[tuple[int, int]]:
    with house.database.reading() as session:
        return [(m.opens, m.clicks) for m in session.exec(select(Message).order_by(col(Message.id)))]


def events(house: House) -> list[Event]:
    with house.database.reading() as session:
        return list(session.exec(select(Event).order_by(col(Event.id))))


def grow_old(house: House, days: int) -> None:
    past = now() - timedelta(days=days)
    with house.database.session_scope() as session:
        session.exec(update(Event).values(at=past))
        session.exec(update(Notification).values(at=past))
        session.exec(update(TrackingView).values(day=past.date()))


def in_session(house: House, act: Callable[..., None], *about: object) -> None:
    with house.database.session_scope() as session:
        act(session, *about)


def anna_of(house: House) -> Recipient:
    with house.database.reading() as session:
        found = find(session, ANNA)
    assert found is not None
    return found


def test_hits_grow_coarser_and_the_counters_of_people_stay(house: House, people: People, alice: User) -> None:
    a_life(house, people, alice)
    before = counted(house)
    assert sum(map(sum, before)) > 2
    sweep(house)
    assert {event.summed for event in events(house)} == {0}
    grow_old(house, DEFAULTS["hits_days"] + 1)
    sweep(house)
    assert counted(house) == before
    assert {(e.summed, e.client, str(e.reasons), e.at.hour, e.at.second) for e in events(house)} == {
        (1, "", "[]", 0, 0)
    }
    with house.database.reading() as session:
        assert session.exec(select(Verdict)).all() == []
        assert sum(session.exec(select(TrackedLink.clicks)).all()) == sum(clicks for _, clicks in before)
    grow_old(house, DEFAULTS["summary_days"] + 1)
    sweep(house)
    assert {(event.summed, event.link) for event in events(house)} == {(2, None)}
    assert [(min(o, 1), min(c, 1)) for o, c in before] == counted(house)
    sweep(house)
    assert counted(house) == [(min(o, 1), min(c, 1)) for o, c in before]


def test_what_counted_as_nobody_goes(house: House, people: People, alice: User) -> None:
    a_life(house, people, alice)
    with house.database.session_scope() as session:
        session.exec(update(Event).values(counted=False, klass="security_scanner"))
    grow_old(house, 91)
    sweep(house)
    assert events(house) == []


def test_the_preview_counts_what_the_sweep_then_takes(house: House, people: People, alice: User) -> None:
    a_life(house, people, alice)
    note_view(house, alice, "recipient", [anna_of(house).id or 0])
    grow_old(house, 100)
    with house.database.reading() as session:
        found = preview(session, DEFAULTS, now())
        lines = len(session.exec(select(Notification)).all())
        short = preview(session, {**DEFAULTS, "views_days": 30}, now())
    assert found["hits_days"] == len(events(house)) > 0
    assert found["alerts_days"] == lines > 0
    assert (found["views_days"], short["views_days"]) == (0, 1)
    sweep(house)
    with house.database.reading() as session:
        assert not any(preview(session, DEFAULTS, now()).values())


def test_periods_go_down_only(house: House, alice: User) -> None:
    with pytest.raises(PeriodError) as wrong:
        checked({"hits_days": "91"})
    assert wrong.value.field == "hits_days"
    for text in ("0", "-1", "many", "", "1e1", "٣"):
        with pytest.raises(PeriodError):
            checked({"alerts_days": text})
    with pytest.raises(PeriodError):
        checked({"proof_days": "30"})
    in_session(house, set_periods, checked({"hits_days": "30"}), alice.id)
    with house.database.reading() as session:
        assert periods(session) == {**DEFAULTS, "hits_days": 30}


def test_words_of_a_consent_go_five_years_after_its_end_and_the_ledger_verifies(
    house: House, people: People, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.grant(ANNA, Purpose.OPENS)
    people.consent(ANNA, State.WITHDRAWN, Purpose.OPENS)
    monkeypatch.setattr("tracker.privacy.retention.now", lambda: now() + timedelta(days=DEFAULTS["proof_days"] - 1))
    sweep(house)
    anna = anna_of(house)
    with house.database.reading() as session:
        assert [entry.note for entry in ledger(session, anna)] == ["ticked both boxes"] * 2
    monkeypatch.setattr("tracker.privacy.retention.now", lambda: now() + timedelta(days=DEFAULTS["proof_days"] + 1))
    sweep(house)
    with house.database.reading() as session:
        granted, withdrawn = ledger(session, anna)
        assert (granted.note, granted.state) == ("", "granted")
        assert withdrawn.note, "the marker stays until it is superseded"
        assert broken_at(session, anna) is None


# --- restriction and correction


def test_frozen_nothing_is_shown_counted_or_kept_and_thawed_it_is_back(
    house: House, people: People, alice: User
) -> None:
    copies = a_life(house, people, alice)
    before, known = counted(house), len(events(house))
    in_session(house, freeze, anna_of(house))
    assert counted(house) == [(0, 0), (0, 0)]
    assert bell(house, alice) == []
    edge = Edge()
    edge.hit(copies[0], after=9000)
    take_in(house, edge)
    assert len(events(house)) == known
    in_session(house, unfreeze, anna_of(house))
    assert counted(house) == before
    assert anna_of(house).never_track, "measured again only when somebody says so"


def test_what_was_somebody_else_is_struck_with_a_note(house: House, people: People, alice: User) -> None:
    a_life(house, people, alice)
    first = next(event for event in events(house) if event.counted and event.kind == "click")
    before = sum(clicks for _, clicks in counted(house))
    in_session(house, strike, first, "  my assistant\nread it ", None)
    assert sum(clicks for _, clicks in counted(house)) == before - 1
    with house.database.reading() as session:
        verdict = session.exec(select(Verdict).order_by(col(Verdict.id).desc())).first()
        struck = session.get_one(Event, first.id)
    assert verdict is not None
    assert verdict.reasons == [{"code": "struck", "values": {"note": "my assistant read it"}}]
    assert (struck.counted, struck.overruled) == (False, True)
    settle(house)
    assert sum(clicks for _, clicks in counted(house)) == before - 1


def test_who_looked_is_noted_once_a_day(house: House, people: People, alice: User) -> None:
    copies = a_life(house, people, alice)
    bob = people.user("Bob")
    with house.database.reading() as session:
        message = session.get_one(Message, copies[0].message_id)
    for user in (alice, alice, bob):
        note_message_view(house, user, message)
    note_message_view(house, alice, Message(id=99, user_id=alice.id or 0, message_id="<x@example.com>"))
    with house.database.reading() as session:
        assert [(what, who) for _, what, who in views_of(session, anna_of(house))] == [
            ("message", "Alice"),
            ("message", "Bob"),
        ]
