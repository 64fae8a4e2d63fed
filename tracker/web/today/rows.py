"""What a salesperson does next, as values: who waits for an answer, who shows interest, what is due, what went wrong.

Each list says how many there are and holds the first of them. Nothing is in two lists for the same reason: whoever waits for an
answer is not listed as interested.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from sqlalchemy import Select, func, or_, select
from sqlmodel import Session, col

from tracker.crm.access import is_nobodys
from tracker.crm.enquiries import in_list
from tracker.engagement.warmth import degree, warmth
from tracker.models import (
    Account,
    Delivery,
    EnquiryStatus,
    Letter,
    Mailbox,
    MailboxState,
    Message,
    MessageState,
    Recipient,
    User,
)
from tracker.models.ownership import owned_rows
from tracker.runtime.database import now
from tracker.web.messages.filter import went_wrong

SHOWN = 7
INTEREST_DAYS = 7
_LOOKED_AT = 300
"""So many copies with the newest activity are looked at for interest."""
_FINE = (MailboxState.ACTIVE, MailboxState.CHECKING, MailboxState.PAUSED)

Item = TypeVar("Item")


@dataclass(frozen=True)
class Few(Generic[Item]):
    """The first rows of a list, and how many there are in all."""

    rows: Sequence[Item] = ()
    count: int = 0

    @classmethod
    def first(cls, items: Sequence[Item], most: int) -> "Few[Item]":
        return cls(items[:most], len(items))


@dataclass(frozen=True)
class WaitingEnquiry:
    """An enquiry whose sender has had no answer, and whose it is when it is not the reader's own."""

    letter: Letter
    status: EnquiryStatus
    is_nobodys: bool


@dataclass
class Interested:
    """A person and what they did lately with one's mail; ``subjects`` newest first."""

    public_id: str
    name: str
    address: str
    last: datetime
    opens: int = 0
    clicks: int = 0
    messages: list[tuple[str, str]] = field(default_factory=list)
    """Public id and subject of each."""

    def points(self, moment: datetime) -> float:
        return warmth(self.opens, self.clicks, self.last, moment)

    @property
    def degree(self) -> str:
        return degree(self.points(now()))


@dataclass(frozen=True)
class Trouble:
    """A message that did not arrive everywhere. ``kind``: failed, refused or bounced."""

    message: Message
    kind: str


@dataclass(frozen=True)
class Today:
    answer: Few[WaitingEnquiry]
    interest: Few[Interested]
    due: Few[Message]
    trouble: Few[Trouble]
    mailboxes: Sequence[Mailbox]
    """Those that are not read for a reason that a person has to mend."""
    accounts: Sequence[Account]
    """Those that cannot send."""

    @property
    def is_empty(self) -> bool:
        lists = (self.answer, self.interest, self.due, self.trouble)
        return not (any(few.count for few in lists) or self.mailboxes or self.accounts)


def read_today(session: Session, user: User, everybody: bool = False) -> Today:
    """``everybody``: of those who show interest all, not only the first."""
    answer = waiting(session, user)
    first = [row.letter.sender for row in answer.rows]
    return Today(
        answer,
        interested(session, user, without=first, most=_LOOKED_AT if everybody else SHOWN),
        due(session, user),
        trouble(session, user),
        session.exec(owned_rows(Mailbox, user).where(col(Mailbox.state).not_in(_FINE))).all(),
        session.exec(owned_rows(Account, user).where(col(Account.state).in_(("broken", "needs_sign_in")))).all(),
    )


def waiting(session: Session, user: User) -> Few[WaitingEnquiry]:
    """Enquiries that wait for an answer, those of the reader first, the oldest first: they have waited longest."""
    nobodys = is_nobodys() & (col(EnquiryStatus.user_id) != user.id)
    alive = (col(Letter.counted), col(Letter.withdrawn_at).is_(None), col(Letter.deleted_at).is_(None))
    query = (
        select(Letter, EnquiryStatus, nobodys, func.count().over())
        .join(EnquiryStatus, col(EnquiryStatus.letter_id) == col(Letter.id))
        .where(in_list("answer", user, now()), *alive)
        .order_by(nobodys, col(EnquiryStatus.waiting_since))
    )
    rows = session.execute(query.limit(SHOWN)).all()
    return Few([WaitingEnquiry(row[0], row[1], bool(row[2])) for row in rows], rows[0][3] if rows else 0)


def interested(session: Session, user: User, without: Iterable[str] = (), most: int = SHOWN) -> Few[Interested]:
    """People by the warmth of what they did in the last days, that was not settled since."""
    moment = now()
    last = func.coalesce(col(Delivery.last_clicked_at), col(Delivery.last_opened_at))
    query = (
        select(Delivery, col(Recipient.public_id), col(Message.public_id), col(Message.subject))
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .join(Recipient, col(Recipient.id) == col(Delivery.recipient_id))
        .where(
            col(Message.user_id) == user.id,
            col(Message.last_activity_at) >= moment - timedelta(days=INTEREST_DAYS),
            or_(col(Delivery.opens) > 0, col(Delivery.clicks) > 0),
            ~col(Delivery.frozen),
            col(Delivery.address) != "",
            or_(
                col(Delivery.handled_at).is_(None),
                col(Delivery.last_opened_at) > col(Delivery.handled_at),
                last > col(Delivery.handled_at),
            ),
        )
        .order_by(col(Message.last_activity_at).desc())
        .limit(_LOOKED_AT)
    )
    people: dict[int, Interested] = {}
    for copy, recipient, message, subject in session.execute(query):
        _add(people, copy, recipient, (message, subject), moment - timedelta(days=INTEREST_DAYS))
    answered_first = set(without)
    warm = [person for person in people.values() if person.address.lower() not in answered_first]
    warm.sort(key=lambda person: (person.points(moment), person.last), reverse=True)
    return Few.first(warm, most)


def _add(
    people: dict[int, Interested], copy: Delivery, recipient: str, message: tuple[str, str], since: datetime
) -> None:
    last = max(at for at in (copy.last_opened_at, copy.last_clicked_at, since) if at is not None)
    if last <= since:  # an answer came lately, to mail that was read long ago
        return
    person = people.setdefault(copy.recipient_id, Interested(recipient, copy.name or copy.address, copy.address, last))
    person.last = max(person.last, last)
    person.opens, person.clicks = person.opens + copy.opens, person.clicks + copy.clicks
    person.messages.append(message)


def due(session: Session, user: User) -> Few[Message]:
    """Messages whose time for a follow-up has come, the longest due first."""
    query = select(Message, func.count().over()).where(
        col(Message.user_id) == user.id, col(Message.follow_up_due_at).is_not(None)
    )
    return _few_messages(session, query.order_by(col(Message.follow_up_due_at)))


def trouble(session: Session, user: User) -> Few[Trouble]:
    """Messages that went wrong lately, and that nobody has dealt with since."""
    query = select(Message, func.count().over()).where(col(Message.user_id) == user.id, went_wrong())
    few = _few_messages(session, query.order_by(col(Message.listed_at).desc()))
    return Few([Trouble(message, _kind(message)) for message in few.rows], few.count)


def _kind(message: Message) -> str:
    if message.state == MessageState.FAILED:
        return "failed"
    return "bounced" if message.bounces else "refused"


def _few_messages(session: Session, query: Select[Message, int]) -> Few[Message]:
    rows = session.execute(query.limit(SHOWN)).all()
    return Few([row[0] for row in rows], rows[0][1] if rows else 0)
