"""The story: from a fresh data folder to the bell, in a real browser, in both languages, with real SMTP and IMAP."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.test_send_and_track import html_of
from tests.servers import Authority, Dovecot, SmtpSink, free_port, listening, smtp_sink, wait_until
from tests.servers.forked_python import start_python

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
BRANDS = {"sec-ch-ua": '"Not:A-Brand";v="8", "Chromium";v="156", "Google Chrome";v="156"'}
"""A person's browser; that of the tests, which has no window, says so of itself, and is judged a machine."""


@dataclass
class Product:
    """`inkling serve` as a process of its own."""

    url: str
    process: "subprocess.Popen[str]"
    said: list[str] = field(default_factory=list)

    @property
    def code(self) -> str:
        match = re.search(r"code\s+([A-Z0-9]{4}-[A-Z0-9]{4}-[A-Z0-9]{4})", "".join(self.said))
        return match[1] if match else ""


@contextmanager
def serving(folder: Path, ca: Authority) -> Iterator[Product]:
    port = free_port()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("INKLING_")},
        "INKLING_DATA_DIR": str(folder),
        "INKLING_BASE_URL": f"http://127.0.0.1:{port}",
        "INKLING_TRACKING_URL": f"http://localhost:{port}",
        "INKLING_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8,::1",
        "INKLING_CA_FILE": str(ca.file),
        "INKLING_WINDOW_SCALE": "0.02",
    }
    words = ["-m", "tracker", "serve", "--port", str(port)]
    process = start_python(words, env=environ, stderr=subprocess.PIPE, text=True)
    product = Product(environ["INKLING_BASE_URL"], process)

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            product.said.append(line)

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        wait_until(lambda: product.code and listening(port))
        yield product
    finally:
        process.terminate()
        process.wait(20)
        listener.join()
        assert process.stderr is not None
        process.stderr.close()


