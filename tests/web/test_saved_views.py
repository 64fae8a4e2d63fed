"""Tabs of Mail and filters under a name: saved, shown, begun the day with, removed; everybody has their own."""

import httpx
import pytest
from playwright.sync_api import expect

from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.conftest import ClientOf
from tests.web.mail_world import ANNA, Written, write
from tests.web.reading import attribute, every, words
from tracker.models import MessageState, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.profile.saved_views import MOST

__all__ = ["signed_in_browser"]


def tabs(client: httpx.Client, path: str = "/mail") -> list[str]:
    return [words(tab) for tab in every(client.get(path), ".work-lists a")]


def save(client: httpx.Client, name: str, query: str = "state=opened", list_: str = "mail") -> httpx.Response:
    return client.post("/views", data={"name": name, "query": query, "list": list_})


def test_tabs_say_how_many_wait_and_each_shows_its_own(context: AppContext, client: httpx.Client, alice: User) -> None:
    states = (MessageState.DRAFT, MessageState.DRAFT, MessageState.SCHEDULED, MessageState.FAILED, MessageState.SENT)
    write(context, alice, *(Written(f"{state} {n}", (ANNA,), state=state) for n, state in enumerate(states)))
    write(context, alice, Written("due", (ANNA,), columns={"follow_up_due_at": now()}))
    assert tabs(client) == ["All", "Sent 2", "Scheduled 1", "Drafts 2", "Failed 1", "To be followed up 1"]
    for tab in every(client.get("/mail"), ".work-lists a"):
        page = client.get(attribute(tab, "href"))
        counted = words(tab).rpartition(" ")[2]
        assert not counted.isdigit() or len(every(page, ".mail-row")) == int(counted), words(tab)
        assert [words(element) for element in every(page, ".work-lists [aria-current]")] == [words(tab)]
        assert not every(page, ".mail-sentence")


@pytest.mark.parametrize(("list_", "query"), [("mail", "state=opened&q=chairs"), ("enquiries", "show=repeats")])
def test_a_filter_gets_a_name_and_can_be_the_first_page(
    client: httpx.Client, client_of: ClientOf, bob: User, list_: str, query: str
) -> None:
    where = f"/{list_}?{query}"
    assert save(client, "Warm", query, list_).headers["location"] == where
    assert tabs(client, f"/{list_}")[-1] == "Warm"
    assert tabs(client_of(bob), f"/{list_}")[-1] != "Warm"
    form = next(
        element for element in every(client.get(where), "form") if "/beginning" in str(attribute(element, "action"))
    )
    client.post(attribute(form, "action"), data={"first": "yes"})
    assert client.get("/").headers["location"] == where
    client.post(attribute(form, "action"), data={"first": "no"})
    assert client.get("/").headers["location"] == "/today"
    client.post(attribute(form, "action"), data={"first": "yes"})
    client.post(attribute(form, "action").replace("/beginning", "/removal"))
    assert client.get("/").headers["location"] == "/today"
    assert tabs(client, f"/{list_}")[-1] != "Warm"


def test_a_full_list_of_views_still_changes_those_it_has(client: httpx.Client) -> None:
    for number in range(MOST):
        save(client, f"View {number}")
    before = tabs(client)
    save(client, "One more")
    assert tabs(client) == before
    save(client, "View 0", "state=clicked")
    assert "state=clicked" in [attribute(tab, "href") for tab in every(client.get("/mail"), ".work-lists a")][-MOST]


def test_saving_under_the_same_name_changes_the_view(client: httpx.Client) -> None:
    save(client, "Warm")
    save(client, "Warm", "state=clicked")
    views = [tab for tab in every(client.get("/mail"), ".work-lists a") if words(tab) == "Warm"]
    assert [attribute(view, "href") for view in views] == ["/mail?state=clicked"]


@pytest.mark.parametrize(
    ("name", "query", "list_"),
    [
        ("", "state=opened", "mail"),
        ("Warm", "", "mail"),
        ("Warm", "state=opened", "nonsense"),
        ("x" * 61, "a=b", "mail"),
    ],
)
def test_what_is_no_view_is_not_saved(client: httpx.Client, name: str, query: str, list_: str) -> None:
    assert save(client, name, query, list_).status_code == 303
    assert tabs(client)[-1] == "To be followed up"


def test_somebody_elses_view_is_not_there(client: httpx.Client, client_of: ClientOf, bob: User) -> None:
    save(client, "Warm")
    view = next(
        element
        for element in every(client.get("/mail?state=opened"), "form")
        if "/removal" in attribute(element, "action")
    )
    assert client_of(bob).post(attribute(view, "action")).status_code == 404
    assert tabs(client)[-1] == "Warm"


@pytest.mark.browser
def test_a_view_is_saved_by_keyboard_alone(context: AppContext, alice: User, open_as: OpenAs) -> None:
    write(context, alice, Written("offer", (ANNA,)))
    page = open_as(alice, "/mail?state=no_reply")
    page.locator(".mail-save summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#view-name")).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("Silent")
    page.keyboard.press("Enter")
    expect(page.locator(".work-lists [aria-current]")).to_have_text("Silent")
