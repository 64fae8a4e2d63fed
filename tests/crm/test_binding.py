"""What a letter is bound to, over plain candidates: the traps of binding by their numbers."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from tracker.crm.binding import (
    BindableLetter,
    Binding,
    BindingRule,
    CustomerCandidate,
    Flag,
    OrderCandidate,
    Thread,
    bind,
    order_numbers,
)

ANNA, BORIS, CLARA = (
    CustomerCandidate(1, addresses=frozenset({"anna@client.example", "anna@home.example"})),
    CustomerCandidate(2, addresses=frozenset({"boris@client.example"})),
    CustomerCandidate(3, shop=7, addresses=frozenset({"clara@client.example"})),
)
ORDERS = (
    OrderCandidate(31, "3112", ANNA),
    OrderCandidate(32, "9", BORIS, shop=7),
    OrderCandidate(33, "3112C", ANNA),
    OrderCandidate(34, "А-17", ANNA),
    OrderCandidate(35, "401", BORIS),
    OrderCandidate(36, "10", ANNA),
    OrderCandidate(37, "same", ANNA, shop=7),
    OrderCandidate(38, "same", BORIS, shop=8),
)


@dataclass(frozen=True)
class Case:
    """A letter of Anna's, unless it says otherwise, and what it is bound to."""

    trap: str
    subject: str = ""
    sender: str = "anna@client.example"
    shop: int | None = None
    known: tuple[CustomerCandidate, ...] = (ANNA,)
    thread: Thread | None = None
    may_create: bool = False
    is_own: bool = False
    rule: BindingRule = BindingRule.ORDER_NUMBER
    order: int | None = None
    customer: int | None = 1
    flags: tuple[Flag, ...] = ()
    number: str = field(default="")


