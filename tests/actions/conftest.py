"""One workspace with the pages, the API and the command line on it: what a person does must end alike whichever way it is done."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from sqlmodel import Session, SQLModel, col, select

from tests.commands.inkling import Inkling
from tests.fixtures.contexts import opened_context, password_hash
from tests.web.conftest import PLAIN, TIMEOUT, server, session_token
from tracker.models import ApiToken, Delivery, FeedItem, Message, Recipient, Role, User
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import new_token, token_digest
from tracker.web.http.sessions import COOKIE

CODES = {422: "invalid", 404: "not_found", 403: "forbidden", 409: "conflict", 413: "too_large", 429: "too_many"}
_WRONG_FIELD = re.compile(r'id="([a-z_]+)-wrong"')

Row = TypeVar("Row", bound=SQLModel)


@dataclass
class Person:
    """Somebody with a browser that is signed in and a program that holds a token."""

    user: User
    browser: httpx.Client
    program: httpx.Client

    @property
    def id(self) -> int:
        assert self.user.id is not None
        return self.user.id

    def api(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.program.request(method, f"/api/v1{path}", json=body)


@dataclass
class Workspace:
    """Alice is an administrator, Bob a member."""

    context: AppContext
    url: str
    inkling: Inkling
    clients: list[httpx.Client] = field(default_factory=list)

    def person(self, name: str, **facts: Any) -> Person:
        token = new_token()
        with self.context.database.session_scope() as session:
            user = User(email=f"{name.lower()}@example.com", name=name, password_hash=password_hash(), **facts)
            session.add(user)
            session.flush()
            session.add(ApiToken(user_id=user.id or 0, name="test", token_digest=token_digest(token)))
        browser = self._client()
        browser.cookies.set(COOKIE, session_token(self.context, user))
        program = self._client()
        program.headers["Authorization"] = f"Bearer {token}"
        return Person(user, browser, program)

    def visitor(self) -> httpx.Client:
        """The browser of somebody who is not signed in."""
        return self._client()

    def _client(self) -> httpx.Client:
        client = httpx.Client(base_url=self.url, verify=PLAIN, timeout=TIMEOUT)
        self.clients.append(client)
        return client

    def read(self, row: Row) -> Row:
        """The row as it is stored now."""
        with self.context.database.reading() as session:
            return session.get_one(type(row), row.id)  # type: ignore[attr-defined]

    def rows(self, table: type[Row], **values: Any) -> list[Row]:
        with self.context.database.reading() as session:
            return list(session.exec(select(table).filter_by(**values)))

    def recipient(self, address: str, name: str = "", **facts: Any) -> Recipient:
        with self.context.database.session_scope() as session:
            recipient = find_or_make(session, address, name)
            for column, value in facts.items():
                setattr(recipient, column, value)
            session.add(recipient)
        return recipient

    def message(self, owner: Person, to: str = "luc@example.org", **facts: Any) -> Message:
        """A message that was sent with one tracked copy."""
        moment = now()
        with self.context.database.session_scope() as session:
            columns = {"state": "sent", "sent_at": moment, "listed_at": moment, "opens_tracked": 1, **facts}
            message = Message(user_id=owner.id, message_id=f"<{new_token()}@example.com>", subject="Offer", **columns)
            recipient = find_or_make(session, to)
            session.add_all([message, recipient])
            session.flush()
            session.add(_copy(message, recipient))
        return message

    def session(self) -> Session:
        return Session(self.context.database.engine)

    def announced(self, owner: Person) -> list[tuple[str, str]]:
        """The hints for the person's open pages, oldest first."""
        with self.context.database.reading() as session:
            hints = session.exec(select(FeedItem).where(FeedItem.user_id == owner.id).order_by(col(FeedItem.id)))
            return [(hint.kind, hint.subject) for hint in hints]


def _copy(message: Message, recipient: Recipient) -> Delivery:
    assert message.id is not None
    assert recipient.id is not None
    return Delivery(
        message_id=message.id,
        recipient_id=recipient.id,
        position=0,
        role="to",
        address=recipient.address,
        opens_on=True,
        opens_rule="granted",
        clicks_rule="unknown",
        status="accepted",
        accepted_at=message.sent_at,
    )


def refusal(answer: httpx.Response) -> tuple[str, list[str]]:
    """The code of a refusal and the fields it names, of a page or of the API."""
    code = CODES[answer.status_code]
    if answer.headers["content-type"].startswith("application/problem+json"):
        return code, [error["field"] for error in answer.json()["errors"]]
    return code, [name for name in _WRONG_FIELD.findall(answer.text) if name]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    data = tmp_path / "data"
    with opened_context(data) as context, server(context) as url:
        workspace = Workspace(context, url, Inkling(tmp_path))
        yield workspace
        for client in workspace.clients:
            client.close()


@pytest.fixture
def alice(workspace: Workspace) -> Person:
    return workspace.person("Alice", role=Role.ADMIN)


@pytest.fixture
def bob(workspace: Workspace) -> Person:
    return workspace.person("Bob")
