"""``/messages/{id}/events``: what happened to a message, judged."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlmodel import Session, col, or_, select

from tracker.engagement.verdict import Reason
from tracker.mail.fields import ResponseModel
from tracker.models import Delivery, Event, Message, TrackedLink
from tracker.models.ownership import owned
from tracker.privacy.views import note_message_view
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.paging import Listing, PageQuery, page

events = router("Messages")


class VerdictShape(ResponseModel):
    """Who it was: human, mail_proxy, privacy_prefetch, security_scanner, link_preview, sender_self, crawler, unknown.

    ``reasons`` are stable codes, ``texts`` the same in words."""

    class_: str = Field(serialization_alias="class")
    confidence: float
    reasons: list[str]
    texts: list[str]

    @classmethod
    def of(cls, event: Event) -> "VerdictShape":
        reasons = _reasons(event.reasons)
        return cls(
            class_=event.klass,
            confidence=event.confidence,
            reasons=[reason.code for reason in reasons],
            texts=[reason.sentence() for reason in reasons],
        )


def _reasons(stored: Any) -> list[Reason]:
    """As the row keeps them: ``{"code", "values"}`` each, or a bare code."""
    found = []
    for one in stored or []:
        code, values = (one.get("code"), one.get("values")) if isinstance(one, Mapping) else (one, None)
        found.append(Reason(str(code), values or {}))
    return found


class EventShape(ResponseModel):
    """open, click, reply, auto_reply, reaction, bounce, complaint or unsubscribe; ``delivery`` and ``address`` say whose copy, as
    far as known."""

    id: str
    at: datetime
    kind: str
    delivery: str | None
    address: str | None
    url: str | None
    client: str
    verdict: VerdictShape


@events.get("/messages/{id}/events", response_model=Listing[EventShape])
def list_events(call: Caller, id: str, paged: PageQuery) -> Listing[EventShape]:
    """What happened to a message, newest first. Repeats right after one another are one event."""
    with call.reading() as session:
        message = owned(session, Message, call.user, id)
        copies = session.exec(select(Delivery).where(Delivery.message_id == message.id)).all()
        query = select(Event).where(Event.message_id == message.id, col(Event.merged).is_(False))
        if frozen := [copy.id for copy in copies if copy.frozen]:
            query = query.where(or_(col(Event.delivery_id).is_(None), col(Event.delivery_id).not_in(frozen)))
        rows, after = page(session, query, Event, paged, at="at")
        listing = Listing(items=_shapes(session, message, rows), next=after)
    note_message_view(call.context, call.user, message)
    return listing


def _shapes(session: Session, message: Message, events: Any) -> list[EventShape]:
    deliveries = {d.id: d for d in session.exec(select(Delivery).where(Delivery.message_id == message.id))}
    links = {k.position: k.url for k in session.exec(select(TrackedLink).where(TrackedLink.message_id == message.id))}
    return [_shape(event, deliveries.get(event.delivery_id), links) for event in events]


def _shape(event: Event, delivery: Delivery | None, links: Mapping[int, str]) -> EventShape:
    return EventShape(
        id=event.public_id,
        at=event.at,
        kind=event.kind,
        delivery=delivery.public_id if delivery else None,
        address=delivery.address if delivery else None,
        url=links.get(event.link) if event.link is not None else None,
        client=event.client,
        verdict=VerdictShape.of(event),
    )
