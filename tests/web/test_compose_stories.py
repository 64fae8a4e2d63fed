"""Stories of writing: undo, names that colleagues keep, braces that are words, a form that is posted twice."""

from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from typing import Any

import httpx
import pytest
from sqlmodel import col, select

from tests.web.conftest import ClientOf
from tests.web.reading import attribute, every, only
from tracker.mail.addresses import Address
from tracker.models import Delivery, Message, MessageBody, MessageState, Template, User
from tracker.outbound.consent_request import ask, personal_copy
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.users import add_token

LATER = f"{now().year + 2}-03-01"


def messages(context: AppContext) -> list[Message]:
    with context.database.reading() as session:
        return list(session.exec(select(Message).order_by(col(Message.id))))


def body_of(context: AppContext, message: Message) -> MessageBody:
    with context.database.reading() as session:
        return session.get_one(MessageBody, message.id)


def fields(page: httpx.Response) -> dict[str, Any]:
    """What a browser without scripts would send back."""
    named: dict[str, Any] = {}
    for element in every(page, "form.compose-page input[name], form.compose-page textarea, form.compose-page select"):
        name, kind = str(element.attrs["name"]), str(element.attrs.get("type", ""))
        if kind in ("checkbox", "radio") and "checked" not in element.attrs:
            continue
        if kind == "file":
            continue
        if element.tag == "select":
            chosen = element.select("option[selected]") or element.select("option")
            value = str(chosen[0].attrs.get("value", ""))
        elif element.tag == "textarea":
            value = element.text.removeprefix("\n")
        else:
            value = str(element.attrs.get("value", "on"))
        named.setdefault(name, []).append(value)
    return named


def without(form: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in form.items() if name not in names}


LINKS = '<p>See <a href="https://secret.example/one">one</a> and <a href="https://shop.example/two">two</a></p>'


