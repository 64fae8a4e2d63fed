"""How often a person may do something costly, and how often anybody may try a password or a code."""

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil
from threading import Lock

from sqlmodel import Session, col, delete, select
from starlette.requests import Request

from tracker.locale import N_
from tracker.models import SignInFailure, User
from tracker.runtime.context import House
from tracker.runtime.database import now
from tracker.runtime.sentences import ActionError, Sentence

WINDOW = timedelta(minutes=15)
PER_TARGET = 5
PER_SOURCE = 30


class RateLimiter:
    """At most ``most`` times in any ``per_seconds``, per person, in this process. ``sentence`` says so, with ``%(seconds)s``."""

    def __init__(
        self, most: int, per_seconds: float, sentence: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.most = most
        self.per_seconds = per_seconds
        self._sentence = sentence
        self._clock = clock
        self._times: dict[str, deque[float]] = {}
        self._lock = Lock()

    def take(self, user: User) -> None:
        """Counts one more. Raises :class:`ActionError` ``too_many``, which is not counted."""
        with self._lock:
            moment = self._clock()
            self._forget(moment)
            times = self._times.setdefault(user.public_id, deque())
            if len(times) >= self.most:
                wait = max(1, ceil(times[0] + self.per_seconds - moment))
                raise ActionError("too_many", Sentence(self._sentence, seconds=wait), retry_after=wait)
            times.append(moment)

    def _forget(self, moment: float) -> None:
        for name, times in list(self._times.items()):
            while times and times[0] <= moment - self.per_seconds:
                times.popleft()
            if not times:
                del self._times[name]


_TESTS = N_("Too many tests. Try again in %(seconds)s seconds.")
connection_tests = RateLimiter(10, 60, _TESTS)
"""Tests of accounts and mailboxes, and code mails: each opens connections to servers that the person names."""
test_mails = RateLimiter(5, 300, _TESTS)
test_mail_look_ups = RateLimiter(60, 300, _TESTS)
domain_look_ups = RateLimiter(20, 60, N_("Too many look-ups. Try again in %(seconds)s seconds."))
"""Each asks a dozen questions of DNS."""


def attempt(house: House, request: Request, target: str) -> None:
    """Counts an attempt on ``target``. It counts before it is known whether it succeeds, so that many at once are no way around.

    Raises :class:`ActionError` ``too_many``; such an attempt is not counted, so that waiting helps.
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
        raise _too_many_attempts(times[-limit] + WINDOW)


def _too_many_attempts(until: datetime) -> ActionError:
    seconds = max(1, ceil((until - now()).total_seconds()))
    minutes = ceil(seconds / 60)
    text = Sentence("Too many attempts. Try again in %(minutes)s minutes.", minutes=minutes)
    if minutes == 1:
        text = Sentence("Too many attempts. Try again in a minute.")
    return ActionError("too_many", text, retry_after=seconds)


def _target(house: House, target: str) -> str:
    return house.ring.digest(f"attempt on {target}")


def _source(house: House, request: Request) -> str:
    """A single address, or of IPv6 the network that one customer has (RFC 6177)."""
    address = request.client.host if request.client else None
    if address is not None and ip_address(address).version == 6:
        address = str(ip_network(f"{address}/64", strict=False))
    return house.ring.digest(f"attempt from {address}")
