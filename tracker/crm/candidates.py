"""Which customers, orders and messages of ours a load of letters may be bound to: a few statements, however many letters."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, union_all
from sqlmodel import Session, col
from sqlmodel import select as rows

from tracker.crm.binding import CustomerCandidate, OrderCandidate, Thread, order_numbers
from tracker.mail.addresses import lookup_or_none
from tracker.mail.canonical import canonical
from tracker.models import Account, Delivery, Letter, LetterBinding, Mailbox, Message, Order, Shop, User
from tracker.models.counting.tables import CUSTOMER, CUSTOMER_ADDRESS, LETTER_BINDING, ORDER

THREAD_RULES = ("message_id", "quoted_token")
"""How a letter was found to answer a message of ours, where that is certain: a subject alone is not."""
# Statements are made once: making one costs more than running it.
_BY_ADDRESS = (
    select(CUSTOMER_ADDRESS.c.lookup, CUSTOMER.c.id, CUSTOMER.c.shop_id)
    .join_from(CUSTOMER_ADDRESS, CUSTOMER, CUSTOMER.c.id == CUSTOMER_ADDRESS.c.customer_id)
    .where(CUSTOMER_ADDRESS.c.lookup.in_(bindparam("senders", expanding=True)))
)
_BY_NUMBER = (
    select(ORDER.c.id, ORDER.c.number, ORDER.c.shop_id, ORDER.c.created_at, ORDER.c.customer_id)
    .where(ORDER.c.number.in_(bindparam("numbers", expanding=True)))
    .order_by(ORDER.c.id)
)
_ADDRESSES = select(CUSTOMER_ADDRESS.c.customer_id, CUSTOMER_ADDRESS.c.lookup).where(
    CUSTOMER_ADDRESS.c.customer_id.in_(bindparam("customers", expanding=True))
)
_ACTIVE = (
    select(LETTER_BINDING.c.customer_id, func.max(LETTER_BINDING.c.received_at))
    .where(LETTER_BINDING.c.customer_id.in_(bindparam("customers", expanding=True)))
    .group_by(LETTER_BINDING.c.customer_id)
)


@dataclass(frozen=True)
class Candidates:
    """What a load of letters may be bound to: customers by address, orders by number."""

    customers: dict[str, list[CustomerCandidate]]
    orders: dict[str, list[OrderCandidate]]

    def orders_for(self, subject: str) -> list[OrderCandidate]:
        return [order for number in order_numbers(subject) for order in self.orders.get(number, ())]


def find_candidates(session: Session, letters: Sequence[Letter]) -> Candidates:
    """The customers whose address is a sender's, and the orders whose number stands in a subject."""
    senders = {letter.sender for letter in letters if letter.sender}
    numbers = {number for letter in letters if "[#" in letter.subject for number in order_numbers(letter.subject)}
    return Candidates(customers_by_address(session, senders), orders_by_number(session, numbers))


def customers_by_address(session: Session, addresses: Iterable[str]) -> dict[str, list[CustomerCandidate]]:
    """The customers that have one of these addresses (look-up form). Of several, it is known who wrote last."""
    wanted = list(addresses)
    if not wanted:
        return {}
    customers: dict[str, list[CustomerCandidate]] = {}
    for address, number, shop in session.connection().execute(_BY_ADDRESS, {"senders": wanted}):
        customers.setdefault(address, []).append(CustomerCandidate(number, shop, frozenset({address})))
    shared = [customer for several in customers.values() if len(several) > 1 for customer in several]
    wrote_at = _last_letters(session, [customer.id for customer in shared])
    for address, several in customers.items():
        if len(several) > 1:
            customers[address] = [
                replace(customer, active_at=wrote_at.get(customer.id, customer.active_at)) for customer in several
            ]
    return customers


def _last_letters(session: Session, customers: Sequence[int]) -> dict[int, datetime]:
    if not customers:
        return {}
    return {row[0]: row[1] for row in session.connection().execute(_ACTIVE, {"customers": list(customers)})}


def orders_by_number(session: Session, numbers: Iterable[str]) -> dict[str, list[OrderCandidate]]:
    """The orders that bear these numbers, each with its customer and all of their addresses."""
    wanted = list(numbers)
    if not wanted:
        return {}
    named = session.connection().execute(_BY_NUMBER, {"numbers": wanted}).all()
    customers = _with_addresses(session, {row.customer_id for row in named if row.customer_id is not None})
    orders: dict[str, list[OrderCandidate]] = {}
    for row in named:
        order = OrderCandidate(row.id, row.number, customers.get(row.customer_id), row.shop_id, row.created_at)
        orders.setdefault(row.number, []).append(order)
    return orders


