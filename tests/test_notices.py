"""Notices: told once each, in the bell and where needed by mail, never into a mailbox we read, never taken for a letter."""

from datetime import datetime, timedelta
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from sqlmodel import col, select, update

from tests.houses import People
from tests.servers import SmtpSink, smtp_sink
from tests.web.letters_world import Came, make_mailbox, receive
from tracker.inbound.accept import accept
from tracker.inbound.fetched import Fetched, Place
from tracker.models import Letter, Mailbox, MailboxFolder, MailboxProblem, Notice, Notification, User
from tracker.notifications.notice_digest import add_due, next_due
from tracker.notifications.notices import MOST_TRIES, tell_due
from tracker.notifications.notify import add_notice
from tracker.runtime.context import House
from tracker.runtime.database import now
from tracker.runtime.sentences import Sentence


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    """Has an account that works."""
    alice = people.user("Alice")
    people.account(alice, smtp_sink, state="works")
    return alice


def write(house: House, event: str, mailbox: Mailbox, user: User | None = None, **facts: Any) -> Notice:
    with house.database.session_scope() as session:
        person = user.id if user and user.id else mailbox.user_id
        add_notice(session, event, f"mailbox:{mailbox.id}", person, mailbox.id, facts=facts)
    return notices(house)[-1]


def tell_all(house: House) -> None:
    while tell_due(house):
        pass


def notices(house: House) -> list[Notice]:
    with house.database.reading() as session:
        return list(session.exec(select(Notice).order_by(col(Notice.id))))


def bell(house: House, user: User) -> list[str]:
    with house.database.reading() as session:
        mine = select(Notification).where(Notification.user_id == user.id).order_by(col(Notification.id))
        return [f"{line.kind}: {line.detail or line.subject}" for line in session.exec(mine)]


def test_a_new_enquiry_rings_once_and_is_not_mailed(house: House, alice: User, smtp_sink: SmtpSink) -> None:
    box = make_mailbox(house, alice)
    (letter,) = receive(house, box, Came("Chairs"))
    with house.database.session_scope() as session:
        session.add(
            Notice(
                event="letter",
                subject=f"letter:{letter.id}",
                user_id=box.user_id,
                mailbox_id=box.id,
                letter_id=letter.id,
            )
        )
    tell_all(house)
    tell_all(house)
    assert bell(house, alice) == [f"enquiry: letter:{letter.id}"]
    assert smtp_sink.accepted == []


def test_what_was_read_before_it_was_told_does_not_ring(house: House, alice: User) -> None:
    box = make_mailbox(house, alice)
    (letter,) = receive(house, box, Came("Chairs", columns={"read_at": now()}))
    with house.database.session_scope() as session:
        session.add(Notice(event="letter", subject="x", user_id=box.user_id, mailbox_id=box.id, letter_id=letter.id))
    tell_all(house)
    assert bell(house, alice) == []


def test_a_broken_mailbox_is_told_in_the_bell_and_by_mail(house: House, alice: User, smtp_sink: SmtpSink) -> None:
    reason = Sentence(
        "%(host)s did not answer within %(seconds)s seconds. Check host and port.", host="imap.x", seconds=8
    )
    box = make_mailbox(house, alice, state="connection_error", state_detail=reason)
    write(house, "broken", box)
    tell_all(house)
    assert bell(house, alice) == ["problem: The mailbox info@shop.example cannot be read any more"]
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
    tell_all(house)
    assert len(smtp_sink.accepted) == 1


def test_it_speaks_the_persons_language(house: House, alice: User, smtp_sink: SmtpSink) -> None:
    with house.database.session_scope() as session:
        row = session.get_one(User, alice.id)
        row.locale = "ru"
        session.add(row)
    write(house, "recovered", make_mailbox(house, alice))
    tell_all(house)
    (mail,) = smtp_sink.wait_for(1)
    assert message_from_bytes(mail.content, policy=default)["Subject"] == "Ящик info@shop.example снова читается"


def test_without_an_account_that_works_the_bell_is_all(house: House, people: People, smtp_sink: SmtpSink) -> None:
    bob = people.user("Bob")
    write(house, "broken", make_mailbox(house, bob))
    tell_all(house)
    assert len(bell(house, bob)) == 1
    assert notices(house)[0].sent_at is not None


