"""Letters: each stored once, with its raw bytes, its places on servers, and the lock rows of the repeat period.

What was decided here:

* A letter belongs to the person who configured its mailbox (``user_id``), and to nobody else.
* ``identity`` is unique within a mailbox; a mailbox that is removed and connected again by the same person is the same row, so
  identities and tombstones survive. A deleted letter stays as a tombstone: ``deleted_at`` is set, its content is gone.
* Raw bytes lie in the database, in pieces (:class:`LetterRaw`): in the same transaction as the letter, on every machine, and gone
  with it. Attachments are not stored twice: they are read out of the raw bytes by their place in them.
* ``header_hash`` and ``size`` recognise a letter without loading it again when a server was rebuilt.
* An enquiry is a letter with ``counted``. :class:`EnquiryKey` is the row to lock while it is decided.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, LargeBinary, TextClause, UniqueConstraint, text
from sqlmodel import Field

from tracker.models.rows import NumberedRow, PublicRow, Row
from tracker.runtime.database import UtcDateTime, now

_COUNTED = text("counted")
_COUNTED_IN_SQLITE = text("counted = 1")  # as the query says it: SQLite uses a partial index for the very same words
_REPEATS = text("repeat_of_id IS NOT NULL")
_WITHDRAWN = text("withdrawn_at IS NOT NULL")
_GMAIL = text("gmail_id IS NOT NULL")


def _list_of(name: str, where: TextClause, in_sqlite: TextClause, whose: str = "user_id") -> Index:
    """An index for one kind of letter in the order of the list."""
    return Index(f"ix_letter_{name}", whose, "received_at", "id", sqlite_where=in_sqlite, postgresql_where=where)


class Category(StrEnum):
    """What a letter is. Only ``human`` takes part in counting and rings as an enquiry."""

    HUMAN = "human"
    BOUNCE = "bounce"
    MDN = "mdn"
    AUTO_REPLY = "auto_reply"
    AUTO_GENERATED = "auto_generated"
    BULK = "bulk"
    OWN_NOTIFICATION = "own_notification"
    OWN_OUTGOING = "own_outgoing"
    COMPLAINT = "complaint"
    REACTION = "reaction"
    REPORT = "report"


class EnquiryKey(NumberedRow, table=True):
    """One sender writing to one recipient of one mailbox: whoever decides whether a letter counts holds this row."""

    __table_args__ = (UniqueConstraint("mailbox_id", "sender", "recipient", name="uq_enquiry_key"),)

    mailbox_id: int = Field(foreign_key="mailbox.id", ondelete="CASCADE")
    sender: str = Field(max_length=254)
    recipient: str = Field(max_length=254)


class Letter(PublicRow, table=True):
    """One incoming message, stored once however many copies of it there are."""

    __table_args__ = (
        UniqueConstraint("mailbox_id", "identity", name="uq_letter_mailbox_identity"),
        Index("ix_letter_user_list", "user_id", "received_at", "id"),
        Index("ix_letter_mailbox_list", "mailbox_id", "received_at", "id"),
        Index("ix_letter_mailbox_header_hash", "mailbox_id", "header_hash"),
        Index("ix_letter_gmail", "mailbox_id", "gmail_id", sqlite_where=_GMAIL, postgresql_where=_GMAIL),
        Index("ix_letter_user_message_id", "user_id", "message_id"),
        Index("ix_letter_user_sender", "user_id", "sender", "received_at"),
        Index("ix_letter_key", "enquiry_key_id", "received_at"),
        Index(
            "ix_letter_key_counted",
            *("enquiry_key_id", "received_at"),
            sqlite_where=_COUNTED_IN_SQLITE,
            postgresql_where=_COUNTED,
        ),
        Index("ix_letter_user_category", "user_id", "category", "received_at", "id"),
        _list_of("enquiries", _COUNTED, _COUNTED_IN_SQLITE),
        _list_of("repeats", _REPEATS, _REPEATS),
        _list_of("withdrawn", _WITHDRAWN, _WITHDRAWN),
        _list_of("mailbox_enquiries", _COUNTED, _COUNTED_IN_SQLITE, "mailbox_id"),
    )

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    mailbox_id: int = Field(foreign_key="mailbox.id", ondelete="CASCADE")

    identity: str = Field(max_length=64)
    """Gmail's number, or a digest of Message-ID and content."""
    message_id: str = Field(default="", max_length=255)
    """Without its angle brackets, case kept; hashed where it is longer than RFC 5322 lets a line be."""
    content_hash: str = Field(default="", max_length=64)
    header_hash: str = Field(default="", max_length=64)
    gmail_id: int | None = Field(default=None, sa_type=BigInteger)
    """X-GM-MSGID; read as signed."""
    in_reply_to: str = Field(default="", max_length=255)
    references: Any = Field(default_factory=list, sa_type=JSON)
    thread: str = Field(default="", max_length=255)

    received_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """What its Date field says, where that is plausible."""
    loaded_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    sender: str = Field(default="", max_length=254)
    """In look-up form; empty when there is none that can be used."""
    sender_address: str = Field(default="", max_length=254)
    sender_name: str = Field(default="", max_length=200)
    reply_to: str = Field(default="", max_length=254)
    recipient: str = Field(default="", max_length=254)
    """The address of ours it was written to, as the repeat period sees it."""
    to: Any = Field(default_factory=list, sa_type=JSON)
    cc: Any = Field(default_factory=list, sa_type=JSON)
    """Lists of ``[address, name]``."""
    subject: str = ""
    snippet: str = Field(default="", max_length=300)
    size: int = 0
    """Bytes on the server."""
    has_attachments: bool = False
    server_flags: Any = Field(default_factory=list, sa_type=JSON)

    category: str = Field(default=Category.HUMAN, max_length=16)
    category_reason: str = Field(default="", max_length=200)
    counted: bool = False
    enquiry_key_id: int | None = Field(default=None, foreign_key="enquiry_key.id", ondelete="SET NULL")
    repeat_of_id: int | None = Field(default=None, foreign_key="letter.id", index=True, ondelete="SET NULL")
    """The enquiry under which it is folded."""
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Marked as spam: later letters do not see it any more."""
    in_reply_to_message_id: int | None = Field(default=None, foreign_key="message.id", index=True, ondelete="SET NULL")
    delivery_id: int | None = Field(default=None, foreign_key="delivery.id", index=True, ondelete="SET NULL")
    reply_rule: str = Field(default="", max_length=24)
    """By which rule it was found to answer that message."""

    defects: Any = Field(default_factory=list, sa_type=JSON)
    """What was odd about its bytes, as codes."""
    flags: Any = Field(default_factory=list, sa_type=JSON)
    """forwarded, duplicate_message_id, sender_differs … as codes"""
    too_large: bool = False
    """Only its beginning was loaded."""
    unparsed: bool = False
    recovered: bool = False
    """Found when a rebuilt server was read again: silent, not counted."""
    backfilled: bool = False
    """Old mail appended today: silent, not counted."""
    silent: bool = False
    """Part of a first load: told in one summary."""
    read_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When its person opened it here."""
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """A tombstone: its content is gone, and it is not loaded again."""


