"""The one search: everything one may see, the newest of each kind; the lists and the API find the same."""

from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect
from sqlalchemy import event

from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.conftest import ClientOf
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.mail_world import To, Written, write
from tests.web.reading import attribute, every, text_at, words
from tracker.models import Customer, Order, User
from tracker.runtime.context import AppContext

__all__ = ["signed_in_browser"]
MOST_STATEMENTS = 12


@pytest.fixture
def world(context: AppContext, alice: User, bob: User) -> None:
    to = To("anna.berg@bergbau.example", "Anna Berg")
    write(context, alice, *(Written(f"Oak chairs {n}", (to,)) for n in range(8)))
    write(context, bob, Written("Oak chairs of Bob", (to,)))
    receive(context, make_mailbox(context, alice), Came("Chairs in oak?", "anna.berg@bergbau.example", "Anna Berg"))
    receive(context, make_mailbox(context, bob, "bob@shop.example"), Came("Oak for Bob"))
    with context.database.session_scope() as session:
        session.add_all([Customer(name="Oak & Sons"), Order(number="OAK-1", status="paid")])


def results_of(client: httpx.Client, typed: str) -> dict[str, list[str]]:
    page = client.get(f"/search?q={quote(typed)}")
    assert page.status_code == 200, page.text
    return {
        words(every(part, "h2")[0]): [words(row) for row in every(part, ".mail-subject")]
        for part in every(page, ".today-list")
    }


@pytest.mark.usefixtures("world")
def test_everything_of_ones_own_is_found_by_kind(client: httpx.Client) -> None:
    assert {kind: len(rows) for kind, rows in results_of(client, "oak").items()} == {
        "Customers": 1, "Orders": 1, "Mail": 6, "Letters": 1,
    }  # fmt: skip
    assert set(results_of(client, "anna berg")) == {"Recipients", "Mail", "Letters"}
    assert results_of(client, "bergbau anna chair")["Mail"][0] == "Oak chairs 7"


@pytest.mark.usefixtures("world")
def test_a_list_a_link_away_has_all_of_them(client: httpx.Client) -> None:
    page = client.get("/search?q=oak")
    (more,) = every(page, ".today-all a")
    assert attribute(more, "href") == "/mail?q=oak"
    assert len(every(client.get("/mail?q=oak"), ".mail-row")) == 8


@pytest.mark.usefixtures("world")
def test_nobody_finds_what_is_somebody_elses(client_of: ClientOf, bob: User) -> None:
    his = client_of(bob)
    assert results_of(his, "oak")["Mail"] == ["Oak chairs of Bob"]
    assert results_of(his, "oak")["Letters"] == ["Oak for Bob"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("ljujdjh", "договор"), ("Gbcmvj", "письмо"), (",th`pf", "берёза"), ("щфл", "oak"), ("Фттф Иукп", "anna berg")],
)
def test_what_was_typed_on_the_other_keyboard_is_found_and_said(
    context: AppContext, client: httpx.Client, alice: User, typed: str, meant: str
) -> None:
    write(context, alice, Written(f"{meant} 12", (To("x@example.com"),)), Written("else", (To("y@example.com"),)))
    assert results_of(client, typed) == {"Mail": [f"{meant} 12"]}
    assert f"“{meant}”" in text_at(client.get(f"/search?q={quote(typed)}"), ".search-meant")
    assert not every(client.get(f"/search?q={quote(meant)}"), ".search-meant")
    assert f"{meant} 12" in client.get(f"/search?part=lines&q={quote(typed)}").text


def test_a_name_is_found_in_both_alphabets_however_it_was_typed(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    write(context, alice, Written("Offer", (To("i@x.example", "Анна Иванова"), To("b@x.example", "Anna Ivanova"))))
    for typed in ("anna ivanova", "Анна Ивановой", "anna иванова"):
        assert sorted(results_of(client, typed)["Recipients"]) == ["b@x.example", "i@x.example"], typed
        assert results_of(client, typed)["Mail"] == ["Offer"]
        assert not every(client.get(f"/search?q={quote(typed)}"), ".search-meant")


@pytest.mark.parametrize("typed", ["", "   ", "%", "\u202e", "x" * 1000, "nowhere", "'\"*:()-^"])
def test_whatever_is_typed_is_answered(client: httpx.Client, typed: str) -> None:
    assert results_of(client, typed) == {}
    assert text_at(client.get(f"/search?q={quote(typed)}"), ".empty h2")


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("typed", ["oak", "nowhere at all"])
def test_a_search_asks_the_database_little(context: AppContext, client: httpx.Client, typed: str) -> None:
    results_of(client, typed)
    asked: list[str] = []
    event.listen(context.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    results_of(client, typed)
    assert len(asked) <= MOST_STATEMENTS, "\n".join(asked)


@pytest.mark.usefixtures("world")
@pytest.mark.browser
def test_the_palette_goes_and_finds_by_keyboard_alone(alice: User, open_as: OpenAs) -> None:
    page = open_as(alice, "/today")
    page.keyboard.press("Control+k")
    palette = page.locator(".palette")
    expect(palette.locator("a[aria-current]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("anna")
    expect(palette.locator("a")).to_contain_text(["Anna Berg"])
    expect(palette.locator("a[aria-current]")).to_contain_text("Anna Berg")
    palette.locator("input").fill("nobody at all")
    expect(palette.locator("li")).to_have_text(["Nothing with these words"])
    palette.locator("input").fill("anna")
    expect(palette.locator("a[aria-current]")).to_contain_text("Anna Berg")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/recipients/*")
    page.keyboard.press("Control+k")
    page.keyboard.type("Enq")
    expect(palette.locator("a[aria-current]")).to_contain_text("Enquiries")
    page.keyboard.press("Enter")
    page.wait_for_url("**/enquiries")
