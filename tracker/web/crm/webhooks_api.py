"""``/webhooks``: where events are sent to, and what became of each attempt."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlmodel import Session, col, select
from starlette.responses import Response

from tracker.mail.fields import Moment, RequestModel, ResponseModel, SingleLine
from tracker.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from tracker.notifications.webhooks import (
    EndpointChange,
    NewEndpoint,
    change_endpoint,
    create_endpoint,
    replay,
    rotate_secret,
    send_test,
)
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.idempotency import idempotent
from tracker.web.api.paging import Listing, Paged, page
from tracker.web.api.resource import Resource

webhooks = router("Webhooks")


class EndpointResponse(ResponseModel):
    """Where events are sent to. ``problem`` says why it was switched off."""

    id: str
    url: str
    kinds: list[str]
    active: bool
    problem: str
    failing_since: datetime | None
    created_at: datetime


class NewEndpointResponse(EndpointResponse):
    """The same, with its secret: shown this once."""

    secret: str


class AttemptResponse(ResponseModel):
    """One try to tell of one event."""

    event: str
    kind: str
    at: datetime
    status: int | None
    problem: str
    milliseconds: int
    next_at: datetime | None


class ReplayRequest(RequestModel):
    """Which events to send again: those named, or all since a time."""

    events: Annotated[list[SingleLine], Field(max_length=1000)] = []
    since: Moment | None = None


class ReplayResponse(ResponseModel):
    events: int


class AttemptQuery(Paged):
    event: Annotated[str, Field(max_length=40, description="The id of one event.")] = ""


WEBHOOKS = Resource(
    plural="webhooks",
    singular="webhook",
    model=WebhookEndpoint,
    new=NewEndpoint,
    change=EndpointChange,
    response=EndpointResponse,
    show=lambda session, call, rows: [EndpointResponse.of_row(row) for row in rows],
    save=lambda session, call, row, change: change_endpoint(session, call.context, row, change),
    remove=lambda session, call, row: session.delete(row),
    texts=(
        "My webhooks, the oldest first.",
        "One webhook.",
        "",
        "Changes what is given.",
        "Forgets a webhook; nothing more is sent to it.",
    ),
)


@webhooks.post("/webhooks", response_model=NewEndpointResponse, status_code=201)
def post_webhook(call: Caller, new: NewEndpoint) -> Response:
    """Makes a webhook. Its ``secret`` is in this answer and nowhere else."""

    def work(session: Session) -> NewEndpointResponse:
        endpoint, secret = create_endpoint(session, call.context, call.user, new)
        return NewEndpointResponse.of_row(endpoint, secret=secret)

    return idempotent(call, work, status=201)


WEBHOOKS.add_to(webhooks, with_post=False)


@webhooks.post("/webhooks/{id}/secret", response_model=NewEndpointResponse)
def post_secret(call: Caller, id: str) -> Response:
    """A new secret. For a day everything is signed with the one before, too."""

    def work(session: Session) -> NewEndpointResponse:
        endpoint = WEBHOOKS.row(session, call, id)
        return NewEndpointResponse.of_row(endpoint, secret=rotate_secret(session, call.context, endpoint))

    return idempotent(call, work)


@webhooks.post("/webhooks/{id}/test", response_model=ReplayResponse, status_code=202)
def post_test(call: Caller, id: str) -> Response:
    """Sends an event of the kind ``webhook.test``."""

    def work(session: Session) -> ReplayResponse:
        send_test(session, WEBHOOKS.row(session, call, id))
        return ReplayResponse(events=1)

    return idempotent(call, work, status=202)


@webhooks.post("/webhooks/{id}/replay", response_model=ReplayResponse, status_code=202)
def post_replay(call: Caller, id: str, request: ReplayRequest) -> Response:
    """Sends events again, with the same ``webhook-id`` and body."""

    def work(session: Session) -> ReplayResponse:
        endpoint = WEBHOOKS.row(session, call, id)
        return ReplayResponse(events=replay(session, endpoint, request.events, request.since))

    return idempotent(call, work, status=202)


@webhooks.get("/webhooks/{id}/attempts", response_model=Listing[AttemptResponse])
def list_attempts(call: Caller, id: str, query: Annotated[AttemptQuery, Query()]) -> Listing[AttemptResponse]:
    """What became of each attempt, the newest first."""
    with call.reading() as session:
        endpoint = WEBHOOKS.row(session, call, id)
        mine = select(WebhookDelivery.id).where(WebhookDelivery.endpoint_id == endpoint.id)
        if query.event:
            named = select(WebhookEvent.id).where(WebhookEvent.public_id == query.event)
            mine = mine.where(col(WebhookDelivery.event_id).in_(named))
        attempts = select(WebhookAttempt).where(col(WebhookAttempt.delivery_id).in_(mine))
        rows, after = page(session, attempts, WebhookAttempt, query, at="at")
        return Listing(items=[_attempt(session, row) for row in rows], next=after)


def _attempt(session: Session, attempt: WebhookAttempt) -> AttemptResponse:
    delivery = session.get_one(WebhookDelivery, attempt.delivery_id)
    event = session.get_one(WebhookEvent, delivery.event_id)
    return AttemptResponse.of_row(attempt, event=event.public_id, kind=event.kind, next_at=delivery.due_at)
