"""The small shop of the demo: customers and orders, two managers in a group, and letters that are bound in each way."""

from typing import Any

from sqlmodel import Session, select

from tracker.crm.customers import CustomerChange, create_customer
from tracker.crm.orders import OrderChange, save_order
from tracker.crm.shops import NewGroup, NewShop, save_group, save_shop
from tracker.demo.incoming import make_letter
from tracker.demo.world import World
from tracker.models import Mailbox, User

_CUSTOMERS: tuple[tuple[str, list[str], list[str], tuple[tuple[str, str], ...]], ...] = (
    (
        "Anna Berg",
        ["anna@bergbau.example", "a.berg@home.example"],
        ["regular"],
        (("3112", "being packed"), ("3098", "paid")),
    ),
    ("Nadia Rossi", ["nadia@rossi.example"], [], (("3120", "new"),)),
    ("Мария Белова", ["maria@belova.example"], ["договор 2027"], (("А-17", "оплачен"),)),
    ("Office Nord", ["info@nord.example", "buying@nord.example"], ["company"], ()),
)
_LETTERS = (
    ("Nadia Rossi <nadia@rossi.example>", "Re: [#3120] When will it come?", "Hello, is order 3120 on its way?"),
    ("Anna Berg <a.berg@home.example>", "A question about the chairs", "Could we have them in grey instead?"),
    (
        "Jonas Weber <jonas@weber.example>",
        "[#3112] Delivery address",
        "I am Anna's colleague. Please deliver to the back door.",
    ),
    (
        "Ines Costa <ines@costa.example>",
        "Do you deliver to Porto?",
        "We would like twelve desks. What does delivery cost?",
    ),
    (
        "Pavel Novák <pavel@novak.example>",
        "[#9999] Where is my order?",
        "I ordered two weeks ago and heard nothing since.",
    ),
)


def open_shop(session: Session, mailbox: Mailbox) -> None:
    """Customers and orders, and a mailbox that makes customers of strangers and shares them out among everybody."""
    people = session.exec(select(User).order_by(User.name)).all()
    shop = save_shop(session, None, NewShop(name="Inkling Furniture"))
    group = save_group(session, None, NewGroup(name="Sales", members=[person.public_id for person in people]))
    mailbox.create_customer, mailbox.group, mailbox.shop = True, group.public_id, shop.public_id
    session.add(mailbox)
    for number, (name, addresses, tags, orders) in enumerate(_CUSTOMERS):
        manager = people[number % len(people)]
        facts: dict[str, Any] = {"name": name, "addresses": addresses, "tags": tags, "manager": manager.public_id}
        customer = create_customer(session, CustomerChange(**facts, shop=shop.public_id), manager)
        for order, status in orders:
            named = {"number": order, "status": status, "customer": customer.public_id, "shop": shop.public_id}
            save_order(session, None, OrderChange(**named))


def deliver_shop_letters(world: World, to: str) -> None:
    """By order number, by a second address, from a stranger with a number, from a stranger, with a number that is not known."""
    for sender, subject, text in _LETTERS:
        domain = sender.rpartition("@")[2].rstrip(">")
        world.deliver(make_letter((sender, domain), to, subject, text), to)
