"""The tables that are read and written past the ORM."""

import json
from collections.abc import Callable, Iterable
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, String, Table, any_, bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Session, SQLModel

from tracker import models


def _table(model: type[SQLModel]) -> Table:
    return cast(Table, getattr(model, "__table__"))  # noqa: B009


CUSTOMER = _table(models.Customer)
CUSTOMER_ADDRESS = _table(models.CustomerAddress)
DELIVERY = _table(models.Delivery)
EVENT = _table(models.Event)
EVIDENCE = _table(models.HitEvidence)
ENQUIRY_KEY = _table(models.EnquiryKey)
ENQUIRY_STATUS = _table(models.EnquiryStatus)
FEED = _table(models.FeedItem)
LETTER = _table(models.Letter)
LETTER_BINDING = _table(models.LetterBinding)
LETTER_BODY = _table(models.LetterBody)
LETTER_COPY = _table(models.LetterCopy)
LETTER_FILE = _table(models.LetterAttachment)
MAILBOX = _table(models.Mailbox)
LETTER_RAW = _table(models.LetterRaw)
LINK = _table(models.TrackedLink)
MESSAGE = _table(models.Message)
NOTIFICATION = _table(models.Notification)
ORDER = _table(models.Order)
SCANNER_NETWORK = _table(models.ScannerNetwork)
SCANNER_PROOF = _table(models.ScannerProof)
VERDICT = _table(models.Verdict)


def in_bound_list(is_sqlite: bool, what: Any, name: str) -> ColumnElement[bool]:
    """``what IN (values)`` of a statement that is made once: the values come with each execution, by :func:`bound_list`."""
    if is_sqlite:
        members = func.json_each(bindparam(name, type_=String)).table_valued(column("value"))
        return what.in_(select(members.c.value))  # type: ignore[no-any-return]
    return what == any_(bindparam(name, type_=ARRAY(what.type)))  # type: ignore[no-any-return]


def bound_list(is_sqlite: bool, values: Iterable[int] | Iterable[str]) -> Any:
    return json.dumps(list(values)) if is_sqlite else list(values)


def run_made_once(
    session: Session, make: Callable[..., Any], *made_for: Any, **values: Any
) -> CursorResult[*tuple[Any, ...]]:
    """Executes a statement that is made once for each kind of database, by a cached function of that (is it SQLite?) and of
    ``made_for``: to put a statement together takes SQLAlchemy several times as long as to execute it.

    ``values`` are those of its parameters; collections are taken as :func:`in_bound_list` wants them.
    """
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    bound = {
        name: bound_list(is_sqlite, value) if isinstance(value, Iterable) and not isinstance(value, str) else value
        for name, value in values.items()
    }
    return session.connection().execute(make(is_sqlite, *made_for), bound)


def in_list(session: Session, what: Any, values: Iterable[int] | Iterable[str]) -> ColumnElement[bool]:
    """``what IN (values)`` for numbers or texts, as each database reads a list best."""
    listed = list(values)
    if session.get_bind().dialect.name == "sqlite":
        members = func.json_each(json.dumps(listed)).table_valued(column("value"))
        return what.in_(select(members.c.value))  # type: ignore[no-any-return]
    return what == any_(bindparam(None, listed, type_=ARRAY(what.type)))  # type: ignore[no-any-return]
