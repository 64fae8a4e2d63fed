"""Enquiries, letters and mailboxes in a real browser: fit for everybody, quick by keyboard, usable without scripts."""

from datetime import timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect
from sqlmodel import select

from tests.servers import Dovecot
from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.letters_world import GALLERY, Came, make_mailbox, receive
from tracker.models import Mailbox, User
from tracker.notifications.notify import announce
from tracker.runtime.context import AppContext

__all__ = ["signed_in_browser"]
pytestmark = pytest.mark.browser


def test_keys_move_open_and_answer(context: AppContext, alice: User, open_as: OpenAs) -> None:
    letters = receive(context, make_mailbox(context, alice), *GALLERY)
    page = open_as(alice, "/enquiries")
    focused = page.locator(".mail-open:focus")
    page.keyboard.press("j")
    expect(focused).to_contain_text("Twelve oak chairs")
    page.keyboard.press("j")
    expect(focused).to_contain_text("Прайс-лист")
    page.keyboard.press("k")
    page.keyboard.press("o")
    page.wait_for_url(f"**/letters/{letters[0].public_id}")
    page.locator(".letter-facts").first.wait_for(state="attached")
    page.keyboard.press("r")
    page.wait_for_url(f"**/compose?letter={letters[0].public_id}")


def test_older_letters_come_by_themselves(context: AppContext, alice: User, open_as: OpenAs) -> None:
    box = make_mailbox(context, alice)
    receive(context, box, *(Came(f"n{n}", f"p{n}@x.example", ago=timedelta(minutes=n)) for n in range(90)))
    page = open_as(alice, "/enquiries")
    expect(page.locator(".mail-row")).to_have_count(50)
    page.locator(".mail-row").last.scroll_into_view_if_needed()
    expect(page.locator(".mail-row")).to_have_count(90)


def test_a_letter_that_arrives_shows_itself(context: AppContext, alice: User, open_as: OpenAs) -> None:
    box = make_mailbox(context, alice)
    receive(context, box, Came("first", ago=timedelta(hours=2)))
    page = open_as(alice, "/enquiries")
    expect(page.locator(".mail-row")).to_have_count(1)
    (new,) = receive(context, box, Came("second", "ken@northwind.example"))
    with context.database.session_scope() as session:
        announce(session, alice.id or 0, "letter", new.public_id)
    expect(page.locator(".mail-row").first).to_contain_text("second")


def test_nothing_of_a_letter_runs_and_nothing_is_fetched(context: AppContext, alice: User, open_as: OpenAs) -> None:
    html = """<p>Hello</p><script>parent.document.title='owned'</script><img src="https://pictures.example/p.png" onerror="x">"""
    (letter,) = receive(context, make_mailbox(context, alice), Came("x", html=html))
    page = open_as(alice, "/enquiries")
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url))
    refused: list[str] = []
    page.on("requestfailed", lambda request: refused.append(f"{request.url} {request.failure}"))
    page.goto(f"/letters/{letter.public_id}")
    widths = [page.locator(f".letter-page > {part}").bounding_box() for part in (".message-mail", ".message-live")]
    assert all(box is not None and box["width"] >= 300 and box["y"] < 400 for box in widths), "side by side"
    expect(page.frame_locator("iframe").locator("p")).to_have_text("Hello")
    assert "owned" not in page.title()
    assert [url for url in answered if "pictures.example" in url] == []
    assert all("csp" in item for item in refused if "pictures.example" in item)
    with page.expect_response("**/reading"):
        page.reload()


def test_a_mailbox_that_is_being_checked_shows_when_it_works(context: AppContext, alice: User, open_as: OpenAs) -> None:
    box = make_mailbox(context, alice, state="checking")
    page = open_as(alice, "/mailboxes")
    expect(page.locator(".mailbox .badge")).to_have_text("being checked")
    with context.database.session_scope() as session:
        row = session.get_one(Mailbox, box.id)
        row.state = "active"
        session.add(row)
    expect(page.locator(".mailbox .badge")).to_have_text("works")


def test_without_scripts_repeats_unfold_and_a_mailbox_is_connected(
    context: AppContext, alice: User, open_as: OpenAs, dovecot: Dovecot
) -> None:
    """In well under a minute, by somebody who knows an address and a password."""
    login = f"{uuid4().hex[:12]}@shop.example"
    dovecot.add_user(login, "app password")
    page = open_as(alice, "/mailboxes", scripts=False)
    page.get_by_role("link", name="Connect a mailbox").click()
    _fill(page, login, dovecot)
    page.get_by_role("button", name="Save and test").click()
    expect(page.locator("[data-flash]")).to_contain_text("The integration works")
    with context.database.reading() as session:
        box = session.exec(select(Mailbox)).one()
    receive(context, box, *GALLERY)
    page.get_by_role("link", name="Enquiries", exact=True).click()
    folded = page.get_by_role("link", name="Re: Twelve oak chairs")
    expect(folded).to_be_hidden()
    page.get_by_text("1 repeat").click()
    expect(folded).to_be_visible()


def _fill(page: Page, login: str, dovecot: Dovecot) -> None:
    expect(page.get_by_label("Server", exact=True)).to_be_hidden()
    page.get_by_label("Mail service").select_option("yandex")
    expect(page.locator('[data-help="yandex"]')).to_be_visible()
    expect(page.locator('[data-help="gmail"]')).to_be_hidden()
    page.get_by_label("Mail service").select_option("other")
    page.get_by_label("Address", exact=True).fill(login)
    page.get_by_label("Server", exact=True).fill(dovecot.host)
    page.get_by_label("Port").fill(str(dovecot.imap_port))
    page.get_by_label("Security").select_option("none")
    page.get_by_label("App password").fill("app password")
