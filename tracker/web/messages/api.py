"""``/messages``: sending, the list, one message, taking back, muting."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlmodel import Session, select
from starlette.responses import Response

from tracker.models import Message
from tracker.models.ownership import find_owned, owned
from tracker.outbound.messages import mute
from tracker.outbound.send import cancel, enqueue_composed
from tracker.privacy.views import note_message_view
from tracker.web.api.authenticated import LARGEST_MESSAGE, router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.idempotency import idempotent
from tracker.web.api.paging import Listing, Paged, page
from tracker.web.messages.filter import Filter
from tracker.web.messages.responses import MessageLine, MessageShape, message_lines, message_shape
from tracker.web.messages.schemas import NewMessage, draft_of

messages = router("Messages")


class MessageQuery(Paged):
    """Which messages. Several states narrow each other; stages of a message’s life widen."""

    state: Annotated[
        list[str],
        Field(
            description="draft, scheduled, queued, sent, failed; opened, clicked, replied, no_reply, bounced, not_opened, "
            "machine_only, unmeasurable, tracked, untracked. May be repeated or divided by commas."
        ),
    ] = []
    tracked: Annotated[str, Field(description="true or false.")] = ""
    recipient: Annotated[str, Field(description="An address.")] = ""
    account: Annotated[str, Field(description="The id or the address of an account.")] = ""
    thread: Annotated[str, Field(description="“thread” of a message.")] = ""
    q: Annotated[str, Field(description="Words of subject, beginning, names and addresses.")] = ""
    since: Annotated[str, Field(description="A day in one’s own zone, or a time in RFC 3339.")] = ""
    until: Annotated[str, Field(description="The same; a day counts to its end.")] = ""

    def filter(self) -> Filter:
        """Raises :class:`tracker.runtime.localized_text.ActionError`."""
        single = {
            name: getattr(self, name) for name in type(self).model_fields if name not in ("limit", "cursor", "state")
        }
        return Filter.from_query({**single, "state": ",".join(self.state)})


@messages.post(
    "/messages", response_model=MessageShape, status_code=202, openapi_extra={"x-largest-body": LARGEST_MESSAGE}
)
def post_message(call: Caller, new: NewMessage) -> Response:
    """Takes a message into the queue. It is sent once this was answered; who is tracked, and why not, is decided here."""

    def work(session: Session) -> MessageShape:
        message = enqueue_composed(session, call.context, call.user, draft_of(session, call, new))
        session.flush()
        return message_shape(session, message)

    return idempotent(call, work, status=202)


@messages.get("/messages", response_model=Listing[MessageLine])
def list_messages(call: Caller, query: Annotated[MessageQuery, Query()]) -> Listing[MessageLine]:
    """My messages, newest first."""
    statement = query.filter().apply(select(Message), call.user)
    with call.reading() as session:
        rows, after = page(session, statement, Message, query, at="listed_at")
        return Listing(items=message_lines(session, list(rows)), next=after)


@messages.get("/messages/{id}", response_model=MessageShape)
def get_message(call: Caller, id: str) -> MessageShape:
    """A message with its copies, links and counts."""
    with call.reading() as session:
        message = owned(session, Message, call.user, id)
        shape = message_shape(session, message)
    note_message_view(call.context, call.user, message)
    return shape


@messages.post("/messages/{id}/cancellation", response_model=MessageShape)
def post_cancellation(call: Caller, id: str) -> Response:
    """Takes a message back while nothing of it was handed over; it is a draft again. 409 when it is too late."""
    return _change(call, id, cancel)


@messages.post("/messages/{id}/mute", response_model=MessageShape)
def post_mute(call: Caller, id: str) -> Response:
    """Rings no more about this message."""
    return _change(call, id, mute)


@messages.delete("/messages/{id}/mute", response_model=MessageShape)
def delete_mute(call: Caller, id: str) -> Response:
    """Rings again."""
    return _change(call, id, lambda session, message: mute(session, message, False))


def _change(call: RequestContext, id: str, action: Callable[[Session, Message], None]) -> Response:
    def work(session: Session) -> MessageShape:
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
