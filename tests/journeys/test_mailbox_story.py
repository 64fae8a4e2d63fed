"""Somebody who has never seen the product connects a mailbox, and letters come to the page by themselves."""

import re
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.inbound.mail_world import fresh_address, letter
from tests.journeys.test_story import serving, set_up
from tests.servers import Authority, Dovecot


def test_a_mailbox_is_connected_and_letters_come(
    tmp_path: Path, ca: Authority, dovecot: Dovecot, browser: Browser
) -> None:
    address = fresh_address()
    dovecot.add_user(address, "app-password")
    dovecot.append(address, letter("Forty chairs"), received_at=datetime.now(UTC))
    with serving(tmp_path, ca) as product, browser.new_context(locale="en-GB") as own:
        page = own.new_page()
        set_up(page, product, address)
        page.goto(f"{product.url}/mailboxes")
        page.locator("main").get_by_role("link", name="Connect a mailbox").click()
        page.fill("[name=address]", address)
        page.select_option("[name=preset]", "other")
        page.fill("[name=host]", "localhost")
        page.fill("[name=port]", str(dovecot.imaps_port))
        page.select_option("[name=security]", "tls")
        page.fill("[name=secret]", "mistyped")
        page.get_by_role("button", name="Save and test").click()
        expect(page.locator("main")).to_contain_text(re.compile("password|login", re.IGNORECASE))
        expect(page.locator("main")).not_to_contain_text("b'")
        page.fill("[name=secret]", "app-password")
        page.get_by_role("button", name="Save and test").click()
        expect(page.locator("main")).to_contain_text("The integration works")

        page.goto(f"{product.url}/enquiries")
        expect(page.locator("main")).to_contain_text("Forty chairs")
        dovecot.append(address, letter("Fifty tables", sender="luc@client.example"), received_at=datetime.now(UTC))
        # No reload: the server tells of the letter, a run fetches it, the page is told.
        expect(page.locator("main")).to_contain_text("Fifty tables", timeout=60_000)
