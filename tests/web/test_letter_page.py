"""A letter is shown safely, says what it is and why, gives its files as files, and can be answered."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import select
from turbohtml import parse

from tests.web.conftest import ClientOf
from tests.web.letters_world import GALLERY, Came, make_mailbox, receive
from tests.web.mail_world import ANNA, Written, make_account, write
from tests.web.reading import attribute, every, only, text_at
from tracker.crm.customers import CustomerChange, create_customer
from tracker.inbound.parse.letter import parse as understood
from tracker.models import EnquiryStatus, Letter, LetterAttachment, LetterBody, Message, MessageBody, Notification, User
from tracker.notifications.notify import notify
from tracker.runtime.context import AppContext
from tracker.web.inbox.labels import excerpt

EVIL = """<p onclick="alert(1)">Hello</p><script>alert(2)</script><form action="https://evil.example"><input name="p"></form>
<img src="https://tracker.example/pixel.gif"><a href="javascript:alert(3)">here</a><iframe src="https://evil.example"></iframe>"""

WITH_FILES = b"""From: Anna <anna@atelier.example>\r
To: info@shop.example\r
Subject: Drawing\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/html; charset=utf-8\r
\r
<p>Here it is</p><img src="cid:logo@x">\r
--b\r
Content-Type: image/png; name="logo.png"\r
Content-ID: <logo@x>\r
Content-Disposition: inline\r
Content-Transfer-Encoding: base64\r
\r
iVBORw0KGgo=\r
--b\r
Content-Type: text/html\r
Content-Disposition: attachment; filename="../../page.html"\r
\r
<script>alert(1)</script>\r
--b--\r
"""


def arrived(context: AppContext, user: User, raw: bytes) -> Letter:
    """As accepting would leave it."""
    parsed = understood(raw)
    (letter,) = receive(
        context, make_mailbox(context, user), Came(parsed.subject, text=parsed.text, html=parsed.html, raw=raw)
    )
    with context.database.session_scope() as session:
        for position, file in enumerate(parsed.files):
            names = ("part", "filename", "written_name", "content_type", "content_id", "inline", "size", "digest")
            facts = {name: getattr(file, name) for name in names}
            session.add(LetterAttachment(letter_id=letter.id or 0, position=position, **facts))
    return letter


def test_p20_nothing_in_a_letter_runs_and_nothing_is_fetched_unasked(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    (letter,) = receive(context, make_mailbox(context, alice), Came("evil", html=EVIL))
    page = client.get(f"/letters/{letter.public_id}")
    frame = only(page, "iframe[data-mail-frame]")
    assert "allow-scripts" not in attribute(frame, "sandbox")
    assert "Pictures from elsewhere are not loaded" in text_at(page, ".message-images")
    content = client.get(attribute(frame, "src"))
    for gone in ("<script", "onclick", "<form", "<input", "<iframe src", "javascript:"):
        assert gone not in content.text
    policy = content.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "img-src data:;" in policy
    asked = client.get(f"/letters/{letter.public_id}/content?images=1")
    assert "img-src data: https: http:" in asked.headers["content-security-policy"]


def test_our_own_pixel_and_redirects_in_what_is_quoted_are_gone(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    """Reading an answer must not count as an open of the message that it quotes."""
    (message,) = write(context, alice, Written("Offer", (ANNA,)))
    pixel, link = context.pixel_url("AAAAAAAAAAA"), context.click_url("AAAAAAAAAAA", 0, "https://shop.example/offer")
    html = f'<p>Fine</p><blockquote><a href="{link}">offer</a><img src="{pixel}"></blockquote>'
    (letter,) = receive(context, make_mailbox(context, alice), Came("Re: Offer", html=html))
    content = client.get(f"/letters/{letter.public_id}/content?images=1").text
    assert pixel not in content
    assert link not in content
    assert "https://shop.example/offer" in content
    assert message.public_id


def test_p21_files_are_saved_under_safe_names_and_pictures_of_the_text_are_shown_in_it(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    letter = arrived(context, alice, WITH_FILES)
    page = client.get(f"/letters/{letter.public_id}")
    files = every(page, ".message-files a")
    assert len(files) == 1
    assert "page.html" in text_at(page, ".message-files")
    assert ".." not in text_at(page, ".message-files")
    answer = client.get(attribute(files[0], "href"))
    assert answer.content.strip() == b"<script>alert(1)</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "data:image/png;base64,iVBORw0KGgo=" in client.get(f"/letters/{letter.public_id}/content").text


def test_the_letter_as_it_came_can_be_saved(client: httpx.Client, context: AppContext, alice: User) -> None:
    letter = arrived(context, alice, WITH_FILES)
    answer = client.get(f"/letters/{letter.public_id}/raw")
    assert answer.content == WITH_FILES
    assert 'filename="Drawing.eml"' in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("came", "words"),
    [
        (Came("a"), "From a person counts as an enquiry"),
        (Came("b", category="bulk", columns={"category_reason": "field:list-unsubscribe"}), "Newsletter"),
        (Came("c", category="auto_reply"), "Automatic reply not counted"),
        (Came("d", counted=False, columns={"backfilled": True}), "old mail"),
    ],
)
def test_it_says_what_it_is(client: httpx.Client, context: AppContext, alice: User, came: Came, words: str) -> None:
    (letter,) = receive(context, make_mailbox(context, alice), came)
    assert words in text_at(client.get(f"/letters/{letter.public_id}"), ".letter-standing")


def test_it_says_why_and_what_is_odd(client: httpx.Client, context: AppContext, alice: User) -> None:
    columns = {
        "category_reason": "auto_submitted:auto-replied",
        "defects": ["date_missing", "reply_to_address_by_pattern", "something_new"],
        "flags": ["forwarded"],
    }
    (letter,) = receive(context, make_mailbox(context, alice), Came("x", category="auto_reply", columns=columns))
    page = client.get(f"/letters/{letter.public_id}")
    assert "its header says “Auto-Submitted: auto-replied”" in text_at(page, ".letter-facts")
    assert [" ".join(element.text.split()) for element in every(page, ".letter-odd li")] == [
        "Somebody forwarded it.",
        "It has no date.",
        "The field Reply-To is not written properly; the address in it was guessed.",
        "something new",
    ]


def test_repeats_enquiry_and_answered_message_are_a_link_away(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    (message,) = write(context, alice, Written("Offer 12", (ANNA,)))
    first, repeat, *_ = receive(context, make_mailbox(context, alice), *GALLERY)
    with context.database.session_scope() as session:
        row = session.get_one(Letter, repeat.id)
        row.in_reply_to_message_id = message.id
        session.add(row)
    page = client.get(f"/letters/{repeat.public_id}")
    links = [attribute(element, "href") for element in every(page, ".letter-facts .message-note a")]
    assert links == [f"/letters/{first.public_id}", f"/mail/{message.public_id}#timeline"]
    assert (
        attribute(only(client.get(f"/letters/{first.public_id}"), "#repeats a"), "href")
        == f"/letters/{repeat.public_id}"
    )


@pytest.mark.parametrize(("name", "shown"), [("The atelier", "The atelier"), ("", "anna@atelier.example")])
def test_it_says_to_whom_the_rules_would_bind_it_today(
    client: httpx.Client, context: AppContext, alice: User, name: str, shown: str
) -> None:
    (letter,) = receive(context, make_mailbox(context, alice), Came("x", "anna@atelier.example"))
    with context.database.session_scope() as session:
        create_customer(session, CustomerChange(name=name, addresses=["anna@atelier.example"]), alice)
    for act in ("bind", "unbind"):
        client.post(f"/letters/{letter.public_id}/binding", data={"act": act, "to": "anna@atelier.example"})
    page = client.get(f"/letters/{letter.public_id}")
    assert f"By the rules it would be bound to {shown} today." in " ".join(page.text.split())


@pytest.mark.parametrize("path", ["", "/content", "/raw", "/files/abc"])
def test_a_letter_is_its_persons_alone(
    client: httpx.Client, client_of: ClientOf, context: AppContext, alice: User, bob: User, path: str
) -> None:
    (letter,) = receive(context, make_mailbox(context, bob), Came("Bob's"))
    assert client.get(f"/letters/{letter.public_id}{path}").status_code == 404
    for deed in ("reading", "removal", "withdrawal", "withdrawal-end"):
        assert client.post(f"/letters/{letter.public_id}/{deed}").status_code == 404
    assert client.get(f"/compose?letter={letter.public_id}").status_code == 404


def test_who_was_given_an_enquiry_meets_no_link_to_what_only_its_owner_sees(
    client: httpx.Client, client_of: ClientOf, context: AppContext, alice: User, bob: User
) -> None:
    (message,) = write(context, alice, Written("Offer 12", (ANNA,)))
    box = make_mailbox(context, alice)
    (letter,) = receive(context, box, Came("Re: Offer 12", columns={"in_reply_to_message_id": message.id}))
    with context.database.session_scope() as session:
        whose: dict[str, Any] = {
            "letter_id": letter.id,
            "user_id": alice.id,
            "mailbox_id": box.id,
            "manager_id": bob.id,
        }
        session.add(EnquiryStatus(**whose, received_at=letter.received_at))
    owners = {f"/mail/{message.public_id}#timeline", f"/mailboxes/{box.public_id}"}
    for browser, seen in ((client, owners), (client_of(bob), set[str]())):
        page = browser.get(f"/letters/{letter.public_id}")
        assert {attribute(link, "href") for link in every(page, "main a")} & owners == seen
        assert bool(every(browser.get("/enquiries"), ".letter-answers")) == bool(seen)


def test_looking_at_it_reads_it_and_its_bell_line(client: httpx.Client, context: AppContext, alice: User) -> None:
    (letter,) = receive(context, make_mailbox(context, alice), Came("x"))
    with context.database.session_scope() as session:
        notify(session, alice.id or 0, f"letter:{letter.id}", "enquiry", letter.received_at)
    assert "Anna Petit wrote: x" in text_at(client.get("/notifications"), ".line .what")
    client.get(f"/letters/{letter.public_id}")
    with context.database.reading() as session:
        assert session.get_one(Letter, letter.id).read_at is None, "a GET changes nothing"
    client.post(f"/letters/{letter.public_id}/reading")
    with context.database.reading() as session:
        assert session.get_one(Letter, letter.id).read_at is not None
        assert session.exec(select(Notification)).one().read_at is not None


def test_the_bell_line_of_a_letter_leads_to_it(client: httpx.Client, context: AppContext, alice: User) -> None:
    (letter,) = receive(context, make_mailbox(context, alice), Came("x"))
    with context.database.session_scope() as session:
        line = notify(session, alice.id or 0, f"letter:{letter.id}", "enquiry", letter.received_at)
    answer = client.post(f"/notifications/{line.public_id}/reading")
    assert answer.headers["location"] == f"/letters/{letter.public_id}"


def test_a_deleted_letter_leaves_a_tombstone_without_content(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    letter = arrived(context, alice, WITH_FILES)
    client.post(f"/letters/{letter.public_id}/removal")
    assert client.get(f"/letters/{letter.public_id}").status_code == 404
    with context.database.reading() as session:
        row = session.get_one(Letter, letter.id)
        assert (row.deleted_at is not None, row.subject, row.identity) == (True, "", letter.identity)
        assert session.get(LetterBody, letter.id) is None
        assert session.exec(select(LetterAttachment)).all() == []
    assert "Drawing" not in client.get("/enquiries?show=letters").text


def test_an_answer_goes_to_who_wrote_in_the_same_conversation(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    box = make_mailbox(context, alice)
    account = make_account(context, alice, "info@shop.example")
    make_account(context, alice, "alice@shop.example")
    html = '<p>Do you have <b>oak</b>?</p><img src="https://tracker.example/p.gif"><script>alert(1)</script>'
    (letter,) = receive(
        context,
        box,
        Came("Chairs", html=html, columns={"references": ["first@atelier.example", "second@atelier.example"]}),
    )
    page = client.get(f"/compose?letter={letter.public_id}")
    assert "anna.petit@atelier-petit.example" in attribute(only(page, "#to"), "value")
    assert attribute(only(page, "#subject"), "value") == "Re: Chairs"
    assert attribute(only(page, "#account option[selected]"), "value") == account.public_id
    assert "tracker.example" not in page.text
    assert "alert(1)" not in page.text
    typed = {
        "reply": attribute(only(page, "[name=reply]"), "value"), "to": "anna.petit@atelier-petit.example",
        "subject": "Re: Chairs", "html": "<div>Yes, we have.</div>", "format": "html", "account": account.public_id,
    }  # fmt: skip
    client.post("/compose", data={**typed, "do": "send"})
    with context.database.reading() as session:
        message = session.exec(select(Message)).one()
        body = session.get_one(MessageBody, message.id)
    assert message.in_reply_to == f"<{letter.message_id}>"
    assert message.thread == "<first@atelier.example>"
    raw = (body.raw or b"").replace(b"\r\n ", b" ").decode()
    assert f"In-Reply-To: <{letter.message_id}>" in raw
    assert f"References: <first@atelier.example> <second@atelier.example> <{letter.message_id}>" in raw


def test_an_answer_to_an_answer_stays_in_the_conversation_of_our_message(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    (offer,) = write(context, alice, Written("Offer", (ANNA,)))
    account = make_account(context, alice)
    columns = {
        "in_reply_to_message_id": offer.id,
        "references": [offer.message_id.strip("<>")],
        "reply_to": "office@atelier.example",
    }
    (letter,) = receive(context, make_mailbox(context, alice), Came("Re: Offer", columns=columns))
    page = client.get(f"/compose?letter={letter.public_id}")
    assert attribute(only(page, "#to"), "value") == "office@atelier.example"
    typed = {"reply": f"letter:{letter.public_id}", "to": "office@atelier.example", "subject": "Re: Offer",
             "html": "<p>x</p>", "format": "html", "account": account.public_id, "do": "save"}  # fmt: skip
    client.post("/compose", data=typed)
    with context.database.reading() as session:
        draft = session.exec(select(Message).where(Message.state == "draft")).one()
    assert (draft.thread, draft.in_reply_to) == (offer.message_id, f"<{letter.message_id}>")


def test_a_bounce_cannot_be_answered(client: httpx.Client, context: AppContext, alice: User) -> None:
    (bounce,) = receive(context, make_mailbox(context, alice), Came("DSN", category="bounce", ago=timedelta(1)))
    page = client.get(f"/letters/{bounce.public_id}")
    assert every(page, "a[href^='/compose?letter']") == []
    assert parse(page.text)


@pytest.mark.parametrize(
    "quoted",
    [
        "> old words",
        "On Tuesday Marina wrote:\n> old words",
        "Marina Volkova <marina@inkling.example>:\n> old words",
        "Во вторник Марина написала:\nold words",
        "-----Original Message-----\nold words",
        "From: Marina <marina@inkling.example>\nold words",
    ],
)
def test_the_timeline_shows_what_is_new_in_an_answer(quoted: str) -> None:
    assert excerpt(f"Yes, Thursday fits.\n\n{quoted}") == "Yes, Thursday fits."


def test_a_long_answer_is_cut_and_one_without_quotes_is_whole() -> None:
    assert excerpt("Fine: see you") == "Fine: see you"
    assert len(excerpt("word " * 1000)) < 620
