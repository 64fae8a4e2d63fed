"""What is done to people of the workspace and to one's own profile ends alike by page, API and command line."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from sqlmodel import col, select

from tests.actions.conftest import Person, Workspace, refusal
from tests.fixtures.contexts import PASSWORD
from tracker.models import ApiToken, User, UserSession
from tracker.runtime.database import now
from tracker.runtime.keyring import password_fits
from tracker.web.workspace.people_pages import link_of

PROFILE = {"name": "Bob", "locale": "en", "timezone": "UTC", "theme": "auto", "undo_seconds": "5"}


def test_whoever_is_disabled_has_no_session_and_no_token(workspace: Workspace, alice: Person, bob: Person) -> None:
    carla = workspace.person("Carla")
    alice.browser.post(f"/settings/people/{bob.user.public_id}/leave")
    assert workspace.inkling.in_process("user", "disable", carla.user.email).code == 0
    for person in (bob, carla):
        assert not workspace.read(person.user).active
        assert workspace.rows(UserSession, user_id=person.id) == []
        assert [token.revoked_at is None for token in workspace.rows(ApiToken, user_id=person.id)] == [False]


def test_a_token_of_the_time_before_stays_revoked_when_its_owner_returns(
    workspace: Workspace, alice: Person, bob: Person
) -> None:
    alice.browser.post(f"/settings/people/{bob.user.public_id}/leave")
    alice.browser.post(f"/settings/people/{bob.user.public_id}/return")
    assert workspace.read(bob.user).active
    assert bob.api("GET", "/me").status_code == 401


def test_the_last_administrator_is_disabled_neither_by_page_nor_by_command(workspace: Workspace, alice: Person) -> None:
    alice.browser.post(f"/settings/people/{alice.user.public_id}/leave")
    done = workspace.inkling.in_process("user", "disable", alice.user.email)
    assert (done.code, done.sentence) == (1, "A workspace needs an administrator. Make somebody else one first.")
    assert workspace.read(alice.user).active


@pytest.mark.parametrize("password", ["", "nine char", "x" * 1001])
def test_every_way_to_choose_a_password_asks_the_same_of_it(
    workspace: Workspace, alice: Person, bob: Person, password: str
) -> None:
    code = link_of(workspace.context, bob.user).partition("#")[2]
    person = f"/settings/people/{bob.user.public_id}"
    chosen = bob.browser.post("/new-password", data={"code": code, "password": password})
    changed = bob.browser.post("/settings/password", data={"present": PASSWORD, "password": password})
    typed = alice.browser.post(f"{person}/password", data={"password": password})
    assert refusal(chosen) == refusal(changed) == ("invalid", ["password"])
    assert typed.status_code == 303
    added = workspace.inkling.in_process(
        "user", "add", "new@example.com", "--name", "New", "--password-stdin", stdin=password.encode() + b"\n"
    )
    assert added.code == 1
    assert password_fits(workspace.read(bob.user).password_hash, PASSWORD)
    assert workspace.rows(User, email="new@example.com") == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "two\nlines"),
        ("locale", "tlh"),
        ("timezone", "Mars/Olympus"),
        ("undo_seconds", 7),
        ("undo_seconds", 31),
    ],
)
def test_a_profile_is_refused_alike(workspace: Workspace, bob: Person, field: str, value: str | int) -> None:
    page = bob.browser.post("/settings/profile", data={**PROFILE, field: str(value)})
    api = bob.api("PATCH", "/me", {field: value})
    assert refusal(page) == refusal(api) == ("invalid", [field])
    assert workspace.read(bob.user) == bob.user


@pytest.mark.parametrize("name", ["", "x" * 201, "two\nlines", "bell \x07"])
def test_a_name_that_nobody_can_bear(workspace: Workspace, alice: Person, name: str) -> None:
    form = {"name": name, "email": "new@example.com", "role": "member", "locale": "en"}
    assert refusal(alice.browser.post("/settings/people", data=form)) == ("invalid", ["name"])
    done = workspace.inkling.in_process(
        "user", "add", "new@example.com", "--name", name, "--password-stdin", stdin=b"long enough for it\n"
    )
    assert done.code == 1
    assert workspace.rows(User, email="new@example.com") == []


@pytest.mark.parametrize("email", ["new", "new@", "BOB@example.com"])
def test_an_address_that_nobody_can_be_added_with(workspace: Workspace, alice: Person, bob: Person, email: str) -> None:
    form = {"name": "New", "email": email, "role": "member", "locale": "en"}
    assert refusal(alice.browser.post("/settings/people", data=form)) == ("invalid", ["email"])
    done = workspace.inkling.in_process(
        "user", "add", email, "--name", "New", "--password-stdin", stdin=b"long enough for it\n"
    )
    assert done.code == 1
    assert workspace.rows(User, name="New") == []


def _by_page(person: Person) -> httpx.Response:
    return person.browser.post("/settings/profile", data={**PROFILE, "timezone": "Asia/Tokyo"})


def _by_api(person: Person) -> httpx.Response:
    return person.api("PATCH", "/me", {"timezone": "Asia/Tokyo"})


@pytest.mark.parametrize("change", [_by_page, _by_api])
def test_the_digest_moves_with_the_time_zone(
    workspace: Workspace, bob: Person, change: Callable[[Person], httpx.Response]
) -> None:
    with workspace.context.database.session_scope() as session:
        user = session.get_one(User, bob.id)
        user.digest_hour, user.digest_at = 8, now() + timedelta(days=9)
    assert change(bob).status_code in (200, 303)
    digest_at = workspace.read(bob.user).digest_at
    assert digest_at is not None
    assert digest_at.hour == 23, "eight in Tokyo, as UTC"
    assert now() < digest_at <= now() + timedelta(days=1)


@pytest.mark.parametrize(("name", "code"), [("", 1), ("x" * 101, 1), ("two\nlines", 1), ("CRM", 0)])
def test_a_token_is_named_alike(workspace: Workspace, bob: Person, name: str, code: int) -> None:
    page = bob.browser.post("/settings/tokens", data={"name": name})
    done = workspace.inkling.in_process("token", "add", "--user", bob.user.email, "--name", name)
    assert done.code == code
    if code:
        assert refusal(page) == ("invalid", ["name"])
    with workspace.context.database.reading() as session:
        made = session.exec(select(ApiToken).where(ApiToken.user_id == bob.id, col(ApiToken.name) == name)).all()
    assert len(made) == (0 if code else 2)


def test_a_revoked_token_opens_nothing_whichever_way_it_was_revoked(workspace: Workspace, bob: Person) -> None:
    first, second = [workspace.rows(ApiToken, user_id=bob.id)[0], _second_token(workspace, bob)]
    bob.browser.post(f"/settings/tokens/{first.public_id}/revocation")
    assert workspace.inkling.in_process("token", "revoke", second.public_id).code == 0
    assert all(token.revoked_at is not None for token in workspace.rows(ApiToken, user_id=bob.id))
    assert bob.api("GET", "/me").status_code == 401


def _second_token(workspace: Workspace, person: Person) -> ApiToken:
    workspace.inkling.in_process("token", "add", "--user", person.user.email, "--name", "second")
    return workspace.rows(ApiToken, user_id=person.id, name="second")[0]
