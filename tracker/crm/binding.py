"""What a letter is bound to: an order, a customer, a customer to be made, or nothing. Pure.

    answers a message of ours  →  that message's order or customer
    [#NUMBER] in the subject   →  that order, and its customer
    the sender                 →  the customer with this address
    neither, and allowed       →  a new customer
    else                       →  skipped

The first that applies decides. A number in the subject of an answer overrules only within one customer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

LONGEST_NUMBER = 32
_NUMBER = re.compile(rf"\[#([^\[\]\s]{{1,{LONGEST_NUMBER}}})\]")
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class BindingRule(StrEnum):
    """By what a letter was bound, or why it was not."""

    REPLY = "reply"
    ORDER_NUMBER = "order_number"
    SENDER = "sender"
    CREATED = "created"
    BY_HAND = "by_hand"
    CUSTOMER_NOT_FOUND = "customer_not_found"
    OWN_ADDRESS = "own_address"
    NO_SENDER = "no_sender"


class Flag(StrEnum):
    """What a person should look at before trusting the binding."""

    SENDER_DIFFERS = "sender_differs"
    AMBIGUOUS = "ambiguous"
    TOKEN_MISMATCH = "token_mismatch"  # noqa: S105
    ORDER_NOT_FOUND = "order_not_found"


@dataclass(frozen=True)
class CustomerCandidate:
    """A customer that the letter may be from. ``addresses`` are in look-up form; of them only the sender's need be there."""

    id: int
    shop: int | None = None
    addresses: frozenset[str] = frozenset()
    active_at: datetime = _NEVER


@dataclass(frozen=True)
class OrderCandidate:
    """An order whose number stands in the subject, or that a message of ours was about."""

    id: int
    number: str
    customer: CustomerCandidate | None = None
    shop: int | None = None
    created_at: datetime = _NEVER


@dataclass(frozen=True)
class Thread:
    """What the message of ours that the letter answers was about."""

    customer: CustomerCandidate | None = None
    order: OrderCandidate | None = None

    @property
    def owner(self) -> CustomerCandidate | None:
        return self.order.customer if self.order is not None and self.order.customer is not None else self.customer


@dataclass(frozen=True)
class BindableLetter:
    """What of a letter decides. ``sender`` is in look-up form, empty for none; ``shop`` is the mailbox's."""

    subject: str
    sender: str
    shop: int | None = None
    is_own: bool = False
    """The sender is one of our own addresses."""
    may_create: bool = False


@dataclass(frozen=True)
class Binding:
    """The verdict. With the rule ``created`` the customer is still to be made."""

    rule: BindingRule
    customer: int | None = None
    order: int | None = None
    flags: tuple[Flag, ...] = ()
    number: str = ""
    """The first order number in the subject, where it led to no order."""

    @property
    def is_bound(self) -> bool:
        return self.customer is not None or self.order is not None


def order_numbers(subject: str) -> list[str]:
    """The numbers written as ``[#NUMBER]`` in a decoded, unfolded subject, in their order, each once."""
    return list(dict.fromkeys(_NUMBER.findall(subject)))


def bind(
    letter: BindableLetter,
    thread: Thread | None = None,
    orders: Sequence[OrderCandidate] = (),
    customers: Sequence[CustomerCandidate] = (),
) -> Binding:
    """Decides over the orders that bear a number of the subject and the customers that have the sender's address."""
    numbers = order_numbers(letter.subject)
    order, is_ambiguous = _order_of(letter, numbers, orders)
    missing = _Missing(numbers[0] if numbers and order is None else "")
    if thread is not None and (thread.order is not None or thread.customer is not None):
        return _by_thread(letter, thread, order, missing)
    if order is not None:
        flags = [Flag.AMBIGUOUS] if is_ambiguous else []
        return _to_order(letter, BindingRule.ORDER_NUMBER, order, flags)
    if customers:
        return _to_customer(letter, customers, missing)
    if letter.is_own or not letter.sender:
        rule = BindingRule.OWN_ADDRESS if letter.is_own else BindingRule.NO_SENDER
        return Binding(rule, flags=missing.flags, number=missing.number)
    rule = BindingRule.CREATED if letter.may_create else BindingRule.CUSTOMER_NOT_FOUND
    return Binding(rule, flags=missing.flags, number=missing.number)


@dataclass(frozen=True)
class _Missing:
    """An order number that led nowhere, if there was one."""

    number: str
    flags: tuple[Flag, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "flags", (Flag.ORDER_NOT_FOUND,) if self.number else ())


def _order_of(
    letter: BindableLetter, numbers: Sequence[str], orders: Sequence[OrderCandidate]
) -> tuple[OrderCandidate | None, bool]:
    """The order of the first number that has one, and whether several had it. Of several: the sender's own, then the newest."""
    for number in numbers:
        same = [order for order in orders if order.number == number and letter.shop in (None, order.shop)]
        if same:
            best = max(same, key=lambda order: (_is_from(letter, order.customer), order.created_at, -order.id))
            return best, len(same) > 1
    return None, False


def _is_from(letter: BindableLetter, customer: CustomerCandidate | None) -> bool:
    return customer is not None and letter.sender in customer.addresses


def _by_thread(letter: BindableLetter, thread: Thread, order: OrderCandidate | None, missing: _Missing) -> Binding:
    owner = thread.owner
    if order is not None and _is_about(thread, order):
        return _to_order(letter, BindingRule.ORDER_NUMBER, order, [])
    flags = [Flag.TOKEN_MISMATCH] if order is not None else list(missing.flags)
    if thread.order is not None:
        return _to_order(letter, BindingRule.REPLY, thread.order, flags, missing.number)
    assert owner is not None
    if not _is_from(letter, owner):
        flags.append(Flag.SENDER_DIFFERS)
    return Binding(BindingRule.REPLY, owner.id, None, tuple(flags), missing.number)


def _is_about(thread: Thread, order: OrderCandidate) -> bool:
    """The order is the thread's, or another one of the same customer."""
    if thread.order is not None and thread.order.id == order.id:
        return True
    return order.customer is not None and thread.owner is not None and order.customer.id == thread.owner.id


def _to_order(
    letter: BindableLetter, rule: BindingRule, order: OrderCandidate, flags: list[Flag], number: str = ""
) -> Binding:
    if not _is_from(letter, order.customer):
        flags.append(Flag.SENDER_DIFFERS)
    return Binding(rule, order.customer.id if order.customer else None, order.id, tuple(flags), number)


def _to_customer(letter: BindableLetter, customers: Sequence[CustomerCandidate], missing: _Missing) -> Binding:
    best = min(customers, key=lambda customer: (customer.shop != letter.shop, _NEVER - customer.active_at, customer.id))
    flags = missing.flags + ((Flag.AMBIGUOUS,) if len(customers) > 1 else ())
    return Binding(BindingRule.SENDER, best.id, None, flags, missing.number)
