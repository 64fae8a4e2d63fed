"""Letters into the database: each with its place, the cursor and what is to be done on the server in one transaction; of a first
load some share one. What fails is put aside and tried again, and in the end stored as it came."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlmodel import Session, col, delete, select, update

from tracker.inbound.fetch.fetched_letter import Accepted, FetchedLetter, LetterLocation
from tracker.inbound.fetch.schedule import may_go_on
from tracker.models import FetchRetry, LetterCopy, Mailbox, MailboxFolder, MailboxProblem, PendingAction
from tracker.models.counting.tables import ENQUIRY_KEY, LETTER, LETTER_COPY
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown
from tracker.runtime.gc_pause import gc_paused
from tracker.runtime.lease import HeldLease
from tracker.runtime.localized_text import LocalizedText

log = logging.getLogger(__name__)

StoreLetters = Callable[[Session, AppContext, Mailbox, Sequence[FetchedLetter]], list[Accepted]]
"""Understands and stores letters and their places inside the transaction it is given: :func:`tracker.inbound.accept.accept_all`."""
RETRY_AFTER = (timedelta(0), timedelta(hours=1), timedelta(hours=24))
"""Pauses before the second try, the third, and every one after that."""
TRIES = 3
TOGETHER = 100
TOGETHER_BYTES = 512 * 1024
"""The most letters that share a transaction: how long other writers of an SQLite file wait for it."""
NEVER = datetime(9000, 1, 1, tzinfo=UTC)


class ImportStopped(Exception):
    """The mailbox was switched off, removed, or taken over by another worker, or this worker ends: the run ends where it is."""


@dataclass
class LetterImporter:
    """The letters of one run on their way in. Knows nothing of servers."""

    context: AppContext
    mailbox_id: int
    lease: HeldLease
    take: StoreLetters
    shutdown: Shutdown = field(default_factory=Shutdown)
    loaded: int = 0
    """Letters that are new."""
    taken: int = 0
    """Letters that came in, known ones too."""
    silent: int = 0
    good_runs: dict[int, datetime] = field(default_factory=dict)
    """Folders that were read to their end, with when that began; noted at the end of the run."""
    learn_at: int = 500
    """After so many letters of one load the database looks at its tables anew, and again after ten times as many."""
    failed: set[int] = field(default_factory=set)

    def letter(self, fetched: FetchedLetter, *, again: bool = False) -> bool:
        """Takes one letter in and moves the folder's cursor. False when it failed: then it is in the retry list (``again``: it
        was already).

        Raises :class:`ImportStopped`, and what the database raises when it is away.
        """
        try:
            self._take(fetched, again)
            return True
        except ImportStopped:
            raise
        except DBAPIError as error:
            # the database as a whole has trouble; the letter has not
            if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
                raise
            self._failed(fetched, error)
        except Exception as error:  # whatever is wrong with one letter, the others go on
            self._failed(fetched, error)
        return False

    def letters(self, some: Sequence[FetchedLetter]) -> None:
        """Takes letters of a load in, in their order, and moves the cursor with them: some in each transaction. When anything goes
        wrong in one nothing of it stays, and each of its letters is taken alone."""
        for together in _shares(some):
            if not self._together(together):
                for fetched in together:
                    self.letter(fetched)
            if self.loaded >= self.learn_at:
                self.context.database.learn(LETTER, LETTER_COPY, ENQUIRY_KEY)
                self.learn_at *= 10

    def _together(self, some: Sequence[FetchedLetter]) -> bool:
        """False when they have to be taken one by one."""
        try:
            for fetched in some:
                _ = fetched.understood  # while nobody waits for the transaction
            with gc_paused(), self.context.database.session_scope() as session:
                mailbox = self.ours(session, hold=True)
                taken = self._accepted(session, mailbox, some)
                self._move(session, some[-1].place, some[-1].read_up_to)
        except ImportStopped:
            raise
        except Exception as error:  # one bad letter, or two runs that wait for each other
            log.info("mailbox %s: letters are taken one by one: %s", self.mailbox_id, type(error).__name__)
            return False
        self._count(some, taken)
        return True

    def _take(self, fetched: FetchedLetter, again: bool) -> None:
        with self.context.database.session_scope() as session:
            mailbox = self.ours(session)
            if again:
                forget_retry(session, fetched.place)
            taken = self._accepted(session, mailbox, [fetched])
            self._move(session, fetched.place, fetched.read_up_to)
        self._count([fetched], taken)

    def _accepted(self, session: Session, mailbox: Mailbox, some: Sequence[FetchedLetter]) -> list[Accepted]:
        taken = self.take(session, self.context, mailbox, some)
        for fetched, accepted in zip(some, taken, strict=True):
            if accepted.outcome == "new" and accepted.touch and not fetched.unparsed:
                self._plan_actions(session, mailbox, fetched)
            if accepted.outcome == "dropped" and fetched.place.uidl:
                pass_by(session, fetched.place)
        return taken

    def _count(self, some: Sequence[FetchedLetter], taken: Sequence[Accepted]) -> None:
        new = [fetched for fetched, accepted in zip(some, taken, strict=True) if accepted.outcome == "new"]
        self.loaded += len(new)
        self.taken += len(some)
        self.silent += sum(fetched.silent for fetched in new)

    def known(self, letter_id: int, place: LetterLocation, cursor: int | None = None) -> None:
        """Another copy of a letter that we have: its place is noted, nothing else."""
        self.taken += 1
        with self.context.database.session_scope() as session:
            self.ours(session)
            keep_place(session, letter_id, place)
            self._move(session, place, cursor)

    def passed(self, folder_id: int, cursor: int) -> None:
        """Everything up to the cursor is done or not wanted."""
        with self.context.database.session_scope() as session:
            self.ours(session)
            self._move(session, LetterLocation(folder_id), cursor)

    def postpone(self, place: LetterLocation, problem: str, cursor: int | None = None) -> None:
        """A letter that the server does not give: tried again later."""
        with self.context.database.session_scope() as session:
            mailbox = self.ours(session)
            if _note_failure(session, place, problem) == TRIES:
                session.add(_exhausted(mailbox, problem))
            self._move(session, place, cursor)
        self.failed.add(place.uid)

    def vanished(self, place: LetterLocation) -> None:
        """A letter of the retry list is no longer there."""
        with self.context.database.session_scope() as session:
            self.ours(session)
            forget_retry(session, place)

    def ours(self, session: Session, *, hold: bool = False) -> Mailbox:
        """The mailbox, while it is ours. With ``hold`` whoever switches it off waits for the end of the transaction."""
        mailbox = session.get_one(Mailbox, self.mailbox_id, with_for_update={"key_share": True} if hold else None)
        if not self._may_go_on(session, mailbox):
            raise ImportStopped
        return mailbox

    def _may_go_on(self, session: Session, mailbox: Mailbox) -> bool:
        return not self.shutdown.is_requested and may_go_on(session, self.context, mailbox, self.lease)

    def _failed(self, fetched: FetchedLetter, error: Exception) -> None:
        problem = f"{type(error).__name__}: {error}"[:500].replace("\0", "")  # PostgreSQL takes no NUL
        log.warning("mailbox %s: a letter could not be taken in: %s", self.mailbox_id, type(error).__name__)
        log.debug("letter at %s", fetched.place, exc_info=error)
        with self.context.database.session_scope() as session:
            mailbox = self.ours(session)
            tries = _note_failure(session, fetched.place, problem)
            self._move(session, fetched.place, fetched.read_up_to)
            if fetched.unparsed:
                session.add(_exhausted(mailbox, problem))
        self.failed.add(fetched.place.uid)
        if tries >= TRIES and not fetched.unparsed:
            self.letter(replace(fetched, unparsed=problem), again=True)

    def _move(self, session: Session, place: LetterLocation, cursor: int | None) -> None:
        if cursor is not None:
            behind = (col(MailboxFolder.id) == place.folder_id, col(MailboxFolder.last_uid) < cursor)
            session.exec(update(MailboxFolder).where(*behind).values(last_uid=cursor))

    def _plan_actions(self, session: Session, mailbox: Mailbox, fetched: FetchedLetter) -> None:
        place = fetched.place
        if place.uid and mailbox.mark_read:
            session.add(_action("seen", place, timedelta(0)))
        if (
            (place.uid or place.uidl) and mailbox.delete_loaded and not fetched.too_large
        ):  # else its end is nowhere but there
            session.add(_action("delete", place, timedelta(days=mailbox.delete_after_days)))


def _shares(some: Sequence[FetchedLetter]) -> Iterator[list[FetchedLetter]]:
    share: list[FetchedLetter] = []
    size = 0
    for fetched in some:
        if share and (len(share) == TOGETHER or size + fetched.size > TOGETHER_BYTES):
            yield share
            share, size = [], 0
        share.append(fetched)
        size += fetched.size
    if share:
        yield share


def _action(kind: str, place: LetterLocation, after: timedelta) -> PendingAction:
    return PendingAction(
        folder_id=place.folder_id, kind=kind, uidvalidity=place.uidvalidity, uid=place.uid, uidl=place.uidl,
        due_at=now() + after,
    )  # fmt: skip


def keep_place(session: Session, letter_id: int, place: LetterLocation) -> None:
    """Notes where a copy of the letter lies; nothing where the server numbers nothing."""
    if not (place.uid or place.uidl):
        return
    copy = session.exec(select(LetterCopy).where(*_at(LetterCopy, place))).first()
    if copy is None:
        copy = LetterCopy(
            letter_id=letter_id,
            folder_id=place.folder_id,
            uidvalidity=place.uidvalidity,
            uid=place.uid,
            uidl=place.uidl,
        )
    copy.letter_id, copy.seen_at = letter_id, now()
    session.add(copy)


def forget_retry(session: Session, place: LetterLocation) -> None:
    session.exec(delete(FetchRetry).where(*_at(FetchRetry, place)))


def pass_by(session: Session, place: LetterLocation) -> None:
    session.add(
        FetchRetry(
            folder_id=place.folder_id,
            uidvalidity=place.uidvalidity,
            uid=place.uid,
            uidl=place.uidl,
            tries=0,
            try_at=NEVER,
        )
    )


def _note_failure(session: Session, place: LetterLocation, problem: str) -> int:
    """Counts a failed try and gives how many there were."""
    row = session.exec(select(FetchRetry).where(*_at(FetchRetry, place))).first()
    if row is None:
        row = FetchRetry(
            folder_id=place.folder_id,
            uidvalidity=place.uidvalidity,
            uid=place.uid,
            uidl=place.uidl,
            tries=0,
            try_at=now(),
        )
    row.tries += 1
    row.problem = problem[:500].replace("\0", "")
    row.try_at = now() + RETRY_AFTER[min(row.tries, len(RETRY_AFTER)) - 1]
    session.add(row)
    return row.tries


def _at(table: type[LetterCopy] | type[FetchRetry], place: LetterLocation) -> tuple[ColumnElement[bool], ...]:
    return (
        col(table.folder_id) == place.folder_id,
        col(table.uidvalidity) == place.uidvalidity,
        col(table.uid) == place.uid,
        col(table.uidl) == place.uidl,
    )


def _exhausted(mailbox: Mailbox, problem: str) -> MailboxProblem:
    text = LocalizedText("A letter cannot be loaded; Inkling goes on trying once a day: %(problem)s", problem=problem)
    return MailboxProblem(mailbox_id=mailbox.id, code="retry_exhausted", detail=text)
