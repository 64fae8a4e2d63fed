"""The clean copy in Sent, over real IMAP."""

from collections.abc import Iterator
from email import message_from_bytes
from email.policy import SMTP
from itertools import count

import pytest
from imapclient import imap_utf7
from sqlmodel import col, select, update

from tests.fixtures.contexts import People, opened_context
from tests.servers import Authority, Dovecot, SmtpSink, wait_until
from tests.servers.nasty import drip, nasty_imap
from tracker.mail.account_servers import set_secret
from tracker.mail.addresses import parse_list
from tracker.mail.connections import Server
from tracker.mail.folders import folder_for
from tracker.mail.imap_session import imap
from tracker.models import Account, Message, MessageBody, User
from tracker.outbound.account_check import check_account
from tracker.outbound.account_pool import AccountPool, serve_longest_waiting
from tracker.outbound.queue import send_due
from tracker.outbound.sent_copy import WANTED, _is_due, accounts_with_copies, file_for_account
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import Lease, Leases

_numbers = count()


def append_due(context: AppContext) -> int:
    """One turn of the account whose copies have waited longest. Returns how many were tried; 0 means nothing is due."""
    return serve_longest_waiting(context, accounts_with_copies, file_for_account)


@pytest.fixture
def context(tmp_path, ca: Authority) -> Iterator[AppContext]:  # type: ignore[no-untyped-def]
    with opened_context(tmp_path, CA_FILE=str(ca.file)) as made:
        yield made


def account_with_imap(
    context: AppContext, people: People, user: User, sink: SmtpSink, dovecot: Dovecot, **more: object
) -> Account:
    login = f"alice{next(_numbers)}@seller.example"
    dovecot.add_user(login, "imap-secret")
    facts = {"imap_host": "localhost", "imap_port": dovecot.imaps_port, "imap_security": "tls", "imap_login": login}
    account = people.account(user, sink, **{**facts, **more})
    with context.database.session_scope() as session:
        row = session.get_one(Account, account.id)
        set_secret(context, row, "imap", "imap-secret")
        session.add(row)
    return row


def send_all(context: AppContext) -> None:
    while send_due(context) or append_due(context):
        pass


def message_of(context: AppContext, message: Message) -> Message:
    with context.database.reading() as session:
        return session.get_one(Message, message.id)


