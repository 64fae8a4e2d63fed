"""Templates of messages: written once, sent again and again, each with its own figures."""

from datetime import datetime

from sqlmodel import Field

from tracker.models.rows import PublicRow
from tracker.runtime.database import UtcDateTime, now


class Template(PublicRow, table=True):
    """A message to begin with. Its owner changes it; with ``shared`` everybody may use it, each with figures of their own."""

    __tablename__ = "message_template"

    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    name: str = Field(max_length=100)
    subject: str = Field(default="", max_length=500)
    html: str = ""
    shared: bool = False
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    changed_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
