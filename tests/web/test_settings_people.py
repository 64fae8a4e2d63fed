"""People and policy: what administrators may do, what they may not, and the one-time link."""

import re
from datetime import timedelta

import httpx
import pytest
from itsdangerous import TimestampSigner
from sqlmodel import select

from tests.web.conftest import ClientOf, MakeUser
from tests.web.reading import every, words
from tracker.consent.preferences import workspace_pack
from tracker.consent.rules import Pack
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import password_fits
from tracker.web.workspace.people_pages import LINK_LIFE, link_of

NEW = {"name": "Dora", "email": "Dora@Example.com", "role": "member", "locale": "ru"}


def read(context: AppContext, user: User) -> User:
    with context.database.reading() as session:
        return session.get_one(User, user.id)


def link_in(answer: httpx.Response) -> str:
    match = re.search(r'value="(http[^"]+/new-password#[^"]+)"', answer.text)
    assert match is not None
    return match[1]


def choose(visitor: httpx.Client, link: str, password: str = "dora's own password") -> httpx.Response:
    return visitor.post("/new-password", data={"code": link, "password": password})


def test_a_new_person_comes_in_by_a_one_time_link(
    client: httpx.Client, visitor: httpx.Client, context: AppContext
) -> None:
    link = link_in(client.post("/settings/people", data=NEW))
    assert choose(visitor, link, "short").status_code == 422
    assert choose(visitor, link).status_code == 303
    assert "Dora" in visitor.get("/settings/profile").text
    visitor.cookies.clear()
    again = choose(visitor, link, "somebody else's password")
    assert again.status_code == 422
    assert "has been used" in again.text
    with context.database.reading() as session:
        dora = session.exec(select(User).where(User.email == "dora@example.com")).one()
    assert password_fits(dora.password_hash, "dora's own password")


def test_the_code_of_a_link_stands_where_no_server_sees_it(context: AppContext, bob: User) -> None:
    address, _, code = link_of(context, bob).partition("#")
    assert address.endswith("/new-password")
    assert len(code) > 40


def test_a_link_ends_after_three_days_and_with_the_person(
    visitor: httpx.Client, context: AppContext, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = TimestampSigner.get_timestamp
    with monkeypatch.context() as past:
        past.setattr(
            TimestampSigner,
            "get_timestamp",
            lambda self: made(self) - int((LINK_LIFE + timedelta(minutes=1)).total_seconds()),
        )
        old = link_of(context, bob)
    assert choose(visitor, old).status_code == 422
    fresh = link_of(context, bob)
    with context.database.session_scope() as session:
        session.get_one(User, bob.id).active = False
    assert choose(visitor, fresh).status_code == 422


@pytest.mark.parametrize("code", ["", "x", "#", "WyJhIl0.x.y", "é" * 50])
def test_a_made_up_code_opens_nothing(visitor: httpx.Client, alice: User, code: str) -> None:
    assert choose(visitor, code).status_code == 422


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "The name is missing"),
        ("email", "dora", "not an e-mail address"),
        ("email", "ALICE@example.com", "already here"),
        ("role", "owner", "Choose one of the two"),
        ("locale", "tlh", "This language is not there"),
    ],
)
def test_a_person_who_does_not_fit_is_not_added(
    client: httpx.Client, context: AppContext, field: str, value: str, words: str
) -> None:
    answer = client.post("/settings/people", data={**NEW, field: value})
    assert answer.status_code == 422
    assert words in answer.text
    with context.database.reading() as session:
        assert len(session.exec(select(User)).all()) == 1


def test_somebody_switched_off_is_out_at_once_and_may_return(
    client: httpx.Client, client_of: ClientOf, bob: User
) -> None:
    his = client_of(bob)
    assert client.post(f"/settings/people/{bob.public_id}/leave").status_code == 303
    assert his.get("/settings/profile").status_code == 303
    page = client.get("/settings/people").text
    assert "can no longer sign in, and their API tokens are revoked" in page
    assert f'action="/settings/people/{bob.public_id}/return"' in page
    client.post(f"/settings/people/{bob.public_id}/return")
    assert client_of(bob).get("/settings/profile").status_code == 200


