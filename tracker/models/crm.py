"""Customers, their orders, shops, groups of managers, and what became of each enquiry.

What was decided here:

* Customers, orders, shops and groups belong to the workspace: everybody sees them. Letters do not: :mod:`tracker.crm.access`.
* ``version`` grows with every change of a customer or an order, so that whoever hears of changes can put them in order.
* :class:`LetterBinding` is what a letter was bound to and by which rule; :class:`EnquiryStatus` is the work on a letter that
  counts: whose it is, whether it waits for an answer, how fast that came. Both go with their letter.
* A manager who was disabled stays named; his open enquiries count as nobody's.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, UniqueConstraint, text
from sqlmodel import Field

from tracker.models.rows import NumberedRow, PublicRow, Row
from tracker.runtime.database import UtcDateTime, now

_GIVEN = text("CASE WHEN manager_id = user_id THEN 0 ELSE 1 END = 1")
_OPEN = text("done_at IS NULL")
_WAITING = text("waiting_since IS NOT NULL")
_SNOOZED = text("snoozed_until IS NOT NULL")
_UNFINISHED = text("finished_at IS NULL")


class Shop(PublicRow, table=True):
    """Something that is sold under one name: orders and mailboxes belong to one, or to none."""

    name: str = Field(unique=True, max_length=200)
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class ManagerGroup(PublicRow, table=True):
    """People among whom new customers are shared out. Whoever assigns holds this row."""

    name: str = Field(unique=True, max_length=200)
    turn: int = 0
    """How many customers were assigned from this group so far."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class GroupMember(Row, table=True):
    """A person in a group, and the turn at which they were assigned a customer last; 0 for never."""

    __tablename__ = "manager_group_member"

    group_id: int = Field(primary_key=True, foreign_key="manager_group.id", ondelete="CASCADE")
    user_id: int = Field(primary_key=True, foreign_key="user_account.id", index=True, ondelete="CASCADE")
    turn: int = 0


class CustomerSource(StrEnum):
    BY_HAND = "by_hand"
    API = "api"
    IMPORT = "import"
    INCOMING_EMAIL = "incoming_email"


