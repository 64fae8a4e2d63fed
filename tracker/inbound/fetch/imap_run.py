"""Reading one IMAP mailbox, folder by folder, in order, as far as its time goes.

open read-only → numbered as before? → which letters are new → what is known of them → load them, each wholly or not
→ what is to be done on the server
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from tempfile import NamedTemporaryFile
from typing import IO

from imapclient import IMAPClient

from tracker.inbound.fetch import cursor, imap
from tracker.inbound.fetch.actions import act
from tracker.inbound.fetch.background_writer import BackgroundWriter
from tracker.inbound.fetch.cursor import KnownFolder
from tracker.inbound.fetch.fetched_letter import FetchedLetter, LetterLocation
from tracker.inbound.fetch.imap import Meta
from tracker.inbound.fetch.imap_connection import DROPPED, ImapConnection, MailboxRefused
from tracker.inbound.fetch.letter_importer import ImportStopped, LetterImporter
from tracker.inbound.fetch.refusals import ServerRefusal
from tracker.inbound.parse.header_hash import MOST, header_hash
from tracker.mail.folders import Folder, folders_of, watched
from tracker.mail.imap_commands import Opened
from tracker.models import FirstWindow, Mailbox, MailboxFolder, MailboxProblem, MailboxState
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.limits import MAX_LETTER, MAX_LETTER_BEGINNING
from tracker.runtime.localized_text import LocalizedText

_NOT_GIVEN = ValueError("the server does not give the letter")
MANY = 100
"""More new letters than that at once are told in one summary."""


class TimeOver(Exception):
    """The run took its time; what is left comes in the next one."""


@dataclass(frozen=True)
class Plan:
    """How the letters of one folder are taken: under which numbering, and whether the cursor follows."""

    row: MailboxFolder
    uidvalidity: int
    moves: bool
    rebuilt: bool = False
    silent: bool = False
    again: bool = False
    """These letters are in the retry list: what was found wanted once is wanted still."""


@dataclass
class ImapRun:
    """One run; ``mailbox`` as it was at its beginning."""

    context: AppContext
    mailbox: Mailbox
    connection: ImapConnection
    importer: LetterImporter
    is_over: Callable[[], bool]
    folders: list[Folder] = field(default_factory=list)
    background: BackgroundWriter = field(default_factory=BackgroundWriter)
    broken_off: str = ""
    """How the talk broke off over a new letter, if it did."""

    def read(self) -> bool:
        """Reads every watched folder. False when the time was over before that."""
        self.folders = self.connection.asked(folders_of)
        self._note_server()
        mine = watched(self.folders, self.mailbox.folders, everything=self.mailbox.all_folders)
        if not mine:
            text = LocalizedText("None of the chosen folders is there any more. Choose one of the folders found.")
            raise MailboxRefused(ServerRefusal(MailboxState.FOLDER_MISSING, text))
        with self.background:
            try:
                for folder in mine:
                    self._folder(folder)
            except TimeOver:
                self.background.wait()
                return False
        if self.broken_off and not self.importer.taken:
            raise MailboxRefused(_nothing_came(self.broken_off))
        return True

    def _note_server(self) -> None:
        names, capabilities = [folder.name for folder in self.folders][:1000], self.connection.capabilities
        self.mailbox.gmail = "X-GM-EXT-1" in capabilities
        if (names, capabilities) == (self.mailbox.found_folders, self.mailbox.capabilities):
            return
        with self.context.database.session_scope() as session:
            mailbox = self.importer.ours(session)
            mailbox.found_folders, mailbox.capabilities, mailbox.gmail = names, capabilities, self.mailbox.gmail

    def _folder(self, folder: Folder) -> None:
        opened = self.connection.open(folder.raw_name)
        row, _, has_retries, has_actions = self._known(folder)
        started, loaded = now(), self.importer.loaded
        if opened.uidvalidity is None:
            self._by_identity(row, opened)
        elif row.uidvalidity is None:
            self._first(row, opened, opened.uidvalidity)
        elif self._is_rebuilt(row, opened, opened.uidvalidity):
            self._recover(row, opened, opened.uidvalidity)
        else:
            self._news(row, opened)
            if has_retries:
                self._again(row, row.uidvalidity or 0)  # after the news, which they must not keep
        self.importer.good_runs[row.id] = started
        if has_actions or self.importer.loaded > loaded:
            act(self.context, self.connection, row, self.folders)

    def _known(self, folder: Folder) -> KnownFolder:
        """Nothing is written where nothing is new."""
        with self.context.database.reading() as session:
            known = cursor.known_folder(session, self.importer.mailbox_id, folder)
        if known is None:
            with self.context.database.session_scope() as session:
                row = cursor.folder_row(session, self.importer.ours(session), folder)
            return KnownFolder(row, is_on=True, has_retries=True, has_actions=True)
        if self.importer.shutdown.is_requested or not known.is_on:
            raise ImportStopped  # whether it is still ours alone is asked where something is written
        return known

    def _first(self, row: MailboxFolder, opened: Opened, uidvalidity: int) -> None:
        """The first window; from the first wanted letter on, the cursor takes over, so that a long load can be continued."""
        all_unread = self.mailbox.first_window == FirstWindow.ALL_UNREAD
        day = None if all_unread else cursor.search_day(row.cut_off).date()
        uids = self.connection.asked(lambda client: imap.uids_since(client, day, opened, unseen=all_unread))
        last = self.connection.asked(lambda client: imap.highest_uid(client, opened))
        with self.context.database.session_scope() as session:
            self.importer.ours(session)
            fresh = session.get_one(MailboxFolder, row.id)
            fresh.uidvalidity, fresh.last_uid = uidvalidity, uids[0] - 1 if uids else last
        self._take(uids, Plan(fresh, uidvalidity, moves=True, silent=True))

    def _news(self, row: MailboxFolder, opened: Opened) -> None:
        assert row.uidvalidity is not None
        # UIDNEXT would save this question, but not every server's can be believed.
        uids = self.connection.asked(lambda client: imap.uids_after(client, row.last_uid, opened))
        if uids:
            with self.context.database.reading() as session:
                waiting = cursor.waiting_retries(session, row)
            uids = [uid for uid in uids if uid not in waiting]
        begun_anew = self.mailbox.good_run_at is None  # the first load was interrupted
        self._take(uids, Plan(row, row.uidvalidity, moves=True, silent=begun_anew or len(uids) > MANY))

    def _again(self, row: MailboxFolder, uidvalidity: int) -> None:
        """Letters of the retry list whose time has come."""
        with self.context.database.reading() as session:
            due = cursor.due_retries(session, row, self.importer.failed)
        if due:
            self._take(sorted(due), Plan(row, uidvalidity, moves=False, again=True))

    def _by_identity(self, row: MailboxFolder, opened: Opened) -> None:
        """A server without a numbering that lasts: the last two days, told apart by what the letters are."""
        begin = max(row.cut_off, now() - cursor.UNNUMBERED_WINDOW)
        day = cursor.search_day(begin).date()
        uids = self.connection.asked(lambda client: imap.uids_since(client, day, opened))
        self._take(uids, Plan(row, 0, moves=False, silent=row.good_run_at is None), headers=True)

    def _is_rebuilt(self, row: MailboxFolder, opened: Opened, uidvalidity: int) -> bool:
        """Whether our places are void. A lower UIDVALIDITY or UIDNEXT may be a server's mistake: two letters tell."""
        assert row.uidvalidity is not None
        if uidvalidity == row.uidvalidity:
            fell_back = opened.uidnext is not None and opened.uidnext <= row.last_uid
            return fell_back and not self._keeps_its_letters(row)
        if uidvalidity > row.uidvalidity or not self._keeps_its_letters(row):
            return True
        with self.context.database.session_scope() as session:
            self.importer.ours(session)
            cursor.renumber(session, session.get_one(MailboxFolder, row.id), uidvalidity)
        row.uidvalidity = uidvalidity
        return False

    def _keeps_its_letters(self, row: MailboxFolder) -> bool:
        with self.context.database.reading() as session:
            known = cursor.newest_places(session, row)
        if not known:
            return False
        metas = self._metadata([uid for uid, _ in known], headers=True)
        seen = {meta.uid: meta for meta in metas}
        return all(uid in seen and seen[uid].header_hash == letter.header_hash for uid, letter in known)

    def _recover(self, row: MailboxFolder, opened: Opened, uidvalidity: int) -> None:
        """The folder was rebuilt: its recent letters are recognised where they lie now; nothing is told twice."""
        begin = cursor.recovery_begin(row, now())
        day = cursor.search_day(begin).date()
        uids = self.connection.asked(lambda client: imap.uids_since(client, day, opened))
        last = self.connection.asked(lambda client: imap.highest_uid(client, opened))
        if uidvalidity == row.uidvalidity:
            with self.context.database.session_scope() as session:
                self.importer.ours(session)
                cursor.invalidate_places(session, row)
        self._take(uids, Plan(row, uidvalidity, moves=False, rebuilt=True), headers=True)
        with self.context.database.session_scope() as session:
            self.importer.ours(session)
            cursor.rebuilt(session, session.get_one(MailboxFolder, row.id), uidvalidity, last)
            text = LocalizedText("The mailbox was rebuilt on the server (%(folder)s).", folder=row.name)
            session.add(MailboxProblem(mailbox_id=self.mailbox.id, code="rebuilt", detail=text))

    def _take(self, uids: Sequence[int], plan: Plan, *, headers: bool = False) -> None:
        """Takes the wanted ones of these letters in, those of one question in the order of their receipt; afterwards all of them
        are done or in the retry list."""
        for begin in range(0, len(uids), imap.METADATA_AT_ONCE):
            some = uids[begin : begin + imap.METADATA_AT_ONCE]
            if plan.rebuilt:
                some = self._not_placed(some, plan)
            metas = self._metadata(some, headers=headers, plan=plan)
            for uid in set(some) - {meta.uid for meta in metas} - self.importer.failed if plan.again else ():
                self.importer.vanished(self._place(uid, plan))
            wanted = [meta for meta in metas if plan.again or cursor.is_wanted(meta, self.mailbox, plan.row)]
            for group in imap.groups(imap.by_receipt(self._unknown(wanted, plan))):
                if self.is_over():
                    raise TimeOver
                self._load(group, plan)
            if plan.moves and some:
                self.background.submit(partial(self.importer.passed, plan.row.id, some[-1]))
        self.background.wait()

    def _not_placed(self, uids: Sequence[int], plan: Plan) -> list[int]:
        with self.context.database.reading() as session:
            here = cursor.placed(session, plan.row, plan.uidvalidity, uids)
        return [uid for uid in uids if uid not in here]

    def _metadata(self, uids: Sequence[int], *, headers: bool, plan: Plan | None = None) -> list[Meta]:
        gmail = self.mailbox.gmail
        if not uids:
            return []
        answers, failed = self.connection.each(
            uids, lambda client, some: imap.metadata(client, some, headers=headers, gmail=gmail)
        )
        for uid, problem in failed:
            if plan is not None:  # those below it are not loaded yet
                self._postpone(uid, plan, problem, None)
        self._go_on()
        return [meta for answer in answers for meta in answer]

    def _unknown(self, metas: Iterable[Meta], plan: Plan) -> list[Meta]:
        """Without those that need not be loaded: their new places are noted."""
        unknown = []
        for meta in metas:
            known = None
            if meta.gmail_id is not None or meta.header_hash:
                with self.context.database.reading() as session:
                    known = cursor.known_letter(session, self.importer.mailbox_id, meta)
            if known is None:
                unknown.append(meta)
            else:
                self.background.wait()
                self.importer.known(known, self._place(meta.uid, plan))
        return unknown

    def _load(self, group: Sequence[Meta], plan: Plan) -> None:
        if imap.goes_to_disk(group):
            self._load_large(group[0], plan)
            return
        size = sum(meta.size for meta in group)
        answers, failed = self.connection.each([meta.uid for meta in group], imap.bodies, size)
        loaded = {uid: body for answer in answers for uid, body in answer.items()}
        sizes = {meta.uid: meta.size for meta in group}
        bodies = {uid: body for uid, body in loaded.items() if body or (body is not None and not sizes.get(uid))}
        problems = dict(failed) | dict.fromkeys(loaded.keys() - bodies.keys(), _NOT_GIVEN)
        if plan.silent and plan.moves and not problems and self.connection.given_up is None:
            here = [meta for meta in group if meta.uid in bodies]
            fetched = [self._fetched(meta, plan, content=bodies.pop(meta.uid)) for meta in here]
            self.background.submit(partial(self.importer.letters, fetched))
            return
        for meta in group:
            if meta.uid in problems:
                self._postpone(meta.uid, plan, problems[meta.uid], meta.read_up_to)
            elif meta.uid in bodies:  # else it vanished
                self._letter(self._fetched(meta, plan, content=bodies.pop(meta.uid)), plan)
        self._go_on()

    def _go_on(self) -> None:
        """Raises what the line was given up for."""
        if self.connection.given_up is not None:
            self.background.wait()
            raise self.connection.given_up

    def _load_large(self, meta: Meta, plan: Plan) -> None:
        most = MAX_LETTER if meta.size <= MAX_LETTER else MAX_LETTER_BEGINNING - 1
        with self._file() as file:

            def load(client: IMAPClient, uids: Sequence[int]) -> int | None:
                file.seek(0)
                file.truncate()
                return imap.load_into(client, uids[0], file, most)

            answers, failed = self.connection.each([meta.uid], load, min(meta.size, MAX_LETTER))
            if failed:
                self._postpone(meta.uid, plan, failed[0][1], meta.read_up_to)
            elif answers[0] is not None:
                file.flush()
                self._letter(self._fetched(meta, plan, file=file, length=answers[0]), plan)

    def _file(self) -> "IO[bytes]":
        folder = self.context.settings.data_dir / "loading"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return NamedTemporaryFile(dir=folder)

    def _letter(self, fetched: FetchedLetter, plan: Plan) -> None:
        self.background.wait()
        self.importer.letter(fetched, again=plan.again)

    def _fetched(
        self, meta: Meta, plan: Plan, *, content: bytes | None = None, file: "IO[bytes] | None" = None, length: int = 0
    ) -> FetchedLetter:
        # What a server says of sizes is a guess with some: what came is what counts.
        too_large = length > (MAX_LETTER if meta.size <= MAX_LETTER else MAX_LETTER_BEGINNING - 1)
        if file is not None and too_large:
            os.truncate(file.fileno(), min(length, MAX_LETTER_BEGINNING))
        beginning = content if content is not None else _beginning(file)
        recovered = plan.rebuilt and not cursor.is_new_after(plan.row, meta.internal_date)
        return FetchedLetter(
            place=self._place(meta.uid, plan),
            content=content,
            path=None if file is None else self.context.settings.data_dir / "loading" / os.path.basename(file.name),
            size=meta.size if too_large else length or len(content or b""),
            internal_date=meta.internal_date,
            fetched_at=now(),
            flags=meta.flags,
            gmail_id=meta.gmail_id,
            header_hash=header_hash(beginning),
            too_large=too_large,
            recovered=recovered,
            silent=plan.silent or recovered,
            read_up_to=meta.read_up_to if plan.moves else None,
        )

    def _postpone(self, uid: int, plan: Plan, problem: Exception, read_up_to: int | None) -> None:
        self.background.wait()
        if plan.moves and isinstance(problem, DROPPED):
            self.broken_off = str(problem)
        self.importer.postpone(
            self._place(uid, plan), f"{type(problem).__name__}: {problem}", read_up_to if plan.moves else None
        )

    def _place(self, uid: int, plan: Plan) -> LetterLocation:
        return LetterLocation(plan.row.id, plan.uidvalidity, uid) if plan.uidvalidity else LetterLocation(plan.row.id)


def _nothing_came(problem: str) -> ServerRefusal:
    text = LocalizedText(
        "No new letter could be loaded; Inkling tries again. The connection broke off: %(problem)s", problem=problem
    )
    return ServerRefusal(MailboxState.CONNECTION_ERROR, text)


def _beginning(file: "IO[bytes] | None") -> bytes:
    assert file is not None
    file.seek(0)
    return file.read(MOST)
