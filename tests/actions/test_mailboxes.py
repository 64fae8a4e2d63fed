"""What is done to mailboxes and their credentials ends alike on their page and through the API."""

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from tests.actions.conftest import Person, Workspace, refusal
from tests.servers import free_port
from tracker.consent.preferences import set_preference
from tracker.inbound.credentials import server_of
from tracker.models import Credential, Mailbox
from tracker.runtime.database import now

BASE_PATH = "/mailboxes"
Input = Mapping[str, Any]
SERVER = {"address", "preset", "protocol", "host", "port", "security", "login", "secret"}
SWITCHES = (
    *("active", "all_folders", "only_unread", "mark_read", "delete_loaded"),
    *("notify_manager", "notify_skipped"),
)
SHOWN: Input = {
    "preset": "other",
    "protocol": "imap",
    "security": "none",
    "folders": ["INBOX"],
    "first_window": "last_24h",
    "active": True,
    "notify_manager": True,
    "notify_skipped": True,
    "repeat_period_days": 1,
    "collect_pause_days": 0,
    "delete_after_days": 0,
}


def connect_by_page(person: Person, said: Input) -> httpx.Response:
    return person.browser.post(BASE_PATH, data=_form({**SHOWN, **said}))


def connect_by_api(person: Person, said: Input) -> httpx.Response:
    server = {name: value for name, value in said.items() if name in SERVER or name == "name"}
    choices = {name: value for name, value in said.items() if name not in SERVER}
    return person.api("POST", "/mailboxes", {**choices, "credentials": server})


Way = Callable[[Person, Input], httpx.Response]


@pytest.fixture(params=[connect_by_page, connect_by_api], ids=["page", "api"])
def connect(request: pytest.FixtureRequest) -> Way:
    way: Way = request.param
    return way


def _form(said: Input) -> dict[str, str]:
    """As a browser sends it: switches that are off are not there, and folders stand in lines."""
    fields = {name: "" if value is None else str(value) for name, value in said.items() if name not in SWITCHES}
    fields["folders"] = "\n".join(said["folders"])
    return fields | {name: "on" for name in SWITCHES if said.get(name)}


@pytest.fixture
def good() -> dict[str, Any]:
    """A server where nothing listens: what is saved on the page is tested at once, and nobody shall wait for an answer."""
    place = {"host": "127.0.0.1", "port": free_port(), "security": "none", "preset": "other", "protocol": "imap"}
    return {**place, "address": "shop@example.com", "secret": "pass-1", "name": "Shop", "repeat_period_days": 7}


@pytest.fixture
def mailbox(workspace: Workspace, bob: Person, good: dict[str, Any]) -> Mailbox:
    assert connect_by_api(bob, good).status_code == 201
    return workspace.rows(Mailbox)[0]


def stored(workspace: Workspace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The one mailbox and its credentials, as far as people choose them, with the secret as it would be used."""
    (mailbox,), (credential,) = workspace.rows(Mailbox), workspace.rows(Credential)
    chosen = {"name", "address", "repeat_period_days", "folders", "first_window", "delete_after_days", *SWITCHES}
    chosen |= {"collect_pause_days", "create_customer", "unwrap_forwarded", "group", "shop", "canonical", "form_robots"}
    place = credential.model_dump(include={"name", "preset", "protocol", "host", "port", "security", "login", "auth"})
    secret = server_of(workspace.context, credential).secret if credential.secret else None
    return mailbox.model_dump(include=chosen), {**place, "secret": secret}


def test_a_new_mailbox_is_stored_alike(workspace: Workspace, bob: Person, good: dict[str, Any]) -> None:
    said = {**good, "folders": ["INBOX", "Sales"], "mark_read": True, "first_window": "from_now"}
    outcomes = []
    for way in (connect_by_page, connect_by_api):
        assert way(bob, said).status_code in (201, 303)
        outcomes.append(stored(workspace))
        with workspace.session() as session:
            for row in (*workspace.rows(Mailbox), *workspace.rows(Credential)):
                session.delete(session.merge(row))
                session.flush()
            session.commit()
    assert outcomes[0] == outcomes[1]
    mailbox, credential = outcomes[0]
    assert (mailbox["folders"], mailbox["mark_read"], mailbox["address"]) == (
        ["INBOX", "Sales"],
        True,
        "shop@example.com",
    )
    assert (credential["login"], credential["secret"]) == ("shop@example.com", "pass-1")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"address": "shop"}, "address"),
        ({"name": "x" * 201}, "name"),
        ({"host": ""}, "host"),
        ({"host": "two words"}, "host"),
        ({"host": "imap.example.com:993"}, "host"),
        ({"host": "imap://imap.example.com"}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"port": "imap"}, "port"),
        ({"security": "ssl"}, "security"),
        ({"protocol": "pop4"}, "protocol"),
        ({"preset": "hotbird"}, "preset"),
        ({"preset": "icloud", "protocol": "pop3"}, "protocol"),
        ({"login": "x" * 255}, "login"),
        ({"secret": "two\nlines"}, "secret"),
        ({"secret": "x" * 1001}, "secret"),
        ({"repeat_period_days": 366}, "repeat_period_days"),
        ({"repeat_period_days": -1}, "repeat_period_days"),
        ({"collect_pause_days": 366}, "collect_pause_days"),
        ({"delete_after_days": "many"}, "delete_after_days"),
        ({"first_window": "yesterday"}, "first_window"),
        ({"folders": []}, "folders"),
        ({"folders": ["x" * 501]}, "folders"),
        ({"folders": [f"Folder {n}" for n in range(101)]}, "folders"),
        ({"protocol": "pop3", "mark_read": True}, "mark_read"),
        ({"protocol": "pop3", "only_unread": True}, "only_unread"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_same_field(
    workspace: Workspace, bob: Person, good: dict[str, Any], connect: Way, said: Input, field: str
) -> None:
    code, fields = refusal(connect(bob, {**good, **said}))
    assert code == "invalid"
    if connect is connect_by_page and field in NOT_BESIDE:
        assert fields == []
    else:
        assert {_named(name) for name in fields} == {_named(field) if connect is connect_by_api else _shown(field)}
    assert workspace.rows(Mailbox) == []
    assert workspace.rows(Credential) == []


NOT_BESIDE = {"first_window"}
"""Its words stand below the choice."""


def _named(path: str) -> str:
    """The field of a path: ``credentials.host`` is the server's, ``folders.0`` is one of the folders."""
    return next(part for part in reversed(path.split(".")) if part != "0" and part)


def _shown(field: str) -> str:
    """The page says of the login what it says of the address."""
    return "address" if field == "login" else field


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ({"secret": "pass-2"}, "pass-2"),
        ({"name": "Other"}, "pass-1"),
        ({"host": "127.0.0.2"}, None),
        ({"port": 26}, None),
        ({"protocol": "pop3"}, None),
        ({"login": "boss@example.com"}, None),
        ({"host": "127.0.0.2", "secret": "pass-2"}, "pass-2"),
    ],
)
@pytest.mark.parametrize("way", ["page", "api"])
def test_another_place_forgets_the_secret(
    workspace: Workspace,
    bob: Person,
    good: dict[str, Any],
    mailbox: Mailbox,
    said: Input,
    secret: str | None,
    way: str,
) -> None:
    if way == "api":
        (credential,) = workspace.rows(Credential)
        assert bob.api("PATCH", f"/credentials/{credential.public_id}", said).status_code == 200
    else:
        form = _form({**SHOWN, **good, "secret": "", **said})
        assert bob.browser.post(f"{BASE_PATH}/{mailbox.public_id}", data=form).status_code == 303
    assert stored(workspace)[1]["secret"] == secret


