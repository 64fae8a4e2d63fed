"""Wired houses on really migrated databases, SQLite and PostgreSQL alike, and the people in them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from sqlalchemy import Dialect
from sqlalchemy.util import LRUCache

from tests.servers import Postgresql, SmtpSink
from tracker.consent.ledger import record_consent
from tracker.consent.rules import MEASURED, Proof, Purpose, State
from tracker.mail.account_servers import set_secret
from tracker.mail.addresses import Mailbox
from tracker.models import Account, Message, User
from tracker.outbound.draft import Draft
from tracker.outbound.send import accept
from tracker.recipients import find_or_make
from tracker.runtime.context import House, open_house
from tracker.runtime.database import Database, now
from tracker.runtime.keyring import hash_password
from tracker.runtime.settings import read_settings

ENGINES = ("sqlite", "postgresql")
PASSWORD = "correct horse battery"


@contextmanager
def opened_house(folder: Path, url: str | None = None, **settings: str) -> Iterator[House]:
    """A migrated house in ``folder``; ``settings`` without their INKLING_ prefix."""
    environ = {
        "INKLING_DATA_DIR": str(folder),
        "INKLING_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8,::1",
        **{f"INKLING_{name}": value for name, value in settings.items()},
    }
    if url is not None:
        environ["INKLING_DATABASE_URL"] = url
    house = open_house(read_settings(environ, dotenv=None))
    try:
        if house.database.is_sqlite:
            house.database.close()
            shutil.copyfile(_migrated_sqlite(), folder / "inkling.sqlite3")
        _stand_as_before(house.database)
        yield house
    finally:
        house.database.close()


@dataclass
class _Standing:
    """What a house that stands for long has got of SQLAlchemy: it compiles each statement once."""

    dialect: Dialect
    compiled: LRUCache[Any, Any]


_standing: dict[str, _Standing] = {}


def _stand(database: Database) -> None:
    """The next houses on this make of database are as if this one, which has been connected, still stood."""
    dialect = database.engine.dialect
    _standing.setdefault(dialect.name, _Standing(dialect, LRUCache(2000)))


def _stand_as_before(database: Database) -> None:
    """The houses of the tests are many and short-lived: compiling their statements took half of their time."""
    standing = _standing.get(database.engine.dialect.name)
    if standing is None:
        return
    for engine in (database.engine, database._reading):
        engine.dialect = standing.dialect
        engine.update_execution_options(compiled_cache=standing.compiled)


@cache
def _migrated_sqlite() -> Path:
    folder = Path(mkdtemp(prefix="inkling-template-"))
    house = open_house(read_settings({"INKLING_DATA_DIR": str(folder)}, dotenv=None))
    house.database.migrate()
    _stand(house.database)
    house.database.close()
    return folder / "inkling.sqlite3"


def migrate_postgresql(url: str) -> None:
    """Brings an empty PostgreSQL database to the newest revision."""
    folder = mkdtemp(prefix="inkling-template-")
    house = open_house(read_settings({"INKLING_DATA_DIR": folder, "INKLING_DATABASE_URL": url}, dotenv=None))
    house.database.migrate()
    _stand(house.database)
    house.database.close()


@pytest.fixture(params=ENGINES)
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A house of this test's own, once on each engine; verdict windows are 100 times shorter."""
    with database_of(request) as url, opened_house(tmp_path, url, WINDOW_SCALE="0.01") as made:
        yield made


@contextmanager
def database_of(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The URL of a migrated database for as long as a test lasts, by the engine in its parameter; None is SQLite's file."""
    if request.param == "sqlite":
        yield None
        return
    cluster: Postgresql = request.getfixturevalue("postgresql")
    url = cluster.fresh_database(migrate_postgresql)
    try:
        yield url
    finally:
        cluster.drop(url)


@dataclass
class People:
    """Makes people, their accounts, and what recipients agreed to."""

    house: House

    def user(self, name: str = "Alice", role: str = "member") -> User:
        with self.house.database.session_scope() as session:
            user = User(
                email=f"{name.lower()}@seller.example", name=name, role=role, password_hash=_hash(), undo_seconds=0
            )
            session.add(user)
        return user

    def account(self, user: User, sink: SmtpSink, **more: object) -> Account:
        """An account that submits to ``sink``; ``more`` are columns."""
        assert user.id is not None
        facts: dict[str, Any] = {
            "address": user.email,
            "name": user.name,
            "smtp_host": sink.host,
            "smtp_port": sink.port,
            "smtp_security": "none",
            "confirmed_at": now(),
            **more,
        }
        with self.house.database.session_scope() as session:
            account = Account(user_id=user.id, **facts)
            if sink.rules.login:
                account.smtp_login = sink.rules.login
                set_secret(self.house, account, "smtp", sink.rules.secret)
            session.add(account)
        return account

    def grant(self, address: str, *purposes: Purpose, name: str = "") -> None:
        """The recipient agreed, to both purposes unless told otherwise."""
        self.consent(address, State.GRANTED, *purposes, name=name)

    def consent(self, address: str, state: State, *purposes: Purpose, name: str = "") -> None:
        with self.house.database.session_scope() as session:
            recipient = find_or_make(session, address, name)
            session.flush()
            for purpose in purposes or MEASURED:
                record_consent(
                    session,
                    recipient,
                    purpose,
                    state,
                    actor="subject",
                    channel="web_form",
                    proof=Proof(note="ticked both boxes"),
                )

    def send(self, user: User, *to: str, html: str | None = None, subject: str = "Offer 12", **more: object) -> Message:
        """Accepts a message into the queue."""
        draft = Draft(to=tuple(Mailbox(address) for address in to), subject=subject, html=html or HTML, **more)  # type: ignore[arg-type]
        with self.house.database.session_scope() as session:
            return accept(session, self.house, session.get_one(User, user.id), draft)


HTML = """<html><body>
<p>Dear client, here is <a href="https://shop.example/offer?a=1&amp;b=2">the offer</a>
and <a href='https://shop.example/terms'>the terms</a>.</p>
</body></html>"""


@cache
def _hash() -> str:
    return hash_password(PASSWORD)


@pytest.fixture
def people(house: House) -> People:
    return People(house)
