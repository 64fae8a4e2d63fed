"""Erasure among letters: those from the person become tombstones, in those of others the person goes."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_
from sqlmodel import Session, col, delete, select, update

from tracker.models import (
    Customer,
    CustomerAddress,
    CustomerImportPart,
    EnquiryKey,
    EnquiryStatus,
    Letter,
    LetterAttachment,
    LetterBody,
    LetterRaw,
    LetterSource,
    MailboxProblem,
    Notice,
    Order,
    Visit,
)
from tracker.privacy.erase_mentions import erase_mentions_in_letters
from tracker.privacy.redact import Redactor, rows_with
from tracker.runtime.database import now

_BLANK: dict[str, Any] = {
    **dict.fromkeys(("sender", "sender_address", "sender_name", "reply_to", "subject", "snippet", "message_id"), ""),
    **dict.fromkeys(("in_reply_to", "thread", "category_reason"), ""),
    **{name: [] for name in ("to", "cc", "references")},
}


def erase_letters(session: Session, form: str, copies: Sequence[int], redactor: Redactor, done: Counter[str]) -> None:
    """Letters of the sender ``form`` and answers to these copies lose their content, and are not loaded again."""
    theirs = or_(
        col(Letter.sender) == form, col(Letter.reply_to).in_(redactor.addresses), col(Letter.delivery_id).in_(copies)
    )
    ids = session.exec(select(Letter.id).where(theirs)).all()
    for table in (LetterBody, LetterRaw, LetterAttachment):
        session.exec(delete(table).where(col(table.letter_id).in_(ids)))
    _erase_visits(session, ids, done)
    for about in (MailboxProblem, Notice):
        session.exec(delete(about).where(col(about.letter_id).in_(ids)))
    blank = update(Letter).where(col(Letter.id).in_(ids)).values(**_BLANK, deleted_at=now(), has_attachments=False)
    done["letter"] += session.exec(blank).rowcount
    _forget_key(session, form)
    erase_mentions_in_letters(session, redactor, done)


def _erase_visits(session: Session, letters: Sequence[int | None], done: Counter[str]) -> None:
    """The visits that these letters came of, and all others of the same visitor, with what was decided about the letters."""
    came_of = select(LetterSource.visit_id).where(col(LetterSource.letter_id).in_(letters))
    visitors = session.exec(select(Visit.visitor).where(col(Visit.id).in_(came_of))).all()
    done["visit"] += session.exec(delete(Visit).where(col(Visit.visitor).in_(visitors))).rowcount
    session.exec(delete(LetterSource).where(col(LetterSource.letter_id).in_(letters)))


def erase_customers(session: Session, form: str, redactor: Redactor, done: Counter[str]) -> None:
    """The customers with this address are forgotten, with every other address they had, and rows of imports that would bring them
    back. Orders stay without a customer, and whatever another program knows them by goes."""
    _erase_imported(session, redactor, done)  # first: waits for an import that is just making such a customer
    theirs = select(CustomerAddress.customer_id).where(CustomerAddress.lookup == form)
    ids = session.exec(theirs).all()
    orders = update(Order).where(col(Order.customer_id).in_(ids)).values(customer_id=None, external_id=None)
    done["customer_order"] += session.exec(orders).rowcount
    done["customer"] += session.exec(delete(Customer).where(col(Customer.id).in_(ids))).rowcount
    session.exec(update(EnquiryStatus).where(col(EnquiryStatus.sender) == form).values(sender=""))


def _erase_imported(session: Session, redactor: Redactor, done: Counter[str]) -> None:
    """Rows in which the address stands keep their line alone, and are refused when their turn comes."""
    table = CustomerImportPart.__table__  # type: ignore[attr-defined]
    for part in list(rows_with(session, redactor, table, [table.c.rows])):
        rows = [[row[0], [], True] if redactor.mentions(row[1:]) else row for row in part["rows"]]
        key = (table.c.import_id == part["import_id"], table.c.number == part["number"])
        session.connection().execute(table.update().where(*key).values(rows=rows))
        done["row of an import"] += sum(not row[1] for row in rows)


def _forget_key(session: Session, form: str) -> None:
    """The lock rows of the repeat period; a letter without one that counts again makes another."""
    keys = select(EnquiryKey.id).where(EnquiryKey.sender == form)
    session.exec(update(Letter).where(col(Letter.enquiry_key_id).in_(keys)).values(enquiry_key_id=None))
    session.exec(delete(EnquiryKey).where(col(EnquiryKey.sender) == form))
