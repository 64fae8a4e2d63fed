"""Sign-ins at mail providers: what a person granted us, and grants on their way."""

from datetime import datetime

from sqlalchemy import LargeBinary, UniqueConstraint
from sqlmodel import Field

from tracker.models.rows import PublicRow, Row
from tracker.runtime.database import LocalizedTextColumn, UtcDateTime, now


class OAuthGrant(PublicRow, table=True):
    """One person's leave to use one mailbox of a provider, for sending as for receiving. Both tokens are sealed for this record."""

    __tablename__ = "oauth_grant"
    __table_args__ = (UniqueConstraint("user_id", "provider", "address", name="uq_oauth_grant_user_provider_address"),)

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    provider: str = Field(max_length=16)
    address: str = Field(max_length=254)
    """Whose mailbox it is, as the provider says: the login at its mail servers."""
    refresh_token: bytes | None = Field(default=None, sa_type=LargeBinary)
    access_token: bytes | None = Field(default=None, sa_type=LargeBinary)
    access_expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state: str = Field(default="works", max_length=16)
    """works, or needs_sign_in when the provider takes the refresh token no more"""
    detail: str = Field(default="", sa_type=LocalizedTextColumn)
    granted_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class OAuthAttempt(Row, table=True):
    """A person went to the provider and has not come back yet. Good once, on the same visit, for some minutes."""

    __tablename__ = "oauth_attempt"

    state_digest: str = Field(primary_key=True, max_length=64)
    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE", index=True)
    visit_digest: str = Field(max_length=64)
    provider: str = Field(max_length=16)
    verifier: bytes = Field(sa_type=LargeBinary)
    purpose: str = Field(max_length=16)
    """What the grant is for, and of what: ``account`` and its public id, empty for a new one."""
    subject: str = Field(default="", max_length=16)
    expires_at: datetime = Field(sa_type=UtcDateTime)
