"""What is done to a sending account ends alike on its page and through the API; an operator's word by the command line."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from tests.actions.conftest import Person, Workspace, refusal
from tests.servers import free_port
from tests.web.reading import attribute, only
from tracker.mail.account_servers import imap_server, smtp_server
from tracker.models import Account, Message
from tracker.runtime.database import now

BASE_PATH = "/settings/accounts"
Input = Mapping[str, Any]


def by_page(person: Person, account: Account | None, said: Input) -> httpx.Response:
    """Fills in the form and sends it, with everything that it holds already."""
    path = f"{BASE_PATH}/{account.public_id}" if account else BASE_PATH
    fields = _form(account, said)
    if account and "imap_login" in fields and "login" not in said.get("imap", {}):  # empty while it is that of SMTP
        fields["imap_login"] = attribute(only(person.browser.get(path), "#imap_login"), "value")
    return person.browser.post(path, data=fields)


def by_api(person: Person, account: Account | None, said: Input) -> httpx.Response:
    if account is None:
        return person.api("POST", "/accounts", said)
    return person.api("PATCH", f"/accounts/{account.public_id}", said)


Way = Callable[[Person, Account | None, Input], httpx.Response]


@pytest.fixture(params=[by_page, by_api], ids=["page", "api"])
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


def _form(account: Account | None, said: Input) -> dict[str, str]:
    shown = account.model_dump() if account else {"preset": "other"}
    names = ("preset", "address", "name", "per_minute", "per_day")
    fields = {name: _text(said.get(name, shown.get(name))) for name in names}
    for kind in ("smtp", "imap"):
        server = said.get(kind, {})
        if kind == "imap" and (server is None or not (server or shown.get("imap_host"))):
            continue
        fields |= {"imap": "on"} if kind == "imap" else {}
        for part in ("host", "port", "security", "login"):
            fields[f"{kind}_{part}"] = _text(server.get(part, shown.get(f"{kind}_{part}", "")))
        fields[f"{kind}_secret"] = _text(server.get("secret"))
    replaces = said.get("replaces_copy", shown.get("replaces_copy"))
    return fields | ({"replaces_copy": "on"} if replaces else {})


def _text(value: Any) -> str:
    return "" if value is None else str(value)


@pytest.fixture
def port() -> int:
    """Where nothing listens: what is saved is tested at once, and nobody shall wait for an answer."""
    return free_port()


@pytest.fixture
def good(port: int) -> dict[str, Any]:
    smtp = {"host": "127.0.0.1", "port": port, "security": "none", "login": "bob", "secret": "pass-1"}
    imap = {"host": "127.0.0.1", "port": port, "security": "none", "login": "bob", "secret": "pass-2"}
    return {"preset": "other", "name": "Bob B.", "address": "bob@Example.com", "smtp": smtp, "imap": imap}


@pytest.fixture
def account(workspace: Workspace, bob: Person, good: dict[str, Any]) -> Account:
    assert by_api(bob, None, good).status_code == 201
    return workspace.rows(Account)[0]


def facts(workspace: Workspace, account: Account) -> dict[str, Any]:
    """What is stored, with secrets as they would be used."""
    row = workspace.read(account)
    open_facts = row.model_dump(
        exclude={"id", "public_id", "created_at", "state", "state_detail", "checked_at", "smtp_secret", "imap_secret"}
    )
    smtp = smtp_server(workspace.context, row).secret if row.smtp_secret else None
    imap = imap_server(workspace.context, row).secret if row.imap_secret else None
    return {**open_facts, "smtp_secret": smtp, "imap_secret": imap}


def test_a_new_account_is_stored_alike(workspace: Workspace, bob: Person, good: dict[str, Any], port: int) -> None:
    for way in (by_page, by_api):
        assert way(bob, None, {**good, "per_minute": 5, "per_day": None}).status_code in (201, 303)
    first, second = (facts(workspace, account) for account in workspace.rows(Account))
    assert first == second
    assert (first["address"], first["smtp_port"], first["imap_login"]) == ("bob@example.com", port, "bob")
    assert (first["smtp_secret"], first["imap_secret"], first["per_minute"]) == ("pass-1", "pass-2", 5)


@pytest.mark.parametrize(
    ("change", "stored"),
    [
        ({"name": "Robert"}, {"name": "Robert", "smtp_secret": "pass-1"}),
        ({"per_minute": 3, "per_day": 0}, {"per_minute": 3, "per_day": 0}),
        ({"smtp": {"port": 26}}, {"smtp_port": 26, "smtp_secret": "pass-1"}),
        ({"smtp": {"host": "127.0.0.2"}}, {"smtp_host": "127.0.0.2", "smtp_secret": None, "imap_secret": "pass-2"}),
        ({"smtp": {"login": "boss"}}, {"smtp_login": "boss", "smtp_secret": None, "imap_secret": "pass-2"}),
        ({"smtp": {"host": "127.0.0.2", "secret": "pass-3"}}, {"smtp_secret": "pass-3", "imap_secret": "pass-2"}),
        ({"imap": {"host": "127.0.0.2"}}, {"smtp_secret": "pass-1", "imap_secret": None}),
        ({"imap": None}, {"imap_host": None, "imap_login": None, "imap_secret": None}),
        ({"address": "boss@example.com"}, {"address": "boss@example.com", "confirmed_at": None}),
        ({"address": "bob@EXAMPLE.com"}, {"address": "bob@example.com", "name": "Bob B."}),
    ],
)
def test_a_change_is_stored_alike(
    workspace: Workspace, bob: Person, account: Account, way: Way, change: Input, stored: Input
) -> None:
    with workspace.session() as session:
        session.get_one(Account, account.id).confirmed_at = now()
        session.commit()
    before = facts(workspace, account)
    assert way(bob, account, change).status_code in (200, 303)
    after = facts(workspace, account)
    changed = {name: value for name, value in after.items() if value != before[name]}
    assert {**changed, **stored} == {name: after[name] for name in {*changed, *stored}}
    assert set(changed) <= {
        *stored,
        *(f"{kind}_{part}" for kind in ("smtp", "imap") for part in change.get(kind) or ()),
    } | ({"imap_port", "imap_security"} if change == {"imap": None} else set())


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "change"])
@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"address": "bob"}, "address"),
        ({"name": "x" * 201}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"preset": "yandax"}, "preset"),
        ({"smtp": {"host": ""}}, "smtp.host"),
        ({"smtp": {"host": "smtp.example.com:587"}}, "smtp.host"),
        ({"smtp": {"host": "smtp://smtp.example.com"}}, "smtp.host"),
        ({"smtp": {"host": "a b"}}, "smtp.host"),
        ({"smtp": {"host": "x" * 256}}, "smtp.host"),
        ({"smtp": {"port": 0}}, "smtp.port"),
        ({"smtp": {"port": 65536}}, "smtp.port"),
        ({"smtp": {"port": "many"}}, "smtp.port"),
        ({"smtp": {"security": "ssl"}}, "smtp.security"),
        ({"smtp": {"login": "x" * 255}}, "smtp.login"),
        ({"smtp": {"secret": "two\nlines"}}, "smtp.secret"),
        ({"imap": {"host": "imap.example.com:993"}}, "imap.host"),
        ({"imap": {"port": 99999}}, "imap.port"),
        ({"per_minute": -1}, "per_minute"),
        ({"per_minute": 1001}, "per_minute"),
        ({"per_day": 100_001}, "per_day"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_same_field(
    workspace: Workspace,
    bob: Person,
    account: Account,
    good: dict[str, Any],
    way: Way,
    said: Input,
    field: str,
    is_new: bool,
) -> None:
    before = facts(workspace, account)
    full = {**good, **said, **{kind: {**good[kind], **said[kind]} for kind in ("smtp", "imap") if kind in said}}
    answer = way(bob, None, full) if is_new else way(bob, account, said)
    code, fields = refusal(answer)
    assert (code, [name.replace(".", "_") for name in fields]) == ("invalid", [field.replace(".", "_")])
    assert facts(workspace, account) == before
    assert len(workspace.rows(Account)) == 1


def test_a_login_without_its_password_is_refused(
    workspace: Workspace, bob: Person, good: dict[str, Any], way: Way
) -> None:
    smtp = {name: value for name, value in good["smtp"].items() if name != "secret"}
    code, fields = refusal(way(bob, None, {**good, "smtp": smtp}))
    assert (code, [name.replace(".", "_") for name in fields]) == ("invalid", ["smtp_secret"])
    assert workspace.rows(Account) == []


def test_a_copy_is_replaced_only_where_one_is_filed(workspace: Workspace, bob: Person, account: Account) -> None:
    """On the page the switch is not there for such a service, so it does not count."""
    assert refusal(by_api(bob, account, {"replaces_copy": True})) == ("invalid", ["replaces_copy"])
    assert by_page(bob, account, {"replaces_copy": True}).status_code == 303
    assert workspace.read(account).replaces_copy is False


def test_a_services_servers_are_its_own(workspace: Workspace, bob: Person) -> None:
    """On the page there are no fields for them, so what they hold does not count."""
    said = {"preset": "gmail", "address": "bob@gmail.com", "smtp": {"host": "evil.example.net", "secret": "pass-1"}}
    assert refusal(by_api(bob, None, said)) == ("invalid", ["smtp.host"])
    assert workspace.rows(Account) == []


def test_leaving_a_service_that_files_copies_ends_replacing_them(workspace: Workspace, bob: Person) -> None:
    said = {"preset": "gmail", "address": "bob@gmail.com", "smtp": {"secret": "pass-1"}, "replaces_copy": True}
    assert by_api(bob, None, said).json()["replaces_copy"] is True
    account = workspace.rows(Account)[0]
    assert by_api(bob, account, {"imap": None}).json()["replaces_copy"] is False
    assert by_api(bob, account, {"imap": {}, "replaces_copy": True}).json()["replaces_copy"] is True
    assert by_api(bob, account, {"preset": "fastmail"}).json()["replaces_copy"] is False


@pytest.mark.parametrize("way", ["page", "api"])
@pytest.mark.parametrize("state", ["scheduled", "queued"])
def test_an_account_with_mail_on_its_way_is_not_removed(
    workspace: Workspace, bob: Person, account: Account, way: str, state: str
) -> None:
    message = workspace.message(bob, account_id=account.id, state=state)
    _remove(bob, account, way)
    assert workspace.read(account).removed_at is None
    with workspace.session() as session:
        session.get_one(Message, message.id).state = "sent"
        session.commit()
    _remove(bob, account, way)
    row = workspace.read(account)
    assert row.removed_at is not None
    assert row.smtp_secret is row.imap_secret is None


def _remove(person: Person, account: Account, way: str) -> None:
    if way == "page":
        person.browser.post(f"{BASE_PATH}/{account.public_id}/removal")
    else:
        person.api("DELETE", f"/accounts/{account.public_id}")


def test_tests_are_counted_per_person_wherever_they_are_asked_for(bob: Person, alice: Person, account: Account) -> None:
    for _ in range(5):
        assert bob.api("POST", f"/accounts/{account.public_id}/check").status_code == 200
        bob.browser.post(f"{BASE_PATH}/{account.public_id}/check")
    answer = bob.api("POST", f"/accounts/{account.public_id}/check")
    assert (refusal(answer)[0], "Too many tests." in answer.json()["detail"]) == ("too_many", True)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    bob.browser.post(f"{BASE_PATH}/{account.public_id}/check")
    assert "Too many tests." in bob.browser.get(BASE_PATH).text
    assert alice.api("POST", f"/accounts/{account.public_id}/check").status_code == 404  # not hers, not counted


def test_the_operator_confirms_an_address(workspace: Workspace, account: Account) -> None:
    workspace.inkling("account", "confirm", "BOB@example.com")
    assert workspace.read(account).confirmed_at is not None


def test_what_may_be_measured_is_chosen_alike(workspace: Workspace, bob: Person, account: Account) -> None:
    bob.browser.post(f"{BASE_PATH}/{account.public_id}/measuring", data={"measure_clicks": "on"})
    row = workspace.read(account)
    assert (row.measure_opens, row.measure_clicks) == (False, True)
    by_api(bob, account, {"measure_opens": True, "measure_clicks": False})
    row = workspace.read(account)
    assert (row.measure_opens, row.measure_clicks) == (True, False)


@pytest.mark.parametrize(
    ("first", "change", "login", "secret"),
    [
        ({"secret": "wrong"}, {"smtp": {"secret": "right"}}, "bob", "right"),
        ({"login": "bib", "secret": "wrong"}, {"smtp": {"login": "bob", "secret": "right"}}, "bob", "right"),
        ({"host": "127.0.0.2", "secret": "wrong"}, {"smtp": {"host": "127.0.0.1", "secret": "right"}}, "bob", "right"),
        ({"secret": "wrong"}, {"smtp": {"secret": "right"}, "imap": {"secret": "other"}}, "bob", "other"),
    ],
)
def test_what_was_wrong_at_first_is_put_right_in_one_field(
    workspace: Workspace,
    bob: Person,
    way: Way,
    first: dict[str, str],
    change: Input,
    login: str,
    secret: str,
) -> None:
    place = {"host": "127.0.0.1", "port": free_port(), "security": "none"}
    way(bob, None, {"address": "bob@example.com", "smtp": {**place, "login": "bob", **first}, "imap": place})
    way(bob, workspace.rows(Account)[0], change)
    after = facts(workspace, workspace.rows(Account)[0])
    assert (after["imap_login"], after["imap_secret"]) == (login, secret)


def test_a_password_of_its_own_stays_when_the_other_changes(workspace: Workspace, bob: Person, way: Way) -> None:
    place = {"host": "127.0.0.1", "port": free_port(), "security": "none", "login": "bob"}
    way(bob, None, {"address": "bob@example.com", "smtp": {**place, "secret": "one"}, "imap": place})
    way(bob, workspace.rows(Account)[0], {"imap": {"secret": "two"}})
    way(bob, workspace.rows(Account)[0], {"smtp": {"secret": "three"}})
    after = facts(workspace, workspace.rows(Account)[0])
    assert (after["smtp_secret"], after["imap_secret"]) == ("three", "two")
