"""To completes from people who are known: by name or address, the last written to first, with who agreed."""

import re
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.mail_world import To, Written, agree, write
from tracker.models import Customer, CustomerAddress, User
from tracker.runtime.context import AppContext

__all__ = ["signed_in_browser"]
HOUR = timedelta(hours=1)


@pytest.fixture
def known(context: AppContext, alice: User) -> None:
    agree(context, "anna@bergbau.example", name="Anna Berg")
    agree(context, "never@bergbau.example", name="Nora Berg")
    write(context, alice, Written("one", (To("anna@bergbau.example", "Anna Berg"),)))
    with context.database.session_scope() as session:
        customer = Customer(name="Bergmann KG")
        session.add(customer)
        session.flush()
        rows = [("shop@bergmann.example", customer.id), ("anna@bergbau.example", customer.id)]
        session.add_all(CustomerAddress(customer_id=id_ or 0, address=address, lookup=address) for address, id_ in rows)


def values(client: httpx.Client, typed: str) -> list[tuple[str, str]]:
    answer = client.get("/compose/people", params={"q": typed})
    assert answer.status_code == 200
    return [(person["value"], person["label"]) for person in answer.json()]


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("typed", "addresses"),
    [
        ("berg", ["anna@bergbau.example", "never@bergbau.example", "shop@bergmann.example"]),
        ("anna b", ["anna@bergbau.example"]),
        ("shop@", ["shop@bergmann.example"]),
        ("bregbau", ["anna@bergbau.example", "never@bergbau.example"]),
        ("иукп", ["anna@bergbau.example", "never@bergbau.example", "shop@bergmann.example"]),
        ("анна берг", ["anna@bergbau.example"]),
        ("b", []),
        ("", []),
        ("nobody", []),
        ("%_'\"", []),
    ],
)
def test_people_are_known_by_name_and_address(client: httpx.Client, typed: str, addresses: list[str]) -> None:
    names = values(client, typed)
    assert [value.rpartition("<")[2].rstrip(">") for value, _ in names] == addresses
    assert all(label == "● agreed" for value, label in names if "bergbau" in value)


@pytest.mark.usefixtures("known")
def test_whoever_wrote_is_known_too_the_newest_first(context: AppContext, client: httpx.Client, alice: User) -> None:
    old, new = Came("1", "old@bergtal.example", "Old", 9 * HOUR), Came("2", "new@bergtal.example", "New")
    receive(context, make_mailbox(context, alice), old, new, Came("bergtal", "else@x.example", "Else"))
    assert [value for value, _label in values(client, "bergtal")] == [
        "New <new@bergtal.example>",
        "Old <old@bergtal.example>",
    ]


@pytest.mark.usefixtures("known")
@pytest.mark.browser
def test_who_is_chosen_becomes_a_chip(alice: User, open_as: OpenAs) -> None:
    """By Enter the first, by arrows another, by a click a third; who is typed whole is nobody else."""
    page = open_as(alice, "/compose")
    to, people = page.locator("#to"), page.get_by_role("listbox", name="To").get_by_role("option")
    to.press_sequentially("berg")
    expect(people).to_have_text(
        ["Anna Berganna@bergbau.example● agreed", re.compile("Nora Berg"), re.compile("Bergmann")]
    )
    expect(people.first).to_have_attribute("aria-selected", "true")
    to.press("Enter")
    to.press_sequentially("berg")
    expect(people).to_have_count(3)
    to.press("ArrowDown")
    to.press("Tab")
    to.press_sequentially("berg")
    people.nth(2).click()
    expect(page.locator(".person")).to_have_text(
        [re.compile("Anna Berg"), re.compile("Nora Berg"), re.compile("Bergmann")]
    )
    expect(to).to_have_value("")
    expect(people).to_have_count(0)
    to.press_sequentially("an@bergbau.example")
    to.press("Enter")
    expect(page.locator(".person").last).to_contain_text("an@bergbau.example")
    to.press_sequentially("berg")
    expect(people).to_have_count(3)
    to.press("Escape")
    expect(people).to_have_count(0)
    expect(to).to_have_value("berg")


@pytest.mark.usefixtures("known")
@pytest.mark.browser
def test_people_who_come_after_enter_are_not_offered_for_the_next(alice: User, open_as: OpenAs) -> None:
    page = open_as(alice, "/compose")
    late: list[Route] = []
    page.route("**/compose/people?q=berg", lambda route: late.append(route))
    to = page.locator("#to")
    with page.expect_request("**/compose/people?q=berg"):
        to.press_sequentially("berg")
    to.press("Enter")
    expect(page.locator(".person")).to_have_text([re.compile("berg")])
    with page.expect_response("**/compose/people?q=berg"):
        late[0].continue_()
    page.evaluate("fetch('/notifications/state').then((answer) => answer.text())")
    to.press("Enter")
    to.press_sequentially("luc@x.example,")
    expect(page.locator(".person")).to_have_text([re.compile("berg"), re.compile("luc@x.example")])
