"""Notices: told once each, in the bell and where needed by mail, never into a mailbox we read, never taken for a letter."""

from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from sqlmodel import col, select, update

from tests.fixtures.contexts import People
from tests.servers import SmtpSink, smtp_sink
from tests.web.letters_world import Came, make_mailbox, receive
from tracker.inbound.accept import accept
from tracker.inbound.fetch.fetched_letter import FetchedLetter, LetterLocation
from tracker.models import Letter, Mailbox, MailboxFolder, MailboxProblem, Notice, Notification, User
from tracker.notifications.notice_digest import add_due, next_due
from tracker.notifications.notices import MOST_TRIES, tell_due
from tracker.notifications.notify import add_notice
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import LocalizedText


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    """Has an account that works."""
    alice = people.user("Alice")
    people.account(alice, smtp_sink, state="works")
    return alice


def write(context: AppContext, event: str, mailbox: Mailbox, user: User | None = None, **facts: Any) -> Notice:
    with context.database.session_scope() as session:
        person = user.id if user and user.id else mailbox.user_id
        add_notice(session, event, f"mailbox:{mailbox.id}", person, mailbox.id, facts=facts)
    return notices(context)[-1]


def tell_all(context: AppContext) -> None:
    while tell_due(context):
        pass


def notices(context: AppContext) -> list[Notice]:
    with context.database.reading() as session:
        return list(session.exec(select(Notice).order_by(col(Notice.id))))


def bell(context: AppContext, user: User) -> list[str]:
    with context.database.reading() as session:
        mine = select(Notification).where(Notification.user_id == user.id).order_by(col(Notification.id))
        return [f"{line.kind}: {line.detail or line.subject}" for line in session.exec(mine)]


def test_a_new_enquiry_rings_once_and_is_not_mailed(context: AppContext, alice: User, smtp_sink: SmtpSink) -> None:
    box = make_mailbox(context, alice)
    (letter,) = receive(context, box, Came("Chairs"))
    with context.database.session_scope() as session:
        session.add(
            Notice(
                event="letter",
                subject=f"letter:{letter.id}",
                user_id=box.user_id,
                mailbox_id=box.id,
                letter_id=letter.id,
            )
        )
    tell_all(context)
    tell_all(context)
    assert bell(context, alice) == [f"enquiry: letter:{letter.id}"]
    assert smtp_sink.accepted == []


def test_what_was_read_before_it_was_told_does_not_ring(context: AppContext, alice: User) -> None:
    box = make_mailbox(context, alice)
    (letter,) = receive(context, box, Came("Chairs", columns={"read_at": now()}))
    with context.database.session_scope() as session:
        session.add(Notice(event="letter", subject="x", user_id=box.user_id, mailbox_id=box.id, letter_id=letter.id))
    tell_all(context)
    assert bell(context, alice) == []


def test_a_broken_mailbox_is_told_in_the_bell_and_by_mail(
    context: AppContext, alice: User, smtp_sink: SmtpSink
) -> None:
    reason = LocalizedText(
        "%(host)s did not answer within %(seconds)s seconds. Check host and port.", host="imap.x", seconds=8
    )
    box = make_mailbox(context, alice, state="connection_error", state_detail=reason)
    write(context, "broken", box)
    tell_all(context)
    assert bell(context, alice) == ["problem: The mailbox info@shop.example cannot be read any more"]
    (mail,) = smtp_sink.wait_for(1)
    letter = message_from_bytes(mail.content, policy=default)
    assert list(mail.recipients) == [alice.email]
    assert letter["Subject"] == "The mailbox info@shop.example cannot be read any more"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["X-Loop"]
    body = letter.get_body(("plain",))
    assert body is not None
    assert "imap.x did not answer" in body.get_content()
    assert f"/mailboxes/{box.public_id}" in body.get_content()
    assert b"<img" not in mail.content
    tell_all(context)
    assert len(smtp_sink.accepted) == 1


def test_it_speaks_the_persons_language(context: AppContext, alice: User, smtp_sink: SmtpSink) -> None:
    with context.database.session_scope() as session:
        row = session.get_one(User, alice.id)
        row.locale = "ru"
        session.add(row)
    write(context, "recovered", make_mailbox(context, alice))
    tell_all(context)
    (mail,) = smtp_sink.wait_for(1)
    assert message_from_bytes(mail.content, policy=default)["Subject"] == "Ящик info@shop.example снова читается"


