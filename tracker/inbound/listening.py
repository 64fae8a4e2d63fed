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

from tracker.counting.bulk import insert_or_keep
from tracker.db import now
from tracker.house import House
from tracker.inbound.timetable import dead_among, is_free
from tracker.models import Credential, Mailbox, MailboxFolder, MailboxListening, MailboxState

LEASE = timedelta(seconds=60)
"""How long after a worker's last sign of life another one listens in its place."""


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


def take_over_from_dead(house: House, owner: str) -> None:
    """At start: gives free what a process of this machine held that no longer lives, or that had our name before us."""
    with house.database.session_scope() as session:
        owners = session.exec(select(MailboxListening.owner).distinct()).all()
        for gone in {*dead_among(owners), owner}.intersection(filter(None, owners)):
            _free(session, gone)


def leave_all(house: House, owner: str) -> None:
    """At the end: the next worker may listen at once."""
    with house.database.session_scope() as session:
        _free(session, owner)


def _free(session: Session, owner: str) -> None:
    theirs = update(MailboxListening).where(col(MailboxListening.owner) == owner)
    session.exec(theirs.values(owner=None, until=None, since=None))


def renew(house: House, owner: str) -> None:
    """Prolongs every lease of ours that nobody else has taken."""
    with house.database.session_scope() as session:
        mine = update(MailboxListening).where(col(MailboxListening.owner) == owner)
        session.exec(mine.values(until=now() + LEASE))


def still_mine(house: House, owner: str) -> dict[int, Target]:
    """The mailboxes that we hold and that are to be listened to as before, as they are now."""
    with house.database.reading() as session:
        held = _wanted().join(MailboxListening, col(MailboxListening.mailbox_id) == col(Mailbox.id))
        return _targets(session, held.where(col(MailboxListening.owner) == owner, col(MailboxListening.until) > now()))


def take(house: House, owner: str, most: int) -> dict[int, Target]:
    """Some mailboxes that nobody listens to, ours from now on. Writes nothing in vain."""
    with house.database.reading() as session:
        found = _wanted().outerjoin(MailboxListening, col(MailboxListening.mailbox_id) == col(Mailbox.id))
        free = or_(col(MailboxListening.mailbox_id).is_(None), _may_be_taken(now()))
        targets = _targets(session, found.where(free).order_by(col(Mailbox.id)).limit(most))
    return {number: target for number, target in targets.items() if _take(house, owner, number)}


def _take(house: House, owner: str, mailbox_id: int) -> bool:
    moment = now()
    with house.database.session_scope() as session:
        session.execute(insert_or_keep(session, MailboxListening).values(mailbox_id=mailbox_id))
        free = update(MailboxListening).where(col(MailboxListening.mailbox_id) == mailbox_id)
        free = free.where(_is_free(moment))
        return session.exec(free.values(owner=owner, until=moment + LEASE, since=None)).rowcount == 1


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


def _is_free(moment: datetime) -> ColumnElement[bool]:
    return or_(col(MailboxListening.owner).is_(None), col(MailboxListening.until) < moment)


def _may_be_taken(moment: datetime) -> ColumnElement[bool]:
    """A refused sign-in is not tried again before a run has shown that it works: a provider may lock the account."""
    refused = col(MailboxListening.refused_at)
    renewed = col(Credential.changed_at) > refused
    rested = or_(col(MailboxListening.not_before).is_(None), col(MailboxListening.not_before) <= moment, renewed)
    return and_(_is_free(moment), rested, or_(refused.is_(None), refused < col(Mailbox.good_run_at)))


def _targets(session: Session, query: Any) -> dict[int, Target]:
    found = session.exec(query).all()
    rows = select(MailboxFolder).where(col(MailboxFolder.mailbox_id).in_([mailbox.id for mailbox, _ in found]))
    folders: dict[int, list[MailboxFolder]] = {}
    for row in session.exec(rows.order_by(col(MailboxFolder.id))).all():
        folders.setdefault(row.mailbox_id, []).append(row)
    targets = {}
    for mailbox, credential in found:
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


def note_hears(house: House, owner: str, mailbox_ids: Collection[int], *, hears: bool) -> None:
    """Whether the server tells us of new mail; said on the mailbox's page."""
    if not mailbox_ids:
        return
    values: dict[str, Any] = {"since": now(), "refused_at": None, "not_before": None} if hears else {"since": None}
    with house.database.session_scope() as session:
        mine = update(MailboxListening).where(col(MailboxListening.mailbox_id).in_(mailbox_ids))
        session.exec(mine.where(col(MailboxListening.owner) == owner).values(**values))


def asks_for_pause(house: House, mailbox_id: int) -> bool:
    """Whether the server wants fewer lines: then ours is the one that it can do without."""
    with house.database.reading() as session:
        mailbox = session.get(Mailbox, mailbox_id)
        return mailbox is not None and mailbox.state == MailboxState.THROTTLED


def let_go(house: House, owner: str, mailbox_id: int, *, rest: timedelta = timedelta(0), refused: bool = False) -> None:
    """Somebody may listen again, after ``rest``; after a refused sign-in only once a run has worked."""
    moment = now()
    values: dict[str, Any] = {"owner": None, "until": None, "since": None}
    if rest:
        values["not_before"] = moment + rest
    if refused:
        values["refused_at"] = moment
    with house.database.session_scope() as session:
        mine = update(MailboxListening).where(col(MailboxListening.mailbox_id) == mailbox_id)
        session.exec(mine.where(col(MailboxListening.owner) == owner).values(**values))


def want_run(house: House, mailbox_id: int) -> bool:
    """Makes the mailbox due now. False while it is being read: then ask again, for the run may have looked already.

    Where runs fail or the mailbox is off nothing happens: their pauses are not ours to shorten.
    """
    moment = now()
    with house.database.session_scope() as session:
        due = update(Mailbox).where(col(Mailbox.id) == mailbox_id, *_healthy(), is_free(moment))
        if session.exec(due.values(sync_wanted=True, due_at=moment)).rowcount == 1:
            return True
        mailbox = session.get(Mailbox, mailbox_id)
        return mailbox is None or mailbox.lease_until is None or mailbox.lease_until < moment


def is_heard(session: Session, mailbox: Mailbox) -> bool:
    """Whether new mail of the mailbox is noticed at once just now."""
    row = session.get(MailboxListening, mailbox.id) if mailbox.active and mailbox.state == MailboxState.ACTIVE else None
    return row is not None and row.since is not None and row.until is not None and row.until > now()
