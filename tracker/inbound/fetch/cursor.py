"""How far a folder has been read: the row, its first position, and which letters are wanted."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam
from sqlmodel import Session, col, delete, exists, select, update

from tracker.inbound.fetch.imap import Meta
from tracker.inbound.mailboxes import first_cut_off
from tracker.mail.folders import Folder
from tracker.models import FetchRetry, FirstWindow, Letter, LetterCopy, Mailbox, MailboxFolder, PendingAction
from tracker.runtime.database import now

CLOCKS_APART = timedelta(days=2)
"""SINCE compares dates without time and zone (RFC 9051 section 6.4.4): a day for the time, a day for the zone."""
RECOVER_AT_LEAST = timedelta(hours=48)
RECOVER_BEYOND = timedelta(hours=24)
UNNUMBERED_WINDOW = timedelta(days=2)
NEW_SINCE_RUN = timedelta(hours=1)


def folder_row(session: Session, mailbox: Mailbox, folder: Folder) -> MailboxFolder:
    """The row of a folder, made when it is read for the first time."""
    row = _row(session, mailbox, folder) or MailboxFolder(
        mailbox_id=mailbox.id, raw_name=folder.raw_name[:1000], name="", cut_off=first_cut_off(mailbox)
    )
    row.name, row.delimiter = folder.name[:1000], folder.delimiter
    session.add(row)
    session.flush()
    return row


class KnownFolder(NamedTuple):
    """What is known of a folder before it is read."""

    row: MailboxFolder
    is_on: bool
    """Its mailbox is read."""
    has_retries: bool
    has_actions: bool


def _is_due(folder: Any, due: Any) -> ColumnElement[bool]:
    return exists().where(col(folder) == col(MailboxFolder.id), col(due) <= bindparam("moment"))


_KNOWN = (
    select(
        MailboxFolder,
        col(Mailbox.active) & col(Mailbox.removed_at).is_(None),
        _is_due(FetchRetry.folder_id, FetchRetry.try_at),
        _is_due(PendingAction.folder_id, PendingAction.due_at),
    )
    .join(Mailbox, col(Mailbox.id) == col(MailboxFolder.mailbox_id))
    .where(col(MailboxFolder.mailbox_id) == bindparam("mailbox"), col(MailboxFolder.raw_name) == bindparam("raw_name"))
)


def known_folder(session: Session, mailbox_id: int, folder: Folder) -> KnownFolder | None:
    """The folder with its row as :func:`folder_row` would leave it; None when there is something to write."""
    asked = {"mailbox": mailbox_id, "raw_name": folder.raw_name[:1000], "moment": now()}
    known = session.exec(_KNOWN, params=asked).first()
    is_same = known is not None and (known[0].name, known[0].delimiter) == (folder.name[:1000], folder.delimiter)
    return KnownFolder(*known) if known is not None and is_same else None


def _row(session: Session, mailbox: Mailbox, folder: Folder) -> MailboxFolder | None:
    raw_name = folder.raw_name[:1000]
    query = select(MailboxFolder).where(MailboxFolder.mailbox_id == mailbox.id, MailboxFolder.raw_name == raw_name)
    return session.exec(query).first()


def is_wanted(meta: Meta, mailbox: Mailbox, row: MailboxFolder) -> bool:
    """Whether a letter is ours to load: in the window, neither deleted nor a draft, and unread where only these are wanted."""
    flags = meta.lower_flags
    if flags & {"\\deleted", "\\draft"}:
        return False
    # INTERNALDATE has whole seconds: what came in the second of the beginning is not old
    if meta.internal_date is not None and meta.internal_date < row.cut_off.replace(microsecond=0):
        return False
    old = meta.internal_date is not None and meta.internal_date < mailbox.active_since.replace(microsecond=0)
    only_unread = mailbox.only_unread or (mailbox.first_window == FirstWindow.ALL_UNREAD and old)
    return not (only_unread and meta.is_seen)


def search_day(instant: datetime) -> datetime:
    """The date to search from, so that nothing of the instant or later is missed in any zone."""
    return instant - CLOCKS_APART


def recovery_begin(row: MailboxFolder, moment: datetime) -> datetime:
    """From when on a rebuilt folder is read again."""
    back = RECOVER_AT_LEAST
    if row.good_run_at is not None:
        back = max(back, moment - row.good_run_at + RECOVER_BEYOND)
    return max(moment - back, row.cut_off)


def is_new_after(row: MailboxFolder, received: datetime | None) -> bool:
    """Whether a letter that we did not know when its folder was rebuilt is news, or old mail to store without a word."""
    if row.good_run_at is None or received is None:
        return True
    return received > row.good_run_at - NEW_SINCE_RUN


def known_letter(session: Session, mailbox_id: int, meta: Meta) -> int | None:
    """The letter that this is a copy of, as far as can be said without loading it."""
    if meta.gmail_id is not None:
        query = select(Letter.id).where(Letter.mailbox_id == mailbox_id, Letter.gmail_id == meta.gmail_id)
        return session.exec(query).first()
    if not meta.header_hash or not meta.size:
        return None
    same = (Letter.mailbox_id == mailbox_id, Letter.header_hash == meta.header_hash, Letter.size == meta.size)
    return session.exec(select(Letter.id).where(*same)).first()


def placed(session: Session, row: MailboxFolder, uidvalidity: int, uids: Sequence[int]) -> set[int]:
    """Those UIDs whose letters we have under this numbering."""
    known: set[int] = set()
    for begin in range(0, len(uids), 500):
        some = list(uids[begin : begin + 500])
        here = select(LetterCopy.uid).where(
            LetterCopy.folder_id == row.id, LetterCopy.uidvalidity == uidvalidity, col(LetterCopy.uid).in_(some)
        )
        known |= set(session.exec(here).all())
    return known


def newest_places(session: Session, row: MailboxFolder) -> list[tuple[int, Letter]]:
    """The two highest UIDs that we know of this folder, with their letters."""
    known = select(LetterCopy.uid, Letter).join(Letter, col(Letter.id) == col(LetterCopy.letter_id))
    known = known.where(LetterCopy.folder_id == row.id, LetterCopy.uidvalidity == row.uidvalidity)
    return list(session.exec(known.order_by(col(LetterCopy.uid).desc()).limit(2)).all())


def renumber(session: Session, row: MailboxFolder, uidvalidity: int) -> None:
    """The folder kept its UIDs under another UIDVALIDITY: our places move with it."""
    for table in (LetterCopy, FetchRetry, PendingAction):
        old = update(table).where(col(table.folder_id) == row.id, col(table.uidvalidity) == row.uidvalidity)
        session.exec(old.values(uidvalidity=uidvalidity))
    row.uidvalidity = uidvalidity
    session.add(row)


def rebuilt(session: Session, row: MailboxFolder, uidvalidity: int, last_uid: int) -> None:
    """The folder was read again under a new numbering: what we knew of the old one is void."""
    if uidvalidity != row.uidvalidity:
        invalidate_places(session, row)
    row.uidvalidity, row.last_uid, row.rebuilt_at = uidvalidity, last_uid, now()
    session.add(row)


def invalidate_places(session: Session, row: MailboxFolder) -> None:
    """What lay where under the present numbering is no longer true; letters are recognised by themselves."""
    for table in (LetterCopy, FetchRetry, PendingAction):
        void = (col(table.folder_id) == row.id, col(table.uidvalidity) == row.uidvalidity)
        session.exec(delete(table).where(*void))


def waiting_retries(session: Session, row: MailboxFolder) -> set[int]:
    """UIDs of the retry list, due or not: a run that breaks off before the cursor has passed them leaves them to it."""
    here = (FetchRetry.folder_id == row.id, FetchRetry.uidvalidity == row.uidvalidity)
    return set(session.exec(select(FetchRetry.uid).where(*here, col(FetchRetry.uid) > row.last_uid)).all())


def due_retries(session: Session, row: MailboxFolder, failed: set[int]) -> dict[int, int]:
    """UIDs to try again in this run, with how often they failed."""
    due = select(FetchRetry.uid, FetchRetry.tries).where(
        FetchRetry.folder_id == row.id, FetchRetry.uidvalidity == row.uidvalidity, col(FetchRetry.try_at) <= now()
    )
    return {uid: tries for uid, tries in session.exec(due).all() if uid and uid not in failed}
