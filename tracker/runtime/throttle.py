"""Pauses between tries of a secret: nobody is ever locked out, and whoever guesses waits longer after every try.

What is counted is a subject, such as an account together with where the tries come from. So many tries of it are free; from then
on each must wait twice as long as the one before, up to :data:`LONGEST_PAUSE`. A quarter of an hour without a try forgets them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, Session, SQLModel, select

from tracker.runtime.context import AppContext
from tracker.runtime.database import UtcDateTime, now
from tracker.runtime.localized_text import ActionError, LocalizedText

FORGOTTEN_AFTER = timedelta(minutes=15)
FIRST_PAUSE = 4
LONGEST_PAUSE = 32
"""Seconds: 2,700 tries a day, which finds no password that is taken, and a wait that a person sits out."""


class SignInFailure(SQLModel, table=True):
    """Wrong tries of one subject since it was last left alone. ``subject`` is a keyed digest."""

    __tablename__ = "sign_in_failure"

    subject: str = Field(primary_key=True, max_length=64)
    failures: int = 0
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
    """When it was tried last."""


_FAILURE: Table = SignInFailure.__table__  # type: ignore[attr-defined]


def count_try(context: AppContext, free_tries: Mapping[str, int]) -> None:
    """Counts a try of every subject, before it is known whether it succeeds, so that many at once are no way around.

    ``free_tries`` says of each subject how many go without a pause. Raises :class:`ActionError` ``too_many`` while one of them
    has to pause; such a try is not counted, so that waiting helps.
    """
    moment = now()
    with context.database.session_scope() as session:
        rows = [(_held_row(session, digest, moment), free) for digest, free in _by_digest(context, free_tries)]
        wait = max(_seconds_to_wait(row, free, moment) for row, free in rows)
        if wait > 0:
            raise _too_many(ceil(wait))
        for row, _free in rows:
            row.failures, row.at = row.failures + 1, moment


def uncount_try(context: AppContext, free_tries: Mapping[str, int], forget: str = "") -> None:
    """The try that was counted last has succeeded; all tries of the subject ``forget`` are forgotten with it."""
    with context.database.session_scope() as session:
        for digest, _free in _by_digest(context, free_tries):
            row = session.exec(select(SignInFailure).where(SignInFailure.subject == digest).with_for_update()).first()
            if row is not None:
                is_forgotten = bool(forget) and digest == context.keyring.digest(forget)
                row.failures = 0 if is_forgotten else max(0, row.failures - 1)


def network_of(address: str | None) -> str:
    """What counts as one source: an address, or of IPv6 the network that one customer has (RFC 6177)."""
    try:
        ip = ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    return str(ip_network(f"{ip}/64", strict=False)) if ip.version == 6 else str(ip)


def _by_digest(context: AppContext, free_tries: Mapping[str, int]) -> list[tuple[str, int]]:
    """In the order in which every process locks them."""
    return sorted((context.keyring.digest(subject), free) for subject, free in free_tries.items())


def _held_row(session: Session, digest: str, moment: datetime) -> SignInFailure:
    """The subject's row, which nobody else changes before the transaction ends."""
    dialect: Any = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    new = dialect.insert(_FAILURE).values(subject=digest, failures=0, at=moment)
    session.connection().execute(new.on_conflict_do_nothing())
    row = session.exec(select(SignInFailure).where(SignInFailure.subject == digest).with_for_update()).one()
    # A time to come was written by a clock that ran ahead.
    if row.at < moment - FORGOTTEN_AFTER or row.at > moment + timedelta(seconds=LONGEST_PAUSE):
        row.failures = 0
    return row


def _seconds_to_wait(row: SignInFailure, free: int, moment: datetime) -> float:
    over = row.failures - free
    pause = min(FIRST_PAUSE * 2.0 ** min(over, 16), LONGEST_PAUSE) if over >= 0 else 0.0
    return min(pause, pause - (moment - row.at).total_seconds())


def _too_many(seconds: int) -> ActionError:
    text = LocalizedText("Too many attempts. Try again in %(seconds)s seconds.", seconds=seconds)
    return ActionError("too_many", text, retry_after=seconds)
