"""The list of letters as values: one page of rows, the repeats folded under their enquiry, and what stands beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlmodel import Session, col

from tracker.models import Letter, Mailbox, Message, User
from tracker.runtime.paging import PAGE, Cursor, read_page
from tracker.web.inbox.filter import LetterFilter

FOLDED = 5
"""So many repeats of an enquiry are shown under it, the newest; the rest is a link away."""


@dataclass(frozen=True)
class LetterRow:
    """One letter as the list shows it. ``repeats`` are the newest ones folded under it, ``repeated`` how many there are."""

    letter: Letter
    mailbox: str
    repeats: Sequence[Letter]
    repeated: int
    answers: Message | None


@dataclass(frozen=True)
class LetterListing:
    """One page of the list. ``next`` is where the following page begins, None on the last."""

    rows: Sequence[LetterRow]
    next: Cursor | None


def read_letters(
    session: Session, user: User, chosen: LetterFilter, after: Cursor | None = None, limit: int = PAGE
) -> LetterListing:
    """The page of the user's letters that pass the filter and come after a place."""
    query = chosen.apply(select(Letter), user)
    letters, place = read_page(session, query, (Letter.received_at, Letter.id), after, limit)
    return LetterListing(rows_of(session, user, letters), Cursor(*place) if place else None)


def rows_of(session: Session, user: User, letters: Sequence[Letter]) -> list[LetterRow]:
    """The rows of these letters, in as many queries however many they are."""
    if not letters:
        return []
    addresses = {box.id: box.address or box.name for box in mailboxes_of(session, user)}
    counts = _repeat_counts(session, [letter.id for letter in letters if letter.counted])
    folded = _newest_repeats(session, counts)
    answered = _answered(session, (letter.in_reply_to_message_id for letter in letters))
    return [
        LetterRow(
            letter=letter,
            mailbox=addresses.get(letter.mailbox_id, ""),
            repeats=folded.get(letter.id or 0, ()),
            repeated=counts.get(letter.id or 0, 0),
            answers=answered.get(letter.in_reply_to_message_id or 0),
        )
        for letter in letters
    ]


def mailboxes_of(session: Session, user: User) -> Sequence[Mailbox]:
    """Every mailbox of the person, removed ones last: their letters stay."""
    query = select(Mailbox).where(col(Mailbox.user_id) == user.id)
    return sorted(session.scalars(query), key=lambda box: (box.removed_at is not None, box.id or 0))


def _repeat_counts(session: Session, ids: Sequence[int | None]) -> dict[int, int]:
    if not ids:
        return {}
    of_them = col(Letter.repeat_of_id).in_(ids) & col(Letter.deleted_at).is_(None)
    query = select(col(Letter.repeat_of_id), func.count()).where(of_them).group_by(col(Letter.repeat_of_id))
    return {row[0]: row[1] for row in session.execute(query)}


def _newest_repeats(session: Session, counts: Mapping[int, int]) -> dict[int, list[Letter]]:
    """Up to :data:`FOLDED` each, newest first; one query for all that have few, one for each that has many."""
    few = [id_ for id_, count in counts.items() if count <= FOLDED]
    found: dict[int, list[Letter]] = {}
    order = (col(Letter.received_at).desc(), col(Letter.id).desc())
    alive = col(Letter.deleted_at).is_(None)
    rows = (
        session.scalars(select(Letter).where(col(Letter.repeat_of_id).in_(few), alive).order_by(*order)) if few else ()
    )
    for letter in rows:
        found.setdefault(letter.repeat_of_id or 0, []).append(letter)
    for id_ in counts.keys() - set(few):
        newest = select(Letter).where(col(Letter.repeat_of_id) == id_, alive).order_by(*order).limit(FOLDED)
        found[id_] = list(session.scalars(newest))
    return found


def _answered(session: Session, ids: Iterable[int | None]) -> dict[int, Message]:
    wanted = {id_ for id_ in ids if id_ is not None}
    rows = session.scalars(select(Message).where(col(Message.id).in_(wanted))) if wanted else ()
    return {message.id or 0: message for message in rows}
