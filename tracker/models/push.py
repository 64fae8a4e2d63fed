"""Push: the browsers that are told of news while no page is open, and what is on its way to them."""

from datetime import datetime

from sqlalchemy import LargeBinary, UniqueConstraint
from sqlmodel import Field

from tracker.models.rows import NumberedRow, Row
from tracker.runtime.database import UtcDateTime, now


class PushKey(Row, table=True):
    """The one key pair with which this workspace names itself to push services (RFC 8292), made when it is first needed."""

    id: int = Field(default=1, primary_key=True)
    public: str = Field(max_length=100)
    """The point in base64url, as browsers want it."""
    secret: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class PushSubscription(NumberedRow, table=True):
    """One browser of one person. It ends with the sign-in that it was made in."""

    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    session_id: int = Field(foreign_key="user_session.id", index=True, ondelete="CASCADE")
    endpoint_digest: str = Field(unique=True, max_length=64)
    sealed: bytes = Field(sa_type=LargeBinary)
    """Address and keys of the browser: whoever has them can write to it."""
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class PushDelivery(NumberedRow, table=True):
    """A bell line on its way to one browser; gone once it was handed over, or when nobody needs to hear of it any more. News of the
    same line makes a new row in its place."""

    __table_args__ = (
        UniqueConstraint("subscription_id", "notification_id", name="uq_push_delivery_subscription_notification"),
    )

    subscription_id: int = Field(foreign_key="push_subscription.id", ondelete="CASCADE")
    notification_id: int = Field(foreign_key="notification.id", index=True, ondelete="CASCADE")
    due_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
    tries: int = 0
