"""The list of letters as values: one page of rows, the repeats folded under their enquiry, and what stands beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from tracker.crm.access import is_given
from tracker.models import Customer, EnquiryStatus, Letter, LetterBinding, Mailbox, Message, Order, User
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
    binding: LetterBinding | None = None
    customer: Customer | None = None
    order: Order | None = None
    status: EnquiryStatus | None = None
    manager: User | None = None
    answered_by: User | None = None


@dataclass(frozen=True)
class LetterWork:
    """Where a letter came to, what it is bound to and answers, and how the work on it stands."""

    mailbox: Mailbox
    binding: LetterBinding | None
    status: EnquiryStatus | None
    customer: Customer | None
    order: Order | None
    manager: User | None
    answered_by: User | None
    answers: Message | None
    """A message of the reader's own: a colleague's could not be opened."""


@dataclass(frozen=True)
class LetterListing:
    """One page of the list. ``next`` is where the following page begins, None on the last."""

    rows: Sequence[LetterRow]
    next: Cursor | None


def read_letters(
    session: Session, user: User, chosen: LetterFilter, after: Cursor | None = None, limit: int = PAGE
) -> LetterListing:
    """The page of the user's letters that pass the filter and come after a place."""
    letters, next_place = find_letters(session, user, chosen, after, limit)
    return LetterListing(rows_of(session, user, letters), next_place)


def find_letters(
    session: Session, user: User, chosen: LetterFilter, after: Cursor | None = None, limit: int = PAGE
) -> tuple[Sequence[Letter], Cursor | None]:
    """The letters of that page alone, and where the following page begins."""
    order = (Letter.received_at, Letter.id)
    letters, place = read_page(session, chosen.apply(session, select(Letter), user), order, after, limit)
    if chosen.list == "done" or (not chosen.list and manages_others(session, user)):
        query = select(Letter).where(*chosen.conditions_for_manager(session, user))
        others, more = read_page(session, query, order, after, limit)
        both = sorted([*letters, *others], key=lambda letter: (letter.received_at, letter.id), reverse=True)
        letters = both[:limit]
        place = (letters[-1].received_at, letters[-1].id) if place or more or len(both) > limit else None
    return letters, Cursor(*place) if place else None


def rows_of(session: Session, user: User, letters: Sequence[Letter]) -> list[LetterRow]:
    """The rows of these letters, in as many queries however many they are."""
    if not letters:
        return []
    works = work_of(session, user, letters)
    folded = _repeats(session, [letter.id for letter in letters if letter.counted])
    return [_row(letter, works[letter.id], *folded.get(letter.id, ((), 0))) for letter in letters]


def _row(letter: Letter, work: LetterWork, repeats: Sequence[Letter], repeated: int) -> LetterRow:
    return LetterRow(
        letter=letter,
        mailbox=work.mailbox.address or work.mailbox.name,
        repeats=repeats,
        repeated=repeated,
        answers=work.answers,
        binding=work.binding,
        customer=work.customer,
        order=work.order,
        status=work.status,
        manager=work.manager,
        answered_by=work.answered_by,
    )


_Manager, _Answerer = aliased(User), aliased(User)
_WORK = (
    select(col(Letter.id), Mailbox, LetterBinding, EnquiryStatus, Customer, Order, _Manager, _Answerer, Message)
    .join(Mailbox, col(Mailbox.id) == col(Letter.mailbox_id))
    .outerjoin(LetterBinding, col(LetterBinding.letter_id) == col(Letter.id))
    .outerjoin(EnquiryStatus, col(EnquiryStatus.letter_id) == col(Letter.id))
    .outerjoin(Customer, col(Customer.id) == col(LetterBinding.customer_id))
    .outerjoin(Order, col(Order.id) == col(LetterBinding.order_id))
    .outerjoin(_Manager, col(_Manager.id) == col(EnquiryStatus.manager_id))
    .outerjoin(_Answerer, col(_Answerer.id) == col(EnquiryStatus.answered_by))
    .outerjoin(
        Message, (col(Message.id) == col(Letter.in_reply_to_message_id)) & (col(Message.user_id) == bindparam("reader"))
    )
    .where(col(Letter.id).in_(bindparam("letters", expanding=True)))
)
"""Made once: to make it takes longer than to run it."""


def work_of(session: Session, user: User, letters: Sequence[Letter]) -> dict[int, LetterWork]:
    """As this reader sees it, by the number of the letter; in one statement."""
    rows = session.execute(_WORK, {"letters": [letter.id for letter in letters], "reader": user.id})
    return {row[0]: LetterWork(*row[1:]) for row in rows}


def manages_others(session: Session, user: User) -> bool:
    """Whether the person was given an enquiry of somebody else's mailbox."""
    return session.execute(select(col(EnquiryStatus.letter_id)).where(is_given(user)).limit(1)).first() is not None


def mailboxes_of(session: Session, user: User) -> Sequence[Mailbox]:
    """Every mailbox of the person, removed ones last: their letters stay."""
    query = select(Mailbox).where(col(Mailbox.user_id) == user.id)
    return sorted(session.scalars(query), key=lambda box: (box.removed_at is not None, box.id))


def _newest_repeats() -> Select[tuple[Letter, int]]:
    original = col(Letter.repeat_of_id)
    newest_first = (col(Letter.received_at).desc(), col(Letter.id).desc())
    place = func.row_number().over(partition_by=original, order_by=newest_first).label("place")
    count = func.count().over(partition_by=original).label("count")
    theirs = (original.in_(bindparam("letters", expanding=True)), col(Letter.deleted_at).is_(None))
    ranked = select(col(Letter.id), place, count).where(*theirs).subquery()
    query = select(Letter, ranked.c["count"]).join(ranked, ranked.c.id == col(Letter.id))
    return query.where(ranked.c.place <= FOLDED).order_by(*newest_first)


_REPEATS = _newest_repeats()


def _repeats(session: Session, ids: Sequence[int | None]) -> dict[int, tuple[list[Letter], int]]:
    """Of each enquiry the newest :data:`FOLDED` repeats and how many there are; in one statement."""
    if not ids:
        return {}
    repeats: dict[int, tuple[list[Letter], int]] = {}
    for letter, number in session.execute(_REPEATS, {"letters": ids}):
        repeats.setdefault(letter.repeat_of_id or 0, ([], number))[0].append(letter)
    return repeats
