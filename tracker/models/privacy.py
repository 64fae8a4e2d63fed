"""What is kept about rights: pauses until a reply is understood, receipts of erasures, and who has seen whose tracking data."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Index, UniqueConstraint, text
from sqlmodel import Field

from tracker.models.rows import NumberedRow, PublicRow
from tracker.runtime.database import UtcDateTime, now

_OPEN = text("decided_at IS NULL")


class TrackingPause(PublicRow, table=True):
    """Words of a letter that ask not to be tracked, and what the person who got them has decided. Nobody else sees the words.

    While one is open, :attr:`tracker.models.people.Recipient.paused_at` is set. Written by
    :mod:`tracker.consent.pending_opt_outs` alone.
    """

    __table_args__ = (
        UniqueConstraint("user_id", "recipient_id", "content_hash", name="uq_tracking_pause_letter"),
        Index(
            "uq_tracking_pause_open",
            "recipient_id",
            "user_id",
            unique=True,
            sqlite_where=_OPEN,
            postgresql_where=_OPEN,
        ),
        Index("ix_tracking_pause_due", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    recipient_id: int = Field(foreign_key="recipient.id")
    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    """Whose letter it is: they decide."""
    letter_id: int | None = Field(default=None, foreign_key="letter.id", index=True, ondelete="SET NULL")
    content_hash: str = Field(max_length=64)
    """Of the letter: a copy of it in another mailbox asks nothing new."""
    words: str = ""
    said_at: datetime = Field(sa_type=UtcDateTime)
    began_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    due_at: datetime = Field(sa_type=UtcDateTime)
    """Until when it should be decided; then the person is told again, and the pause stays."""
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decision: str = Field(default="", max_length=12)
    """withdrawn, continued"""


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
