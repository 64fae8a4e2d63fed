"""A really migrated context with Alice (admin), Bob and Charlie, and browsers without scripts that are signed in as them.

    def test_…(client, client_of, make_user): client.get("/settings/profile")        # Alice
        bob = make_user("bob@example.com", "Bob"); client_of(bob).get(…)

Requests go over a real socket to a real server. `server(context)` gives the address for a Chromium.
"""

import os
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from pixel.server import server_config
from tests.fixtures.contexts import PASSWORD, migrate_postgresql, opened_context, password_hash
from tests.servers import free_port, wait_until
from tests.web.mail_world import make_account
from tracker.mail.addresses import lookup_form
from tracker.models import Role, User, UserSession
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import new_token, token_digest
from tracker.web.app import create_app
from tracker.web.http.sessions import COOKIE, LIFE

# Nothing here goes over TLS, and a client that reads a system's authorities at its beginning takes as long as ten requests.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TIMEOUT = 30.0
"""Seconds for an answer: one that comes late tells of the machine."""


@pytest.fixture
def make_context(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., AppContext]]:
    """`make_context(BASE_URL="https://…")`: an empty context with these settings, on SQLite.

    With WEB_TESTS_ON=postgresql in the environment all of these tests run on PostgreSQL instead.
    """
    with ExitStack() as stack:

        def make(**settings: str) -> AppContext:
            url = None
            if os.environ.get("WEB_TESTS_ON") == "postgresql":
                url = request.getfixturevalue("postgresql").fresh_database(migrate_postgresql)
            return stack.enter_context(opened_context(Path(mkdtemp(dir=tmp_path)), url, **settings))

        yield make


@pytest.fixture
def context(make_context: Callable[..., AppContext]) -> AppContext:
    """An empty context: nobody, nothing."""
    return make_context()


MakeUser = Callable[..., User]
ClientOf = Callable[..., httpx.Client]


@pytest.fixture
def make_user(context: AppContext) -> MakeUser:
    """`make_user("bob@example.com", "Bob", locale="ru")`: a person of this context."""

    def make(email: str, name: str = "", **facts: Any) -> User:
        with context.database.session_scope() as session:
            user = User(email=lookup_form(email), name=name or email.partition("@")[0].title(), **facts)
            session.add(user)
        return user

    return make


@pytest.fixture
def alice(make_user: MakeUser) -> User:
    return make_user("alice@example.com", "Alice", role=Role.ADMIN)


@pytest.fixture
def sender(context: AppContext, alice: User) -> User:
    """Alice, with an account to send from."""
    make_account(context, alice)
    return alice


@pytest.fixture
def bob(make_user: MakeUser) -> User:
    return make_user("bob@example.com", "Bob")


@pytest.fixture
def anna(make_user: MakeUser) -> User:
    """Somebody with a password."""
    return make_user("anna@example.com", "Anna", password_hash=password_hash())


def sign_in(
    visitor: httpx.Client, email: str = "anna@example.com", password: str = PASSWORD, **more: str
) -> httpx.Response:
    """The answer to an attempt, by default Anna's with the right password."""
    return visitor.post("/sign-in", data={"email": email, "password": password, **more})


@contextmanager
def server(context: AppContext, extra: Sequence[BaseRoute] = (), port: int | None = None) -> Iterator[str]:
    """A web server on this context, with `extra` routes; gives its address.

    A page of ours that crashed fails the test at its end, whatever was asked of the answer."""
    port, app = port or free_port(), create_app(context)
    app.router.routes += extra
    crashes: list[Exception] = []

    async def noting_crashes(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:
            crashes.append(error)
            raise

    config = server_config(
        noting_crashes,
        port=port,
        trusted_proxies=context.settings.trusted_proxies,
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: running.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.should_exit = True
        thread.join(10)
    if crashes and not extra:
        raise ExceptionGroup("pages crashed", crashes)


@pytest.fixture
def address(context: AppContext) -> Iterator[str]:
    """The address of a server on this test's context."""
    with server(context) as address:
        yield address


@pytest.fixture
def visitor(address: str) -> Iterator[httpx.Client]:
    """Somebody who is not signed in. Follows no redirect by itself."""
    with httpx.Client(base_url=address, verify=PLAIN, timeout=TIMEOUT) as client:
        yield client


@pytest.fixture
def client_of(context: AppContext, address: str) -> Iterator[ClientOf]:
    """`client_of(user)`: a browser signed in as this person."""
    with ExitStack() as stack:

        def make(user: User, **options: object) -> httpx.Client:
            own: dict[str, Any] = {"base_url": address, "verify": PLAIN, "timeout": TIMEOUT, **options}
            client = stack.enter_context(httpx.Client(**own))
            client.cookies.set(COOKIE, session_token(context, user))
            return client

        yield make


@pytest.fixture
def client(client_of: ClientOf, alice: User) -> httpx.Client:
    """A browser signed in as Alice, who is an admin."""
    return client_of(alice)


def session_token(context: AppContext, user: User) -> str:
    """Signs the person in; gives the value of the cookie."""
    token = new_token()
    assert user.id is not None
    with context.database.session_scope() as session:
        session.add(UserSession(user_id=user.id, token_digest=token_digest(token), expires_at=now() + LIFE))
    return token