def test_a_password_takes_the_place_of_a_sign_in(
    workspace: Workspace, bob: Person, good: dict[str, Any], mailbox: Mailbox
) -> None:
    (credential,) = workspace.rows(Credential)
    for way in ("page", "api"):
        with workspace.session() as session:
            session.get_one(Credential, credential.id).auth = "oauth"
            session.commit()
        if way == "api":
            bob.api("PATCH", f"/credentials/{credential.public_id}", {"secret": "pass-2"})
        else:
            bob.browser.post(f"{BASE_PATH}/{mailbox.public_id}", data=_form({**SHOWN, **good}))
        assert workspace.read(credential).auth == "password", way


def test_one_more_than_the_limit_is_refused_alike(
    workspace: Workspace, bob: Person, good: dict[str, Any], mailbox: Mailbox, connect: Way
) -> None:
    with workspace.session() as session:
        set_preference(session, "mailbox_limit", 1)
        session.commit()
    assert refusal(connect(bob, {**good, "address": "other@example.com"}))[0] == "conflict"
    assert workspace.rows(Mailbox) == [workspace.read(mailbox)]


def test_the_same_mailbox_twice_is_refused_alike(
    workspace: Workspace, alice: Person, good: dict[str, Any], mailbox: Mailbox, connect: Way
) -> None:
    assert refusal(connect(alice, {**good, "address": "Shop@Example.com"}))[0] == "conflict"
    assert len(workspace.rows(Mailbox)) == 1


def test_what_is_switched_off_is_not_read_on_demand(workspace: Workspace, bob: Person, mailbox: Mailbox) -> None:
    bob.api("PATCH", f"/mailboxes/{mailbox.public_id}", {"active": False})
    answer = bob.api("POST", f"/mailboxes/{mailbox.public_id}/sync")
    assert refusal(answer)[0] == "conflict"
    bob.browser.post(f"{BASE_PATH}/{mailbox.public_id}/sync")
    assert answer.json()["detail"] in bob.browser.get(BASE_PATH).text
    assert workspace.read(mailbox).sync_wanted is False


def test_tests_of_mailboxes_and_accounts_are_counted_together(bob: Person, mailbox: Mailbox) -> None:
    smtp = {"host": "127.0.0.1", "port": free_port(), "security": "none"}
    account = bob.api("POST", "/accounts", {"address": "bob@example.com", "smtp": smtp}).json()["id"]
    for _ in range(5):
        bob.browser.post(f"{BASE_PATH}/{mailbox.public_id}/check")
        bob.api("POST", f"/accounts/{account}/check")
    answer = bob.api("POST", f"/mailboxes/{mailbox.public_id}/check")
    assert refusal(answer)[0] == "too_many"
    assert "Too many tests." in answer.json()["detail"]


def test_a_removed_mailbox_is_gone_alike(workspace: Workspace, bob: Person, good: dict[str, Any]) -> None:
    for way in ("page", "api"):
        connect_by_api(bob, good)
        (mailbox,) = workspace.rows(Mailbox)
        assert mailbox.removed_at is None
        if way == "page":
            bob.browser.post(f"{BASE_PATH}/{mailbox.public_id}/removal")
        else:
            bob.api("DELETE", f"/mailboxes/{mailbox.public_id}")
        row = workspace.read(mailbox)
        assert (row.due_at, row.sync_wanted, (row.removed_at or now()) <= now()) == (None, False, True)
        assert row.removed_at is not None
