"""How often one may try a password, counted for the account and the source together, and what many tries at once cost."""

import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from sqlmodel import select

from tests.fixtures.contexts import PASSWORD, password_hash
from tests.web.conftest import PLAIN, TIMEOUT, MakeUser, server, sign_in
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.runtime.throttle import SignInFailure


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
    visitor: httpx.Client, anna: User, make_user: MakeUser
) -> None:
    make_user("ben@example.com", password_hash=password_hash())
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
    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.status_code for answer in answers} <= {422, 503}
    assert all(answer.headers["retry-after"] == "2" and "Try again in 2 seconds" in answer.text for answer in refused)
    assert peak_memory() - before < 4 * 64 * 1024
    assert sign_in(visitor).status_code == 303


def peak_memory() -> int:
    """Of this process, in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture
def proxied(make_context: Callable[..., AppContext]) -> Iterator[tuple[AppContext, httpx.Client]]:
    """Anna's context behind a proxy that it knows, and a client that can come from anywhere."""
    context = make_context(TRUSTED_PROXIES="127.0.0.1")
    with context.database.session_scope() as session:
        session.add(User(email="anna@example.com", name="Anna", password_hash=password_hash()))
    with server(context) as address, httpx.Client(base_url=address, verify=PLAIN, timeout=TIMEOUT) as visitor:
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
        subjects = "".join(session.exec(select(SignInFailure.subject)))
    assert len(subjects) == 3 * 64
    assert "anna" not in subjects
    assert "127.0.0.1" not in subjects
