"""The API on a real socket and really migrated databases.

Alice is an admin, Bob and Charlie are members.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlmodel import Session
from starlette.applications import Starlette

from tests.fixtures.contexts import opened_context
from tests.servers import free_port, wait_until
from tracker.models import Account, ApiToken, Delivery, Event, Message, Recipient, TrackedLink, User
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import new_token, token_digest
from tracker.web.api import create_api, mounted

MOUNTED_AT = "/api/v1"


@dataclass
class Caller(httpx.Auth):
    """Somebody with a token, calling over HTTP."""

    user: User
    token: str
    url: str
    line: httpx.Client = field(repr=False)

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return self.line.request(method, self.url + path, json=body, headers=headers, **more)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.call("GET", path, params=query)

    def post(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        return self.call("POST", path, body, headers={"Idempotency-Key": key} if key else {})

    def raw(self, method: str, path: str, content: bytes, kind: str = "application/json") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        return self.line.request(method, self.url + path, content=content, headers=headers)


@dataclass
class World:
    """A context with its people, and the address of its API."""

    context: AppContext
    url: str
    line: httpx.Client
    alice: Caller
    bob: Caller
    charlie: Caller

    def account(self, owner: Caller, address: str, **more: Any) -> Account:
        with self.context.database.session_scope() as session:
            return _kept(
                session,
                Account(
                    user_id=owner.user.id or 0,
                    name=owner.user.name,
                    address=address,
                    **{"smtp_host": "smtp.example.com", "smtp_port": 587, "smtp_security": "starttls", **more},
                ),
            )

    def sent(self, owner: Caller, at: datetime, to: str = "luc@example.org", **more: Any) -> Message:
        """A sent message with one tracked copy and one tracked link."""
        with self.context.database.session_scope() as session:
            message = _kept(
                session,
                Message(
                    user_id=owner.user.id or 0,
                    message_id=f"<{at.timestamp()}.{owner.user.id}@example.com>",
                    **{"state": "sent", "sent_at": at, "listed_at": at, "opens_tracked": 1, "subject": "Offer", **more},
                ),
            )
            recipient = find_or_make(session, to)
            session.flush()
            self._copy(session, message, recipient, at)
            return message

    def _copy(self, session: Session, message: Message, recipient: Recipient, at: datetime) -> None:
        assert message.id is not None
        assert recipient.id is not None
        session.add(
            Delivery(
                message_id=message.id,
                recipient_id=recipient.id,
                position=0,
                role="to",
                address=recipient.address,
                opens_on=True,
                opens_rule="granted",
                clicks_rule="unknown",
                status="accepted",
                accepted_at=at,
            )
        )
        session.add(
            TrackedLink(message_id=message.id, position=0, url="https://example.net/", text="here", tracked=True)
        )

    def event(self, message: Message, at: datetime, **more: Any) -> Event:
        with self.context.database.session_scope() as session:
            facts = {"kind": "open", "klass": "human", "confidence": 0.9, "client": "Gmail", **more}
            return _kept(session, Event(message_id=message.id or 0, at=at, **facts))


Row = TypeVar("Row")


def _kept(session: Session, row: Row) -> Row:
    session.add(row)
    session.flush()
    return row


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FastAPI, str]]:
    """The API mounted as in the product, on a port of its own, without anybody in it."""
    with opened_context(tmp_path_factory.mktemp("nobody")) as nobody:
        yield from _serve(create_api(nobody))


def _serve(api: FastAPI) -> Iterator[tuple[FastAPI, str]]:
    port = free_port()
    config = uvicorn.Config(
        Starlette(routes=[mounted(api)]), port=port, log_level="critical", ws="none", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    yield api, f"http://127.0.0.1:{port}{MOUNTED_AT}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="session")
def line() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60) as client:
        yield client


@pytest.fixture
def context(tmp_path: Path) -> Iterator[AppContext]:
    """On SQLite; files that import the fixture of the same name from tests.fixtures.contexts run on both engines."""
    with opened_context(tmp_path) as made:
        yield made


@pytest.fixture
def world(served: tuple[FastAPI, str], line: httpx.Client, context: AppContext) -> World:
    api, url = served
    api.state.context = context
    return World(context, url, line, *people_of(context, url, line))


_CAST = (("Alice", "admin"), ("Bob", "member"), ("Charlie", "member"))


def people_of(context: AppContext, url: str, line: httpx.Client) -> list[Caller]:
    return [_person(context, name, role, url, line) for name, role in _CAST]


def _person(context: AppContext, name: str, role: str, url: str, line: httpx.Client) -> Caller:
    token = new_token()
    with context.database.session_scope() as session:
        user = _kept(session, User(email=f"{name.lower()}@example.com", name=name, role=role))
        _kept(session, ApiToken(user_id=user.id or 0, name="test", token_digest=token_digest(token)))
    return Caller(user, token, url, line)


@pytest.fixture
def alice(world: World) -> Caller:
    return world.alice


@pytest.fixture
def bob(world: World) -> Caller:
    return world.bob
