"""Accounts side by side: the trouble of one never delays the mail of another."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy import select as columns
from sqlmodel import Session, col, update

from tests.fixtures.contexts import People
from tests.servers import SmtpSink, wait_until
from tests.servers.slow_smtp import dripping_smtp
from tracker.mail import smtp_submission
from tracker.models import Account, Delivery, Message
from tracker.outbound.account_pool import AccountPool, WaitingAccount
from tracker.outbound.queue import _first_due, accounts_due, send_for_account
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown
from tracker.runtime.lease import Lease
from tracker.worker import Task, Worker


@contextmanager
def sending(context: AppContext, at_once: int = 8) -> Iterator[None]:
    pool = AccountPool(accounts_due, send_for_account, at_once)
    worker = Worker(context, [Task("send", pool, 0.1, watches=("delivery",), end=pool.end)])
    worker.start()
    try:
        yield
    finally:
        worker.stop(1.0)


def test_a_tarpit_delays_nobody_else(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice, bob = people.user("Alice"), people.user("Bob")
    with dripping_smtp("greeting") as tarpit:
        for number in range(4):
            people.account(alice, smtp_sink, smtp_port=tarpit.port, address=f"alice{number}@seller.example")
        people.send(alice, "anna@client.example")
        people.account(bob, smtp_sink)
        with sending(context):
            wait_until(lambda: tarpit.connections)
            people.send(bob, "boris@client.example")
            assert smtp_sink.wait_for(1)[0].recipients == ("boris@client.example",)


def test_a_tarpit_is_given_up_after_its_time_and_its_account_says_why(
    context: AppContext, people: People, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_submission, "OPENING_SECONDS", 0.5)
    monkeypatch.setattr("tracker.outbound.queue.OPENING_SECONDS", 0.5)
    alice = people.user()
    with dripping_smtp("greeting") as tarpit:
        account = people.account(alice, smtp_sink, smtp_port=tarpit.port)
        people.send(alice, "anna@client.example")
        with sending(context):
            wait_until(lambda: state_of(context, account) == "broken")


def state_of(context: AppContext, account: Account) -> str:
    with context.database.reading() as session:
        return session.get_one(Account, account.id).state


def test_a_million_copies_of_one_account_delay_no_other(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    """(As many as a test has time to make.)"""
    alice, bob = people.user("Alice"), people.user("Bob")
    people.account(alice, smtp_sink)
    message = people.send(alice, "anna@client.example")
    many(context, message, 20_000)
    people.account(bob, smtp_sink)
    context.database.learn(Delivery.__table__, Lease.__table__)  # type: ignore[attr-defined]
    with context.database.reading() as session:
        assert len(accounts_due(session, now())) == 1
        plan = _plan_of_looking(session)
    assert "ix_delivery_account_due" in plan
    assert not re.search(r"Rows Removed by Filter: \d{3}", plan), plan
    smtp_sink.rules.delay = {"MAIL": 0.05}
    with sending(context):
        smtp_sink.wait_for(1)
        before = len(smtp_sink.accepted)
        people.send(bob, "boris@client.example")
        wait_until(lambda: ("boris@client.example",) in [a.recipients for a in smtp_sink.accepted])
        assert len(smtp_sink.accepted) - before < 40


def many(context: AppContext, message: Message, number: int) -> None:
    with context.database.session_scope() as session:
        template = session.get_one(Delivery, 1).model_dump(exclude={"id", "public_id", "position"})
        rows = [{**template, "public_id": f"p{n:015}", "position": n} for n in range(1, number)]
        session.connection().execute(insert(Delivery), rows)


@pytest.mark.parametrize("same", ["host", "person"])
def test_two_places_for_a_host_and_for_a_person(context: AppContext, same: str) -> None:
    def account(number: int) -> WaitingAccount:
        host = "one" if same == "host" else f"host{number}"
        return WaitingAccount(number, 1 if same == "person" else number, host, False, now())

    with Turns(context, [account(number) for number in range(5)]) as turns:
        assert turns.started(2) == [0, 1]
        turns.finish(0)
        assert turns.started(3) == [0, 1, 2]


def test_accounts_in_trouble_never_hold_all_places(context: AppContext) -> None:
    broken = [WaitingAccount(number, number, f"host{number}", True, now()) for number in range(8)]
    works = WaitingAccount(9, 9, "works", False, now() + timedelta(seconds=1))
    with Turns(context, [*broken, works]) as turns:
        assert turns.started(5) == [0, 1, 2, 3, 9]


def test_whoever_has_waited_longest_comes_next(context: AppContext) -> None:
    moment = now()
    accounts = [WaitingAccount(n, n, f"host{n}", False, moment - timedelta(seconds=n)) for n in range(3)]
    with Turns(context, accounts, at_once=1) as turns:
        for number in (2, 1, 0, 2, 1):
            wait_until(lambda n=number: turns.order[-1:] == [n])  # type: ignore[misc]
            turns.finish(number)
        assert turns.order[:5] == [2, 1, 0, 2, 1]


class Turns:
    """A pool whose accounts always have something due; each turn lasts until the test ends it."""

    def __init__(self, context: AppContext, waiting: list[WaitingAccount], at_once: int = 8) -> None:
        self.order: list[int] = []
        self._finish = {account.account_id: threading.Semaphore(0) for account in waiting}
        self._over = False
        self._pool = AccountPool(lambda _session, _moment: waiting, self._serve, at_once)
        self._context = context

    def __enter__(self) -> "Turns":
        self._pool(self._context)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._pool._shutdown.request()
        for semaphore in self._finish.values():
            semaphore.release()
        self._pool.join(10)

    def _serve(self, _context: AppContext, account_id: int | None, _shutdown: Shutdown) -> int:
        assert account_id is not None
        self.order.append(account_id)
        self._finish[account_id].acquire()
        return 1

    def started(self, number: int) -> list[int]:
        wait_until(lambda: len(self.order) >= number)
        time.sleep(0.1)
        return sorted(self.order)

    def finish(self, account_id: int) -> None:
        self._finish[account_id].release()


def test_what_stops_a_turn_is_the_problem_of_the_task(context: AppContext) -> None:
    def broken(_context: AppContext, _account_id: int | None, _shutdown: Shutdown) -> int:
        raise LookupError("no such thing")

    pool = AccountPool(lambda _session, moment: [WaitingAccount(1, 1, "host", False, moment)], broken)
    pool(context)
    pool.join()
    with pytest.raises(LookupError):
        pool(context)


def test_looking_writes_nothing_while_another_process_holds_what_is_due(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.send(alice, "anna@client.example")
    with context.database.session_scope() as session:
        hold(session, context)
    with context.database.reading() as session:
        assert accounts_due(session, now()) == []
        later = now() + timedelta(days=1)
        assert len(accounts_due(session, later)) == 1


def _plan_of_looking(session: Session) -> str:
    statement, connection = columns(col(Account.id), _first_due(now())), session.connection()
    compiled = statement.compile(connection, compile_kwargs={"render_postcompile": True})
    explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN (ANALYZE)"
    facts: Any = compiled.construct_params()
    if connection.dialect.name == "sqlite":
        facts = tuple(facts[name] for name in compiled.positiontup or ())
    rows = connection.exec_driver_sql(f"{explain} {compiled}", facts)
    return "\n".join(str(row[-1]) for row in rows)


def hold(session: Session, context: AppContext) -> None:
    assert context.leases.claim(session, "delivery", 1) is not None
    session.exec(update(Lease).values(until=now() + timedelta(minutes=1)))
