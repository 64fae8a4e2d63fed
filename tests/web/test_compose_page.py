"""Composing over HTTP, without scripts: drafts, answers, files, errors at their fields, sending."""

from datetime import timedelta

import httpx
import pytest
from sqlmodel import col, select

from tests.web.compose_form import ALL, send
from tests.web.conftest import ClientOf, MakeUser
from tests.web.mail_world import GALLERY, agree, make_account, write
from tests.web.reading import attribute, every, only, text_at
from tracker.models import Attachment, Delivery, Message, MessageBody, MessageState, TrackedLink, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.limits import MAX_ATTACHMENT_BYTES


def drafts(context: AppContext) -> list[Message]:
    with context.database.reading() as session:
        return list(session.exec(select(Message).order_by(col(Message.id))))


def body_of(context: AppContext, message: Message) -> MessageBody:
    with context.database.reading() as session:
        return session.get_one(MessageBody, message.id)


# --- drafts


def test_looking_makes_no_draft(context: AppContext, client: httpx.Client, sender: User) -> None:
    assert client.get("/compose").status_code == 200
    assert client.post("/compose/plan", data=ALL).status_code == 200
    assert drafts(context) == []


def test_a_draft_keeps_everything_as_typed(context: AppContext, client: httpx.Client, sender: User) -> None:
    typed = {
        **ALL,
        "to": "Anna <anna@example.org>, not yet an addr",
        "cc": "luc@example.org",
        "send_at": "2030-01-01T09:00",
    }
    answer = client.post("/compose", data=typed)
    (draft,) = drafts(context)
    assert answer.headers["location"] == f"/compose/{draft.public_id}"
    page = client.get(answer.headers["location"])
    for name in ("to", "cc", "subject", "send_at"):
        assert attribute(only(page, f"#{name}"), "value") == typed.get(name)
    assert only(page, "#text").text.strip() == "Hello Anna"
    assert draft.names == "Anna, luc@example.org"
    assert text_at(client.get("/mail"), ".mail-row .badge") == "Draft"


def test_a_draft_is_saved_into_itself(context: AppContext, client: httpx.Client, sender: User) -> None:
    first = client.post("/compose?part=saved", data={"subject": "a"}).json()
    again = client.post(f"/compose/{first['draft']}?part=saved", data={"subject": "b"}).json()
    assert again["draft"] == first["draft"]
    assert [draft.subject for draft in drafts(context)] == ["b"]


