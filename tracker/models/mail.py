"""Outgoing mail: accounts, templates, messages, one delivery per recipient, tracked links."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field

from tracker.models.rows import NumberedRow, PublicRow, Row
from tracker.runtime.database import LocalizedTextColumn, UtcDateTime, now

NOT_SENT = text("message.state <> 'sent'")
"""As a query says it, too: SQLite uses a partial index for the very same words."""
_REMINDED = text("follow_up_at IS NOT NULL")
_FOLLOW_UP_DUE = text("follow_up_due_at IS NOT NULL")
_ACTIVE = text("last_activity_at IS NOT NULL")
_WANTS_COPY = text("sent_copy = 'wanted'")
_BOUNCED = text("bounces > 0")
IS_UNKNOWABLE = text(
    "opens_rule IN ('text_only', 'group_too_large', 'host_unhealthy', 'rewriting_failed', 'protected', 'signed_already')"
)
"""Left unmeasured for what the copy is, not for what anybody wished."""
_REFUSED = text("status = 'rejected'")
_WAITS = text("next_try_at IS NOT NULL")


class Account(PublicRow, table=True):
    """A salesperson's sending identity: address, SMTP submission, and IMAP for the clean copy in Sent."""

    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    name: str = Field(default="", max_length=200)
    address: str = Field(max_length=254)
    preset: str = Field(default="other", max_length=32)
    smtp_host: str = Field(max_length=255)
    smtp_port: int
    smtp_security: str = Field(max_length=8)
    smtp_login: str = Field(default="", max_length=254)
    smtp_secret: bytes | None = Field(default=None, sa_type=LargeBinary)
    imap_host: str | None = Field(default=None, max_length=255)
    imap_port: int | None = None
    imap_security: str | None = Field(default=None, max_length=8)
    imap_login: str | None = Field(default=None, max_length=254)
    imap_secret: bytes | None = Field(default=None, sa_type=LargeBinary)
    oauth_grant_id: int | None = Field(default=None, foreign_key="oauth_grant.id", index=True, ondelete="SET NULL")
    """Signed in at the provider instead of with passwords, on both servers."""
    measure_opens: bool = True
    measure_clicks: bool = True
    """Whether mail from this account may be measured at all, whatever its messages ask for."""
    sent_folder: str | None = Field(default=None, max_length=255)
    files_own_copy: bool = False
    """The provider files a copy of what was submitted (Gmail, Microsoft 365), so we append none."""
    replaces_copy: bool = False
    """The copy that the provider files is replaced by the clean one."""
    per_minute: int | None = None
    per_day: int | None = None
    """How many copies may leave; None is what the service takes, 0 no limit."""
    paused_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    pause_reason: str | None = Field(default=None, sa_type=LocalizedTextColumn)
    """Since one of these limits is spent no copy of it is due until then, whatever its own time."""
    confirmed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state: str = Field(default="unchecked", max_length=16)
    state_detail: str = Field(default="", sa_type=LocalizedTextColumn)
    checked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    signature: str = ""
    """HTML; empty means the person's own."""
    sent_read_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When its Sent folder is looked at next, for answers that were written in another mail program; None for at once."""
    sent_uidvalidity: int | None = Field(default=None, sa_type=BigInteger)
    sent_uid: int | None = Field(default=None, sa_type=BigInteger)
    """The newest message of that folder that was looked at."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class MessageState(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    CANCELLED = "cancelled"


_COUNTED = (*("state", "sent_at", "opens_tracked", "clicks_tracked", "opens", "clicks", "machine", "replies"),)
"""What the figures above the list count: read from the index of the list, without the messages."""


