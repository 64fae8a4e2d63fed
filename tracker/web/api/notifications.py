"""``/notifications``: the bell."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlmodel import Session, col, select
from starlette.responses import Response

from tracker.models import Delivery, Message, Notification
from tracker.notify import mark_all_read, mark_read, unread_count
from tracker.web.api.call import Caller
from tracker.web.api.door import router
from tracker.web.api.errors import known, not_found
from tracker.web.api.fields import Shape
from tracker.web.api.idempotency import once
from tracker.web.api.paging import Listing, Paged, page

notifications = router("Notifications")


class NotificationQuery(Paged):
    unread: Annotated[bool, Field(description="Only what was not read yet.")] = False


class NotificationShape(Shape):
    """One line of the bell: one subject, with a counter. ``message`` is an id, ``recipient`` an address."""

    id: str
    kind: str
    text: str
    message: str | None
    recipient: str | None
    count: int
    opens: int
    clicks: int
    client: str
    first_at: datetime
    at: datetime
    read_at: datetime | None


class Unread(Shape):
    """How many lines are still unread."""

    unread: int


@notifications.get("/notifications", response_model=Listing[NotificationShape])
def list_notifications(call: Caller, query: Annotated[NotificationQuery, Query()]) -> Listing[NotificationShape]:
    """My lines, newest first."""
    mine = select(Notification).where(Notification.user_id == call.user.id)
    if query.unread:
        mine = mine.where(col(Notification.read_at).is_(None))
    with call.reading() as session:
        rows, after = page(session, mine, Notification, query, at="at")
        return Listing(items=[notification_shape(session, row) for row in rows], next=after)


@notifications.post("/notifications/readings", response_model=Unread)
def post_readings(call: Caller) -> Response:
    """Marks everything as read."""

    def work(session: Session) -> Unread:
        mark_all_read(session, call.user)
        return Unread(unread=unread_count(session, call.user))

    return once(call, work)


@notifications.post("/notifications/{id}/reading", response_model=NotificationShape)
def post_reading(call: Caller, id: str) -> Response:
    """Marks one line as read."""

    def work(session: Session) -> NotificationShape:
        if not mark_read(session, call.user, known(id)):
            raise not_found("There is no such notification.")
        session.flush()
        return notification_shape(session, session.exec(select(Notification).where(Notification.public_id == id)).one())

    return once(call, work)


def notification_shape(session: Session, row: Notification) -> NotificationShape:
    message = session.get(Message, row.message_id) if row.message_id is not None else None
    delivery = session.get(Delivery, row.delivery_id) if row.delivery_id is not None else None
    plain = set(NotificationShape.model_fields) - {"id", "text", "message", "recipient"}
    return NotificationShape(
        id=row.public_id,
        text=_text(row, message, delivery),
        message=message.public_id if message else None,
        recipient=delivery.address if delivery else None,
        **row.model_dump(include=plain),
    )


_DID = {
    "open": "{who} opened “{what}”",
    "click": "{who} clicked a link in “{what}”",
    "reply": "{who} replied to “{what}”",
    "bounce": "“{what}” to {who} came back",
    "rejected": "“{what}” to {who} was refused by the server",
    "corrected": "What looked like {who} reading “{what}” was a machine",
}


def _text(row: Notification, message: Message | None, delivery: Delivery | None) -> str:
    """One English sentence; the pages have their own, in the reader's language."""
    who = (delivery.name or delivery.address) if delivery else "Somebody"
    what = (message.subject if message else "") or "(no subject)"
    said = _DID.get(row.kind, "{detail}").format(who=who, what=what, detail=row.detail or row.kind)
    return f"{said} · {row.count}×" if row.count > 1 else said
