"""Leases: one holder at a time, told when another has taken over, prolonged together, free at once when the process is dead."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlmodel import select, update

from tracker.models import User
from tracker.runtime import processes
from tracker.runtime.context import House
from tracker.runtime.database import now
from tracker.runtime.lease import RENEWED_EVERY, HeldLease, Lease, Leases, is_free
from tracker.runtime.processes import Process


def claimed(house: House, leases: Leases, subject: object = 7) -> HeldLease | None:
    with house.database.session_scope() as session:
        return leases.claim(session, "letter", subject)


def expire(house: House) -> None:
    with house.database.session_scope() as session:
        session.exec(update(Lease).values(until=now() - timedelta(seconds=1)))


def held(house: House) -> dict[str, str]:
    with house.database.reading() as session:
        return {lease.subject: lease.process for lease in session.exec(select(Lease))}


def test_one_alone_holds_a_subject(house: House) -> None:
    ours, theirs = Leases("ours"), Leases("theirs")
    lease = claimed(house, ours)
    assert lease is not None
    assert claimed(house, theirs) is None
    assert claimed(house, ours) is None, "another claim of the same process is another holder"
    assert claimed(house, theirs, "8") is not None
    with house.database.session_scope() as session:
        assert ours.release(session, lease)
    assert held(house) == {"8": "theirs"}
    assert claimed(house, theirs) is not None


def test_whoever_was_away_too_long_is_told_and_takes_nothing_from_the_next(house: House) -> None:
    slow, next_one = Leases("slow"), Leases("next")
    lease = claimed(house, slow)
    assert lease is not None
    expire(house)
    taken = claimed(house, next_one)
    assert taken is not None
    with house.database.session_scope() as session:
        assert not slow.holds(session, lease)
        assert not slow.release(session, lease)
        assert next_one.holds(session, taken)
    assert held(house) == {"7": "next"}


def test_a_lease_that_ran_out_but_that_nobody_took_is_still_ours(house: House) -> None:
    leases = Leases("ours")
    lease = claimed(house, leases)
    assert lease is not None
    expire(house)
    with house.database.session_scope() as session:
        assert leases.holds(session, lease)
        assert leases.release(session, lease)


def test_a_claim_that_was_rolled_back_holds_nothing(house: House) -> None:
    leases = Leases("ours")
    try:
        with house.database.session_scope() as session:
            assert leases.claim(session, "letter", 7) is not None
            raise LookupError
    except LookupError:
        pass
    assert held(house) == {}
    assert claimed(house, Leases("theirs")) is not None


def test_all_of_a_process_are_prolonged_in_one_transaction(house: House) -> None:
    ours, theirs = Leases("ours"), Leases("theirs")
    for subject in range(5):
        claimed(house, ours, subject)
    claimed(house, theirs, 5)
    assert ours.renew(house.database) == 0, "they are fresh"
    ours._renewed_at -= RENEWED_EVERY.total_seconds()
    expire(house)
    assert ours.renew(house.database) == 5
    with house.database.reading() as session:
        valid = {lease.process for lease in session.exec(select(Lease)) if lease.until > now()}
    assert valid == {"ours"}


def test_a_lease_is_not_prolonged_for_ever(house: House) -> None:
    leases = Leases("ours")
    with house.database.session_scope() as session:
        leases.claim(session, "letter", 7, longest=timedelta(0))
    leases._renewed_at -= RENEWED_EVERY.total_seconds()
    assert leases.renew(house.database) == 0


def test_the_condition_of_being_free_knows_numbers_and_texts(house: House) -> None:
    with house.database.session_scope() as session:
        users = [User(email=f"{name}@seller.example", name=name) for name in ("a", "b")]
        session.add_all(users)
        session.flush()
        house.leases.claim(session, "digest", users[0].id)
        house.leases.claim(session, "name", "b")
        free = select(User.name).where(is_free("digest", User.id, now()))
        assert session.exec(free).all() == ["b"]
        assert session.exec(select(User.name).where(is_free("name", User.name, now()))).all() == ["a"]


@contextmanager
def other_process() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def add_process(house: House, name: str, number: int, *, place: str | None = None) -> None:
    with house.database.session_scope() as session:
        where = processes._place() if place is None else place
        started = processes._started(number) or 1
        session.add(Process(id=name, place=where, number=number, started=started))
    claimed(house, Leases(name), name)


def test_what_a_dead_process_held_is_free_at_the_next_start(house: House) -> None:
    with other_process() as number:
        add_process(house, "alive", number)
        with other_process() as other:
            add_process(house, "dead", other)
        add_process(house, "elsewhere", other, place="another machine")
        add_process(house, "unknown", other, place="")
        processes.register(house)
        assert held(house).keys() == {"alive", "elsewhere", "unknown"}
    with house.database.reading() as session:
        names = {process.id for process in session.exec(select(Process))}
    assert names == {"alive", "elsewhere", "unknown", house.leases.process}


def test_a_number_that_was_given_again_is_another_process(house: House) -> None:
    with other_process() as number:
        add_process(house, "before", number)
        with house.database.session_scope() as session:
            session.exec(update(Process).values(started=processes._started(number) + 1))  # type: ignore[operator]
        processes.register(house)
    assert held(house) == {}


def test_a_process_that_leaves_holds_nothing_any_more(house: House) -> None:
    processes.register(house)
    claimed(house, house.leases)
    processes.leave(house)
    assert held(house) == {}
    with house.database.reading() as session:
        assert session.exec(select(Process)).all() == []
