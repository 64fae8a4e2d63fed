"""What is done once in its period."""

from datetime import datetime

from sqlmodel import Field

from tracker.models.rows import Row
from tracker.runtime.database import UtcDateTime


class Job(Row, table=True):
    """A task that is done once in its period, however many workers there are: whoever moves ``due_at`` on does it."""

    name: str = Field(primary_key=True, max_length=64)
    due_at: datetime = Field(sa_type=UtcDateTime)
