"""Two worker processes on PostgreSQL and a mail server that takes longer over a copy than a lease lasts: no copy is handed over
twice, and what a worker hears too late is not written down. The lease is made shorter instead of the server slower."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlmodel import select, update

from tests.fixtures.contexts import People, database_of, opened_context
from tests.servers import smtp_sink, wait_until
from tests.servers.forked_python import start_python
from tests.servers.processes import end
from tracker.models import Account, Delivery
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import Lease

_WORKER = """
import sys
from datetime import timedelta
from tracker import worker
from tracker.__main__ import main
from tracker.runtime import lease

lease.DURATION, lease.RENEWED_EVERY, worker.HEARTBEAT = (timedelta(seconds=s) for s in (3, 0.5, 0.5))
for claim in (lease.Leases.claim, lease.Leases.claim_many):
    claim.__kwdefaults__["duration"] = lease.DURATION
sys.exit(main(["worker"]))
"""
TAKEN_OVER = "another worker has taken it over"


@pytest.fixture(params=["postgresql"])
def context(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AppContext]:
    with database_of(request) as url, opened_context(tmp_path, url) as made:
        yield made


@contextmanager
def worker(context: AppContext, name: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """A worker process, and the file of what it says."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("INKLING_")},
        "INKLING_DATA_DIR": str(context.settings.data_dir),
        "INKLING_DATABASE_URL": context.settings.database_url,
        "INKLING_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8",
    }
    said = context.settings.data_dir / f"{name}.log"
    with said.open("wb") as log:
        process = start_python(["-c", _WORKER], env=environ, stdout=log, stderr=log)
    try:
        yield process, said
    finally:
        process.send_signal(signal.SIGCONT)
        end(process, signal.SIGTERM)


def statuses(context: AppContext) -> dict[str, tuple[str, int]]:
    with context.database.reading() as session:
        return {d.address: (d.status, d.tries) for d in session.exec(select(Delivery))}


def is_leased(context: AppContext) -> bool:
    """Is a lease of anybody's still good? Whoever starts then takes over; whoever runs looks again within a minute."""
    with context.database.reading() as session:
        return session.exec(select(Lease).where(Lease.until > now())).first() is not None


def test_a_copy_takes_longer_than_the_lease_and_is_handed_over_once(context: AppContext) -> None:
    people = People(context)
    with smtp_sink(delay={"MAIL": 1.2, "RCPT": 1.2, "DATA": 1.2}) as sink:
        alice = people.user()
        people.account(alice, sink)
        people.send(alice, "anna@client.example", "boris@client.example")
        with worker(context, "first"), worker(context, "second"):
            wait_until(lambda: {status for status, _ in statuses(context).values()} == {"accepted"}, 60)
        assert sorted(a.recipients[0] for a in sink.accepted) == sorted(statuses(context))
        assert sink.commands["DATA"] == 2


def test_a_worker_that_stood_still_hands_nothing_over_and_writes_nothing_down(context: AppContext) -> None:
    people = People(context)
    with smtp_sink(delay={"MAIL": 60}) as sink, smtp_sink() as other:
        alice = people.user()
        people.account(alice, sink)
        people.send(alice, "anna@client.example")
        with worker(context, "first") as (first, said):
            wait_until(lambda: sink.commands["MAIL"] == 1)
            first.send_signal(signal.SIGSTOP)  # between envelope and content
            sink.rules.delay.clear()
            wait_until(lambda: not is_leased(context))
            with worker(context, "second"):
                wait_until(lambda: statuses(context)["anna@client.example"] == ("accepted", 1))
            first.send_signal(signal.SIGCONT)
            wait_until(lambda: said.read_text().count(TAKEN_OVER) == 1)
            assert len(sink.accepted) == 1
            assert sink.commands["DATA"] == 1

            sink.rules.delay, sink.rules.refuse_content = {"DATA": 60}, "451 4.7.1 Try again later"
            people.send(alice, "boris@client.example")
            wait_until(lambda: sink.commands["DATA"] == 2)
            first.send_signal(signal.SIGSTOP)  # between content and answer
            sink.rules.delay.clear()
            with context.database.session_scope() as session:
                session.exec(update(Account).values(smtp_port=other.port))
            wait_until(lambda: not is_leased(context))
            with worker(context, "third"):
                wait_until(lambda: statuses(context)["boris@client.example"] == ("accepted", 1))
            first.send_signal(signal.SIGCONT)
            wait_until(lambda: said.read_text().count(TAKEN_OVER) == 2)
        assert len(other.accepted) == 1
        assert statuses(context)["boris@client.example"] == ("accepted", 1)
