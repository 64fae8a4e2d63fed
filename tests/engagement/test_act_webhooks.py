"""Webhooks hear of every act of a person once, and of every verdict that is revised after they heard of it."""

import json
from typing import Any

from sqlmodel import col, select, update

from tests.engagement.edge_by_hand import APPLE, PAGE, Edge, events, ingest_hits, settle
from tests.fixtures.contexts import People
from tracker.engagement.rejudge import overrule, rejudge_held
from tracker.models import Delivery, Event, Message, User, Verdict, WebhookDelivery, WebhookEndpoint, WebhookEvent
from tracker.runtime.context import AppContext

KINDS = ("message.opened", "message.clicked", "verdict.corrected")


def connect(context: AppContext, user: User, *kinds: str) -> WebhookEndpoint:
    with context.database.session_scope() as session:
        wanted = list(kinds or KINDS)
        endpoint = WebhookEndpoint(user_id=user.id or 0, url="https://hook.example", kinds=wanted, secret=b"")
        session.add(endpoint)
    return endpoint


def heard(context: AppContext, endpoint: WebhookEndpoint) -> list[tuple[str, dict[str, Any]]]:
    query = select(WebhookEvent).join(WebhookDelivery, col(WebhookDelivery.event_id) == col(WebhookEvent.id))
    with context.database.reading() as session:
        rows = session.exec(query.where(WebhookDelivery.endpoint_id == endpoint.id).order_by(col(WebhookEvent.id)))
        return [(row.kind, json.loads(row.body)["data"]) for row in rows]


def test_an_act_of_a_person_is_told_once_when_it_has_settled(context: AppContext, alice: User, sent: Delivery) -> None:
    hook, opens_only = connect(context, alice), connect(context, alice, "message.opened")
    edge = Edge()
    edge.hit(sent, headers=APPLE, client="104.28.30.10", after=300)  # Apple's prefetch is no person
    edge.hit(sent, after=600)
    edge.hit(sent, "click", link=0, headers=PAGE, after=700)
    ingest_hits(context, edge)
    assert heard(context, hook) == []
    settle(context)
    acts = heard(context, hook)
    assert [kind for kind, _ in acts] == ["message.opened", "message.clicked"]
    opened, clicked = (data for _, data in acts)
    _prefetch, open_event, click_event = events(context)
    assert (opened["event"], clicked["event"]) == (open_event.public_id, click_event.public_id)
    assert (opened["address"], opened["class"], opened["url"]) == ("anna@client.example", "human", None)
    assert clicked["url"].startswith("https://")
    assert opened["at"] == open_event.at.isoformat().replace("+00:00", "Z")
    settle(context)
    ingest_hits(context, edge)
    settle(context)
    assert len(heard(context, hook)) == 2
    assert [kind for kind, _ in heard(context, opens_only)] == ["message.opened"]


def test_what_turns_out_to_be_a_machine_s_is_corrected_with_a_greater_version(
    context: AppContext, alice: User, sent: Delivery
) -> None:
    hook = connect(context, alice)
    edge = Edge()
    edge.hit(sent, "click", link=0, after=600)
    ingest_hits(context, edge)
    settle(context)
    for link in range(1, 5):
        edge.hit(sent, "click", link=link, after=600 + 0.001 * link)
    ingest_hits(context, edge)
    settle(context)
    acts = heard(context, hook)
    assert [kind for kind, _ in acts] == ["message.clicked", "verdict.corrected"], (
        "the other four never were a person's"
    )
    (_, clicked), (_, corrected) = acts
    assert (corrected["event"], corrected["class"], corrected["counted"]) == (
        clicked["event"],
        "security_scanner",
        False,
    )
    assert corrected["version"] > clicked["version"]


def test_a_verdict_that_changes_before_it_was_told_is_no_correction(
    context: AppContext, alice: User, sent: Delivery
) -> None:
    hook = connect(context, alice)
    edge = Edge()
    for link in range(5):
        edge.hit(sent, "click", link=link, after=600 + 0.001 * link)
        ingest_hits(context, edge)
    settle(context)
    assert heard(context, hook) == []


def test_what_the_user_says_and_what_is_judged_again_are_corrections(
    context: AppContext, alice: User, sent: Delivery
) -> None:
    hook = connect(context, alice)
    edge = Edge()
    edge.hit(sent, after=600)
    ingest_hits(context, edge)
    settle(context)
    for human in (False, False, True):
        with context.database.session_scope() as session:
            overrule(session, context, session.exec(select(Event)).one(), session.get_one(User, alice.id), human)
    acts = [(kind, data.get("counted"), data["version"]) for kind, data in heard(context, hook)]
    assert acts == [
        ("message.opened", None, acts[0][2]),
        ("verdict.corrected", False, acts[0][2] + 1),
        ("verdict.corrected", True, acts[0][2] + 3),
    ]
    with context.database.session_scope() as session:
        session.exec(update(Event).values(klass="security_scanner", counted=False, reasons=[], overruled=False))
        session.exec(update(Verdict).values(klass="security_scanner", reasons=[]))
    assert rejudge_held(context) == 1
    assert [data.get("counted") for _, data in heard(context, hook)] == [None, False, True, True]


def test_nobody_else_hears_of_it_and_a_message_that_is_muted_is_still_told_to_programs(
    context: AppContext, people: People, alice: User, sent: Delivery
) -> None:
    hook, other = connect(context, alice), connect(context, people.user("Bob"))
    with context.database.session_scope() as session:
        session.exec(update(Message).values(muted=True))
    edge = Edge()
    edge.hit(sent, after=600)
    ingest_hits(context, edge)
    settle(context)
    assert [kind for kind, _ in heard(context, hook)] == ["message.opened"]
    assert heard(context, other) == []
