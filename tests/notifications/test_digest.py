"""The daily digest: one honest letter to oneself, at one's own hour, never about nothing, never lost and never doubled."""

import email
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import default
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select, update

from tests.fixtures.contexts import People
from tests.fixtures.killed_process import Moment, die_in, expire_leases
from tests.servers import SmtpSink, wait_until
from tracker.mail.message_ids import NOTICE_HEADER, is_notice
from tracker.models import Account, Delivery, Event, Message, User
from tracker.notifications import notify
from tracker.notifications.digest import send_due, set_hour
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import Lease, Leases

TOKYO = ZoneInfo("Asia/Tokyo")


@pytest.fixture
def alice(context: AppContext, people: People, smtp_sink: SmtpSink) -> User:
    alice = people.user()
    people.account(alice, smtp_sink, state="works")
    return due(context, alice)


def due(context: AppContext, user: User, **columns: object) -> User:
    """The person wants a digest, and its hour has come."""
    with context.database.session_scope() as session:
        row = session.get_one(User, user.id)
        set_hour(row, 7)
        row.digest_at, row.digest_since = now() - timedelta(seconds=1), now() - timedelta(hours=24)
        for name, value in columns.items():
            setattr(row, name, value)
        session.add(row)
    return row


def read(context: AppContext, user: User) -> User:
    with context.database.reading() as session:
        return session.get_one(User, user.id)


def act(
    context: AppContext, message: Message, *kinds: str, ago: timedelta = timedelta(hours=2), counted: bool = True
) -> None:
    with context.database.session_scope() as session:
        copy = session.exec(select(Delivery).where(Delivery.message_id == message.id)).first()
        assert copy is not None
        for kind in kinds:
            event = Event(
                message_id=copy.message_id,
                delivery_id=copy.id,
                kind=kind,
                at=now() - ago,
                klass="human",
                confidence=0.9,
            )
            event.counted = counted
            session.add(event)


def send_all(context: AppContext) -> None:
    while send_due(context):
        pass


def letters(sink: SmtpSink) -> list[EmailMessage]:
    messages = [email.message_from_bytes(item.content, policy=default) for item in sink.accepted]
    assert all(isinstance(item, EmailMessage) for item in messages)
    return messages


def parts(letter: EmailMessage) -> Sequence[str]:
    plain, html = letter.get_body(("plain",)), letter.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


