"""Tokens: who gets in, who does not, and what is remembered of it."""

from datetime import timedelta

import httpx
import pytest
from sqlmodel import select

from tests.web.api.conftest import Caller, World
from tracker.models import ApiToken, User
from tracker.runtime.database import now
from tracker.runtime.keyring import token_digest


def refused(response: httpx.Response) -> str:
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == 401
    return response.headers["www-authenticate"]


def test_no_token(world: World) -> None:
    challenge = refused(world.line.get(f"{world.url}/me"))
    assert challenge == 'Bearer realm="Inkling"'


@pytest.mark.parametrize("header", ["Bearer", "Basic YTpi", "bearer nonsense", "Bearer a b", "Bearer\ttoken", "token"])
def test_other_headers(world: World, header: str) -> None:
    refused(world.line.get(f"{world.url}/me", headers={"Authorization": header}))


def test_wrong_token_says_so(world: World) -> None:
    world.bob.token = "x" * 43
    assert 'error="invalid_token"' in refused(world.bob.get("/me"))


def test_scheme_is_case_insensitive(world: World) -> None:
    response = world.line.get(f"{world.url}/me", headers={"Authorization": f"bEaReR {world.bob.token}"})
    assert response.json()["email"] == "bob@example.com"


def test_revoked_token(world: World, bob: Caller) -> None:
    assert bob.get("/me").status_code == 200
    _change_token(world, bob, revoked_at=now())
    refused(bob.get("/me"))


def test_disabled_person(world: World, bob: Caller) -> None:
    with world.context.database.session_scope() as session:
        session.get_one(User, bob.user.id).active = False
    refused(bob.get("/me"))


def test_unauthenticated_body_is_not_looked_at(world: World) -> None:
    response = world.line.post(
        f"{world.url}/messages", content=b"{not json", headers={"Content-Type": "application/json"}
    )
    refused(response)


def test_use_is_noted_at_most_once_a_minute(world: World, bob: Caller) -> None:
    bob.get("/me")
    first = _used_at(world, bob)
    assert first is not None
    bob.get("/me")
    assert _used_at(world, bob) == first
    _change_token(world, bob, used_at=first - timedelta(seconds=61))
    bob.get("/me")
    assert _used_at(world, bob) >= first


def _used_at(world: World, caller: Caller):  # type: ignore[no-untyped-def]
    with world.context.database.reading() as session:
        return session.exec(select(ApiToken.used_at).where(ApiToken.token_digest == token_digest(caller.token))).one()


def _change_token(world: World, caller: Caller, **values: object) -> None:
    with world.context.database.session_scope() as session:
        row = session.exec(select(ApiToken).where(ApiToken.token_digest == token_digest(caller.token))).one()
        for name, value in values.items():
            setattr(row, name, value)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/me"),
        ("PATCH", "/me"),
        ("GET", "/accounts"),
        ("POST", "/accounts"),
        ("GET", "/accounts/x"),
        ("PATCH", "/accounts/x"),
        ("DELETE", "/accounts/x"),
        ("POST", "/accounts/x/check"),
        ("POST", "/messages"),
        ("GET", "/messages"),
        ("GET", "/messages/x"),
        ("GET", "/messages/x/events"),
        ("POST", "/messages/x/cancellation"),
        ("POST", "/messages/x/mute"),
        ("DELETE", "/messages/x/mute"),
        ("GET", "/notifications"),
        ("POST", "/notifications/x/reading"),
        ("POST", "/notifications/readings"),
        ("GET", "/recipients"),
        ("GET", "/recipients/a@example.com"),
        ("PUT", "/recipients/a@example.com"),
        ("GET", "/recipients/a@example.com/consent"),
        ("POST", "/recipients/a@example.com/consent"),
    ],
)
def test_every_call_needs_a_token(world: World, method: str, path: str) -> None:
    refused(world.line.request(method, world.url + path))
