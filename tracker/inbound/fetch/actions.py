"""What is done on the server with loaded letters, after the transactions that wrote it down: read marks, deletion.

Doing one of them again is harmless, so a row goes only once its action is known to be done.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta

from imapclient import DELETED, SEEN, IMAPClient
from sqlalchemy import ColumnElement
from sqlmodel import col, select, update
from sqlmodel import delete as delete_rows

from tracker.inbound.fetch.imap import searched
from tracker.inbound.fetch.imap_connection import DROPPED, REFUSED, ImapConnection
from tracker.mail.folders import Folder
from tracker.mail.imap_commands import open_folder
from tracker.models import MailboxFolder, PendingAction
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

log = logging.getLogger(__name__)

AT_ONCE = 100
LATER = timedelta(hours=1)
GIVEN_UP_AFTER = 20


def act(context: AppContext, connection: ImapConnection, row: MailboxFolder, folders: Sequence[Folder]) -> None:
    """Does what is due in the folder. A refusal is noted and tried again; a dropped line leaves everything for the next run."""
    for kind in _kinds_due(context, row):
        while uids := _due(context, row, kind):
            try:
                client = connection.client
                opened = open_folder(client, row.raw_name.encode("latin-1"), readonly=False)
                connection.folder = None
                if opened.uidvalidity is None or opened.uidvalidity != _numbering(context, row):
                    return  # the numbers mean other letters now
                done = mark_seen(client, uids) if kind == "seen" else remove(client, uids, _trash(folders))
            except DROPPED:
                connection.close()
                return
            except REFUSED as error:
                _note(context, row, kind, uids, str(error))
                return
            _forget(context, row, kind, uids) if done else _note(
                context, row, kind, uids, "other letters are marked deleted"
            )
            if not done:
                return


def mark_seen(client: IMAPClient, uids: Sequence[int]) -> bool:
    client.add_flags(list(uids), [SEEN], silent=True)
    return True


def remove(client: IMAPClient, uids: Sequence[int], trash: Folder | None) -> bool:
    """Deletes exactly these letters. False when that cannot be done without deleting what somebody else marked.

    Gmail only archives what is deleted in a folder, so there it goes to Trash (``trash``).
    """
    if client.has_capability("X-GM-EXT-1") and trash is not None:
        client.copy(list(uids), trash.raw)
        return True
    if client.has_capability("UIDPLUS"):
        client.add_flags(list(uids), [DELETED], silent=True)
        client.uid_expunge(list(uids))
        return True
    if searched(client, "DELETED") - set(uids):
        return False
    client.add_flags(list(uids), [DELETED], silent=True)
    client.expunge()
    return True


def _trash(folders: Sequence[Folder]) -> Folder | None:
    return next((folder for folder in folders if folder.role == "trash"), None)


def _numbering(context: AppContext, row: MailboxFolder) -> int | None:
    with context.database.reading() as session:
        return session.get_one(MailboxFolder, row.id).uidvalidity


def _kinds_due(context: AppContext, row: MailboxFolder) -> list[str]:
    """Read marks before deletion; mostly neither."""
    due = select(PendingAction.kind).where(PendingAction.folder_id == row.id, col(PendingAction.due_at) <= now())
    with context.database.reading() as session:
        kinds = set(session.exec(due.distinct()).all())
    return [kind for kind in ("seen", "delete") if kind in kinds]


def _due(context: AppContext, row: MailboxFolder, kind: str) -> list[int]:
    with context.database.reading() as session:
        fresh = session.get_one(MailboxFolder, row.id)
        due = select(PendingAction.uid).where(
            PendingAction.folder_id == row.id, PendingAction.kind == kind, PendingAction.uidvalidity == fresh.uidvalidity,
            col(PendingAction.due_at) <= now(), col(PendingAction.uid) > 0,
        )  # fmt: skip
        return list(session.exec(due.order_by(col(PendingAction.uid)).limit(AT_ONCE)).all())


def _forget(context: AppContext, row: MailboxFolder, kind: str, uids: Sequence[int]) -> None:
    with context.database.session_scope() as session:
        session.exec(delete_rows(PendingAction).where(*_these(row, kind, uids)))


def _note(context: AppContext, row: MailboxFolder, kind: str, uids: Sequence[int], problem: str) -> None:
    """Put off; given up after a day."""
    log.info("folder %s: %s not done", row.id, kind)
    with context.database.session_scope() as session:
        later = update(PendingAction).where(*_these(row, kind, uids))
        session.exec(
            later.values(tries=PendingAction.tries + 1, due_at=now() + LATER, problem=problem[:500].replace("\0", ""))
        )
        gone = delete_rows(PendingAction).where(*_these(row, kind, uids), col(PendingAction.tries) >= GIVEN_UP_AFTER)
        session.exec(gone)


def _these(row: MailboxFolder, kind: str, uids: Sequence[int]) -> tuple[ColumnElement[bool], ...]:
    return (
        col(PendingAction.folder_id) == row.id,
        col(PendingAction.kind) == kind,
        col(PendingAction.uid).in_(list(uids)),
    )
