"""Which mailboxes are listened to, by whom, and what becomes of the news: the rows of it.

Listening holds a mailbox by a lease of its own and takes nothing from the runs: a mailbox that is being read has its run's line
and, beside it, at most this one. The limit of lines per host is for runs, which load and act; lines that only wait do not count.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Text, cast
from sqlmodel import Session, and_, col, or_, select, update

from tracker.inbound.fetch.schedule import being_read
from tracker.inbound.fetch.schedule import is_free as is_not_read
from tracker.models import Credential, Mailbox, MailboxFolder, MailboxListening, MailboxState
from tracker.models.counting.bulk import insert_or_keep
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import HeldLease, Lease, is_free, is_held

LEASE = "listening"


@dataclass(frozen=True)
class Target:
    """A mailbox to listen to. When it is not equal to what it was, the line is no longer the right one."""

    mailbox_id: int
    credential: Credential = field(compare=False)
    sign_in: tuple[Any, ...] = field(repr=False)
    """All that says where and how to sign in, the encrypted secret too."""
    raw_folder: str
    last_uid: int = field(compare=False)
    """How far the folder had been read."""


_SIGN_IN = ("id", "host", "port", "security", "login", "auth", "secret", "grant_id")


def still_held(context: AppContext, leases: Iterable[HeldLease]) -> dict[int, Target]:
    """The mailboxes among these leases that are ours still and to be listened to as before, as they are now."""
    ours = {int(lease.subject): lease for lease in leases}
    with context.database.reading() as session:
        held = select(Lease.token).where(col(Lease.kind) == LEASE, col(Lease.until) > now())
        tokens = set(session.exec(held))
        numbers = [number for number, lease in ours.items() if lease.token in tokens]
        return _targets(session, _wanted().where(col(Mailbox.id).in_(numbers))) if numbers else {}


def take(context: AppContext, most: int) -> dict[HeldLease, Target]:
    """Some mailboxes that nobody listens to, ours from now on. Writes nothing in vain."""
    moment = now()
    with context.database.reading() as session:
        wanted = _wanted().outerjoin(MailboxListening, col(MailboxListening.mailbox_id) == col(Mailbox.id))
        wanted = wanted.where(_may_be_taken(moment)).order_by(col(Mailbox.id)).limit(most)
        targets = _targets(session, wanted)
    leases = {number: _take(context, number) for number in targets}
    return {lease: targets[number] for number, lease in leases.items() if lease is not None}


def _take(context: AppContext, mailbox_id: int) -> HeldLease | None:
    with context.database.session_scope() as session:
        lease = context.leases.claim(session, LEASE, mailbox_id)
        if lease is not None:
            session.execute(insert_or_keep(session, MailboxListening).values(mailbox_id=mailbox_id))
            ours = update(MailboxListening).where(col(MailboxListening.mailbox_id) == mailbox_id)
            session.exec(ours.values(since=None))
        return lease


def _wanted() -> Any:
    """Healthy mailboxes on servers that offer IDLE, which have been read once. Where runs fail we wait for them."""
    wanted = select(Mailbox, Credential).join(Credential, col(Credential.id) == col(Mailbox.credential_id))
    return wanted.where(
        *_healthy(), col(Mailbox.good_run_at).is_not(None), col(Credential.protocol) == "imap",
        cast(col(Mailbox.capabilities), Text).like('%"IDLE"%'),
    )  # fmt: skip


def _healthy() -> tuple[ColumnElement[bool], ...]:
    return (
        col(Mailbox.active).is_(True), col(Mailbox.removed_at).is_(None), col(Mailbox.state) == MailboxState.ACTIVE,
        col(Mailbox.due_at).is_not(None), col(Mailbox.failures) == 0, col(Mailbox.login_failures) == 0,
    )  # fmt: skip


def _may_be_taken(moment: datetime) -> ColumnElement[bool]:
    """A refused sign-in is not tried again before a run has shown that it works: a provider may lock the account."""
    refused = col(MailboxListening.refused_at)
    renewed = col(Credential.changed_at) > refused
    rested = or_(col(MailboxListening.not_before).is_(None), col(MailboxListening.not_before) <= moment, renewed)
    allowed = or_(refused.is_(None), refused < col(Mailbox.good_run_at))
    return and_(is_free(LEASE, col(Mailbox.id), moment), rested, allowed)


def _targets(session: Session, query: Any) -> dict[int, Target]:
    mailboxes = session.exec(query).all()
    rows = select(MailboxFolder).where(col(MailboxFolder.mailbox_id).in_([mailbox.id for mailbox, _ in mailboxes]))
    folders: dict[int, list[MailboxFolder]] = {}
    for row in session.exec(rows.order_by(col(MailboxFolder.id))).all():
        folders.setdefault(row.mailbox_id, []).append(row)
    targets = {}
    for mailbox, credential in mailboxes:
        folder = _folder(mailbox, folders.get(mailbox.id, []))
        if folder is not None:
            sign_in = tuple(getattr(credential, name) for name in _SIGN_IN)
            targets[mailbox.id] = Target(mailbox.id, credential, sign_in, folder.raw_name, folder.last_uid)
    return targets


def _folder(mailbox: Mailbox, rows: Iterable[MailboxFolder]) -> MailboxFolder | None:
    """The folder to listen to: the inbox if it is read, else the first that is."""
    names = {_same(name) for name in mailbox.folders}
    read = [row for row in rows if mailbox.all_folders or _same(row.name) in names]
    return min(read, key=lambda row: _same(row.name) != "INBOX", default=None)


def _same(name: str) -> str:
    return "INBOX" if name.upper() == "INBOX" else name


def note_subscribed(context: AppContext, leases: Collection[HeldLease], *, is_subscribed: bool) -> None:
    """Whether the server tells us of new mail; said on the mailbox's page."""
    if not leases:
        return
    values: dict[str, Any] = (
        {"since": now(), "refused_at": None, "not_before": None} if is_subscribed else {"since": None}
    )
    with context.database.session_scope() as session:
        ours = [int(lease.subject) for lease in leases if context.leases.holds(session, lease)]
        session.exec(update(MailboxListening).where(col(MailboxListening.mailbox_id).in_(ours)).values(**values))


