"""What is kept about rights: receipts of erasures, and who has seen whose tracking data."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Index, UniqueConstraint
from sqlmodel import Field

from tracker.models.rows import NumberedRow, PublicRow
from tracker.runtime.database import UtcDateTime, now


class Erasure(PublicRow, table=True):
    """The receipt of one erasure. It tells nothing about the person but the digest by which the address is known when met again."""

    digest: str = Field(index=True, max_length=64)
    """As :meth:`tracker.runtime.keyring.Keyring.suppressions` makes it."""
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    actor: str = Field(max_length=64)
    """``subject``, ``user:<id>``, ``api:<id>``, ``system`` or ``replay``."""
    text: str = Field(default="delete", max_length=8)
    """What became of the messages written to the person: delete, keep."""
    done: Any = Field(default_factory=dict, sa_type=JSON)
    """How many rows of which table were deleted or blanked."""


class TrackingView(NumberedRow, table=True):
    """Somebody of ours has looked at somebody's tracking data on that day."""

    __table_args__ = (
        UniqueConstraint("user_id", "recipient_id", "what", "day", name="uq_tracking_view"),
        Index("ix_tracking_view_recipient", "recipient_id", "day"),
        Index("ix_tracking_view_day", "day"),
    )

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    recipient_id: int = Field(foreign_key="recipient.id", ondelete="CASCADE")
    what: str = Field(max_length=12)
    """message, recipient, export"""
    day: date