def test_plain_text_becomes_lines_and_links_and_stays_formatted_when_untouched(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    client.post("/compose", data={**ALL, "text": "Hello <Anna>\n\nsee https://x.example/?a=1&b=2"})
    (draft,) = drafts(context)
    html = body_of(context, draft).html or ""
    assert "<div>Hello &lt;Anna&gt;</div><div><br></div>" in html
    assert 'href="https://x.example/?a=1&amp;b=2"' in html
    rich = "<p>Hello <b>bold</b></p><ul><li>one</li></ul>"
    client.post(f"/compose/{draft.public_id}", data={**ALL, "html": rich, "format": "html"})
    shown = only(client.get(f"/compose/{draft.public_id}"), "#text").text
    client.post(
        f"/compose/{draft.public_id}",
        data={**ALL, "html": rich, "text": shown.replace("\n", "\r\n"), "format": "plain"},
    )
    assert body_of(context, draft).html == rich


def test_what_was_written_is_kept_to_the_letter_unless_it_runs(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    odd = '<P STYLE="margin:0"  class=x>a<br/>b&nbsp;<FONT color=red>c</FONT>'
    client.post("/compose", data={**ALL, "html": odd, "format": "html"})
    client.post("/compose", data={**ALL, "html": f"{odd}<script>1</script><b onclick=x>d</b>", "format": "html"})
    stored, cleaned = (body_of(context, draft).html or "" for draft in drafts(context))
    assert stored == odd
    assert "script" not in cleaned
    assert "onclick" not in cleaned
    assert "<b>d</b>" in cleaned


def test_a_draft_can_be_thrown_away(context: AppContext, client: httpx.Client, sender: User) -> None:
    client.post("/compose", data=ALL, files={"files": ("a.txt", b"a")})
    (draft,) = drafts(context)
    client.post(f"/compose/{draft.public_id}", data={"do": "discard"})
    assert drafts(context) == []
    with context.database.reading() as session:
        assert session.exec(select(Attachment)).all() == []


def test_a_draft_is_nobody_elses(context: AppContext, sender: User, bob: User, client_of: ClientOf) -> None:
    client_of(sender).post("/compose", data=ALL)
    (draft,) = drafts(context)
    assert client_of(bob).get(f"/compose/{draft.public_id}").status_code == 404
    assert client_of(bob).post(f"/compose/{draft.public_id}", data=ALL).status_code == 404
    assert client_of(bob).get(f"/compose?reply={draft.public_id}").status_code == 404


def test_a_line_is_a_line_in_the_text_alternative_too(context: AppContext, client: httpx.Client, sender: User) -> None:
    lines = "<div>one</div><div>two <b>bold</b></div><div><br></div><div>three <a href='https://x.example/'>x</a></div>"
    send(client, html=lines, format="html")
    text = body_of(context, drafts(context)[0]).text or ""
    assert text.split("\n") == ["one", "two bold", "", "three x (https://x.example/)"]


# --- sending


def test_sent_it_is_queued_with_its_policy_frozen(context: AppContext, client: httpx.Client, sender: User) -> None:
    agree(context, "anna@example.org")
    answer = send(client, html='<p>see <a href="https://x.example/a">this</a></p>', format="html", cc="luc@example.org")
    (message,) = drafts(context)
    assert answer.headers["location"] == f"/mail/{message.public_id}"
    assert message.state == MessageState.QUEUED
    with context.database.reading() as session:
        copies = session.exec(select(Delivery).order_by(col(Delivery.position))).all()
        assert [(c.address, c.opens_on, c.opens_rule) for c in copies] == [
            ("anna@example.org", True, "granted"),
            ("luc@example.org", False, "unknown"),
        ]
        assert session.exec(select(TrackedLink)).one().tracked
    page = client.get(answer.headers["location"])
    assert attribute(only(page, ".flash form"), "action") == f"/mail/{message.public_id}/cancellation"


def test_sent_twice_it_goes_once(context: AppContext, client: httpx.Client, sender: User) -> None:
    client.post("/compose", data=ALL)
    (draft,) = drafts(context)
    send(client, f"/compose/{draft.public_id}")
    answer = send(client, f"/compose/{draft.public_id}", subject="changed afterwards")
    assert answer.headers["location"] == f"/mail/{draft.public_id}"
    assert "sent already" in text_at(client.get(answer.headers["location"]), ".flash")
    assert [message.subject for message in drafts(context)] == ["Offer"]
    late = client.post(f"/compose/{draft.public_id}?part=saved", data=ALL)
    assert late.status_code == 409
    assert client.get(f"/compose/{draft.public_id}").headers["location"] == f"/mail/{draft.public_id}"


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"to": ""}, "to", "Nobody to send to"),
        ({"to": "anna@"}, "to", "anna@"),
        ({"bcc": "nobody"}, "bcc", "no @"),
        ({"text": "", "html": ""}, "text", "The message is empty"),
        ({"send_at": "2001-01-01T00:00"}, "send_at", "This time is past"),
        ({"send_at": "whenever"}, "send_at", "This is not a time"),
        ({"subject": "x" * 501}, "subject", "500 are allowed"),
    ],
)
def test_an_error_stands_at_its_field_and_nothing_is_lost(
    context: AppContext, client: httpx.Client, sender: User, form: dict[str, str], field: str, words: str
) -> None:
    answer = send(client, **form)
    assert answer.status_code == 422
    wrong = only(answer, f"#{field}")
    assert attribute(wrong, "aria-invalid") == "true"
    assert words in text_at(answer, f"#{field}-wrong")
    for name, value in {**ALL, **form}.items():
        if name in ("to", "bcc", "subject", "send_at"):
            assert attribute(only(answer, f"#{name}"), "value") == value
    (draft,) = drafts(context)
    assert draft.state == MessageState.DRAFT
    assert attribute(only(answer, "form.compose-page"), "action") == f"/compose/{draft.public_id}"


def test_an_empty_subject_is_asked_about_once(context: AppContext, client: httpx.Client, sender: User) -> None:
    first = send(client, subject="")
    assert "The subject is empty" in text_at(first, "#subject-wrong")
    again = {
        str(e.attrs["name"]): attribute(e, "value") for e in every(first, "input[type=hidden][name=subject_confirmed]")
    }
    send(client, attribute(only(first, "form.compose-page"), "action"), subject="", **again)
    assert [message.state for message in drafts(context)] == [MessageState.QUEUED]


def test_without_an_account_the_way_there_is_shown_and_the_draft_kept(
    context: AppContext, client: httpx.Client
) -> None:
    assert "/connect" in attribute(only(client.get("/compose"), ".notice a"), "href")
    answer = send(client)
    assert answer.status_code == 422
    assert "Connect your e-mail" in answer.text
    assert [draft.state for draft in drafts(context)] == [MessageState.DRAFT]


def test_an_account_of_somebody_else_cannot_be_used(
    context: AppContext, sender: User, bob: User, client_of: ClientOf
) -> None:
    with context.database.reading() as session:
        from tracker.models import Account

        of_alice = session.exec(select(Account)).one()
    answer = send(client_of(bob), account=of_alice.public_id)
    assert answer.status_code == 422


