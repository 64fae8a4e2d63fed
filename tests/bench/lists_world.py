"""A workspace that has grown for years, made in bulk: what `python -m tests.bench.lists` looks through.

At size 1: 50 people, 1,000,000 messages with 3,000,000 events, 1,000,000 letters, 200,000 recipients who are customers too, with
500,000 orders. The first person has a tenth of everything, the others share the rest. Smaller worlds have as many people, customers
and orders down to a fifth, and the first person has as much as in the whole one, or half of all. The newest thing is number 1.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlmodel import SQLModel

from tests.bench.bulk_load import Facts, in_bulk, load_rows, set_sequences, settle
from tracker.models import (
    Account,
    ConsentEntry,
    Customer,
    CustomerAddress,
    Delivery,
    EnquiryStatus,
    Event,
    FeedItem,
    Letter,
    LetterBinding,
    LetterSource,
    Mailbox,
    Message,
    Notification,
    Order,
    Recipient,
    Site,
    TrackedLink,
    User,
    UserSession,
    Visit,
)
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import token_digest

PEOPLE = 50
BATCH = 20_000
DAYS = 730
_NOUNS = ("Chairs", "Tables", "Offer", "Invoice", "Contract", "Delivery", "Quote", "Samples", "Meeting", "Catalogue")


@dataclass(frozen=True)
class World:
    """How much there is of each thing, and whose each thing is."""

    size: float
    newest: datetime = field(default_factory=now)

    @property
    def messages(self) -> int:
        return round(1_000_000 * self.size)

    @property
    def recipients(self) -> int:
        return round(200_000 * min(1.0, 5 * self.size))

    @property
    def customers(self) -> int:
        return self.recipients

    @property
    def orders(self) -> int:
        return self.customers * 5 // 2

    def owner(self, number: int) -> int:
        every = max(2, round(10 * self.size))
        return 1 if number % every == 0 else 2 + number // every % (PEOPLE - 1)

    def at(self, number: int, of: int) -> datetime:
        return self.newest - timedelta(days=DAYS) * (number / of)

    def recipient(self, message: int) -> int:
        return message * 7919 % self.recipients + 1


def session_token(user: int) -> str:
    """What stands in the cookie of a person's browser."""
    return f"bench-session-{user}"


def build(context: AppContext, size: float) -> World:
    """Fills an empty database."""
    world = World(size)
    with in_bulk(context.database):
        for model, same, rows in _tables(world):
            _fill(context, model, same, rows)
    set_sequences(context.database)
    settle(context.database)
    return world


def _fill(context: AppContext, model: type[SQLModel], same: Facts, rows: Iterator[Facts]) -> None:
    """``same`` are the columns that are alike in every row: the model makes them once, for that takes longer than writing."""
    template: dict[str, Any] = model(**same).model_dump()
    letter = model.__name__[0].lower()
    while batch := list(islice(rows, BATCH)):
        batch = (
            [{**row, "public_id": f"{letter}{row['id']:09d}"} for row in batch] if "public_id" in template else batch
        )
        same = {name: value for name, value in template.items() if name not in batch[0] and name != "id"}
        with context.database.session_scope() as session:
            load_rows(session, getattr(model, "__table__"), same, batch)  # noqa: B009


def _tables(world: World) -> Iterator[tuple[type[SQLModel], Facts, Iterator[Facts]]]:
    newest, later = world.newest, world.newest + timedelta(days=30)
    yield User, {"email": "", "name": ""}, _numbered(PEOPLE, lambda n: {
        "email": f"person{n}@seller.example", "name": f"Person {n}", "role": "admin" if n == 1 else "member",
    })  # fmt: skip
    yield (
        UserSession,
        {"user_id": 1, "token_digest": "", "expires_at": later + timedelta(days=30)},
        _numbered(PEOPLE, lambda n: {"user_id": n, "token_digest": token_digest(session_token(n))}),
    )
    yield (
        Account,
        {"user_id": 1, "address": "", "smtp_host": "h", "smtp_port": 25, "smtp_security": "none"},
        _numbered(PEOPLE, lambda n: {"user_id": n, "address": f"person{n}@seller.example", "confirmed_at": newest}),
    )
    yield (
        Mailbox,
        {"user_id": 1, "canonical": "", "state": "active"},
        _numbered(PEOPLE, lambda n: {"user_id": n, "canonical": f"box{n}", "address": f"box{n}@seller.example"}),
    )
    yield from _people(world)
    yield from _mail(world)
    yield from _letters(world)
    yield from _site(world)


def _numbered(count: int, row: Any) -> Iterator[Facts]:
    return ({"id": n, **row(n)} for n in range(1, count + 1))


def _address(number: int) -> str:
    return f"reader{number}@company{number % 5000}.example"