def test_one_letter_tells_what_people_did(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    message = people.send(alice, "anna@client.example", subject="Offer <12>")
    act(context, message, "open", "open", "click")
    act(context, message, "open", counted=False)
    send_all(context)
    (letter,) = letters(smtp_sink)
    assert smtp_sink.accepted[0].recipients == (alice.email,)
    assert letter["To"].addresses[0].addr_spec == alice.email
    assert letter.get_content_type() == "multipart/alternative"
    plain, html = parts(letter)
    assert "- anna@client.example, “Offer <12>”: opened 2 times, one click" in plain
    assert f"{context.settings.base_url}/mail/{message.public_id}" in plain
    assert "“Offer &lt;12&gt;”" in html
    assert "<12>" not in html


def test_it_is_not_tracked_and_no_machine_answers_or_counts_it(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    act(context, people.send(alice, "anna@client.example"), "open")
    send_all(context)
    raw = smtp_sink.accepted[0].content
    assert b"/o/" not in raw
    assert b"/c/" not in raw
    assert b"<img" not in raw
    (letter,) = letters(smtp_sink)
    assert letter["Auto-Submitted"] == "auto-generated"
    assert is_notice(context.keyring, letter["Message-ID"], letter[NOTICE_HEADER])
    with context.database.reading() as session:
        assert len(session.exec(select(Message)).all()) == 1, "it is no message of the workspace"


def test_russian_people_read_russian(context: AppContext, people: People, alice: User, smtp_sink: SmtpSink) -> None:
    due(context, alice, locale="ru")
    act(context, people.send(alice, "anna@client.example", subject="Договор"), "open")
    send_all(context)
    (letter,) = letters(smtp_sink)
    assert "сводка за" in letter["Subject"]
    plain, _html = parts(letter)
    assert "«Договор»: открыто 1 раз" in plain.replace("“", "«").replace("”", "»")


@pytest.mark.parametrize("what", ["nothing", "machines only", "muted", "long ago"])
def test_nothing_is_sent_about_nothing(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink, what: str
) -> None:
    message = people.send(alice, "anna@client.example")
    if what == "machines only":
        act(context, message, "open", counted=False)
    elif what == "long ago":
        act(context, message, "open", ago=timedelta(hours=25))
    elif what == "muted":
        act(context, message, "open")
        with context.database.session_scope() as session:
            session.exec(update(Message).values(muted=True))
    send_all(context)
    assert smtp_sink.accepted == []
    after = read(context, alice)
    assert after.digest_at is not None
    assert after.digest_at > now(), "tomorrow again"


def test_the_next_one_begins_where_this_one_ended(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    message = people.send(alice, "anna@client.example")
    act(context, message, "open")
    send_all(context)
    ended = read(context, alice).digest_since
    assert ended is not None
    with context.database.session_scope() as session:
        session.exec(update(User).values(digest_at=now() - timedelta(seconds=1)))
    send_all(context)
    assert len(smtp_sink.accepted) == 1, "what was told is not told again"
    act(context, message, "click", ago=timedelta(0))
    with context.database.session_scope() as session:
        session.exec(update(User).values(digest_at=now() - timedelta(seconds=1)))
    send_all(context)
    plain, _html = parts(letters(smtp_sink)[1])
    assert "click" in plain
    assert "opened" not in plain.lower().replace("opened or clicked", "")


def test_it_comes_at_the_persons_own_hour(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    due(context, alice, timezone="Asia/Tokyo")
    send_all(context)
    at = read(context, alice).digest_at
    assert at is not None
    assert at.astimezone(TOKYO).strftime("%H:%M") == "07:00"
    assert timedelta(0) < at - datetime.now(UTC) <= timedelta(days=1)


def test_refusals_replies_and_corrections_are_in_it(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    message = people.send(alice, "anna@client.example")
    with context.database.session_scope() as session:
        copy = session.exec(select(Delivery)).one()
        facts = {"message_id": message.id, "delivery_id": copy.id}
        for number, (kind, detail) in enumerate((("rejected", "550 No such user"), ("reply", ""), ("corrected", ""))):
            notify.notify(
                session, alice.id or 0, f"x:{number}", kind, now() - timedelta(hours=1), detail=detail, **facts
            )
        notify.notify(
            session, alice.id or 0, "account:1", "problem", now() - timedelta(hours=1), detail="The login was refused."
        )
    send_all(context)
    plain, _html = parts(letters(smtp_sink)[0])
    for words in ("550 No such user", "Replies", "was no person but an automatic check", "- The login was refused."):
        assert words in plain


def test_only_the_first_account_that_works_is_used(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Account).values(state="broken"))
    people.account(alice, smtp_sink, address="second@seller.example", state="works")
    people.account(alice, smtp_sink, address="third@seller.example", state="works")
    act(context, people.send(alice, "anna@client.example"), "open")
    send_all(context)
    assert [item.sender for item in smtp_sink.accepted] == ["second@seller.example"]


def test_without_a_working_account_there_is_no_letter_and_no_trouble(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Account).values(state="broken"))
    act(context, people.send(alice, "anna@client.example"), "open")
    send_all(context)
    assert smtp_sink.accepted == []


def test_a_line_that_breaks_is_tried_again_with_everything_in_it(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    smtp_sink.rules.defer_first = 1
    act(context, people.send(alice, "anna@client.example"), "open")
    send_all(context)
    assert smtp_sink.accepted == []
    later = read(context, alice).digest_at
    assert later is not None
    assert timedelta(minutes=19) < later - now() <= timedelta(minutes=20)
    with context.database.session_scope() as session:
        session.exec(update(User).values(digest_at=now() - timedelta(seconds=1)))
    send_all(context)
    assert "opened once" in parts(letters(smtp_sink)[0])[0]


def test_workers_at_once_send_one(context: AppContext, people: People, alice: User, smtp_sink: SmtpSink) -> None:
    act(context, people.send(alice, "anna@client.example"), "open")
    start, raised = threading.Barrier(4), []

    def work() -> None:
        start.wait()
        try:
            send_due(context)
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    assert len(smtp_sink.accepted) == 1


@pytest.mark.parametrize(
    ("moment", "number", "mails"), [("after_commit", 1, 1), ("before_commit", 2, 2), ("after_commit", 2, 1)]
)
def test_a_process_that_dies_loses_no_digest(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink, moment: Moment, number: int, mails: int
) -> None:
    """Twice only when it died between the server's 250 and its note of it."""
    act(context, people.send(alice, "anna@client.example"), "open")
    die_in(context, "tracker.notifications.digest:send_due", moment, number)
    assert send_due(context) == 0, "the dead process still holds it"
    expire_leases(context)
    send_all(context)
    ids = [letter["Message-ID"] for letter in letters(smtp_sink)]
    assert (len(ids), len(set(ids))) == (mails, 1)
    after = read(context, alice)
    assert after.digest_at is not None
    assert after.digest_at > now()


def test_whoever_lost_the_digest_to_another_worker_notes_nothing(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    act(context, people.send(alice, "anna@client.example"), "open")
    smtp_sink.rules.delay["DATA"] = 60
    slow = threading.Thread(target=send_due, args=(context,))
    slow.start()
    wait_until(lambda: held(context) == [context.leases.process])
    expire_leases(context)
    with context.database.session_scope() as session:
        assert Leases("other").claim(session, "digest", alice.id) is not None
    smtp_sink.rules.delay.clear()
    slow.join()
    assert read(context, alice).digest_at == alice.digest_at
    assert held(context) == ["other"]


def test_nobody_waits_for_a_writer_while_no_digest_is_due(context: AppContext, alice: User) -> None:
    due(context, alice, digest_at=now() + timedelta(hours=1))
    with context.database.session_scope() as session:
        session.exec(update(User).values(name="Held"))
        assert send_due(context) == 0


def test_a_digest_that_cannot_be_written_holds_up_no_other(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    bob = due(context, people.user("Bob"))
    people.account(bob, smtp_sink, state="works")
    for user in (alice, bob):
        act(context, people.send(user, f"{user.name}@client.example"), "open")
    with context.database.session_scope() as session:
        session.exec(update(Account).where(col(Account.user_id) == alice.id).values(address="no address"))
    send_all(context)
    assert [mail.recipients for mail in smtp_sink.accepted] == [(bob.email,)]
    later = read(context, alice).digest_at
    assert later is not None
    assert later > now() + timedelta(minutes=19)


def held(context: AppContext) -> list[str]:
    with context.database.reading() as session:
        return list(session.exec(select(Lease.process)))


def test_who_was_switched_off_or_does_not_want_it_gets_none(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    act(context, people.send(alice, "anna@client.example"), "open")
    with context.database.session_scope() as session:
        session.exec(update(User).values(active=False))
    assert send_due(context) == 0
    with context.database.session_scope() as session:
        row = session.get_one(User, alice.id)
        row.active = True
        set_hour(row, None)
        session.add(row)
    assert send_due(context) == 0
    assert smtp_sink.accepted == []


def test_a_very_busy_day_is_told_in_part(context: AppContext, people: People, alice: User, smtp_sink: SmtpSink) -> None:
    for number in range(52):
        act(context, people.send(alice, f"buyer{number}@client.example"), "open")
    send_all(context)
    plain, html = parts(letters(smtp_sink)[0])
    assert plain.count("@client.example") == 50
    assert "and 2 more" in plain
    assert "and 2 more" in html
