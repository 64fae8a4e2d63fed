"""The bell as people see it: its page without scripts, and in a real browser live."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlmodel import select

from tests.servers import Pages
from tests.web.conftest import ClientOf, session_token
from tracker.models import Delivery, Message, Notification, User
from tracker.notifications.notify import notify
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.http.sessions import COOKIE

HOSTILE = '<img src=x onerror="alert(1)">'


def sent(context: AppContext, user: User, subject: str = "Offer 12", name: str = "Marina") -> Delivery:
    """A message of this person to Marina."""
    assert user.id is not None
    with context.database.session_scope() as session:
        recipient = find_or_make(session, "marina@client.example")
        message = Message(user_id=user.id, message_id="<a@b>", subject=subject, state="sent")
        session.add(message)
        session.flush()
        assert message.id is not None
        assert recipient.id is not None
        delivery = Delivery(
            message_id=message.id,
            recipient_id=recipient.id,
            position=0,
            role="to",
            address=recipient.address,
            name=name,
        )
        session.add(delivery)
    return delivery


def opened(
    context: AppContext, user: User, delivery: Delivery, times: int = 1, minutes: int = 4, **facts: object
) -> Notification:
    assert user.id is not None
    fields = {
        "message_id": delivery.message_id,
        "delivery_id": delivery.id,
        "count": times,
        "opens": times,
        "client": "Gmail",
    }
    with context.database.session_scope() as session:
        return notify(
            session,
            user.id,
            f"delivery:{delivery.id}",
            "open",
            now() - timedelta(minutes=minutes),
            **{**fields, **facts},
        )


def test_a_line_says_who_what_how_often_when_and_through_what(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    opened(context, alice, sent(context, alice), times=3)
    text = client.get("/notifications").text
    assert "<b>Marina</b> opened <em>Offer 12</em>" in text
    assert "3×, last <time" in text
    assert "4 min ago</time>, from Gmail" in text
    assert "<title>(1) Notifications · Inkling</title>" in text


def test_opens_and_clicks_are_counted_apart(client: httpx.Client, context: AppContext, alice: User) -> None:
    opened(context, alice, sent(context, alice), times=2, clicks=1, count=3)
    assert "2 opens, 1 click, last" in client.get("/notifications").text


def test_the_line_in_russian(client: httpx.Client, context: AppContext, alice: User) -> None:
    opened(context, alice, sent(context, alice), times=5, clicks=2, count=7)
    with context.database.session_scope() as session:
        session.get_one(User, alice.id).locale = "ru"
    text = client.get("/notifications").text
    assert "<b>Marina</b>: открыто письмо <em>Offer 12</em>" in text
    assert "5 открытий, 2 перехода, последний раз" in text
    assert "через Gmail" in text


@pytest.mark.parametrize(
    "kind", ["open", "click", "reply", "bounce", "rejected", "corrected", "problem", "something new"]
)
def test_hostile_names_stay_text(client: httpx.Client, context: AppContext, alice: User, kind: str) -> None:
    line = opened(context, alice, sent(context, alice, HOSTILE, HOSTILE), client=HOSTILE, detail=HOSTILE)
    with context.database.session_scope() as session:
        session.get_one(Notification, line.id).kind = kind
    for path in ("/notifications", "/notifications/panel"):
        text = client.get(path).text
        assert "<img" not in text
        assert "&lt;img" in text


def test_a_click_on_the_line_reads_it_and_opens_the_message(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    delivery = sent(context, alice)
    line = opened(context, alice, delivery)
    answer = client.post(f"/notifications/{line.public_id}/reading")
    with context.database.reading() as session:
        message = session.get_one(Message, delivery.message_id)
        assert session.get_one(Notification, line.id).read_at is not None
    assert answer.headers["location"] == f"/mail/{message.public_id}"
    assert client.get("/notifications/state").json()["unread"] == 0


def test_all_are_read_at_once_and_a_new_open_is_unread_again(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    delivery = sent(context, alice)
    opened(context, alice, delivery)
    assert (
        client.post("/notifications/readings", data={"back": "//evil.example"}).headers["location"] == "/notifications"
    )
    assert client.get("/notifications/state").json()["unread"] == 0
    opened(context, alice, delivery, times=2, minutes=1)
    state = client.get("/notifications/state").json()
    assert state["unread"] == 1
    assert state["newest"][0]["text"] == "Marina opened “Offer 12”"


def test_bells_are_apart(client_of: ClientOf, context: AppContext, alice: User, bob: User) -> None:
    line = opened(context, alice, sent(context, alice))
    his = client_of(bob)
    assert "Marina" not in his.get("/notifications").text + his.get("/notifications/panel").text
    assert his.get("/notifications/state").json() == {"unread": 0, "newest": []}
    assert his.post(f"/notifications/{line.public_id}/reading").status_code == 404
    his.post("/notifications/readings")
    with context.database.reading() as session:
        assert session.exec(select(Notification)).one().read_at is None


def test_old_lines_are_a_page_further(client: httpx.Client, context: AppContext, alice: User) -> None:
    assert alice.id is not None
    with context.database.session_scope() as session:
        for number in range(60):
            notify(
                session,
                alice.id,
                f"account:{number}",
                "problem",
                now() - timedelta(minutes=number),
                detail=f"no. {number}.",
            )
    first = client.get("/notifications")
    older = httpx.URL(first.text.partition('href="/notifications?before=')[2].partition('"')[0])
    second = client.get(f"/notifications?before={older}")
    assert ("no. 49." in first.text, "no. 50." in first.text) == (True, False)
    assert ("no. 49." in second.text, "no. 50." in second.text, "no. 59." in second.text) == (False, True, True)
    assert client.get("/notifications?before=garbage").status_code == 200


@pytest.fixture
def page(open_page: Pages, context: AppContext, alice: User, address: str) -> Iterator[Page]:
    page = open_page(base_url=address)
    page.context.add_cookies([{"name": COOKIE, "value": session_token(context, alice), "url": address}])
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    assert errors == []


@pytest.mark.browser
def test_the_bell_rings_without_reload_and_the_title_counts(page: Page, context: AppContext, alice: User) -> None:
    page.goto("/settings/profile")
    expect(page.locator("[data-bell-count]")).to_be_hidden()
    delivery = sent(context, alice)
    opened(context, alice, delivery)
    expect(page.locator("[data-bell-count]")).to_have_text("1")
    expect(page).to_have_title("(1) Profile · Inkling")
    page.get_by_role("link", name="Notifications, unread: 1").click()
    panel = page.get_by_role("dialog", name="Notifications")
    expect(panel).to_contain_text("Marina opened Offer 12")
    opened(context, alice, delivery, times=2, minutes=1)
    expect(panel).to_contain_text("2×, last 1 min ago")
    panel.get_by_role("button", name="Mark all read").click()
    expect(page).to_have_title("Profile · Inkling")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("[data-bell]")).to_be_focused()


@pytest.mark.browser
def test_a_page_may_follow_the_hints_and_every_tab_hears_them(page: Page, context: AppContext, alice: User) -> None:
    other = page.context.new_page()
    for tab in (page, other):
        tab.goto("/settings/profile")
        tab.evaluate("document.addEventListener('inkling:feed', (e) => { document.title = `heard ${e.detail.kind}` })")
    opened(context, alice, sent(context, alice))
    for tab in (page, other):
        expect(tab.locator("[data-bell-count]")).to_have_text("1")
    page.close()
    opened(context, alice, sent(context, alice, "Offer 13"), minutes=1)
    expect(other.locator("[data-bell-count]")).to_have_text("2")


@pytest.mark.browser
def test_keys_open_the_list_the_search_and_can_be_switched_off(page: Page) -> None:
    page.goto("/settings/profile")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard")
    expect(keys).to_be_visible()
    keys.get_by_role("switch").press("Space")
    expect(keys.get_by_role("switch")).not_to_be_checked()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).not_to_be_focused()
    page.keyboard.press("?")
    expect(keys).to_be_visible()
    keys.get_by_role("switch").press("Space")
    expect(keys.get_by_role("switch")).to_be_checked()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("c?")
    expect(page).to_have_url(page.url)
    expect(page.get_by_role("searchbox")).to_have_value("c?")