def test_without_an_account_that_works_the_bell_is_all(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    bob = people.user("Bob")
    write(context, "broken", make_mailbox(context, bob))
    tell_all(context)
    assert len(bell(context, bob)) == 1
    assert notices(context)[0].sent_at is not None


def test_never_to_an_address_that_is_itself_a_connected_mailbox(
    context: AppContext, alice: User, smtp_sink: SmtpSink
) -> None:
    make_mailbox(context, alice, alice.email)
    write(context, "broken", make_mailbox(context, alice))
    tell_all(context)
    assert len(bell(context, alice)) == 1
    assert smtp_sink.accepted == []


def test_k12_a_notice_that_comes_back_in_is_dropped(context: AppContext, alice: User, smtp_sink: SmtpSink) -> None:
    box = make_mailbox(context, alice)
    write(context, "broken", box)
    tell_all(context)
    (mail,) = smtp_sink.wait_for(1)
    with context.database.session_scope() as session:
        folder = MailboxFolder(mailbox_id=box.id or 0, raw_name="INBOX", name="INBOX", cut_off=now())
        session.add(folder)
        session.flush()
        fetched = FetchedLetter(
            place=LetterLocation(folder.id or 0, 1, 1), content=mail.content, path=None, size=len(mail.content),
            internal_date=now(), fetched_at=now(),
        )  # fmt: skip
        done = accept(session, context, session.get_one(Mailbox, box.id), fetched)
    assert done.outcome == "dropped"
    with context.database.reading() as session:
        assert session.exec(select(Letter)).all() == []


def test_a_server_that_is_away_gets_it_later_and_the_bell_does_not_ring_again(
    context: AppContext, people: People
) -> None:
    with smtp_sink() as sink:
        carol = people.user("Carol")
        people.account(carol, sink, state="works")
    write(context, "broken", make_mailbox(context, carol))
    tell_all(context)
    (notice,) = notices(context)
    assert (notice.sent_at, notice.tries) == (None, 1)
    assert notice.due_at > now() + timedelta(minutes=5)
    with context.database.session_scope() as session:
        line = session.exec(select(Notification)).one()
        line.read_at = now()
        session.add(line)
        row = session.get_one(Notice, notice.id)
        row.tries, row.due_at = MOST_TRIES, now()
        session.add(row)
    tell_all(context)
    assert notices(context)[0].sent_at is not None, "after so many tries the bell has to do"
    with context.database.reading() as session:
        assert session.exec(select(Notification)).one().read_at is not None


def test_what_a_server_puts_off_is_tried_again_and_what_it_refuses_for_good_is_not(
    context: AppContext, alice: User, smtp_sink: SmtpSink
) -> None:
    smtp_sink.rules.defer[alice.email] = 1
    write(context, "broken", make_mailbox(context, alice))
    tell_all(context)
    (put_off,) = notices(context)
    assert put_off.sent_at is None
    assert "451" in put_off.problem
    smtp_sink.rules.refuse[alice.email] = "550 5.1.1 No such user here"
    with context.database.session_scope() as session:
        session.exec(update(Notice).values(due_at=now()))
    tell_all(context)
    (refused,) = notices(context)
    assert refused.sent_at is not None
    assert "550" in refused.problem


def test_a_notice_that_cannot_be_told_holds_up_no_other_and_is_given_up_in_the_end(
    context: AppContext, alice: User
) -> None:
    box = make_mailbox(context, alice)
    write(context, "problems", box, codes={"unparsed": "many"})
    write(context, "first_load", box, letters=240)
    tell_all(context)
    bad, good = notices(context)
    assert (bad.problem, bad.sent_at, bad.rung_at, good.sent_at is not None) == ("ValueError", None, None, True)
    assert bad.due_at > now() + timedelta(minutes=5)
    with context.database.session_scope() as session:
        session.exec(update(Notice).where(col(Notice.id) == bad.id).values(tries=MOST_TRIES, due_at=now()))
    tell_all(context)
    assert notices(context)[0].sent_at is not None
    assert bell(context, alice) == ["mailbox: Letters loaded from info@shop.example: 240"]


def test_b28_what_was_for_somebody_who_left_goes_to_the_administrators(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    admin = people.user("Root", role="admin")
    box = make_mailbox(context, alice)
    with context.database.session_scope() as session:
        row = session.get_one(User, alice.id)
        row.active = False
        session.add(row)
    write(context, "problems", box, codes={"unparsed": 1})
    tell_all(context)
    assert bell(context, alice) == []
    assert bell(context, admin) == ["problem: info@shop.example: trouble with letters (1)"]


def test_b27_problems_are_one_summary_an_hour_and_mailbox(
    context: AppContext, alice: User, smtp_sink: SmtpSink
) -> None:
    box, other = make_mailbox(context, alice), make_mailbox(context, alice, "two@shop.example")
    (letter,) = receive(context, box, Came("Enormous"))
    problem(context, box, "too_large", letter)
    problem(context, box, "unparsed")
    problem(context, box, "unparsed")
    problem(context, other, "retry_exhausted")
    add_due(context)
    problem(context, box, "unparsed")
    add_due(context)
    mine = [notice for notice in notices(context) if notice.event == "problems"]
    assert [(notice.mailbox_id, notice.facts["codes"]) for notice in mine] == [
        (box.id, {"too_large": 1, "unparsed": 2}),
        (other.id, {"retry_exhausted": 1}),
    ]
    assert mine[0].facts["letters_of"] == [letter.public_id]
    with context.database.session_scope() as session:
        row = session.get_one(Notice, mine[0].id)
        row.created_at = now() - timedelta(minutes=61)
        session.add(row)
    add_due(context)
    assert [n.facts["codes"] for n in notices(context) if n.event == "problems"][-1] == {"unparsed": 1}


def test_while_problems_wait_for_their_hour_nothing_is_written_and_the_moment_is_known(
    context: AppContext, alice: User
) -> None:
    box = make_mailbox(context, alice)
    assert moment_due(context) is None
    problem(context, box, "unparsed")
    add_due(context)
    problem(context, box, "unparsed")
    told_at = notices(context)[0].created_at
    assert moment_due(context) == told_at + timedelta(hours=1)
    with context.database.session_scope() as session:
        session.exec(update(MailboxProblem).values(detail="held"))
        add_due(context)  # while another one writes


def test_when_a_mailbox_will_have_been_broken_for_a_day_is_known(
    context: AppContext, people: People, alice: User
) -> None:
    people.user("Root", role="admin")
    since = now() - timedelta(hours=23)
    box = make_mailbox(context, alice, state="auth_error", broken_at=since)
    assert moment_due(context) == since + timedelta(days=1)
    with context.database.session_scope() as session:
        session.exec(update(Mailbox).values(broken_at=now() - timedelta(hours=25)))
    add_due(context)
    assert [(notice.event, notice.mailbox_id) for notice in notices(context)] == [("broken_long", box.id)]
    assert moment_due(context) is None


def moment_due(context: AppContext) -> datetime | None:
    with context.database.reading() as session:
        return next_due(session)


def test_b26_what_was_skipped_on_purpose_is_no_problem(context: AppContext, alice: User) -> None:
    box = make_mailbox(context, alice)
    problem(context, box, "customer_not_found")
    add_due(context)
    assert [n for n in notices(context) if n.event == "problems"] == []


def test_who_does_not_want_to_hear_of_problems_does_not(context: AppContext, alice: User) -> None:
    problem(context, make_mailbox(context, alice, notify_skipped=False), "unparsed")
    add_due(context)
    assert [n for n in notices(context) if n.event == "problems"] == []


def test_a_first_load_is_one_line(context: AppContext, alice: User, smtp_sink: SmtpSink) -> None:
    write(context, "first_load", make_mailbox(context, alice), letters=240)
    tell_all(context)
    assert bell(context, alice) == ["mailbox: Letters loaded from info@shop.example: 240"]
    assert smtp_sink.accepted == []


def test_after_a_day_the_administrators_are_told_once(context: AppContext, people: People, alice: User) -> None:
    admin = people.user("Root", role="admin")
    box = make_mailbox(context, alice, state="auth_error", broken_at=now() - timedelta(hours=23))
    add_due(context)
    assert notices(context) == []
    with context.database.session_scope() as session:
        row = session.get_one(Mailbox, box.id)
        row.broken_at = now() - timedelta(hours=25)
        session.add(row)
    add_due(context)
    add_due(context)
    tell_all(context)
    assert bell(context, admin) == ["problem: The mailbox info@shop.example has not been read for a day"]
    assert bell(context, alice) == []


def problem(context: AppContext, box: Mailbox, code: str, letter: Letter | None = None) -> None:
    with context.database.session_scope() as session:
        session.add(MailboxProblem(mailbox_id=box.id or 0, letter_id=letter.id if letter else None, code=code))