@contextmanager
def shop() -> Iterator[str]:
    """The site that a link of the mail leads to."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<h1>You asked for {self.path}</h1>".encode())

        def log_message(self, format: str, *args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Words:
    """What the page must say in one language."""

    locale: str
    language: str
    hover: str


WORDS = [
    Words("en-GB", "en", "Opens(.|\n)*Anna Berg(.|\n)*Chrome"),
    Words("ru-RU", "ru", "Открыт(.|\n)*Anna Berg(.|\n)*Chrome"),
]


@pytest.mark.parametrize("words", WORDS, ids=lambda w: w.language)
def test_the_story(words: Words, tmp_path: Path, ca: Authority, dovecot: Dovecot, browser: Browser) -> None:
    login = f"marina-{words.language}@seller.example"
    dovecot.add_user(login, "app-password")
    with (
        smtp_sink(login=login, secret="app-password", tls="starttls") as sink,
        shop() as shop_url,
        serving(tmp_path, ca) as product,
        browser.new_context(locale=words.locale, viewport={"width": 1280, "height": 800}) as own,
        browser.new_context(user_agent=BROWSER, extra_http_headers=BRANDS, locale="de-DE") as annas,
    ):
        page = own.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        set_up(page, product, login)
        expect(page.locator("html")).to_have_attribute("lang", words.language)
        connect_account(page, product, login, sink, dovecot)
        record_consent(page, product)
        write_and_send(page, product, shop_url)

        copies = {a.recipients[0]: a.content for a in sink.wait_for(2)}
        tracked, untouched = copies["anna@client.example"], copies["luc@client.example"]
        assert html_of(tracked).count("/o/") == 1
        assert html_of(tracked).count("/c/") == 1
        for clean in (untouched, wait_until(lambda: dovecot.messages(login, dovecot.sent_folder))[0]):
            assert b"/o/" not in clean
            assert b"/c/" not in clean
            assert f'href="{shop_url}/offer?a=1&amp;b=2"' in html_of(clean)

        page.goto(f"{product.url}/mail")
        expect(page.locator("[data-bell-count]")).to_be_hidden()
        read_as_anna(annas.new_page(), html_of(tracked), f"{shop_url}/offer?a=1&b=2")
        # No reload from here on: the bell rings, and the list shows a solid eye and a solid link, by themselves.
        expect(page.locator("[data-bell-count]")).to_have_text("1")
        expect(page.locator(".mail-row .mark.solid")).to_have_count(2)
        page.locator(".mail-row .mark.solid").first.hover()
        expect(page.get_by_role("tooltip")).to_contain_text(re.compile(words.hover))

        check_filters(page, product)
        check_timeline(page, product, shop_url)
        page.goto(f"{product.url}/mail")
        expect(page.locator("[data-bell-count]")).to_be_hidden()
        assert [p for p in problems if "422" not in p] == []  # the mistyped code of the set-up page


def set_up(page: Page, product: Product, login: str) -> None:
    page.goto(product.url)
    page.fill("[name=code]", "WRNG-WRNG-WRNG")
    page.fill("[name=name]", "Marina Volkova")
    page.fill("[name=email]", login)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    expect(page.locator("#code-wrong, .field:has([name=code]) .wrong")).to_be_visible()
    assert page.input_value("[name=name]") == "Marina Volkova"
    page.fill("[name=code]", product.code)
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url(re.compile("/today"))


def connect_account(page: Page, product: Product, login: str, sink: SmtpSink, dovecot: Dovecot) -> None:
    page.goto(f"{product.url}/settings/accounts/new")
    page.select_option("[name=preset]", "other")
    page.fill("[name=address]", login)
    page.fill("[name=smtp_host]", "localhost")
    page.fill("[name=smtp_port]", str(sink.port))
    page.select_option("[name=smtp_security]", "starttls")
    page.fill("[name=smtp_login]", login)
    page.fill("[name=smtp_secret]", "mistyped")
    if not page.is_checked("[name=imap]"):
        page.set_checked("[name=imap]", True, force=True)
    page.fill("[name=imap_host]", "localhost")
    page.fill("[name=imap_port]", str(dovecot.imaps_port))
    page.select_option("[name=imap_security]", "tls")
    page.fill("[name=imap_login]", login)
    page.fill("[name=imap_secret]", "app-password")
    page.locator("form[action^='/settings/accounts'] button.primary").click()
    expect(page.locator("main")).to_contain_text(f"localhost:{sink.port}")  # what is wrong, with the server
    page.goto(f"{product.url}/settings/accounts")
    page.get_by_role("link", name=re.compile(re.escape(login))).first.click()
    page.fill("[name=smtp_secret]", "app-password")
    page.locator("form[data-presets] button.primary").click()
    expect(page.locator("[data-flash]")).to_contain_text(login)
    assert sink.logins[login] >= 1


def record_consent(page: Page, product: Product) -> None:
    page.goto(f"{product.url}/recipients")
    page.locator(".recipients-new summary").click()
    page.fill("[name=address]", "Anna Berg <anna@client.example>")
    page.locator(".recipients-new button[type=submit]").click()
    page.wait_for_url(re.compile(r"/recipients/.+"))
    page.select_option("[name=purpose]", "both")
    page.select_option("[name=state]", "granted")
    page.select_option("[name=channel]", "web_form")
    page.fill("[name=note]", "Ticked both boxes on our order form")
    page.locator(".recipient-record button[type=submit]").click()
    expect(page.locator("main")).to_contain_text("Ticked both boxes on our order form")


def write_and_send(page: Page, product: Product, shop_url: str) -> None:
    page.goto(f"{product.url}/compose")
    people = page.locator(".compose-line:has([name=to]) input:visible").first
    people.fill("anna@client.example")
    people.press("Enter")
    people.fill("Luc Moreau <luc@client.example>")
    people.press("Enter")
    page.fill("[name=subject]", "Offer 12")
    editor = page.locator("[data-editor]")
    editor.click()
    page.keyboard.type("Dear both, here is ")
    page.keyboard.press("Control+b")
    page.keyboard.type("the offer")
    page.keyboard.press("Control+b")
    page.evaluate(
        """url => {
            const editor = document.querySelector('[data-editor]');
            const range = document.createRange();
            range.selectNodeContents(editor.querySelector('b, strong'));
            const selection = getSelection();
            selection.removeAllRanges();
            selection.addRange(range);
        }"""
    )
    page.keyboard.press("Control+k")
    page.fill("[data-link-url]", f"{shop_url}/offer?a=1&b=2")
    expect(page.locator("[data-link-words]")).to_have_value("the offer")
    page.keyboard.press("Enter")
    expect(editor.locator("a")).to_have_attribute("href", f"{shop_url}/offer?a=1&b=2")
    expect(page.locator("[data-plan]")).to_contain_text("Luc")
    page.locator("[data-send]").click()
    page.wait_for_url(re.compile(r"/mail"))


def read_as_anna(page: Page, html: str, destination: str) -> None:
    """Her mail program shows the letter, pictures and all; then she follows the link."""
    page.wait_for_timeout(1500)
    with page.expect_response(re.compile("/o/")) as image:
        page.set_content(html)
    assert image.value.status == 200
    page.wait_for_timeout(500)
    page.click("a")
    page.wait_for_url(destination)
    expect(page.locator("h1")).to_contain_text("You asked for /offer?a=1&b=2")


def check_filters(page: Page, product: Product) -> None:
    for state, rows in (("tracked", 1), ("opened", 1), ("clicked", 1), ("not_opened", 0), ("untracked", 0)):
        page.goto(f"{product.url}/mail?state={state}")
        expect(page.locator(".mail-row")).to_have_count(rows)


def check_timeline(page: Page, product: Product, shop_url: str) -> None:
    page.goto(f"{product.url}/mail")
    page.locator(".mail-row a.mail-open").first.click()
    page.wait_for_url(re.compile(r"/mail/.+"))
    expect(page.locator("#timeline")).to_contain_text("Anna")
    expect(page.locator("#timeline")).to_contain_text(f"{shop_url}/offer?a=1&b=2")
