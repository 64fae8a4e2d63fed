"""Retention, restriction, correction, who looked: on both databases."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.engagement.edge_by_hand import Edge, bell, ingest_hits, settle
from tests.fixtures.contexts import People
from tests.privacy.test_privacy_data import ANNA, a_life
from tests.servers import SmtpSink
from tracker.consent.ledger import broken_at, ledger
from tracker.consent.rules import ConsentState, Purpose
from tracker.models import Event, Message, Notification, Recipient, TrackedLink, TrackingView, User, Verdict
from tracker.privacy.periods import DEFAULTS, PeriodError, checked, periods, set_periods
from tracker.privacy.restrict import mark_not_recipient, restrict, unrestrict
from tracker.privacy.retention import preview, sweep
from tracker.privacy.views import note_message_view, note_view, views_of
from tracker.recipients import find
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    user = people.user()
    people.account(user, smtp_sink)
    return user


def counted(context: AppContext) -> list[tuple[int, int]]:
    with context.database.reading() as session:
        return [(m.opens, m.clicks) for m in session.exec(select(Message).order_by(col(Message.id)))]


def events(context: AppContext) -> list[Event]:
    with context.database.reading() as session:
        return list(session.exec(select(Event).order_by(col(Event.id))))


def grow_old(context: AppContext, days: int) -> None:
    past = now() - timedelta(days=days)
    with context.database.session_scope() as session:
        session.exec(update(Event).values(at=past))
        session.exec(update(Notification).values(at=past))
        session.exec(update(TrackingView).values(day=past.date()))


def in_session(context: AppContext, act: Callable[..., None], *about: object) -> None:
    with context.database.session_scope() as session:
        act(session, *about)


def anna_of(context: AppContext) -> Recipient:
    with context.database.reading() as session:
        recipient = find(session, ANNA)
    assert recipient is not None
    return recipient


def test_hits_grow_coarser_and_the_counters_of_people_stay(context: AppContext, people: People, alice: User) -> None:
    a_life(context, people, alice)
    before = counted(context)
    assert sum(map(sum, before)) > 2
    sweep(context)
    assert {event.summed for event in events(context)} == {0}
    grow_old(context, DEFAULTS["hits_days"] + 1)
    sweep(context)
    assert counted(context) == before
    assert {(e.summed, e.client, str(e.reasons), e.at.hour, e.at.second) for e in events(context)} == {
        (1, "", "[]", 0, 0)
    }
    with context.database.reading() as session:
        assert session.exec(select(Verdict)).all() == []
        assert sum(session.exec(select(TrackedLink.clicks)).all()) == sum(clicks for _, clicks in before)
    grow_old(context, DEFAULTS["summary_days"] + 1)
    sweep(context)
    assert {(event.summed, event.link) for event in events(context)} == {(2, None)}
    assert [(min(o, 1), min(c, 1)) for o, c in before] == counted(context)
    sweep(context)
    assert counted(context) == [(min(o, 1), min(c, 1)) for o, c in before]


def test_what_counted_as_nobody_goes(context: AppContext, people: People, alice: User) -> None:
    a_life(context, people, alice)
    with context.database.session_scope() as session:
        session.exec(update(Event).values(counted=False, klass="security_scanner"))
    grow_old(context, 91)
    sweep(context)
    assert events(context) == []


def test_the_preview_counts_what_the_sweep_then_takes(context: AppContext, people: People, alice: User) -> None:
    a_life(context, people, alice)
    note_view(context, alice, "recipient", [anna_of(context).id or 0])
    grow_old(context, 100)
    with context.database.reading() as session:
        counts = preview(session, DEFAULTS, now())
        lines = len(session.exec(select(Notification)).all())
        short = preview(session, {**DEFAULTS, "views_days": 30}, now())
    assert counts["hits_days"] == len(events(context)) > 0
    assert counts["alerts_days"] == lines > 0
    assert (counts["views_days"], short["views_days"]) == (0, 1)
    sweep(context)
    with context.database.reading() as session:
        assert not any(preview(session, DEFAULTS, now()).values())


def test_periods_go_down_only(context: AppContext, alice: User) -> None:
    with pytest.raises(PeriodError) as wrong:
        checked({"hits_days": "91"})
    assert wrong.value.field == "hits_days"
    for text in ("0", "-1", "many", "", "1e1", "٣"):
        with pytest.raises(PeriodError):
            checked({"alerts_days": text})
    with pytest.raises(PeriodError):
        checked({"proof_days": "30"})
    in_session(context, set_periods, checked({"hits_days": "30"}), alice.id)
    with context.database.reading() as session:
        assert periods(session) == {**DEFAULTS, "hits_days": 30}


def test_words_of_a_consent_go_five_years_after_its_end_and_the_ledger_verifies(
    context: AppContext, people: People, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.grant(ANNA, Purpose.OPENS)
    people.consent(ANNA, ConsentState.WITHDRAWN, Purpose.OPENS)
    monkeypatch.setattr("tracker.privacy.retention.now", lambda: now() + timedelta(days=DEFAULTS["proof_days"] - 1))
    sweep(context)
    anna = anna_of(context)
    with context.database.reading() as session:
        assert [entry.note for entry in ledger(session, anna)] == ["ticked both boxes"] * 2
    monkeypatch.setattr("tracker.privacy.retention.now", lambda: now() + timedelta(days=DEFAULTS["proof_days"] + 1))
    sweep(context)
    with context.database.reading() as session:
        granted, withdrawn = ledger(session, anna)
        assert (granted.note, granted.state) == ("", "granted")
        assert withdrawn.note, "the marker stays until it is superseded"
        assert broken_at(session, anna) is None


# --- restriction and correction


def test_frozen_nothing_is_shown_counted_or_kept_and_thawed_it_is_back(
    context: AppContext, people: People, alice: User
) -> None:
    copies = a_life(context, people, alice)
    before, known = counted(context), len(events(context))
    in_session(context, restrict, anna_of(context))
    assert counted(context) == [(0, 0), (0, 0)]
    assert bell(context, alice) == []
    edge = Edge()
    edge.hit(copies[0], after=9000)
    ingest_hits(context, edge)
    assert len(events(context)) == known
    in_session(context, unrestrict, anna_of(context))
    assert counted(context) == before
    assert anna_of(context).never_track, "measured again only when somebody says so"


def test_what_was_somebody_else_is_struck_with_a_note(context: AppContext, people: People, alice: User) -> None:
    a_life(context, people, alice)
    first = next(event for event in events(context) if event.counted and event.kind == "click")
    before = sum(clicks for _, clicks in counted(context))
    in_session(context, mark_not_recipient, first, "  my assistant\nread it ")
    assert sum(clicks for _, clicks in counted(context)) == before - 1
    with context.database.reading() as session:
        verdict = session.exec(select(Verdict).order_by(col(Verdict.id).desc())).first()
        struck = session.get_one(Event, first.id)
    assert verdict is not None
    assert verdict.reasons == [{"code": "struck", "values": {"note": "my assistant read it"}}]
    assert (struck.counted, struck.overruled) == (False, True)
    settle(context)
    assert sum(clicks for _, clicks in counted(context)) == before - 1


def test_who_looked_is_noted_once_a_day(context: AppContext, people: People, alice: User) -> None:
    copies = a_life(context, people, alice)
    bob = people.user("Bob")
    with context.database.reading() as session:
        message = session.get_one(Message, copies[0].message_id)
    for user in (alice, alice, bob):
        note_message_view(context, user, message)
    note_message_view(context, alice, Message(id=99, user_id=alice.id or 0, message_id="<x@example.com>"))
    with context.database.reading() as session:
        assert [(what, who) for _, what, who in views_of(session, anna_of(context))] == [
            ("message", "Alice"),
            ("message", "Bob"),
        ]
