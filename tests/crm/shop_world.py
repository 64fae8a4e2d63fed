"""A small shop without servers: people, customers and orders, and letters that arrive as the engine would hand them over."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from tests.fixtures.contexts import People
from tests.inbound.arrivals import Arrivals, connected
from tests.inbound.corpus import simple
from tracker.crm.customers import CustomerChange, create_customer
from tracker.crm.orders import OrderChange, save_order
from tracker.crm.shops import NewGroup, NewShop, save_group, save_shop
from tracker.models import (
    Customer,
    CustomerAddress,
    EnquiryStatus,
    Letter,
    LetterBinding,
    ManagerGroup,
    Notice,
    Notification,
    Order,
    Shop,
    User,
    UserSession,
)
from tracker.notifications.notices import tell_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


@dataclass
class ShopWorld:
    """Olga has set up the shop's mailbox."""

    context: AppContext
    people: People
    olga: User = field(init=False)
    inbox: Arrivals = field(init=False)
    _letters: int = 0

    def __post_init__(self) -> None:
        self.olga = self.people.user("Olga")
        self.inbox = connected(self.context, self.olga, "shop@shop.example")

    def person(self, name: str, *, signed_in: bool = True, **facts: Any) -> User:
        with self.context.database.session_scope() as session:
            user = User(email=f"{name.lower()}@shop.example", name=name, **facts)
            session.add(user)
            session.flush()
            if signed_in:
                session.add(_visit(user))
        return user

    def change(self, row: Any, **facts: Any) -> None:
        with self.context.database.session_scope() as session:
            stored = session.get_one(type(row), row.id)
            for name, value in facts.items():
                setattr(stored, name, value)
            session.add(stored)

    def sign_out(self, user: User) -> None:
        with self.context.database.session_scope() as session:
            for visit in session.exec(select(UserSession).where(UserSession.user_id == user.id)):
                session.delete(visit)

    def sign_in(self, user: User) -> None:
        with self.context.database.session_scope() as session:
            session.add(_visit(user))

    def group(self, name: str, *members: User) -> ManagerGroup:
        with self.context.database.session_scope() as session:
            return save_group(session, None, NewGroup(name=name, members=[user.public_id for user in members]))

    def shop(self, name: str) -> Shop:
        with self.context.database.session_scope() as session:
            return save_shop(session, None, NewShop(name=name))

    def customer(self, *addresses: str, **facts: Any) -> Customer:
        with self.context.database.session_scope() as session:
            return create_customer(session, CustomerChange(addresses=list(addresses), **facts), None)

    def order(self, number: str, customer: Customer | None = None, **facts: Any) -> Order:
        with self.context.database.session_scope() as session:
            named = {"customer": customer.public_id} if customer else {}
            return save_order(session, None, OrderChange(number=number, **named, **facts))

    def letter(
        self, sender: str, subject: str = "Chairs", *fields: str, inbox: Arrivals | None = None, **facts: Any
    ) -> Letter:
        """A letter unlike any other arrives."""
        self._letters += 1
        raw = simple(f"Subject: {subject}", *fields, sender=sender, body=f"How much are chairs? {self._letters}")
        return (inbox or self.inbox).arrive(raw, facts.pop("hours", self._letters * 0.01), **facts)

    def binding(self, letter: Letter) -> LetterBinding | None:
        with self.context.database.reading() as session:
            return session.get(LetterBinding, letter.id)

    def status(self, letter: Letter) -> EnquiryStatus:
        with self.context.database.reading() as session:
            return session.get_one(EnquiryStatus, letter.id)

    def customers(self) -> list[Customer]:
        with self.context.database.reading() as session:
            return list(session.exec(select(Customer).order_by(col(Customer.id))))

    def addresses(self, customer: Customer) -> list[str]:
        with self.context.database.reading() as session:
            rows = select(CustomerAddress.lookup).where(CustomerAddress.customer_id == customer.id)
            return list(session.exec(rows.order_by(col(CustomerAddress.position))))

    def notices(self, user: User) -> list[str]:
        """The kinds of what is to be told to this person, in their order."""
        with self.context.database.reading() as session:
            rows = select(Notice.event).where(Notice.user_id == user.id)
            return list(session.exec(rows.order_by(col(Notice.id))))

    def bell(self, user: User) -> list[str]:
        """Tells what is due; the kinds of this person's lines, in the order in which they came."""
        while tell_due(self.context):
            pass
        with self.context.database.reading() as session:
            rows = select(Notification.kind).where(Notification.user_id == user.id)
            return list(session.exec(rows.order_by(col(Notification.id))))

    def session(self) -> Session:
        return Session(self.context.database.engine)


def _visit(user: User) -> UserSession:
    digest = f"{user.id}-{now().isoformat()}"[:64]
    return UserSession(user_id=user.id or 0, token_digest=digest, expires_at=now() + timedelta(days=1))
