"""What runs: the processes that work, what each of them holds, and what is done once in its period."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger
from sqlmodel import Field, SQLModel

from tracker.db import UtcDateTime, now


class Lease(SQLModel, table=True):
    """A process works at a subject until a moment, and nobody else does: see :mod:`tracker.lease`."""

    kind: str = Field(primary_key=True, max_length=32)
    """What is done with the subject, such as ``delivery``."""
    subject: str = Field(primary_key=True, max_length=255)
    token: str = Field(max_length=16)
    """Of the holder, another one for every claim."""
    process: str = Field(max_length=16, index=True)
    until: datetime = Field(sa_type=UtcDateTime)


class Process(SQLModel, table=True):
    """A process that works, and when it last said that it lives."""

    id: str = Field(primary_key=True, max_length=16)
    place: str = Field(max_length=100)
    """The space that its number belongs to: boot and process namespace of a machine; empty where that is not known."""
    number: int
    """As the system numbers processes."""
    started: int = Field(sa_type=BigInteger)
    """The system's own note of its start, since numbers are given again."""
    started_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    tasks: Any = Field(default_factory=dict, sa_type=JSON)
    """What each of its tasks last failed with, by name; empty for those that work."""


class Job(SQLModel, table=True):
    """A task that is done once in its period, however many workers there are: whoever moves ``due_at`` on does it."""

    name: str = Field(primary_key=True, max_length=64)
    due_at: datetime = Field(sa_type=UtcDateTime)