def test_never_to_an_address_that_is_itself_a_connected_mailbox(house: House, alice: User, smtp_sink: SmtpSink) -> None:
    make_mailbox(house, alice, alice.email)
    write(house, "broken", make_mailbox(house, alice))
    tell_all(house)
    assert len(bell(house, alice)) == 1
    assert smtp_sink.accepted == []


def test_k12_a_notice_that_comes_back_in_is_dropped(house: House, alice: User, smtp_sink: SmtpSink) -> None:
    box = make_mailbox(house, alice)
    write(house, "broken", box)
    tell_all(house)
    (mail,) = smtp_sink.wait_for(1)
    with house.database.session_scope() as session:
        folder = MailboxFolder(mailbox_id=box.id or 0, raw_name="INBOX", name="INBOX", cut_off=now())
        session.add(folder)
        session.flush()
        fetched = Fetched(
            place=Place(folder.id or 0, 1, 1), content=mail.content, path=None, size=len(mail.content),
            internal_date=now(), fetched_at=now(),
        )  # fmt: skip
        done = accept(session, house, session.get_one(Mailbox, box.id), fetched)
    assert done.outcome == "dropped"
    with house.database.reading() as session:
        assert session.exec(select(Letter)).all() == []


def test_a_server_that_is_away_gets_it_later_and_the_bell_does_not_ring_again(house: House, people: People) -> None:
    with smtp_sink() as sink:
        carol = people.user("Carol")
        people.account(carol, sink, state="works")
    write(house, "broken", make_mailbox(house, carol))
    tell_all(house)
    (notice,) = notices(house)
    assert (notice.sent_at, notice.tries) == (None, 1)
    assert notice.due_at > now() + timedelta(minutes=5)
    with house.database.session_scope() as session:
        line = session.exec(select(Notification)).one()
        line.read_at = now()
        session.add(line)
        row = session.get_one(Notice, notice.id)
        row.tries, row.due_at = MOST_TRIES, now()
        session.add(row)
    tell_all(house)
    assert notices(house)[0].sent_at is not None, "after so many tries the bell has to do"
    with house.database.reading() as session:
        assert session.exec(select(Notification)).one().read_at is not None


def test_what_a_server_puts_off_is_tried_again_and_what_it_refuses_for_good_is_not(
    house: House, alice: User, smtp_sink: SmtpSink
) -> None:
    smtp_sink.rules.defer[alice.email] = 1
    write(house, "broken", make_mailbox(house, alice))
    tell_all(house)
    (put_off,) = notices(house)
    assert put_off.sent_at is None
    assert "451" in put_off.problem
    smtp_sink.rules.refuse[alice.email] = "550 5.1.1 No such user here"
    with house.database.session_scope() as session:
        session.exec(update(Notice).values(due_at=now()))
    tell_all(house)
    (refused,) = notices(house)
    assert refused.sent_at is not None
    assert "550" in refused.problem


def test_a_notice_that_cannot_be_told_holds_up_no_other_and_is_given_up_in_the_end(house: House, alice: User) -> None:
    box = make_mailbox(house, alice)
    write(house, "problems", box, codes={"unparsed": "many"})
    write(house, "first_load", box, letters=240)
    tell_all(house)
    bad, good = notices(house)
    assert (bad.problem, bad.sent_at, bad.rung_at, good.sent_at is not None) == ("ValueError", None, None, True)
    assert bad.due_at > now() + timedelta(minutes=5)
    with house.database.session_scope() as session:
        session.exec(update(Notice).where(col(Notice.id) == bad.id).values(tries=MOST_TRIES, due_at=now()))
    tell_all(house)
    assert notices(house)[0].sent_at is not None
    assert bell(house, alice) == ["mailbox: Letters loaded from info@shop.example: 240"]


