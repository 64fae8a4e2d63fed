"""When an enquiry was answered first: by the first message of ours that its sender got after it came, whoever of us wrote it
and with whichever program."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, literal_column, or_, select, update
from sqlmodel import Session, col

from tracker.mail.addresses import lookup_or_none
from tracker.models import Account, EnquiryStatus, Letter, Mailbox, Message, Recipient, User
from tracker.notifications.notify import announce

WAITED_FOR = timedelta(days=60)
"""So long after an enquiry an answer to it is looked for elsewhere."""
_WRITER = select(col(Message.user_id)).where(
    col(Message.id) == bindparam("message"), col(Message.personal_link) != "ask"
)
_SENDER = select(col(Recipient.lookup)).where(col(Recipient.id) == bindparam("recipient"))
_CHANGED = (col(EnquiryStatus.letter_id), col(EnquiryStatus.user_id), col(EnquiryStatus.manager_id))
_ANSWERED = (
    update(EnquiryStatus)
    .where(
        col(EnquiryStatus.waiting_since).is_not(None),
        col(EnquiryStatus.sender) == _SENDER.scalar_subquery(),
        col(EnquiryStatus.received_at) < bindparam("at"),
        _WRITER.exists(),
    )
    .values(
        answered_by=case(
            (col(EnquiryStatus.answered_at).is_(None), _WRITER.scalar_subquery()),
            else_=col(EnquiryStatus.answered_by),
        ),
        answered_at=func.coalesce(col(EnquiryStatus.answered_at), bindparam("at")),
        last_answer_at=bindparam("at"),
        waiting_since=None,
        version=col(EnquiryStatus.version) + 1,
    )
    .returning(*_CHANGED)
)
# What was written elsewhere is heard of late: it may be older than an answer that is known, and than the sender's next letter.
_IS_FIRST = or_(col(EnquiryStatus.answered_at).is_(None), col(EnquiryStatus.answered_at) > bindparam("at"))
_IS_LAST = or_(col(EnquiryStatus.last_answer_at).is_(None), col(EnquiryStatus.last_answer_at) < bindparam("at"))
_ENDS_WAITING = col(EnquiryStatus.waiting_since) <= bindparam("at")
_ANSWERED_ELSEWHERE = (
    update(EnquiryStatus)
    .where(
        col(EnquiryStatus.sender) == bindparam("from_whom"),
        col(EnquiryStatus.received_at) < bindparam("at"),
        col(EnquiryStatus.received_at) > bindparam("since"),
        or_(_IS_FIRST, _ENDS_WAITING),
    )
    .values(
        answered_by=case((_IS_FIRST, bindparam("by")), else_=col(EnquiryStatus.answered_by)),
        answered_at=case((_IS_FIRST, bindparam("at")), else_=col(EnquiryStatus.answered_at)),
        last_answer_at=case((_IS_LAST, bindparam("at")), else_=col(EnquiryStatus.last_answer_at)),
        waiting_since=case((_ENDS_WAITING, None), else_=col(EnquiryStatus.waiting_since)),
        version=col(EnquiryStatus.version) + 1,
    )
    .returning(*_CHANGED)
)


@dataclass(frozen=True)
class AnswerElsewhere:
    """A message that somebody of us (number) wrote in another mail program, to addresses in look-up form."""

    at: datetime
    by: int
    to: frozenset[str]


_WAITING = (
    select(col(Recipient.id))
    .join(EnquiryStatus, col(EnquiryStatus.sender) == col(Recipient.lookup))
    .where(
        col(Recipient.id).in_(bindparam("recipients", expanding=True)), col(EnquiryStatus.waiting_since).is_not(None)
    )
)


IS_AWAITED: ColumnElement[bool] = literal_column(
    "EXISTS (SELECT 1 FROM enquiry_status JOIN recipient ON recipient.lookup = enquiry_status.sender"
    " WHERE recipient.id = delivery.recipient_id AND enquiry_status.waiting_since IS NOT NULL)"
).label("is_awaited")
"""A column of a delivery: whether an enquiry of its recipient waits for an answer, so that :func:`note_answers` is to be called.
(As text: behind RETURNING SQLAlchemy leaves the names of tables out for SQLite.)"""


def note_answers(session: Session, deliveries: Sequence[Any]) -> None:
    """A server took these copies (deliveries, or rows with columns of theirs): enquiries of their recipients wait no more. Requests
    for consent are no answers."""
    recipients = {delivery.recipient_id for delivery in deliveries}
    if not recipients:
        return
    waiting = set(session.connection().execute(_WAITING, {"recipients": list(recipients)}).scalars())
    for delivery in deliveries:
        if delivery.recipient_id in waiting:
            _note_answered(session, delivery)


def _note_answered(session: Session, delivery: Any) -> None:
    facts = {"message": delivery.message_id, "recipient": delivery.recipient_id, "at": delivery.accepted_at}
    _announce(session, session.connection().execute(_ANSWERED, facts).all())


def note_answered_elsewhere(session: Session, answers: Iterable[AnswerElsewhere]) -> int:
    """The same for messages found in a Sent folder, or that came to a mailbox of ours as a copy; in any order, again and again.
    Returns how many enquiries changed."""
    changed = 0
    for answer in sorted(answers, key=lambda item: item.at):
        for address in _enquirers(session, answer):
            facts = {"from_whom": address, "at": answer.at, "since": answer.at - WAITED_FOR, "by": answer.by}
            rows = session.connection().execute(_ANSWERED_ELSEWHERE, facts).all()
            _announce(session, rows)
            changed += len(rows)
    return changed


def _enquirers(session: Session, answer: AnswerElsewhere) -> list[str]:
    """Those of the answer's addresses that an enquiry of the weeks before it came from."""
    before = col(EnquiryStatus.received_at).between(answer.at - WAITED_FOR, answer.at)
    senders = select(col(EnquiryStatus.sender)).where(col(EnquiryStatus.sender).in_(answer.to), before).distinct()
    return list(session.connection().execute(senders).scalars())


def note_copies(session: Session, mailbox: Mailbox, letters: Iterable[Letter]) -> None:
    """Letters from one of us that a mailbox of ours got as a copy: to whom else they went has an answer."""
    answers = []
    for letter in letters:
        forms = frozenset(form for address, _ in (*letter.to, *letter.cc) if (form := lookup_or_none(address)))
        if forms:
            answers.append(AnswerElsewhere(letter.received_at, who_writes_from(session, letter.sender, mailbox), forms))
    note_answered_elsewhere(session, answers)


def who_writes_from(session: Session, sender: str, mailbox: Mailbox) -> int:
    """The person with this address: an account's or their own; else the mailbox's."""
    for owner, address in ((Account.user_id, Account.address), (User.id, User.email)):
        same = select(col(owner)).where(func.lower(col(address)) == sender.lower()).limit(1)
        person = session.connection().execute(same).scalar()
        if person is not None:
            return int(person)
    return mailbox.user_id


def _announce(session: Session, rows: Iterable[Any]) -> None:
    for letter_id, owner, manager in rows:
        letter = session.get_one(Letter, letter_id)
        for person in {owner, manager or owner}:
            announce(session, person, "letter", letter.public_id)
