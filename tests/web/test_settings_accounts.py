"""Sending accounts, against real SMTP servers: added, tested, confirmed by a code, changed, removed."""

import re
from contextlib import suppress

import httpx
import pytest
from sqlmodel import select

from tests.servers import SmtpSink, free_port, smtp_sink
from tests.web.conftest import ClientOf
from tracker.models import Account, Message, MessageState, User
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError
from tracker.web.http.throttle import connection_tests

SECRET = "s3cret app password"


def form(sink: SmtpSink, **changes: str) -> dict[str, str]:
    fields = {
        "preset": "other",
        "address": "Alice@seller.example",
        "name": "Alice",
        "smtp_host": sink.host,
        "smtp_port": str(sink.port),
        "smtp_security": "none",
        "smtp_login": "",
        "smtp_secret": "",
    }
    return {**fields, **changes}


def use_up_tests(user: User) -> None:
    """So that no server is asked from now on."""
    with suppress(ActionError):
        while True:
            connection_tests.take(user)


def only_account(context: AppContext) -> Account:
    with context.database.reading() as session:
        return session.exec(select(Account)).one()


def test_an_account_that_works_is_said_to_work(client: httpx.Client, context: AppContext, smtp_sink: SmtpSink) -> None:
    answer = client.post("/settings/accounts", data=form(smtp_sink))
    assert answer.headers["location"] == "/settings/accounts"
    page = client.get("/settings/accounts").text
    assert "Alice@seller.example works" in page
    assert only_account(context).state == "works"


def test_a_wrong_password_is_said_exactly_and_never_shown_again(client: httpx.Client, context: AppContext) -> None:
    with smtp_sink(login="alice", secret="right") as sink:
        answer = client.post("/settings/accounts", data=form(sink, smtp_login="alice", smtp_secret=SECRET))
        account = only_account(context)
        assert answer.headers["location"] == f"/settings/accounts/{account.public_id}"
        page = client.get(answer.headers["location"]).text
    assert "refused the login or password" in page
    assert "Many services want an app password" in page
    assert SECRET not in page
    assert account.smtp_secret is not None
    assert SECRET.encode() not in account.smtp_secret


def test_a_server_that_is_not_there_is_said_to_be_not_there(client: httpx.Client, smtp_sink: SmtpSink) -> None:
    port = free_port()
    answer = client.post("/settings/accounts", data=form(smtp_sink, smtp_port=str(port)))
    assert f"Nothing listens on 127.0.0.1:{port}" in client.get(answer.headers["location"]).text


def test_a_server_that_wants_a_login_is_not_said_to_work_without(client: httpx.Client, context: AppContext) -> None:
    with smtp_sink(login="alice", secret="right") as sink:
        answer = client.post("/settings/accounts", data=form(sink))
    assert only_account(context).state == "broken"
    assert "The server wants a login and password" in client.get(answer.headers["location"]).text


def test_a_server_that_does_not_let_us_send_as_this_address_says_so(
    client: httpx.Client, context: AppContext, smtp_sink: SmtpSink
) -> None:
    smtp_sink.rules.refuse_sender["Alice@seller.example"] = "553 5.7.1 Sender address rejected: not owned by user"
    answer = client.post("/settings/accounts", data=form(smtp_sink))
    assert "does not let this login send as Alice@seller.example" in client.get(answer.headers["location"]).text
    smtp_sink.rules.refuse_sender["Alice@seller.example"] = "451 4.7.1 Greylisted"
    client.post(f"/settings/accounts/{only_account(context).public_id}/check")
    assert only_account(context).state == "works"
    assert smtp_sink.accepted == []


