"""What happened to a delivery: events, their verdicts, the evidence behind them, and the bell."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field

from tracker.models.rows import NumberedRow, PublicRow, Row
from tracker.runtime.database import LocalizedTextColumn, UtcDateTime, now

_WAITING = text("settle_at IS NOT NULL")
_WANTED = text("look_up_since IS NOT NULL")
_HAS_SOURCE = text("source IS NOT NULL")
_UNREAD = text("read_at IS NULL")
IS_PREFETCH = text("klass = 'privacy_prefetch'")


class Event(PublicRow, table=True):
    """A judged fact about a delivery. Class, confidence and reasons repeat the newest verdict."""

    __table_args__ = (
        UniqueConstraint("edge", "hit", name="uq_event_edge_hit"),
        Index("ix_event_message_at", "message_id", "at"),
        Index("ix_event_delivery_at", "delivery_id", "at"),
        Index("ix_event_settle", "settle_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_event_detail", "summed", "at"),
        Index("ix_event_prefetch", "message_id", sqlite_where=IS_PREFETCH, postgresql_where=IS_PREFETCH),
    )

    message_id: int = Field(foreign_key="message.id", ondelete="CASCADE")
    delivery_id: int | None = Field(default=None, foreign_key="delivery.id", ondelete="CASCADE")
    kind: str = Field(max_length=12)
    """open, click, reply, auto_reply, reaction, bounce, complaint, unsubscribe"""
    at: datetime = Field(sa_type=UtcDateTime)
    link: int | None = None
    edge: str | None = Field(default=None, max_length=64)
    hit: int | None = Field(default=None, sa_type=BigInteger)
    """Which edge saw it and under which number: a hit is taken in once, however often it is drained."""
    klass: str = Field(max_length=20)
    confidence: float
    reasons: Any = Field(default=None, sa_type=JSON)
    vendor: str | None = Field(default=None, max_length=40)
    client: str = Field(default="", max_length=80)
    merged: bool = False
    """Repeats an event just before it (same link or pixel, same source): kept, but neither shown nor counted."""
    counted: bool = False
    """A person did this: the newest verdict may ring, and it is no repeat. Counters are sums of this."""
    overruled: bool = False
    """A user has said who it was; rules do not touch it again."""
    summed: int = 0
    """0 as it happened; 1 only its day and link are left; 2 only that it happened: see :mod:`tracker.privacy.retention`."""
    settle_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When its verdict is final enough to ring; None once that was done."""
    alerted: bool = False


class Verdict(NumberedRow, table=True):
    """One judgement of one event. Append-only; the newest counts."""

    __table_args__ = (UniqueConstraint("event_id", "version", name="uq_verdict_event_version"),)

    event_id: int = Field(foreign_key="event.id", ondelete="CASCADE")
    version: int
    klass: str = Field(max_length=20)
    confidence: float
    reasons: Any = Field(default=None, sa_type=JSON)
    rule_set: str = Field(max_length=100)
    decided_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    decided_by: int | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")
    trigger: str | None = Field(default=None, max_length=16)
    """Public id of the event whose hit showed it, where another one did."""


class HitEvidence(Row, table=True):
    """Address and headers of a hit, encrypted, kept for days and only to judge again."""

    __table_args__ = (
        Index("ix_hit_evidence_source_at", "source", "at"),
        Index("ix_hit_evidence_at", "at", sqlite_where=_HAS_SOURCE, postgresql_where=_HAS_SOURCE),
        Index("ix_hit_evidence_look_up", "look_up_since", sqlite_where=_WANTED, postgresql_where=_WANTED),
    )

    event_id: int = Field(primary_key=True, foreign_key="event.id", ondelete="CASCADE")
    at: datetime = Field(sa_type=UtcDateTime)
    sealed: bytes = Field(sa_type=LargeBinary)
    source: str | None = Field(default=None, max_length=32)
    """Keyed digest of the network it came from, another key every day; taken away after 24 hours."""
    crowd: Any = Field(default=None, sa_type=JSON(none_as_null=True), nullable=True)
    """What its address did with other recipients' mail: how many of them, in how many seconds, shown by which event."""
    look_up_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Since when a look-up of its address is wanted; None when there is nothing (more) to look up."""
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class ScannerNetwork(Row, table=True):
    """A network whose hits were proven to be checks, known only by a keyed digest. After three messages it is believed."""

    digest: str = Field(primary_key=True, max_length=32)
    first_at: datetime = Field(sa_type=UtcDateTime)
    person_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """A person was seen there: it is never believed to be a scanner."""
    checked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the evidence still held was searched for people from there; before that it is not believed."""
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class ScannerProof(Row, table=True):
    """One message on which a network was proven to be a scanner. Proofs grow old: what is believed decays with them."""

    network: str = Field(primary_key=True, max_length=32, foreign_key="scanner_network.digest", ondelete="CASCADE")
    message_id: int = Field(primary_key=True, foreign_key="message.id", ondelete="CASCADE", index=True)
    code: str = Field(max_length=40)
    at: datetime = Field(sa_type=UtcDateTime, index=True)


