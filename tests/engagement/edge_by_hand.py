"""An edge whose hits a test writes by hand, and what the product then says: events, counters, bell."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import col, select, update

from pixel.hits import Hit
from tests.fixtures.contexts import People
from tracker.engagement.ingest import drain
from tracker.engagement.settling import settle_due
from tracker.models import Delivery, Event, Message, Notification, User
from tracker.notifications import notify
from tracker.outbound.queue import send_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

CHROME = {
    "user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    "accept": "image/avif,image/webp,*/*",
    "accept-language": "de-DE,de;q=0.9",
    "sec-fetch-site": "cross-site",
    "sec-fetch-mode": "no-cors",
    "sec-fetch-dest": "image",
    "sec-ch-ua": '"Chromium";v="156", "Google Chrome";v="156"',
}
GMAIL = {"user-agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"}
PAGE = CHROME | {"accept": "text/html,*/*", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
APPLE = {"user-agent": "Mozilla/5.0"}
READER = "93.184.10.7"


@dataclass
class Edge:
    """A source of hits that a test fills by hand; the numbers go on as a spool's would."""

    name: str = "local"
    hits: list[Hit] = field(default_factory=list)
    confirmed: int = 0

    def hit(
        self,
        delivery: Delivery,
        kind: str = "open",
        *,
        after: float = 600,
        headers: dict[str, str] | None = None,
        client: str = READER,
        link: int | None = None,
        self_user: str | None = None,
        method: str = "GET",
    ) -> Hit:
        base = delivery.accepted_at or now()
        hit = Hit(
            id=len(self.hits) + 1,
            received_at=base + timedelta(seconds=after),
            kind=kind,  # type: ignore[arg-type]
            token="-",
            delivery=delivery.public_id,
            link=link if kind == "click" else None,
            method=method,
            client=client,
            http_version="1.1",
            headers=(CHROME if kind == "open" else PAGE) if headers is None else headers,
            self_user=self_user,
        )
        self.hits.append(hit)
        return hit

    def after(self, n: int, limit: int, confirmed: int) -> Sequence[Hit]:
        return [hit for hit in self.hits if (hit.id or 0) > n][:limit]

    def last_id(self) -> int:
        return len(self.hits)

    def confirm(self, n: int) -> None:
        self.confirmed = n


def send_all(context: AppContext) -> None:
    while send_due(context):
        pass


def send_to(context: AppContext, people: People, user: User, *addresses: str) -> list[Delivery]:
    """One accepted, tracked copy each to people who agreed, every one of a message of its own."""
    for address in addresses:
        people.grant(address)
        people.send(user, address)
    send_all(context)
    with context.database.reading() as session:
        query = session.exec(select(Delivery).where(col(Delivery.address).in_(addresses)).order_by(col(Delivery.id)))
        return list(query)


def ingest_hits(context: AppContext, edge: Edge) -> list[Event]:
    while drain(context, edge):
        pass
    return events(context)


def events(context: AppContext) -> list[Event]:
    with context.database.reading() as session:
        return list(session.exec(select(Event).order_by(col(Event.at), col(Event.id))))


def settle(context: AppContext) -> None:
    """As if every waiting time were over."""
    with context.database.session_scope() as session:
        past = datetime(2000, 1, 1, tzinfo=now().tzinfo)
        session.exec(update(Event).where(col(Event.settle_at).is_not(None)).values(settle_at=past))
    while settle_due(context):
        pass


def bell(context: AppContext, user: User) -> list[Notification]:
    with context.database.reading() as session:
        return list(notify.lines(session, user))


def message_of(context: AppContext) -> Message:
    with context.database.reading() as session:
        return session.exec(select(Message)).one()
