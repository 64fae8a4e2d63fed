"""How often somebody may try a password or a code: by what they try it on, and by where they try it from."""

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil

from sqlmodel import Session, col, delete, select
from starlette.requests import Request

from tracker.db import now
from tracker.house import House
from tracker.models import SignInFailure

WINDOW = timedelta(minutes=15)
PER_TARGET = 5
PER_SOURCE = 30


class TooMany(Exception):
    """No further attempt for some seconds."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    @property
    def minutes(self) -> int:
        return ceil(self.seconds / 60)


def attempt(house: House, request: Request, target: str) -> None:
    """Counts an attempt on ``target``. It counts before it is known whether it succeeds, so that many at once are no way around.

    Raises :class:`TooMany`; such an attempt is not counted, so that waiting helps.
    """
    subjects = ((_target(house, target), PER_TARGET), (_source(house, request), PER_SOURCE))
    with house.database.session_scope() as session:
        session.exec(delete(SignInFailure).where(col(SignInFailure.at) < now() - WINDOW))
        for subject, limit in subjects:
            _check(session, subject, limit)
        session.add_all(SignInFailure(subject=subject) for subject, _limit in subjects)


def succeeded(house: House, request: Request, target: str) -> None:
    """Forgets the attempts on ``target``, and this one of the source."""
    with house.database.session_scope() as session:
        session.exec(delete(SignInFailure).where(col(SignInFailure.subject) == _target(house, target)))
        mine = select(SignInFailure).where(SignInFailure.subject == _source(house, request))
        newest = session.exec(mine.order_by(col(SignInFailure.id).desc())).first()
        if newest is not None:
            session.delete(newest)


def _check(session: Session, subject: str, limit: int) -> None:
    statement = select(SignInFailure.at).where(SignInFailure.subject == subject, SignInFailure.at > now() - WINDOW)
    times = sorted(session.exec(statement))
    if len(times) >= limit:
        raise TooMany(_seconds_until(times[-limit] + WINDOW))


def _seconds_until(moment: datetime) -> int:
    return max(1, ceil((moment - now()).total_seconds()))


def _target(house: House, target: str) -> str:
    return house.ring.digest(f"attempt on {target}")


def _source(house: House, request: Request) -> str:
    """A single address, or of IPv6 the network that one customer has (RFC 6177)."""
    address = request.client.host if request.client else None
    if address is not None and ip_address(address).version == 6:
        address = str(ip_network(f"{address}/64", strict=False))
    return house.ring.digest(f"attempt from {address}")
