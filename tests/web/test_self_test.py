"""A test to oneself tells how mail arrives: over a real SMTP server and a real mailbox, with what services do in between."""

from itertools import count

import httpx
import pytest

from tests.servers import Authority, Dovecot, Pages, SmtpSink
from tests.web.conftest import ClientOf, session_token
from tracker.mail.account_servers import set_secret
from tracker.models import Account, User
from tracker.outbound.self_test import has_arrived, read_test, send_test
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.http.sessions import COOKIE

_numbers = count()


@pytest.fixture
def context(make_context, ca: Authority) -> AppContext:  # type: ignore[no-untyped-def]
    made: AppContext = make_context(CA_FILE=str(ca.file))
    return made


@pytest.fixture
def account(context: AppContext, alice: User, smtp_sink: SmtpSink, dovecot: Dovecot) -> Account:
    login = f"self{next(_numbers)}@seller.example"
    dovecot.add_user(login, "imap-secret")
    assert alice.id is not None
    with context.database.session_scope() as session:
        made = Account(
            user_id=alice.id, address=login, smtp_host=smtp_sink.host, smtp_port=smtp_sink.port, smtp_security="none"
        )
        made.imap_host, made.imap_port, made.imap_security, made.imap_login = (
            "localhost",
            dovecot.imaps_port,
            "tls",
            login,
        )
        made.confirmed_at, made.state = now(), "works"
        set_secret(context, made, "imap", "imap-secret")
        session.add(made)
    return made


def arrive(
    dovecot: Dovecot, account: Account, sink: SmtpSink, *, folder: str = "INBOX", head: bytes = b"", **swap: bytes
) -> None:
    """What the service does with it on the way: `swap` are old and new bytes."""
    raw = sink.accepted[-1].content
    if swap:
        assert swap["old"] in raw
        raw = raw.replace(swap["old"], swap["new"])
    dovecot.append(account.address, head + raw, folder)


def grades(context: AppContext, account: Account, test_id: str) -> dict[str, str]:
    order = ("bad", "warn", "unknown", "good")
    result = read_test(context, account, test_id)
    return {a.topic: a.grade for a in sorted(result, key=lambda a: order.index(a.grade), reverse=True)}


PASSED = (
    b"Authentication-Results: mx.example; dkim=fail header.d=x.example;\r\n"
    b" dkim=pass header.d=seller.example;\r\n spf=pass; dmarc=pass\r\n"
)


def test_nothing_has_arrived_yet(context: AppContext, account: Account) -> None:
    result = read_test(context, account, send_test(context, account))
    assert ([a.grade for a in result], has_arrived(result)) == (["unknown"], False)


def test_all_is_well(context: AppContext, account: Account, smtp_sink: SmtpSink, dovecot: Dovecot) -> None:
    test_id = send_test(context, account)
    arrive(dovecot, account, smtp_sink, head=PASSED)
    result = grades(context, account, test_id)
    assert result == {"Arrival": "good", "Links": "good", "SPF": "good", "DKIM": "good", "DMARC": "good"}


