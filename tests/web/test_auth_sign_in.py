"""Signing in and out: who gets in, who does not, how often one may try, and what the cookies say."""

import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from sqlmodel import col, select, update

from tests.web.conftest import PLAIN, ClientOf, MakeUser, server, session_token
from tracker.models import User, UserSession
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import hash_password, token_digest
from tracker.runtime.throttle import SignInFailure

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def password_hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def anna(make_user: MakeUser, password_hash: str) -> User:
    return make_user("anna@example.com", "Anna", password_hash=password_hash)


def sign_in(
    visitor: httpx.Client, email: str = "anna@example.com", password: str = PASSWORD, **more: str
) -> httpx.Response:
    return visitor.post("/sign-in", data={"email": email, "password": password, **more})


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
    visitor: httpx.Client, anna: User, make_user: MakeUser, password_hash: str
) -> None:
    make_user("off@example.com", password_hash=password_hash, active=False)
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


def wrong(visitor: httpx.Client, times: int, email: str = "anna@example.com", **headers: str) -> list[int]:
    """The answers to so many tries with a wrong password."""
    data = {"email": email, "password": "wrong password"}
    return [visitor.post("/sign-in", data=data, headers=headers).status_code for _ in range(times)]


def after(context: AppContext, seconds: float) -> None:
    """As if so much time had gone by since the last tries."""
    with context.database.session_scope() as session:
        for row in session.exec(select(SignInFailure)):
            row.at -= timedelta(seconds=seconds)


def test_five_tries_of_one_address_are_free_and_then_each_waits_twice_as_long(
    visitor: httpx.Client, context: AppContext, anna: User
) -> None:
    assert wrong(visitor, 5) == [422] * 5
    waits = []
    for _ in range(6):
        refused = sign_in(visitor, password="wrong password")
        waits.append(int(refused.headers["retry-after"]))
        assert refused.status_code == 429
        assert f"Try again in {waits[-1]} seconds" in refused.text
        after(context, waits[-1])
        assert wrong(visitor, 1) == [422]
    assert waits[0] in (3, 4)
    assert waits[1:] == [8, 16, 32, 32, 32]
    assert sign_in(visitor).status_code == 429
    after(context, 32)
    assert sign_in(visitor).status_code == 303, "nobody is locked out: to wait is enough"


@pytest.mark.parametrize(
    "email",
    [
        "anna@ⓔxample.com",
        "anna@ｅxample.com",
        "anna@example。com",
        "anna@EXAMPLE.com",
        "Anna@example.com",
        "anna@exam\u00adple.com",
        " anna@example.com\t",
        "anna@𝐞xample.com",
        "anna@example.com.",
    ],
)
def test_another_spelling_of_the_address_is_no_further_try(visitor: httpx.Client, anna: User, email: str) -> None:
    assert wrong(visitor, 5) == [422] * 5
    assert sign_in(visitor, email).status_code in (422, 429)
    assert sign_in(visitor, email, "wrong password").status_code in (422, 429)
    assert "inkling_session" not in visitor.cookies


def test_every_spelling_counts_for_the_same_account(visitor: httpx.Client, anna: User) -> None:
    spellings = [
        "anna@ⓔxample.com",
        "anna@ｅxample.com",
        "anna@example。com",
        "ANNA@example.com",
        "anna@𝐞xample.com",
    ]
    assert [status for email in spellings for status in wrong(visitor, 1, email)] == [422] * 5
    assert sign_in(visitor).status_code == 429


def test_a_browser_that_signed_in_before_keeps_its_way_in_whatever_strangers_try(
    visitor: httpx.Client, context: AppContext, anna: User, make_user: MakeUser
) -> None:
    ben = make_user("ben@example.com")
    wrong(visitor, 6)
    with context.database.session_scope() as session:
        for row in session.exec(select(SignInFailure)):
            row.failures = 1000
    assert sign_in(visitor).status_code == 429
    visitor.cookies.set("inkling_self", context.tokens.self_mark(ben.public_id))
    assert sign_in(visitor).status_code == 429, "somebody else's browser is a stranger's"
    visitor.cookies.set("inkling_self", context.tokens.self_mark(anna.public_id)[::-1])
    assert sign_in(visitor).status_code == 429
    visitor.cookies.set("inkling_self", context.tokens.self_mark(anna.public_id))
    assert sign_in(visitor).status_code == 303


def test_a_known_browser_is_no_way_around_the_pauses(visitor: httpx.Client, context: AppContext, anna: User) -> None:
    visitor.cookies.set("inkling_self", context.tokens.self_mark(anna.public_id))
    assert wrong(visitor, 6) == [422] * 5 + [429]
    assert sign_in(visitor).status_code == 429


def test_another_address_does_not_wait_with_it_and_success_clears_the_count(
    visitor: httpx.Client, anna: User, make_user: MakeUser, password_hash: str
) -> None:
    make_user("ben@example.com", password_hash=password_hash)
    wrong(visitor, 5, "ben@example.com")
    wrong(visitor, 4)
    assert sign_in(visitor).status_code == 303
    visitor.cookies.clear()
    assert wrong(visitor, 5) == [422] * 5


def test_the_tries_are_forgotten_after_a_quarter_of_an_hour(
    visitor: httpx.Client, context: AppContext, anna: User
) -> None:
    wrong(visitor, 5)
    after(context, 16 * 60)
    assert wrong(visitor, 5) == [422] * 5


