"""What takes effect once: a request that is repeated, a mail that is submitted again, a task in its period."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from tracker.models.rows import NumberedRow, Row
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


class Submission(NumberedRow, table=True):
    """What a mail program has submitted and which message it has become, written in the transaction of the message; kept a day."""

    __table_args__ = (UniqueConstraint("user_id", "mark", name="uq_submission_user_mark"),)

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    mark: str = Field(max_length=64)
    """Keyed digest of content and recipients."""
    message_id: int | None = Field(default=None, foreign_key="message.id", index=True, ondelete="CASCADE")
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)


class Job(Row, table=True):
    """A task that is done once in its period, however many workers there are: whoever moves ``due_at`` on does it."""

    name: str = Field(primary_key=True, max_length=64)
    due_at: datetime = Field(sa_type=UtcDateTime)
