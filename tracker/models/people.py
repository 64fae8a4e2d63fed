"""People: those who sell, those we write to, and what these agreed to."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, UniqueConstraint, false, text
from sqlmodel import Field

from tracker.models.rows import NumberedRow, PublicRow, Row
from tracker.runtime.database import UtcDateTime, now

_ERASED = text("erased_at IS NOT NULL")
_PLACED = text("address_digest IS NOT NULL")
_HAS_WORDS = text("salt IS NOT NULL")


GENESIS = "0" * 64
"""What the first entry of a ledger has before it."""


class Role(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"


class User(PublicRow, table=True):
    """A person who sells. ``email`` is in look-up form."""

    __tablename__ = "user_account"

    email: str = Field(unique=True, max_length=254)
    name: str = Field(max_length=200)
    role: str = Field(default=Role.MEMBER, max_length=16)
    password_hash: str | None = Field(default=None, max_length=200)
    active: bool = True
    locale: str = Field(default="en", max_length=8)
    timezone: str = Field(default="UTC", max_length=64)
    theme: str = Field(default="auto", max_length=8)
    editor: str = Field(default="rich", max_length=8, sa_column_kwargs={"server_default": "rich"})
    """``rich`` or ``plain``: what a message is written in."""
    status: str = Field(default="free", max_length=8)
    track_opens: bool = True
    track_links: bool = True
    undo_seconds: int = 5
    in_team_totals: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Their mail counts in the totals of the team, and they see them, while the workspace allows it."""
    signature: str = ""
    quiet_kinds: Any = Field(default_factory=list, sa_type=JSON)
    """What only counts for this person and never rings: kinds of :data:`tracker.notifications.rules.KINDS`."""
    quiet_from: int | None = None
    quiet_until: int | None = None
    """Quiet hours in the person's zone, as minutes after midnight; None for none."""
    quiet_ends_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the lines held back tonight are told of; None when there are none."""
    digest_hour: int | None = None
    """The hour of the daily digest in the person's zone; None for no digest."""
    digest_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    digest_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the next digest is due, and from when on it tells."""
    first_view_id: int | None = None
    """The :class:`SavedView` that this person begins with; None for Today."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class SavedView(PublicRow, table=True):
    """A filter of a list that a person gave a name."""

    __table_args__ = (UniqueConstraint("user_id", "list", "name", name="uq_saved_view_user_list_name"),)

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    list: str = Field(max_length=16)
    """``mail`` or ``enquiries``: where the list is."""
    name: str = Field(max_length=60)
    query: str = Field(max_length=2000)
    """As the address bar has it, without the question mark; always in the same order."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class UserSession(NumberedRow, table=True):
    """A sign-in on one browser. The cookie holds the token, we hold its digest."""

    __table_args__ = (Index("ix_user_session_seen", "seen_at", sqlite_where=_PLACED, postgresql_where=_PLACED),)

    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    token_digest: str = Field(unique=True, max_length=64)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    seen_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    address_digest: str | None = Field(default=None, max_length=32)
    """Keyed digest of the network it was seen from last: the sender's own opens come from there. Gone after a day."""


class ApiToken(PublicRow, table=True):
    """A token for the API and the gateway; shown once, kept as a digest."""

    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    name: str = Field(max_length=100)
    token_digest: str = Field(unique=True, max_length=64)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Preference(Row, table=True):
    """One preference of the workspace, by name. The value is any JSON."""

    name: str = Field(primary_key=True, max_length=64)
    value: Any = Field(default=None, sa_type=JSON)
    changed_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    changed_by: int | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")


class PolicyChange(NumberedRow, table=True):
    """One change of the rules of consent: which, from what to what, by whom and why. Never changed, never thrown away."""

    at: datetime = Field(default_factory=now, sa_type=UtcDateTime, index=True)
    name: str = Field(max_length=64)
    """The preference that was changed."""
    before: Any = Field(default=None, sa_type=JSON)
    after: Any = Field(default=None, sa_type=JSON)
    reason: str = ""
    changed_by: int | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")
    """None for the operator on the command line."""


