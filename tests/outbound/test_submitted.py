"""Accepting a raw message: what is read from it, what stays, what is refused."""

from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.fixtures.contexts import People
from tests.outbound.mail_programs import content_for, hand_on
from tests.outbound.submitted_mail import HTML, MIXED, PDF, TO, WITH_CONTROL, enqueue_submitted, plain
from tests.servers import SmtpSink
from tracker.models import Account, Attachment, Delivery, Message, MessageBody, TrackedLink, User
from tracker.outbound.cancel import cancel
from tracker.outbound.draft import SendError
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

ANNA = ["anna@client.example"]


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    alice = people.user()
    people.account(alice, smtp_sink)
    return alice


def submit(
    context: AppContext, user: User, raw: bytes, to: list[str] = ANNA, mail_from: str = "alice@seller.example"
) -> Message:
    with context.database.session_scope() as session:
        return enqueue_submitted(session, context, session.get_one(User, user.id), mail_from, to, raw)


def body_of(context: AppContext, message: Message) -> MessageBody:
    with context.database.reading() as session:
        return session.get_one(MessageBody, message.id)


def deliveries(context: AppContext) -> list[Delivery]:
    with context.database.reading() as session:
        return list(session.exec(select(Delivery).order_by(col(Delivery.position))))


def test_what_the_message_says_is_read(context: AppContext, people: People, alice: User) -> None:
    people.grant("anna@client.example")
    message = submit(context, alice, WITH_CONTROL, TO)
    assert message.message_id == "<odd.One-1@laptop.local>"
    assert (message.from_name, message.from_address) == ("Älice Seller", "alice@seller.example")
    assert message.subject == "Предложение 12"
    assert message.snippet.startswith("Grüße, here is https://shop.example/offer .a line")
    assert (message.names, message.has_attachments) == ("Anna A., Luc, boss@client.example", True)
    assert [(d.role, d.name, d.address) for d in deliveries(context)] == [
        ("to", "Anna A.", "anna@client.example"),
        ("cc", "Luc", "luc@client.example"),
        ("bcc", "", "boss@client.example"),
    ]
    with context.database.reading() as session:
        (link,) = session.exec(select(TrackedLink)).all()
    assert (link.url, link.text, link.tracked) == ("https://shop.example/offer?a=1&b=2", "the offer", True)
    assert body_of(context, message).html == HTML.decode()


def test_but_for_control_header_and_bcc_every_byte_is_kept(context: AppContext, alice: User) -> None:
    assert body_of(context, submit(context, alice, WITH_CONTROL, TO)).raw == MIXED


def test_bare_line_ends_become_crlf(context: AppContext, alice: User) -> None:
    assert body_of(context, submit(context, alice, WITH_CONTROL.replace(b"\r\n", b"\n"), TO)).raw == MIXED
    assert body_of(context, submit(context, alice, WITH_CONTROL.replace(b"\r\n", b"\r"), TO)).raw == MIXED


