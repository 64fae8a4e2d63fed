"""`/accounts`: shapes, presets, secrets that stay inside, and the connection test against real servers."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import select

from tests.servers import Dovecot, smtp_sink
from tests.web.api.conftest import Caller, World
from tests.web.api.test_api_errors import fields, problem
from tracker.mail.account_servers import imap_server, smtp_server
from tracker.models import Account, OAuthGrant
from tracker.outbound.accounts import sign_in_by
from tracker.runtime.database import now

SMTP = {"host": "smtp.example.com", "port": 587, "security": "starttls", "login": "bob", "secret": "pass-1"}
IMAP = {"host": "imap.example.com", "port": 993, "security": "tls", "login": "bob", "secret": "pass-2"}
BODY = {"name": "Bob B.", "address": "bob@Example.com", "smtp": SMTP, "imap": IMAP}


def row(world: World, id: str) -> Account:
    with world.context.database.reading() as session:
        return session.exec(select(Account).where(Account.public_id == id)).one()


def made(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    response = caller.post("/accounts", body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    assert caller.get(f"/accounts/{answer['id']}").json() == answer
    return answer


def test_a_new_account(world: World, bob: Caller) -> None:
    account = made(bob, BODY)
    assert (account["name"], account["address"], account["preset"]) == ("Bob B.", "bob@example.com", "other")
    open_parts = {"port": 587, "security": "starttls", "login": "bob", "host": "smtp.example.com"}
    assert account["smtp"] == {**open_parts, "secret_set": True}
    assert account["imap"]["host"] == "imap.example.com"
    assert (account["state"], account["confirmed_at"], account["checked_at"]) == ("unchecked", None, None)
    assert smtp_server(world.context, row(world, account["id"])).secret == "pass-1"
    assert imap_server(world.context, row(world, account["id"])).secret == "pass-2"


def test_secrets_never_come_out(bob: Caller) -> None:
    id = made(bob, BODY)["id"]
    answers = [bob.get("/accounts"), bob.get(f"/accounts/{id}"), bob.call("PATCH", f"/accounts/{id}", {"name": "x"})]
    assert all("pass-1" not in answer.text and "pass-2" not in answer.text for answer in answers)


def test_an_error_does_not_repeat_the_secret(bob: Caller) -> None:
    response = bob.post("/accounts", {**BODY, "smtp": {**SMTP, "secret": ["pass-1"], "port": 0}})
    assert fields(response) == ["smtp.port", "smtp.secret"]
    assert "pass-1" not in response.text


def test_a_preset_brings_its_servers(bob: Caller) -> None:
    account = made(bob, {"address": "bob@gmail.com", "preset": "gmail", "smtp": {"secret": "app password"}})
    assert account["name"] == "Bob"
    assert (account["smtp"]["host"], account["smtp"]["port"], account["smtp"]["login"]) == (
        "smtp.gmail.com",
        465,
        "bob@gmail.com",
    )
    assert account["imap"]["host"] == "imap.gmail.com"
    assert account["imap"]["secret_set"]
    assert account["files_own_copy"]


def test_no_imap(bob: Caller) -> None:
    assert made(bob, {"address": "bob@gmail.com", "preset": "gmail", "imap": None})["imap"] is None
    assert made(bob, {"address": "bob@example.com", "smtp": {"host": "mail.example.com"}})["imap"] is None


@pytest.mark.parametrize(("security", "port"), [("tls", 465), ("starttls", 587), ("none", 25)])
def test_ports_follow_security(bob: Caller, security: str, port: int) -> None:
    smtp = {"host": "mail.example.com", "security": security}
    assert made(bob, {"address": "bob@example.com", "smtp": smtp})["smtp"]["port"] == port


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"address": "nobody"}, "address"),
        ({"address": None}, "address"),
        ({"preset": "yandax"}, "preset"),
        ({"smtp": None}, "smtp"),
        ({"smtp": {}}, "smtp.host"),
        ({"smtp": {"host": "http://x"}}, "smtp.host"),
        ({"smtp": {"host": "a b"}}, "smtp.host"),
        ({"smtp": {"host": ""}}, "smtp.host"),
        ({"smtp": {**SMTP, "port": 0}}, "smtp.port"),
        ({"smtp": {**SMTP, "port": 65536}}, "smtp.port"),
        ({"smtp": {**SMTP, "port": "587"}}, "smtp.port"),
        ({"smtp": {**SMTP, "security": "ssl"}}, "smtp.security"),
        ({"smtp": {**SMTP, "login": "a\r\nb"}}, "smtp.login"),
        ({"smtp": {**SMTP, "secret": "a\nb"}}, "smtp.secret"),
        ({"smtp": {**SMTP, "password": "x"}}, "smtp.password"),
        ({"imap": {"port": 993}}, "imap.host"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"confirmed_at": "2026-01-01T00:00:00Z"}, "confirmed_at"),
        ({"user_id": 1}, "user_id"),
    ],
)
def test_what_cannot_be(bob: Caller, change: dict[str, Any], field: str) -> None:
    assert fields(bob.post("/accounts", {**BODY, **change})) == [field]
    assert bob.get("/accounts").json() == {"items": [], "next": None}


def test_a_change_leaves_the_rest(world: World, bob: Caller) -> None:
    before = made(bob, BODY)
    after = bob.call("PATCH", f"/accounts/{before['id']}", {"smtp": {"port": 2525}}).json()
    assert after["smtp"] == {**before["smtp"], "port": 2525}
    assert after["imap"] == before["imap"]
    assert smtp_server(world.context, row(world, before["id"])).secret == "pass-1"


@pytest.mark.parametrize("kind", ["smtp", "imap"])
@pytest.mark.parametrize("change", [{"host": "evil.example.net"}, {"login": "other"}])
def test_another_host_or_login_clears_the_secret(bob: Caller, kind: str, change: dict[str, str]) -> None:
    id = made(bob, BODY)["id"]
    after = bob.call("PATCH", f"/accounts/{id}", {kind: change}).json()
    other = "imap" if kind == "smtp" else "smtp"
    assert (after[kind]["secret_set"], after[other]["secret_set"]) == (False, True)


def test_the_same_host_given_again_clears_nothing(bob: Caller) -> None:
    id = made(bob, BODY)["id"]
    server = {"host": "SMTP.example.com", "login": "bob"}
    assert bob.call("PATCH", f"/accounts/{id}", {"smtp": server}).json()["smtp"]["secret_set"]


def test_another_preset_clears_the_secrets(bob: Caller) -> None:
    id = made(bob, BODY)["id"]
    after = bob.call("PATCH", f"/accounts/{id}", {"preset": "fastmail"}).json()
    assert after["smtp"]["host"] == "smtp.fastmail.com"
    assert not after["smtp"]["secret_set"]
    assert not after["imap"]["secret_set"]


def test_another_host_with_its_secret(world: World, bob: Caller) -> None:
    id = made(bob, BODY)["id"]
    after = bob.call("PATCH", f"/accounts/{id}", {"smtp": {"host": "new.example.com", "secret": "pass-3"}}).json()
    assert after["smtp"]["secret_set"]
    assert smtp_server(world.context, row(world, id)).secret == "pass-3"


def test_a_secret_can_be_forgotten(bob: Caller) -> None:
    id = made(bob, BODY)["id"]
    assert not bob.call("PATCH", f"/accounts/{id}", {"smtp": {"secret": None}}).json()["smtp"]["secret_set"]


def test_imap_can_be_taken_away_and_back(bob: Caller) -> None:
    id = made(bob, BODY)["id"]
    assert bob.call("PATCH", f"/accounts/{id}", {"imap": None}).json()["imap"] is None
    back = bob.call("PATCH", f"/accounts/{id}", {"imap": {"host": "imap.example.com"}}).json()["imap"]
    assert back == {"host": "imap.example.com", "port": 993, "security": "tls", "login": "bob", "secret_set": False}


def test_another_address_must_be_confirmed_again(world: World, bob: Caller) -> None:
    id = made(bob, BODY)["id"]
    with world.context.database.session_scope() as session:
        session.exec(select(Account).where(Account.public_id == id)).one().confirmed_at = now()
    assert bob.call("PATCH", f"/accounts/{id}", {"address": "bob@example.com"}).json()["confirmed_at"] is not None
    assert bob.call("PATCH", f"/accounts/{id}", {"address": "boss@example.com"}).json()["confirmed_at"] is None


def test_another_server_must_be_tested_again(world: World, bob: Caller) -> None:
    account = world.account(bob, "bob@example.com", state="works", checked_at=now())
    assert bob.call("PATCH", f"/accounts/{account.public_id}", {"name": "B."}).json()["state"] == "works"
    assert bob.call("PATCH", f"/accounts/{account.public_id}", {"smtp": {"port": 25}}).json()["state"] == "unchecked"


def test_removal(world: World, bob: Caller) -> None:
    id = made(bob, BODY)["id"]
    response = bob.call("DELETE", f"/accounts/{id}")
    assert (response.status_code, response.content) == (204, b"")
    problem(bob.get(f"/accounts/{id}"), 404)
    assert bob.get("/accounts").json()["items"] == []
    assert row(world, id).smtp_secret is row(world, id).imap_secret is None


def test_removal_waits_for_the_queue(world: World, bob: Caller) -> None:
    account = world.account(bob, "bob@example.com")
    message = bob.post("/messages", {"to": [{"address": "luc@example.org"}], "subject": "x", "text": "y"}).json()
    assert "1 message still waits" in problem(bob.call("DELETE", f"/accounts/{account.public_id}"), 409)["detail"]
    bob.post(f"/messages/{message['id']}/cancellation")
    assert bob.call("DELETE", f"/accounts/{account.public_id}").status_code == 204


def test_accounts_are_one_s_own(world: World) -> None:
    id = made(world.bob, BODY)["id"]
    for stranger in (world.alice, world.charlie):
        assert stranger.get("/accounts").json()["items"] == []
        problem(stranger.get(f"/accounts/{id}"), 404)
        problem(stranger.call("PATCH", f"/accounts/{id}", {"name": "mine"}), 404)
        problem(stranger.call("DELETE", f"/accounts/{id}"), 404)
        problem(stranger.post(f"/accounts/{id}/check"), 404)
    assert world.bob.get(f"/accounts/{id}").json()["name"] == "Bob B."


def test_the_list_is_oldest_first_and_pages(world: World, bob: Caller) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(5):
        world.account(bob, f"bob{number}@example.com", created_at=at)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = bob.get("/accounts", limit=2, **cursor).json()
        seen += [account["address"] for account in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == [f"bob{number}@example.com" for number in range(5)]


def test_check_signs_in(world: World, bob: Caller) -> None:
    with smtp_sink() as sink:
        smtp = {"host": sink.host, "port": sink.port, "security": "none"}
        id = made(bob, {"address": "bob@example.com", "smtp": smtp})["id"]
        answer = bob.post(f"/accounts/{id}/check").json()
    assert (answer["state"], answer["smtp_ok"], answer["imap_ok"]) == ("works", True, None)
    assert answer["checked_at"] is not None
    assert bob.get(f"/accounts/{id}").json()["state"] == "works"


def test_check_says_what_is_wrong(bob: Caller) -> None:
    smtp = {"host": "127.0.0.1", "port": 1, "security": "none"}
    id = made(bob, {"address": "bob@example.com", "smtp": smtp})["id"]
    answer = bob.post(f"/accounts/{id}/check").json()
    assert (answer["state"], answer["smtp_ok"]) == ("broken", False)
    assert "127.0.0.1:1" in answer["smtp_text"]
    assert answer["state_detail"] == answer["smtp_text"]


def test_checks_are_limited(bob: Caller) -> None:
    id = made(bob, {"address": "bob@example.com", "smtp": {"host": "127.0.0.1", "port": 1, "security": "none"}})["id"]
    answers = [bob.post(f"/accounts/{id}/check") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    problem(answers[-1], 429)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


def test_a_repeated_check_opens_no_line(bob: Caller) -> None:
    id = made(bob, {"address": "bob@example.com", "smtp": {"host": "127.0.0.1", "port": 1, "security": "none"}})["id"]
    first = bob.post(f"/accounts/{id}/check", key="k")
    for _ in range(11):
        assert bob.post(f"/accounts/{id}/check", key="k").json() == first.json()


def signed_in(world: World, id: str) -> int:
    """As after a sign-in at Google in the browser."""
    with world.context.database.session_scope() as session:
        account = session.exec(select(Account).where(Account.public_id == id)).one()
        grant = OAuthGrant(user_id=account.user_id, provider="google", address=account.address, refresh_token=b"sealed")
        session.add(grant)
        session.flush()
        sign_in_by(world.context, session, account, grant)
        assert grant.id is not None
        return grant.id


def test_a_sign_in_at_a_provider_is_shown_and_its_tokens_are_not(world: World, bob: Caller) -> None:
    id = made(bob, BODY)["id"]
    assert bob.get(f"/accounts/{id}").json()["signed_in"] is False
    signed_in(world, id)
    answer = bob.get(f"/accounts/{id}")
    assert (answer.json()["signed_in"], answer.json()["smtp"]["secret_set"]) == (True, False)
    assert "sealed" not in answer.text


@pytest.mark.parametrize(
    ("change", "stays"),
    [({"name": "x"}, True), ({"smtp": {"secret": "pw"}}, False), ({"smtp": {"host": "elsewhere.example"}}, False)],
)
def test_a_password_or_another_host_ends_the_sign_in(
    world: World, bob: Caller, change: dict[str, Any], stays: bool
) -> None:
    id = made(bob, BODY)["id"]
    grant = signed_in(world, id)
    assert bob.call("PATCH", f"/accounts/{id}", change).json()["signed_in"] is stays
    with world.context.database.reading() as session:
        assert (session.get(OAuthGrant, grant) is not None) is stays


def test_the_domain_is_looked_at(bob: Caller) -> None:
    id = made(bob, {**BODY, "address": "bob@seller.example"})["id"]
    answer = bob.get(f"/accounts/{id}/domain").json()
    assert (answer["domain"], [advice["grade"] for advice in answer["advice"]]) == ("seller.example", ["unknown"])


def test_somebody_elses_domain_is_not_there(world: World, bob: Caller) -> None:
    problem(world.charlie.get(f"/accounts/{made(bob, BODY)['id']}/domain"), 404)


def test_rates_and_the_replaced_copy(bob: Caller) -> None:
    body = {
        "address": "bob@gmail.com",
        "preset": "gmail",
        "smtp": {"secret": "x"},
        "per_minute": 5,
        "replaces_copy": True,
    }
    account = made(bob, body)
    assert (account["per_minute"], account["per_day"], account["replaces_copy"]) == (5, None, True)
    changed = bob.call("PATCH", f"/accounts/{account['id']}", {"per_minute": None, "per_day": 0}).json()
    assert (changed["per_minute"], changed["per_day"], changed["state"]) == (None, 0, account["state"])
    assert fields(bob.post("/accounts", {**body, "per_minute": -1, "per_day": 10**6})) == ["per_minute", "per_day"]


def test_a_service_that_rewrites_links_is_named(bob: Caller) -> None:
    assert made(bob, BODY)["rewrites_links"] is None
    there = {**BODY, "smtp": {**SMTP, "host": "smtp.sendgrid.net"}}
    assert made(bob, there)["rewrites_links"] == "SendGrid"


def test_a_test_mail_is_sent_and_what_became_of_it_read(bob: Caller, dovecot: Dovecot) -> None:
    dovecot.add_user("bob-test@seller.example", "pass-2")
    with smtp_sink() as sink:
        plain = {"host": sink.host, "port": sink.port, "security": "none"}
        imap = {"host": "127.0.0.1", "port": dovecot.imap_port, "security": "none", "login": "bob-test@seller.example"}
        body = {"address": "bob-test@seller.example", "smtp": plain, "imap": {**imap, "secret": "pass-2"}}
        url = f"/accounts/{made(bob, body)['id']}/test-mail"
        sent = bob.post(url)
        assert sent.status_code == 202, sent.text
        test_id = sent.json()["id"]
        assert bob.get(f"{url}/{test_id}").json()["arrived"] is False
        dovecot.append("bob-test@seller.example", sink.wait_for(1)[0].content)
    answer = bob.get(f"{url}/{test_id}").json()
    assert answer["arrived"] is True
    assert [(a["topic"], a["grade"]) for a in answer["advice"]][:2] == [("Arrival", "good"), ("Links", "good")]
    problem(bob.get(f"{url}/nonsense"), 404)


def test_without_imap_there_is_no_test_mail(bob: Caller) -> None:
    account = made(bob, {"address": "bob@seller.example", "smtp": SMTP})
    problem(bob.post(f"/accounts/{account['id']}/test-mail"), 409)
