"""Answers already given to a repeated request."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from tracker.models.rows import NumberedRow
from tracker.runtime.database import UtcDateTime, now


class IdempotencyKey(NumberedRow, table=True):
    """The answer to a POST that carried an ``Idempotency-Key``, written in the transaction of what it did; kept for a day."""

    __table_args__ = (UniqueConstraint("user_id", "key", name="uq_idempotency_key_user_key"),)

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    key: str = Field(max_length=255)
    path: str = Field(max_length=400)
    request_digest: str = Field(max_length=64)
    """Keyed digest of method, path and body: the same key with another request is a mistake of the caller."""
    status: int = 0
    body: str = ""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
