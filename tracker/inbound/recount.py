"""Counting the letters of a mailbox again under its present repeat period (inbound 3.3, item 7): replayed in time order."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import ColumnElement, func, select, update
from sqlmodel import Session, col

from tracker.crm.bind_letters import open_enquiries_of
from tracker.inbound.repeat import Enquiry, decide
from tracker.models import Category, EnquiryKey, Letter, Mailbox

AT_ONCE = 1000


@dataclass(frozen=True)
class RecountedLetter:
    """A letter whose standing changes: it counts from now on, or is folded under another (None when it was already folded and
    only moves)."""

    letter_id: int
    counts: bool
    counted: bool
    repeat_of: int | None


@dataclass(frozen=True)
class Difference:
    """What a recount changes: letters that would count more, that would count no more, and enquiries before and after."""

    more: int
    fewer: int
    before: int
    after: int

    @property
    def is_nothing(self) -> bool:
        return not (self.more or self.fewer)


def preview(session: Session, mailbox: Mailbox) -> Difference:
    """What :func:`recount` would change. Changes nothing."""
    return _difference(session, mailbox, list(_changes(session, mailbox)))


def recount(session: Session, mailbox: Mailbox) -> Difference:
    """Replays all letters of the mailbox in time order. Nobody decides about a letter of it meanwhile."""
    keys = select(col(EnquiryKey.id)).where(col(EnquiryKey.mailbox_id) == mailbox.id).order_by(col(EnquiryKey.id))
    session.execute(keys.with_for_update()).all()
    changes = list(_changes(session, mailbox))
    difference = _difference(session, mailbox, changes)
    rows = [{"id": c.letter_id, "counted": c.counts, "repeat_of_id": c.repeat_of} for c in changes]
    for start in range(0, len(rows), AT_ONCE):
        session.execute(update(Letter), rows[start : start + AT_ONCE])
    open_enquiries_of(session, [change.letter_id for change in changes if change.counts])
    session.expire_all()
    return difference


def _difference(session: Session, mailbox: Mailbox, changes: list[RecountedLetter]) -> Difference:
    more = sum(change.counts and not change.counted for change in changes)
    fewer = sum(change.counted and not change.counts for change in changes)
    counted = select(func.count()).select_from(Letter).where(*_takes_part(mailbox), col(Letter.counted))
    before = session.scalar(counted) or 0
    return Difference(more, fewer, before, before + more - fewer)


def _changes(session: Session, mailbox: Mailbox) -> Iterator[RecountedLetter]:
    for _key, letters in groupby(_rows(session, mailbox), key=lambda row: row.enquiry_key_id):
        yield from _replayed(letters, mailbox.repeat_period_days)


@dataclass(frozen=True)
class _Row:
    id: int
    enquiry_key_id: int
    received_at: datetime
    counted: bool
    repeat_of_id: int | None


def _takes_part(mailbox: Mailbox) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Letter.mailbox_id) == mailbox.id,
        col(Letter.enquiry_key_id).is_not(None),
        col(Letter.category) == Category.HUMAN,
        col(Letter.withdrawn_at).is_(None),
        ~col(Letter.recovered),
        ~col(Letter.backfilled),
    )


def _rows(session: Session, mailbox: Mailbox) -> Iterator[_Row]:
    """The letters that take part, by sender and recipient, each in time order; withdrawn ones are not seen."""
    query = (
        select(
            col(Letter.id),
            col(Letter.enquiry_key_id),
            col(Letter.received_at),
            col(Letter.counted),
            col(Letter.repeat_of_id),
        )
        .where(*_takes_part(mailbox))
        .order_by(col(Letter.enquiry_key_id), col(Letter.received_at), col(Letter.id))
    )
    for row in session.execute(query).yield_per(5000):
        yield _Row(*row)


def _replayed(letters: Iterator[_Row], period_days: int) -> Iterator[RecountedLetter]:
    """In time order only the last letter that counts can be too near."""
    last: list[Enquiry] = []
    for letter in letters:
        decided = decide(letter.received_at, last, period_days)
        if decided.counts:
            last = [Enquiry(letter.id, letter.received_at)]
        if (decided.counts, decided.repeat_of) != (letter.counted, letter.repeat_of_id):
            yield RecountedLetter(letter.id, decided.counts, letter.counted, decided.repeat_of)
