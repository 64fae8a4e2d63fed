"""``/messages``: sending, the list, one message, taking back, muting."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from sqlmodel import Session, col, or_, select
from starlette.responses import Response

from tracker.engagement.judge.verdict import Reason
from tracker.mail.fields import ResponseModel
from tracker.models import Delivery, Event, Message, TrackedLink
from tracker.models.ownership import find_owned, owned
from tracker.outbound.cancel import cancel
from tracker.outbound.messages import complete, mute, reopen
from tracker.outbound.send import enqueue_composed
from tracker.privacy.views import note_message_view
from tracker.web.api.authenticated import LARGEST_MESSAGE, router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.idempotency import idempotent
from tracker.web.api.paging import Listing, Paged, PageQuery, page
from tracker.web.messages.filter import Filter
from tracker.web.messages.responses import MessageLine, MessageResponse, message_lines, message_shape
from tracker.web.messages.schemas import NewMessage, draft_of

messages = router("Messages")


class MessageQuery(Paged):
    """Which messages. Several states narrow each other; stages of a message’s life widen."""

    state: Annotated[
        list[str],
        Field(
            description="draft, scheduled, queued, sent, failed; opened, clicked, replied, no_reply, due, trouble, bounced, "
            "not_opened, machine_only, unmeasurable, tracked, untracked. May be repeated or divided by commas."
        ),
    ] = []
    tracked: Annotated[str, Field(description="true or false.")] = ""
    recipient: Annotated[str, Field(description="An address.")] = ""
    account: Annotated[str, Field(description="The id or the address of an account.")] = ""
    thread: Annotated[str, Field(description="“thread” of a message.")] = ""
    template: Annotated[str, Field(description="The id of a template that the message began with.")] = ""
    activity: Annotated[
        str, Field(description="opened, clicked or answered: “since” and “until” are of this, not of the sending.")
    ] = ""
    q: Annotated[str, Field(description="Beginnings of words of the subject, the text, names and addresses.")] = ""
    since: Annotated[str, Field(description="A day in one’s own zone, or a time in RFC 3339.")] = ""
    until: Annotated[str, Field(description="The same; a day counts to its end.")] = ""

    def filter(self) -> Filter:
        """Raises :class:`tracker.runtime.localized_text.ActionError`."""
        single = {
            name: getattr(self, name) for name in type(self).model_fields if name not in ("limit", "cursor", "state")
        }
        return Filter.from_query({**single, "state": ",".join(self.state)})


@messages.post(
    "/messages", response_model=MessageResponse, status_code=202, openapi_extra={"x-largest-body": LARGEST_MESSAGE}
)
def post_message(call: Caller, new: NewMessage) -> Response:
    """Takes a message into the queue. It is sent once this was answered; who is tracked, and why not, is decided here."""

    def work(session: Session) -> MessageResponse:
        message = enqueue_composed(session, call.context, call.user, draft_of(session, call, new))
        session.flush()
        return message_shape(session, message)

    return idempotent(call, work, status=202)


@messages.get("/messages", response_model=Listing[MessageLine])
def list_messages(call: Caller, query: Annotated[MessageQuery, Query()]) -> Listing[MessageLine]:
    """My messages, newest first."""
    chosen = query.filter()
    with call.reading() as session:
        statement = chosen.apply(session, select(Message), call.user)
        rows, after = page(session, statement, Message, query, at="listed_at")
        return Listing(items=message_lines(session, list(rows)), next=after)


@messages.get("/messages/{id}", response_model=MessageResponse)
def get_message(call: Caller, id: str) -> MessageResponse:
    """A message with its copies, links and counts."""
    with call.reading() as session:
        message = owned(session, Message, call.user, id)
        shape = message_shape(session, message)
    note_message_view(call.context, call.user, message)
    return shape


@messages.post("/messages/{id}/cancellation", response_model=MessageResponse)
def post_cancellation(call: Caller, id: str) -> Response:
    """Takes a message back while nothing of it was handed over; it is a draft again. 409 when it is too late."""
    return _change(call, id, cancel)


@messages.post("/messages/{id}/completion", response_model=MessageResponse)
def post_completion(call: Caller, id: str) -> Response:
    """Nothing is left to do about this message: it is not to be followed up, and what went wrong with it was dealt with."""
    return _change(call, id, complete)


@messages.delete("/messages/{id}/completion", response_model=MessageResponse)
def delete_completion(call: Caller, id: str) -> Response:
    """There is something to do after all."""
    return _change(call, id, reopen)


@messages.post("/messages/{id}/mute", response_model=MessageResponse)
def post_mute(call: Caller, id: str) -> Response:
    """Rings no more about this message."""
    return _change(call, id, mute)


@messages.delete("/messages/{id}/mute", response_model=MessageResponse)
def delete_mute(call: Caller, id: str) -> Response:
    """Rings again."""
    return _change(call, id, lambda session, message: mute(session, message, False))


def _change(call: RequestContext, id: str, action: Callable[[Session, Message], None]) -> Response:
    def work(session: Session) -> MessageResponse:
        message = owned(session, Message, call.user, id)
        action(session, message)
        session.flush()
        return message_shape(session, message)

    response = idempotent(call, work)
    with call.reading() as session:
        shown = find_owned(session, Message, call.user, id)
    if shown is not None:
        note_message_view(call.context, call.user, shown)
    return response


class VerdictResponse(ResponseModel):
    """Who it was: human, mail_proxy, privacy_prefetch, security_scanner, link_preview, sender_self, crawler, unknown.

    ``reasons`` are stable codes, ``texts`` the same in words."""

    class_: str = Field(serialization_alias="class")
    confidence: float
    reasons: list[str]
    texts: list[str]

    @classmethod
    def of(cls, event: Event) -> "VerdictResponse":
        reasons = _reasons(event.reasons)
        return cls(
            class_=event.klass,
            confidence=event.confidence,
            reasons=[reason.code for reason in reasons],
            texts=[reason.sentence() for reason in reasons],
        )


def _reasons(stored: Any) -> list[Reason]:
    """As the row keeps them: ``{"code", "values"}`` each, or a bare code."""
    reasons = []
    for reason in stored or []:
        code, values = (reason.get("code"), reason.get("values")) if isinstance(reason, Mapping) else (reason, None)
        reasons.append(Reason(str(code), values or {}))
    return reasons


class EventResponse(ResponseModel):
    """open, click, reply, auto_reply, reaction, bounce, complaint or unsubscribe; ``delivery`` and ``address`` say whose copy, as
    far as known."""

    id: str
    at: datetime
    kind: str
    delivery: str | None
    address: str | None
    url: str | None
    client: str
    verdict: VerdictResponse


@messages.get("/messages/{id}/events", response_model=Listing[EventResponse])
def list_events(call: Caller, id: str, paged: PageQuery) -> Listing[EventResponse]:
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


def _shapes(session: Session, message: Message, events: Any) -> list[EventResponse]:
    deliveries = {d.id: d for d in session.exec(select(Delivery).where(Delivery.message_id == message.id))}
    links = {k.position: k.url for k in session.exec(select(TrackedLink).where(TrackedLink.message_id == message.id))}
    return [_shape(event, deliveries.get(event.delivery_id), links) for event in events]


def _shape(event: Event, delivery: Delivery | None, links: Mapping[int, str]) -> EventResponse:
    return EventResponse.of_row(
        event,
        delivery=delivery.public_id if delivery else None,
        address=delivery.address if delivery else None,
        url=links.get(event.link) if event.link is not None else None,
        verdict=VerdictResponse.of(event),
    )