def asks_for_pause(context: AppContext, mailbox_id: int) -> bool:
    """Whether the server wants fewer lines: then ours is the one that it can do without."""
    with context.database.reading() as session:
        mailbox = session.get(Mailbox, mailbox_id)
        return mailbox is not None and mailbox.state == MailboxState.THROTTLED


def release(context: AppContext, lease: HeldLease, *, rest: timedelta = timedelta(0), refused: bool = False) -> None:
    """Somebody may listen again, after ``rest``; after a refused sign-in only once a run has worked."""
    moment = now()
    values: dict[str, Any] = {"since": None}
    if rest:
        values["not_before"] = moment + rest
    if refused:
        values["refused_at"] = moment
    with context.database.session_scope() as session:
        if context.leases.release(session, lease):
            row = update(MailboxListening).where(col(MailboxListening.mailbox_id) == int(lease.subject))
            session.exec(row.values(**values))


def want_run(context: AppContext, mailbox_id: int) -> bool:
    """Makes the mailbox due now. False while it is being read: then ask again, for the run may have looked already.

    Where runs fail or the mailbox is off nothing happens: their pauses are not ours to shorten.
    """
    moment = now()
    with context.database.session_scope() as session:
        due = update(Mailbox).where(col(Mailbox.id) == mailbox_id, *_healthy(), is_not_read(moment))
        if session.exec(due.values(sync_wanted=True, due_at=moment)).rowcount == 1:
            return True
        return mailbox_id not in being_read(session)


def is_subscribed(session: Session, mailbox: Mailbox) -> bool:
    """Whether new mail of the mailbox is noticed at once just now."""
    if not mailbox.active or mailbox.state != MailboxState.ACTIVE:
        return False
    is_subscribed = (col(MailboxListening.mailbox_id) == mailbox.id) & col(MailboxListening.since).is_not(None)
    held = is_held(LEASE, col(MailboxListening.mailbox_id), now())
    return session.exec(select(MailboxListening.mailbox_id).where(is_subscribed, held)).first() is not None
