"""The doors in a real browser: no axe violation, nothing wider than the window; and what scripts do on pages of settings."""

from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect
from sqlmodel import select

from tests.servers import Pages
from tests.web.conftest import MakeUser, session_token
from tests.web.mail_world import make_account
from tracker.models import Account, ApiToken, Message, User
from tracker.notifications.notify import notify
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import hash_password
from tracker.web.http.sessions import COOKIE
from tracker.web.workspace.set_up_page import make_setup_code

pytestmark = pytest.mark.browser

WIDE, NARROW = (1280, 800), (360, 740)
LOOKS = (("en", "light", WIDE), ("en", "dark", NARROW), ("ru", "light", NARROW), ("ru", "dark", WIDE))
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def furnished(context: AppContext, alice: User, bob: User) -> str:
    """A context with something on every page; gives the id of Alice's broken account."""
    assert alice.id is not None
    with context.database.session_scope() as session:
        session.get_one(User, bob.id).active = False
        broken = Account(
            user_id=alice.id,
            address="sales@wonderland.example",
            smtp_host="mail.wonderland.example",
            smtp_port=587,
            smtp_security="starttls",
            state="broken",
            state_detail="The server refused the login or password.",
            checked_at=now(),
        )
        works = Account(
            user_id=alice.id,
            address="alice@wonderland.example",
            smtp_host="smtp.wonderland.example",
            smtp_port=465,
            smtp_security="tls",
            state="works",
        )
        session.add_all([broken, works, ApiToken(user_id=alice.id, name="CRM", token_digest="x")])
        for number in range(3):
            notify(
                session,
                alice.id,
                f"account:{number}",
                "problem",
                now() - timedelta(hours=number),
                detail="Wonderland: login refused.",
            )
    return broken.public_id


def look(page: Page) -> None:
    violations = Axe().run(page, options=RULES).response["violations"]
    assert [(v["id"], [n["html"][:160] for n in v["nodes"]]) for v in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the window"


@pytest.mark.parametrize(("language", "theme", "size"), LOOKS)
def test_doors_are_fit_to_be_seen(
    open_page: Pages, context: AppContext, address: str, language: str, theme: str, size: tuple[int, int]
) -> None:
    make_setup_code(context)
    page = open_page(base_url=address, viewport=size, locale=language, colour_scheme=theme)  # type: ignore[arg-type]
    page.goto("/set-up")
    look(page)
    page.evaluate("for (const field of document.querySelectorAll('[required]')) field.required = false")
    page.get_by_role("button").last.click()
    expect(page.locator("[aria-invalid]").first).to_be_visible()
    look(page)
    with context.database.session_scope() as session:
        session.add(User(email="alice@example.com", name="Alice"))
    for path in ("/sign-in", "/new-password", "/no-such-page"):
        page.goto(path)
        look(page)


def test_everything_can_be_done_without_scripts(
    open_page: Pages, context: AppContext, alice: User, address: str, furnished: str
) -> None:
    page = open_page(base_url=address, scripts=False)
    page.context.add_cookies([{"name": COOKIE, "value": session_token(context, alice), "url": address}])
    page.goto("/settings/profile")
    page.get_by_label("Name", exact=True).fill("Alice Liddell")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Your profile is saved.")
    page.locator("[data-bell]").click()
    expect(page).to_have_title("(3) Notifications · Inkling")
    page.get_by_role("button", name="Mark all read").click()
    expect(page).to_have_title("Notifications · Inkling")
    page.goto("/settings/accounts/new")
    page.get_by_label("Server").first.fill("smtp.example.com")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · Inkling")


def test_set_up_guesses_the_time_zone(open_page: Pages, context: AppContext, address: str) -> None:
    make_setup_code(context)
    page = open_page(base_url=address, timezone="Asia/Tokyo")
    page.goto("/set-up")
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")


def test_the_code_of_a_one_time_link_is_taken_from_behind_the_hash(
    open_page: Pages, context: AppContext, alice: User, address: str
) -> None:
    page = open_page(base_url=address)
    page.goto("/new-password#the-code")
    expect(page.locator("[name=code]")).to_have_value("the-code")
    expect(page.locator("[name=code]")).to_be_hidden()
    assert page.url.endswith("/new-password")


def test_the_account_form_asks_for_servers_only_when_they_are_not_known(
    open_page: Pages, context: AppContext, alice: User, address: str
) -> None:
    page = open_page(base_url=address)
    page.context.add_cookies([{"name": COOKIE, "value": session_token(context, alice), "url": address}])
    page.goto("/settings/accounts/new")
    expect(page.locator("#smtp_host")).to_be_hidden()
    page.get_by_label("Address").fill("alice@gmail.example")
    expect(page.locator("#smtp_login")).to_have_value("alice@gmail.example")
    page.get_by_label("Mail service").select_option("other")
    expect(page.locator("#smtp_host")).to_be_visible()
    page.get_by_role("switch").uncheck()
    expect(page.locator("#imap_host")).to_be_hidden()


def test_days_and_times_are_written_in_the_language_of_the_page(
    open_page: Pages, context: AppContext, make_user: MakeUser, address: str
) -> None:
    """In a browser whose own fields would say mm/dd and AM."""
    boris = make_user("boris@example.com", locale="ru", timezone="Europe/Moscow")
    make_account(context, boris)
    page = open_page(base_url=address)
    page.context.add_cookies([{"name": COOKIE, "value": session_token(context, boris), "url": address}])
    page.goto("/reports/enquiries?since=2026-03-01&until=2026-03-31")
    expect(page.locator("#since")).to_have_value("01.03.2026")
    page.locator("#until").fill("5.3.2026")
    page.locator("#until").press("Enter")
    page.wait_for_url("**until=5.3.2026**")
    expect(page.locator("#until")).to_have_value("05.03.2026")
    page.goto("/compose")
    page.locator(".compose-later > summary").first.click()
    when = page.locator("[name=send_at]")
    expect(when).to_have_attribute("placeholder", "дд.мм.гггг чч:мм")
    page.locator("#to").fill("anna@example.org")
    page.locator("#subject").fill("Offer")
    day = (now() + timedelta(days=30)).date()
    when.fill(f"{day:%d.%m.%Y} 9:30")
    page.locator("[data-editor]").fill("Hello")
    page.locator("[data-send]").click()
    page.wait_for_url("**/mail/*")
    with context.database.reading() as session:
        assert session.exec(select(Message.send_at)).one() == datetime(day.year, day.month, day.day, 6, 30, tzinfo=UTC)


def test_the_first_sign_in_takes_the_browsers_zone_and_no_later_one(
    open_page: Pages, context: AppContext, make_user: MakeUser, address: str
) -> None:
    make_user("carla@example.com", "Carla", password_hash=hash_password("a long enough one"))
    for zone in ("Europe/Berlin", "Asia/Tokyo"):
        page = open_page(base_url=address, timezone=zone)
        page.goto("/sign-in")
        page.get_by_label("E-mail").fill("carla@example.com")
        page.get_by_label("Password").fill("a long enough one")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "sign-in" not in url)
        with context.database.reading() as session:
            assert session.exec(select(User.timezone)).one() == "Europe/Berlin"
