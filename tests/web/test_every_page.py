"""Every page that somebody signed in can open: no axe violation, light and wide in English, dark and narrow in Russian; nothing
wider than the window; no error in the console. A new page is named here, or is said to be none."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect
from sqlmodel import select

from tests.web.browsing import OpenAs, signed_in_browser
from tests.web.letters_world import GALLERY as LETTERS
from tests.web.letters_world import Came, make_mailbox, receive
from tests.web.mail_world import ANNA, GALLERY, Written, make_account, write
from tracker.crm.file_import import begin_import
from tracker.demo.seed import open_shop
from tracker.models import (
    ApiToken,
    Customer,
    MailboxProblem,
    MessageState,
    Order,
    Site,
    SiteBlock,
    SiteRule,
    SiteSource,
    Template,
    User,
    WebhookEndpoint,
)
from tracker.notifications.notify import notify
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.app import ROUTES

__all__ = ["signed_in_browser"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

NO_PAGES = {
    *("/compose/people", "/feed", "/healthz", "/readyz", "/metrics"),
    *("/customers/export", "/enquiries/export", "/letters/{id}/raw", "/letters/{id}/files/{file}"),
    *("/mail/{id}/files/{number:int}", "/recipients/{who}/archive", "/settings/privacy/papers"),
    *("/compose/{draft}/pictures/{picture}", "/letters/{id}/content", "/mail/{id}/content"),
    *("/mail/{id}/activity/{kind}", "/notifications/panel", "/notifications/state"),
    *("/", "/settings", "/settings/oauth/{provider}/callback"),
    *("/manifest.webmanifest", "/service-worker.js"),
}
"""Downloads, parts of pages, redirects."""
ELSEWHERE = {"/sign-in", "/set-up", "/new-password", "/r/{token}", "/settings/accounts/{id}/test-mail/{test}"}
"""Seen by people who are not signed in, or after a mail has come back: tests of their own look at them."""
WIDE, MIDDLE, NARROW = (1280, 800), (768, 900), (360, 740)
LOOKS = {"en": ("light", WIDE), "ru": ("dark", NARROW)}
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
OPEN_EVERYTHING = """
    document.querySelectorAll('main details:not(.menu, [data-filter], [data-popover])').forEach(one => { one.open = true })