NO_TOKEN: dict[str, Any] = {"rule": BindingRule.SENDER}
MISSING: dict[str, Any] = {"rule": BindingRule.SENDER, "flags": (Flag.ORDER_NOT_FOUND,)}
STRANGER: dict[str, Any] = {"sender": "eve@else.example", "known": ()}
LOST: dict[str, Any] = {"customer": None, "flags": (Flag.ORDER_NOT_FOUND,), "number": "77", **STRANGER}
OWN: dict[str, Any] = {"sender": "us@shop.example", "known": (), "is_own": True}
CASES = (
    Case("B1", "Re: [#3112] вопрос", order=31),
    Case("B1 twice", "[#3112] [#3112]", order=31),
    Case("B2", "[#77]", number="77", **MISSING),
    Case("B3 creation on", "[#77]", may_create=True, rule=BindingRule.CREATED, **LOST),
    Case("B3 creation off", "[#77]", rule=BindingRule.CUSTOMER_NOT_FOUND, **LOST),
    Case("B5", "[#31 12] question", **NO_TOKEN),
    Case("B5 with a tab", "[#31\t12]", **NO_TOKEN),
    Case("B5 with a no-break space", "[#31\u00a012]", **NO_TOKEN),
    Case("B6", "[#3113] [#9]", order=32, customer=2, flags=(Flag.SENDER_DIFFERS,)),
    Case("B7", "[#3112C]", order=33),
    Case("B7 Cyrillic", "[#А-17]", order=34),
    Case("B7 Latin letter that looks alike", "[#A-17]", number="A-17", **MISSING),
    Case("B8 not closed", "[#3112", **NO_TOKEN),
    Case("B8 no brackets", "#3112", **NO_TOKEN),
    Case("B8 no hash", "[3112]", **NO_TOKEN),
    Case("B8 numero sign", "№ 3112", **NO_TOKEN),
    Case("B8 empty", "[#]", **NO_TOKEN),
    Case("B8 too long", f"[#{'1' * 33}]", **NO_TOKEN),
    Case("B8 nested", "[#[3112]]", **NO_TOKEN),
    Case("B8 doubled bracket", "[[#3112]]", order=31),
    Case("B9 spaces", "[#1 OR 1=1]", **NO_TOKEN),
    Case("B9 percent", "[#%]", number="%", **MISSING),
    Case("B9 markup", "[#<script>]", number="<script>", **MISSING),
    Case("B9 quote", "[#3112']", number="3112'", **MISSING),
    Case("B10", "[#9]", shop=6, number="9", **MISSING),
    Case("B10 an order without a shop", "[#3112]", shop=6, number="3112", **MISSING),
    Case("B10 the shop's own", "[#9]", shop=7, order=32, customer=2, flags=(Flag.SENDER_DIFFERS,)),
    Case("B11", "[#3112]", order=31, flags=(Flag.SENDER_DIFFERS,), **STRANGER),
    Case("B12 second address", "Hello", sender="anna@home.example", rule=BindingRule.SENDER),
    Case("B13", "Hello", known=(CustomerCandidate(5), ANNA), rule=BindingRule.SENDER, flags=(Flag.AMBIGUOUS,)),
    Case("B13 same shop first", "Hello", shop=7, known=(ANNA, CLARA), rule=BindingRule.SENDER, customer=3, flags=(Flag.AMBIGUOUS,)),
    Case(
        "B13 latest activity",
        "Hello",
        known=(ANNA, CustomerCandidate(5, active_at=datetime(2026, 3, 1, tzinfo=UTC))),
        rule=BindingRule.SENDER,
        customer=5,
        flags=(Flag.AMBIGUOUS,),
    ),
    Case("two shops' number", "[#same]", sender="boris@client.example", order=38, customer=2, flags=(Flag.AMBIGUOUS,)),
    Case(
        "B30",
        "[#401] Re: [#3112]",
        thread=Thread(ANNA, ORDERS[0]),
        rule=BindingRule.REPLY,
        order=31,
        flags=(Flag.TOKEN_MISMATCH,),
    ),
    Case("B30 within one customer", "[#10] Re: [#3112]", thread=Thread(ANNA, ORDERS[0]), order=36),
    Case("B30 the same order", "Re: [#3112]", thread=Thread(ANNA, ORDERS[0]), order=31),
    Case(
        "B30 no such order",
        "Re: [#nil]",
        thread=Thread(ANNA),
        rule=BindingRule.REPLY,
        flags=(Flag.ORDER_NOT_FOUND,),
        number="nil",
    ),
    Case("B32", "[#0401]", number="0401", **MISSING),
    Case("B36 from an own account", "Hello", may_create=True, rule=BindingRule.OWN_ADDRESS, customer=None, **OWN),
    Case("B38", "Re: offer", thread=Thread(ANNA), rule=BindingRule.REPLY, flags=(Flag.SENDER_DIFFERS,), **STRANGER),
    Case("a reply of the customer", "Re: offer", thread=Thread(ANNA), rule=BindingRule.REPLY),
    Case("a thread that leads nowhere", "Re: offer", thread=Thread(), rule=BindingRule.SENDER),
    Case("no sender", "Hello", sender="", known=(), may_create=True, rule=BindingRule.NO_SENDER, customer=None),
    Case("an own address that is a customer's all the same", "Hello", is_own=True, rule=BindingRule.SENDER),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.trap)
def test_traps(case: Case) -> None:
    letter = BindableLetter(case.subject, case.sender, case.shop, case.is_own, case.may_create)
    numbers = order_numbers(case.subject)
    orders = [order for order in ORDERS if order.number in numbers]
    binding = bind(letter, case.thread, orders, case.known)
    assert binding == Binding(case.rule, case.customer, case.order, case.flags, case.number)


def test_an_order_without_a_customer_is_bound_alone() -> None:
    binding = bind(BindableLetter("[#5]", "eve@else.example"), None, [OrderCandidate(5, "5")])
    assert binding == Binding(BindingRule.ORDER_NUMBER, None, 5, (Flag.SENDER_DIFFERS,))
