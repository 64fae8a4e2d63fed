"""Templates, placeholders and signatures over HTTP, without scripts."""

from datetime import timedelta

import httpx
import pytest
from sqlmodel import col, select

from tests.web.conftest import ClientOf, MakeUser
from tests.web.mail_world import To as To_
from tests.web.mail_world import Written, agree, write
from tests.web.reading import attribute, every, only, text_at, words
from tracker.models import Account, Message, MessageBody, MessageState, Recipient, Template, User
from tracker.runtime.context import AppContext

OFFER = {
    "name": "Offer",
    "subject": "An offer for {{company}}",
    "text": "Dear {{first_name|colleague}},\n\nhere is the offer for {{company}}.",
}


def made(client: httpx.Client, context: AppContext, **more: str) -> Template:
    answer = client.post("/settings/templates/new", data={**OFFER, **more})
    assert answer.status_code == 303, answer.text
    with context.database.reading() as session:
        return session.exec(select(Template).order_by(col(Template.id).desc())).first()  # type: ignore[return-value]


def newest(context: AppContext) -> tuple[Message, MessageBody]:
    with context.database.reading() as session:
        message = session.exec(select(Message).order_by(col(Message.id).desc())).first()
        assert message is not None
        return message, session.get_one(MessageBody, message.id)


def begin(client: httpx.Client, template: Template, **form: str) -> str:
    """A draft with the template's words; gives its path."""
    answer = client.post("/compose", data={"do": f"template:{template.public_id}", "track_opens": "on", **form})
    return answer.headers["location"]


def fields(page: httpx.Response) -> dict[str, str]:
    """What a browser without scripts would send back."""
    named = {str(e.attrs["name"]): attribute(e, "value") for e in every(page, "form.compose-page input[name][value]")}
    texts = {str(e.attrs["name"]): e.text.removeprefix("\n") for e in every(page, "form.compose-page textarea")}
    return {**named, **texts}


