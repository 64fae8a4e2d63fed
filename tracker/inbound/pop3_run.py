"""Reading one POP3 mailbox. Its state is the set of UIDLs that we have; numbers mean nothing between two sessions."""

import os
import poplib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from tempfile import NamedTemporaryFile

from sqlmodel import Session, col, delete, select

from tracker.inbound import cursor
from tracker.inbound.fetched_letter import FetchedLetter, Place
from tracker.inbound.header_hash import MOST, header_hash
from tracker.inbound.letter_importer import LetterImporter, pass_by
from tracker.inbound.pop3 import Pop3, pop3
from tracker.mail.connections import Server
from tracker.mail.folders import Folder
from tracker.models import FetchRetry, FirstWindow, LetterCopy, Mailbox, MailboxFolder, PendingAction
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Deadline
from tracker.runtime.limits import MAX_LETTER, MAX_WHOLE_LETTER

OLDER_IN_A_ROW = 50
"""So many letters older than the window, newest first, end the search for the first load."""
LINES_OF_A_BEGINNING = 2_000
INBOX = Folder(b"INBOX", "INBOX", None, "")


@dataclass
class Pop3Run:
    """One run; ``mailbox`` as it was at its beginning."""

    context: AppContext
    mailbox: Mailbox
    server: Server
    importer: LetterImporter
    deadline: float

    def read(self, deadline: Deadline) -> bool:
        """Loads what is not known. False when the time was over before that."""
        with self.context.database.session_scope() as session:
            row = cursor.folder_row(session, self.importer.ours(session), INBOX)
        with pop3(self.context, self.server, deadline) as line:
            line.sock.settimeout(120)
            listed = {uidl: number for number, uidl in line.uidls()}
            sizes = line.sizes()
            new = self._new(line, row, listed)
            for uidl in new:
                if time.monotonic() > self.deadline:
                    return False
                self._letter(line, row, uidl, listed[uidl], sizes.get(listed[uidl], 0))
            self._note_good_run(row)
            self._delete(line, row, listed)
        return True

    def _new(self, line: Pop3, row: MailboxFolder, listed: dict[str, int]) -> list[str]:
        """UIDLs to load, oldest first. On the first run, and after a pause: those of the window; the rest is passed by."""
        with self.context.database.session_scope() as session:
            self.importer.ours(session)
            known = self._known(session, row, listed)
        unknown = [uidl for uidl in sorted(listed, key=listed.__getitem__) if uidl not in known]
        everything = row.good_run_at is None and self.mailbox.first_window == FirstWindow.ALL_UNREAD
        if everything or (row.good_run_at is not None and row.good_run_at >= row.cut_off):
            return unknown
        return self._window(line, row, unknown, listed)

    def _known(self, session: Session, row: MailboxFolder, listed: dict[str, int]) -> set[str]:
        """What we have, passed by, or wait to try again. Places that are gone are forgotten: a server may give their UIDL away
        again, to another letter."""
        places = set(session.exec(select(LetterCopy.uidl).where(LetterCopy.folder_id == row.id)).all())
        waiting = select(FetchRetry.uidl, FetchRetry.try_at).where(FetchRetry.folder_id == row.id)
        tries = dict(session.exec(waiting).all())
        gone = [uidl for uidl in places | tries.keys() if uidl and uidl not in listed]
        for begin in range(0, len(gone), 500):
            for table in (LetterCopy, FetchRetry, PendingAction):
                some = col(table.uidl).in_(gone[begin : begin + 500])
                session.exec(delete(table).where(col(table.folder_id) == row.id, some))
        moment = now()
        return places | {uidl for uidl, at in tries.items() if at > moment}

    def _window(self, line: Pop3, row: MailboxFolder, unknown: Sequence[str], listed: dict[str, int]) -> list[str]:
        """The letters of the window, looked for from the newest on."""
        wanted: list[str] = []
        older = 0
        for uidl in reversed(unknown):
            if older >= OLDER_IN_A_ROW:
                break
            arrived = _arrived(line.beginning(listed[uidl]))
            if arrived is not None and arrived < row.cut_off:
                older += 1
            else:
                older = 0
                wanted.append(uidl)
        assert row.id is not None
        with self.context.database.session_scope() as session:
            self.importer.ours(session)
            for uidl in set(unknown) - set(wanted):
                pass_by(session, Place(row.id, uidl=uidl))
        return wanted[::-1]

    def _letter(self, line: Pop3, row: MailboxFolder, uidl: str, number: int, size: int) -> None:
        assert row.id is not None
        place = Place(row.id, uidl=uidl)
        folder = self.context.settings.data_dir / "loading"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with NamedTemporaryFile(dir=folder) as file:
            too_large = size > MAX_LETTER
            if too_large:
                file.write(line.beginning(number, LINES_OF_A_BEGINNING))
            else:
                try:
                    size = line.load(number, file, MAX_LETTER * 2)
                except poplib.error_proto as error:
                    if "EOF" in str(error):
                        raise
                    self.importer.postpone(place, str(error))
                    return
            file.flush()
            file.seek(0)
            beginning = file.read(MOST)
            whole = os.path.getsize(file.name) <= MAX_WHOLE_LETTER
            file.seek(0)
            fetched = FetchedLetter(
                place=place, content=file.read() if whole else None, path=None if whole else folder / os.path.basename(file.name),
                size=size, internal_date=None, fetched_at=now(), header_hash=header_hash(beginning), too_large=too_large,
                silent=row.good_run_at is None,
            )  # fmt: skip
            self.importer.letter(fetched, again=True)

    def _note_good_run(self, row: MailboxFolder) -> None:
        with self.context.database.session_scope() as session:
            self.importer.ours(session)
            session.get_one(MailboxFolder, row.id).good_run_at = now()

    def _delete(self, line: Pop3, row: MailboxFolder, listed: dict[str, int]) -> None:
        """DELE takes effect with a clean QUIT; if that is lost, the letters are known by their UIDL and deleted next time."""
        due = (
            col(PendingAction.folder_id) == row.id,
            col(PendingAction.due_at) <= now(),
            col(PendingAction.uidl) != "",
        )
        with self.context.database.reading() as session:
            uidls = [uidl for uidl in session.exec(select(PendingAction.uidl).where(*due)).all() if uidl in listed]
        for uidl in uidls:
            line.dele(listed[uidl])
        line.quit()
        with self.context.database.session_scope() as session:
            for uidl in uidls:
                session.exec(delete(PendingAction).where(*due, col(PendingAction.uidl) == uidl))


def _arrived(section: bytes) -> datetime | None:
    """When a letter came, by its topmost Received field, else by Date; None when neither can be read."""
    text = section.decode("latin-1")
    unfolded = text.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")
    received = next((line for line in unfolded if line.lower().startswith("received:")), "")
    date = next((line for line in unfolded if line.lower().startswith("date:")), "")
    for words in (received.rpartition(";")[2], date[5:]):
        try:
            moment = parsedate_to_datetime(words.strip())
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        if moment.tzinfo is not None:
            return moment
        return moment.replace(tzinfo=now().tzinfo)
    return None
