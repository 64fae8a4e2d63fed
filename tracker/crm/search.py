"""Customers are found by the beginning of any word of their name, address or id: an index over terms, on both engines alike."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, select
from sqlmodel import Session, col, delete

from tracker.models import Customer, CustomerAddress, CustomerTerm
from tracker.models.counting.bulk import append_rows
from tracker.models.counting.tables import CUSTOMER_TERM
from tracker.runtime.word_search import split_words

_LONGEST_TERM = 254
_LAST = "\U0010ffff"
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def terms_of(name: str, external_id: str | None, addresses: Iterable[str]) -> set[str]:
    """The words by which a customer is found: those of the name, the addresses and their domains, and the id."""
    terms = {word.casefold() for word in _WORD.findall(name)}
    for address in addresses:
        terms |= {address.casefold(), address.rpartition("@")[2].casefold()}
    if external_id:
        terms.add(external_id.casefold())
    return {term[:_LONGEST_TERM] for term in terms if term}


def index_customer(session: Session, customer: Customer, addresses: Sequence[CustomerAddress]) -> None:
    """Makes the customer found by what it says now."""
    session.exec(delete(CustomerTerm).where(col(CustomerTerm.customer_id) == customer.id))
    terms = terms_of(customer.name, customer.external_id, [row.lookup for row in addresses])
    append_rows(session, CUSTOMER_TERM, [{"term": term, "customer_id": customer.id} for term in sorted(terms)])


def finds_customers(session: Session, text: str, column: Any = Customer.id) -> list[ColumnElement[bool]]:
    """The conditions that each word of ``text`` begins a term of the customer whose number stands in ``column``."""
    words = [word.casefold()[:_LONGEST_TERM] for word in split_words(text)]
    return [col(column).in_(select(col(CustomerTerm.customer_id)).where(_begins(session, word))) for word in words]


def _begins(session: Session, word: str) -> ColumnElement[bool]:
    """As each engine reads it by an index: PostgreSQL's order of texts is a language's, SQLite's LIKE knows no index."""
    term = col(CustomerTerm.term)
    if session.get_bind().dialect.name == "sqlite":
        return and_(term >= word, term < word + _LAST)
    return term.startswith(word, autoescape=True)
