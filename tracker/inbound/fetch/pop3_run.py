"""Reading one POP3 mailbox. Its state is the set of UIDLs that we have; numbers mean nothing between two sessions.

A session that is out of step with its server is ended; the next one goes on behind the letter in whose answer that happened.
"""

import hashlib
import os
import poplib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO

from sqlmodel import Session, col, delete, select

from tracker.inbound.fetch import cursor
from tracker.inbound.fetch.fetched_letter import FetchedLetter, LetterLocation
from tracker.inbound.fetch.imap_connection import ANSWER_SECONDS, MOST_DROPS, command_seconds
from tracker.inbound.fetch.letter_importer import LetterImporter, pass_by
from tracker.inbound.fetch.pop3 import Octets, OutOfStep, pop3
from tracker.inbound.parse.dates import read_date, received_date
from tracker.inbound.parse.header_hash import MOST, header_hash
from tracker.inbound.storing import raw_of
from tracker.mail.connections import Server
from tracker.mail.folders import Folder
from tracker.mail.mime.fields import fields
from tracker.models import (
    FetchRetry,
    FirstWindow,
    Letter,
    LetterCopy,
    Mailbox,
    MailboxFolder,
    MailboxProblem,
    PendingAction,
)
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Deadline
from tracker.runtime.limits import MAX_LETTER, MAX_LETTER_BEGINNING, MAX_WHOLE_LETTER
from tracker.runtime.localized_text import LocalizedText

OLDER_IN_A_ROW = 50
"""So many letters older than the window, newest first, end the search for the first load."""
LINES_OF_A_BEGINNING = 2_000
INBOX = Folder(b"INBOX", "INBOX", None, "")
_DROPPED = (OutOfStep, OSError)


