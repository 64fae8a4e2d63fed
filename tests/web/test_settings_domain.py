"""What receivers see of a domain, on the account's page: looked up of a real DNS server, never in the page's own way."""

from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from tests.servers import Pages, SmtpSink
from tests.servers.dns import NameServer, name_server
from tests.web.conftest import ClientOf, server, session_token
from tests.web.test_settings_accounts import form, only_account
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.web.http.sessions import COOKIE

SPF = ("seller.example", "TXT")


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with name_server() as made:
        made.records[SPF] = ('"v=spf1 mx -all"', '"<script>alert(1)</script>"')
        yield made


@pytest.fixture
def address(context: AppContext, dns: NameServer) -> Iterator[str]:
    with server(replace(context, name_server=dns.address)) as address:
        yield address


@pytest.fixture
def url(client: httpx.Client, context: AppContext, smtp_sink: SmtpSink) -> str:
    client.post("/settings/accounts", data=form(smtp_sink))
    return f"/settings/accounts/{only_account(context).public_id}"


def test_the_accounts_page_asks_nothing_itself(client: httpx.Client, url: str, dns: NameServer) -> None:
    page = client.get(url).text
    assert f'href="{url}/domain"' in page
    assert dns.asked == []


def test_without_scripts_a_page_of_its_own(client: httpx.Client, url: str) -> None:
    text = unescape(client.get(f"{url}/domain").text)
    assert "There is an SPF record" in text
    assert "There is no DMARC policy" in text
    assert "v=DMARC1; p=none; rua=mailto:Alice@seller.example" in text
    assert "<script>alert(1)</script>" not in text


def test_several_records_come_with_the_one_to_publish(client: httpx.Client, url: str, dns: NameServer) -> None:
    dns.records[SPF] = ('"v=spf1 mx -all"', '"v=spf1 include:_spf.x.example <b>x</b> ~all"')
    text = client.get(f"{url}/domain?part=1").text
    assert "has 2 SPF records" in text
    assert "include:_spf.x.example &lt;b&gt;x&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "<html" not in text


def test_it_is_said_in_russian(
    client: httpx.Client, client_of: ClientOf, context: AppContext, url: str, alice: User
) -> None:
    with context.database.session_scope() as session:
        session.get_one(User, alice.id).locale = "ru"
    assert "Политики DMARC нет" in client.get(f"{url}/domain").text


def test_it_is_the_owners_alone(client_of: ClientOf, bob: User, url: str, dns: NameServer) -> None:
    assert client_of(bob).get(f"{url}/domain").status_code == 404
    assert dns.asked == []


def test_look_ups_have_a_limit(client: httpx.Client, url: str, dns: NameServer) -> None:
    answers = [client.get(f"{url}/domain").status_code for _ in range(21)]
    assert (answers[0], answers[-1]) == (200, 303)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_comes_into_the_page_and_everybody_can_read_it(
    context: AppContext, address: str, alice: User, url: str, open_page: Pages, scheme: str
) -> None:
    page = open_page(base_url=address, viewport=(360, 800), colour_scheme=scheme)  # type: ignore[arg-type]
    page.context.add_cookies([{"name": COOKIE, "value": session_token(context, alice), "url": address}])
    page.goto(url)
    page.get_by_text("There is no DMARC policy").wait_for()
    report = Axe().run(page)
    assert report.violations_count == 0, report.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
