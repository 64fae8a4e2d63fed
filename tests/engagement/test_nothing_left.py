"""After the evidence time no table, no file, no log line and no bell line holds an address or a user agent."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select as columns
from sqlmodel import SQLModel, col, select, update

from tests.engagement.edge_by_hand import CHROME, GMAIL, PAGE, Edge, ingest_hits, send_to, settle
from tests.engagement.reverse_zone import ReverseZone, served
from tests.fixtures.contexts import People
from tracker.engagement.ingest import retry_quarantined
from tracker.engagement.rejudge import overrule, rejudge_held
from tracker.engagement.reverse_dns import ReverseDns
from tracker.engagement.reverse_names import ReverseNames
from tracker.engagement.scanner_reputation import learn_scanners
from tracker.models import Event, HitEvidence, QuarantinedHit, User
from tracker.privacy.retention import sweep
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

READERS = ("93.184.10.7", "203.0.113.66", "64.235.150.9", "2001:db8:77:5::19")
MARK = "Chrome/156.0.0.0"
NAME = "outbound.ess.barracuda.com"
SEALED = {("hit_evidence", "sealed"), ("hit_aside", "sealed")}


def traces(context: AppContext, *, sealed: bool) -> list[str]:
    """Where in the database an address, a user agent or a reverse name can be read; and whether sealed rows are left."""
    places = []
    with context.database.reading() as session:
        for table in SQLModel.metadata.tables.values():
            for row in session.connection().execute(columns(*table.columns)).mappings():
                places += [f"{table.name}.{name}" for name, value in row.items() if _tells(value)]
                places += [f"{table.name}.{name}" for name in row if sealed and (table.name, name) in SEALED]
    return sorted(set(places))


def _tells(value: object) -> bool:
    shown = value if isinstance(value, bytes) else str(value).encode()
    return any(word.encode() in shown for word in (*READERS, MARK, "2001:db8:77:5", NAME, "Windows NT 10.0"))


def live(context: AppContext, people: People, alice: User) -> None:
    """Everything that can happen to hits: people, machines, crowds, look-ups, trouble, corrections."""
    copies = send_to(context, people, alice, "anna@one.example", "luc@two.example", "eva@three.example")
    edge = Edge()
    for number, copy in enumerate(copies):
        edge.hit(copy, client=READERS[0], after=600 + 100 * number)
        edge.hit(copy, "click", link=0, client=READERS[1], after=2000 + 0.1 * number)
        edge.hit(copy, "click", link=1, client=READERS[1], after=2000.002 + 0.1 * number)
        edge.hit(copy, "click", link=0, client=READERS[2], headers=PAGE, after=4000 + 100 * number)
        edge.hit(copy, client=READERS[3], headers=CHROME, after=6000 + 100 * number)
        edge.hit(copy, headers=GMAIL, client="66.249.84.33", after=7000 + 100 * number)
    poisoned = edge.hit(copies[0], after=9000)
    edge.hits[-1] = replace(poisoned, received_at=poisoned.received_at.replace(tzinfo=None))
    ingest_hits(context, edge)
    settle(context)
    learn_scanners(context)
    with served(ReverseZone({READERS[2]: NAME}, {NAME: READERS[2]})) as zone:
        with_dns = replace(context, name_server=zone.address)
        look_up = ReverseDns(ReverseNames(with_dns))
        while look_up(with_dns):
            pass
    with context.database.session_scope() as session:
        first = session.exec(select(Event).where(col(Event.kind) == "open")).first()
        assert first is not None
        overrule(session, context, first, session.get_one(User, alice.id), human=False)
    rejudge_held(context)
    settle(context)


def test_nothing_tells_who_it_was_once_the_evidence_is_gone(
    context: AppContext, people: People, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        live(context, people, alice)
        assert traces(context, sealed=False) == [], "in the open, even before the evidence time is over"
        assert traces(context, sealed=True) == ["hit_aside.sealed", "hit_evidence.sealed"]
        with context.database.session_scope() as session:
            past = now() - timedelta(seconds=1)
            session.exec(update(HitEvidence).values(expires_at=past, at=now() - timedelta(days=8)))
            session.exec(update(QuarantinedHit).values(expires_at=past))
        sweep(context)
        retry_quarantined(context)
        settle(context)
        rejudge_held(context)
    assert traces(context, sealed=True) == []
    assert not [line for line in caplog.messages if _tells(line)]
    assert not _tells(caplog.text)


def test_no_file_of_the_data_folder_tells_who_it_was(context: AppContext, people: People, alice: User) -> None:
    live(context, people, alice)
    files = [path for path in context.settings.data_dir.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if _tells(path.read_bytes())] == []


def test_no_sealed_byte_is_left_in_the_files_either(context: AppContext, people: People, alice: User) -> None:
    """Sealed evidence opens with keys that stay: so it must leave free pages and the write-ahead file as well."""
    if not context.database.is_sqlite:
        pytest.skip("PostgreSQL's files are its own; it vacuums by itself")
    live(context, people, alice)
    with context.database.reading() as session:
        sealed = [*session.exec(select(HitEvidence.sealed)), *session.exec(select(QuarantinedHit.sealed))]
    telling = [bytes(blob)[20:44] for blob in sealed]
    assert files_that_hold(context, telling), "they are there before"
    with context.database.session_scope() as session:
        past = now() - timedelta(seconds=1)
        session.exec(update(HitEvidence).values(expires_at=past))
        session.exec(update(QuarantinedHit).values(expires_at=past))
    sweep(context)
    assert files_that_hold(context, telling) == []


def files_that_hold(context: AppContext, telling: list[bytes]) -> list[str]:
    files = [path for path in context.settings.data_dir.rglob("*") if path.is_file()]
    return [path.name for path in files if any(part in path.read_bytes() for part in telling)]
