"""Stories of leaving: what a server cannot carry is written so that it can, or refused with the reason."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

import pytest
from sqlmodel import Session, col, select, update

from tests.fixtures.contexts import People
from tests.outbound.submitted_mail import enqueue_submitted
from tests.outbound.test_queue import send_all
from tests.servers import SmtpSink, smtp_sink
from tracker.mail.account_servers import set_secret
from tracker.mail.addresses import Address
from tracker.models import Account, Delivery, User
from tracker.notifications import notify
from tracker.outbound.account_input import AccountChange, ServerChange
from tracker.outbound.accounts import change_account
from tracker.outbound.draft import Draft, SendError
from tracker.outbound.send import enqueue_composed
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.users import disable, enable

ALICE, CLEO = "alice@seller.example", "cleo@client.example"
HEAD = b"From: alice@seller.example\r\nTo: cleo@client.example\r\nSubject: Acht\r\nMessage-ID: <8@x>\r\nMIME-Version: 1.0\r\n"
GROSSE = "Größe\r\n".encode()


def submitted(context: AppContext, user: User, raw: bytes, *to: str) -> None:
    with context.database.session_scope() as session:
        enqueue_submitted(session, context, session.get_one(User, user.id), ALICE, to or (CLEO,), raw)
    send_all(context)


def arrived(sink: SmtpSink) -> EmailMessage:
    (taken,) = sink.accepted
    message = message_from_bytes(taken.content, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def reply(context: AppContext) -> str:
    with context.database.reading() as session:
        (copy,) = session.exec(select(Delivery))
    assert copy.status == "rejected"
    return copy.reply


def text(charset: str = "utf-8", encoding: str = "8bit", kind: str = "text/plain", more: str = "") -> bytes:
    return f"Content-Type: {kind}; charset={charset}{more}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()


EIGHT_BITS = {
    "text": HEAD + text() + GROSSE,
    "no encoding said": HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + GROSSE,
    "said to be 7bit": HEAD + text(encoding="7bit") + GROSSE,
    "latin-1": HEAD + text("iso-8859-1") + "Größe\r\n".encode("latin-1"),
    "cyrillic": HEAD + text("koi8-r") + "Größe".replace("Größe", "Размер").encode("koi8-r") + b"\r\n",
    "html": HEAD + text(kind="text/html") + b"<p>" + GROSSE + b"</p>\r\n",
    "binary": HEAD + text(encoding="binary") + GROSSE,
    "quoted-printable that is none": HEAD + text(encoding="quoted-printable") + "Größe =C3=BC\r\n".encode(),
    "multipart": HEAD
    + b"Content-Type: multipart/mixed; boundary=A\r\nContent-Transfer-Encoding: 8bit\r\n\r\nvor\xc3\xa4n\r\n--A\r\n"
    + text()
    + GROSSE
    + b"--A\r\nContent-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: binary\r\n\r\n\xff\xfe\x80"
    + b"\r\n--A--\r\nhint\xc3\xa4n\r\n",
    "attached message": HEAD
    + b"Content-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\n"
    + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: Gr\xc3\xb6\xc3\x9fe\r\n"
    + text()
    + GROSSE
    + b"\r\n--A--\r\n",
}


@pytest.mark.parametrize("raw", EIGHT_BITS.values(), ids=EIGHT_BITS)
def test_eight_bits_are_encoded_for_a_server_of_seven(context: AppContext, people: People, raw: bytes) -> None:
    alice = people.user()
    with smtp_sink(seven_bits=True, utf8=False) as sink:
        people.account(alice, sink)
        submitted(context, alice, raw)
        (taken,) = sink.accepted
        assert taken.content.isascii()
        assert not any(option.startswith("BODY") for option in taken.mail_options)
        words = "".join(
            bytes(part.get_payload(decode=True) or b"").decode(str(part.get_content_charset() or "utf-8"), "replace")
            for part in arrived(sink).walk()
            if part.get_content_maintype() == "text"
        )
    assert "Größe" in words or "Размер" in words


def test_a_server_of_eight_bits_gets_them_as_they_are(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink() as sink:
        people.account(alice, sink)
        submitted(context, alice, EIGHT_BITS["text"])
        (taken,) = sink.accepted
    assert taken.content.endswith(GROSSE)
    assert "BODY=8BITMIME" in taken.mail_options


SIGNED = {
    "multipart": HEAD + b'Content-Type: multipart/signed; boundary=A; protocol="application/pgp-signature"\r\n\r\n--A\r\n'
    + text() + GROSSE + b"--A\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--A--\r\n",
    "dkim": b"DKIM-Signature: v=1; a=rsa-sha256; d=seller.example; s=s; h=from; bh=A; b=B\r\n" + EIGHT_BITS["text"],
}  # fmt: skip


@pytest.mark.parametrize("raw", SIGNED.values(), ids=SIGNED)
def test_what_is_signed_is_refused_with_the_reason(context: AppContext, people: People, raw: bytes) -> None:
    alice = people.user()
    with smtp_sink(seven_bits=True) as sink:
        people.account(alice, sink)
        submitted(context, alice, raw)
        assert sink.accepted == []
    assert "8BITMIME" in reply(context)
    assert "signed" in reply(context)


def test_a_copy_that_names_an_address_beyond_ascii_goes_with_smtputf8_to_everybody(
    context: AppContext, people: People
) -> None:
    alice = people.user()
    with smtp_sink() as sink:
        people.account(alice, sink)
        people.send(alice, "jörg@bücher.example", CLEO)
        send_all(context)
        assert ["SMTPUTF8" in taken.mail_options for taken in sink.accepted] == [True, True]


def test_without_smtputf8_such_a_copy_is_refused_for_everybody_and_says_why(
    context: AppContext, people: People
) -> None:
    alice = people.user()
    with smtp_sink(utf8=False) as sink:
        people.account(alice, sink)
        people.send(alice, "jörg@bücher.example", CLEO)
        send_all(context)
        assert sink.accepted == []
    with context.database.reading() as session:
        copies = {copy.address: copy for copy in session.exec(select(Delivery))}
    assert {copy.status for copy in copies.values()} == {"rejected"}
    assert "jörg@" in copies[CLEO].reply
    assert "SMTPUTF8" in copies[CLEO].reply


BCC = Draft(to=(Address(CLEO),), bcc=(Address("jörg@bücher.example"),), subject="s", text="t")


def test_who_is_not_in_the_header_spoils_nobodys_copy(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink(utf8=False) as sink:
        people.account(alice, sink)
        with context.database.session_scope() as session:
            enqueue_composed(session, context, session.get_one(User, alice.id), BCC)
        send_all(context)
        assert [taken.recipients for taken in sink.accepted] == [(CLEO,)]


RAW_HEADERS = {
    "subject": (b"Subject: Gr\xc3\xb6\xc3\x9fe\r\n", "subject", "Größe"),
    "subject in windows-1251": ("Subject: Размер партии\r\n".encode("cp1251"), "subject", "Размер партии"),
    "name": ('Cc: "Jörg Größe" <j@x.example>\r\n'.encode(), "cc", "Jörg Größe <j@x.example>"),
    "domain": ("Cc: info@bücher.example\r\n".encode(), "cc", "info@xn--bcher-kva.example"),
    "comment": ("Comments: für Größe\r\n".encode(), "comments", "für Größe"),
    "folded": ("X-Note: Größe eins\r\n Größe zwei\r\n".encode(), "x-note", "Größe eins Größe zwei"),
}


@pytest.mark.parametrize("smtputf8", [True, False])
@pytest.mark.parametrize(("field", "name", "value"), RAW_HEADERS.values(), ids=RAW_HEADERS)
def test_words_in_raw_headers_are_encoded_for_every_server(
    context: AppContext, people: People, field: bytes, name: str, value: str, smtputf8: bool
) -> None:
    raw = field + HEAD.replace(b"Subject: Acht\r\n", b"") + b"\r\nHello\r\n"
    alice = people.user()
    with smtp_sink(utf8=smtputf8) as sink:
        people.account(alice, sink)
        submitted(context, alice, raw)
        (taken,) = sink.accepted
        assert taken.content.isascii()
        assert "SMTPUTF8" not in taken.mail_options
        assert str(arrived(sink)[name]) == value


def test_a_raw_file_name_is_encoded_too(context: AppContext, people: People) -> None:
    raw = (
        HEAD
        + (
            'Content-Type: application/pdf; name="Größe.pdf"\r\nContent-Disposition: attachment;\r\n filename="Größe.pdf"\r\n'
            "Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n"
        ).encode()
    )
    alice = people.user()
    with smtp_sink(utf8=False, seven_bits=True) as sink:
        people.account(alice, sink)
        submitted(context, alice, raw)
        assert arrived(sink).get_filename() == "Größe.pdf"


# --- time


def test_a_time_that_has_passed_is_refused_and_one_that_just_has_means_now(context: AppContext, people: People) -> None:
    alice = people.user()
    with smtp_sink() as sink:
        people.account(alice, sink)
        for at in (datetime(2019, 2, 3, tzinfo=UTC), now() - timedelta(minutes=5), datetime(9999, 12, 31, tzinfo=UTC)):
            with pytest.raises(SendError) as refused:
                people.send(alice, CLEO, send_at=at, follow_up_days=365)
            assert refused.value.field == "send_at"
        people.send(alice, CLEO, send_at=now() - timedelta(seconds=30))
        send_all(context)
        assert parsedate_to_datetime(str(arrived(sink)["Date"])) > now() - timedelta(seconds=10)


def test_what_waits_for_a_mended_account_is_due_at_once_and_what_has_its_time_keeps_it(
    context: AppContext, people: People
) -> None:
    alice = people.user()
    with smtp_sink(login="alice", secret="right") as sink:
        account = people.account(alice, sink)
        with context.database.session_scope() as session:
            set_secret(context, session.get_one(Account, account.id), "smtp", "wrong")
        people.send(alice, CLEO)
        later = people.send(alice, "later@client.example", send_at=now() + timedelta(days=3))
        send_all(context)
        assert sink.accepted == []
        with context.database.session_scope() as session:
            row = session.get_one(Account, account.id)
            change_account(context, session, row, AccountChange(smtp=ServerChange(secret="right")))
        send_all(context)
        assert [taken.recipients for taken in sink.accepted] == [(CLEO,)]
    with context.database.reading() as session:
        copy = session.exec(select(Delivery).where(Delivery.message_id == later.id)).one()
    assert copy.next_try_at == later.send_at


MENDED = [
    AccountChange(smtp=ServerChange(host="127.0.0.1")),
    AccountChange(smtp=ServerChange(login="alice", secret="s")),
    AccountChange(smtp=ServerChange(security="none")),
    AccountChange(address="alice@seller.example"),
    AccountChange(per_day=0),
]


@pytest.mark.parametrize("change", MENDED, ids=range(len(MENDED)))
def test_whatever_mends_an_account_wakes_what_waits(context: AppContext, people: People, change: AccountChange) -> None:
    alice = people.user()
    with smtp_sink(defer={CLEO: 9}) as sink:
        account = people.account(alice, sink)
        people.send(alice, CLEO)
        send_all(context)
        with context.database.session_scope() as session:
            change_account(context, session, session.get_one(Account, account.id), change)
            assert session.exec(select(Delivery)).one().next_try_at <= now()  # type: ignore[operator]


def test_mail_of_somebody_switched_off_is_held_until_they_are_back_and_administrators_know(
    context: AppContext, people: People
) -> None:
    boss, ben = people.user("Boss", "admin"), people.user("Ben")
    with smtp_sink(defer={"grey@client.example": 1}) as sink:
        people.account(ben, sink)
        people.send(ben, "grey@client.example", CLEO)
        send_all(context)
        people.send(ben, "next@client.example")
        later = people.send(ben, "later@client.example", send_at=now() + timedelta(days=3))
        sink.clear()
        with context.database.session_scope() as session:
            disable(session, session.get_one(User, ben.id))
        with context.database.session_scope() as session:
            make_all_due(session)
        send_all(context)
        assert sink.accepted == []
        with context.database.reading() as session:
            (line,) = notify.lines(session, boss)
        assert line.kind == "problem"
        assert "Ben is switched off" in line.detail
        assert "3" in line.detail
        with context.database.session_scope() as session:
            enable(session, session.get_one(User, ben.id))
        send_all(context)
        assert {taken.recipients for taken in sink.accepted} == {("grey@client.example",), ("next@client.example",)}
    with context.database.reading() as session:
        copy = session.exec(select(Delivery).where(Delivery.message_id == later.id)).one()
    assert copy.next_try_at == later.send_at


def make_all_due(session: Session) -> None:
    session.exec(update(Delivery).where(col(Delivery.next_try_at).is_not(None)).values(next_try_at=now()))


def test_where_nothing_waits_nobody_is_told(context: AppContext, people: People) -> None:
    boss, ben = people.user("Boss", "admin"), people.user("Ben")
    with context.database.session_scope() as session:
        disable(session, session.get_one(User, ben.id))
    with context.database.reading() as session:
        assert list(notify.lines(session, boss)) == []
