"""What stands beside a letter: its customer and orders, how it was bound, whose the enquiry is, and earlier mail both ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from tracker.crm.access import sees_letter
from tracker.crm.customers import addresses_of
from tracker.crm.hand_binding import BindingPreview, propose_binding
from tracker.locale import N_
from tracker.models import (
    Customer,
    Delivery,
    EnquiryChange,
    EnquiryStatus,
    Letter,
    LetterBinding,
    Message,
    Order,
    Recipient,
    User,
)
from tracker.web.inbox.rows import LetterWork

SHOWN = 8
RULES: Mapping[str, str] = {
    "reply": N_("It answers a message of ours."),
    "order_number": N_("The order number stands in the subject."),
    "sender": N_("The sender’s address is the customer’s."),
    "created": N_("The sender was unknown, so a customer was made."),
    "by_hand": N_("Chosen by hand."),
    "customer_not_found": N_("Nobody has this address, and this mailbox makes no customers."),
    "own_address": N_("The sender’s address is one of our own."),
    "no_sender": N_("The letter has no sender’s address."),
}
FLAGS: Mapping[str, str] = {
    "sender_differs": N_("The sender is not an address of this customer."),
    "ambiguous": N_("Several would fit; look whether this is the right one."),
    "token_mismatch": N_("The order number in the subject belongs to somebody else."),
    "order_not_found": N_("The order number in the subject is not known."),
}
CHANGES: Mapping[str, str] = {
    "assigned": N_("given to"),
    "released": N_("made nobody’s"),
    "snoozed": N_("snoozed until"),
    "woken": N_("brought back"),
    "done": N_("done"),
    "reopened": N_("opened again"),
    "bound": N_("bound"),
    "unbound": N_("taken off the customer"),
}


@dataclass(frozen=True)
class LetterPanel:
    """Everything that stands beside one letter."""

    binding: LetterBinding | None
    customer: Customer | None
    addresses: Sequence[str]
    customer_manager: User | None
    order: Order | None
    orders: Sequence[Order]
    status: EnquiryStatus | None
    manager: User | None
    answered_by: User | None
    colleagues: Sequence[User]
    history: Sequence[tuple[EnquiryChange, User | None, User | None]]
    letters: Sequence[Letter]
    messages: Sequence[Message]
    proposed: str
    """What the rules would bind it to today, where that is something else: an order's number or a customer's name."""


def letter_panel(session: Session, user: User, letter: Letter, work: LetterWork) -> LetterPanel:
    people = colleagues(session)  # first: whoever has to do with the letter is mostly among them
    customer, status = work.customer, work.status
    rows = addresses_of(session, [customer.id]).get(customer.id, []) if customer else []
    forms = [row.lookup for row in rows] or [letter.sender]
    return LetterPanel(
        binding=work.binding,
        customer=customer,
        addresses=[row.address for row in rows],
        customer_manager=_user(session, customer.manager_id if customer else None),
        order=work.order,
        orders=_orders(session, customer),
        status=status,
        manager=work.manager,
        answered_by=work.answered_by,
        colleagues=people,
        history=_history(session, letter) if status or work.binding else [],
        letters=letters_of(session, user, customer, except_letter=letter.id) if customer else [],
        messages=messages_to(session, user, forms),
        proposed=_proposed(session, letter, work.binding),
    )


def colleagues(session: Session) -> Sequence[User]:
    """Everybody who can be given something, by name."""
    return session.exec(select(User).where(col(User.active)).order_by(User.name)).all()


def _user(session: Session, number: int | None) -> User | None:
    return session.get(User, number) if number else None


def _orders(session: Session, customer: Customer | None) -> Sequence[Order]:
    if customer is None:
        return []
    query = select(Order).where(Order.customer_id == customer.id)
    return session.exec(query.order_by(col(Order.created_at).desc(), col(Order.id).desc()).limit(SHOWN)).all()


def _history(session: Session, letter: Letter) -> list[tuple[EnquiryChange, User | None, User | None]]:
    query = select(EnquiryChange).where(EnquiryChange.letter_id == letter.id).order_by(col(EnquiryChange.id).desc())
    changes = session.exec(query.limit(SHOWN)).all()
    return [(change, _user(session, change.user_id), _user(session, change.to_user_id)) for change in changes]


def letters_of(
    session: Session, user: User, customer: Customer, *, except_letter: int | None = None
) -> Sequence[Letter]:
    """The newest letters of a customer, of those that this person sees."""
    query = select(Letter).join(LetterBinding, col(LetterBinding.letter_id) == col(Letter.id))
    seen = (col(Letter.deleted_at).is_(None), col(Letter.id) != (except_letter or 0), sees_letter(user))
    ordered = query.where(LetterBinding.customer_id == customer.id, *seen)
    ordered = ordered.order_by(col(LetterBinding.received_at).desc(), col(LetterBinding.letter_id).desc())
    return session.exec(ordered.limit(SHOWN)).all()


def messages_to(session: Session, user: User, forms: Sequence[str]) -> Sequence[Message]:
    """One's own newest messages to any of these addresses."""
    people = select(Recipient.id).where(col(Recipient.lookup).in_(forms))
    ids = select(Delivery.message_id).where(col(Delivery.recipient_id).in_(people))
    mine = select(Message).where(
        col(Message.id).in_(ids), col(Message.user_id) + 0 == user.id, col(Message.sent_at).is_not(None)
    )
    return session.exec(mine.order_by(col(Message.listed_at).desc()).limit(SHOWN)).all()


def _proposed(session: Session, letter: Letter, present: LetterBinding | None) -> str:
    if letter.category not in ("human", "auto_reply"):
        return ""
    preview = BindingPreview(present, propose_binding(session, letter))
    if not preview.is_change or not preview.proposed.is_bound:
        return ""
    if preview.proposed.order is not None:
        return session.get_one(Order, preview.proposed.order).number
    customer = session.get_one(Customer, preview.proposed.customer)
    rows = addresses_of(session, [customer.id]).get(customer.id, [])
    return customer.name or (rows[0].address if rows else customer.public_id)