class Recipient(PublicRow, table=True):
    """A person's address that we send to. ``lookup`` (look-up form) says who it is, ``address`` how it was written first."""

    __table_args__ = (Index("ix_recipient_erased", "erased_at", sqlite_where=_ERASED, postgresql_where=_ERASED),)

    address: str = Field(max_length=254)
    lookup: str = Field(unique=True, max_length=254)
    name: str = Field(default="", max_length=200)
    company: str = Field(default="", max_length=200)
    """As a sender typed it for a placeholder."""
    jurisdiction: str | None = Field(default=None, max_length=8)
    """As somebody declared it; it goes before :attr:`country`."""
    country: str | None = Field(default=None, max_length=8)
    """As the customer records have it."""
    never_track: bool = False
    paused_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Asked in a reply not to be tracked, and nobody has decided yet: see :mod:`tracker.consent.pending_opt_outs`."""
    ledger_entries: int = 0
    ledger_digest: str = Field(default=GENESIS, max_length=64)
    """Where this person's ledger ends: so that nobody can cut off its last entries unseen."""
    restricted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Frozen at the person's wish: nothing new is kept, and what is held is neither shown nor counted."""
    erased_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Then ``address`` and ``lookup`` are the suppression digest, and the ledger tells of nobody."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class NoticeText(Row, table=True):
    """A text that people were shown when they were asked, once for all of them. No person is in it."""

    digest: str = Field(primary_key=True, max_length=64)
    """SHA-256 of ``text`` as UTF-8."""
    text: str
    kept_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class ConsentEntry(PublicRow, table=True):
    """One consent event of one recipient and purpose. Append-only: the newest entry is the state; nothing is ever updated.

    ``digest`` chains the entries of a recipient (:mod:`tracker.consent.rules.proof`). Only erasure changes a row: it blanks
    what stands below ``note`` together with ``salt``, and the digest still fits. Written by :mod:`tracker.consent.ledger` alone.
    """

    __table_args__ = (
        UniqueConstraint("recipient_id", "number", name="uq_consent_entry_recipient_number"),
        Index("ix_consent_entry_recipient_purpose", "recipient_id", "purpose", "number"),
        Index("ix_consent_entry_words", "at", sqlite_where=_HAS_WORDS, postgresql_where=_HAS_WORDS),
    )

    recipient_id: int = Field(foreign_key="recipient.id")
    number: int
    purpose: str = Field(max_length=16)
    state: str = Field(max_length=16)
    at: datetime = Field(sa_type=UtcDateTime)
    recorded_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    actor: str = Field(max_length=64)
    """``subject``, ``user:<id>``, ``api:<id>``, ``import:<batch>`` or ``system``."""
    channel: str = Field(max_length=32)
    grade: str = Field(max_length=1)
    notice: str | None = Field(default=None, max_length=64)
    notice_version: str | None = Field(default=None, max_length=32)
    notice_language: str | None = Field(default=None, max_length=16)
    notice_digest: str | None = Field(default=None, max_length=64)
    """Of the text shown: :class:`NoticeText`."""
    double_opt_in: bool = False
    confirmed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    jurisdiction: str | None = Field(default=None, max_length=8)
    pack: str = Field(default="", max_length=8)
    pack_version: str = Field(default="", max_length=32)
    """The person's jurisdiction, the workspace's policy and the version of the rules, all as they were then."""
    valid_until: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    note: str = ""
    question: str = ""
    control: str = Field(default="", max_length=200)
    reference: str = Field(default="", max_length=200)
    source_url: str = ""
    request_message_id: str = Field(default="", max_length=255)
    attachment_digest: str = Field(default="", max_length=64)
    evidence: Any = Field(default=None, sa_type=JSON)
    salt: str | None = Field(default=None, max_length=32)
    proof_digest: str = Field(max_length=64)
    """Of what stands from ``note`` to ``evidence``, with the salt."""
    erased_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    previous_digest: str = Field(max_length=64)
    digest: str = Field(max_length=64)
