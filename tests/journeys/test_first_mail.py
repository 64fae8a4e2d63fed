"""From a fresh `serve` to the first tracked mail, by keyboard alone: the checklist leads, and hardly anything has to be typed."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.journeys.test_send_and_track import html_of
from tests.journeys.test_story import PASSWORD, Product, serving
from tests.servers import Authority, Dovecot, SmtpSink, smtp_sink
from tests.web.browsing import press, tab_to

pytestmark = pytest.mark.browser

MOST_FIELDS = 15
STANDARD = {"imap_port", "smtp_port"}
"""What a newcomer need not touch: real servers are at their standard ports."""


class Newcomer:
    """Has a keyboard and no pointer. Counts what is typed and chosen."""

    def __init__(self, page: Page) -> None:
        self.page, self.typed = page, list[str]()

    def fill(self, name: str, words: str) -> None:
        tab_to(self.page, f"[name={name}]")
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(words)
        self.typed.append(name)

    def press(self, button: str) -> None:
        self.follow(self.page.get_by_role("button", name=button, exact=True))

    def follow(self, control: Locator) -> None:
        press(self.page, control)

    def step(self, name: str) -> None:
        """Follows the checklist of Today."""
        self.follow(self.page.locator(".first-steps").get_by_role("link", name=name))


def test_the_first_tracked_mail_takes_hardly_any_typing(
    tmp_path: Path, ca: Authority, dovecot: Dovecot, browser: Browser
) -> None:
    login = "newcomer@seller.example"
    dovecot.add_user(login, "app-password")
    with (
        smtp_sink(login=login, secret="app-password", tls="starttls") as sink,
        serving(tmp_path, ca) as product,
        browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800}) as own,
        browser.new_context(locale="en-GB") as annas,
    ):
        began = time.monotonic()
        newcomer = Newcomer(own.new_page())
        _set_up(newcomer, product, login)
        _connect(newcomer, sink, dovecot)
        _ask(newcomer, annas.new_page(), sink)
        _write(newcomer)
        tracked = sink.wait_for(2)[1]
        assert tracked.recipients == ("anna@client.example",)
        assert html_of(tracked.content).count("/o/") == 1
        print(f"{time.monotonic() - began:.0f} seconds by machine, {len(newcomer.typed)} fields: {newcomer.typed}")
        assert len([name for name in newcomer.typed if name not in STANDARD]) <= MOST_FIELDS
        newcomer.page.goto(f"{product.url}/today")
        expect(newcomer.page.locator(".first-steps")).to_have_count(0)


def _set_up(newcomer: Newcomer, product: Product, login: str) -> None:
    newcomer.page.goto(product.url)
    facts = {"code": product.code, "name": "Marina", "company": "Seller", "email": login, "password": PASSWORD}
    for name, words in facts.items():
        newcomer.fill(name, words)
    newcomer.press("Begin")
    expect(newcomer.page.locator(".first-steps")).to_contain_text("1 of 4")


def _connect(newcomer: Newcomer, sink: SmtpSink, dovecot: Dovecot) -> None:
    newcomer.step("Connect your e-mail")
    newcomer.fill("secret", "app-password")
    newcomer.press("Connect")  # the domain names no servers: they are asked for, and the password stays
    newcomer.page.locator("#preset-wrong").wait_for()
    for kind, port in (("imap", dovecot.imaps_port), ("smtp", sink.port)):
        newcomer.fill(f"{kind}_host", "localhost")
        newcomer.fill(f"{kind}_port", str(port))
    newcomer.press("Connect")
    expect(newcomer.page.locator(".first-steps")).to_contain_text("2 of 4")


def _ask(newcomer: Newcomer, anna: Page, sink: SmtpSink) -> None:
    newcomer.step("Ask for consent")
    newcomer.fill("to", "anna@client.example")
    newcomer.press("Ask")
    question = sink.wait_for(1)[0].content
    link = re.search(r"http://localhost:\d+/r/[^\s\"<>]+", html_of(question))
    assert link is not None
    anna.goto(link[0])
    for box in anna.locator("input[type=checkbox]").all():
        box.check()
    anna.get_by_role("button", name="Send my answer").click()
    expect(anna.get_by_role("status")).to_be_visible()


def _write(newcomer: Newcomer) -> None:
    newcomer.follow(newcomer.page.get_by_role("link", name="Compose"))
    newcomer.page.wait_for_url(re.compile("/compose"))
    newcomer.page.keyboard.type("anna@client.example")  # the focus is in To
    newcomer.page.keyboard.press("Enter")
    newcomer.typed.append("to")
    newcomer.fill("subject", "Offer")
    tab_to(newcomer.page, "[data-editor]")
    newcomer.page.keyboard.type("Here it is.")
    newcomer.typed.append("body")
    expect(newcomer.page.locator("[data-plan]")).to_contain_text("anna@client.example")
    newcomer.page.keyboard.press("ControlOrMeta+Enter")
    newcomer.page.wait_for_url(re.compile("/mail"))
