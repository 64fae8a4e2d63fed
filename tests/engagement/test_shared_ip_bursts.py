"""One address and many recipients: crowds at once, and networks that are learned over three messages."""

from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.engagement.edge_by_hand import CHROME, Edge, bell, events, ingest_hits, send_to, settle
from tests.fixtures.contexts import People
from tracker.engagement.rejudge import overrule, rejudge_held
from tracker.engagement.scanner_reputation import learn_scanners
from tracker.models import Delivery, Event, HitEvidence, ScannerNetwork, ScannerProof, User, Verdict
from tracker.privacy.retention import sweep
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

SCANNER = "203.0.113.66"
# the window of 60 s is 0.6 s in these contexts
STEP = 0.1


@pytest.fixture
def copies(context: AppContext, people: People, alice: User) -> list[Delivery]:
    addresses = ("anna@one.example", "luc@two.example", "eva@three.example", "ole@four.example")
    return send_to(context, people, alice, *addresses)


def hit_all(
    edges: list[Edge], copies: list[Delivery], address: str = SCANNER, step: float = STEP, after: float = 600
) -> None:
    """One after the other on one clock, whenever each copy was handed over; the edges take turns."""
    first = copies[0].accepted_at
    for number, copy in enumerate(copies):
        assert first is not None
        assert copy.accepted_at is not None
        later = (copy.accepted_at - first).total_seconds()
        edges[number % len(edges)].hit(copy, client=address, after=after + step * number - later)


def klasses(context: AppContext) -> list[str]:
    return [event.klass for event in events(context)]


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "one by one"])
def test_one_address_for_many_recipients_is_a_scanner_from_its_first_hit_on(
    context: AppContext, alice: User, copies: list[Delivery], at_once: bool
) -> None:
    edges = [Edge()] if at_once else [Edge(name=f"https://edge{number}.example") for number in range(3)]
    hit_all(edges, copies[:3])
    for edge in edges:
        ingest_hits(context, edge)
    assert klasses(context) == ["security_scanner"] * 3
    settle(context)
    assert bell(context, alice) == []


def test_lines_that_rang_for_a_crowd_are_corrected_and_the_verdict_names_who_showed_it(
    context: AppContext, alice: User, copies: list[Delivery]
) -> None:
    edges = [Edge(name=f"https://edge{number}.example") for number in range(3)]
    hit_all(edges, copies[:3])
    ingest_hits(context, edges[0])
    ingest_hits(context, edges[1])
    settle(context)
    assert [line.kind for line in bell(context, alice)] == ["open", "open"]
    ingest_hits(context, edges[2])
    assert klasses(context) == ["security_scanner"] * 3
    assert {line.kind for line in bell(context, alice)} == {"corrected"}
    newest = events(context)[-1].public_id
    with context.database.reading() as session:
        second = session.exec(select(Verdict).where(Verdict.version == 2)).all()
    assert {verdict.trigger for verdict in second} == {newest}
    assert rejudge_held(context) == 0, "judged again, the crowd must still be known"


def test_two_recipients_slow_ones_one_company_and_private_addresses_are_no_crowd(
    context: AppContext, people: People, alice: User, copies: list[Delivery]
) -> None:
    office = send_to(context, people, alice, "a@office.example", "b@office.example", "c@office.example")
    edge = Edge()
    hit_all([edge], copies[:2], "203.0.113.1")
    hit_all([edge], copies, "203.0.113.2", step=0.7, after=700)
    hit_all([edge], office, "203.0.113.3", after=800)
    hit_all([edge], copies, "10.0.0.7", after=900)
    hit_all([edge], copies, "", after=1000)
    ingest_hits(context, edge)
    assert set(klasses(context)) == {"human"}


def burst(edge: Edge, copy: Delivery, address: str = SCANNER, after: float = 600) -> None:
    edge.hit(copy, "click", link=0, client=address, after=after)
    edge.hit(copy, "click", link=1, client=address, after=after + 0.002)


