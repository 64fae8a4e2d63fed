"""When a mailbox is due, who reads it, and what the end of a run makes of its state."""

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

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
from tracker.runtime.lease import is_held as lease_is_held

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
    """The next mailbox that is due and free, held by a lease; None when there is none. Writes nothing in vain. None of ``resting``
    hosts."""
    with context.database.reading() as session:
        following = _next_due(session, now(), resting)
    if following is None:
        return None
    with context.database.session_scope() as session:
        lease = context.leases.claim(session, LEASE, following.id)
        if lease is None:
            return None
        started = session.connection().execute(_START, {"number": following.id, "moment": now()}).first()
        if started is None:
            context.leases.release(session, lease)  # another worker has just read it
            return None
        return Claim(following.id, lease, following.host, started.due_at, started.state == MailboxState.CHECKING)


def others_wait(context: AppContext) -> bool:
    """Whether a mailbox that could be read now is due."""
    with context.database.reading() as session:
        return _next_due(session, now()) is not None


def is_free(moment: datetime) -> ColumnElement[bool]:
    """No run holds the mailbox at this moment."""
    return lease_is_free(LEASE, col(Mailbox.id), moment)


_ANY = 2**31 - 1
# Statements are made once: making one costs more than running it.
_RUNNING = (
    select(Credential.host, Mailbox.user_id, Mailbox.failures)
    .join(Mailbox, col(Credential.id) == col(Mailbox.credential_id))
    .where(lease_is_held(LEASE, col(Mailbox.id), bindparam("moment")))
)
_START = (
    update(MAILBOX)
    .where(
        MAILBOX.c.id == bindparam("number"),
        MAILBOX.c.due_at <= bindparam("moment"),
        MAILBOX.c.removed_at.is_(None),
    )
    .values(sync_wanted=False, run_started_at=bindparam("moment"), run_loaded=0)
    .returning(MAILBOX.c.due_at, MAILBOX.c.state)
)
_FOLLOWING = (
    select(Mailbox.id, Credential.host)
    .join(Credential, col(Credential.id) == col(Mailbox.credential_id))
    .where(
        *(col(Mailbox.due_at) <= bindparam("moment"), lease_is_free(LEASE, col(Mailbox.id), bindparam("moment"))),
        col(Mailbox.removed_at).is_(None),
        col(Credential.host).not_in(bindparam("hosts", expanding=True)),
        col(Mailbox.user_id).not_in(bindparam("people", expanding=True)),
        col(Mailbox.failures) <= bindparam("failures"),
    )
    .order_by(col(Mailbox.sync_wanted).desc(), col(Mailbox.due_at))
    .limit(1)
)


def being_read(session: Session) -> set[int]:
    """The mailboxes that runs hold now."""
    return {int(subject) for subject in held_subjects(session, LEASE)}


class _Following(NamedTuple):
    id: int
    host: str


def _next_due(session: Session, moment: datetime, resting: Collection[str] = ()) -> _Following | None:
    """The mailbox that waits longest with its host, one that its person wants read before all others. A host, a person, and
    mailboxes in trouble have few at once, so that a server that says little takes nobody else's place."""
    running = session.connection().execute(_RUNNING, {"moment": moment}).all()
    hosts = Counter(host for host, _, _ in running)
    people = Counter(user_id for _, user_id, _ in running)
    troubled = sum(failures > 0 for _, _, failures in running)
    places = {
        "moment": moment,
        "hosts": [*resting, *(host for host, count in hosts.items() if count >= AT_ONCE_PER_HOST)],
        "people": [person for person, count in people.items() if count >= AT_ONCE_PER_PERSON],
        "failures": 0 if troubled >= TROUBLED_AT_ONCE else _ANY,
    }
    following = session.connection().execute(_FOLLOWING, places).first()
    return _Following(*following) if following is not None else None


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
