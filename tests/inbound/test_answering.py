"""Answers to our mail: the right message, the right copy, the event, the counters, the reminder, the bell. Traps K4, K5, K8, K9."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tests.inbound.arrivals import Arrivals, connected
from tests.inbound.corpus import raw, simple
from tests.servers import SmtpSink
from tracker.models import Delivery, Event, Letter, Message, Notice, Notification, User
from tracker.outbound.queue import send_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

ANNA, BORIS = "anna@client.example", "boris@client.example"


@pytest.fixture(name="sent")
def sent_message(context: AppContext, people: People, alice: User, smtp_sink: SmtpSink) -> Message:
    """A message to Anna and Boris that has left; Anna agreed to tracking."""
    people.account(alice, smtp_sink)
    people.grant(ANNA)
    message = people.send(alice, ANNA, BORIS, follow_up_days=3)
    while send_due(context):
        pass
    return fresh(context, message)


def fresh(context: AppContext, message: Message) -> Message:
    with context.database.reading() as session:
        return session.get_one(Message, message.id)


def copy_to(context: AppContext, message: Message, address: str) -> Delivery:
    with context.database.reading() as session:
        wanted = select(Delivery).where(Delivery.message_id == message.id, Delivery.address == address)
        return session.exec(wanted).one()


def events(context: AppContext, message: Message) -> list[Event]:
    with context.database.reading() as session:
        return list(session.exec(select(Event).where(Event.message_id == message.id).order_by(Event.id)))  # type: ignore[arg-type]


def lines(context: AppContext, user: User) -> list[Notification]:
    with context.database.reading() as session:
        return list(session.exec(select(Notification).where(Notification.user_id == user.id)))


def answer(message: Message, *fields: str, sender: str = ANNA, body: str = "Yes, please!") -> bytes:
    return simple("Subject: Re: Offer 12", f"In-Reply-To: {message.message_id}", *fields, sender=sender, body=body)


def arrive(inbox: Arrivals, octets: bytes, **facts: Any) -> Letter:
    return inbox.arrive(octets, internal_date=now(), fetched_at=now(), **facts)


def test_a_reply_marks_message_and_copy_and_rings(
    context: AppContext, inbox: Arrivals, sent: Message, alice: User
) -> None:
    assert sent.follow_up_at is not None
    letter = arrive(inbox, answer(sent))
    anna = copy_to(context, sent, ANNA)
    assert (letter.in_reply_to_message_id, letter.delivery_id, letter.reply_rule) == (sent.id, anna.id, "message_id")
    assert letter.thread == sent.thread
    after = fresh(context, sent)
    assert (after.replies, after.bounces, after.follow_up_at) == (1, 0, None)
    assert after.last_activity_at == letter.received_at
    (event,) = events(context, sent)
    assert (event.kind, event.delivery_id, event.klass, event.counted) == ("reply", anna.id, "human", True)
    (line,) = lines(context, alice)
    assert (line.kind, line.delivery_id, line.message_id, line.count) == ("reply", anna.id, sent.id, 1)


def test_g31_a_reply_is_one_inferred_open_of_a_copy_that_may_be_measured(
    context: AppContext, inbox: Arrivals, sent: Message
) -> None:
    letter = arrive(inbox, answer(sent))
    anna = copy_to(context, sent, ANNA)
    assert (anna.opens, anna.first_opened_at) == (1, letter.received_at)
    assert fresh(context, sent).opens == 1
    arrive(inbox, answer(sent, sender=BORIS))
    assert copy_to(context, sent, BORIS).opens == 0
    assert fresh(context, sent).replies == 2


def test_a_second_reply_makes_the_same_line_grow(
    context: AppContext, inbox: Arrivals, sent: Message, alice: User
) -> None:
    arrive(inbox, answer(sent))
    arrive(inbox, answer(sent, body="And chairs?"))
    (line,) = lines(context, alice)
    assert line.count == 2
    assert fresh(context, sent).replies == 2


def test_a_reply_to_our_mail_is_not_told_twice(context: AppContext, inbox: Arrivals, sent: Message) -> None:
    assert arrive(inbox, answer(sent)).counted
    with context.database.reading() as session:
        assert session.exec(select(Notice)).all() == []


def test_the_same_reply_in_two_mailboxes_is_one_reply(
    context: AppContext, inbox: Arrivals, sent: Message, alice: User
) -> None:
    other = connected(context, alice, "sales@site.example")
    octets = answer(sent, "Message-ID: <r1@client.example>")
    arrive(inbox, octets)
    assert arrive(other, octets).in_reply_to_message_id == sent.id
    assert fresh(context, sent).replies == 1


def test_references_count_from_the_last(context: AppContext, inbox: Arrivals, sent: Message) -> None:
    octets = simple(f"References: {sent.message_id} <x@client.example>", "In-Reply-To: <x@client.example>")
    assert arrive(inbox, octets).in_reply_to_message_id == sent.id


def test_k8_a_forged_id_is_not_believed(context: AppContext, inbox: Arrivals, sent: Message) -> None:
    forged = re.sub(r"-[0-9a-f]{16}@", "-0123456789abcdef@", sent.message_id)
    assert forged != sent.message_id
    letter = arrive(inbox, simple(f"In-Reply-To: {forged}"))
    assert letter.in_reply_to_message_id is None
    assert fresh(context, sent).replies == 0


def test_a_message_id_of_a_mail_program_is_taken_as_it_is(context: AppContext, inbox: Arrivals, sent: Message) -> None:
    with context.database.session_scope() as session:
        row = session.get_one(Message, sent.id)
        row.message_id = "<CAF-17@mail.seller.example>"
        session.add(row)
    assert arrive(inbox, simple("In-Reply-To: <CAF-17@mail.seller.example>")).in_reply_to_message_id == sent.id


def test_k9_a_rewritten_id_is_found_by_the_tokens_in_the_quotation(
    context: AppContext, inbox: Arrivals, sent: Message
) -> None:
    anna = copy_to(context, sent, ANNA)
    html = f'<p>Yes</p><blockquote><a href="{context.click_url(anna.public_id, 0, "https://shop.example/")}">x</a></blockquote>'
    fields = ("In-Reply-To: <rewritten@provider.example>", "Content-Type: text/html")
    letter = arrive(inbox, simple(*fields, body=html, sender="carl@client.example"))
    assert (letter.in_reply_to_message_id, letter.delivery_id, letter.reply_rule) == (sent.id, anna.id, "quoted_token")
    arrive(inbox, simple(*fields, body=html + "<p>Anna</p>"))
    assert fresh(context, sent).replies == 1


def test_somebody_elses_answer_is_told_as_such_and_does_not_count(
    context: AppContext, inbox: Arrivals, sent: Message, alice: User
) -> None:
    letter = arrive(inbox, answer(sent, sender="Carl <carl@client.example>"))
    assert "sender_differs" in letter.flags
    after = fresh(context, sent)
    assert (after.replies, after.opens) == (0, 0)
    assert after.follow_up_at is not None
    (event,) = events(context, sent)
    assert (event.kind, event.counted, event.reasons[0]["code"]) == ("reply", False, "answered_by_other")
    (line,) = lines(context, alice)
    assert line.kind == "answered"
    assert "Carl" in line.detail


def test_a_subject_links_and_never_marks(context: AppContext, inbox: Arrivals, sent: Message, alice: User) -> None:
    letter = arrive(inbox, simple("Subject: Re: Offer 12"))
    assert (letter.in_reply_to_message_id, letter.reply_rule) == (sent.id, "subject")
    assert fresh(context, sent).replies == 0
    assert events(context, sent) == []
    assert lines(context, alice) == []


@pytest.mark.parametrize(
    "fields",
    [("Subject: Offer 12",), ("Subject: Re: Offer 13",), ("Subject: Fwd: Offer 12",)],
    ids=["no-re", "other", "fwd"],
)
def test_other_subjects_link_nothing(inbox: Arrivals, sent: Message, fields: tuple[str, ...]) -> None:
    assert arrive(inbox, simple(*fields)).in_reply_to_message_id is None


def test_a_subject_is_believed_for_thirty_days_and_of_recipients_alone(inbox: Arrivals, sent: Message) -> None:
    late = now() + timedelta(days=31)
    octets = simple("Subject: Re: Offer 12")
    assert inbox.arrive(octets, internal_date=late, fetched_at=late).in_reply_to_message_id is None
    stranger = simple("Subject: Re: Offer 12", sender="eve@other.example")
    assert arrive(inbox, stranger).in_reply_to_message_id is None


def test_a_subject_links_from_the_second_on_in_which_the_message_left(
    context: AppContext, inbox: Arrivals, sent: Message
) -> None:
    left = fresh(context, sent).listed_at.replace(microsecond=0)
    for seconds, answered in ((-1, None), (0, sent.id)):
        octets = simple("Subject: Re: Offer 12", body=f"{seconds}")
        came = left + timedelta(seconds=seconds)
        assert inbox.arrive(octets, internal_date=came, fetched_at=now()).in_reply_to_message_id == answered


def test_k4_an_automatic_reply_attaches_and_marks_nothing(
    context: AppContext, inbox: Arrivals, sent: Message, alice: User
) -> None:
    letter = arrive(inbox, answer(sent, "Auto-Submitted: auto-replied"))
    assert letter.delivery_id == copy_to(context, sent, ANNA).id
    after = fresh(context, sent)
    assert (after.replies, after.opens) == (0, 0)
    assert after.follow_up_at is not None
    assert [(event.kind, event.counted) for event in events(context, sent)] == [("auto_reply", False)]
    assert lines(context, alice) == []


def test_k5_a_report_marks_the_copies_that_failed(
    context: AppContext, inbox: Arrivals, sent: Message, alice: User
) -> None:
    report = raw("k05-two-recipients-failed-and-delayed").replace(
        b"m-abc@seller.example", sent.message_id.encode()[1:-1]
    )
    report = report.replace(b"gone@buyer.example", ANNA.encode()).replace(b"slow@buyer.example", BORIS.encode())
    letter = arrive(inbox, report)
    assert letter.category == "bounce"
    assert fresh(context, sent).bounces == 1
    outcomes = {event.delivery_id: (event.kind, event.counted) for event in events(context, sent)}
    assert outcomes[copy_to(context, sent, ANNA).id] == ("bounce", True)
    assert outcomes[copy_to(context, sent, BORIS).id] == ("bounce", False)
    (line,) = lines(context, alice)
    assert (line.kind, line.detail) == ("bounce", "550 5.1.1 no such user")
    assert (line.delivery_id, fresh(context, sent).replies) == (copy_to(context, sent, ANNA).id, 0)


def test_k6_a_report_without_the_original_is_stored_alone(context: AppContext, inbox: Arrivals, sent: Message) -> None:
    letter = arrive(inbox, raw("k06-report-without-original"))
    assert (letter.category, letter.in_reply_to_message_id) == ("bounce", None)
    assert fresh(context, sent).bounces == 0


def test_one_person_cannot_mark_anothers_mail(context: AppContext, people: People, sent: Message) -> None:
    bob = people.user("Bob")
    letter = arrive(connected(context, bob, "bob@site.example"), answer(sent))
    assert letter.in_reply_to_message_id is None
    assert fresh(context, sent).replies == 0


def test_what_is_muted_does_not_ring(context: AppContext, inbox: Arrivals, sent: Message, alice: User) -> None:
    with context.database.session_scope() as session:
        row = session.get_one(Message, sent.id)
        row.muted = True
        session.add(row)
    arrive(inbox, answer(sent))
    assert lines(context, alice) == []
    assert fresh(context, sent).replies == 1


def test_letters_of_a_rebuilt_server_count_as_replies_without_ringing(
    context: AppContext, inbox: Arrivals, sent: Message, alice: User
) -> None:
    arrive(inbox, answer(sent), recovered=True)
    assert fresh(context, sent).replies == 1
    assert lines(context, alice) == []


@pytest.mark.parametrize(
    ("fields", "category", "kind", "replies"),
    [
        (["List-Unsubscribe: <https://crm.example/u/1>"], "human", "reply", 1),
        (["List-Id: <team.client.example>", "Precedence: list"], "human", "reply", 1),
        (["Auto-Submitted: auto-generated", "X-Mailer: Zendesk Mailer"], "auto_generated", "auto_reply", 0),
        (["Precedence: bulk"], "auto_reply", "auto_reply", 0),
        (["Return-Path: <>"], "auto_reply", "auto_reply", 0),
        (["X-Autogenerated: Reply"], "auto_reply", "auto_reply", 0),
        (["Content-Type: text/vnd.google.email-reaction+json"], "reaction", "reaction", 0),
    ],
)
def test_a_genuine_id_ties_a_letter_whatever_else_it_bears(
    context: AppContext, inbox: Arrivals, sent: Message, fields: list[str], category: str, kind: str, replies: int
) -> None:
    letter = arrive(inbox, answer(sent, *fields))
    assert (letter.category, letter.in_reply_to_message_id) == (category, sent.id)
    assert [event.kind for event in events(context, sent)] == [kind]
    after = fresh(context, sent)
    assert (after.replies, after.follow_up_at is None) == (replies, replies == 1)


def test_list_fields_without_a_genuine_id_are_a_newsletter(inbox: Arrivals, sent: Message) -> None:
    forged = re.sub(r"-[0-9a-f]{16}@", "-0123456789abcdef@", sent.message_id)
    letter = arrive(inbox, simple(f"In-Reply-To: {forged}", "List-Unsubscribe: <https://crm.example/u/1>"))
    assert (letter.category, letter.in_reply_to_message_id) == ("bulk", None)


def test_a_read_receipt_is_shown_with_its_message_and_is_no_event(
    context: AppContext, inbox: Arrivals, sent: Message
) -> None:
    disposition = f"Content-Type: message/disposition-notification\r\n\r\nOriginal-Message-ID: {sent.message_id}\r\n"
    kind = "Content-Type: multipart/report; report-type=disposition-notification; boundary=b"
    letter = arrive(inbox, simple(kind, body=f"--b\r\n\r\nIt was read.\r\n--b\r\n{disposition}--b--", sender=ANNA))
    assert (letter.category, letter.in_reply_to_message_id) == ("mdn", sent.id)
    assert events(context, sent) == []


def test_a_complaint_is_told_as_what_it_is(context: AppContext, inbox: Arrivals, sent: Message, alice: User) -> None:
    feedback = f"Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nOriginal-Rcpt-To: <{ANNA}>\r\n"
    original = f"Content-Type: message/rfc822\r\n\r\nMessage-ID: {sent.message_id}\r\nTo: x\r\n\r\nhi\r\n"
    kind = "Content-Type: multipart/report; report-type=feedback-report; boundary=b"
    letter = arrive(
        inbox,
        simple(kind, body=f"--b\r\n\r\nSpam!\r\n--b\r\n{feedback}\r\n--b\r\n{original}--b--", sender="fbl@p.example"),
    )
    anna = copy_to(context, sent, ANNA)
    assert (letter.category, letter.in_reply_to_message_id, letter.delivery_id) == ("complaint", sent.id, anna.id)
    (event,) = events(context, sent)
    assert (event.kind, event.delivery_id) == ("complaint", anna.id)
    assert [(line.kind, line.delivery_id) for line in lines(context, alice)] == [("complaint", anna.id)]
    assert (fresh(context, sent).bounces, letter.counted) == (0, False)


QMAIL = (
    "Hi. This is the qmail-send program at mx.\r\n\r\n<{}>:\r\n550 5.1.1 no such user\r\n\r\n"
    "--- Below this line is a copy of the message.\r\n\r\n"
)


@pytest.mark.parametrize(
    ("fields", "body", "bounces"),
    [
        ([], QMAIL.format(BORIS) + "Message-ID: {id}\r\nTo: x\r\n\r\nhi", 1),
        (["X-Failed-Recipients: " + BORIS], "Message not delivered, its id was {id}", 1),
        (["In-Reply-To: {id}"], QMAIL.format(BORIS), 1),
        ([], QMAIL.format(BORIS), 0),
        ([], f"Warning: {BORIS} has not yet been delivered, will keep trying.\r\n\r\n{{id}}", 0),
    ],
)
def test_a_bounce_for_people_marks_the_copy_it_names(
    context: AppContext, inbox: Arrivals, sent: Message, fields: list[str], body: str, bounces: int
) -> None:
    octets = simple(
        "Return-Path: <>",
        "Subject: failure notice",
        *(field.format(id=sent.message_id) for field in fields),
        body=body.replace("{id}", sent.message_id),
        sender="MAILER-DAEMON@mx.example",
    )
    letter = arrive(inbox, octets)
    assert letter.category == "bounce"
    assert fresh(context, sent).bounces == bounces
    boris = copy_to(context, sent, BORIS)
    assert {event.delivery_id for event in events(context, sent)} <= {boris.id}


def test_our_own_words_quoted_never_pause_tracking(
    context: AppContext, inbox: Arrivals, sent: Message, alice: User
) -> None:
    head = "<div>нд, 29 лист. 2026 р. Ann пише:</div>"
    quoted = f'<div class="gmail_quote">{head}<blockquote>Please do not track me</blockquote></div>'
    octets = answer(sent, "Content-Type: text/html; charset=utf-8", body=f"<div>Thanks, we take 15.</div>{quoted}")
    arrive(inbox, octets)
    assert [line.kind for line in lines(context, alice)] == ["reply"]