"""
THEME = """theme => {
    document.documentElement.dataset.theme = theme;
    document.getAnimations().forEach(one => one.finish());  // colours that change slowly are no fault
}"""
WORDS = "Это довольно длинное название"


@pytest.fixture
def furnished(context: AppContext, client: httpx.Client, alice: User, bob: User) -> dict[str, str]:
    """Something on every page; gives the path of each route that takes an id."""
    assert alice.id is not None
    account = make_account(context, alice, state="broken", state_detail="The server refused the login or password.")
    make_account(context, alice, "second@sales.example", state="works")
    written = write(context, alice, *GALLERY)
    (draft,) = write(context, alice, Written("Черновик", (ANNA,), state=MessageState.DRAFT))
    box = make_mailbox(
        context, alice, "shop@furniture.example", state="throttled", state_detail="The server asks to wait."
    )
    letters = receive(context, box, *LETTERS, Came(f"{WORDS} письма", "longest.address.of.all@very.long.example"))
    with context.database.session_scope() as session:
        box = session.merge(box)
        open_shop(session, box)
        template = Template(user_id=alice.id, name=WORDS, subject="{{first_name}}", html="<p>Hello {{first_name}}</p>")
        session.add_all([template, ApiToken(user_id=alice.id, name="CRM", token_digest="x")])
        hook = WebhookEndpoint(user_id=alice.id, url="https://crm.example/hook", kinds=["letter.received"], secret=b"x")
        session.add(hook)
        imported = begin_import(session, alice, "customers.csv", b"name,addresses\nA,a@client.example\nB,none\n")
        session.add(MailboxProblem(mailbox_id=box.id or 0, letter_id=letters[3].id, code="too_large"))
        for number, kind in enumerate(("problem", "open", "rejected")):
            facts: dict[str, Any] = {"message_id": written[number].id} if kind != "problem" else {}
            at = now() - timedelta(hours=number)
            notify(session, alice.id, f"{kind}:{number}", kind, at, detail="Wonderland: login refused.", **facts)
    _set_up_site(client, box.public_id)
    with context.database.reading() as session:
        ids = {
            kind: session.exec(select(kind.public_id).limit(1)).one()
            for kind in (Customer, Order, Site, SiteBlock, SiteRule, SiteSource)
        }
    return {
        "/compose/{draft}": f"/compose/{draft.public_id}",
        "/customers/import/{id}": f"/customers/import/{imported.public_id}",
        "/customers/{id}": f"/customers/{ids[Customer]}",
        "/customers/{id}/details": f"/customers/{ids[Customer]}/details",
        "/letters/{id}": f"/letters/{letters[0].public_id}",
        "/mail/{id}": f"/mail/{written[0].public_id}",
        "/mailboxes/{id}": f"/mailboxes/{box.public_id}",
        "/mailboxes/{id}/recount": f"/mailboxes/{box.public_id}/recount",
        "/orders/{id}": f"/orders/{ids[Order]}",
        "/recipients/{who}": f"/recipients/{ANNA.address}",
        "/recipients/{who}/rights": f"/recipients/{ANNA.address}/rights",
        "/settings/accounts/{id}": f"/settings/accounts/{account.public_id}",
        "/settings/accounts/{id}/domain": f"/settings/accounts/{account.public_id}/domain",
        "/settings/templates/{id}": f"/settings/templates/{template.public_id}",
        "/settings/webhooks/{id}": f"/settings/webhooks/{hook.public_id}",
        "/sites/blocks/{id}": f"/sites/blocks/{ids[SiteBlock]}",
        "/reports/{name}": "/reports/sources",
        "/sites/reports/{name}": "/sites/reports/sources",
        "/sites/rules/{id}": f"/sites/rules/{ids[SiteRule]}",
        "/sites/site/{id}": f"/sites/site/{ids[Site]}",
        "/sites/sources/{id}": f"/sites/sources/{ids[SiteSource]}",
    }


def _set_up_site(client: httpx.Client, mailbox: str) -> None:
    facts = {
        "name": WORDS,
        "hosts": "site.example",
        "session_minutes": "30",
        "cookie_days": "400",
        "attribution": "last",
    }
    site = client.post("/sites/new", data=facts).headers["location"].rpartition("/")[2]
    block = {"name": "Contact", "sites": site, "attribute": "email", "value": "info@site.example"}
    assert client.post("/sites/blocks/new", data=block).status_code == 303
    block_id = re.findall(r"/sites/blocks/([\w-]{11})", client.get("/sites").text)[0]
    rule = {
        "name": WORDS,
        "rule_type": "site_emails",
        "tracking_type": "dynamic",
        "substitution_type": "auto_generation",
        "traffic_type": "all",
        "pool_blocks": block_id,
        "pool_email_account": mailbox,
        "state": "active",
        "probe": "skip",
    }
    assert client.post("/sites/rules/new", data=rule).status_code == 303
    source = {
        "name": WORDS,
        "channel": "Fair",
        "join": "all",
        "field": "utm_source",
        "operator": "equals",
        "value": "fair",
    }
    assert client.post("/sites/sources/new", data=source).status_code == 303


def paths(furnished: dict[str, str]) -> list[str]:
    """The path of every page, as the table of routes has them."""
    routes = {str(getattr(route, "path", "")) for route in ROUTES if "GET" in (getattr(route, "methods", None) or ())}
    pages = sorted(routes - NO_PAGES - ELSEWHERE)
    unnamed = [path for path in pages if "{" in path and path not in furnished]
    assert unnamed == [], "give each of these pages something to show in `furnished`, or name it in NO_PAGES"
    return [*(furnished.get(path, path) for path in pages), "/no-such-page"]


def look(page: Page, path: str) -> list[str]:
    violations = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{path}: {violation['id']} {[node['html'][:160] for node in violation['nodes']]}" for violation in violations
    ]


@pytest.mark.parametrize("language", LOOKS)
def test_every_page_is_fit_to_be_seen(
    context: AppContext, alice: User, open_as: OpenAs, furnished: dict[str, str], language: str
) -> None:
    with context.database.session_scope() as session:
        session.get_one(User, alice.id).locale = language
    page = open_as(alice, "/notifications")
    faults: list[str] = []
    page.on("console", lambda said: faults.append(f"{page.url}: {said.text}") if said.type == "error" else None)
    for path in paths(furnished):
        page.goto(path)
        page.evaluate(OPEN_EVERYTHING)
        text = page.locator("body").inner_text()
        faults += [f"{path}: {leak}" for leak in ("Project-Id-Version", "%(", "Undefined") if leak in text]
        for theme, size in (LOOKS[language], ("", WIDE), ("", MIDDLE), ("", NARROW)):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            if theme:
                page.evaluate(THEME, theme)
                faults += look(page, path)
            width = page.evaluate("document.documentElement.scrollWidth")
            faults += [f"{path}: {width} wide in {size[0]}"] if width > size[0] else []
    page.locator("[data-bell]").click()
    expect(page.locator("[data-bell-panel] .line")).to_have_count(3)
    faults += look(page, "the bell")
    assert [fault[:240] for fault in faults if "no-such-page" not in fault or "404" not in fault] == []


def test_without_scripts_nothing_stands_there_dead(alice: User, open_as: OpenAs, furnished: dict[str, str]) -> None:
    """A button of a script is away; what stays is a link or sends a form."""
    page = open_as(alice, "/today", scripts=False)
    dead = []
    for path in paths(furnished):
        page.goto(path)
        dead += [f"{path}: {text}" for text in page.locator("button[type=button]:visible").all_inner_texts()]
        dead += [f"{path}: {text}" for text in page.locator("button:visible:not(form *, [form])").all_inner_texts()]
    page.goto("/settings/templates/new")
    expect(page.locator(".placeholder-list")).to_contain_text("{{first_name}}")
    assert dead == []


BOXES = [
    ("/mail", ".mail-filter > summary"),
    ("/mail?state=opened", ".mail-save > summary"),
    ("/enquiries", ".mail-filter > summary"),
    ("/compose", ".compose-later > summary"),
    ("/compose", ".compose-templates > summary"),
    ("/letters/{id}", ".letter-page .menu > summary"),
    ("/recipients", ".recipients-new > summary"),
    ("/mail", ".side .status-menu > summary"),
]
"""What opens above a page, by what opens it."""
EMPTY = (
    "/today",
    "/mail",
    "/enquiries",
    "/customers",
    "/recipients",
    "/mailboxes",
    "/notifications",
    "/settings/templates",
)


def look_in_both_themes(page: Page, what: str) -> list[str]:
    faults = []
    for theme in ("light", "dark"):
        page.evaluate(THEME, theme)
        faults += look(page, f"{what}, {theme}")
    return faults


def test_what_opens_what_is_wrong_and_what_is_empty_is_fit_to_be_seen(
    alice: User, bob: User, open_as: OpenAs, furnished: dict[str, str]
) -> None:
    page = open_as(alice, "/mail")
    faults: list[str] = []
    for path, opener in BOXES:
        page.goto(furnished.get(path, path))
        page.locator(opener).first.click()
        faults += look_in_both_themes(page, f"{path} {opener}")
    for key, what in (("?", "the keys"), ("Control+k", "the palette")):
        page.goto("/mail")
        page.keyboard.press(key)
        expect(page.locator("dialog[open]")).to_be_visible()
        faults += look_in_both_themes(page, what)
    page.goto("/settings/accounts/new")
    page.evaluate("document.querySelector('main form').noValidate = true")
    page.locator("main form .button.primary").first.click()
    expect(page.locator(".wrong").first).to_be_visible()
    faults += look_in_both_themes(page, "a form with errors")
    page = open_as(bob, "/today")
    for path in EMPTY:
        page.goto(path)
        faults += look_in_both_themes(page, f"empty {path}")
    assert [fault[:240] for fault in faults] == []
