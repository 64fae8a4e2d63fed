"""When a mailbox is due, who reads it, and what the end of a run makes of its state."""

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam
from sqlmodel import Session, col, select, update

from tracker.inbound.fetch.refusals import ServerRefusal
from tracker.inbound.mailboxes import set_state
from tracker.models import Credential, Mailbox, MailboxState
from tracker.models.counting.tables import MAILBOX
from tracker.notifications.notify import add_notice
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import HeldLease, held_subjects
from tracker.runtime.lease import is_free as lease_is_free

EVERY = timedelta(minutes=10)
JITTER = 30.0
LEASE = "mailbox"
AT_ONCE_PER_HOST = 2
AT_ONCE_PER_PERSON = 2
TROUBLED_AT_ONCE = 3
"""Mailboxes with trouble that are read at the same time by all workers together: their servers are waited for in vain."""
BACK_OFF = tuple(timedelta(minutes=m) for m in (1, 2, 5, 10, 30, 60))
TROUBLED_AFTER = 3
"""Failed runs in a row after which its person is sent word of it; the page says so at once. Lines drop at random."""
REFUSALS_APART = timedelta(minutes=10)
REFUSALS_BELIEVED = 2
"""Servers answer “invalid credentials” during troubles of their own."""
PROBE = timedelta(hours=6)
MOST_REFUSALS = 10
"""After so many the mailbox is left alone: a provider may lock the account."""
_BROKEN = frozenset({MailboxState.AUTH_ERROR, MailboxState.NEEDS_OAUTH, MailboxState.NO_CREDENTIALS,
                     MailboxState.FOLDER_MISSING, MailboxState.CONNECTION_ERROR})  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """A mailbox that is ours for a run. ``planned`` is when it was due."""

    mailbox_id: int
    lease: HeldLease
    host: str
    planned: datetime
    checking: bool


def claim_due(context: AppContext, resting: Collection[str] = ()) -> Claim | None:
    """The next mailbox that is due and free: see :func:`claim_many_due`."""
    return next(iter(claim_many_due(context, 1, resting)), None)


def claim_many_due(context: AppContext, most: int, resting: Collection[str] = ()) -> list[Claim]:
    """The next mailboxes that are due and free, at most one of a host, each held by a lease; none of ``resting`` hosts. Writes
    nothing in vain."""
    with context.database.reading() as session:
        following = _next_due(session, now(), most, resting)
    if not following:
        return []
    with context.database.session_scope() as session:
        leases = {int(lease.subject): lease for lease in context.leases.claim_many(session, LEASE, following)}
        started = session.connection().execute(_START, {"numbers": list(leases), "moment": now()}).all()
        due = {row.id: row for row in started}
        # the others were just read by another worker
        context.leases.release_many(session, [lease for number, lease in leases.items() if number not in due])
        return [
            Claim(number, leases[number], following[number], row.due_at, row.state == MailboxState.CHECKING)
            for number, row in ((number, due[number]) for number in following if number in due)
        ]


def others_wait(context: AppContext) -> bool:
    """Whether a mailbox that could be read now is due."""
    with context.database.reading() as session:
        return bool(_next_due(session, now(), 1))


def is_free(moment: datetime) -> ColumnElement[bool]:
    """No run holds the mailbox at this moment."""
    return lease_is_free(LEASE, col(Mailbox.id), moment)


_ANY = 2**31 - 1
# Statements are made once: making one costs more than running it.
_RUNNING = (
    select(Credential.host, Mailbox.user_id, Mailbox.failures)
    .join(Mailbox, col(Credential.id) == col(Mailbox.credential_id))
    .where(col(Mailbox.id).in_(bindparam("numbers", expanding=True)))
)
_START = (
    update(MAILBOX)
    .where(
        MAILBOX.c.id.in_(bindparam("numbers", expanding=True)),
        MAILBOX.c.due_at <= bindparam("moment"),
        MAILBOX.c.removed_at.is_(None),
    )
    .values(sync_wanted=False, run_started_at=bindparam("moment"), run_loaded=0)
    .returning(MAILBOX.c.id, MAILBOX.c.due_at, MAILBOX.c.state)
)
_FOLLOWING = (
    select(Mailbox.id, Credential.host, Mailbox.user_id, Mailbox.failures)
    .join(Credential, col(Credential.id) == col(Mailbox.credential_id))
    .where(
        *(col(Mailbox.due_at) <= bindparam("moment"), lease_is_free(LEASE, col(Mailbox.id), bindparam("moment"))),
        col(Mailbox.removed_at).is_(None),
        col(Credential.host).not_in(bindparam("hosts", expanding=True)),
        col(Mailbox.user_id).not_in(bindparam("people", expanding=True)),
        col(Mailbox.failures) <= bindparam("failures"),
    )
    .order_by(col(Mailbox.sync_wanted).desc(), col(Mailbox.due_at))
    .limit(bindparam("most"))
)


def being_read(session: Session) -> set[int]:
    """The mailboxes that runs hold now."""
    return {int(subject) for subject in held_subjects(session, LEASE)}