def test_a_typed_password_counts_and_ends_the_visits_of_the_old_one(
    client: httpx.Client, client_of: ClientOf, context: AppContext, bob: User
) -> None:
    his = client_of(bob)
    client.post(f"/settings/people/{bob.public_id}/password", data={"password": "short"})
    assert read(context, bob).password_hash is None
    client.post(f"/settings/people/{bob.public_id}/password", data={"password": "typed by Alice"})
    assert password_fits(read(context, bob).password_hash, "typed by Alice")
    assert his.get("/settings/profile").status_code == 303


def test_the_last_administrator_stays(client: httpx.Client, context: AppContext, alice: User, bob: User) -> None:
    client.post(f"/settings/people/{alice.public_id}/leave")
    client.post(f"/settings/people/{alice.public_id}/role", data={"role": "member"})
    assert (read(context, alice).active, read(context, alice).role) == (True, "admin")
    client.post(f"/settings/people/{bob.public_id}/role", data={"role": "admin"})
    client.post(f"/settings/people/{alice.public_id}/role", data={"role": "member"})
    assert (read(context, alice).role, read(context, bob).role) == ("member", "admin")


@pytest.mark.parametrize("deed", ["link", "password", "role", "leave", "return"])
def test_members_can_do_nothing_to_others(
    client_of: ClientOf, context: AppContext, alice: User, bob: User, deed: str
) -> None:
    answer = client_of(bob).post(
        f"/settings/people/{alice.public_id}/{deed}", data={"password": "a long enough one", "role": "member"}
    )
    assert answer.status_code == 403
    assert read(context, alice) == alice
    assert client_of(bob).post("/settings/people", data=NEW).status_code == 403


def test_the_policy_is_changed_with_name_time_and_reason(client: httpx.Client, context: AppContext) -> None:
    assert (
        "The reason is missing"
        in client.post("/settings/policy", data={"policy": "notice", "reason": " too short"}).text
    )
    too_long = client.post("/settings/policy", data={"policy": "notice", "reason": "x" * 2001})
    assert ("This is longer than 2000 characters." in too_long.text, "x" * 2001 in too_long.text) == (True, True)
    client.post("/settings/policy", data={"policy": "notice", "reason": "existing customers, § 7 (3)"})
    page = client.get("/settings/policy").text
    assert "History of changes" in page
    assert "Alice" in page
    assert "existing customers, § 7 (3)" in page
    with context.database.reading() as session:
        assert workspace_pack(session) == Pack.NOTICE


def test_the_policy_page_says_at_a_glance_what_is_set_and_opens_what_was_refused(client: httpx.Client) -> None:
    page = client.get("/settings/policy")
    values = {words(every(row, "h2")[0]): words(every(row, ".fold-value")[0]) for row in every(page, "details.fold")}
    assert values == {
        "Who may be tracked?": "Strict: ask first",
        "What counts as consent?": "A–C · 24 months",
        "Footer line": "on",
        "Team totals": "off",
        "Hidden link": "off",
        "Mail that is signed already": "off",
        "History of changes": "",
    }
    assert not every(page, "details.fold[open]")
    refused = client.post("/settings/policy", data={"policy": "notice", "reason": "short"})
    (open_,) = every(refused, "details.fold[open]")
    assert words(every(open_, ".fold-value")[0]) == "Strict: ask first", "what is in force, not what was refused"


@pytest.mark.parametrize("policy", ["", "loose", "STRICT"])
def test_only_the_three_policies_exist(client: httpx.Client, context: AppContext, policy: str) -> None:
    assert client.post("/settings/policy", data={"policy": policy, "reason": "ten characters"}).status_code == 422
    with context.database.reading() as session:
        assert workspace_pack(session) == Pack.STRICT


def test_members_cannot_change_the_policy(client_of: ClientOf, make_user: MakeUser, context: AppContext) -> None:
    assert client_of(make_user("bob@example.com")).post("/settings/policy", data={"policy": "off"}).status_code == 403
    with context.database.reading() as session:
        assert workspace_pack(session) == Pack.STRICT
