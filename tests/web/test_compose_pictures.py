"""Pictures inside a message, links left alone, quoted history and sizes: over HTTP, down to the message that is sent."""

from base64 import b64encode
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import httpx
import pytest
from sqlmodel import col, select

from tests.web.conftest import ClientOf
from tests.web.mail_world import To as To_
from tests.web.mail_world import Written, agree, make_account, write
from tests.web.reading import every, only, text_at
from tracker.models import Account, Attachment, Delivery, Message, MessageBody, TrackedLink, User
from tracker.outbound.copies import make_copy
from tracker.runtime.context import AppContext

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63fcffff3f0300050001ff6b1b1a5e"
    "0000000049454e44ae426082"
)
ALL = {"to": "anna@example.org", "subject": "Offer", "track_opens": "on", "track_links": "on", "format": "html"}


@pytest.fixture
def sender(context: AppContext, alice: User) -> User:
    make_account(context, alice)
    agree(context, "anna@example.org")
    return alice


def newest(context: AppContext) -> tuple[Message, MessageBody]:
    with context.database.reading() as session:
        message = session.exec(select(Message).order_by(col(Message.id).desc())).first()
        assert message is not None
        return message, session.get_one(MessageBody, message.id)


def sent(context: AppContext, client: httpx.Client, html: str, path: str = "/compose", **more: str) -> EmailMessage:
    answer = client.post(path, data={**ALL, "html": html, "do": "send", **more})
    assert answer.status_code == 303, text_at(answer, ".wrong")
    raw = message_from_bytes(newest(context)[1].raw or b"", policy=default)
    assert isinstance(raw, EmailMessage)
    return raw


def upload(client: httpx.Client, content: bytes, name: str = "logo.png", path: str = "/compose") -> httpx.Response:
    return client.post(f"{path}?part=picture", data={**ALL, "do": "picture"}, files={"picture": (name, content)})


def structure(message: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in message.walk()]


# --- pictures


def test_a_picture_goes_out_beside_the_text_and_is_shown_on_the_page(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    src = upload(client, PNG).json()["src"]
    shown = client.get(src)
    assert (shown.content, shown.headers["content-type"]) == (PNG, "image/png")
    assert "sandbox" in shown.headers["content-security-policy"]
    draft, _ = newest(context)
    raw = sent(context, client, f'<p>See <img src="{src}" alt="Logo"></p>', f"/compose/{draft.public_id}")
    assert structure(raw) == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    image = list(raw.walk())[-1]
    assert image.get_payload(decode=True) == PNG
    html = raw.get_body(("html",))
    assert html is not None
    assert f'src="cid:{image["Content-ID"].strip("<>")}"' in html.get_content()
    message, _ = newest(context)
    assert not message.has_attachments
    assert every(client.get(f"/mail/{message.public_id}"), ".message-files") == []
    assert b64encode(PNG).decode() in client.get(f"/mail/{message.public_id}/content").text


def test_the_same_picture_twice_is_kept_once_and_one_no_longer_shown_stays_at_home(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    first = upload(client, PNG).json()["src"]
    draft, _ = newest(context)
    path = f"/compose/{draft.public_id}"
    assert upload(client, PNG, path=path).json()["src"] == first
    upload(client, PNG + b"x", path=path)
    with context.database.reading() as session:
        assert len(session.exec(select(Attachment)).all()) == 2
    assert every(client.get(path), ".compose-files li") == []
    assert "image/png" not in structure(sent(context, client, "<p>without</p>", path))


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"<svg xmlns='x' onload='alert(1)'/>", "a.svg"), (b"MZ\x90", "a.png"), (b"", "empty.png"), (b"<html>", "a.gif")],
)
def test_what_is_no_picture_is_refused_by_name(client: httpx.Client, sender: User, content: bytes, name: str) -> None:
    answer = upload(client, content, name)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"{name} is not a picture")


def test_a_picture_of_somebody_elses_draft_is_not_there(
    client: httpx.Client, sender: User, bob: User, client_of: ClientOf
) -> None:
    src = upload(client, PNG).json()["src"]
    shown = client.get(src)
    assert (shown.content, shown.headers["cache-control"]) == (PNG, "no-store"), "nothing of it outlives the sign-out"
    assert "sandbox" in shown.headers["content-security-policy"]
    assert client_of(bob).get(src).status_code == 404
    assert client.get(src[:-1] + "z").status_code == 404


