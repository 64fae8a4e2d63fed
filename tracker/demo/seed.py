"""The people of the demo: two who sell, some they write to, what these agreed to; and the shop whose customers they are."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session, select

from tracker.consent.ledger import record_consent
from tracker.consent.preferences import set_preference
from tracker.consent.rules import MEASURED, ConsentState, Proof
from tracker.crm.customers import CustomerChange, create_customer
from tracker.crm.orders import OrderChange, save_order
from tracker.crm.shops import NewGroup, NewShop, save_group, save_shop
from tracker.demo.history import PEOPLE, add_month, people_of_the_month
from tracker.demo.incoming import add_enquiries, connect, make_letter
from tracker.demo.website import open_website
from tracker.demo.world import World
from tracker.mail.account_servers import set_secret
from tracker.mail.addresses import Address
from tracker.models import Account, ApiToken, Mailbox, Recipient, User
from tracker.models import Mailbox as IncomingMailbox
from tracker.outbound.draft import Draft
from tracker.outbound.send import enqueue_composed
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import hash_password, new_token, token_digest

PASSWORD = "ink and paper"  # noqa: S105  (a demo's, printed at start)
SECRET = "sandbox-app-password"  # noqa: S105


@dataclass(frozen=True)
class Seller:
    name: str
    email: str
    role: str
    locale: str


@dataclass(frozen=True)
class Buyer:
    """``state`` is what they said about both purposes; None means they were never asked."""

    name: str
    email: str
    state: ConsentState | None


SELLERS = (
    Seller("Marina Volkova", "marina@inkling.example", "admin", "en"),
    Seller("Boris Lindt", "boris@inkling.example", "member", "en"),
)
BUYERS = (
    Buyer("Anna Berg", "anna@bergbau.example", ConsentState.GRANTED),
    Buyer("Tomás Ortega", "tomas@ortega.example", ConsentState.GRANTED),
    Buyer("Мария Белова", "maria@belova.example", ConsentState.GRANTED),
    Buyer("Luc Moreau", "luc@moreau.example", None),
    Buyer("Greta Holm", "greta@holm.example", ConsentState.REFUSED),
    Buyer("Slow Server", "slow@patience.example", None),
    Buyer("Gone Away", "bounce@nowhere.example", None),
)


FORM = Proof(
    notice="order-form",
    notice_version="2",
    notice_language="en",
    shown=(
        "May we see when you open our mail and follow its links? We use it to call at a good moment, and for nothing else. "
        "You can take it back at any time, below every message."
    ),
    question="May we see that you opened it? May we see which links you followed?",
    control="two unticked boxes",
    reference="Order form of the demo",
    source_url="https://shop.example/order",
)


def seed(context: AppContext, world: World) -> str:
    """Makes people, mailboxes, accounts and consents. Returns the first seller's token for mail programs and the API."""
    for seller in SELLERS:
        world.add_mailbox(seller.email, SECRET, seller.name)
    for buyer in (*BUYERS, *PEOPLE):
        world.add_mailbox(buyer.email, SECRET, buyer.name)
    with context.database.session_scope() as session:
        for buyer in BUYERS:
            recipient = find_or_make(session, buyer.email, buyer.name)
            session.flush()
            if buyer.state is not None:
                _record(session, recipient, buyer.state)
        for seller in SELLERS:
            user = User(
                email=seller.email,
                name=seller.name,
                role=seller.role,
                password_hash=hash_password(PASSWORD),
                locale=seller.locale,
            )
            session.add(user)
            session.flush()
            session.add(_account(context, world, user))
            connect(session, context, world, user, SECRET)
        marina = session.exec(select(User).where(User.email == SELLERS[0].email)).one()
        inbox = session.exec(select(IncomingMailbox).where(IncomingMailbox.user_id == marina.id)).one()
        open_shop(session, inbox)
        open_website(session, context, world, marina, SECRET)
        people = people_of_the_month(session)
        session.flush()
        for recipient, person in people:
            if person.state is not None:
                _record(session, recipient, person.state)
        add_month(session, marina, people)
        team = list(session.exec(select(User).order_by(User.name)))
        add_enquiries(session, context, inbox, team)
        set_preference(session, "controller", {"name": "Inkling Furniture", "address": "", "contact": ""})
        token = new_token()
        session.add(ApiToken(user_id=marina.id, name="Demo", token_digest=token_digest(token)))
    return token


def _record(session: Session, recipient: Recipient, state: ConsentState) -> None:
    for purpose in MEASURED:
        record_consent(
            session,
            recipient,
            purpose,
            state,
            actor="subject",
            channel="web_form",
            proof=FORM,
            at=now() - timedelta(days=40),
        )


def _account(context: AppContext, world: World, user: User) -> Account:
    account = Account(
        user_id=user.id,
        name=user.name,
        address=user.email,
        smtp_host=world.host,
        smtp_port=world.smtp_port,
        smtp_security="none",
        smtp_login=user.email,
        imap_host=world.host,
        imap_port=world.imap_port,
        imap_security="none",
        imap_login=user.email,
        sent_folder="Sent",
        confirmed_at=now(),
        state="works",
        checked_at=now(),
    )
    set_secret(context, account, "smtp", SECRET)
    set_secret(context, account, "imap", SECRET)
    return account


def send_first_mail(context: AppContext) -> None:
    """Four messages of Marina's, through the real queue."""
    with context.database.session_scope() as session:
        marina = session.exec(select(User).where(User.email == SELLERS[0].email)).one()
        for to, subject, html in FIRST_MAIL:
            mailboxes = tuple(Address(b.email, b.name) for b in BUYERS if b.email.partition("@")[0] in to)
            enqueue_composed(session, context, marina, Draft(to=mailboxes, subject=subject, html=html, undo_seconds=0))


FIRST_MAIL = (
    (
        ("anna",),
        "Offer 12: forty office chairs",
        """<p>Dear Anna,</p>
<p>as agreed, here is <a href="https://shop.example/offers/12?size=m&amp;count=40">the offer for forty chairs</a>.
The <a href="https://shop.example/terms">delivery terms</a> are the same as last year.</p>
<p>Kind regards<br>Marina</p>""",
    ),
    (
        ("tomas", "greta"),
        "Dates for the installation",
        """<p>Dear both,</p>
<p>two dates are free, the 2nd and the 9th. <a href="https://plans.example/77">The plan</a> shows both.</p>
<p>Kind regards<br>Marina</p>""",
    ),
    (
        ("maria",),
        "Договор на 2027 год",
        """<p>Мария, добрый день!</p>
<p>Прикладываю ссылку на <a href="https://docs.example/договор-2027">договор на следующий год</a>
и на <a href="https://docs.example/prices">прайс-лист</a>.</p>
<p>С уважением,<br>Марина</p>""",
    ),
    (
        ("luc", "bounce", "slow"),
        "Samples are on their way",
        """<p>Bonjour,</p>
<p>the samples left us today: <a href="https://parcel.example/4711">where the parcel is</a>.</p>
<p>Kind regards<br>Marina</p>""",
    ),
)


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