def test_a_try_from_a_time_to_come_makes_nobody_wait(visitor: httpx.Client, context: AppContext, anna: User) -> None:
    wrong(visitor, 5)
    after(context, -24 * 3600)
    assert sign_in(visitor).status_code == 303


def test_many_at_once_are_no_way_around(visitor: httpx.Client, anna: User) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: wrong(visitor, 1)[0], range(12)))
    assert answers.count(422) <= 6
    assert set(answers) == {422, 429}


def test_of_forty_at_once_some_wait_some_are_told_to_come_again_and_no_memory_is_taken(
    visitor: httpx.Client, anna: User
) -> None:
    def come(number: int) -> httpx.Response:
        return sign_in(visitor, f"somebody{number}@example.com", "wrong password")

    visitor.timeout = httpx.Timeout(60)
    with ThreadPoolExecutor(40) as pool:
        before = peak_memory()
        answers = list(pool.map(come, range(28)))
    told = [answer for answer in answers if answer.status_code == 503]
    assert {answer.status_code for answer in answers} <= {422, 503}
    assert all(answer.headers["retry-after"] == "2" and "Try again in 2 seconds" in answer.text for answer in told)
    assert peak_memory() - before < 4 * 64 * 1024
    assert sign_in(visitor).status_code == 303


def peak_memory() -> int:
    """Of this process, in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture
def proxied(make_context: Callable[..., AppContext], password_hash: str) -> Iterator[tuple[AppContext, httpx.Client]]:
    """Anna's context behind a proxy that it knows, and a client that can come from anywhere."""
    context = make_context(TRUSTED_PROXIES="127.0.0.1")
    with context.database.session_scope() as session:
        session.add(User(email="anna@example.com", name="Anna", password_hash=password_hash))
    with server(context) as address, httpx.Client(base_url=address, verify=PLAIN) as visitor:
        yield context, visitor


def from_(visitor: httpx.Client, chain: str) -> httpx.Response:
    data = {"email": "anna@example.com", "password": PASSWORD}
    return visitor.post("/sign-in", data=data, headers={"x-forwarded-for": chain})


def test_a_stranger_elsewhere_does_not_make_the_owner_wait(proxied: tuple[AppContext, httpx.Client]) -> None:
    _context, visitor = proxied
    assert wrong(visitor, 6, **{"x-forwarded-for": "198.51.100.7"}) == [422] * 5 + [429]
    assert from_(visitor, "198.51.100.7").status_code == 429
    assert from_(visitor, "203.0.113.9").status_code == 303


def test_guesses_from_many_places_wait_for_each_other(proxied: tuple[AppContext, httpx.Client]) -> None:
    _context, visitor = proxied
    answers = [wrong(visitor, 1, **{"x-forwarded-for": f"198.51.100.{n}"})[0] for n in range(24)]
    assert answers[:20] == [422] * 20
    assert set(answers[20:]) >= {429}
    refused = from_(visitor, "203.0.113.9")
    assert int(refused.headers["retry-after"]) <= 32


def test_many_accounts_from_one_source_wait_and_a_header_of_a_stranger_does_not_help(
    visitor: httpx.Client, context: AppContext, anna: User
) -> None:
    with context.database.session_scope() as session:
        session.add(SignInFailure(subject=context.keyring.digest("sign-in from 127.0.0.1"), failures=35))
    assert from_(visitor, "198.51.100.7").status_code == 429
    assert "inkling_session" not in visitor.cookies


def test_a_named_proxy_tells_visitors_apart(proxied: tuple[AppContext, httpx.Client]) -> None:
    context, visitor = proxied
    with context.database.session_scope() as session:
        session.add(SignInFailure(subject=context.keyring.digest("sign-in from 198.51.100.7"), failures=35))
        session.add(SignInFailure(subject=context.keyring.digest("sign-in from 2001:db8:1:2::/64"), failures=35))
    chains = {
        "198.51.100.7": 429,
        "203.0.113.9, 198.51.100.7": 429,
        "2001:db8:1:2::77": 429,
        "[2001:DB8:1:2:ffff::1]:443": 429,
        "::ffff:198.51.100.7": 429,
        "2001:db8:1:3::77": 303,
        "198.51.100.7, 203.0.113.9": 303,
    }
    for chain, status in chains.items():
        visitor.cookies.clear()
        assert from_(visitor, chain).status_code == status, chain


def test_nothing_of_the_failures_names_a_person(visitor: httpx.Client, context: AppContext, anna: User) -> None:
    sign_in(visitor, password="wrong password")
    with context.database.reading() as session:
        kept = "".join(session.exec(select(SignInFailure.subject)))
    assert len(kept) == 3 * 64
    assert "anna" not in kept
    assert "127.0.0.1" not in kept


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
        kept = session.exec(select(UserSession.token_digest)).one()
    assert kept == token_digest(visitor.cookies["inkling_session"])


def test_over_tls_cookies_are_secure_and_the_own_mark_reaches_the_edge_inside_webmail(
    make_context: Callable[..., AppContext], password_hash: str
) -> None:
    context = make_context(BASE_URL="https://mail.example.com")
    with context.database.session_scope() as session:
        session.add(User(email="anna@example.com", name="Anna", password_hash=password_hash))
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
