"""Mailboxes: credentials, what is fetched and how far, what went wrong, what is still to be done on the server.

What was decided here:

* Everything belongs to one person (``user_id``); no one else sees it, administrators included.
* A mailbox that is removed stays as a row with ``removed_at``: its letters and tombstones wait until the same person connects the
  same address again, which revives the row. Among those not removed the canonical address is unique in the whole installation.
* A row of :class:`MailboxFolder` is the cursor of one folder; a POP3 mailbox has one, whose letters are known by UIDL.
* A run holds the mailbox by a lease (:mod:`tracker.runtime.lease`); so does, by one of its own, whoever listens to it.
* What is to be done on a server (mark read, delete) is a row written in the letter's own transaction, and done afterwards.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field

from tracker.models.rows import NumberedRow, PublicRow, Row
from tracker.runtime.database import LocalizedTextColumn, UtcDateTime, now

_HERE = text("removed_at IS NULL")
_UNTOLD = text("told_at IS NULL")
_UNSENT = text("sent_at IS NULL")
_TRIED = text("tries > 0")


class Credential(PublicRow, table=True):
    """Credentials: where and how to sign in, with the encrypted secret. Re-usable by several mailboxes of one person."""

    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    name: str = Field(default="", max_length=200)
    preset: str = Field(default="other", max_length=32)
    protocol: str = Field(default="imap", max_length=4)
    """imap, pop3"""
    host: str = Field(max_length=255)
    port: int
    security: str = Field(default="tls", max_length=8)
    """tls, starttls, none"""
    login: str = Field(max_length=254)
    auth: str = Field(default="password", max_length=8)
    """password, oauth: with an access token from the grant ``grant_id``"""
    secret: bytes | None = Field(default=None, sa_type=LargeBinary)
    grant_id: int | None = Field(default=None, foreign_key="oauth_grant.id", index=True, ondelete="SET NULL")
    """The sign-in at a provider (:class:`OAuthGrant`), where ``auth`` is oauth: ``connect.Server(…, grant=grant_id)``."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    changed_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class MailboxState(StrEnum):
    """The five states of the list everybody knows, and ours. Only ``active`` is fetched on its timetable."""

    ACTIVE = "active"
    NO_CREDENTIALS = "no_credentials"
    DUPLICATE = "duplicate"
    AUTH_ERROR = "auth_error"
    CHECKING = "checking"
    CONNECTION_ERROR = "connection_error"
    FOLDER_MISSING = "folder_missing"
    THROTTLED = "throttled"
    NEEDS_OAUTH = "needs_oauth"
    PAUSED = "paused"
    """Switched off by its person."""


class FirstWindow(StrEnum):
    LAST_24H = "last_24h"
    ALL_UNREAD = "all_unread"
    FROM_NOW = "from_now"


class Mailbox(PublicRow, table=True):
    """A connected address that we read: how it is to be fetched, how it goes, and when it is due."""

    __table_args__ = (
        Index("uq_mailbox_canonical", "canonical", unique=True, sqlite_where=_HERE, postgresql_where=_HERE),
        Index("ix_mailbox_due", "due_at"),
    )

    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    credential_id: int | None = Field(default=None, foreign_key="credential.id", index=True, ondelete="SET NULL")
    name: str = Field(default="", max_length=200)
    address: str = Field(default="", max_length=254)
    """The address people write to, in normal form; the login where that is one."""
    canonical: str = Field(max_length=600)
    """Under which two connections are one mailbox: see :func:`tracker.mail.canonical.canonical`."""
    active: bool = True
    """The person's switch."""
    repeat_period_days: int = 1
    folders: Any = Field(default_factory=lambda: ["INBOX"], sa_type=JSON)
    """Names of the folders to read, as people see them."""
    all_folders: bool = False
    """Every folder but spam, sent, drafts and trash."""
    first_window: str = Field(default=FirstWindow.LAST_24H, max_length=10)
    collect_pause_days: int = 0
    """After it was switched off: load at most so many days of the pause, too."""
    only_unread: bool = False
    mark_read: bool = False
    delete_loaded: bool = False
    delete_after_days: int = 0
    delete_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When deletion was switched on: letters loaded before stay."""
    notify_manager: bool = True
    create_customer: bool = False
    notify_skipped: bool = True
    """Tell of letters that could not be loaded whole."""
    unwrap_forwarded: bool = False
    form_robots: Any = Field(default_factory=list, sa_type=JSON)
    """Addresses that write for the visitors of web forms, in look-up form: the writer is whom Reply-To names."""
    group: str | None = Field(default=None, max_length=16)
    shop: str | None = Field(default=None, max_length=16)
    """Public ids of the group that new customers are shared out in, and of the shop whose orders letters are bound to."""

    state: str = Field(default=MailboxState.CHECKING, max_length=16)
    state_detail: str = Field(default="", sa_type=LocalizedTextColumn)
    """What is wrong and what to do; empty when nothing is."""
    state_since: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    found_folders: Any = Field(default_factory=list, sa_type=JSON)
    """Folders that the server named last, as people see them."""
    letters_on_server: int | None = None
    capabilities: Any = Field(default_factory=list, sa_type=JSON)
    gmail: bool = False
    checked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    active_since: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    """When it was connected or switched on last: where the first window ends or fetching resumes."""
    paused_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the next run is planned; None while nothing is to be fetched."""
    sync_wanted: bool = False
    """Somebody pressed “sync now”, or the server announced a letter: the next run comes at once, before others that are due."""
    run_started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    run_ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    run_problem: str = Field(default="", sa_type=LocalizedTextColumn)
    """How the last run failed; empty when it did not."""
    run_loaded: int = 0
    """New letters of the last run."""
    good_run_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Begin of the last run that ended without an error: the lag is counted from here."""
    failures: int = 0
    """Runs in a row that failed."""
    login_failures: int = 0
    login_failed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Refused logins in a row, at least ten minutes apart, and when the last one was."""
    broken_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Since when it needs its person; None while it does not."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class MailboxListening(Row, table=True):
    """Who listens to a mailbox for the server's word of new mail (IDLE), and when that may be tried again."""

    mailbox_id: int = Field(primary_key=True, foreign_key="mailbox.id", ondelete="CASCADE")
    since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the server began to tell us of new mail; None while it does not."""
    not_before: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Left alone until then: the server ended too many lines, or asks for fewer."""
    refused_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """A sign-in was refused then: no other is tried before a run has begun later and ended well."""


