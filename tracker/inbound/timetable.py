"""When a mailbox is due, who holds it, and what the end of a run makes of its state."""

import os
import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, or_, select, update

from tracker.db import now
from tracker.house import House
from tracker.inbound.mailboxes import set_state
from tracker.inbound.refusals import Refusal
from tracker.models import Credential, Mailbox, MailboxState
from tracker.notify import add_notice

EVERY = timedelta(minutes=10)
JITTER = 30.0
LEASE = timedelta(minutes=5)
"""How long a run may be silent before another worker takes its mailbox."""
AT_ONCE_PER_HOST = 2
BACK_OFF = tuple(timedelta(minutes=m) for m in (1, 2, 5, 10, 30, 60))
TROUBLED_AFTER = 3
"""Failed runs in a row after which the state says so: lines to mail servers drop at random."""
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
    owner: str
    host: str
    planned: datetime
    checking: bool


def claim_due(house: House, owner: str) -> Claim | None:
    """The next mailbox that is due and free, held for :data:`LEASE`; None when there is none. Writes nothing in vain."""
    with house.database.reading() as session:
        if not _due(session, now()):
            return None
    with house.database.session_scope() as session:
        moment = now()
        for mailbox, host in _due(session, moment):
            if _held(session, host, moment) >= AT_ONCE_PER_HOST:
                continue
            take = update(Mailbox).where(col(Mailbox.id) == mailbox.id, col(Mailbox.due_at) <= moment, is_free(moment))
            held = take.values(
                lease_owner=owner, lease_until=moment + LEASE, sync_wanted=False, run_started_at=moment, run_loaded=0
            )
            if session.exec(held).rowcount == 1:
                assert mailbox.id is not None
                assert mailbox.due_at is not None
                return Claim(mailbox.id, owner, host, mailbox.due_at, mailbox.state == MailboxState.CHECKING)
    return None


def is_free(moment: datetime) -> ColumnElement[bool]:
    """No run holds the mailbox at this moment."""
    return or_(col(Mailbox.lease_until).is_(None), col(Mailbox.lease_until) < moment)


def _due(session: Session, moment: datetime) -> list[tuple[Mailbox, str]]:
    due = select(Mailbox, Credential.host).join(Credential, col(Credential.id) == col(Mailbox.credential_id))
    due = due.where(col(Mailbox.due_at) <= moment, is_free(moment), col(Mailbox.removed_at).is_(None))
    return list(session.exec(due.order_by(col(Mailbox.sync_wanted).desc(), col(Mailbox.due_at)).limit(50)).all())


def _held(session: Session, host: str, moment: datetime) -> int:
    held = select(func.count()).select_from(Mailbox).join(Credential, col(Credential.id) == col(Mailbox.credential_id))
    return session.exec(held.where(col(Credential.host) == host, col(Mailbox.lease_until) >= moment)).one()


def still_ours(session: Session, mailbox: Mailbox, owner: str) -> bool:
    """Whether the run may go on: the lease is ours and nobody switched off. Prolongs the lease."""
    moment = now()
    if mailbox.lease_owner != owner or not mailbox.active or mailbox.removed_at is not None:
        return False
    if mailbox.lease_until is None or mailbox.lease_until - moment < LEASE - timedelta(minutes=1):
        mailbox.lease_until = moment + LEASE
        session.add(mailbox)
    return True


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


def ended_badly(mailbox: Mailbox, session: Session, refusal: Refusal) -> None:
    """The run failed for the reason given: a later try, a new state, and a word to its person when that is what it needs."""
    moment = now()
    mailbox.run_problem = refusal.hint
    if refusal.state == MailboxState.AUTH_ERROR:
        due = _refused(mailbox, refusal, moment)
    else:
        mailbox.failures += 1
        due = moment + max(back_off(mailbox.failures), timedelta(seconds=refusal.wait))
        believed = refusal.state != MailboxState.CONNECTION_ERROR or mailbox.failures >= TROUBLED_AFTER
        if believed:
            set_state(mailbox, refusal.state, refusal.hint)
        if refusal.state in (MailboxState.NEEDS_OAUTH, MailboxState.NO_CREDENTIALS):
            due = None
    if mailbox.state in _BROKEN and mailbox.broken_at is None:
        mailbox.broken_at = moment
        _tell(session, mailbox, "broken")
    _release(mailbox, due)


def let_go(mailbox: Mailbox) -> None:
    """The run ended because its mailbox was switched off, removed or taken over: nothing is said about it."""
    mailbox.lease_owner = mailbox.lease_until = None


def _refused(mailbox: Mailbox, refusal: Refusal, moment: datetime) -> datetime | None:
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
    mailbox.lease_owner = mailbox.lease_until = None
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


def release_leases_of_dead(house: House) -> None:
    """At start: gives free what a process of this machine held that no longer lives."""
    with house.database.session_scope() as session:
        held = select(Mailbox.lease_owner).where(col(Mailbox.lease_owner).is_not(None)).distinct()
        dead = dead_among(session.exec(held).all())
        if dead:
            free = update(Mailbox).where(col(Mailbox.lease_owner).in_(dead))
            session.exec(free.values(lease_owner=None, lease_until=None, due_at=now()))


def dead_among(owners: Iterable[str | None]) -> list[str]:
    """Those that were processes of this machine and no longer live. Of other machines nothing is known."""
    here = f"{socket.gethostname()}:"[:60]
    return [owner for owner in owners if owner and owner.startswith(here) and not _lives(owner)]


def _lives(owner: str) -> bool:
    try:
        os.kill(int(owner.split(":")[1]), 0)
    except (ProcessLookupError, ValueError, IndexError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
