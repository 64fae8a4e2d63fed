"""Notices when the process that tells them dies between any two steps: the bell line is written once, the mail not lost."""

import threading
from email import message_from_bytes

import pytest
from sqlmodel import select

from tests.fixtures.contexts import People
from tests.fixtures.killed_process import Moment, die_in, expire_leases
from tests.servers import SmtpSink, wait_until
from tests.web.letters_world import make_mailbox
from tracker.models import FeedItem, Mailbox, Notice, Notification, User
from tracker.notifications.notices import tell_due
from tracker.notifications.notify import add_notice
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import Lease, Leases


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    alice = people.user("Alice")
    people.account(alice, smtp_sink, state="works")
    return alice


@pytest.fixture
def box(context: AppContext, alice: User) -> Mailbox:
    """Broken, and a notice of it is due."""
    box = make_mailbox(context, alice)
    with context.database.session_scope() as session:
        add_notice(session, "broken", f"mailbox:{box.id}", box.user_id, box.id)
    return box


def tell_all(context: AppContext) -> None:
    while tell_due(context):
        pass


@pytest.mark.parametrize(
    ("moment", "number", "mails"),
    [
        ("before_commit", 1, 1),
        ("after_commit", 1, 1),  # claimed
        ("before_commit", 2, 1),
        ("after_commit", 2, 1),  # bell line written
        ("before_commit", 3, 2),  # the server has said 250, and nobody has noted it: this alone is repeated
        ("after_commit", 3, 1),  # result noted
    ],
)
def test_the_bell_line_is_written_once_wherever_the_process_dies(
    context: AppContext, box: Mailbox, smtp_sink: SmtpSink, moment: Moment, number: int, mails: int
) -> None:
    die_in(context, "tracker.notifications.notices:tell_due", moment, number)
    assert tell_due(context) == 0 or (moment, number) == ("before_commit", 1), "the dead process still holds it"
    expire_leases(context)
    tell_all(context)
    with context.database.reading() as session:
        assert session.exec(select(Notice)).one().sent_at is not None
        line = session.exec(select(Notification)).one()
        assert len(session.exec(select(FeedItem).where(FeedItem.subject == line.public_id)).all()) == 1
        assert session.exec(select(Lease)).all() == []
    ids = [message_from_bytes(mail.content)["Message-ID"] for mail in smtp_sink.accepted]
    assert (len(ids), len(set(ids))) == (mails, 1)


def test_whoever_lost_the_notice_to_another_worker_notes_nothing(
    context: AppContext, box: Mailbox, smtp_sink: SmtpSink
) -> None:
    smtp_sink.rules.delay["DATA"] = 60
    smtp_sink.rules.refuse_content = "451 4.3.0 Try again later"
    slow = threading.Thread(target=tell_due, args=(context,))
    slow.start()
    wait_until(lambda: held(context) == [context.leases.process])
    expire_leases(context)
    with context.database.session_scope() as session:
        assert Leases("other").claim(session, "notice", session.exec(select(Notice.id)).one()) is not None
    smtp_sink.rules.delay.clear()
    slow.join()
    with context.database.reading() as session:
        notice = session.exec(select(Notice)).one()
    assert (notice.problem, notice.sent_at) == ("", None)
    assert notice.due_at < now(), "the other one decides when it is tried again"
    assert held(context) == ["other"]


def held(context: AppContext) -> list[str]:
    with context.database.reading() as session:
        return list(session.exec(select(Lease.process)))
