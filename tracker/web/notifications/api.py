"""``/notifications``: the bell."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import Field
from sqlmodel import Session, col
from starlette.responses import Response

from tracker.locale import use_locale
from tracker.mail.fields import ResponseModel
from tracker.models import Delivery, Message, Notification
from tracker.models.ownership import owned, owned_rows
from tracker.models.rows import public_ids, rows_by_id
from tracker.notifications.bell_lines import bell_lines
from tracker.notifications.notify import mark_all_read, mark_read, unread_count
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext, still_holds
from tracker.web.api.idempotency import idempotent
from tracker.web.api.paging import Listing, Paged, page
from tracker.web.notifications.feed import open_feed

notifications = router("Notifications")


class NotificationQuery(Paged):
    unread: Annotated[bool, Field(description="Only what was not read yet.")] = False


class NotificationResponse(ResponseModel):
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


class Unread(ResponseModel):
    """How many lines are still unread."""

    unread: int


@notifications.get("/notifications", response_model=Listing[NotificationResponse])
def list_notifications(call: Caller, query: Annotated[NotificationQuery, Query()]) -> Listing[NotificationResponse]:
    """My lines, newest first."""
    mine = owned_rows(Notification, call.user)
    if query.unread:
        mine = mine.where(col(Notification.read_at).is_(None))
    with call.reading() as session:
        rows, after = page(session, mine, Notification, query, at="at")
        return Listing(items=notification_shapes(session, call, rows), next=after)


@notifications.post("/notifications/readings", response_model=Unread)
def post_readings(call: Caller) -> Response:
    """Marks everything as read."""

    def work(session: Session) -> Unread:
        mark_all_read(session, call.user)
        return Unread(unread=unread_count(session, call.user))

    return idempotent(call, work)


@notifications.post("/notifications/{id}/reading", response_model=NotificationResponse)
def post_reading(call: Caller, id: str) -> Response:
    """Marks one line as read."""

    def work(session: Session) -> NotificationResponse:
        line = owned(session, Notification, call.user, id)
        mark_read(session, call.user, line.public_id)
        return notification_shapes(session, call, [line])[0]

    return idempotent(call, work)


def notification_shapes(
    session: Session, call: RequestContext, rows: Sequence[Notification]
) -> list[NotificationResponse]:
    """The lines as the bell shows them, in the person's language."""
    with use_locale(call.user.locale, call.user.timezone):
        texts = [f"{line.text} · {line.counter}" if line.counter else line.text for line in bell_lines(session, rows)]
    messages = public_ids(session, Message, (row.message_id for row in rows))
    deliveries = rows_by_id(session, Delivery, (row.delivery_id for row in rows))
    return [
        NotificationResponse.of_row(
            row,
            text=text,
            message=messages.get(row.message_id),
            recipient=deliveries[row.delivery_id].address if row.delivery_id in deliveries else None,
        )
        for row, text in zip(rows, texts, strict=True)
    ]


feed = router("Feed")
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


@feed.get("/feed", response_class=Response, responses=_STREAM)
async def get_feed(call: Caller, request: Request) -> Response:
    """Hints that something changed, as server-sent events: ``notification``, ``message`` or ``letter``, each with
    ``{"kind", "id", "at"}``. Send ``Last-Event-ID`` to get what was missed. The connection ends after some minutes: come back."""
    return await open_feed(request, call.user, lambda: still_holds(call.context, call.token))