def learn_from(context: AppContext, copies: list[Delivery], address: str = SCANNER) -> None:
    edge = Edge(name=f"https://lesson{len(events(context))}.example")
    for number, copy in enumerate(copies):
        burst(edge, copy, address, after=600 + 100 * number)
    ingest_hits(context, edge)
    settle(context)


def newest_klass(context: AppContext, copy: Delivery, address: str = SCANNER) -> str:
    edge = Edge(name=f"https://question{len(events(context))}.example")
    edge.hit(copy, client=address, after=5000, headers=CHROME)
    return ingest_hits(context, edge)[-1].klass


def test_a_network_is_believed_to_be_a_scanner_after_three_messages(
    context: AppContext, copies: list[Delivery]
) -> None:
    learn_from(context, copies[:2])
    assert learn_scanners(context) == 0
    assert newest_klass(context, copies[3], "203.0.113.67") == "human"
    learn_from(context, copies[2:3])
    assert learn_scanners(context) == 1
    assert newest_klass(context, copies[3]) == "security_scanner"
    assert newest_klass(context, copies[3], "203.0.113.68") == "human"


def test_a_network_where_a_person_was_seen_is_never_believed(context: AppContext, copies: list[Delivery]) -> None:
    assert newest_klass(context, copies[3]) == "human"
    settle(context)
    learn_from(context, copies[:3])
    learn_scanners(context)
    assert newest_klass(context, copies[2]) != "security_scanner" or believed(context) == []
    assert believed(context) == []


def test_the_users_word_for_a_person_unlearns_a_network(
    context: AppContext, alice: User, copies: list[Delivery]
) -> None:
    learn_from(context, copies[:3])
    learn_scanners(context)
    assert newest_klass(context, copies[3]) == "security_scanner"
    with context.database.session_scope() as session:
        wrong = session.exec(select(Event).order_by(col(Event.id).desc())).first()
        assert wrong is not None
        overrule(session, context, wrong, session.get_one(User, alice.id), human=True)
    assert believed(context) == []


def believed(context: AppContext) -> list[str]:
    with context.database.reading() as session:
        rows = session.exec(select(ScannerNetwork)).all()
    return [row.digest for row in rows if row.checked_at is not None and row.person_at is None]


def test_what_was_learned_grows_old(context: AppContext, copies: list[Delivery]) -> None:
    learn_from(context, copies[:3])
    learn_scanners(context)
    assert len(believed(context)) == 1
    with context.database.session_scope() as session:
        first = session.exec(select(ScannerProof)).first()
        assert first is not None
        first.at = now() - timedelta(days=31)
        session.add(first)
    sweep(context)
    assert believed(context) == []
    with context.database.session_scope() as session:
        session.exec(update(ScannerNetwork).values(expires_at=now() - timedelta(seconds=1)))
    sweep(context)
    with context.database.reading() as session:
        assert session.exec(select(ScannerNetwork)).all() == []
        assert session.exec(select(ScannerProof)).all() == []


def test_nothing_is_remembered_of_networks_without_proof(context: AppContext, copies: list[Delivery]) -> None:
    edge = Edge()
    edge.hit(copies[0])
    edge.hit(copies[1], client="209.222.82.7")
    ingest_hits(context, edge)
    settle(context)
    with context.database.reading() as session:
        assert session.exec(select(ScannerNetwork)).all() == []


def test_the_digest_of_a_source_lives_for_a_day(context: AppContext, copies: list[Delivery]) -> None:
    edge = Edge()
    edge.hit(copies[0])
    edge.hit(copies[1], after=-25 * 3600)
    ingest_hits(context, edge)
    sweep(context)
    with context.database.reading() as session:
        sources = session.exec(select(HitEvidence.source).order_by(col(HitEvidence.at))).all()
    assert [source is not None for source in sources] == [False, True]