# --- writing one


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"name": ""}, "name", "The name is missing"),
        ({"name": "x" * 101}, "name", "too long"),
        ({"text": "  "}, "text", "The template is empty"),
        ({"subject": "x" * 501}, "subject", "500 characters"),
        ({"text": "Dear {{nmae}}"}, "text", "{{nmae}} is no placeholder"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_lost(
    context: AppContext, client: httpx.Client, form: dict[str, str], field: str, words: str
) -> None:
    answer = client.post("/settings/templates/new", data={**OFFER, **form})
    assert answer.status_code == 422
    assert words in text_at(answer, f"#{field}-wrong")
    assert attribute(only(answer, "#name"), "value") == {**OFFER, **form}["name"]
    with context.database.reading() as session:
        assert session.exec(select(Template)).all() == []


def test_a_template_is_changed_and_removed_by_its_owner_alone(
    context: AppContext, client: httpx.Client, bob: User, client_of: ClientOf
) -> None:
    template = made(client, context, shared="on")
    path = f"/settings/templates/{template.public_id}"
    other = client_of(bob)
    assert other.get(path).status_code == 404
    assert other.post(path, data={**OFFER, "name": "stolen"}).status_code == 404
    assert other.post(f"{path}/removal").status_code == 404
    client.post(path, data={**OFFER, "name": "Better offer"})
    assert "Better offer" in client.get("/settings/templates").text
    client.post(f"{path}/removal")
    assert "Better offer" not in text_at(client.get("/settings/templates"), ".panel")


def test_a_shared_template_is_everybodys_to_use_and_another_one_nobodys(
    context: AppContext, client: httpx.Client, bob: User, client_of: ClientOf
) -> None:
    shared, own = made(client, context, name="Shared one", shared="on"), made(client, context, name="Own one")
    other = client_of(bob)
    listed = other.get("/settings/templates").text
    assert "Shared one" in listed
    assert "by Alice" in listed
    assert "Own one" not in listed
    assert "here is the offer" in only(other.get(f"/compose?template={shared.public_id}"), "#text").text
    assert "here is the offer" not in only(other.get(f"/compose?template={own.public_id}"), "#text").text
    other.post("/compose", data={"subject": "x", "template": own.public_id})
    assert newest(context)[0].template_id is None


def test_hostile_words_in_a_template_are_words_or_gone(context: AppContext, client: httpx.Client) -> None:
    bad = '"><script>alert(1)</script>'
    template = made(client, context, name=bad, subject=bad, html=f"<p onclick=x>hi{bad}</p>", format="html")
    for path in ("/settings/templates", f"/settings/templates/{template.public_id}", "/compose"):
        assert not [script for script in every(client.get(path), "script") if "src" not in script.attrs]
    assert "onclick" not in template.html


# --- using one


def test_the_template_stands_above_the_signature_and_the_subject_is_taken_where_there_is_none(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    client.post("/settings/signatures", data={"text": "Alice of Wonderland"})
    template = made(client, context)
    page = client.get(f"/compose?template={template.public_id}")
    text = only(page, "#text").text
    assert text.index("here is the offer") < text.index("Alice of Wonderland")
    assert attribute(only(page, "#subject"), "value") == "An offer for {{company}}"
    path = begin(client, template, subject="Mine")
    assert attribute(only(client.get(path), "#subject"), "value") == "Mine"


def test_a_placeholder_without_a_value_is_named_before_sending_and_remembered_once_given(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    agree(context, "anna@petit.example", name="Petit, Anna")
    path = begin(client, made(client, context), to="anna@petit.example")
    form = fields(client.get(path))
    refused = client.post(path, data={**form, "do": "send"})
    assert refused.status_code == 422
    assert text_at(refused, "#text-wrong").startswith("{{company}} has no value for")
    assert "Company of the recipient" in text_at(refused, ".plan-missing")
    assert newest(context)[0].state == MessageState.DRAFT
    sent = client.post(path, data={**fields(refused), "fill_company": "Petit & Fils", "do": "send"})
    assert sent.status_code == 303
    message, body = newest(context)
    assert (message.state, message.subject) == (MessageState.QUEUED, "An offer for Petit & Fils")
    assert "Dear Anna," in (body.text or "")
    assert "offer for Petit &amp; Fils." in (body.html or "")
    assert "{{" not in (body.html or "") + (body.text or "") + message.subject
    with context.database.reading() as session:
        assert session.exec(select(Recipient)).one().company == "Petit & Fils"
    again = client.get(begin(client, made(client, context, name="Second"), to="anna@petit.example"))
    assert every(again, ".plan-missing") == []


def test_a_placeholder_means_one_person(context: AppContext, client: httpx.Client, sender: User) -> None:
    path = begin(client, made(client, context), to="anna@petit.example, luc@x.example")
    page = client.get(path)
    assert "this message goes to 2" in text_at(page, ".compose-plan .wrong")
    refused = client.post(path, data={**fields(page), "do": "send"})
    assert "goes to 2" in text_at(refused, "#text-wrong")


def test_braces_in_a_message_without_a_template_are_just_braces(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    client.post(
        "/compose", data={"to": "dev@x.example", "subject": "s", "text": "use {{ user }} in the view", "do": "send"}
    )
    message, body = newest(context)
    assert message.state == MessageState.QUEUED
    assert "{{ user }}" in (body.html or "")


def test_undone_it_is_still_of_its_template(context: AppContext, client: httpx.Client, make_user: MakeUser) -> None:
    template = made(client, context, text="Hello")
    with context.database.session_scope() as session:
        session.exec(select(User)).one().undo_seconds = 30
        session.add(make_template_account(session))
    path = begin(client, template, to="anna@petit.example", fill_company="P")
    client.post(path, data={**fields(client.get(path)), "do": "send"})
    message, _ = newest(context)
    client.post(f"/mail/{message.public_id}/cancellation")
    message, _ = newest(context)
    assert (message.state, message.template_id) == (MessageState.DRAFT, template.id)
    assert fields(client.get(f"/compose/{message.public_id}"))["template"] == template.public_id


def make_template_account(session) -> Account:  # type: ignore[no-untyped-def]
    user = session.exec(select(User)).one()
    return Account(user_id=user.id, address="a@b.example", smtp_host="127.0.0.1", smtp_port=1, smtp_security="none")


def test_what_was_written_is_kept_as_a_template_without_signature(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    html = '<div>Dear you</div><div><br></div><div class="signature"><div>-- </div>Alice</div>'
    client.post("/compose", data={"subject": "Hello", "html": html, "format": "html", "do": "keep-template"})
    with context.database.reading() as session:
        template = session.exec(select(Template)).one()
    assert (template.name, template.subject, template.html) == ("Hello", "Hello", "<div>Dear you</div>")


# --- figures


def test_figures_are_ones_own_and_rates_over_what_could_be_measured(
    context: AppContext, client: httpx.Client, sender: User, bob: User, client_of: ClientOf
) -> None:
    template = made(client, context, shared="on")
    of = {"template_id": template.id}
    anna, luc = To_("anna@x.example"), To_("luc@x.example", opens=False, clicks=False, rule="unknown")
    write(
        context,
        sender,
        Written("1", (anna,), columns={**of, "opens": 1, "clicks": 1, "replies": 1}),
        Written("2", (anna,), columns=of),
        Written("3", (luc,), columns={**of, "replies": 1}),
        Written("4", (anna,), columns={**of, "opens": 9}, state=MessageState.DRAFT),
        Written("5", (anna,), columns={"opens": 1}, ago=timedelta(days=400)),
    )
    figures = text_at(client.get("/settings/templates"), ".template-figures")
    assert figures == "Sent3 Opened 1 / 2 Clicked 1 / 2 Answered 2 / 3"
    for link in every(client.get("/settings/templates"), ".template-figures a"):
        listed = client.get(attribute(link, "href"))
        assert len(every(listed, ".mail-row")) == int(words(link)), attribute(link, "href")
        assert "begun with one template" in text_at(listed, ".mail-sentence")
    assert "Not sent yet" in client_of(bob).get("/settings/templates").text


def test_templates_are_compared_with_how_sure_that_is(context: AppContext, client: httpx.Client, sender: User) -> None:
    of, anna = {"template_id": made(client, context).id}, To_("anna@x.example")
    write(context, sender, *(Written("1", (anna,), columns={**of, "opens": n % 2}) for n in range(20)))
    page = client.get("/settings/templates")
    assert "10 / 20 · 50 % (30 to 70 %)" in text_at(page, ".template-figures")
    bar = every(page, ".interval rect:not(.scale)")[0]
    assert (attribute(bar, "x"), attribute(bar, "width")) == ("29.9", "40.1")


# --- signatures


def test_each_account_signs_in_its_own_way_and_else_the_person(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    with context.database.reading() as session:
        account = session.exec(select(Account)).one()
    client.post("/settings/signatures", data={"html": "<b>Alice</b>", "format": "html"})
    assert "<b>Alice</b>" in only(client.get("/compose"), "[data-html]").text
    client.post("/settings/signatures", data={"html": "<i>Sales</i>", "format": "html", "of": account.public_id})
    assert "<i>Sales</i>" in only(client.get("/compose"), "[data-html]").text
    client.post("/settings/signatures", data={"text": "", "of": account.public_id})
    assert "<b>Alice</b>" in only(client.get("/compose"), "[data-html]").text


def test_a_signature_is_nobody_elses_and_never_runs(
    context: AppContext, client: httpx.Client, sender: User, bob: User, client_of: ClientOf
) -> None:
    with context.database.reading() as session:
        account = session.exec(select(Account)).one()
    answer = client_of(bob).post("/settings/signatures", data={"text": "Bob", "of": account.public_id})
    assert answer.status_code == 404
    client.post("/settings/signatures", data={"html": "<b onclick=x>A</b><script>1</script>", "format": "html"})
    text = only(client.get("/compose"), "[data-html]").text
    assert "<b>A</b>" in text
    assert "onclick" not in text
    assert "script" not in text
    large = client.post("/settings/signatures", data={"html": "x" * 200_001, "format": "html"})
    assert "too large" in text_at(large, ".wrong")