def _with_addresses(session: Session, ids: Iterable[int]) -> dict[int, CustomerCandidate]:
    wanted = list(ids)
    addresses: dict[int, set[str]] = {number: set() for number in wanted}
    if wanted:
        for number, address in session.connection().execute(_ADDRESSES, {"customers": wanted}):
            addresses[number].add(address)
    return {number: CustomerCandidate(number, addresses=frozenset(forms)) for number, forms in addresses.items()}


def thread_of(session: Session, letter: Letter) -> Thread | None:
    """What the message that the letter answers was about: what the letter answered by it was bound to, the order in its
    subject, or the customer it was written to."""
    if letter.in_reply_to_message_id is None or letter.reply_rule not in THREAD_RULES:
        return None
    message = session.get(Message, letter.in_reply_to_message_id)
    return None if message is None else _about(session, message, letter.delivery_id)


def _about(session: Session, message: Message, delivery: int | None) -> Thread | None:
    answered = _binding_answered(session, message)
    if answered is not None:
        return _of_binding(session, answered)
    numbers = order_numbers(message.subject)
    orders = orders_by_number(session, numbers) if numbers else {}
    for number in numbers:
        if len(same := orders.get(number, [])) == 1:
            return Thread(same[0].customer, same[0])
    customer = _written_to(session, message, delivery)
    return Thread(customer) if customer is not None else None


def _binding_answered(session: Session, message: Message) -> LetterBinding | None:
    """What the letter was bound to that our message answers."""
    if not message.in_reply_to:
        return None
    named = rows(LetterBinding).join(Letter, col(Letter.id) == col(LetterBinding.letter_id))
    everybody = col(Letter.user_id).in_(
        rows(User.id)
    )  # whoever answered may not be the mailbox's owner; the index begins with it
    same = (everybody, Letter.message_id == message.in_reply_to.strip("<>")[:255])
    bound = col(LetterBinding.customer_id).is_not(None) | col(LetterBinding.order_id).is_not(None)
    return session.exec(named.where(*same, bound).order_by(col(LetterBinding.letter_id)).limit(1)).first()


def _of_binding(session: Session, binding: LetterBinding) -> Thread:
    order = session.get(Order, binding.order_id) if binding.order_id else None
    customer_id = order.customer_id if order is not None else binding.customer_id
    known = _with_addresses(session, [customer_id] if customer_id else [])
    customer = known.get(customer_id or 0)
    if order is None:
        return Thread(customer)
    return Thread(customer, OrderCandidate(order.id, order.number, customer, order.shop_id, order.created_at))


def _written_to(session: Session, message: Message, delivery: int | None) -> CustomerCandidate | None:
    """The customer among those it was written to: whose copy is answered if that is one, else the first."""
    copies = rows(Delivery).where(Delivery.message_id == message.id, Delivery.role == "to")
    written = session.exec(copies.order_by((col(Delivery.id) != delivery), col(Delivery.position))).all()
    forms = [form for copy in written if (form := lookup_or_none(copy.address))]
    by_address = customers_by_address(session, forms)
    first = next((by_address[form] for form in forms if form in by_address), None)
    if not first:
        return None
    best = min(first, key=lambda customer: (-customer.active_at.timestamp(), customer.id))
    return _with_addresses(session, [best.id])[best.id]


def is_own_address(session: Session, form: str) -> bool:
    """Whether an address (look-up form) is one of ours, its ``+tag`` left aside: a person's, an account's or a mailbox's."""
    return canonical(form, "") in _own_addresses(session)


def _own_addresses(session: Session) -> frozenset[str]:
    """Read once in a session: people, accounts and mailboxes are few."""
    own: frozenset[str] | None = session.info.get("workspace_addresses")
    if own is None:
        columns: tuple[Any, ...] = (User.email, Account.address, Mailbox.address)
        listed = session.connection().execute(union_all(*(select(col(column)) for column in columns))).scalars()
        own = session.info["workspace_addresses"] = frozenset(canonical(address, "") for address in listed if address)
    return own


def shop_id_of(session: Session, mailbox: Mailbox) -> int | None:
    """The number of the mailbox's shop; None for none, and for one that is gone."""
    if not mailbox.shop:
        return None
    return session.exec(rows(Shop.id).where(Shop.public_id == mailbox.shop)).first()
