"""Websites whose addresses are swapped, and what became of it: blocks, rules, sources; visits; the source of each letter.

What was decided here:

* Sites, blocks, sources and rules belong to one person (``user_id``), as the mailboxes do that their letters come to.
* What refers to another thing of the same person names its public id in JSON: such lists are read whole and shown whole.
* A :class:`Visit` is one session of one visitor on one site. The visitor is a random text that only their browser knows.
* A :class:`SiteLease` says that an address was shown to a visitor in a session, from when until when it was theirs. Rows stay when
  rules go, so that a letter to an old address is still understood.
* A letter's attribution is decided once and kept (:class:`LetterSource`).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, UniqueConstraint, text
from sqlmodel import Field

from tracker.models.rows import NumberedRow, PublicRow, Row
from tracker.runtime.database import LocalizedTextColumn, UtcDateTime, now

_ACTIVE = text("state = 'active' AND removed_at IS NULL")
_PROBED = text("probe = 'sent'")


class Site(PublicRow, table=True):
    """A website. Its key is public: it stands in the script tag."""

    __table_args__ = (Index("ix_site_user", "user_id", "id"),)

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    key: str = Field(unique=True, max_length=64)
    name: str = Field(max_length=200)
    hosts: Any = Field(default_factory=list, sa_type=JSON)
    """Normalised host names; each stands for its sub-domains, too."""
    session_minutes: int = 30
    cookie_days: int = 400
    attribution: str = Field(default="last_non_direct", max_length=16)
    """last_non_direct, last"""
    consent_mode: bool = False
    """Nothing is stored or asked before the page says that the visitor agreed."""
    ignore_robots: bool = True
    ignored_referrers: Any = Field(default_factory=list, sa_type=JSON)
    """Hosts of payment and sign-in, beside those that everybody knows."""
    addresses: Any = Field(default_factory=list, sa_type=JSON)
    """Addresses that the snippet saw on the site's pages: ``[address, page]``, newest last."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    changed_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SiteBlock(PublicRow, table=True):
    """A place on the pages of some sites where an address stands."""

    __table_args__ = (Index("ix_site_block_user", "user_id", "id"),)

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    name: str = Field(max_length=200)
    sites: Any = Field(default_factory=list, sa_type=JSON)
    """Public ids."""
    selectors: Any = Field(default_factory=list, sa_type=JSON)
    """``{"attribute": email, id, class, name or selector, "value"}``"""
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the snippet found it on a page last."""
    views_since: int = 0
    """Page views of its sites since then."""
    is_error: bool = False
    """It has disappeared from the pages."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SiteSource(PublicRow, table=True):
    """A source of one's own: where a visit comes from, by conditions. The first that fits wins, in the order of ``position``."""

    __table_args__ = (Index("ix_site_source_user", "user_id", "position"),)

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    position: int
    name: str = Field(max_length=200)
    channel: str = Field(max_length=100)
    group: str = Field(default="", max_length=100)
    conditions: Any = Field(default=None, sa_type=JSON)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SiteRule(PublicRow, table=True):
    """What visitors of some sources see in some blocks. Of the active rules of a site the first that fits fires, alone."""

    __table_args__ = (
        Index("ix_site_rule_user", "user_id", "position"),
        Index("ix_site_rule_active", "user_id", "position", "id", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
        Index("ix_site_rule_probe", "probe_due_at", sqlite_where=_PROBED, postgresql_where=_PROBED),
    )

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    position: int
    name: str = Field(max_length=200)
    description: str = ""
    rule_type: str = Field(max_length=16)
    """site_emails, external_area"""
    tracking_type: str = Field(max_length=16)
    """static, dynamic"""
    traffic_type: str = Field(default="all", max_length=16)
    """all, custom_sources"""
    substitution_type: str | None = Field(default=None, max_length=16)
    """auto_generation, auto_short, manual_pool; None for static rules"""
    state: str = Field(default="draft", max_length=8)
    """active, draft"""
    sources: Any = Field(default_factory=list, sa_type=JSON)
    static_settings: Any = Field(default_factory=list, sa_type=JSON)
    external_settings: Any = Field(default_factory=list, sa_type=JSON)
    dynamic_settings: Any = Field(default_factory=list, sa_type=JSON)
    lease_minutes: int | None = None
    """How long an address stays with a visitor; None for the usual time of its kind."""
    rest_days: int = 7
    """How long an address of a pool rests before it goes to somebody else."""
    probe: str = Field(default="none", max_length=8)
    """none, sent, passed, failed, skipped"""
    probe_code: str = Field(default="", max_length=32)
    probe_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    probe_detail: str | None = Field(default=None, sa_type=LocalizedTextColumn)
    probe_due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When it is looked for next."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    changed_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SiteEdge(Row, table=True):
    """An edge that sites are published to, and the letter that its codes begin with."""

    name: str = Field(primary_key=True, max_length=64)
    letter: str = Field(unique=True, max_length=1)
    digest: str = Field(default="", max_length=64)
    """Of what it was told last."""
    published_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    problem: str = ""


class Visit(PublicRow, table=True):
    """One session of one visitor on one site."""

    __tablename__ = "site_visit"
    __table_args__ = (
        UniqueConstraint("site_id", "visitor", "session", name="uq_site_visit_session"),
        Index("ix_site_visit_list", "user_id", "began_at", "id"),
        Index("ix_site_visit_began", "began_at"),
        Index("ix_site_visit_rule", "rule_id", "began_at"),
        Index("ix_site_visit_visitor", "visitor", "began_at"),
    )

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    site_id: int = Field(foreign_key="site.id", ondelete="CASCADE")
    visitor: str = Field(max_length=64)
    session: str = Field(max_length=64)
    number: int = 1
    """Which of the visitor's sessions it is."""
    began_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    source: Any = Field(default_factory=dict, sa_type=JSON)
    """Where this session came from: id, name, channel, group."""
    attributed: Any = Field(default_factory=dict, sa_type=JSON)
    """What letters are attributed to: the same, or the last source that was not direct."""
    marks: Any = Field(default_factory=dict, sa_type=JSON)
    referrer: str = Field(default="", max_length=1024)
    phrase: str = Field(default="", max_length=300)
    entrance_page: str = Field(default="", max_length=1024)
    page: str = Field(default="", max_length=1024)
    """The last one."""
    pages: int = 0
    device: str = Field(default="", max_length=16)
    client: str = Field(default="", max_length=100)
    """The browser's name; its whole description is not kept."""
    screen: str = Field(default="", max_length=16)
    language: str = Field(default="", max_length=35)
    timezone: str = Field(default="", max_length=64)
    rule_id: int | None = Field(default=None, foreign_key="site_rule.id", ondelete="SET NULL")
    covered: bool = False
    """Whether every pool of the rule had an address for it."""
    approved: bool = False
    """Somebody moved, typed or clicked."""
    robot: bool = False
    """It is known to be none of a person: it is in no report."""


class PageView(NumberedRow, table=True):
    """One page of a visit. ``edge`` and ``hit`` say which line of which spool told of it."""

    __tablename__ = "site_page_view"
    __table_args__ = (
        UniqueConstraint("edge", "hit", name="uq_site_page_view_hit"),
        Index("ix_site_page_view_visit", "visit_id", "at"),
        Index("ix_site_page_view_at", "at"),
    )

    visit_id: int = Field(foreign_key="site_visit.id", ondelete="CASCADE")
    edge: str = Field(max_length=64)
    hit: int = Field(sa_type=BigInteger)
    at: datetime = Field(sa_type=UtcDateTime)
    page: str = Field(default="", max_length=1024)


class SiteLease(NumberedRow, table=True):
    """An address that was shown to a visitor in a session: from when, until when it is theirs."""

    __table_args__ = (
        UniqueConstraint("address", "visit_id", name="uq_site_lease_address_visit"),
        Index("ix_site_lease_address", "address", "shown_at"),
        Index("ix_site_lease_visit", "visit_id"),
        Index("ix_site_lease_until", "until"),
    )

    address: str = Field(max_length=254)
    """In look-up form."""
    code: str = Field(default="", max_length=64)
    """The tag behind the plus; empty for an address of a pool of one's own."""
    pool: str = Field(default="", max_length=64)
    block: str = Field(default="", max_length=16)
    visit_id: int = Field(foreign_key="site_visit.id", ondelete="CASCADE")
    rule_id: int | None = Field(default=None, foreign_key="site_rule.id", ondelete="SET NULL")
    shown_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    until: datetime = Field(sa_type=UtcDateTime)
    intent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the visitor clicked or copied it."""


class LetterSource(Row, table=True):
    """Where a letter comes from, decided once."""

    __table_args__ = (
        Index("ix_letter_source_visit", "visit_id"),
        Index("ix_letter_source_address", "address"),
        Index("ix_letter_source_sender", "user_id", "sender", "received_at"),
        Index("ix_letter_source_method", "user_id", "method", "received_at"),
    )

    letter_id: int = Field(primary_key=True, foreign_key="letter.id", ondelete="CASCADE")
    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    sender: str = Field(default="", max_length=254)
    received_at: datetime = Field(sa_type=UtcDateTime)
    method: str = Field(max_length=16)
    """code, static, external, history, unknown_code, none"""
    source: Any = Field(default=None, sa_type=JSON)
    flags: Any = Field(default_factory=list, sa_type=JSON)
    address: str = Field(default="", max_length=254)
    """The address of ours that decided, in look-up form."""
    code: str = Field(default="", max_length=64)
    visit_id: int | None = Field(default=None, foreign_key="site_visit.id", ondelete="SET NULL")
    rule_id: int | None = Field(default=None, foreign_key="site_rule.id", ondelete="SET NULL")
    site_id: int | None = Field(default=None, foreign_key="site.id", ondelete="SET NULL")
    decided_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