@pytest.mark.parametrize(("field", "value"), [("smtp_host", "127.0.0.2"), ("smtp_login", "other")])
def test_another_host_or_login_forgets_the_secret(
    client: httpx.Client, context: AppContext, field: str, value: str
) -> None:
    with smtp_sink(login="alice", secret=SECRET) as sink:
        client.post("/settings/accounts", data=form(sink, smtp_login="alice", smtp_secret=SECRET))
        account = only_account(context)
        answer = client.post(f"/settings/accounts/{account.public_id}", data=form(sink, smtp_login="alice", name="New"))
        assert answer.headers["location"] == "/settings/accounts"
        assert only_account(context).smtp_secret == account.smtp_secret
        client.post(f"/settings/accounts/{account.public_id}", data=form(sink, **{"smtp_login": "alice", field: value}))
    assert only_account(context).smtp_secret is None
    assert "password is missing" in client.get(f"/settings/accounts/{account.public_id}").text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("address", "alice", "not an e-mail address"),
        ("smtp_host", "", "name of the server is missing"),
        ("smtp_host", "http://smtp.example.com/", "name of the server is missing"),
        ("smtp_port", "0", "number from 1 to 65535"),
        ("smtp_port", "99999999999999", "number from 1 to 65535"),
        ("smtp_port", "٣", "number from 1 to 65535"),
        ("smtp_security", "ssl", "Choose one of the list"),
        ("smtp_login", "alice", "The password is missing"),
        ("per_minute", "fast", "Use a whole number up to 1000"),
        ("per_minute", "-1", "Use a whole number up to 1000"),
        ("per_day", "100001", "Use a whole number up to 100000"),
        ("per_day", "٣", "Use a whole number up to 100000"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(
    client: httpx.Client, context: AppContext, smtp_sink: SmtpSink, field: str, value: str, words: str
) -> None:
    answer = client.post("/settings/accounts", data=form(smtp_sink, **{field: value}))
    assert answer.status_code == 422
    assert words in answer.text
    with context.database.reading() as session:
        assert session.exec(select(Account)).first() is None


def test_a_preset_brings_its_own_servers_whatever_else_was_typed(
    client: httpx.Client, context: AppContext, alice: User, smtp_sink: SmtpSink
) -> None:
    use_up_tests(alice)
    client.post("/settings/accounts", data=form(smtp_sink, preset="yandex", imap="on", imap_host="evil.example"))
    account = only_account(context)
    assert (account.smtp_host, account.smtp_port, account.smtp_security) == ("smtp.yandex.com", 465, "tls")
    assert (account.imap_host, account.imap_port) == ("imap.yandex.ru", 993)


def test_an_address_is_confirmed_by_the_code_that_reaches_it(
    client: httpx.Client, context: AppContext, smtp_sink: SmtpSink
) -> None:
    client.post("/settings/accounts", data=form(smtp_sink))
    url = f"/settings/accounts/{only_account(context).public_id}"
    assert "Send me a code" in client.get(url).text
    asked = client.post(f"{url}/code")
    mail = smtp_sink.wait_for(1)[0]
    code = re.search(rb"Inkling: (\d{8})", mail.content)
    assert code is not None
    assert list(mail.recipients) == ["Alice@seller.example"]
    for wrong in ("00000000", "²" * 8, "٣", ""):
        assert client.post(f"{url}/confirmation", data={"code": wrong}).status_code < 500
    assert only_account(context).confirmed_at is None
    assert "Type the code" in client.get(asked.headers["location"].partition("#")[0]).text
    client.post(f"{url}/confirmation", data={"code": code[1].decode()})
    assert only_account(context).confirmed_at is not None
    client.post(url, data=form(smtp_sink, address="ceo@seller.example"))
    assert only_account(context).confirmed_at is None


def test_a_code_may_be_guessed_five_times(client: httpx.Client, context: AppContext, smtp_sink: SmtpSink) -> None:
    client.post("/settings/accounts", data=form(smtp_sink))
    url = f"/settings/accounts/{only_account(context).public_id}"
    for _ in range(5):
        client.post(f"{url}/confirmation", data={"code": "1"})
    client.post(f"{url}/confirmation", data={"code": "1"})
    assert "Too many attempts" in client.get(url).text


def test_a_removed_account_forgets_its_secrets_and_is_gone(client: httpx.Client, context: AppContext) -> None:
    with smtp_sink(login="alice", secret=SECRET) as sink:
        client.post("/settings/accounts", data=form(sink, smtp_login="alice", smtp_secret=SECRET))
    account = only_account(context)
    client.post(f"/settings/accounts/{account.public_id}/removal")
    assert only_account(context).smtp_secret is None
    assert only_account(context).removed_at is not None
    assert client.get(f"/settings/accounts/{account.public_id}").status_code == 404


def test_an_account_with_mail_on_its_way_stays(
    client: httpx.Client, context: AppContext, alice: User, smtp_sink: SmtpSink
) -> None:
    client.post("/settings/accounts", data=form(smtp_sink))
    account = only_account(context)
    assert alice.id is not None
    with context.database.session_scope() as session:
        session.add(Message(user_id=alice.id, account_id=account.id, message_id="<a@b>", state=MessageState.SCHEDULED))
    client.post(f"/settings/accounts/{account.public_id}/removal")
    assert only_account(context).removed_at is None
    assert "1 message still waits" in client.get("/settings/accounts").text


@pytest.mark.parametrize("deed", ["", "/check", "/code", "/confirmation", "/removal"])
def test_an_account_is_its_owners_alone(
    client: httpx.Client, client_of: ClientOf, context: AppContext, bob: User, smtp_sink: SmtpSink, deed: str
) -> None:
    client.post("/settings/accounts", data=form(smtp_sink))
    account = only_account(context)
    his = client_of(bob)
    assert "seller.example" not in his.get("/settings/accounts").text
    assert his.get(f"/settings/accounts/{account.public_id}").status_code == 404
    assert (
        his.post(f"/settings/accounts/{account.public_id}{deed}", data=form(smtp_sink, name="Bob")).status_code == 404
    )
    assert only_account(context) == account


def test_how_fast_an_account_may_send_is_kept_and_shown(
    client: httpx.Client, context: AppContext, smtp_sink: SmtpSink
) -> None:
    client.post("/settings/accounts", data=form(smtp_sink, per_minute="5", per_day="0"))
    account = only_account(context)
    assert (account.per_minute, account.per_day) == (5, 0)
    page = client.get(f"/settings/accounts/{account.public_id}").text
    assert 'name="per_minute" type="text" value="5"' in page
    client.post(f"/settings/accounts/{account.public_id}", data=form(smtp_sink, per_minute="", per_day=""))
    assert (only_account(context).per_minute, only_account(context).per_day) == (None, None)


def test_replacing_the_services_copy_is_only_for_services_that_file_one(
    client: httpx.Client, context: AppContext, alice: User, smtp_sink: SmtpSink
) -> None:
    use_up_tests(alice)
    client.post("/settings/accounts", data=form(smtp_sink))
    url = f"/settings/accounts/{only_account(context).public_id}"
    for preset, imap, expected in (("gmail", "on", True), ("gmail", "", False), ("yandex", "on", False)):
        client.post(url, data=form(smtp_sink, preset=preset, imap=imap, replaces_copy="on"))
        assert only_account(context).replaces_copy is expected, preset


def test_a_service_that_rewrites_links_itself_is_named(
    client: httpx.Client, context: AppContext, smtp_sink: SmtpSink
) -> None:
    client.post("/settings/accounts", data=form(smtp_sink))
    account = only_account(context)
    with context.database.session_scope() as session:
        session.get_one(Account, account.id).smtp_host = "smtp.sendgrid.net"
    page = client.get(f"/settings/accounts/{account.public_id}").text
    assert "SendGrid can put links and a pixel of its own into mail" in page
