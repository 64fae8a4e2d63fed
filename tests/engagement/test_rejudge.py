"""Judging again what is held: by night, by command, and without touching what a person said or what has expired."""

import os
from datetime import timedelta

import pytest
from sqlmodel import col, delete, select, update

from tests.engagement.edge_by_hand import PAGE, Edge, events, ingest_hits, message_of
from tests.servers.forked_python import run_python
from tracker.engagement.rejudge import overrule, rejudge_held, rejudge_nightly
from tracker.models import Delivery, Event, HitEvidence, Job, User, Verdict
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


@pytest.fixture
def misjudged(context: AppContext, sent: Delivery) -> Event:
    """A person's click that rules of another day called a scanner's."""
    edge = Edge()
    edge.hit(sent, "click", link=0, headers=PAGE)
    (event,) = ingest_hits(context, edge)
    with context.database.session_scope() as session:
        session.exec(update(Event).values(klass="security_scanner", counted=False, reasons=[], settle_at=None))
        session.exec(update(Verdict).values(klass="security_scanner", reasons=[]))
        session.exec(update(Delivery).values(clicks=0, opens=0))
    return event


def test_what_is_held_is_judged_by_the_rules_of_today(context: AppContext, misjudged: Event) -> None:
    assert rejudge_held(context) == 1
    assert [(e.klass, e.counted) for e in events(context)] == [("human", True)]
    assert message_of(context).clicks == 1
    assert rejudge_held(context) == 0
    with context.database.reading() as session:
        assert session.exec(select(Verdict.version)).all() == [1, 2]


def test_only_the_last_days_when_asked(context: AppContext, misjudged: Event) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Event).values(at=now() - timedelta(days=3)))
    assert rejudge_held(context, days=2) == 0
    assert rejudge_held(context, days=4) == 1


def test_a_users_word_and_what_has_no_evidence_stay(context: AppContext, alice: User, misjudged: Event) -> None:
    with context.database.session_scope() as session:
        overrule(session, context, session.get_one(Event, misjudged.id), session.get_one(User, alice.id), human=False)
    assert rejudge_held(context) == 0
    with context.database.session_scope() as session:
        session.exec(update(Event).values(overruled=False))
        session.exec(delete(HitEvidence))
    assert rejudge_held(context) == 0


def test_once_a_night_whoever_comes_first(context: AppContext, misjudged: Event) -> None:
    rejudge_nightly(context)
    assert [e.klass for e in events(context)] == ["security_scanner"], "the first look only sets the date"
    with context.database.session_scope() as session:
        session.exec(update(Job).values(due_at=now() - timedelta(minutes=1)))
    rejudge_nightly(context)
    assert [e.klass for e in events(context)] == ["human"]
    with context.database.reading() as session:
        (due,) = session.exec(select(Job.due_at).where(col(Job.name) == "judge again")).all()
    assert due > now() + timedelta(hours=23)


def test_the_command(context: AppContext, misjudged: Event) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("INKLING_")}
    environ |= {
        "INKLING_DATA_DIR": str(context.settings.data_dir),
        "INKLING_DATABASE_URL": context.settings.database_url,
        "INKLING_WINDOW_SCALE": "0.01",
    }
    done = run_python(["-m", "tracker", "rejudge", "--since", "7"], env=environ, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 verdict changed.\n", "")
    assert [e.klass for e in events(context)] == ["human"]


@pytest.mark.parametrize("days", ["0", "-1", "week"])
def test_a_wrong_number_of_days_is_refused(days: str) -> None:
    assert run_python(["-m", "tracker", "rejudge", "--since", days]).returncode == 2
