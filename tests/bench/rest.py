"""Prints what an idle installation costs: `python -m tests.bench.rest [--seconds N]`. Figures, never asserted.

A real `inkling serve` with a hundred mailboxes that are listened to and an open page; nothing happens. Share of one core, switches
to a thread, and transactions that write; then how long an event takes to its effect (:mod:`tests.bench.effects`).
"""

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from tests.bench.effects import effects
from tests.bench.figures import add_figure
from tests.fixtures.contexts import PASSWORD, People, migrate_postgresql, opened_context
from tests.inbound.idle.world import IDLING
from tests.inbound.mail_world import checked, fresh_address, mailbox_on
from tests.servers import postgresql
from tests.servers.nasty import NastyImap, nasty_imap
from tests.servers.processes import free_port, wait_until
from tracker.consent.preferences import set_preference
from tracker.models import User
from tracker.runtime.context import AppContext

MAILBOXES = 100
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--mailboxes", type=int, default=MAILBOXES)
    words = parser.parse_args()
    print(f"{words.mailboxes} mailboxes listened to, one open page, {words.seconds} s\n")
    print("| | share of one core | switches/s | transactions that write |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="inkling-bench-") as folder:
        measure("SQLite", Path(folder), None, words)
    with tempfile.TemporaryDirectory(prefix="inkling-bench-") as folder, postgresql() as cluster:
        measure("PostgreSQL", Path(folder), cluster.fresh_database(migrate_postgresql), words)


def measure(engine: str, folder: Path, url: str | None, words: argparse.Namespace) -> None:
    seconds: int = words.seconds
    with opened_context(folder, url) as context, nasty_imap(capabilities=IDLING) as server:
        user = _connect(context, server, words.mailboxes)
        with _serving(context) as (process, address), _open_page(address, user):
            wait_until(lambda: len(server.idling) == words.mailboxes, 300)
            time.sleep(20)
            before = _spent(process)
            commits = _commits(context, seconds)
            after = _spent(process)
            cpu, switches = (later - sooner for later, sooner in zip(after, before, strict=True))
            add_figure(f"At rest, {engine}", 100 * cpu / seconds, "% of a core", at_most=1)
            add_figure(f"At rest, {engine}: transactions that write in {seconds} s", commits)
            print(
                f"| {engine} | {100 * cpu / seconds:.2f} % | {switches / seconds:.0f} | {commits} |",
                flush=True,
            )
            print("", *effects(context, engine, user, server, address), sep="\n", flush=True)


def _connect(context: AppContext, server: NastyImap, mailboxes: int) -> User:
    user = People(context).user()
    with context.database.session_scope() as session:
        set_preference(session, "mailbox_limit", 1000)
    for _ in range(mailboxes):
        post = mailbox_on(context, user, server, fresh_address())
        assert checked(post) == "active"
        post.sync()
    return user


@contextmanager
def _serving(context: AppContext) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "INKLING_DATA_DIR": str(context.settings.data_dir),
        "INKLING_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8",
        "INKLING_SECRET_KEYS": ",".join(context.keyring.keys),
        "LOGLEVEL": "ERROR",
        **({} if context.database.is_sqlite else {"INKLING_DATABASE_URL": context.settings.database_url}),
    }
    command = [sys.executable, "-m", "tracker", "serve", "--port", str(port), "--smtp-port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(address), 60)
        yield process, address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz").status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def _open_page(address: str, user: User) -> Iterator[None]:
    """The feed of a person who is signed in, as a page holds it open."""
    with httpx.Client(base_url=address, timeout=None, headers={"Origin": address}) as client:
        client.post("/sign-in", data={"email": user.email, "password": PASSWORD})
        with client.stream("GET", "/feed") as answer:
            assert answer.status_code == 200
            yield


def _spent(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Seconds of processor, and voluntary switches of all threads."""
    folder = Path(f"/proc/{process.pid}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    statuses = [(task / "status").read_text() for task in (folder / "task").iterdir()]
    switches = sum(int(s.partition("voluntary_ctxt_switches:")[2].split()[0]) for s in statuses)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), switches


def _commits(context: AppContext, seconds: float) -> int:
    """How many transactions wrote in so many seconds."""
    if context.database.is_sqlite:
        with closing(sqlite3.connect(context.settings.data_dir / "inkling.sqlite3")) as watching:
            return _changes(watching, seconds)
    before = _transaction_number(context)
    time.sleep(seconds)
    return _transaction_number(context) - before


def _changes(watching: sqlite3.Connection, seconds: float) -> int:
    changes, until = 0, time.monotonic() + seconds
    (last,) = watching.execute("PRAGMA data_version").fetchone()
    while time.monotonic() < until:
        time.sleep(0.005)
        (version,) = watching.execute("PRAGMA data_version").fetchone()
        changes, last = changes + (version != last), version
    return changes


def _transaction_number(context: AppContext) -> int:
    """PostgreSQL numbers the transactions that write."""
    with context.database.engine.connect() as connection:
        sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        return int(connection.exec_driver_sql(sql).scalar_one())


if __name__ == "__main__":
    main()
