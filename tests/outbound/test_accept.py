"""Accepting a message: what is refused, what is queued, what can be taken back."""

from datetime import timedelta

import pytest
from sqlmodel import select

from tests.fixtures.contexts import HTML, People
from tests.servers import SmtpSink
from tracker.consent.preferences import set_policy
from tracker.consent.rules import ConsentState, Pack, Purpose
from tracker.mail.addresses import Address
from tracker.models import Attachment, Delivery, Message, MessageBody, Recipient, TrackedLink, User
from tracker.outbound.cancel import cancel
from tracker.outbound.draft import Draft, OutgoingFile, SendError
from tracker.outbound.policy import plan_policy
from tracker.outbound.queue import send_due
from tracker.outbound.send import enqueue_composed
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    alice = people.user()
    people.account(alice, smtp_sink)
    return alice


ANNA = (Address("anna@client.example", "Anna"),)


@pytest.mark.parametrize(
    ("draft", "field", "words"),
    [
        (Draft(html=HTML), "to", "Nobody to send to"),
        (Draft(to=(Address("anna@client,example"),), html=HTML), "to", "is not a domain"),
        (Draft(to=ANNA, cc=(Address("anna"),), html=HTML), "cc", "has no @"),
        (Draft(to=ANNA, subject="Offer\r\nBcc: eve@evil.example", html=HTML), "subject", "line break"),
        (Draft(to=ANNA, subject="x" * 501, html=HTML), "subject", "501 characters"),
        (Draft(to=ANNA, html="  "), "html", "is empty"),
        (Draft(to=tuple(Address(f"a{n}@client.example") for n in range(101)), html=HTML), "to", "101 recipients"),
        (Draft(to=ANNA, html="x" * (5 * 1024 * 1024 + 1)), "html", "larger than 5 MB"),
        (
            Draft(to=ANNA, html=HTML, attachments=(OutgoingFile("a.pdf", "application/pdf", bytes(30 * 1024 * 1024)),)),
            "attachments",
            "30 MB together; 25 MB",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_with_field_and_way_out(
    context: AppContext, alice: User, draft: Draft, field: str, words: str
) -> None:
    with pytest.raises(SendError) as refused, context.database.session_scope() as session:
        enqueue_composed(session, context, alice, draft)
    assert refused.value.field == field
    assert words in str(refused.value)
    with context.database.reading() as session:
        assert session.exec(select(Message)).all() == []
        assert session.exec(select(Recipient)).all() == []


def test_without_an_account_the_way_to_the_settings_is_named(context: AppContext, people: People) -> None:
    bob = people.user("Bob")
    with (
        pytest.raises(SendError, match="Connect your e-mail") as refused,
        context.database.session_scope() as session,
    ):
        enqueue_composed(session, context, bob, Draft(to=ANNA, html=HTML))
    assert refused.value.field == "account"


def test_somebody_elses_account_does_not_exist_for_me(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    bob = people.user("Bob")
    bobs = people.account(bob, smtp_sink)
    with pytest.raises(SendError, match="no longer connected"), context.database.session_scope() as session:
        enqueue_composed(session, context, alice, Draft(account_id=bobs.id, to=ANNA, html=HTML))


def test_a_person_named_twice_gets_one_copy(context: AppContext, people: People, alice: User) -> None:
    draft = Draft(to=ANNA, cc=(Address("Anna@Client.example"),), bcc=(Address("boss@client.example"),), html=HTML)
    with context.database.session_scope() as session:
        message = enqueue_composed(session, context, alice, draft)
    with context.database.reading() as session:
        rows = session.exec(select(Delivery).where(Delivery.message_id == message.id)).all()
        body = session.get_one(MessageBody, message.id)
    assert [(d.role, d.address) for d in rows] == [("to", "anna@client.example"), ("bcc", "boss@client.example")]
    assert body.raw is not None
    assert b"boss@client.example" not in body.raw


def test_an_empty_subject_and_text_only_are_fine_and_said_to_be_unmeasurable(
    context: AppContext, people: People, alice: User
) -> None:
    people.grant("anna@client.example")
    with context.database.session_scope() as session:
        message = enqueue_composed(session, context, alice, Draft(to=ANNA, text="Only words"))
    with context.database.reading() as session:
        row = session.exec(select(Delivery)).one()
    assert (row.opens_rule, row.clicks_rule, message.opens_tracked) == ("text_only", "text_only", 0)


def test_the_plan_says_who_and_why_without_writing_anything(context: AppContext, people: People, alice: User) -> None:
    people.grant("anna@client.example", Purpose.OPENS)
    people.consent("greta@client.example", ConsentState.REFUSED)
    everybody = (*(Address(f"{n}@client.example") for n in ("anna", "greta", "luc")), Address(alice.email))
    with context.database.reading() as session:
        planned = plan_policy(session, context, alice, Draft(to=everybody, html=HTML), None)
    assert [(p.opens.on, p.opens.rule, p.clicks.rule) for p in planned] == [
        (True, "granted", "unknown"),
        (False, "refused", "refused"),
        (False, "unknown", "unknown"),
        (False, "own_address", "own_address"),
    ]
    with context.database.reading() as session:
        assert len(session.exec(select(Recipient)).all()) == 2


def test_d17_more_recipients_than_can_have_copies_of_their_own_are_untracked(
    context: AppContext, people: People, alice: User
) -> None:
    for number in range(11):
        people.grant(f"a{number}@client.example")
    everybody = tuple(Address(f"a{number}@client.example") for number in range(11))
    with context.database.reading() as session:
        assert {p.opens.rule for p in plan_policy(session, context, alice, Draft(to=everybody, html=HTML), None)} == {
            "group_too_large"
        }


def test_policy_off_stops_everything_and_notice_stays_strict_for_the_unknown(
    context: AppContext, people: People, alice: User
) -> None:
    people.grant("anna@client.example")
    for pack, reason, rules in (
        (Pack.OFF, "", ["policy_off", "policy_off"]),
        (Pack.NOTICE, "only customers under contract", ["granted", "unknown"]),
    ):
        with context.database.session_scope() as session:
            set_policy(session, pack, reason)
        draft = Draft(to=(*ANNA, Address("luc@client.example")), html=HTML)
        with context.database.reading() as session:
            assert [p.opens.rule for p in plan_policy(session, context, alice, draft, None)] == rules


def test_links_are_listed_with_the_reason_where_left_alone(context: AppContext, people: People, alice: User) -> None:
    people.grant("anna@client.example")
    html = (
        '<a href="https://shop.example/a">one</a> <a href="https://shop.example/b">two</a>'
        '<a href="mailto:x@y.example">write</a> <a href="https://shop.example/c">https://shop.example/c</a>'
    )
    draft = Draft(to=ANNA, html=html, untracked_links=frozenset({"https://shop.example/b"}))
    with context.database.session_scope() as session:
        enqueue_composed(session, context, alice, draft)
    with context.database.reading() as session:
        links = session.exec(select(TrackedLink).order_by(TrackedLink.position)).all()  # type: ignore[arg-type]
    assert [(link.url, link.tracked, link.reason) for link in links] == [
        ("https://shop.example/a", True, None),
        ("https://shop.example/b", False, "refused"),
        ("mailto:x@y.example", False, "not_http"),
        ("https://shop.example/c", False, "text_is_url"),
    ]


def test_what_waits_can_be_taken_back_whole(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    file = OutgoingFile("offer.pdf", "application/pdf", b"%PDF-1.7 offer")
    with context.database.session_scope() as session:
        message = enqueue_composed(
            session, context, alice, Draft(to=ANNA, html=HTML, attachments=(file,), undo_seconds=30)
        )
    assert send_due(context) == 0
    with context.database.session_scope() as session:
        cancel(session, session.get_one(Message, message.id))
    assert send_due(context) == 0
    assert smtp_sink.accepted == []
    with context.database.reading() as session:
        row = session.get_one(Message, message.id)
        assert (row.state, session.exec(select(Delivery)).all()) == ("draft", [])
        assert session.exec(select(Attachment)).one().content == file.content
        assert "Anna <anna@client.example>" in session.get_one(MessageBody, message.id).recipients


def test_what_left_cannot_be_taken_back(context: AppContext, people: People, alice: User, smtp_sink: SmtpSink) -> None:
    message = people.send(alice, "anna@client.example")
    send_due(context)
    with context.database.session_scope() as session, pytest.raises(ActionError, match="Too late"):
        cancel(session, session.get_one(Message, message.id))
    with context.database.reading() as session:
        assert session.get_one(Message, message.id).state == "sent"


def test_a_scheduled_message_waits_for_its_time(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    later = now() + timedelta(hours=1)
    message = people.send(alice, "anna@client.example", send_at=later)
    assert (message.state, message.listed_at) == ("scheduled", later)
    assert send_due(context) == 0
    with context.database.session_scope() as session:
        for delivery in session.exec(select(Delivery)):
            delivery.next_try_at = now()
            session.add(delivery)
    assert send_due(context) == 1
    with context.database.reading() as session:
        assert session.get_one(Message, message.id).state == "sent"