class DrainCursor(Row, table=True):
    """How far each edge has been read."""

    edge: str = Field(primary_key=True, max_length=64)
    after: int = Field(default=0, sa_type=BigInteger)
    read_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DrainBacklog(NumberedRow, table=True):
    """A stretch of a spool that waits while what came later goes first: hits above ``after``, up to ``until``."""

    __table_args__ = (Index("ix_drain_backlog_edge_after", "edge", "after"),)

    edge: str = Field(max_length=64)
    after: int = Field(sa_type=BigInteger)
    until: int = Field(sa_type=BigInteger)


class QuarantinedHit(NumberedRow, table=True):
    """A hit that could not be taken in: set aside, encrypted, so that the line goes on and nothing is lost."""

    __tablename__ = "hit_aside"
    __table_args__ = (UniqueConstraint("edge", "hit"),)

    edge: str = Field(max_length=64)
    hit: int = Field(sa_type=BigInteger)
    sealed: bytes = Field(sa_type=LargeBinary)
    problem: str = ""
    tries: int = 1
    try_at: datetime = Field(sa_type=UtcDateTime, index=True)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class Notification(PublicRow, table=True):
    """One bell line for one person about one delivery (or message), with a counter."""

    __table_args__ = (
        UniqueConstraint("user_id", "subject", name="uq_notification_user_subject"),
        Index("ix_notification_user_at", "user_id", "at"),
        Index("ix_notification_unread", "user_id", "at", "id", sqlite_where=_UNREAD, postgresql_where=_UNREAD),
    )

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    subject: str = Field(max_length=64)
    """What the line is about, such as ``delivery:17``."""
    message_id: int | None = Field(default=None, foreign_key="message.id", index=True, ondelete="CASCADE")
    delivery_id: int | None = Field(default=None, foreign_key="delivery.id", index=True, ondelete="CASCADE")
    kind: str = Field(max_length=24)
    """open, click, corrected; reply, answered, bounce, rejected, follow_up; enquiry, letter, customer_assigned, enquiry_assigned,
    enquiry_due; withdrawal; mailbox, problem"""
    count: int = 1
    opens: int = 0
    clicks: int = 0
    client: str = Field(default="", max_length=80)
    detail: str = Field(default="", sa_type=LocalizedTextColumn)
    news: str = Field(default="", max_length=16)
    """What was told last about mail: first_open, opened_again, interest, click; empty for other kinds."""
    told: Any = Field(default=None, sa_type=JSON(none_as_null=True), nullable=True)
    """When each kind of news was told last, in ISO 8601."""
    machine: str = Field(default="", max_length=20)
    vendor: str = Field(default="", max_length=80)
    """Who it was instead of the person: a class, or ``user`` for the person's own word, and whose machine."""
    held_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """The end of the quiet hours it came in: before that it neither rings nor counts as unread."""
    first_at: datetime = Field(sa_type=UtcDateTime)
    at: datetime = Field(sa_type=UtcDateTime)
    read_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FeedItem(NumberedRow, table=True):
    """A hint to a person's open pages that something changed; kept for a day so that a browser can resume."""

    __table_args__ = (Index("ix_feed_item_user_id", "user_id", "id"),)

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    kind: str = Field(max_length=16)
    """notification, message, letter"""
    subject: str = Field(max_length=16)
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)


class HostHealth(Row, table=True):
    """What the last look at the tracking host found; one row."""

    id: int = Field(default=1, primary_key=True)
    url: str = ""
    healthy: bool = True
    failures: int = 0
    """Bad answers in a row."""
    problem: str = Field(default="", sa_type=LocalizedTextColumn)
    checked_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    since: datetime = Field(default_factory=now, sa_type=UtcDateTime)