class Customer(PublicRow, table=True):
    """Somebody who buys, as little as is needed to know a letter's sender and whose customer that is."""

    __table_args__ = (Index("ix_customer_list", "created_at", "id"),)

    external_id: str | None = Field(default=None, unique=True, max_length=200)
    """Under which another program knows the customer."""
    name: str = Field(default="", max_length=200)
    manager_id: int | None = Field(default=None, foreign_key="user_account.id", index=True, ondelete="SET NULL")
    shop_id: int | None = Field(default=None, foreign_key="shop.id", index=True, ondelete="SET NULL")
    tags: Any = Field(default_factory=list, sa_type=JSON)
    source: str = Field(default=CustomerSource.BY_HAND, max_length=16)
    version: int = 1
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    changed_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class CustomerImport(PublicRow, table=True):
    """A file of customers that the worker takes in, and how far it has come; counts of rows."""

    __table_args__ = (
        Index("ix_customer_import_waits", "id", sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
        Index("ix_customer_import_user", "user_id", "id"),
    )

    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    name: str = Field(default="", max_length=200)
    """Of the file."""
    columns: Any = Field(default_factory=list, sa_type=JSON)
    """The field that each column of the file is, null for one that is passed over."""
    total: int = 0
    done: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    refusals: Any = Field(default_factory=list, sa_type=JSON)
    """The first refused lines, each with its number and why."""
    assigned: Any = Field(default_factory=dict, sa_type=JSON)
    """How many customers each manager got, by the person's number."""
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CustomerImportPart(Row, table=True):
    """Rows of an import that are still to be taken in, as many as one transaction takes."""

    import_id: int = Field(primary_key=True, foreign_key="customer_import.id", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    rows: Any = Field(sa_type=JSON)
    """Of each the line where it begins, its cells (none of a person who was erased), and whether all of its bytes could be read."""


class CustomerAddress(NumberedRow, table=True):
    """An address of a customer: as it was written, and in look-up form. Two customers may share one."""

    __table_args__ = (
        UniqueConstraint("customer_id", "lookup", name="uq_customer_address_customer_lookup"),
        Index("ix_customer_address_lookup", "lookup"),
    )

    customer_id: int = Field(foreign_key="customer.id", ondelete="CASCADE")
    position: int = 0
    address: str = Field(max_length=254)
    lookup: str = Field(max_length=254)
    created_for: str | None = Field(default=None, unique=True, max_length=280)
    """Look-up form and shop, where a letter made the customer: so that two letters at once make one."""


class Order(PublicRow, table=True):
    """An order, by its number. Numbers are texts and mean what stands there: ``0401`` is not ``401``."""

    __tablename__ = "customer_order"
    __table_args__ = (
        Index("ix_customer_order_number", "number"),
        Index("ix_customer_order_list", "created_at", "id"),
        Index("ix_customer_order_customer", "customer_id", "created_at", "id"),
        UniqueConstraint("number", "shop_key", name="uq_customer_order_number_shop"),
    )

    external_id: str | None = Field(default=None, unique=True, max_length=200)
    number: str = Field(max_length=32)
    customer_id: int | None = Field(default=None, foreign_key="customer.id", ondelete="SET NULL")
    shop_id: int | None = Field(default=None, foreign_key="shop.id", index=True, ondelete="SET NULL")
    shop_key: int = 0
    """The shop's number once more, 0 for none: numbers are unique within a shop."""
    manager_id: int | None = Field(default=None, foreign_key="user_account.id", index=True, ondelete="SET NULL")
    status: str = Field(default="", max_length=100)
    version: int = 1
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    changed_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class LetterBinding(Row, table=True):
    """What a letter was bound to, by which rule of :mod:`tracker.crm.binding`, and what was odd about it."""

    __table_args__ = (
        Index("ix_letter_binding_customer", "customer_id", "received_at", "letter_id"),
        Index("ix_letter_binding_order", "order_id", "received_at", "letter_id"),
    )

    letter_id: int = Field(primary_key=True, foreign_key="letter.id", ondelete="CASCADE")
    received_at: datetime = Field(sa_type=UtcDateTime)
    customer_id: int | None = Field(default=None, foreign_key="customer.id", ondelete="SET NULL")
    order_id: int | None = Field(default=None, foreign_key="customer_order.id", ondelete="SET NULL")
    rule: str = Field(max_length=20)
    flags: Any = Field(default_factory=list, sa_type=JSON)
    """sender_differs, ambiguous, token_mismatch, order_not_found"""
    number: str = Field(default="", max_length=32)
    """The order number in the subject that led nowhere."""
    decided_by: int | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")
    """Who bound it by hand."""
    decided_at: datetime = Field(default_factory=now, sa_type=UtcDateTime)


class EnquiryStatus(Row, table=True):
    """The work on one enquiry: whose it is, whether somebody waits for an answer, and when the first one came."""

    __table_args__ = (
        Index("ix_enquiry_status_manager", "manager_id", "received_at", "letter_id"),
        Index(
            "ix_enquiry_status_open", "user_id", "received_at", "letter_id", sqlite_where=_OPEN, postgresql_where=_OPEN
        ),
        Index("ix_enquiry_status_sender", "sender", "received_at"),
        Index("ix_enquiry_status_others", "manager_id", "user_id", sqlite_where=_GIVEN, postgresql_where=_GIVEN),
        Index("ix_enquiry_status_waiting", "waiting_since", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_enquiry_status_snoozed", "snoozed_until", sqlite_where=_SNOOZED, postgresql_where=_SNOOZED),
        Index("ix_enquiry_status_mailbox", "mailbox_id", "received_at", "letter_id"),
    )

    letter_id: int = Field(primary_key=True, foreign_key="letter.id", ondelete="CASCADE")
    user_id: int = Field(foreign_key="user_account.id", ondelete="CASCADE")
    """Whose mailbox it came to."""
    mailbox_id: int = Field(foreign_key="mailbox.id", ondelete="CASCADE")
    sender: str = Field(default="", max_length=254)
    """In look-up form, as the letter has it."""
    received_at: datetime = Field(sa_type=UtcDateTime)
    manager_id: int | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")
    waiting_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Since when the sender has had no answer; None once there was one."""
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    answered_by: int | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")
    """The first answer, and whose it was; a later one changes neither."""
    last_answer_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    snoozed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    version: int = 1


class EnquiryChange(NumberedRow, table=True):
    """One line of an enquiry's history: who did what with it, and when."""

    __table_args__ = (Index("ix_enquiry_change_letter", "letter_id", "id"),)

    letter_id: int = Field(foreign_key="letter.id", ondelete="CASCADE")
    at: datetime = Field(default_factory=now, sa_type=UtcDateTime)
    user_id: int | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")
    """Who did it; None where nobody did."""
    what: str = Field(max_length=16)
    """assigned, released, snoozed, woken, done, reopened, bound, unbound"""
    to_user_id: int | None = Field(default=None, foreign_key="user_account.id", ondelete="SET NULL")
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