def test_pictures_that_come_as_data_become_files_of_the_message(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    data = f"data:image/png;base64,{b64encode(PNG).decode()}"
    html = f'<p><img src=\'{data}\'><img src="{data}"><img src="data:image/svg+xml;base64,AAAA"></p>'
    client.post("/compose", data={**ALL, "html": html})
    draft, body = newest(context)
    assert (body.html or "").count("cid:") == 2
    assert "data:image/png" not in (body.html or "")
    shown = only(client.get(f"/compose/{draft.public_id}"), "[data-html]").text
    assert shown.count(f"/compose/{draft.public_id}/pictures/") == 2
    assert structure(sent(context, client, shown, f"/compose/{draft.public_id}")).count("image/png") == 1


def test_an_answer_keeps_the_pictures_of_what_it_quotes(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    src = upload(client, PNG).json()["src"]
    sent(context, client, f'<p><img src="{src}"></p>', f"/compose/{newest(context)[0].public_id}")
    first, _ = newest(context)
    quoted = only(client.get(f"/compose?reply={first.public_id}"), "[data-html]").text
    raw = sent(context, client, f"<div>again</div>{quoted}", reply=first.public_id)
    assert structure(raw).count("image/png") == 1
    assert raw["In-Reply-To"] == first.message_id


# --- links


def test_a_marked_link_is_left_alone_and_the_mark_is_in_no_copy(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    html = '<a href="https://x.example/a" data-no-track="">a</a> <a href="https://x.example/b">b</a>'
    plan = client.post("/compose/plan", data={**ALL, "html": html})
    assert "you excluded it" in text_at(plan, ".plan-left")
    raw = sent(context, client, html)
    assert b"data-no-track" not in raw.as_bytes()
    with context.database.reading() as session:
        links = session.exec(select(TrackedLink).order_by(col(TrackedLink.position))).all()
        delivery = session.exec(select(Delivery)).one()
        body = session.get_one(MessageBody, delivery.message_id)
    assert [(link.tracked, link.reason) for link in links] == [(False, "marked"), (True, None)]
    copy = make_copy(context, body.raw or b"", delivery, links).raw
    assert b'href="https://x.example/a"' in copy
    assert b'href="https://x.example/b"' not in copy


def test_the_plan_tells_why_each_link_is_left(client: httpx.Client, sender: User) -> None:
    html = (
        '<a href="https://x.example/reset?token=0123456789abc">reset</a><a href="https://x.example/b">x.example</a>'
        '<a href="mailto:a@b.example">mail</a><a href="https://x.example/c">c</a>'
    )
    plan = client.post("/compose/plan", data={**ALL, "html": html})
    left = [text_at(element, "span") for element in every(plan, ".plan-left")]
    assert len(left) == 3
    assert "one-time link" in left[0]
    assert "its text shows the address" in left[1]
    assert "not a web address" in left[2]
    assert len(every(plan, "input[name=leave]")) == 1


def test_quoted_history_loses_our_pixel_and_gets_its_links_back(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    old = "A" * 11
    quoted = (
        f'<blockquote><a href="{context.click_url(old, 0, "https://x.example/offer?a=1&b=2")}">offer</a>'
        f'<img src="{context.pixel_url(old)}"><a href="{context.trap_url(old)}"></a></blockquote>'
    )
    client.post("/compose", data={**ALL, "html": "<p>Hi</p>" + quoted})
    _, body = newest(context)
    history = '<p>Hi</p><blockquote><a href="https://x.example/offer?a=1&amp;b=2">offer</a></blockquote>'
    assert body.html == history
    raw = sent(context, client, "<p>Hi</p>" + quoted)
    assert context.settings.tracking_url.encode() + b"/" not in raw.as_bytes()


# --- size, service


def test_a_text_that_tracking_makes_too_long_for_gmail_is_told_before_and_after(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    html = "<p>" + "x" * 101_000 + "</p>" + '<a href="https://x.example/a-page">a</a>' * 20
    plan = client.post("/compose/plan", data={**ALL, "html": html})
    assert "Gmail hides what goes beyond 102 KB" in text_at(plan, ".plan-note")
    short = client.post("/compose/plan", data={**ALL, "html": html[2000:]})
    assert every(short, ".plan-note") == []
    nobody = client.post("/compose/plan", data={**ALL, "html": html, "to": "luc@example.org"})
    assert every(nobody, ".plan-note") == []


def test_the_message_page_shows_the_size_before_and_after(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    (message,) = write(context, sender, Written("Long", (To_("anna@example.org"),)))
    with context.database.session_scope() as session:
        row = session.get_one(Message, message.id)
        row.html_bytes_before, row.html_bytes_after = 100_000, 104_000
    page = client.get(f"/mail/{message.public_id}")
    assert "98 KB" in text_at(page, ".message-size")
    assert "102 KB" in text_at(page, ".message-size")
    assert "Gmail" in text_at(page, ".message-size")


def test_d24_a_service_that_rewrites_links_itself_is_told_of(
    context: AppContext, client: httpx.Client, sender: User
) -> None:
    with context.database.session_scope() as session:
        session.exec(select(Account)).one().smtp_host = "smtp.eu.mailgun.org"
    plan = client.post("/compose/plan", data={**ALL, "html": "<p>Hi</p>"})
    assert "Mailgun may rewrite links itself" in text_at(plan, ".plan-note")
    off = {name: value for name, value in ALL.items() if name != "track_links"}
    assert every(client.post("/compose/plan", data={**off, "html": "<p>Hi</p>"}), ".plan-note") == []
