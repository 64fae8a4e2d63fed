"""The worker: tasks do not disturb each other, say that they live, end promptly, and take over from the dead."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from sqlmodel import col, select, update

from tests.fixtures.contexts import People
from tests.servers import SmtpSink, wait_until
from tests.servers.forked_python import start_python
from tests.servers.slow_smtp import dripping_smtp
from tests.web.letters_world import make_mailbox
from tracker.models import Delivery, Notice, Notification, User
from tracker.notifications.notify import add_notice
from tracker.outbound.account_pool import AccountPool
from tracker.outbound.queue import accounts_due, send_for_account
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import Lease
from tracker.runtime.processes import Process
from tracker.worker import ONCE, Task, Worker, pause, tasks


@contextmanager
def working(context: AppContext, *table: Task) -> Iterator[Worker]:
    worker = Worker(context, table)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def beats(context: AppContext) -> dict[str, str]:
    with context.database.reading() as session:
        return {task: text for process in session.exec(select(Process)) for task, text in process.tasks.items()}


def deliveries(context: AppContext) -> Sequence[Delivery]:
    with context.database.reading() as session:
        return session.exec(select(Delivery)).all()


def test_a_task_that_fails_stops_no_other(context: AppContext, caplog: pytest.LogCaptureFixture) -> None:
    calls = {"good": 0, "bad": 0}

    def good(_context: AppContext) -> int:
        calls["good"] += 1
        return 0

    def bad(_context: AppContext) -> int:
        calls["bad"] += 1
        raise LookupError("no such thing")

    with working(context, Task("good", good, 0.01), Task("bad", bad, 0.01)):
        wait_until(lambda: calls["good"] > 20 and calls["bad"] > 2)
        wait_until(lambda: beats(context) == {"good": "", "bad": "LookupError: no such thing"})
    assert beats(context) == {}, "a worker that has ended is not there any more"
    assert "bad failed: LookupError: no such thing" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_task_that_recovers_says_so_at_once(context: AppContext) -> None:
    """Not a minute later: until then `inkling check` would call it wrong."""
    failure = {"task": "LookupError: not yet"}
    recovered = threading.Event()

    def task(_context: AppContext) -> int:
        if beats(context) == failure:
            recovered.set()
        if not recovered.is_set():
            raise LookupError("not yet")
        return 0

    with working(context, Task("task", task, 0.01)):
        wait_until(lambda: recovered.is_set() and beats(context) == {"task": ""})


def test_a_long_problem_is_cut_to_what_the_beat_holds(context: AppContext) -> None:
    def task(_context: AppContext) -> int:
        raise LookupError("x" * 5000)

    with working(context, Task("t" * 100, task, 0.01)):
        wait_until(lambda: {(len(name), len(text)) for name, text in beats(context).items()} == {(64, 500)})


def test_work_that_is_left_is_done_without_a_pause(context: AppContext) -> None:
    left = list(range(200))

    def task(_context: AppContext) -> int:
        if left:
            left.pop()
            return 1
        return 0

    with working(context, Task("task", task, 3600.0)):
        wait_until(lambda: not left)


def test_pauses_grow_with_failures_and_end_growing() -> None:
    assert [pause(failures) for failures in range(1, 5)] == [0.5, 1.0, 2.0, 4.0]
    assert pause(20) == 60.0
    assert pause(5000) == 60.0, "after a night without a database"


def test_it_stops_promptly(context: AppContext) -> None:
    """In the midst of a pause of an hour, and after what was in hand is done."""
    begun, finish, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(_context: AppContext) -> int:
        begun.set()
        finish.wait(10)
        ended.set()
        return 1

    worker = Worker(context, [Task("idle", lambda _context: 0, 3600.0), Task("slow", slow, 3600.0)])
    worker.start()
    begun.wait(10)
    threading.Timer(0.1, finish.set).start()
    worker.stop()
    assert ended.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name in ("idle", "slow")]


def test_a_task_that_never_ends_does_not_hold_the_end_up(context: AppContext) -> None:
    finish = threading.Event()
    table = [Task(f"stuck {number}", lambda _context: int(finish.wait(20)), 3600.0) for number in range(3)]
    worker = Worker(context, table)
    worker.start()
    worker.stop(0.1)
    stuck = [thread for thread in threading.enumerate() if thread.name.startswith("stuck")]
    assert len(stuck) == 3
    assert all(thread.daemon for thread in stuck)
    worker.stop(0.1)
    finish.set()
    for thread in stuck:
        thread.join()


def test_the_table_of_tasks(context: AppContext) -> None:
    table = tasks(context)
    names = [task.what for task in table]
    assert len(set(names)) == len(names)
    assert {"drain local", "settle", "send", "sent copies", "sweep"} <= set(names)
    assert all(0 < task.period <= 3600 or task.period == ONCE for task in table)
    assert all(task.function(context) == 0 for task in table), "in an empty house there is nothing to do"
    for task in table:
        if task.end is not None:
            task.end(context, 1.0)


@contextmanager
def worker_process(context: AppContext) -> Iterator[subprocess.Popen[str]]:
    environ = {
        "PATH": os.environ["PATH"],
        "INKLING_DATA_DIR": str(context.settings.data_dir),
        "INKLING_DATABASE_URL": context.settings.database_url,
        "INKLING_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8",
    }
    process = start_python(["-W", "error", "-m", "tracker", "worker"], env=environ, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def leases(context: AppContext, kind: str = "delivery") -> Sequence[Lease]:
    with context.database.reading() as session:
        return session.exec(select(Lease).where(Lease.kind == kind)).all()


def test_killed_while_sending_the_next_one_sends(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    smtp_sink.rules.delay = {"DATA": 60}
    people.send(alice, "anna@client.example")
    with worker_process(context) as process:
        wait_until(lambda: leases(context))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    (held,) = leases(context)
    assert deliveries(context)[0].status == "queued"
    assert held.until > now() + timedelta(minutes=1), "without us it would wait for the end of the lease"
    smtp_sink.rules.delay = {}
    with worker_process(context):
        (accepted,) = smtp_sink.wait_for(1)
        wait_until(lambda: deliveries(context)[0].status == "accepted")
    assert accepted.recipients == ("anna@client.example",)
    assert len(smtp_sink.accepted) == 1
    assert not leases(context)


def sending(context: AppContext) -> Worker:
    pool = AccountPool(accounts_due, send_for_account)
    worker = Worker(context, [Task("send", pool, 0.1, watches=("delivery",), end=pool.end)])
    worker.start()
    return worker


def test_a_worker_that_ends_lets_the_message_in_hand_go_out(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    smtp_sink.rules.delay = {"DATA": 1}
    people.send(alice, "anna@client.example", "boris@client.example")
    worker = sending(context)
    wait_until(lambda: smtp_sink.commands["DATA"])
    worker.stop()
    assert sorted(d.status for d in deliveries(context)) == ["accepted", "queued"]
    assert not leases(context)


def test_a_worker_that_ends_cuts_what_takes_too_long_and_frees_it(
    context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    with dripping_smtp("MAIL") as server:
        people.account(alice, smtp_sink, smtp_port=server.port)
        people.send(alice, "anna@client.example")
        worker = sending(context)
        wait_until(lambda: leases(context))
        began = time.monotonic()
        worker.stop(2.0)
        assert time.monotonic() - began < 20
    (delivery,) = deliveries(context)
    assert (delivery.status, delivery.tries) == ("queued", 0)
    assert not leases(context)


@pytest.mark.parametrize("name", ["notices", "digest"])
def test_the_mail_server_of_one_person_keeps_nobody_elses_notices_and_digests_waiting(
    context: AppContext, people: People, smtp_sink: SmtpSink, name: str
) -> None:
    held, bob = people.user("Alice"), people.user("Bob")
    with dripping_smtp("MAIL") as server:
        people.account(held, smtp_sink, smtp_port=server.port, state="works")
        people.account(bob, smtp_sink, state="works")
        overdue = now() - timedelta(minutes=8)
        for minutes, person in ((1, held), (0, held), (-1, bob)):
            due_for(context, name, person, overdue - timedelta(minutes=minutes))
        (task,) = (task for task in tasks(context) if task.what == name)
        worker = Worker(context, [task])
        worker.start()
        wait_until(lambda: [message.recipients for message in smtp_sink.accepted] == [(bob.email,)])
        wait_until(lambda: len(leases(context, name.removesuffix("s"))) == 1)  # the other one still hangs
        worker.stop(1.0)
    with context.database.reading() as session:
        assert {n.problem for n in session.exec(select(Notice).where(Notice.user_id == held.id))} <= {""}
        assert session.get_one(User, held.id).digest_at in (None, overdue), "what we cut is due at once"


def due_for(context: AppContext, name: str, person: User, at: datetime) -> None:
    """A notice to be mailed or, with something to tell of, the digest."""
    assert person.id is not None
    if name == "notices":
        box = make_mailbox(context, person, f"box{at:%M}@{person.email}")
    with context.database.session_scope() as session:
        if name == "notices":
            add_notice(session, "broken", f"mailbox:{box.id}", person.id, box.id)
            session.exec(update(Notice).where(col(Notice.user_id) == person.id).values(due_at=at))
        else:
            session.add(Notification(user_id=person.id, kind="problem", subject=f"x:{at:%M}", first_at=at, at=at))
            user = session.get_one(User, person.id)
            user.digest_hour, user.digest_at, user.digest_since = 9, at, at - timedelta(hours=24)
