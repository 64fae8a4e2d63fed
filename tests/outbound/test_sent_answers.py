"""Answers that a manager wrote in his own mail program, found in the Sent folder over real IMAP."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.crm.shop_world import ShopWorld
from tests.fixtures.contexts import People, opened_context
from tests.outbound.test_sent_copy import account_with_imap
from tests.servers import Authority, Dovecot, SmtpSink
from tracker.mail.account_servers import imap_server
from tracker.mail.folders import folder_for
from tracker.mail.imap_session import imap
from tracker.models import Account, Letter, Message
from tracker.outbound.account_pool import serve_longest_waiting
from tracker.outbound.sent_answers import accounts_to_look_at, look_for_answers, next_sent_folder
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


@pytest.fixture
def context(tmp_path, ca: Authority) -> Iterator[AppContext]:  # type: ignore[no-untyped-def]
    with opened_context(tmp_path, CA_FILE=str(ca.file)) as made:
        yield made


@pytest.fixture
def shop(context: AppContext, people: People) -> ShopWorld:
    return ShopWorld(context, people)


def file(shop: ShopWorld, account: Account, letter: Letter, *header: str, minutes: int = 30) -> None:
    """A message stands in Sent, put there so many minutes after the letter came."""
    raw = "\r\n".join(["From: ben@shop.example", "Subject: Re: Chairs", *header, "", "Ten euros."]).encode()
    at = letter.received_at + timedelta(minutes=minutes)
    with imap(shop.context, imap_server(shop.context, account)) as client:
        client.append(folder_for(client, "sent") or "Sent", raw, msg_time=at)


def look(shop: ShopWorld, account: Account) -> int:
    """As if ten minutes were over."""
    shop.change(account, sent_read_at=None)
    return serve_longest_waiting(shop.context, accounts_to_look_at, look_for_answers)


def test_what_was_answered_in_another_program_is_answered(
    shop: ShopWorld, people: People, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    ben = shop.person("Ben")
    account = account_with_imap(shop.context, people, ben, smtp_sink, dovecot)
    with imap(shop.context, imap_server(shop.context, account)) as client:
        if folder_for(client, "sent") is None:
            client.create_folder("Sent")
    with shop.context.database.reading() as session:
        assert (accounts_to_look_at(session, now()), next_sent_folder(session)) == ([], None), "nobody waits"
    came = now() - timedelta(days=1)
    letter = shop.letter("new@else.example", internal_date=came)
    other = shop.letter("other@else.example", internal_date=came)
    for number, header in enumerate((
        ["To: new@else.example", "Auto-Submitted: auto-replied"], ["To: new@else.example", "List-Unsubscribe: <x>"],
        ["To: " + ", ".join(f"p{n}@else.example" for n in range(30)) + ", new@else.example"],
        ["To: ann@shop.example"], ["To: not an address <"], [],
    )):  # fmt: skip
        file(shop, account, letter, *header, f"Message-ID: <{number}@program>")
    file(shop, account, letter, "To: new@else.example", "Message-ID: <before@program>", minutes=-60)
    with shop.context.database.session_scope() as session:
        session.add(Message(user_id=ben.id or 0, message_id="<ours@shop.example>", subject="Re"))
    file(shop, account, letter, "To: new@else.example", "Message-ID: <ours@shop.example>")
    assert look(shop, account) == 0
    assert shop.status(letter).answered_at is None
    file(shop, account, letter, "Cc: =?utf-8?q?=D0=9D?=\r\n <NEW@else.example>", "Message-ID: <9@program>", minutes=45)
    assert look(shop, account) == 1
    status = shop.status(letter)
    assert (status.answered_by, status.waiting_since) == (ben.id, None)
    assert status.answered_at == letter.received_at.replace(microsecond=0) + timedelta(minutes=45)
    assert shop.status(other).answered_at is None
    with shop.context.database.reading() as session:
        stored = session.get_one(Account, account.id)
        assert next_sent_folder(session) == stored.sent_read_at
        assert accounts_to_look_at(session, now()) == [], "not again before ten minutes are over"
    assert stored.sent_uid == 9
    assert look(shop, account) == 0
    with imap(shop.context, imap_server(shop.context, account)) as client:
        client.select_folder(folder_for(client, "sent"), readonly=True)
        assert client.search(["SEEN"]) == [], "looking marks nothing"


def test_an_account_that_cannot_be_read_is_left_alone_for_an_hour(
    shop: ShopWorld, people: People, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    account = account_with_imap(shop.context, people, shop.olga, smtp_sink, dovecot, imap_port=1)
    shop.letter("new@else.example", internal_date=now())
    assert look(shop, account) == 0
    with shop.context.database.reading() as session:
        stored = session.get_one(Account, account.id)
    assert stored.sent_read_at is not None
    assert stored.sent_read_at > now() + timedelta(minutes=50)
    assert stored.state == account.state, "sending is another matter"
