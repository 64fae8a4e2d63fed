"""When an enquiry was answered first: by the first message of ours that its sender got after it came, whoever of us wrote it."""

from collections.abc import Sequence

from sqlalchemy import bindparam, case, func, select, update
from sqlmodel import Session, col

from tracker.models import Delivery, EnquiryStatus, Letter, Message, Recipient
from tracker.notifications.notify import announce

_WRITER = select(col(Message.user_id)).where(
    col(Message.id) == bindparam("message"), col(Message.personal_link) != "ask"
)
_SENDER = select(col(Recipient.lookup)).where(col(Recipient.id) == bindparam("recipient"))
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
    .returning(col(EnquiryStatus.letter_id), col(EnquiryStatus.user_id), col(EnquiryStatus.manager_id))
)


_WAITING = (
    select(col(Recipient.id))
    .join(EnquiryStatus, col(EnquiryStatus.sender) == col(Recipient.lookup))
    .where(
        col(Recipient.id).in_(bindparam("recipients", expanding=True)), col(EnquiryStatus.waiting_since).is_not(None)
    )
)


def note_answers(session: Session, deliveries: Sequence[Delivery]) -> None:
    """A server took these copies: enquiries of their recipients wait no more. Requests for consent are no answers."""
    recipients = {delivery.recipient_id for delivery in deliveries}
    waiting = set(session.connection().execute(_WAITING, {"recipients": list(recipients)}).scalars())
    for delivery in deliveries:
        if delivery.recipient_id in waiting:
            _note_answered(session, delivery)


def _note_answered(session: Session, delivery: Delivery) -> None:
    facts = {"message": delivery.message_id, "recipient": delivery.recipient_id, "at": delivery.accepted_at}
    answered = session.connection().execute(_ANSWERED, facts).all()
    for letter_id, owner, manager in answered:
        letter = session.get_one(Letter, letter_id)
        for person in {owner, manager or owner}:
            announce(session, person, "letter", letter.public_id)
