"""Leases: one holder at a time, told when another has taken over, prolonged together, free at once when the process is dead."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select, update

from tests.servers.processes import unavailable
from tracker.models import User
from tracker.runtime import processes
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import RENEWED_EVERY, HeldLease, Lease, Leases, is_free
from tracker.runtime.processes import Process


def claimed(context: AppContext, leases: Leases, subject: object = 7) -> HeldLease | None:
    with context.database.session_scope() as session:
        return leases.claim(session, "letter", subject)


def expire(context: AppContext) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Lease).values(until=now() - timedelta(seconds=1)))


def held(context: AppContext) -> dict[str, str]:
    with context.database.reading() as session:
        return {lease.subject: lease.process for lease in session.exec(select(Lease))}


def test_one_alone_holds_a_subject(context: AppContext) -> None:
    ours, theirs = Leases("ours"), Leases("theirs")
    lease = claimed(context, ours)
    assert lease is not None
    assert claimed(context, theirs) is None
    assert claimed(context, ours) is None, "another claim of the same process is another holder"
    assert claimed(context, theirs, "8") is not None
    with context.database.session_scope() as session:
        assert ours.release(session, lease)
    assert held(context) == {"8": "theirs"}
    assert claimed(context, theirs) is not None


def test_whoever_was_away_too_long_is_told_and_takes_nothing_from_the_next(context: AppContext) -> None:
    slow, next_one = Leases("slow"), Leases("next")
    lease = claimed(context, slow)
    assert lease is not None
    expire(context)
    taken = claimed(context, next_one)
    assert taken is not None
    with context.database.session_scope() as session:
        assert not slow.holds(session, lease)
        assert not slow.release(session, lease)
        assert next_one.holds(session, taken)
    assert held(context) == {"7": "next"}


def test_a_lease_that_ran_out_but_that_nobody_took_is_still_ours(context: AppContext) -> None:
    leases = Leases("ours")
    lease = claimed(context, leases)
    assert lease is not None
    expire(context)
    with context.database.session_scope() as session:
        assert leases.holds(session, lease)
        assert leases.release(session, lease)


def test_a_claim_that_was_rolled_back_holds_nothing(context: AppContext) -> None:
    leases = Leases("ours")
    try:
        with context.database.session_scope() as session:
            assert leases.claim(session, "letter", 7) is not None
            raise LookupError
    except LookupError:
        pass
    assert held(context) == {}
    assert claimed(context, Leases("theirs")) is not None


def test_all_of_a_process_are_prolonged_in_one_transaction(context: AppContext) -> None:
    ours, theirs = Leases("ours"), Leases("theirs")
    for subject in range(5):
        claimed(context, ours, subject)
    claimed(context, theirs, 5)
    assert ours.renew(context.database) == 0, "they are fresh"
    ours._renewed_at -= RENEWED_EVERY.total_seconds()
    expire(context)
    assert ours.renew(context.database) == 5
    with context.database.reading() as session:
        valid = {lease.process for lease in session.exec(select(Lease)) if lease.until > now()}
    assert valid == {"ours"}


def test_a_lease_is_not_prolonged_for_ever(context: AppContext) -> None:
    leases = Leases("ours")
    with context.database.session_scope() as session:
        leases.claim(session, "letter", 7, longest=timedelta(0))
    leases._renewed_at -= RENEWED_EVERY.total_seconds()
    assert leases.renew(context.database) == 0


def test_the_condition_of_being_free_knows_numbers_and_texts(context: AppContext) -> None:
    with context.database.session_scope() as session:
        users = [User(email=f"{name}@seller.example", name=name) for name in ("a", "b")]
        session.add_all(users)
        session.flush()
        context.leases.claim(session, "digest", users[0].id)
        context.leases.claim(session, "name", "b")
        free = select(User.name).where(is_free("digest", User.id, now()))
        assert session.exec(free).all() == ["b"]
        assert session.exec(select(User.name).where(is_free("name", User.name, now()))).all() == ["a"]


@contextmanager
def other_process() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def add_process(context: AppContext, name: str, number: int, *, place: str | None = None) -> None:
    with context.database.session_scope() as session:
        where = processes._place() if place is None else place
        started = processes._started(number) or 1
        session.add(Process(id=name, place=where, number=number, started=started))
    claimed(context, Leases(name), name)


def test_what_a_dead_process_held_is_free_at_the_next_start(context: AppContext) -> None:
    with other_process() as number:
        add_process(context, "alive", number)
        with other_process() as other:
            add_process(context, "dead", other)
        add_process(context, "elsewhere", other, place="another machine")
        add_process(context, "unknown", other, place="")
        processes.register(context)
        assert held(context).keys() == {"alive", "elsewhere", "unknown"}
    with context.database.reading() as session:
        names = {process.id for process in session.exec(select(Process))}
    assert names == {"alive", "elsewhere", "unknown", context.leases.process}


def test_a_process_that_may_not_be_seen_is_not_dead(
    context: AppContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under ``ProtectProc=invisible``, where /proc has nobody else's processes."""
    for name in ("sys/kernel/random/boot_id", "self/ns/pid"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("here")
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    with other_process() as number:
        add_process(context, "unseen", number)
        add_process(context, "of somebody else", 1)
        with other_process() as other:
            add_process(context, "dead", other)
        processes.register(context)
    assert held(context).keys() == {"unseen", "of somebody else"}


_CONTAINED = """
import json, os, socket, sys
from tracker.runtime import processes
from tracker.runtime.context import create_context
from tracker.runtime.settings import read_settings

context = create_context(read_settings(json.loads(sys.argv[1]), dotenv=None))
processes.register(context)
with context.database.session_scope() as session:
    context.leases.claim(session, "letter", sys.argv[2])
print(socket.gethostname(), os.getpid(), flush=True)
input()
"""
_AS_IN_A_CONTAINER = ["unshare", "--fork", "--pid", "--mount-proc", "--uts", "sh", "-c"]


@contextmanager
def containers(context: AppContext, *subjects: str) -> Iterator[None]:
    """Processes that hold a lease each, in namespaces of their own: their numbers are 1, their hosts are called ``inkling``."""
    settings = json.dumps({"INKLING_DATA_DIR": str(context.settings.data_dir)})
    words = [*_AS_IN_A_CONTAINER, 'hostname inkling && exec "$@"', "sh", sys.executable, "-c", _CONTAINED, settings]
    root = Path(__file__).resolve().parents[2]
    started = [
        subprocess.Popen([*words, subject], cwd=root, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for subject in subjects
    ]
    try:
        assert [process.stdout.readline() for process in started if process.stdout] == ["inkling 1\n"] * len(subjects)
        yield
    finally:
        for process in started:
            process.communicate("\n", timeout=30)


@pytest.mark.parametrize("context", ["sqlite"], indirect=True)
def test_containers_of_one_name_and_number_free_nothing_of_each_other(context: AppContext) -> None:
    if subprocess.run([*_AS_IN_A_CONTAINER, "hostname inkling"], capture_output=True).returncode:
        unavailable("this user may make no namespaces")
    with containers(context, "first", "second"):
        assert held(context).keys() == {"first", "second"}
        processes.register(context)
        assert held(context).keys() == {"first", "second"}
    processes.register(context)
    assert held(context).keys() == {"first", "second"}, "of the dead elsewhere time alone tells"


def test_a_number_that_was_given_again_is_another_process(context: AppContext) -> None:
    with other_process() as number:
        add_process(context, "before", number)
        with context.database.session_scope() as session:
            session.exec(update(Process).values(started=processes._started(number) + 1))  # type: ignore[operator]
        processes.register(context)
    assert held(context) == {}


def test_a_process_that_leaves_holds_nothing_any_more(context: AppContext) -> None:
    processes.register(context)
    claimed(context, context.leases)
    processes.leave(context)
    assert held(context) == {}
    with context.database.reading() as session:
        assert session.exec(select(Process)).all() == []
