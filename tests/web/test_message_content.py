"""What a message says: its text in a frame that runs nothing, its pictures, its files."""

import re

import httpx

from tests.outbound.submitted_mail import enqueue_submitted
from tests.web.mail_world import ANNA, Written, make_account, queued, write
from tests.web.reading import attribute, every, only, text_at, words
from tracker.models import Message, MessageBody, User
from tracker.outbound.draft import OutgoingFile
from tracker.runtime.context import AppContext

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def content(client: httpx.Client, message: Message, query: str = "") -> httpx.Response:
    return client.get(f"/mail/{message.public_id}/content{query}")


def test_the_frame_runs_nothing_and_loads_nothing(context: AppContext, client: httpx.Client, alice: User) -> None:
    html = f"<p onclick=alert(1)>Hi {HOSTILE}<iframe src=//x></iframe><form action=/x><input></form><a href=javascript:1>j</a>"
    html += '<a href="https://x.example/?a=1&amp;b=2">link</a><img src="https://x.example/p.png"><style>p{color:red}</style>'
    (message,) = write(context, alice, Written("x", (ANNA,), html=html))
    answer = content(client, message)
    assert not every(answer, "script, iframe, form, input, base[href], meta[http-equiv]")
    assert not [e for e in every(answer, "*") if any(name.startswith("on") for name in e.attrs)]
    links = {a.text: a.attrs for a in every(answer, "a")}
    assert "href" not in links["j"]
    assert links["link"]["href"] == "https://x.example/?a=1&b=2"
    assert links["link"]["target"] == "_blank"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "img-src data:;" in policy
    assert "script-src" not in policy
    assert re.search(r"sandbox (?!.*allow-scripts)(?!.*allow-forms)", policy)


def test_pictures_from_elsewhere_only_when_asked_for(context: AppContext, client: httpx.Client, alice: User) -> None:
    (message,) = write(context, alice, Written("x", (ANNA,), html='<p>x<img src="https://x.example/p.png"></p>'))
    assert "Show pictures" in client.get(f"/mail/{message.public_id}").text
    asked = client.get(f"/mail/{message.public_id}?images=1")
    frame = only(asked, "iframe")
    assert frame.attrs["src"] == f"/mail/{message.public_id}/content?images=1"
    assert "allow-scripts" not in attribute(frame, "sandbox")
    assert "img-src data: https: http:" in content(client, message, "?images=1").headers["content-security-policy"]


def test_our_own_pixel_and_redirects_are_taken_out_of_what_is_quoted(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    delivery = "abcdefghijk"
    redirect, pixel = context.click_url(delivery, 0, "https://x.example/a"), context.pixel_url(delivery)
    html = f'<p>see <a href="{redirect}">a</a><img src="{pixel}" width="1" height="1"></p>'
    (message,) = write(context, alice, Written("x", (ANNA,), html=html))
    shown = content(client, message).text
    assert 'href="https://x.example/a"' in shown
    assert "/o/" not in shown
    assert "/c/" not in shown


def test_plain_text_is_text(context: AppContext, client: httpx.Client, alice: User) -> None:
    (message,) = write(context, alice, Written("x", (ANNA,)))
    with context.database.session_scope() as session:
        body = session.get_one(MessageBody, message.id)
        body.html, body.text = None, f"Hello\n  {HOSTILE}"
        session.add(body)
    page = client.get(f"/mail/{message.public_id}")
    assert not every(page, "iframe")
    assert only(page, ".message-text").text == f"Hello\n  {HOSTILE}"


def test_attachments_come_down_as_files_never_as_pages(context: AppContext, client: httpx.Client, alice: User) -> None:
    message = queued(context, alice, attachments=(OutgoingFile("цена <1>.html", "text/html", b"<script>1</script>"),))
    page = client.get(f"/mail/{message.public_id}")
    assert "цена <1>.html" in text_at(page, ".message-files")
    answer = client.get(f"/mail/{message.public_id}/files/0")
    assert answer.content == b"<script>1</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert "filename*=UTF-8''%D1%86" in answer.headers["content-disposition"]
    assert client.get(f"/mail/{message.public_id}/files/1").status_code == 404


SUBMITTED = b"""\
From: alice@sales.example\r\nTo: anna@example.org\r\nSubject: Files\r\nMIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=m\r\n\r
--m\r\nContent-Type: text/html\r\n\r\n<p>See <img src="cid:logo@x"></p>\r
--m\r\nContent-Type: image/png\r\nContent-ID: <logo@x>\r\nContent-Disposition: inline; filename=logo.png\r\n\r\nPNG\r
--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: application/zip; name=in.zip\r\n\r\nPK\r
--m\r\nContent-Type: application/pdf; name="=?utf-8?q?=D1=86?=.pdf"\r\nContent-ID: <1@x>\r\n\r\n%PDF\r
--m--\r
"""


def test_a_submitted_message_lists_what_is_attached_and_no_picture_of_its_text(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    account = make_account(context, alice)
    with context.database.session_scope() as session:
        raw = SUBMITTED.replace(b"alice@sales.example", account.address.encode())
        message = enqueue_submitted(session, context, alice, account.address, ["anna@example.org"], raw)
    assert message.has_attachments
    page = client.get(f"/mail/{message.public_id}")
    assert [words(element) for element in every(page, ".message-files span")] == ["file-1", "ц.pdf"]
    assert client.get(f"/mail/{message.public_id}/files/0").content.startswith(b"Subject: inner")
    assert client.get(f"/mail/{message.public_id}/files/1").content == b"%PDF"
