"""Signing in and out: who gets in, who does not, and what the cookies say."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from sqlmodel import col, select, update

from tests.fixtures.contexts import password_hash
from tests.web.conftest import ClientOf, MakeUser, server, session_token, sign_in
from tracker.models import User, UserSession
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import hash_password, token_digest


def test_the_right_password_opens_the_page_one_wanted(visitor: httpx.Client, anna: User) -> None:
    asked = visitor.get("/settings/profile?x=1")
    assert asked.headers["location"] == "/sign-in?next=/settings/profile%3Fx%3D1"
    answer = sign_in(visitor, next="/settings/profile?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/profile?x=1")
    assert visitor.get("/settings/profile").status_code == 200


@pytest.mark.parametrize("email", ["Anna@Example.COM", " anna@example.com "])
def test_an_address_is_the_same_however_it_is_written(visitor: httpx.Client, anna: User, email: str) -> None:
    assert sign_in(visitor, email).status_code == 303


def test_wrong_password_unknown_person_and_switched_off_person_get_the_same_answer(
    visitor: httpx.Client, anna: User, make_user: MakeUser
) -> None:
    make_user("off@example.com", password_hash=password_hash(), active=False)
    make_user("new@example.com")
    answers = [
        sign_in(visitor, password="wrong password"),
        sign_in(visitor, "nobody@example.com"),
        sign_in(visitor, "off@example.com"),
        sign_in(visitor, "new@example.com", ""),
        sign_in(visitor, "not an address"),
    ]
    assert {answer.status_code for answer in answers} == {422}
    assert len({answer.text.split("<form")[0] for answer in answers}) == 1
    assert "inkling_session" not in visitor.cookies


def test_the_cookie_is_for_the_server_alone_and_the_database_keeps_a_digest(
    visitor: httpx.Client, context: AppContext, anna: User
) -> None:
    answer = sign_in(visitor)
    session_cookie, mark = _set_cookie(answer, "inkling_session"), _set_cookie(answer, "inkling_self")
    for part in ("HttpOnly", "SameSite=lax", "Max-Age=2592000", "Path=/"):
        assert part in session_cookie
    assert "Secure" not in session_cookie
    assert "SameSite=lax" in mark
    assert context.tokens.read_self_mark(visitor.cookies["inkling_self"]) == anna.public_id
    with context.database.reading() as session:
        digest = session.exec(select(UserSession.token_digest)).one()
    assert digest == token_digest(visitor.cookies["inkling_session"])


def test_over_tls_cookies_are_secure_and_the_own_mark_reaches_the_edge_inside_webmail(
    make_context: Callable[..., AppContext],
) -> None:
    context = make_context(BASE_URL="https://mail.example.com")
    with context.database.session_scope() as session:
        session.add(User(email="anna@example.com", name="Anna", password_hash=password_hash()))
    with server(context) as address, httpx.Client(base_url=address) as visitor:
        answer = sign_in(visitor)
    cookie = _set_cookie(answer, "__Host-inkling_session")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "domain" not in cookie.lower()
    mark = _set_cookie(answer, "inkling_self")
    assert "Secure" in mark
    assert "SameSite=none" in mark
    assert answer.headers["strict-transport-security"]


def test_over_tls_a_cookie_that_a_neighbouring_host_could_set_is_nobodys(
    make_context: Callable[..., AppContext],
) -> None:
    context = make_context(BASE_URL="https://mail.example.com")
    with context.database.session_scope() as session:
        user = User(email="anna@example.com", name="Anna")
        session.add(user)
    token = session_token(context, user)
    with server(context) as address:
        status = {
            name: httpx.get(f"{address}/settings/profile", headers={"cookie": f"{name}={token}"}).status_code
            for name in (
                "inkling_session",
                "__Host-inkling_session",
                "__host-inkling_session",
                "__Secure-inkling_session",
            )
        }
    assert [name for name, code in status.items() if code == 200] == ["__Host-inkling_session"]


def test_signing_in_again_gives_a_new_token_and_ends_the_old_one(
    visitor: httpx.Client, client_of: ClientOf, context: AppContext, anna: User
) -> None:
    sign_in(visitor)
    before = visitor.cookies["inkling_session"]
    sign_in(visitor)
    assert visitor.cookies["inkling_session"] != before
    with httpx.Client(base_url=visitor.base_url, cookies={"inkling_session": before}) as thief:
        assert thief.get("/settings/profile").status_code == 303


def test_signing_out_ends_the_visit_for_good(client_of: ClientOf, anna: User) -> None:
    client = client_of(anna)
    token = client.cookies["inkling_session"]
    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out").headers["location"] == "/sign-in"
    client.cookies.set("inkling_session", token)
    assert client.get("/settings/profile").status_code == 303


def test_a_visit_lasts_thirty_days_from_its_last_use(client_of: ClientOf, context: AppContext, anna: User) -> None:
    client = client_of(anna)
    with context.database.session_scope() as session:
        session.exec(
            update(UserSession).values(seen_at=now() - timedelta(days=20), expires_at=now() + timedelta(days=10))
        )
    assert "inkling_session" in client.get("/settings/profile").headers["set-cookie"]
    with context.database.reading() as session:
        visit = session.exec(select(UserSession)).one()
    assert visit.expires_at > now() + timedelta(days=29)
    assert "set-cookie" not in client.get("/settings/profile").headers


def test_an_old_visit_is_over_and_so_is_that_of_somebody_switched_off(
    client_of: ClientOf, context: AppContext, anna: User, make_user: MakeUser
) -> None:
    old, off = client_of(anna), client_of(make_user("off@example.com"))
    with context.database.session_scope() as session:
        session.exec(
            update(UserSession)
            .where(col(UserSession.user_id) == anna.id)
            .values(expires_at=now() - timedelta(seconds=1))
        )
        session.exec(update(User).where(col(User.email) == "off@example.com").values(active=False))
    assert [client.get("/settings/profile").status_code for client in (old, off)] == [303, 303]


def test_a_password_is_never_cut(visitor: httpx.Client, make_user: MakeUser) -> None:
    long = "correct horse " * 71
    make_user("long@example.com", password_hash=hash_password(long))
    for wrong_one in (long + "x", long + "x" * 1000, long[:-1]):
        assert sign_in(visitor, "long@example.com", wrong_one).status_code == 422
    assert sign_in(visitor, "long@example.com", long).status_code == 303


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\tx",
        "evil",
        "/%0d%0aX: y\r\nZ: 1",
    ],
)
def test_next_never_leads_to_another_site(visitor: httpx.Client, anna: User, elsewhere: str) -> None:
    assert sign_in(visitor, next=elsewhere).headers["location"] == "/"


def test_a_script_is_told_401_instead_of_a_page(visitor: httpx.Client, anna: User) -> None:
    assert visitor.get("/notifications/state", headers={"sec-fetch-dest": "empty"}).status_code == 401


def test_a_signed_in_person_is_not_asked_again(client: httpx.Client) -> None:
    assert client.get("/sign-in?next=/settings").headers["location"] == "/settings"


def test_the_sign_in_page_speaks_the_browsers_language(visitor: httpx.Client, anna: User) -> None:
    page = visitor.get("/sign-in", headers={"accept-language": "de, ru;q=0.8, en;q=0.5"}).text
    assert '<html lang="ru"' in page
    assert "Войти" in page


def test_tokens_of_garbage_are_nobody(visitor: httpx.Client, anna: User) -> None:
    for token in ("", "x", "%C3%A9", "a" * 5000):
        assert visitor.get("/settings", headers={"cookie": f"inkling_session={token}"}).status_code == 303


def _set_cookie(answer: httpx.Response, name: str) -> str:
    return next(value for value in answer.headers.get_list("set-cookie") if value.startswith(f"{name}="))


def test_a_session_token_of_the_fixtures_is_a_real_one(context: AppContext, anna: User, visitor: httpx.Client) -> None:
    visitor.cookies.set("inkling_session", session_token(context, anna))
    assert "Anna" in visitor.get("/settings/profile").text
