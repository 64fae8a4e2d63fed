"""Submissions of mail programs, so that a second try is known."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from tracker.models.rows import NumberedRow
from tracker.runtime.database import UtcDateTime, now


class Submission(NumberedRow, table=True):
    """What a mail program has submitted and which message it has become, written in the transaction of the message; kept a day."""

    __table_args__ = (UniqueConstraint("user_id", "mark", name="uq_submission_user_mark"),)

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    mark: str = Field(max_length=64)
    """Keyed digest of content and recipients."""
    message_id: int | None = Field(default=None, foreign_key="message.id", index=True, ondelete="CASCADE")
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
