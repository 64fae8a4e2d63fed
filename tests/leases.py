"""Leases from outside: held by somebody else, and who holds what."""

from dataclasses import replace
from datetime import timedelta
from secrets import token_hex

from sqlmodel import Session

from tracker.runtime.context import House
from tracker.runtime.database import now
from tracker.runtime.lease import Lease, Leases


def hold(house: House, kind: str, subject: object, seconds: float = 300.0, process: str = "elsewhere") -> None:
    """Another process holds the subject from now on, whoever did before."""
    with house.database.session_scope() as session:
        hold_in(session, kind, subject, seconds, process)


def hold_in(session: Session, kind: str, subject: object, seconds: float = 300.0, process: str = "elsewhere") -> None:
    until = now() + timedelta(seconds=seconds)
    session.merge(Lease(kind=kind, subject=str(subject), token=token_hex(8), process=process, until=until))


def holder(house: House, kind: str, subject: object) -> str | None:
    """The process that holds the subject now."""
    with house.database.reading() as session:
        lease = session.get(Lease, (kind, str(subject)))
        return lease.process if lease is not None and lease.until > now() else None


def free(house: House, kind: str, subject: object) -> None:
    with house.database.session_scope() as session:
        lease = session.get(Lease, (kind, str(subject)))
        if lease is not None:
            session.delete(lease)


def other_process(house: House, name: str = "another") -> House:
    """The same house as another process has it: what it claims is its own."""
    return replace(house, leases=Leases(name))