@dataclass
class _Places:
    """Who is read at one moment. A host, a person, and mailboxes in trouble have few places at once, so that a server that says
    little takes nobody else's."""

    resting: set[str]
    hosts: Counter[str] = field(default_factory=Counter)
    people: Counter[int] = field(default_factory=Counter)
    troubled: int = 0

    def take(self, row: Any) -> None:
        self.hosts[row.host] += 1
        self.people[row.user_id] += 1
        self.troubled += row.failures > 0

    def is_left_for(self, row: Any) -> bool:
        is_free = self.hosts[row.host] < AT_ONCE_PER_HOST and self.people[row.user_id] < AT_ONCE_PER_PERSON
        return is_free and row.host not in self.resting and row.failures <= self.most_failures

    @property
    def most_failures(self) -> int:
        return 0 if self.troubled >= TROUBLED_AT_ONCE else _ANY

    @property
    def full(self) -> dict[str, Any]:
        """What :data:`_FOLLOWING` leaves out."""
        hosts = self.resting.union(host for host, count in self.hosts.items() if count >= AT_ONCE_PER_HOST)
        people = [person for person, count in self.people.items() if count >= AT_ONCE_PER_PERSON]
        return {"hosts": list(hosts), "people": people, "failures": self.most_failures}


def _next_due(session: Session, moment: datetime, most: int, resting: Collection[str] = ()) -> dict[int, str]:
    """The mailboxes that wait longest, with their hosts, in order; before all others those that their people want read."""
    places, following = _Places(set(resting)), dict[int, str]()
    held = being_read(session)
    for running in session.connection().execute(_RUNNING, {"numbers": list(held)}) if held else ():
        places.take(running)
    rows_at_once = most if most == 1 else 4 * most
    while len(following) < most:
        asked = {"moment": moment, "most": rows_at_once, **places.full}
        rows = session.connection().execute(_FOLLOWING, asked).all()
        for row in rows:
            if len(following) < most and places.is_left_for(row):
                following[row.id] = row.host
                places.take(row)
                places.resting.add(row.host)
        if len(rows) < rows_at_once:
            break
    return following


def may_go_on(session: Session, context: AppContext, mailbox: Mailbox, lease: HeldLease) -> bool:
    """Whether the run may go on: the mailbox is still ours, and nobody switched it off."""
    return mailbox.active and mailbox.removed_at is None and context.leases.holds(session, lease)


def ended_well(mailbox: Mailbox, claim: Claim, session: Session, *, complete: bool) -> None:
    """The run had no error; ``complete`` unless its time was over before the letters were."""
    moment = now()
    if complete:
        mailbox.good_run_at = mailbox.run_started_at
    mailbox.failures = mailbox.login_failures = 0
    mailbox.login_failed_at, mailbox.run_problem = None, ""
    if mailbox.broken_at is not None:
        _tell(session, mailbox, "recovered")
        mailbox.broken_at = None
    set_state(mailbox, MailboxState.ACTIVE)
    _release(mailbox, next_run(claim.planned, moment) if complete else moment)


def ended_badly(mailbox: Mailbox, session: Session, refusal: ServerRefusal) -> None:
    """The run failed for the reason given: a later try, a new state, and a word to its person when that is what it needs."""
    moment = now()
    mailbox.run_problem = refusal.hint
    if refusal.state == MailboxState.AUTH_ERROR:
        due = _refused(mailbox, refusal, moment)
    else:
        mailbox.failures += 1
        due = moment + max(back_off(mailbox.failures), timedelta(seconds=refusal.wait))
        set_state(mailbox, refusal.state, refusal.hint)
        if refusal.state in (MailboxState.NEEDS_OAUTH, MailboxState.NO_CREDENTIALS):
            due = None
    believed = mailbox.state != MailboxState.CONNECTION_ERROR or mailbox.failures >= TROUBLED_AFTER
    if mailbox.state in _BROKEN and mailbox.broken_at is None and believed:
        mailbox.broken_at = moment
        _tell(session, mailbox, "broken")
    _release(mailbox, due)


def _refused(mailbox: Mailbox, refusal: ServerRefusal, moment: datetime) -> datetime | None:
    """Refused logins that are too close together are one: servers have moments."""
    if mailbox.login_failed_at is None or moment - mailbox.login_failed_at >= REFUSALS_APART:
        mailbox.login_failures += 1
        mailbox.login_failed_at = moment
    if mailbox.login_failures < REFUSALS_BELIEVED:
        return moment + REFUSALS_APART
    set_state(mailbox, MailboxState.AUTH_ERROR, refusal.hint)
    return moment + PROBE if mailbox.login_failures < MOST_REFUSALS else None


def _release(mailbox: Mailbox, due: datetime | None) -> None:
    mailbox.run_ended_at = now()
    # Somebody may have pressed the button while we ran.
    mailbox.due_at = now() if mailbox.sync_wanted else due


def next_run(planned: datetime, moment: datetime) -> datetime:
    """Ten minutes from when this one was planned; runs that were missed are not made up for."""
    jitter = timedelta(seconds=random.uniform(-JITTER, JITTER))  # noqa: S311 (spreads load, guards nothing)
    due = planned + EVERY + jitter
    return due if due > moment else moment + EVERY + jitter


def back_off(failures: int) -> timedelta:
    pause = BACK_OFF[min(failures, len(BACK_OFF)) - 1]
    return pause * random.uniform(0.9, 1.1)  # noqa: S311


def _tell(session: Session, mailbox: Mailbox, event: str) -> None:
    assert mailbox.broken_at is not None
    subject = f"mailbox:{mailbox.id}:{mailbox.broken_at:%Y-%m-%dT%H:%M:%S}"
    facts = {"state": mailbox.state, "since": mailbox.broken_at.isoformat()}
    add_notice(session, event, subject, mailbox.user_id, mailbox.id, facts=facts)