def test_after_undo_the_draft_is_what_it_was_in_every_field(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    written = {
        "to": '"Petit, Anna" <anna@x.example>, bare@x.example',
        "cc": "Cleo <cleo@x.example>",
        "bcc": "Dan <dan@x.example>",
        "subject": "Offer",
        "html": LINKS,
        "format": "html",
        "leave": "https://secret.example/one",
        "send_at": f"{LATER}T09:00",
        "follow_up_days": "7",
        "track_opens": "on",
        "track_links": "on",
    }
    path = client.post("/compose", data=written).headers["location"]
    before = fields(client.get(path))
    assert before["leave"] == ["https://secret.example/one"]
    sent = client.post(path, data={**before, "do": "send", "format": "html"})
    assert "/mail/" in sent.headers["location"]
    (message,) = messages(context)
    client.post(f"/mail/{message.public_id}/cancellation")
    assert fields(client.get(path)) == before
    client.post(path, data={**before, "do": "send", "format": "html"})
    (message,) = messages(context)
    assert (message.state, str(message.send_at)[:10]) == ("scheduled", LATER)
    assert message.follow_up_at is not None


def test_after_undo_an_answer_still_answers(context: AppContext, client: httpx.Client, sender: User) -> None:
    client.post("/compose", data={"to": "anna@x.example", "subject": "Offer", "text": "Hello", "do": "send"})
    (first,) = messages(context)
    page = client.get(f"/compose?reply={first.public_id}")
    path = client.post("/compose", data=fields(page)).headers["location"]
    before = fields(client.get(path))
    client.post(path, data={**before, "do": "send"})
    client.post(f"/mail/{messages(context)[1].public_id}/cancellation")
    assert fields(client.get(path)) == before
    client.post(path, data={**before, "do": "send"})
    answer = messages(context)[1]
    assert (answer.in_reply_to, answer.thread) == (first.message_id, first.thread)


def test_after_undo_placeholders_are_placeholders_again(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    template = new_template(context, sender, "To {{first_name}}", "<p>Dear {{first_name}}, {{company}}</p>")
    path = client.post("/compose", data={"do": f"template:{template}", "to": "Anna Petit <anna@x.example>"}).headers[
        "location"
    ]
    before = {**fields(client.get(path)), "fill_company": ["Petit"]}
    client.post(path, data={**before, "do": "send"})
    assert messages(context)[0].subject == "To Anna"
    client.post(f"/mail/{messages(context)[0].public_id}/cancellation")
    assert without(fields(client.get(path)), "fill_company") == without(before, "fill_company")
    assert messages(context)[0].subject == "To {{first_name}}"


def test_what_a_program_scheduled_becomes_a_whole_draft_too(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    with context.database.session_scope() as session:
        _row, token = add_token(session, session.get_one(User, sender.id), "program")
    sent = client.post(
        "/api/v1/messages",
        headers={"Authorization": f"Bearer {token}"},
        json={
            "to": [{"address": "anna@x.example", "name": "Anna P."}],
            "bcc": [{"address": "dan@x.example"}],
            "subject": "Offer",
            "html": LINKS,
            "send_at": f"{LATER}T09:00:00Z",
            "follow_up_days": 3,
            "untracked_links": ["https://secret.example/one"],
        },
    )
    assert sent.status_code == 202
    id_ = sent.json()["id"]
    client.post(f"/mail/{id_}/cancellation")
    form = fields(client.get(f"/compose/{id_}"))
    assert {name: form[name] for name in ("to", "bcc", "send_at", "follow_up_days", "leave")} == {
        "to": ['"Anna P." <anna@x.example>'],
        "bcc": ["dan@x.example"],
        "send_at": [f"{LATER}T09:00"],
        "follow_up_days": ["3"],
        "leave": ["https://secret.example/one"],
    }


# --- names


NICKNAME = "Nick (difficult, talk to boss)"


def keep_nickname(context: AppContext) -> None:
    with context.database.session_scope() as session:
        find_or_make(session, "nick@client.example", NICKNAME)


def to_of(context: AppContext, message: Message) -> str:
    return str(message_from_bytes(body_of(context, message).raw or b"")["To"])


def test_what_colleagues_call_somebody_leaves_neither_with_mail_nor_answers_nor_undo(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    keep_nickname(context)
    form = {"to": "nick@client.example", "bcc": "NICK@client.example", "subject": "s", "text": "t"}
    client.post("/compose", data={**form, "do": "send"})
    (message,) = messages(context)
    assert to_of(context, message) == "nick@client.example"
    assert NICKNAME in client.get("/mail").text
    answer = client.get(f"/compose?reply={message.public_id}")
    assert attribute(only(answer, "#to"), "value") == "nick@client.example"
    client.post(f"/mail/{message.public_id}/cancellation")
    assert attribute(only(client.get(f"/compose/{message.public_id}"), "#to"), "value") == "nick@client.example"


def test_a_name_that_the_sender_wrote_stays_theirs(context: AppContext, client: httpx.Client, sender: User) -> None:
    keep_nickname(context)
    client.post("/compose", data={"to": "Nikolas <Nick@client.example>", "subject": "s", "text": "t", "do": "send"})
    (message,) = messages(context)
    assert to_of(context, message) == "Nikolas <Nick@client.example>"
    answer = client.get(f"/compose?reply={message.public_id}")
    assert attribute(only(answer, "#to"), "value") == "Nikolas <Nick@client.example>"


def test_a_request_for_consent_greets_by_no_name_that_colleagues_keep(context: AppContext, sender: User) -> None:
    keep_nickname(context)
    with context.database.session_scope() as session:
        (asked,) = ask(session, context, session.get_one(User, sender.id), [Address("nick@client.example")], "en")
        assert asked.message is not None
        body = session.get_one(MessageBody, asked.message.id)
        delivery = session.exec(select(Delivery)).one()
        raw = personal_copy(session, context, asked.message, body, delivery)
    for text in (raw.decode(), (body.raw or b"").decode(), body.html or "", body.text or ""):
        assert "difficult" not in text
        assert "boss" not in text


# --- braces


def new_template(context: AppContext, owner: User, subject: str, html: str) -> str:
    with context.database.session_scope() as session:
        template = Template(user_id=owner.id or 0, name="T", subject=subject, html=html)
        session.add(template)
    return template.public_id


QUOTED = '<div>Our answer</div><blockquote type="cite"><div>The mail said "Dear {{first_name}}"</div></blockquote>'
PEOPLE = {
    "known by name": "Dan Doe <dan@x.example>",
    "no company": "dan@x.example",
    "two people": "dan@x.example, cleo@x.example",
}


@pytest.mark.parametrize("to", PEOPLE.values(), ids=PEOPLE)
@pytest.mark.parametrize(
    "html",
    [
        QUOTED,
        QUOTED.replace("first_name", "company"),
        "<div>You wrote {{first_name}} and {{nmae}} of {{company}}</div>",
        '<div><a href="https://x.example/{{first_name}}">x</a></div>',
    ],
)
def test_without_a_template_all_braces_are_words(
    context: AppContext, client: httpx.Client, sender: User, to: str, html: str
) -> None:
    form = {"to": to, "subject": "Re: your {{company}} template", "html": html, "format": "html"}
    answer = client.post("/compose", data={**form, "do": "send"})
    assert "/mail/" in answer.headers.get("location", ""), answer.text
    (message,) = messages(context)
    assert message.subject == "Re: your {{company}} template"
    assert body_of(context, message).html == html


def test_a_template_is_filled_and_the_quotation_under_it_is_not(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    template = new_template(context, sender, "", "<p>Dear {{first_name}},</p>")
    form = {"to": "Dan Doe <dan@x.example>", "subject": "Re: {{first_name}}", "html": QUOTED, "format": "html"}
    path = client.post("/compose", data={**form, "do": f"template:{template}"}).headers["location"]
    page = fields(client.get(path))
    client.post(path, data={**page, "format": "html", "do": "send"})
    (message,) = messages(context)
    assert message.subject == "Re: {{first_name}}"
    assert body_of(context, message).html == "<p>Dear Dan,</p>" + QUOTED


def test_a_template_that_is_gone_leaves_no_hole(context: AppContext, client: httpx.Client, sender: User) -> None:
    template = new_template(context, sender, "For {{first_name}}", "<p>Dear {{first_name}},</p>")
    path = client.post("/compose", data={"to": "Dan Doe <dan@x.example>", "do": f"template:{template}"}).headers[
        "location"
    ]
    page = fields(client.get(path))
    client.post(f"/settings/templates/{template}/removal")
    client.post(path, data={**page, "do": "send"})
    (message,) = messages(context)
    assert message.subject == "For Dan"
    assert "{{" not in (body_of(context, message).html or "")


# --- one form, one mail


def test_a_form_posted_twice_at_once_is_one_mail(context: AppContext, client: httpx.Client, sender: User) -> None:
    form = {**fields(client.get("/compose")), "to": "anna@x.example", "subject": "Once", "text": "t", "do": "send"}
    files = [("files", ("a.txt", b"abc", "text/plain"))]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post("/compose", data=form, files=files), range(4)))
    assert {answer.status_code for answer in answers} == {303}
    (message,) = messages(context)
    assert message.state == MessageState.QUEUED
    assert (body_of(context, message).raw or b"").count(b"a.txt") == 1


def test_a_page_gone_back_to_writes_another_mail(context: AppContext, client: httpx.Client, sender: User) -> None:
    form = {**fields(client.get("/compose")), "to": "anna@x.example", "subject": "One", "text": "t", "do": "send"}
    client.post("/compose", data=form)
    client.post("/compose", data=form)
    client.post("/compose", data={**form, "subject": "Two"})
    assert [message.subject for message in messages(context)] == ["One", "Two"]


def test_the_key_of_somebody_elses_form_opens_nothing(
    context: AppContext, client: httpx.Client, sender: User, bob: User, client_of: ClientOf
) -> None:
    client.post("/compose", data={**fields(client.get("/compose")), "subject": "Mine", "text": "t"})
    (mine,) = messages(context)
    client_of(bob).post("/compose", data={"key": mine.public_id, "subject": "Stolen", "text": "x"})
    assert [message.subject for message in messages(context)] == ["Mine", "Stolen"]


@pytest.mark.parametrize("key", ["", "x", "../../..", "a" * 11, "ü" * 11, "A" * 5000])
def test_any_key_is_harmless(context: AppContext, client: httpx.Client, sender: User, key: str) -> None:
    assert client.post("/compose", data={"key": key, "subject": "s", "text": "t"}).status_code == 303
    assert len(messages(context)) == 1