def test_D24_a_service_that_puts_its_own_link_in_is_found_out(
    context: AppContext, account: Account, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    test_id = send_test(context, account)
    ours = f'href=3D"{context.settings.base_url}'.encode()
    arrive(dovecot, account, smtp_sink, old=ours, new=b'href=3D"https://click.service.example')
    result = {a.topic: a for a in read_test(context, account, test_id)}
    assert result["Links"].grade == "bad"
    assert "click.service.example" in result["Links"].text


def test_D24_a_pixel_of_the_service_is_found_out(
    context: AppContext, account: Account, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    test_id = send_test(context, account)
    arrive(dovecot, account, smtp_sink, old=b"</body>", new=b"<img src=https://o.service.example/p.gif></body>")
    assert grades(context, account, test_id)["Links"] == "bad"


def test_what_lands_among_the_junk_is_said_to(
    context: AppContext, account: Account, smtp_sink: SmtpSink, dovecot: Dovecot
) -> None:
    test_id = send_test(context, account)
    arrive(dovecot, account, smtp_sink, folder="Junk")
    result = grades(context, account, test_id)
    assert (result["Arrival"], result["SPF, DKIM, DMARC"]) == ("bad", "unknown")


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (
            b"Authentication-Results: mx; spf=fail; dkim=none; dmarc=fail\r\n",
            {"SPF": "bad", "DKIM": "warn", "DMARC": "bad"},
        ),
        # what stands below the topmost may be anybody's
        (
            b"Authentication-Results: mx; spf=softfail\r\nAuthentication-Results: mx; dkim=pass; dmarc=pass\r\n",
            {"SPF": "warn"},
        ),
        (b"Authentication-Results: \xff\xfe;;; spf\r\n", {"SPF, DKIM, DMARC": "unknown"}),
    ],
)
def test_what_the_receiving_server_says(
    context: AppContext, account: Account, smtp_sink: SmtpSink, dovecot: Dovecot, head: bytes, expected: dict[str, str]
) -> None:
    test_id = send_test(context, account)
    arrive(dovecot, account, smtp_sink, head=head)
    result = grades(context, account, test_id)
    assert {t: g for t, g in result.items() if t not in ("Arrival", "Links")} == expected


def test_a_mailbox_that_cannot_be_read_is_said(context: AppContext, account: Account) -> None:
    with context.database.session_scope() as session:
        row = session.get_one(Account, account.id)
        set_secret(context, row, "imap", "wrong")
        session.add(row)
    (result,) = read_test(context, row, "0" * 24)
    assert (result.topic, result.grade, "refused" in result.text) == ("IMAP", "bad", True)


def test_on_the_page(client: httpx.Client, account: Account, smtp_sink: SmtpSink, dovecot: Dovecot) -> None:
    url = f"/settings/accounts/{account.public_id}"
    assert f'action="{url}/test-mail"' in client.get(url).text
    there = client.post(f"{url}/test-mail").headers["location"]
    assert "Waiting for it to arrive" in client.get(there).text
    arrive(dovecot, account, smtp_sink, head=PASSED)
    text = client.get(f"{there}?look=1").text
    assert "The link arrived as it was written" in text
    assert "Waiting for it to arrive" not in text
    assert "<html" not in client.get(f"{there}?part=1").text


def test_it_is_the_owners_alone_and_needs_imap(
    client: httpx.Client, client_of: ClientOf, bob: User, context: AppContext, account: Account, smtp_sink: SmtpSink
) -> None:
    url = f"/settings/accounts/{account.public_id}"
    his = client_of(bob)
    assert his.post(f"{url}/test-mail").status_code == 404
    assert his.get(f"{url}/test-mail/{'0' * 24}?look=1").status_code == 404
    assert client.get(f"{url}/test-mail/zz").status_code == 404
    with context.database.session_scope() as session:
        session.get_one(Account, account.id).imap_host = None
    assert client.post(f"{url}/test-mail").headers["location"] == url
    assert smtp_sink.accepted == []


@pytest.mark.browser
def test_it_comes_into_the_page_by_itself(
    context: AppContext,
    address: str,
    alice: User,
    account: Account,
    smtp_sink: SmtpSink,
    dovecot: Dovecot,
    open_page: Pages,
) -> None:
    page = open_page(base_url=address)
    page.context.add_cookies([{"name": COOKIE, "value": session_token(context, alice), "url": address}])
    page.goto(f"/settings/accounts/{account.public_id}")
    page.get_by_role("button", name="Send a test").click()
    page.get_by_text("Waiting for it to arrive").wait_for()
    smtp_sink.wait_for(1)
    arrive(dovecot, account, smtp_sink, head=PASSED)
    page.get_by_text("The link arrived as it was written").wait_for()
