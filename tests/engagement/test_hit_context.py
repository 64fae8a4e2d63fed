"""What the product knows around a hit: the sender's own places, colleagues, providers."""

from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.engagement.edge_by_hand import GMAIL, Edge, ingest_hits, message_of, send_to
from tests.fixtures.contexts import People
from tracker.engagement.source_digests import network_digest, scanner_digest, source_digest
from tracker.models import Account, Delivery, User, UserSession
from tracker.privacy.retention import sweep
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

OFFICE = "203.0.113.20"


def sign_in(context: AppContext, user: User, address: str, ago: timedelta = timedelta()) -> None:
    assert user.id is not None
    moment = now() - ago
    with context.database.session_scope() as session:
        visit = UserSession(user_id=user.id, token_digest=address, seen_at=moment, expires_at=now() + timedelta(days=1))
        visit.address_digest = network_digest(context, address)
        session.add(visit)


@pytest.mark.parametrize(
    ("signed_in_at", "hit_from", "klass"),
    [
        (OFFICE, OFFICE, "sender_self"),
        ("2001:db8:5:6::1", "2001:db8:5:6:ffff::9", "sender_self"),
        ("2001:db8:5:6::1", "2001:db8:5:7::1", "human"),
        (OFFICE, "203.0.113.21", "human"),
        ("127.0.0.1", "127.0.0.1", "human"),
        ("172.17.0.1", "172.17.0.1", "human"),
        ("not an address", "not an address", "human"),
    ],
)
def test_who_reads_where_the_sender_is_signed_in_is_the_sender(
    context: AppContext, alice: User, sent: Delivery, signed_in_at: str, hit_from: str, klass: str
) -> None:
    sign_in(context, alice, signed_in_at)
    edge = Edge()
    edge.hit(sent, client=hit_from)
    assert [e.klass for e in ingest_hits(context, edge)] == [klass]


def test_a_sign_in_of_yesterday_or_of_somebody_else_says_nothing(
    context: AppContext, people: People, alice: User, sent: Delivery
) -> None:
    sign_in(context, alice, OFFICE, ago=timedelta(hours=7))
    sign_in(context, people.user("Bob"), "203.0.113.30")
    edge = Edge()
    edge.hit(sent, client=OFFICE)
    edge.hit(sent, client="203.0.113.30", after=700)
    assert [e.klass for e in ingest_hits(context, edge)] == ["human", "human"]


def test_colleagues_share_the_office_address_and_are_readers(context: AppContext, people: People, alice: User) -> None:
    bob = people.user("Bob")
    with context.database.session_scope() as session:
        session.exec(update(User).where(col(User.id) == bob.id).values(email="bob@elsewhere.example"))
    neighbour = f"carol@{alice.email.partition('@')[2]}"
    copies = send_to(context, people, alice, "bob@elsewhere.example", neighbour)
    sign_in(context, alice, OFFICE)
    edge = Edge()
    for copy in copies:
        edge.hit(copy, client=OFFICE)
    assert {e.klass for e in ingest_hits(context, edge)} == {"human"}


def test_gmails_proxy_for_a_recipient_elsewhere_may_be_the_sender(context: AppContext, sent: Delivery) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Account).values(preset="gmail"))
        session.exec(update(Delivery).values(mx_family="microsoft"))
    edge = Edge()
    edge.hit(sent, headers=GMAIL, client="66.249.84.33")
    (event,) = ingest_hits(context, edge)
    assert (event.klass, event.reasons[0]["code"]) == ("sender_self", "maybe_you")
    assert message_of(context).opens == 0


def test_digests_of_one_address_cannot_be_joined(context: AppContext) -> None:
    today = now().date()
    digests = {
        network_digest(context, OFFICE),
        scanner_digest(context, OFFICE),
        source_digest(context, OFFICE, today),
        source_digest(context, OFFICE, today - timedelta(days=1)),
    }
    assert len(digests) == 4
    assert None not in digests


def test_where_somebody_signed_in_is_forgotten_after_a_day(context: AppContext, alice: User) -> None:
    sign_in(context, alice, OFFICE)
    sign_in(context, alice, "203.0.113.99", ago=timedelta(hours=25))
    sweep(context)
    with context.database.reading() as session:
        digests = session.exec(select(UserSession.address_digest).order_by(col(UserSession.seen_at).desc())).all()
    assert [digest is not None for digest in digests] == [True, False]