def test_send_later_waits_and_the_zone_is_the_readers(
    context: AppContext, make_user: MakeUser, client_of: ClientOf
) -> None:
    carla = make_user("carla@example.com", timezone="America/New_York")
    make_account(context, carla, "carla@sales.example")
    day = (now() + timedelta(days=3)).date().isoformat()
    send(client_of(carla), send_at=f"{day}T09:00", follow_up_days="3")
    (message,) = drafts(context)
    assert message.state == MessageState.SCHEDULED
    assert message.send_at is not None
    assert (message.send_at.hour, message.send_at.minute) in {(13, 0), (14, 0)}
    assert message.follow_up_at is not None
    assert message.follow_up_at - message.send_at == timedelta(days=3)


def test_the_last_choice_of_the_switches_is_the_next_default(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    client.post("/compose", data={**ALL, "do": "send", "track_opens": "on"})
    form = {name: value for name, value in ALL.items() if name != "track_opens"}
    client.post("/compose", data={**form, "do": "send"})
    page = client.get("/compose")
    assert "checked" not in only(page, "#track_opens").attrs
    assert "checked" in only(page, "#track_links").attrs


# --- files


def test_files_are_kept_listed_and_taken_off(context: AppContext, client: httpx.Client, sender: User) -> None:
    files = [
        ("files", ("offer.pdf", b"x" * 2000, "application/pdf")),
        ("files", ("../../цена.txt", b"y", "text/plain")),
    ]
    answer = client.post("/compose", data={**ALL, "do": "attach"}, files=files)
    page = client.get(answer.headers["location"])
    assert [text_at(element, ".compose-file-name") for element in every(page, ".compose-files li")] == [
        "offer.pdf",
        "цена.txt",
    ]
    off = attribute(only(page, ".compose-files button"), "value")
    path = answer.headers["location"].partition("#")[0]
    part = client.post(f"{path}?part=files", data={**ALL, "do": off})
    assert [text_at(element, ".compose-file-name") for element in every(part, "li")] == ["цена.txt"]
    send(client, path)
    (message,) = drafts(context)
    assert message.has_attachments
    assert "цена.txt" in client.get(f"/mail/{message.public_id}").text


def test_too_large_together_is_said_and_nothing_else_is_lost(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    half = b"x" * (MAX_ATTACHMENT_BYTES // 2 + 1)
    first = client.post("/compose", data={**ALL, "do": "attach"}, files={"files": ("a.bin", half)})
    path = first.headers["location"].partition("#")[0]
    second = client.post(path, data={**ALL, "subject": "new subject", "do": "attach"}, files={"files": ("b.bin", half)})
    assert second.status_code == 422
    assert "25 MB is what mail servers take" in text_at(second, ".compose-files .wrong")
    assert [text_at(element, ".compose-file-name") for element in every(second, ".compose-files li")] == ["a.bin"]
    assert attribute(only(second, "#subject"), "value") == "new subject"


def test_a_file_of_another_draft_stays(context: AppContext, sender: User, bob: User, client_of: ClientOf) -> None:
    client_of(sender).post("/compose", data=ALL, files={"files": ("a.txt", b"a")})
    with context.database.reading() as session:
        file = session.exec(select(Attachment)).one()
    client_of(bob).post("/compose", data={**ALL, "do": f"detach:{file.public_id}"})
    with context.database.reading() as session:
        assert session.exec(select(Attachment)).one().public_id == file.public_id


# --- answers


def test_an_answer_quotes_and_keeps_the_thread(context: AppContext, client: httpx.Client, sender: User) -> None:
    (original,) = write(context, sender, GALLERY[0])
    page = client.get(f"/compose?reply={original.public_id}")
    assert attribute(only(page, "#subject"), "value") == "Re: Offer 12: twelve oak chairs"
    assert "anna.petit@atelier-petit.example" in attribute(only(page, "#to"), "value")
    html = only(page, "[data-html]").text
    assert '<blockquote type="cite"><p>Dear Anna,</p>' in html
    send(client, reply=original.public_id, html=html, format="html")
    answer = drafts(context)[-1]
    assert answer.in_reply_to == original.message_id
    assert answer.thread == original.message_id
    raw = body_of(context, answer).raw or b""
    assert f"In-Reply-To: {original.message_id}".encode() in raw
    assert f"References: {original.message_id}".encode() in raw


def test_an_answer_to_an_answer_has_one_re(context: AppContext, client: httpx.Client, sender: User) -> None:
    (original,) = write(context, sender, GALLERY[3])
    assert (
        attribute(only(client.get(f"/compose?reply={original.public_id}"), "#subject"), "value") == "Re: delivery dates"
    )


def test_the_signature_stands_under_a_new_message(
    context: AppContext, make_user: MakeUser, client_of: ClientOf
) -> None:
    carla = make_user("carla@example.com", signature="Carla <Sales>\nBerg & Sons")
    page = client_of(carla).get("/compose")
    assert only(page, "#text").text.strip().endswith("Carla <Sales>\nBerg & Sons")
    assert "Carla &lt;Sales&gt;" in only(page, "[data-html]").text


def test_a_recipient_can_be_given_in_the_address(client: httpx.Client, sender: User) -> None:
    assert attribute(only(client.get("/compose?to=luc@example.org"), "#to"), "value") == "luc@example.org"
