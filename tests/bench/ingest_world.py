"""Copies sent and hits made in bulk, for the bench of ingest."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert
from sqlmodel import Session, col

from pixel.hits import Hit
from tests.engagement.hit_makers import CHROME, FIREFOX, GMAIL_PROXY, OUTLOOK
from tracker.models import ConsentEntry, Delivery, Message, Recipient, TrackedLink, User
from tracker.models.rows import public_id
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

HITS_PER_DELIVERY = 4
PER_MESSAGE = 2
_PIXEL = {"accept": "image/avif,image/webp,*/*", "accept-language": "de-DE,de;q=0.9", "sec-fetch-mode": "no-cors"}
_PAGE = {
    "accept": "text/html,*/*",
    "accept-language": "de-DE,de;q=0.9",
    "sec-fetch-mode": "navigate",
    "sec-fetch-user": "?1",
}
_OPENS = (
    (GMAIL_PROXY, "66.249.84.{}"),
    (OUTLOOK, "93.184.{}.{}"),
    (CHROME, "91.12.{}.{}"),
    ("Mozilla/5.0", "104.28.30.{}"),
)
_CLICKS = ((CHROME, "91.13.{}.{}"), (FIREFOX, "84.57.{}.{}"))


def send_out(context: AppContext, deliveries: int) -> list[str]:
    """So many tracked copies, two per message, accepted four days ago, to people who agreed. Their public ids."""
    moment = now() - timedelta(days=4)
    with context.database.session_scope() as session:
        user = User(email="seller@seller.example", name="Seller")
        session.add(user)
        session.flush()
        recipients = _recipients(session, deliveries, moment)
        messages = _messages(session, user.id or 0, deliveries // PER_MESSAGE + 1, moment)
        rows = [_delivery(n, messages[n // PER_MESSAGE], recipient, moment) for n, recipient in enumerate(recipients)]
        session.execute(insert(Delivery), rows)
        return [str(row["public_id"]) for row in rows]


def _recipients(session: Session, count: int, moment: datetime) -> list[int]:
    addresses = [f"reader{n}@company{n % 500}.example" for n in range(count)]
    made = insert(Recipient).returning(col(Recipient.id), sort_by_parameter_order=True)
    ids = list(session.execute(made, [{"address": a, "lookup": a} for a in addresses]).scalars())
    session.execute(insert(ConsentEntry), [entry for id_ in ids for entry in _consent(id_, moment)])
    return [id_ for id_ in ids if id_ is not None]


def _consent(recipient: int | None, moment: datetime) -> list[dict[str, object]]:
    said = {"state": "granted", "at": moment, "actor": "subject", "channel": "web_form", "grade": "B", "evidence": {}}
    chain = {"previous_digest": "0" * 64, "proof_digest": "0" * 64, "digest": "0" * 64}
    return [
        {"recipient_id": recipient, "number": number, "purpose": purpose, **said, **chain}
        for number, purpose in enumerate(("opens", "clicks"), 1)
    ]


def _messages(session: Session, user: int, count: int, moment: datetime) -> list[int]:
    facts = {"user_id": user, "from_address": "seller@seller.example", "state": "sent", "sent_at": moment}
    made = insert(Message).returning(col(Message.id), sort_by_parameter_order=True)
    ids = list(
        session.execute(made, [{"message_id": f"<{n}@seller.example>", **facts} for n in range(count)]).scalars()
    )
    links = [
        {"message_id": id_, "position": position, "url": f"https://shop.example/{position}", "tracked": True}
        for id_ in ids
        for position in range(2)
    ]
    session.execute(insert(TrackedLink), links)
    return [id_ for id_ in ids if id_ is not None]


def _delivery(number: int, message: int, recipient: int, moment: datetime) -> dict[str, object]:
    return {
        "public_id": public_id(),
        "message_id": message,
        "recipient_id": recipient,
        "position": number % PER_MESSAGE,
        "role": "to",
        "address": f"reader{number}@company{number % 500}.example",
        "opens_on": True,
        "clicks_on": True,
        "status": "accepted",
        "accepted_at": moment,
    }


def make_hits(deliveries: Sequence[str], count: int) -> list[Hit]:
    """So many hits in order of time over three days, spread at random over the copies."""
    chooser = random.Random(1)
    begin, apart = datetime.now(UTC) - timedelta(days=3), timedelta(days=3) / count
    return [one_hit(chooser, chooser.choice(deliveries), begin + apart * n) for n in range(count)]


def one_hit(chooser: random.Random, delivery: str, at: datetime, *, people_only: bool = False) -> Hit:
    """Seven of ten are opens."""
    clicks = chooser.random() < 0.3
    agent, network = chooser.choice(_CLICKS if clicks else _OPENS[:3] if people_only else _OPENS)
    return Hit(
        id=None,
        received_at=at,
        kind="click" if clicks else "open",
        token="-",
        delivery=delivery,
        link=chooser.randrange(2) if clicks else None,
        method="GET",
        client=network.format(chooser.randrange(256), chooser.randrange(256)),
        http_version="1.1",
        headers={"user-agent": agent, **(_PAGE if clicks else {} if agent == GMAIL_PROXY else _PIXEL)},
        self_user=None,
    )