def test_b28_what_was_for_somebody_who_left_goes_to_the_administrators(
    house: House, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    admin = people.user("Root", role="admin")
    box = make_mailbox(house, alice)
    with house.database.session_scope() as session:
        row = session.get_one(User, alice.id)
        row.active = False
        session.add(row)
    write(house, "problems", box, codes={"unparsed": 1})
    tell_all(house)
    assert bell(house, alice) == []
    assert bell(house, admin) == ["problem: info@shop.example: trouble with letters (1)"]


def test_b27_problems_are_one_summary_an_hour_and_mailbox(house: House, alice: User, smtp_sink: SmtpSink) -> None:
    box, other = make_mailbox(house, alice), make_mailbox(house, alice, "two@shop.example")
    (letter,) = receive(house, box, Came("Enormous"))
    problem(house, box, "too_large", letter)
    problem(house, box, "unparsed")
    problem(house, box, "unparsed")
    problem(house, other, "retry_exhausted")
    add_due(house)
    problem(house, box, "unparsed")
    add_due(house)
    mine = [notice for notice in notices(house) if notice.event == "problems"]
    assert [(notice.mailbox_id, notice.facts["codes"]) for notice in mine] == [
        (box.id, {"too_large": 1, "unparsed": 2}),
        (other.id, {"retry_exhausted": 1}),
    ]
    assert mine[0].facts["letters_of"] == [letter.public_id]
    with house.database.session_scope() as session:
        row = session.get_one(Notice, mine[0].id)
        row.created_at = now() - timedelta(minutes=61)
        session.add(row)
    add_due(house)
    assert [n.facts["codes"] for n in notices(house) if n.event == "problems"][-1] == {"unparsed": 1}


def test_while_problems_wait_for_their_hour_nothing_is_written_and_the_moment_is_known(
    house: House, alice: User
) -> None:
    box = make_mailbox(house, alice)
    assert moment_due(house) is None
    problem(house, box, "unparsed")
    add_due(house)
    problem(house, box, "unparsed")
    told_at = notices(house)[0].created_at
    assert moment_due(house) == told_at + timedelta(hours=1)
    with house.database.session_scope() as session:
        session.exec(update(MailboxProblem).values(detail="held"))
        add_due(house)  # while another one writes


def test_when_a_mailbox_will_have_been_broken_for_a_day_is_known(house: House, people: People, alice: User) -> None:
    people.user("Root", role="admin")
    since = now() - timedelta(hours=23)
    box = make_mailbox(house, alice, state="auth_error", broken_at=since)
    assert moment_due(house) == since + timedelta(days=1)
    with house.database.session_scope() as session:
        session.exec(update(Mailbox).values(broken_at=now() - timedelta(hours=25)))
    add_due(house)
    assert [(notice.event, notice.mailbox_id) for notice in notices(house)] == [("broken_long", box.id)]
    assert moment_due(house) is None


def moment_due(house: House) -> datetime | None:
    with house.database.reading() as session:
        return next_due(session)


def test_b26_what_was_skipped_on_purpose_is_no_problem(house: House, alice: User) -> None:
    box = make_mailbox(house, alice)
    problem(house, box, "customer_not_found")
    add_due(house)
    assert [n for n in notices(house) if n.event == "problems"] == []


def test_who_does_not_want_to_hear_of_problems_does_not(house: House, alice: User) -> None:
    problem(house, make_mailbox(house, alice, notify_skipped=False), "unparsed")
    add_due(house)
    assert [n for n in notices(house) if n.event == "problems"] == []


def test_a_first_load_is_one_line(house: House, alice: User, smtp_sink: SmtpSink) -> None:
    write(house, "first_load", make_mailbox(house, alice), letters=240)
    tell_all(house)
    assert bell(house, alice) == ["mailbox: Letters loaded from info@shop.example: 240"]
    assert smtp_sink.accepted == []


def test_after_a_day_the_administrators_are_told_once(house: House, people: People, alice: User) -> None:
    admin = people.user("Root", role="admin")
    box = make_mailbox(house, alice, state="auth_error", broken_at=now() - timedelta(hours=23))
    add_due(house)
    assert notices(house) == []
    with house.database.session_scope() as session:
        row = session.get_one(Mailbox, box.id)
        row.broken_at = now() - timedelta(hours=25)
        session.add(row)
    add_due(house)
    add_due(house)
    tell_all(house)
    assert bell(house, admin) == ["problem: The mailbox info@shop.example has not been read for a day"]
    assert bell(house, alice) == []


def problem(house: House, box: Mailbox, code: str, letter: Letter | None = None) -> None:
    with house.database.session_scope() as session:
        session.add(MailboxProblem(mailbox_id=box.id or 0, letter_id=letter.id if letter else None, code=code))
