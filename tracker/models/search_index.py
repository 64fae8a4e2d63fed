"""Keeps the index of words: a transaction that changed texts indexes them before it commits, the worker what was there before."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from html import unescape
from typing import Any

from sqlalchemy import Select, delete, func, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from tracker.models.crm import Customer, CustomerAddress, Order
from tracker.models.letters import Letter, LetterBody
from tracker.models.mail import Delivery, Message, MessageBody
from tracker.models.people import Recipient
from tracker.models.search import SearchChange, SearchEntry, SearchKind
from tracker.runtime.database import BEFORE_COMMIT, BeforeCommit, Database
from tracker.runtime.word_search import words_of

AT_ONCE = 2000
LATER_AT_ONCE = 300
"""As many where others may be waiting to write."""
BODY = 2000
"""Characters of a body whose words are indexed."""
TEXTS: Mapping[str, frozenset[str]] = {
    "message": frozenset({"subject", "snippet", "names"}),
    "message_body": frozenset({"html", "text"}),
    "delivery": frozenset({"address", "name"}),
    "letter": frozenset({"subject", "snippet", "sender", "sender_address", "sender_name", "deleted_at"}),
    "letter_body": frozenset({"text"}),
    "recipient": frozenset({"address", "name", "company", "erased_at"}),
    "customer": frozenset({"name", "external_id"}),
    "customer_address": frozenset({"address"}),
    "customer_order": frozenset({"number", "external_id"}),
}
"""Whose texts are indexed: the columns of each table that triggers watch."""
_NOT_TEXT = re.compile(r"<(style|script|head)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_ANY_NEW = select(col(SearchChange.id)).where(col(SearchChange.fresh)).limit(1)
Words = dict[int, list[str]]


def entry_of(kind: SearchKind, row_id: int) -> int:
    return row_id * 8 + kind


def owner_mark(kind: SearchKind, user_id: int | None) -> str:
    """The word that every row of this kind and owner has; of this kind alone for None."""
    return f"_{kind:d}" if user_id is None else f"_{kind:d}u{user_id}"


def index_changed(session: Session) -> None:
    """Indexes what this transaction changed."""
    while _index(session, col(SearchChange.fresh)):
        pass


BEFORE_COMMIT.append(BeforeCommit(TEXTS, index_changed))


def index_new(database: Database) -> int:
    """Indexes some of what was written without being indexed at once; returns how many rows that were."""
    with database.reading() as session:
        if session.connection().execute(_ANY_NEW).first() is None:
            return 0
    with database.session_scope() as session:
        return _index(session, col(SearchChange.fresh), LATER_AT_ONCE)


def index_older(database: Database) -> int:
    """Indexes some of what was there before the index was; returns how many rows that were."""
    with database.session_scope() as session:
        return _index(session, true())


def _index(session: Session, which: Any, most: int = AT_ONCE) -> int:
    query = select(col(SearchChange.id), col(SearchChange.kind), col(SearchChange.row_id)).where(which)
    changes = session.connection().execute(query.limit(most).with_for_update(skip_locked=True)).all()
    if not changes:
        return 0
    by_kind: dict[SearchKind, set[int]] = defaultdict(set)
    for _id, kind, row_id in changes:
        by_kind[SearchKind(kind)].add(row_id)
    for kind, ids in by_kind.items():
        _write(session, kind, ids, WORDS_OF[kind](session, ids))
    done = [change[0] for change in changes]
    session.connection().execute(delete(SearchChange).where(col(SearchChange.id).in_(done)))
    return len(changes)


def _write(session: Session, kind: SearchKind, ids: Collection[int], words: Words) -> None:
    connection = session.connection()
    if gone := [entry_of(kind, id_) for id_ in ids if id_ not in words]:
        connection.execute(delete(SearchEntry).where(col(SearchEntry.entry).in_(gone)))
    if not words:
        return
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(SearchEntry)
    new = insert.excluded.words
    insert = insert.on_conflict_do_update(
        index_elements=["entry"], set_={"words": new}, where=col(SearchEntry.words) != new
    )
    rows = [{"entry": entry_of(kind, id_), "words": " ".join(each)} for id_, each in sorted(words.items())]
    connection.execute(insert, rows)


def _rows(session: Session, query: Select[*tuple[Any, ...]], ids: Iterable[int], key: Any) -> Sequence[Any]:
    return session.connection().execute(query.where(col(key).in_(sorted(ids)))).all()


def _messages(session: Session, ids: Collection[int]) -> Words:
    text = func.coalesce(col(MessageBody.text), func.substr(col(MessageBody.html), 1, BODY * 4))
    query = select(
        *(col(Message.id), col(Message.user_id), col(Message.subject), col(Message.names), col(Message.snippet)),
        func.substr(text, 1, BODY * 4),
    ).outerjoin(MessageBody, col(MessageBody.message_id) == col(Message.id))
    people: dict[int, list[str]] = defaultdict(list)
    names = (col(Delivery.name), col(Delivery.address), col(Recipient.name))
    copies = select(col(Delivery.message_id), *names).join(Recipient, col(Recipient.id) == col(Delivery.recipient_id))
    for id_, *known_as in _rows(session, copies, ids, Delivery.message_id):
        people[id_] += known_as
    return {
        id_: _marked(SearchKind.MESSAGE, owner, words_of(subject, names, snippet, plain(body), *people[id_]))
        for id_, owner, subject, names, snippet, body in _rows(session, query, ids, Message.id)
    }


def plain(text: str | None) -> str:
    """The words of HTML, or of text, without its tags; for the index alone."""
    return unescape(_NOT_TEXT.sub(" ", text or ""))[:BODY]


def _letters(session: Session, ids: Collection[int]) -> Words:
    columns = (Letter.subject, Letter.snippet, Letter.sender_name, Letter.sender_address, Letter.sender)
    query = select(
        col(Letter.id), col(Letter.user_id), *map(col, columns), func.substr(col(LetterBody.text), 1, BODY)
    ).outerjoin(LetterBody, col(LetterBody.letter_id) == col(Letter.id))
    rows = _rows(session, query.where(col(Letter.deleted_at).is_(None)), ids, Letter.id)
    kind = SearchKind.LETTER
    return {id_: [owner_mark(kind, None), *_marked(kind, owner, words_of(*texts))] for id_, owner, *texts in rows}


def _recipients(session: Session, ids: Collection[int]) -> Words:
    columns = (Recipient.id, Recipient.name, Recipient.address, Recipient.lookup, Recipient.company)
    query = select(*map(col, columns)).where(col(Recipient.erased_at).is_(None))
    rows = _rows(session, query, ids, Recipient.id)
    return {id_: _marked(SearchKind.RECIPIENT, None, words_of(*texts)) for id_, *texts in rows}


def _customers(session: Session, ids: Collection[int]) -> Words:
    addresses: dict[int, list[str]] = defaultdict(list)
    theirs = select(col(CustomerAddress.customer_id), col(CustomerAddress.address), col(CustomerAddress.lookup))
    for id_, *spellings in _rows(session, theirs, ids, CustomerAddress.customer_id):
        addresses[id_] += spellings
    rows = _rows(session, select(col(Customer.id), col(Customer.name), col(Customer.external_id)), ids, Customer.id)
    kind = SearchKind.CUSTOMER
    return {id_: _marked(kind, None, words_of(*texts, *addresses[id_])) for id_, *texts in rows}


def _orders(session: Session, ids: Collection[int]) -> Words:
    rows = _rows(session, select(col(Order.id), col(Order.number), col(Order.external_id)), ids, Order.id)
    return {id_: _marked(SearchKind.ORDER, None, words_of(*texts)) for id_, *texts in rows}


def _marked(kind: SearchKind, owner: int | None, words: list[str]) -> list[str]:
    return [owner_mark(kind, owner), *words]


WORDS_OF: Mapping[SearchKind, Callable[[Session, Collection[int]], Words]] = {
    SearchKind.MESSAGE: _messages,
    SearchKind.LETTER: _letters,
    SearchKind.RECIPIENT: _recipients,
    SearchKind.CUSTOMER: _customers,
    SearchKind.ORDER: _orders,
}