@dataclass
class Pop3Run:
    """One run; ``mailbox`` as it was at its beginning."""

    context: AppContext
    mailbox: Mailbox
    server: Server
    importer: LetterImporter
    is_over: Callable[[], bool]
    deadline: Deadline
    _session: ExitStack = field(default_factory=ExitStack)
    _drops: int = 0
    _listed: dict[str, int] = field(default_factory=dict)
    """Number of every UIDL in the present session."""
    _sizes: dict[int, int] = field(default_factory=dict)
    _octets: dict[str, Octets] = field(default_factory=dict)
    """What was read in this run, by UIDL."""
    _ages: dict[str, datetime | None] = field(default_factory=dict)

    def read(self) -> bool:
        """Loads what is not known. False when the time was over before that."""
        with self.context.database.session_scope() as session:
            row = cursor.folder_row(session, self.importer.ours(session), INBOX)
        with self._session:
            self._open()
            for uidl in self._new(row):
                if self.is_over():
                    return False
                if uidl in self._listed:
                    self._letter(row, uidl)
            self._note_good_run(row)
            self._delete(row)
        return True

    def _open(self) -> None:
        """A session, and what it lists."""
        self._session.close()
        line = self._session.enter_context(pop3(self.context, self.server, self.deadline))
        line.sock.settimeout(ANSWER_SECONDS)
        self._line = line
        with self.deadline.step(command_seconds()):
            self._listed = {uidl: number for number, uidl in line.uidls()}
            self._sizes = line.sizes()

    def _reopen(self, error: Exception) -> None:
        """Raises the error when there were too many, or :class:`ConnectError`: then no letter is to blame."""
        self._drops += 1
        if self._drops > MOST_DROPS or self.deadline.is_over:
            raise error
        self._open()

    def _new(self, row: MailboxFolder) -> list[str]:
        """UIDLs to load, oldest first. On the first run, and after a pause: those of the window; the rest is passed by."""
        with self.context.database.session_scope() as session:
            self.importer.ours(session)
            known = self._known(session, row)
        unknown = [uidl for uidl in sorted(self._listed, key=self._listed.__getitem__) if uidl not in known]
        everything = row.good_run_at is None and self.mailbox.first_window == FirstWindow.ALL_UNREAD
        if everything or (row.good_run_at is not None and row.good_run_at >= row.cut_off):
            return unknown
        return self._window(row, unknown)

    def _known(self, session: Session, row: MailboxFolder) -> set[str]:
        """What we have, passed by, or wait to try again. Places that are gone are forgotten: a server may give their UIDL away
        again, to another letter."""
        places = set(session.exec(select(LetterCopy.uidl).where(LetterCopy.folder_id == row.id)).all())
        waiting = select(FetchRetry.uidl, FetchRetry.try_at).where(FetchRetry.folder_id == row.id)
        tries = dict(session.exec(waiting).all())
        gone = [uidl for uidl in places | tries.keys() if uidl and uidl not in self._listed]
        for begin in range(0, len(gone), 500):
            for table in (LetterCopy, FetchRetry, PendingAction):
                some = col(table.uidl).in_(gone[begin : begin + 500])
                session.exec(delete(table).where(col(table.folder_id) == row.id, some))
        moment = now()
        return places | {uidl for uidl, at in tries.items() if at > moment}

    def _window(self, row: MailboxFolder, unknown: Sequence[str]) -> list[str]:
        """The letters of the window, looked for from the newest on."""
        wanted: list[str] = []
        older = 0
        for uidl in reversed(unknown):
            if older >= OLDER_IN_A_ROW:
                break
            arrived = self._age(uidl)
            if arrived is not None and arrived < row.cut_off:
                older += 1
            else:
                older = 0
                wanted.append(uidl)
        with self.context.database.session_scope() as session:
            self.importer.ours(session)
            for uidl in set(unknown) - set(wanted):
                pass_by(session, LetterLocation(row.id, uidl=uidl))
        return wanted[::-1]

    def _age(self, uidl: str) -> datetime | None:
        """When a letter came; None when its header section does not tell, or cannot be had."""
        if uidl not in self._listed:
            return None
        try:
            with self.deadline.step(command_seconds()):
                return _arrived(self._line.beginning(self._listed[uidl]))
        except _DROPPED as error:
            self._reopen(error)
        except poplib.error_proto:
            pass
        return None

    def _letter(self, row: MailboxFolder, uidl: str) -> None:
        place = LetterLocation(row.id, uidl=uidl)
        folder = self.context.settings.data_dir / "loading"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with NamedTemporaryFile(dir=folder) as file:
            try:
                size, too_large = self._load(uidl, file)
            except _DROPPED as error:
                self._reopen(error)
                self.importer.postpone(place, str(error))
                return
            except poplib.error_proto as error:
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
        self._drops = 0
        if not self._line.is_open:
            self._open()

    def _load(self, uidl: str, file: IO[bytes]) -> tuple[int, bool]:
        """Writes a letter, or the beginning of one that is too large: its size, and whether it is."""
        number = self._listed[uidl]
        size = self._sizes.get(number, 0)
        with self.deadline.step(command_seconds(min(size, MAX_LETTER))):
            if size <= MAX_LETTER:
                octets = self._line.load(number, file, MAX_LETTER)
                if octets is not None and not octets.holds(size):
                    octets = self._once_more(uidl, octets, file)
                if octets is not None:
                    self._octets[uidl] = octets
                    return octets.length, False
                file.truncate(MAX_LETTER_BEGINNING)
                return MAX_LETTER + 1, True
            file.write(self._line.beginning(number, LINES_OF_A_BEGINNING))
            return size, True

    def _once_more(self, uidl: str, before: Octets, file: IO[bytes]) -> Octets | None:
        """The letter in another session: it was shorter than listed. Lengths are a guess with some servers; what is the same twice
        and is not nothing is the letter, as far as it can be had."""
        self._open()
        file.seek(0)
        file.truncate()
        octets = self._line.load(self._listed.get(uidl, 0), file, MAX_LETTER)
        if octets is not None and (octets.digest != before.digest or not octets.length):
            raise self._line.out_of_step(f"it gave {octets.length} bytes of a letter, and not all")
        self._line.hang_up()  # the rest of the letter may come yet
        return octets

    def _note_good_run(self, row: MailboxFolder) -> None:
        with self.context.database.session_scope() as session:
            self.importer.ours(session)
            session.get_one(MailboxFolder, row.id).good_run_at = now()

    def _delete(self, row: MailboxFolder) -> None:
        """DELE takes effect with a clean QUIT; if that is lost, the letters are known by their UIDL and deleted next time."""
        due = (
            col(PendingAction.folder_id) == row.id,
            col(PendingAction.due_at) <= now(),
            col(PendingAction.uidl) != "",
        )
        with self.context.database.reading() as session:
            waiting = session.exec(select(PendingAction.uidl).where(*due)).all()
        deleted = []
        for uidl in waiting:
            if self.is_over() or uidl not in self._listed:
                continue
            if self._is_stored(row, uidl):
                self._line.dele(self._listed[uidl])
                deleted.append(uidl)
        with self.deadline.step(command_seconds()):
            self._line.quit()
        with self.context.database.session_scope() as session:
            for uidl in deleted:
                session.exec(delete(PendingAction).where(*due, col(PendingAction.uidl) == uidl))

    def _is_stored(self, row: MailboxFolder, uidl: str) -> bool:
        """Whether what the server would delete is what we have, to the last byte. What was read in an earlier run is read again:
        a UIDL alone has been wrong before. What differs is left on the server, and loaded anew."""
        here = (LetterCopy.folder_id == row.id, LetterCopy.uidl == uidl)
        with self.context.database.reading() as session:
            letter = session.exec(select(Letter).join(LetterCopy).where(*here)).first()
            stored = hashlib.sha256(raw_of(session, letter)).hexdigest() if letter is not None else ""
        number = self._listed[uidl]
        octets = self._octets.get(uidl) or self._read_again(number)
        if octets.digest == stored and octets.holds(self._sizes.get(number, 0)):
            return True
        self._leave(row, uidl, anew=octets.digest != stored)
        return False

    def _read_again(self, number: int) -> Octets:
        with TemporaryFile() as nowhere, self.deadline.step(command_seconds(self._sizes.get(number, 0))):
            return self._line.load(number, nowhere, MAX_LETTER) or Octets(0, 0, "")

    def _leave(self, row: MailboxFolder, uidl: str, *, anew: bool) -> None:
        """The letter stays on the server, and its person is told so."""
        text = LocalizedText(
            "A letter was not deleted on %(host)s, because what the server gives now is not what was stored.",
            host=self.server.host,
        )
        with self.context.database.session_scope() as session:
            mailbox = self.importer.ours(session)
            for table in (PendingAction, LetterCopy) if anew else (PendingAction,):
                session.exec(delete(table).where(col(table.folder_id) == row.id, col(table.uidl) == uidl))
            session.add(MailboxProblem(mailbox_id=mailbox.id, code="not_deleted", detail=text))


def _arrived(section: bytes) -> datetime | None:
    """When a letter came, by its topmost Received field, else by Date; None when neither can be read."""
    values = [(field.name, field.value) for field in fields(section)]
    received = next((received_date(value) for name, value in values if name == "received"), None)
    return received or next((read_date(value) for name, value in values if name == "date"), None)