def test_tracked_for_who_agreed_and_untouched_for_who_did_not(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    people.grant("anna@client.example")
    submit(context, alice, WITH_CONTROL, TO)
    hand_on(context)
    assert content_for(smtp_sink, "luc@client.example") == MIXED
    assert content_for(smtp_sink, "boss@client.example") == MIXED
    tracked = content_for(smtp_sink, "anna@client.example")
    start, end = MIXED.index(HTML), MIXED.index(HTML) + len(HTML)
    assert tracked.startswith(MIXED[:start])
    assert tracked.endswith(MIXED[end:])
    changed = tracked[start : len(tracked) - len(MIXED) + end]
    assert changed.count(context.settings.tracking_url.encode() + b"/c/") == 1
    assert changed.count(context.settings.tracking_url.encode() + b"/o/") == 1
    assert b"shop.example/offer?a" not in changed


def test_message_id_and_date_are_added_only_when_missing(context: AppContext, alice: User) -> None:
    bare = b"From: alice@seller.example\r\nTo: anna@client.example\r\nMessage-ID:\r\n\r\nHello\r\n"
    message = submit(context, alice, bare)
    raw = body_of(context, message).raw or b""
    assert raw.count(b"Message-ID:") == raw.count(b"Date:") == 1
    assert f"Message-ID: {message.message_id}\r\n".encode() in raw
    assert message.message_id.endswith("@seller.example>")
    assert raw.startswith(b"From: alice@seller.example\r\nTo: anna@client.example\r\nDate:")
    assert raw.endswith(b"\r\n\r\nHello\r\n")


@pytest.mark.parametrize(
    ("words", "switches"),
    [
        ("opens, links", (True, True)),
        ("OPENS", (True, False)),
        ("links", (False, True)),
        ("none", (False, False)),
        ("none, opens", (False, False)),
        ("", (False, False)),
        ("whatever", (False, False)),
    ],
)
def test_the_control_header_wins_over_the_persons_default(
    context: AppContext, alice: User, words: str, switches: tuple[bool, bool]
) -> None:
    with context.database.session_scope() as session:
        row = session.get_one(User, alice.id)
        row.track_opens, row.track_links = not switches[0], not switches[1]
    message = submit(context, alice, plain(f"X-Inkling-Track: {words}"))
    assert (message.track_opens, message.track_links) == switches
    assert b"Inkling" not in (body_of(context, message).raw or b"")
    usual = submit(context, alice, plain())
    assert (usual.track_opens, usual.track_links) == (not switches[0], not switches[1])


@pytest.mark.parametrize(
    ("content_type", "rule"),
    [
        ('multipart/signed; protocol="application/pgp-signature"; boundary=x', "protected"),
        ('multipart/encrypted; protocol="application/pgp-encrypted"; boundary=x', "protected"),
        ("application/pkcs7-mime; smime-type=signed-data", "protected"),
        ("text/plain", "text_only"),
        ("text/html; charset=utf-7", "rewriting_failed"),
    ],
)
def test_what_cannot_be_changed_goes_out_as_it_is_with_its_rule(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink, content_type: str, rule: str
) -> None:
    people.grant("anna@client.example")
    raw = plain(
        f"Content-Type: {content_type}",
        body="--x\r\nContent-Type: text/html\r\n\r\n<p>Signed\r\n--x\r\n\r\nsignature\r\n--x--\r\n",
    )
    submit(context, alice, raw)
    hand_on(context)
    assert content_for(smtp_sink, "anna@client.example") == raw
    (row,) = deliveries(context)
    assert (row.opens_on, row.opens_rule, row.clicks_on, row.clicks_rule) == (False, rule, False, rule)


def test_threads_come_from_the_headers(context: AppContext, alice: User) -> None:
    answer = submit(
        context,
        alice,
        plain("In-Reply-To: <b@client.example>", "References: <a@client.example>\r\n <b@client.example>"),
    )
    assert (answer.thread, answer.in_reply_to) == ("<a@client.example>", "<b@client.example>")
    odd = submit(context, alice, plain("In-Reply-To: your mail of today", "Message-ID: not really one"))
    assert (odd.thread, odd.in_reply_to, odd.message_id) == ("not really one", None, "not really one")


@pytest.mark.parametrize(
    ("fields", "mail_from"),
    [
        (("From: eve@evil.example",), "alice@seller.example"),
        (("From: alice@seller.example",), "eve@evil.example"),
        (("From: alice@seller.example, ceo@seller.example",), "alice@seller.example"),
        (("From: alice@seller.example", "From: ceo@seller.example"), "alice@seller.example"),
        (("From:",), "alice@seller.example"),
        (('From: "alice@seller.example" <ceo@seller.example>',), "alice@seller.example"),
        (("From: Carol <carol@seller.example>",), "carol@seller.example"),
        (("From: new@seller.example",), "new@seller.example"),
        (("From: gone@seller.example",), "gone@seller.example"),
        (("From: alice@seller.example",), ""),
    ],
)
def test_who_sends_must_be_a_confirmed_address_of_this_person(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink, fields: tuple[str, ...], mail_from: str
) -> None:
    people.account(people.user("Carol"), smtp_sink)
    people.account(alice, smtp_sink, address="new@seller.example", confirmed_at=None)
    people.account(alice, smtp_sink, address="gone@seller.example", removed_at=now())
    with pytest.raises(SendError) as refused:
        submit(context, alice, plain(*fields), mail_from=mail_from)
    assert refused.value.code == "not_yours"
    assert deliveries(context) == []


def test_the_account_is_the_one_of_the_from_address(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    second = people.account(alice, smtp_sink, address="sales@seller.example", name="Sales")
    message = submit(context, alice, plain("From: Sales@Seller.example"), mail_from="alice@seller.example")
    assert (message.account_id, message.from_name) == (second.id, "Sales")


BAD = [
    b"From: alice@seller.example\nTo: \xff\xfe<broken>, Anna <anna@client.example>, x\n"
    b"Subject: caf\xe9 \x01 =?utf-8?b?!!!?= =?nonsense?q?x?=\n\nSOH \x01 here\n",
    b"From: alice@seller.example\r\nContent-Type: text/html; charset=nonsense\r\n\r\n<p>\x01\xff\xed\xa0\x80 <a href='https://x.example/\x01'>x</a>",
    b"From: alice@seller.example",
    b"From: alice@seller.example\r\n\r\n",
    b"garbage before\r\nFrom: alice@seller.example\r\nMessage-ID: <" + b"x" * 600 + b">\r\n\r\n",
    b"From: alice@seller.example\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n" * 3000,
    b"From: alice@seller.example\r\nContent-Transfer-Encoding: base64\r\n\r\n=?=A",
]


@pytest.mark.parametrize("raw", BAD, ids=range(len(BAD)))
def test_bad_mail_is_taken_and_sent(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink, raw: bytes
) -> None:
    people.grant("anna@client.example")
    message = submit(context, alice, raw)
    hand_on(context)
    assert deliveries(context)[0].status == "accepted"
    written = body_of(context, message).raw or b""
    for line in raw.replace(b"\r\n", b"\n").split(b"\n"):
        assert line in written


def test_an_address_of_another_script_and_one_twice(context: AppContext, alice: User) -> None:
    submit(
        context, alice, plain("To: анна@bücher.example"), ["анна@bücher.example", "Анна@bücher.example", "b@x.example"]
    )
    assert [(d.role, d.address) for d in deliveries(context)] == [
        ("to", "анна@xn--bcher-kva.example"),
        ("bcc", "b@x.example"),
    ]


@pytest.mark.parametrize(
    ("to", "code"), [([], "empty"), (["anna"], "no_at"), ([f"a{n}@x.example" for n in range(101)], "too_many")]
)
def test_an_envelope_that_cannot_be_used_is_refused(context: AppContext, alice: User, to: list[str], code: str) -> None:
    with pytest.raises(SendError) as refused:
        submit(context, alice, plain(), to)
    assert refused.value.code == code
    assert deliveries(context) == []


def test_it_leaves_at_once_whatever_the_undo_delay(context: AppContext, alice: User, smtp_sink: SmtpSink) -> None:
    with context.database.session_scope() as session:
        session.exec(update(User).values(undo_seconds=30))
    submit(context, alice, plain())
    hand_on(context)
    assert len(smtp_sink.accepted) == 1


def test_taken_back_in_time_it_is_a_draft_with_its_files(context: AppContext, people: People, alice: User) -> None:
    message = submit(context, alice, WITH_CONTROL, TO)
    with context.database.session_scope() as session:
        cancel(session, session.get_one(Message, message.id))
    with context.database.reading() as session:
        (file,) = session.exec(select(Attachment)).all()
        assert (file.filename, file.content_type, file.content) == ("offer.pdf", "application/pdf", PDF)
        assert session.get_one(MessageBody, message.id).html == HTML.decode()
        assert session.get_one(Message, message.id).state == "draft"


def test_the_mail_program_has_a_minute_to_file_its_own_copy(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Account).values(imap_host="127.0.0.1"))
    message = submit(context, alice, plain())
    hand_on(context)
    with context.database.reading() as session:
        row = session.get_one(Message, message.id)
    assert row.sent_copy == "wanted"
    assert row.sent_copy_at is not None
    assert row.sent_copy_at > now() + timedelta(seconds=30)


def test_a43_the_address_of_list_unsubscribe_is_left_in_the_body_too(
    context: AppContext, people: People, alice: User
) -> None:
    people.grant("anna@client.example")
    raw = (
        b"From: alice@seller.example\r\nTo: anna@client.example\r\nSubject: News\r\nMIME-Version: 1.0\r\n"
        b"List-Unsubscribe: <mailto:off@seller.example>,\r\n <https://lists.example/off?id=1&x=2>\r\n"
        b"Content-Type: text/html\r\n\r\n"
        b'<a href="https://lists.example/off?id=1&amp;x=2">stop</a> <a href="https://shop.example/">shop</a>\r\n'
    )
    submit(context, alice, raw)
    with context.database.reading() as session:
        links = session.exec(select(TrackedLink).order_by(col(TrackedLink.position))).all()
    assert [(link.tracked, link.reason) for link in links] == [(False, "list_unsubscribe"), (True, None)]