def test_d22_one_clean_copy_is_filed_as_read(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    alice = people.user()
    account = account_with_imap(context, people, alice, smtp_sink, dovecot)
    people.grant("anna@client.example")
    message = people.send(alice, "anna@client.example", "luc@client.example")
    send_all(context)
    assert message_of(context, message).sent_copy == "done"
    login = account.imap_login or ""
    (copy,) = dovecot.messages(login, dovecot.sent_folder)
    assert message.message_id.encode() in copy
    assert context.settings.tracking_url.encode() not in copy
    assert b"shop.example/offer" in copy
    assert list(dovecot.flags(login, dovecot.sent_folder).values()) == [{"\\Seen"}]


@pytest.mark.parametrize(
    "hidden", ["luc@client.example", '"Moreau, Luc" <luc@client.example>, "Zoë" <zoe@client.example>']
)
def test_the_copy_in_sent_alone_says_who_was_in_bcc(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot, hidden: str
) -> None:
    alice = people.user()
    account = account_with_imap(context, people, alice, smtp_sink, dovecot)
    people.send(alice, "anna@client.example", bcc=tuple(parse_list(hidden)))
    send_all(context)
    (copy,) = dovecot.messages(account.imap_login or "", dovecot.sent_folder)
    assert message_from_bytes(copy, policy=SMTP)["Bcc"] == hidden.replace('"Zoë"', "Zoë")
    assert all(b"luc@" not in taken.content and b"Bcc" not in taken.content for taken in smtp_sink.accepted)


def test_a_crash_after_filing_does_not_file_twice(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    alice = people.user()
    account = account_with_imap(context, people, alice, smtp_sink, dovecot)
    message = people.send(alice, "anna@client.example")
    send_all(context)
    with context.database.session_scope() as session:  # as if the commit after APPEND had been lost
        wanted = update(Message).where(col(Message.id) == message.id).values(sent_copy="wanted", sent_copy_at=now())
        session.exec(wanted)
    send_all(context)
    assert message_of(context, message).sent_copy == "done"
    assert len(dovecot.messages(account.imap_login or "", dovecot.sent_folder)) == 1


def test_where_the_provider_files_its_own_copy_we_file_none(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    alice = people.user()
    account = account_with_imap(context, people, alice, smtp_sink, dovecot, files_own_copy=True)
    message = people.send(alice, "anna@client.example")
    send_all(context)
    assert message_of(context, message).sent_copy == "provider"
    assert dovecot.messages(account.imap_login or "", dovecot.sent_folder) == []


def test_a_server_that_is_away_is_tried_again_and_the_mail_is_sent_all_the_same(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    alice = people.user()
    account = account_with_imap(context, people, alice, smtp_sink, dovecot)
    with context.database.session_scope() as session:
        session.exec(update(Account).where(col(Account.id) == account.id).values(imap_port=1))
    message = people.send(alice, "anna@client.example")
    send_all(context)
    waiting = message_of(context, message)
    assert (waiting.state, waiting.sent_copy, waiting.sent_copy_tries) == ("sent", "wanted", 1)
    assert "Nothing listens" in waiting.sent_copy_detail
    with context.database.session_scope() as session:
        session.exec(update(Account).where(col(Account.id) == account.id).values(imap_port=dovecot.imaps_port))
        session.exec(update(Message).values(sent_copy_at=now()))
    send_all(context)
    assert message_of(context, message).sent_copy == "done"


def test_the_connection_test_tells_each_side_apart(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    alice = people.user()
    account = account_with_imap(context, people, alice, smtp_sink, dovecot)
    assert account.id is not None
    good = check_account(context, account.id)
    assert (good.ok, good.imap_text) == (True, f"The Sent folder is “{dovecot.sent_folder}”.")
    with context.database.session_scope() as session:
        row = session.get_one(Account, account.id)
        set_secret(context, row, "imap", "not-the-secret")
        session.add(row)
    bad = check_account(context, account.id)
    assert (bad.smtp_ok, bad.imap_ok) == (True, False)
    assert "refused the login or password" in bad.imap_text
    assert "not-the-secret" not in bad.imap_text
    with context.database.reading() as session:
        assert session.get_one(Account, account.id).state == "broken"


@pytest.fixture
def replaced(context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot) -> tuple[User, str]:
    """Alice, whose service files what was submitted, and who wants that replaced; with her login."""
    alice = people.user()
    account = account_with_imap(context, people, alice, smtp_sink, dovecot, files_own_copy=True, replaces_copy=True)
    people.grant("anna@client.example")
    return alice, account.imap_login or ""


def file_as_the_service(dovecot: Dovecot, login: str, sink: SmtpSink) -> None:
    """What Gmail and Microsoft do with everything that is submitted; with a header field of their own."""
    for accepted in sink.accepted:
        dovecot.append(login, b"X-Service: filed\r\n" + accepted.content, dovecot.sent_folder, flags="(\\Seen)")


def due_again(context: AppContext) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Message).values(sent_copy_at=now()))


def test_the_services_copy_is_replaced_by_the_clean_one(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot, replaced: tuple[User, str]
) -> None:
    alice, login = replaced
    message = people.send(alice, "anna@client.example")
    send_due(context)
    file_as_the_service(dovecot, login, smtp_sink)
    assert context.settings.tracking_url.encode() in dovecot.messages(login, dovecot.sent_folder)[0]
    send_all(context)
    assert message_of(context, message).sent_copy == "done"
    (copy,) = dovecot.messages(login, dovecot.sent_folder)
    assert context.settings.tracking_url.encode() not in copy
    assert message.message_id.encode() in copy


def test_the_services_copy_that_is_late_is_waited_for_and_then_replaced(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot, replaced: tuple[User, str]
) -> None:
    alice, login = replaced
    message = people.send(alice, "anna@client.example")
    send_all(context)
    waiting = message_of(context, message)
    assert (waiting.sent_copy, "has not filed its copy yet" in waiting.sent_copy_detail) == ("wanted", True)
    assert dovecot.messages(login, dovecot.sent_folder) == []
    file_as_the_service(dovecot, login, smtp_sink)
    due_again(context)
    send_all(context)
    (copy,) = dovecot.messages(login, dovecot.sent_folder)
    assert context.settings.tracking_url.encode() not in copy


def test_a_service_that_files_none_after_all_gets_ours(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot, replaced: tuple[User, str]
) -> None:
    alice, login = replaced
    message = people.send(alice, "anna@client.example")
    for _ in range(6):
        due_again(context)
        send_all(context)
    assert message_of(context, message).sent_copy == "done"
    assert len(dovecot.messages(login, dovecot.sent_folder)) == 1


def test_a_crash_between_filing_ours_and_removing_theirs_ends_with_one(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot, replaced: tuple[User, str]
) -> None:
    alice, login = replaced
    message = people.send(alice, "anna@client.example")
    send_due(context)
    with context.database.reading() as session:
        body = session.get_one(MessageBody, message.id)
    dovecot.append(login, body.raw or b"", dovecot.sent_folder)
    file_as_the_service(dovecot, login, smtp_sink)
    send_all(context)
    (copy,) = dovecot.messages(login, dovecot.sent_folder)
    assert context.settings.tracking_url.encode() not in copy


def test_an_untracked_messages_copy_is_left_as_the_service_filed_it(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot, replaced: tuple[User, str]
) -> None:
    alice, login = replaced
    message = people.send(alice, "luc@client.example")
    send_due(context)
    file_as_the_service(dovecot, login, smtp_sink)
    send_all(context)
    assert message_of(context, message).sent_copy == "done"
    (copy,) = dovecot.messages(login, dovecot.sent_folder)
    assert copy.startswith(b"X-Service: filed")


def test_other_messages_marked_as_deleted_stay(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot, replaced: tuple[User, str]
) -> None:
    alice, login = replaced
    dovecot.append(login, b"Subject: mine\r\n\r\nkeep", dovecot.sent_folder, flags="(\\Deleted)")
    people.send(alice, "anna@client.example")
    send_due(context)
    file_as_the_service(dovecot, login, smtp_sink)
    send_all(context)
    assert [b"keep" in raw for raw in dovecot.messages(login, dovecot.sent_folder)].count(True) == 1


def test_a_group_of_copies_becomes_one(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot, replaced: tuple[User, str]
) -> None:
    alice, login = replaced
    people.grant("luc@client.example")
    people.send(alice, "anna@client.example", "luc@client.example")
    send_due(context)
    file_as_the_service(dovecot, login, smtp_sink)
    send_all(context)
    assert len(dovecot.messages(login, dovecot.sent_folder)) == 1


@pytest.mark.parametrize("name", ["Отправленные", "Gesendete Elemente", "Éléments envoyés", "Archive/Sent Mail"])
def test_a_sent_folder_is_known_by_its_name_in_many_languages(context: AppContext, name: str) -> None:
    class Unmarked:
        """An IMAP server without SPECIAL-USE, as Yandex is: only its LIST answer matters here."""

        def _raw_command_untagged(self, *_: object, **__: object) -> list[bytes]:
            return [b'() "/" "%s"' % imap_utf7.encode(folder) for folder in ("INBOX", "Sentences", name, "Old/Sent/x")]

    assert folder_for(Unmarked(), "sent") == name


def test_the_folder_that_the_server_marks_goes_before_one_that_is_called_so(
    dovecot: Dovecot, context: AppContext
) -> None:
    login = f"alice{next(_numbers)}@seller.example"
    dovecot.add_user(login, "imap-secret")
    dovecot.append(login, b"Subject: x\r\n\r\n", "Sent")
    with imap(context, Server("localhost", dovecot.imaps_port, "tls", login, "imap-secret")) as client:
        assert folder_for(client, "sent") == dovecot.sent_folder
        assert folder_for(client, "trash") is None


def test_nobody_else_files_what_is_being_filed(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    alice = people.user()
    account = account_with_imap(context, people, alice, smtp_sink, dovecot)
    message = people.send(alice, "anna@client.example")
    send_due(context)
    with context.database.session_scope() as session:
        lease = Leases("elsewhere").claim(session, "sent_copy", message.id)
    assert append_due(context) == 0
    with context.database.session_scope() as session:
        assert lease is not None
        Leases("elsewhere").release(session, lease)
    assert append_due(context) == 1
    assert len(dovecot.messages(account.imap_login or "", dovecot.sent_folder)) == 1


def test_one_connection_files_all_copies_of_an_account(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    alice = people.user()
    account = account_with_imap(context, people, alice, smtp_sink, dovecot)
    for number in range(3):
        people.send(alice, f"anna{number}@client.example")
    send_due(context)
    assert append_due(context) == 3
    assert len(dovecot.messages(account.imap_login or "", dovecot.sent_folder)) == 3


def test_a_server_that_is_away_is_asked_once_for_all_copies(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    account = people.account(alice, smtp_sink, imap_host="127.0.0.1", imap_port=1, imap_login="alice")
    with context.database.session_scope() as session:
        row = session.get_one(Account, account.id)
        set_secret(context, row, "imap", "imap-secret")
        session.add(row)
    messages = [people.send(alice, f"anna{number}@client.example") for number in range(3)]
    send_due(context)
    assert append_due(context) == 1
    assert append_due(context) == 0
    assert {message_of(context, message).sent_copy_tries for message in messages} == {1}


def test_an_imap_server_that_drips_delays_no_other_accounts_copy(
    context: AppContext, people: People, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    alice, bob = people.user("Alice"), people.user("Bob")
    with nasty_imap(script=drip()) as tarpit:
        account = people.account(
            alice, smtp_sink, imap_host="127.0.0.1", imap_port=tarpit.port, imap_security="none", imap_login="alice"
        )
        with context.database.session_scope() as session:
            row = session.get_one(Account, account.id)
            set_secret(context, row, "imap", "imap-secret")
            session.add(row)
        people.send(alice, "anna@client.example")
        account_with_imap(context, people, bob, smtp_sink, dovecot)
        copy = people.send(bob, "boris@client.example")
        while send_due(context):
            pass
        pool = AccountPool(accounts_with_copies, file_for_account)
        pool(context)
        wait_until(lambda: message_of(context, copy).sent_copy == "done")
        pool.end(context, 2.0)
    with context.database.reading() as session:
        assert session.exec(select(Lease)).all() == []


def test_looking_for_copies_reads_an_index_alone(context: AppContext) -> None:
    """Many messages, none of which wants its copy."""
    if not context.database.is_sqlite:
        pytest.skip("PostgreSQL plans by the size of tables")
    with context.database.reading() as session:
        for statement in (
            select(Message.id).where(_is_due(col(Message.account_id) == 7, now())).order_by(col(Message.sent_copy_at)),
            select(Message.sent_copy_at).where(WANTED, col(Message.sent_copy_at) <= now()),
        ):
            sql = statement.compile(session.connection(), compile_kwargs={"literal_binds": True})
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all()
            assert "sent_copy" in str(plan)
            assert "SCAN message" not in str(plan)
