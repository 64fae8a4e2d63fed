"""`inkling check`: settings, keys, database, spool, tracking host. Exit code 1 when something is wrong."""

import argparse
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from tracker.db import now
from tracker.house import House, open_house
from tracker.models import Account, Recipient, WorkerBeat
from tracker.recipients import broken_link, ledger
from tracker.settings import read_settings


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``ok`` None means: could not be looked at, or worth knowing."""

    what: str
    ok: bool | None
    text: str


def check(_words: argparse.Namespace) -> int:
    """Prints one line per finding."""
    settings = read_settings()
    house = open_house(settings)
    findings = [
        Finding("settings", True, f"data in {settings.data_dir}"),
        Finding("keys", True, f"{len(house.ring.keys)} in the ring"),
    ]
    for look in (_database, _consent, _accounts, _spool, _worker, _tracking_host):
        findings += _guarded(look, house)
    for finding in findings:
        mark = {True: "ok", False: "WRONG", None: "note"}[finding.ok]
        print(f"{mark:6}{finding.what}: {finding.text}")
    house.database.close()
    return 1 if any(finding.ok is False for finding in findings) else 0


def _guarded(look: Callable[[House], list[Finding]], house: House) -> list[Finding]:
    try:
        return look(house)
    except DBAPIError as error:
        return [Finding(look.__name__.strip("_"), False, " ".join(str(error.orig).split()))]


def _database(house: House) -> list[Finding]:
    here, newest = house.database.revision()
    if here is None:
        return [Finding("database", False, "is empty. Run: inkling migrate")]
    if here != newest:
        return [Finding("database", False, f"is at revision {here}, this version needs {newest}. Run: inkling migrate")]
    return [Finding("database", True, f"{'SQLite' if house.database.is_sqlite else 'PostgreSQL'}, revision {here}")]


def _consent(house: House) -> list[Finding]:
    with house.database.reading() as session:
        broken = [
            f"recipient {r.public_id}, entry {n}" for r in session.exec(select(Recipient)) if (n := _broken(session, r))
        ]
    if broken:
        return [Finding("consent ledger", False, f"was changed: {'; '.join(broken[:10])}")]
    return [Finding("consent ledger", True, "every chain is whole")]


def _broken(session: Session, recipient: Recipient) -> int | None:
    return broken_link(ledger(session, recipient))


def _accounts(house: House) -> list[Finding]:
    with house.database.reading() as session:
        accounts = session.exec(select(Account).where(col(Account.removed_at).is_(None))).all()
    return [Finding(f"account {a.address}", a.state != "broken", a.state_detail or a.state) for a in accounts]


def _spool(house: House) -> list[Finding]:
    path = house.settings.data_dir / "spool.sqlite3"
    if not path.is_file():
        return [Finding("spool", None, "none here yet; the edge makes it when it starts")]
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            waiting = connection.execute("SELECT count(*) FROM hit").fetchone()[0]
    except sqlite3.Error as error:
        return [Finding("spool", False, f"{path} cannot be read: {error}")]
    return [Finding("spool", True, f"{waiting} hits wait to be taken in")]


def _worker(house: House) -> list[Finding]:
    with house.database.reading() as session:
        beats = session.exec(select(WorkerBeat)).all()
    if not beats:
        return [Finding("worker", None, "has not run yet")]
    problems = [Finding(f"worker, {b.task}", False, b.problem) for b in beats if b.problem]
    age = (now() - max(b.at for b in beats)).total_seconds()
    return problems or [Finding("worker", True if age < 120 else None, f"last seen {age:.0f} seconds ago")]


def _tracking_host(house: House) -> list[Finding]:
    url = f"{house.settings.tracking_url}/o/check.gif"
    try:
        answer = httpx.get(url, timeout=5)
    except httpx.HTTPError as error:
        return [
            Finding("tracking host", False, f"{house.settings.tracking_url} does not answer ({type(error).__name__})")
        ]
    if answer.status_code != 200 or answer.headers.get("content-type") != "image/gif":
        return [
            Finding(
                "tracking host", False, f"{url} gives {answer.status_code}, not the pixel; is something in front of it?"
            )
        ]
    return [Finding("tracking host", True, house.settings.tracking_url)]