def _people(world: World) -> Iterator[tuple[type[SQLModel], Facts, Iterator[Facts]]]:
    said = {"state": "granted", "at": world.newest, "actor": "subject", "channel": "web_form", "grade": "B"}
    chain = {"previous_digest": "0" * 64, "proof_digest": "0" * 64, "digest": "0" * 64}
    yield Recipient, {"address": "", "lookup": ""}, _numbered(world.recipients, lambda n: {
        "address": _address(n), "lookup": _address(n), "name": f"Reader {n}",
    })  # fmt: skip
    yield ConsentEntry, {"recipient_id": 1, "number": 1, "purpose": "", **said, **chain}, _numbered(
        2 * world.recipients,
        lambda n: {
            "recipient_id": (n + 1) // 2, "number": 2 - n % 2, "purpose": "opens" if n % 2 else "clicks",
        },
    )  # fmt: skip
    yield Customer, {}, _numbered(world.customers, lambda n: {
        "name": f"Reader {n}", "manager_id": world.owner(n), "created_at": world.at(n, world.customers),
    })  # fmt: skip
    yield CustomerAddress, {"customer_id": 1, "address": "", "lookup": ""}, _numbered(world.customers, lambda n: {
        "customer_id": n, "address": _address(n), "lookup": _address(n),
    })  # fmt: skip
    yield Order, {"number": ""}, _numbered(world.orders, lambda n: {
        "number": f"2025{n:07}", "customer_id": n % world.customers + 1, "created_at": world.at(n, world.orders),
    })  # fmt: skip