class LetterBody(Row, table=True):
    """What a letter says, apart from the row so that lists stay quick. ``html`` as it came: never shown unsanitised."""

    letter_id: int = Field(primary_key=True, foreign_key="letter.id", ondelete="CASCADE")
    text: str = ""
    html: str | None = None
    headers: str = ""
    """The header section, decoded for people."""


class LetterRaw(Row, table=True):
    """The raw bytes, in pieces that fit into memory many times over, each compressed by zlib."""

    letter_id: int = Field(primary_key=True, foreign_key="letter.id", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    content: bytes = Field(sa_type=LargeBinary)


class LetterAttachment(PublicRow, table=True):
    """A file of a letter. Its bytes are in the raw letter, at ``part``."""

    letter_id: int = Field(foreign_key="letter.id", index=True, ondelete="CASCADE")
    position: int
    part: str = Field(default="", max_length=100)
    """Which part of the tree, such as ``1.2``."""
    filename: str = Field(max_length=255)
    """Safe to offer for saving."""
    written_name: str = ""
    """As the letter wrote it; data only."""
    content_type: str = Field(default="application/octet-stream", max_length=127)
    content_id: str = Field(default="", max_length=255)
    inline: bool = False
    size: int = 0
    digest: str = Field(default="", max_length=64)


class LetterCopy(NumberedRow, table=True):
    """One place of a letter on a server: folder, UIDVALIDITY and UID, or the UIDL of a POP3 mailbox."""

    __table_args__ = (UniqueConstraint("folder_id", "uidvalidity", "uid", "uidl", name="uq_letter_copy_place"),)

    letter_id: int = Field(foreign_key="letter.id", index=True, ondelete="CASCADE")
    folder_id: int = Field(foreign_key="mailbox_folder.id", ondelete="CASCADE")
    uidvalidity: int = Field(default=0, sa_type=BigInteger)
    uid: int = Field(default=0, sa_type=BigInteger)
    uidl: str = Field(default="", max_length=255)
    seen_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