class MailboxFolder(NumberedRow, table=True):
    """One folder of a mailbox and how far it has been read."""

    __table_args__ = (UniqueConstraint("mailbox_id", "raw_name", name="uq_mailbox_folder_mailbox_raw_name"),)

    mailbox_id: int = Field(foreign_key="mailbox.id", ondelete="CASCADE")
    raw_name: str = Field(max_length=1000)
    """As the server writes it (modified UTF-7), its bytes read as Latin-1."""
    name: str = Field(max_length=1000)
    """As people see it."""
    delimiter: str | None = Field(default=None, max_length=8)
    uidvalidity: int | None = Field(default=None, sa_type=BigInteger)
    """None while the folder has no numbering that can be trusted: then identity alone decides."""
    last_uid: int = Field(default=0, sa_type=BigInteger)
    """Every letter up to here is done or in the retry list."""
    cut_off: datetime = Field(sa_type=UtcDateTime)
    """Letters received before are not ours to load."""
    good_run_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    rebuilt_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When its numbering was found changed last."""


class FetchRetry(NumberedRow, table=True):
    """A letter that could not be taken in, tried again: next run, an hour later, a day later; then stored unparsed.

    With no tries and a time that never comes: a letter of a POP3 mailbox that is not wanted.
    """

    __table_args__ = (
        UniqueConstraint("folder_id", "uidvalidity", "uid", "uidl", name="uq_fetch_retry_place"),
        Index("ix_fetch_retry_tried", "try_at", sqlite_where=_TRIED, postgresql_where=_TRIED),
    )

    folder_id: int = Field(foreign_key="mailbox_folder.id", ondelete="CASCADE")
    uidvalidity: int = Field(default=0, sa_type=BigInteger)
    uid: int = Field(default=0, sa_type=BigInteger)
    uidl: str = Field(default="", max_length=255)
    tries: int = 1
    try_at: datetime = Field(sa_type=UtcDateTime)
    problem: str = Field(default="", max_length=500)


class PendingAction(NumberedRow, table=True):
    """What is to be done on the server with one loaded letter. Doing it again is harmless; the row goes once it is done."""

    __table_args__ = (
        UniqueConstraint("folder_id", "kind", "uidvalidity", "uid", "uidl", name="uq_pending_action_place"),
    )

    folder_id: int = Field(foreign_key="mailbox_folder.id", ondelete="CASCADE")
    kind: str = Field(max_length=8)
    """seen, delete"""
    uidvalidity: int = Field(default=0, sa_type=BigInteger)
    uid: int = Field(default=0, sa_type=BigInteger)
    uidl: str = Field(default="", max_length=255)
    due_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    tries: int = 0
    problem: str = Field(default="", max_length=500)


class MailboxProblem(NumberedRow, table=True):
    """Something that went wrong with a mailbox or one of its letters; told in a digest, at most one an hour and mailbox."""

    __table_args__ = (
        Index("ix_mailbox_problem_mailbox_at", "mailbox_id", "at"),
        Index("ix_mailbox_problem_untold", "mailbox_id", sqlite_where=_UNTOLD, postgresql_where=_UNTOLD),
    )

    mailbox_id: int = Field(foreign_key="mailbox.id", ondelete="CASCADE")
    letter_id: int | None = Field(default=None, foreign_key="letter.id", index=True, ondelete="SET NULL")
    code: str = Field(max_length=24)
    """unparsed, too_large, attachment, retry_exhausted, rebuilt, backfilled, loop, customer_not_found"""
    detail: str = Field(default="", sa_type=LocalizedTextColumn)
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    told_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Notice(NumberedRow, table=True):
    """Something to tell one person: written with what it is about, told after the commit.

    Its bell line is written once. The mail of those that are mailed may go out twice when we die between the server's 250 and our
    note of it, with the same Message-ID.
    """

    __table_args__ = (
        UniqueConstraint("event", "subject", "user_id", name="uq_notice_event_subject_user"),
        Index("ix_notice_due", "due_at", sqlite_where=_UNSENT, postgresql_where=_UNSENT),
    )

    event: str = Field(max_length=24)
    """letter, customer_assigned, enquiry_assigned, group_empty, first_load, problems, broken, broken_long, recovered, loop"""
    subject: str = Field(max_length=64)
    """What it is about, such as ``letter:17`` or ``mailbox:3:2026-11-26T10``."""
    user_id: int = Field(foreign_key="user_account.id", index=True, ondelete="CASCADE")
    mailbox_id: int | None = Field(default=None, foreign_key="mailbox.id", ondelete="CASCADE")
    letter_id: int | None = Field(default=None, foreign_key="letter.id", index=True, ondelete="CASCADE")
    facts: Any = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    due_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    rung_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When its bell line was written, in the same transaction; or it turned out that none was needed."""
    tries: int = 0
    """Hand-overs to a mail server that were begun."""
    problem: str = Field(default="", sa_type=LocalizedTextColumn)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