def _mail(world: World) -> Iterator[tuple[type[SQLModel], Facts, Iterator[Facts]]]:
    count = world.messages
    yield Message, {"user_id": 1, "message_id": ""}, _numbered(count, lambda n: _message(world, n))
    yield (
        Delivery,
        {"message_id": 1, "recipient_id": 1, "position": 0, "role": "to", "address": ""},
        _numbered(count, lambda n: _delivery(world, n)),
    )
    yield TrackedLink, {"message_id": 1, "position": 0, "url": ""}, _numbered(count, lambda n: {
        "message_id": n, "url": "https://shop.example/offer", "tracked": n % 5 > 0, "clicks": int(n % 7 == 0),
    })  # fmt: skip
    yield (
        Event,
        {"message_id": 1, "kind": "", "at": world.newest, "klass": "", "confidence": 0.9},
        _numbered(3 * count, lambda n: _event(world, n)),
    )
    yield Notification, {
        "user_id": 1, "subject": "", "kind": "open", "at": world.newest, "first_at": world.newest
    }, _numbered(count // 5, lambda n: _bell_line(world, n))  # fmt: skip
    yield (
        FeedItem,
        {"user_id": 1, "kind": "message", "subject": ""},
        _numbered(count // 50, lambda n: {"user_id": world.owner(n), "subject": f"m{n:09d}"}),
    )


def _message(world: World, n: int) -> Facts:
    """Of a thousand: five drafts, two scheduled, three failed, two queued, one cancelled; the others sent."""
    state = {0: "draft", 200: "scheduled", 400: "failed", 600: "queued", 800: "cancelled"}.get(n // 7 % 1000, "sent")
    tracked, opens, clicks = n % 5 > 0, int(n % 5 > 2) + int(n % 35 == 3), int(n % 7 == 0 and n % 5 > 0)
    moment = world.at(n, world.messages)
    return {
        "user_id": world.owner(n),
        "account_id": world.owner(n),
        "message_id": f"<{n}@seller.example>",
        "from_address": f"person{world.owner(n)}@seller.example",
        "subject": f"{_NOUNS[n % 10]} {n}",
        "snippet": "Dear reader, here is what we spoke about on the phone this morning.",
        "thread": f"<{n - n % 4}@seller.example>",
        "names": f"Reader {world.recipient(n)}",
        "state": state,
        "created_at": moment,
        "listed_at": moment,
        "sent_at": moment if state == "sent" else None,
        "opens_tracked": int(tracked),
        "clicks_tracked": int(tracked),
        "opens": opens,
        "clicks": clicks,
        "machine": int(n % 3 == 0),
        "replies": int(n % 11 == 0),
        "bounces": int(n % 997 == 0),
        "last_activity_at": moment if opens else None,
    }


def _delivery(world: World, n: int) -> Facts:
    to = world.recipient(n)
    rejected = n % 1999 == 0
    return {
        "message_id": n,
        "recipient_id": to,
        "account_id": world.owner(n),
        "address": _address(to),
        "name": f"Reader {to}",
        "opens_on": n % 5 > 0,
        "clicks_on": n % 5 > 0,
        "opens_rule": "" if n % 5 else "text_only" if n % 500 == 0 else "unknown",
        "status": "rejected" if rejected else "accepted",
        "accepted_at": None if rejected else world.at(n, world.messages),
        "opens": int(n % 5 > 2),
    }


def _event(world: World, n: int) -> Facts:
    message = (n + 2) // 3
    kind = ("open", "click", "open")[n % 3]
    counted = n % 4 > 1
    prefetch = message % 333 == 0
    klass = "human" if counted else "privacy_prefetch" if prefetch else ("proxy", "scanner")[n % 2]
    moment = world.at(message, world.messages) + timedelta(seconds=600 * (n % 3))
    facts = {"message_id": message, "delivery_id": message, "kind": kind, "at": moment, "counted": counted}
    return {**facts, "klass": klass, "vendor": None if counted else "Example", "client": "Firefox on Linux"}


def _bell_line(world: World, n: int) -> Facts:
    """One of 200 is unread."""
    message = 5 * n
    moment = world.at(message, world.messages)
    facts = {"user_id": world.owner(message), "subject": f"delivery:{message}", "message_id": message, "at": moment}
    return {
        **facts,
        "delivery_id": message,
        "first_at": moment,
        "read_at": None if n % 200 == 0 else moment,
        "opens": 1,
    }


def _letters(world: World) -> Iterator[tuple[type[SQLModel], Facts, Iterator[Facts]]]:
    count = world.messages
    own = {"user_id": 1, "mailbox_id": 1, "received_at": world.newest}
    yield Letter, {**own, "identity": ""}, _numbered(count, lambda n: _letter(world, n))
    enquiries = [n for n in range(1, count + 1) if _is_enquiry(n)]
    yield EnquiryStatus, {**own, "letter_id": 1}, (_enquiry(world, n) for n in enquiries)
    bound = ({"letter_id": n, "received_at": world.at(n, count), "customer_id": _sender(world, n) % world.customers + 1}
             for n in enquiries)  # fmt: skip
    yield LetterBinding, {"letter_id": 1, "received_at": world.newest, "rule": "sender"}, bound
    sources = ({"letter_id": n, "user_id": world.owner(n), "sender": _address(_sender(world, n)),
                "received_at": world.at(n, count), "method": "code" if n % 4 == 1 else "none"} for n in enquiries)  # fmt: skip
    source = {"id": "1", "name": "Google", "channel": "search", "group": ""}
    yield (
        LetterSource,
        {"letter_id": 1, "user_id": 1, "received_at": world.newest, "method": "", "source": source},
        sources,
    )


def _is_enquiry(n: int) -> bool:
    return n % 4 > 0 and _category(n) == "human"


def _category(n: int) -> str:
    return {0: "bulk", 1: "bounce", 2: "auto_reply"}.get(n // 10 % 20, "human")


def _sender(world: World, n: int) -> int:
    return n * 104729 % world.recipients + 1


def _letter(world: World, n: int) -> Facts:
    """One of four is a repeat, of a thousand one was withdrawn."""
    sender, moment = _sender(world, n), world.at(n, world.messages)
    enquiry = _is_enquiry(n)
    return {
        "user_id": world.owner(n),
        "mailbox_id": world.owner(n),
        "identity": f"{n:064d}",
        "message_id": f"{n}@company.example",
        "content_hash": f"{n:064d}",
        "received_at": moment,
        "loaded_at": moment,
        "sender": _address(sender),
        "sender_address": _address(sender),
        "sender_name": f"Reader {sender}",
        "recipient": f"box{world.owner(n)}@seller.example",
        "subject": f"{_NOUNS[n % 10]} {n}",
        "snippet": "How much are forty of them, and when can they be here?",
        "category": _category(n),
        "counted": enquiry,
        "repeat_of_id": n - 1 if n % 4 == 0 and _is_enquiry(n - 1) else None,
        "withdrawn_at": moment if n % 9973 == 1 else None,
        "read_at": moment,
    }


def _enquiry(world: World, n: int) -> Facts:
    """One of 200 is still to be done."""
    moment, owner = world.at(n, world.messages), world.owner(n)
    waits = n // 10 % 200 == 5
    answered = None if waits else moment + timedelta(hours=n % 9)
    return {
        "letter_id": n,
        "user_id": owner,
        "mailbox_id": owner,
        "sender": _address(_sender(world, n)),
        "received_at": moment,
        "manager_id": None if n % 3 == 0 else owner,
        "waiting_since": moment if waits else None,
        "answered_at": answered,
        "answered_by": None if waits else owner,
        "done_at": answered,
    }


def _site(world: World) -> Iterator[tuple[type[SQLModel], Facts, Iterator[Facts]]]:
    yield Site, {"user_id": 1, "key": "", "name": ""}, _numbered(PEOPLE, lambda n: {
        "user_id": n, "key": f"k{n}", "name": f"Shop {n}",
    })  # fmt: skip
    facts = {
        "user_id": 1,
        "site_id": 1,
        "visitor": "",
        "session": "",
        "began_at": world.newest,
        "seen_at": world.newest,
    }
    source = {"id": "1", "name": "Google", "channel": "search", "group": ""}
    chooser, count = random.Random(1), world.messages
    yield Visit, {**facts, "source": source, "attributed": source}, _numbered(count, lambda n: {
        "user_id": world.owner(n), "site_id": world.owner(n), "visitor": f"{n // 2:032d}", "session": f"{n:032d}",
        "began_at": world.at(n, count), "seen_at": world.at(n, count), "pages": chooser.randrange(1, 9),
    })  # fmt: skip
