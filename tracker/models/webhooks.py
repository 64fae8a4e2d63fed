"""Webhooks: endpoints that hear of what happened, the events, and every attempt to tell them.

An event is written in the transaction of what it tells of, with a delivery for each endpoint that wants its kind; it is sent after
the commit, again and again for three days, with the same id and body.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field

from tracker.models.rows import NumberedRow, PublicRow
from tracker.runtime.database import LocalizedTextColumn, UtcDateTime, now

_DUE = text("due_at IS NOT NULL")


class WebhookEndpoint(PublicRow, table=True):
    """Where one person's events are sent to. Secrets are encrypted; the one before is still signed with until its time is over."""

    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    url: str = Field(max_length=2000)
    kinds: Any = Field(default_factory=list, sa_type=JSON)
    secret: bytes = Field(sa_type=LargeBinary)
    secret_before: bytes | None = Field(default=None, sa_type=LargeBinary)
    secret_before_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    active: bool = True
    problem: str = Field(default="", sa_type=LocalizedTextColumn)
    """Why it was switched off."""
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class WebhookEvent(NumberedRow, table=True):
    """What happened, as it is sent: the body never changes."""

    public_id: str = Field(unique=True, max_length=40)
    """The ``webhook-id``."""
    kind: str = Field(max_length=32)
    body: str
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)


class WebhookDelivery(NumberedRow, table=True):
    """One event for one endpoint. ``due_at`` is the next attempt; None when there is none any more."""

    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id", name="uq_webhook_delivery_endpoint_event"),
        Index("ix_webhook_delivery_due", "endpoint_id", "due_at", "id", sqlite_where=_DUE, postgresql_where=_DUE),
    )

    endpoint_id: int = Field(foreign_key="webhook_endpoint.id", ondelete="CASCADE")
    event_id: int = Field(foreign_key="webhook_event.id", index=True, ondelete="CASCADE")
    due_at: datetime | None = Field(default_factory=now, sa_type=UtcDateTime)
    tries: int = 0
    first_try_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class WebhookAttempt(NumberedRow, table=True):
    """One try: what the endpoint answered, or what went wrong."""

    __table_args__ = (Index("ix_webhook_attempt_delivery", "delivery_id", "id"),)

    delivery_id: int = Field(foreign_key="webhook_delivery.id", ondelete="CASCADE")
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    status: int | None = None
    problem: str = Field(default="", max_length=300)
    milliseconds: int = 0