class Message(PublicRow, table=True):
    """One outgoing message, whatever the number of recipients. Counters are recomputed from verdicts, never incremented."""

    __table_args__ = (
        Index("ix_message_user_list", "user_id", "listed_at", "id", *_COUNTED),
        Index("ix_message_account_list", "account_id", "listed_at", "id"),
        Index(
            "ix_message_due", "user_id", "listed_at", "id", sqlite_where=_FOLLOW_UP_DUE, postgresql_where=_FOLLOW_UP_DUE
        ),
        Index("ix_message_bounced", "user_id", "listed_at", "id", sqlite_where=_BOUNCED, postgresql_where=_BOUNCED),
        Index("ix_message_message_id", "message_id"),
        Index(
            "ix_message_unsent",
            *("user_id", "state", "listed_at", "id"),
            sqlite_where=NOT_SENT,
            postgresql_where=NOT_SENT,
        ),
        Index("ix_message_thread", "user_id", "thread"),
        Index("ix_message_follow_up", "follow_up_at", sqlite_where=_REMINDED, postgresql_where=_REMINDED),
        Index(
            "ix_message_follow_up_due",
            "user_id",
            "follow_up_due_at",
            sqlite_where=_FOLLOW_UP_DUE,
            postgresql_where=_FOLLOW_UP_DUE,
        ),
        Index("ix_message_activity", "user_id", "last_activity_at", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
        Index("ix_message_sent_copy", "sent_copy_at", sqlite_where=_WANTS_COPY, postgresql_where=_WANTS_COPY),
        Index(
            "ix_message_account_sent_copy",
            "account_id",
            "sent_copy_at",
            sqlite_where=_WANTS_COPY,
            postgresql_where=_WANTS_COPY,
        ),
    )

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    account_id: int | None = Field(default=None, foreign_key="account.id", ondelete="SET NULL")
    message_id: str = Field(max_length=255)
    """RFC 5322 section 3.6.4, with its angle brackets; the same in every copy."""
    from_address: str = Field(default="", max_length=254)
    from_name: str = Field(default="", max_length=200)
    subject: str = ""
    snippet: str = Field(default="", max_length=300)
    state: str = Field(default=MessageState.DRAFT, max_length=12)
    track_opens: bool = False
    track_links: bool = False
    template_id: int | None = Field(default=None, foreign_key="message_template.id", index=True, ondelete="SET NULL")
    in_reply_to: str | None = Field(default=None, max_length=255)
    thread: str = Field(default="", max_length=255)
    follow_up_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    follow_up_due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Since when it is to be followed up: until there is a reply, another message in its thread, or its sender is done with it."""
    handled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When its sender was done with what had gone wrong with it."""
    muted: bool = False
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    send_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    listed_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    """When it is (or will be) sent, else when it was last changed: the order of the list."""
    names: str = Field(default="", max_length=300)
    """Recipients as the list shows them."""
    has_attachments: bool = False
    opens_tracked: int = 0
    clicks_tracked: int = 0
    """Deliveries that carry the pixel; deliveries that carry tracked links."""
    opens: int = 0
    clicks: int = 0
    machine: int = 0
    replies: int = 0
    bounces: int = 0
    first_opened_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_activity_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    personal_link: str = Field(default="", max_length=4)
    """``ask`` or ``own``: each copy gets its recipient's own link at hand-over, and nothing else ever holds it."""
    note: str = ""
    """What went otherwise than asked, as a code with a sentence behind it (untracked as a whole, rewriting failed …)."""
    sent_copy: str = Field(default="none", max_length=12)
    """none, later (once it is sent), wanted, done, provider, failed"""
    sent_copy_detail: str = Field(default="", sa_type=LocalizedTextColumn)
    sent_copy_tries: int = 0
    sent_copy_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    html_bytes_before: int | None = None
    html_bytes_after: int | None = None
    """Of HTML that is long as sent: as written, and as sent."""


class MessageBody(Row, table=True):
    """What was written, apart from the row so that lists stay quick. ``raw`` is the clean message as it goes to Sent."""

    message_id: int = Field(primary_key=True, foreign_key="message.id", ondelete="CASCADE")
    html: str | None = None
    text: str | None = None
    raw: bytes | None = Field(default=None, sa_type=LargeBinary)
    recipients: str = ""
    """A draft's To, Cc and Bcc as typed (JSON)."""


class Attachment(PublicRow, table=True):
    """A file of a draft; once sent, it is inside ``MessageBody.raw``."""

    message_id: int = Field(foreign_key="message.id", index=True, ondelete="CASCADE")
    filename: str = Field(max_length=255)
    content_type: str = Field(max_length=127)
    size: int
    content: bytes = Field(sa_type=LargeBinary)
    cid: str | None = Field(default=None, max_length=80)
    """Content-ID of a picture inside the text (RFC 2392); None for what is attached."""


class DeliveryStatus(StrEnum):
    QUEUED = "queued"
    DEFERRED = "deferred"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class Delivery(PublicRow, table=True):
    """One recipient's copy; carries the frozen policy. ``public_id`` is what its tokens state."""

    __table_args__ = (
        UniqueConstraint("message_id", "position", name="uq_delivery_message_position"),
        Index("ix_delivery_due", "next_try_at", sqlite_where=_WAITS, postgresql_where=_WAITS),
        Index(
            "ix_delivery_account_due", "account_id", "next_try_at", "id", sqlite_where=_WAITS, postgresql_where=_WAITS
        ),
        Index("ix_delivery_account_accepted", "account_id", "accepted_at"),
        Index("ix_delivery_accepted", "accepted_at"),
        Index("ix_delivery_refused", "message_id", sqlite_where=_REFUSED, postgresql_where=_REFUSED),
        Index("ix_delivery_unknowable", "message_id", sqlite_where=IS_UNKNOWABLE, postgresql_where=IS_UNKNOWABLE),
    )

    message_id: int = Field(foreign_key="message.id", ondelete="CASCADE")
    recipient_id: int = Field(foreign_key="recipient.id", index=True)
    account_id: int | None = None
    """The account of its message, beside it so that what an account has sent and has to send is counted by an index."""
    position: int
    role: str = Field(max_length=3)
    address: str = Field(max_length=254)
    name: str = Field(default="", max_length=200)
    opens_on: bool = False
    opens_rule: str = Field(default="", max_length=40)
    clicks_on: bool = False
    clicks_rule: str = Field(default="", max_length=40)
    pack_version: str = Field(default="", max_length=32)
    """The version of the country's rules that was looked at; frozen with the two rules above."""
    frozen: bool = False
    """Its recipient wants nothing of it shown or counted: see :attr:`tracker.models.people.Recipient.restricted_at`."""
    mx_family: str | None = Field(default=None, max_length=32)
    status: str = Field(default=DeliveryStatus.QUEUED, max_length=10)
    tries: int = 0
    next_try_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    reply: str = Field(default="", sa_type=LocalizedTextColumn)
    """The server's last words about this recipient."""
    handled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the sender was done with what this recipient had done with it; what comes later is new."""
    accepted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    rejected_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    first_opened_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_opened_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    first_clicked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_clicked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    opens: int = 0
    clicks: int = 0
    machine: int = 0


class DomainProfile(Row, table=True):
    """Where a recipient's domain gets its mail. No person is in it."""

    domain: str = Field(primary_key=True, max_length=253)
    """A-labels in lower case."""
    mx_family: str | None = Field(default=None, max_length=32)
    """A family of :mod:`tracker.mail.mail_providers`; None when it is none we know, or nothing was found."""
    host: str = Field(default="", max_length=255)
    """The preferred mail exchanger; empty when there is none."""
    problem: str = Field(default="", max_length=80)
    """Why nothing is known, if so."""
    tries: int = 0
    """Look-ups in a row that had no answer."""
    looked_up_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the last answer came, be it that there is nothing."""
    due_at: datetime | None = Field(default_factory=now, sa_type=UtcDateTime, index=True)
    """When it is to be looked up (again); None while what is known is fresh or nobody asks."""


class TrackedLink(NumberedRow, table=True):
    """A link of a message, tracked or left alone with the reason."""

    __table_args__ = (UniqueConstraint("message_id", "position", name="uq_tracked_link_message_position"),)

    message_id: int = Field(foreign_key="message.id", ondelete="CASCADE")
    position: int
    url: str
    text: str = ""
    tracked: bool = False
    reason: str | None = Field(default=None, max_length=40)
    clicks: int = 0


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
