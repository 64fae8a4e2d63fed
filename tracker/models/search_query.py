"""Asking the index of words: which rows of a kind hold what was typed.

A word that thousands of rows hold is not gathered: a list is read in its own order then, and the words of each row are looked at
until the page is full. Which way to go is told by the newest rows: where many of them hold it the index is not asked at all; else
what it holds is counted.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    bindparam,
    case,
    cast,
    column,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlmodel import Session, col

from tracker.models.crm import Customer, Order
from tracker.models.letters import Letter
from tracker.models.mail import Message
from tracker.models.people import Recipient
from tracker.models.search import WORDS_AS_VECTOR, SearchKind
from tracker.models.search_index import owner_mark
from tracker.runtime.word_search import Question, SearchTerm, question_of, variants

MANY = 20_000
"""From so many rows on they are not gathered."""
MOST_SLIPS = 2
"""So many words of a question may be mistyped: for each, hundreds of others are looked for."""
NOTHING = -1
"""The number of no row: read by the key, where a condition that is false might be read by the whole table."""
NEWEST = 300
"""So many rows are looked at before the index is asked."""
OFTEN = 30
"""Of these, so many that hold the words: then thousands do."""
_LISTS: Mapping[SearchKind, tuple[Any, ...]] = {
    SearchKind.MESSAGE: (Message.id, Message.user_id, Message.listed_at),
    SearchKind.LETTER: (Letter.id, Letter.user_id, Letter.received_at),
    SearchKind.RECIPIENT: (Recipient.id,),
    SearchKind.CUSTOMER: (Customer.id,),
    SearchKind.ORDER: (Order.id,),
}
"""The number of each kind; where it has an owner, the columns of the owner and of the list's order."""
_FTS = table("search_index", column("rowid"), column("search_index"))
_ENTRY = table("search_entry", column("entry"), column("words"))
_VECTOR: ColumnElement[Any] = literal_column(WORDS_AS_VECTOR)
Kinds = Mapping[SearchKind, int | None]
"""Each kind with its owner; None where everybody's is looked through."""


@dataclass(frozen=True)
class NewestRows:
    """The newest rows of each kind: by the number of each its words, between spaces."""

    words: Mapping[SearchKind, Mapping[int, str]]
    _with_term: dict[tuple[SearchKind, SearchTerm], set[int]] = field(default_factory=dict)
    """What was looked for already: every question asks several times."""

    def holding(self, kind: SearchKind, question: Question) -> set[int]:
        """Those that fulfil the question."""
        return set.intersection(*(set().union(*(self._with(kind, term) for term in group)) for group in question))

    def _with(self, kind: SearchKind, term: SearchTerm) -> set[int]:
        if (kind, term) not in self._with_term:
            place = _place_of(term)
            self._with_term[kind, term] = {id_ for id_, words in self.words[kind].items() if place in words}
        return self._with_term[kind, term]

    def rare(self, kind: SearchKind, question: Question) -> Question:
        """What of the question the index is asked for: what stands often is not, unless everything does."""
        rare = tuple(group for group in question if len(self.holding(kind, (group,))) < OFTEN)
        return rare or question

    def beginnings(self, texts: Iterable[str]) -> set[str]:
        """Those of the texts that words begin with."""
        held = sorted({word for rows in self.words.values() for words in rows.values() for word in words.split()})
        return {text for text in texts if any(word.startswith(text) for word in held[bisect_left(held, text) :][:1])}


def finds(
    session: Session, kind: SearchKind, row: Any, typed: str, owner: int | None = None, owner_column: Any = None
) -> list[ColumnElement[bool]]:
    """The conditions that the row with the number in ``row`` holds what was typed; none when no word was.

    With an ``owner`` only theirs are looked through, by the column ``owner_column``. When nothing holds the words, one slip in each
    is forgiven.
    """
    question = question_of(typed)
    if not question:
        return [] if not typed.strip() else [col(row) == NOTHING]
    rows = _newest_rows(session, {kind: owner})
    own = [] if owner_column is None else [col(owner_column) == owner]
    count = _count(session, kind, question, owner, rows)
    if not count and (meant := _meant(session, {kind: owner}, question, rows)):
        question, count = meant, _count(session, kind, meant, owner, rows)
    if count > MANY:
        return [*own, _holds(session, kind, row, question)]
    if count:
        # Not by an index of the owner's: that would read all of their rows in the order of the list, to sort nothing.
        own = [] if owner_column is None else [col(owner_column) + 0 == owner]
        number = _entry_number(session).op(">>")(literal_column("3"))
        return [*own, col(row).in_(select(number).where(*_asked(session, kind, question, owner, rows)))]
    return [col(row) == NOTHING]


def newest(session: Session, kinds: Kinds, typed: str, each: int) -> dict[SearchKind, list[int]]:
    """The numbers of the newest rows of each kind that hold what was typed, at most so many of each."""
    question = question_of(typed)
    if not question:
        return {}
    rows = _newest_rows(session, kinds)
    if hits := _newest(session, kinds, question, each, rows):
        return hits
    meant = _meant(session, kinds, question, rows)
    return _newest(session, kinds, meant, each, rows) if meant else {}


def _newest(
    session: Session, kinds: Kinds, question: Question, each: int, rows: NewestRows
) -> dict[SearchKind, list[int]]:
    """Of kinds whose newest rows hold it often enough, the index is not asked."""
    ids = {kind: rows.holding(kind, question) for kind in kinds}
    number, parts = _entry_number(session), list[Any]()
    for kind in (kind for kind in kinds if len(ids[kind]) < each):
        indexed = select(number.label("entry")).where(*_asked(session, kind, question, kinds[kind], rows))
        # PostgreSQL reads them by the words and sorts: in the order of their numbers it would look at every row there is.
        order = number if _is_sqlite(session) else number + 0
        parts.append(select(indexed.order_by(order.desc()).limit(each).subquery().c.entry))
    for entry in session.connection().execute(union_all(*parts)).scalars() if parts else ():
        ids[SearchKind(entry & 7)].add(entry >> 3)
    return {kind: sorted(numbers, reverse=True)[:each] for kind, numbers in ids.items() if numbers}


def _newest_rows(session: Session, kinds: Kinds) -> NewestRows:
    """In one statement."""
    owner = next((owner for owner in kinds.values() if owner is not None), None)
    statement = _newest_words(tuple((kind, owner is not None) for kind, owner in kinds.items()), NEWEST)
    words: dict[SearchKind, dict[int, str]] = {kind: {} for kind in kinds}
    for entry, text in session.connection().execute(statement, {"owner": owner}):
        words[SearchKind(entry & 7)][entry >> 3] = f" {text} "
    return NewestRows(words)


@cache
def _newest_words(kinds: Sequence[tuple[SearchKind, bool]], most: int) -> Any:
    """Made once: to make it takes longer than to run it."""
    parts = []
    for kind, is_owned in kinds:
        number, *list_columns = map(col, _LISTS[kind])
        rows: Any = select(number.label("id")).order_by(*(column.desc() for column in (*list_columns[1:], number)))
        rows = rows.where(list_columns[0] == bindparam("owner") if is_owned else number > 0).limit(most).subquery()
        same = _ENTRY.c.entry == rows.c.id * 8 + literal_column(str(int(kind)))
        parts.append(select(_ENTRY.c.entry, _ENTRY.c.words).join_from(rows, _ENTRY, same))
    return union_all(*parts)


def _place_of(term: SearchTerm) -> str:
    """What stands in the words between spaces where the term is among them."""
    return f" {term.text}" if term.is_beginning else f" {term.text} "


def _meant(session: Session, kinds: Kinds, question: Question, rows: NewestRows) -> Question | None:
    """The question with what may have been meant in place of words that nothing holds; None when there is nothing like them, when
    each word stands somewhere, or when too many stand nowhere. The newest rows are looked through first, then the index."""
    known = rows.beginnings(term.text for group in question for term in group)
    groups = [group for group in question if not any(term.text in known for term in group)]
    if len(question) > 1:  # of one alone the index has been asked
        known = _beginnings(session, kinds, sorted({term.text for group in groups for term in group}))
    unknown = {group[0].text for group in groups if not any(term.text in known for term in group)}
    if not 0 < len(unknown) <= MOST_SLIPS:
        return None
    close = {word: variants(word) & rows.beginnings(variants(word)) for word in unknown}
    if older := {word for word, alike in close.items() if not alike}:
        begun = _beginnings(session, kinds, [text for word in sorted(older) for text in sorted(variants(word))])
        close |= {word: variants(word) & begun for word in older}
    meant = tuple(
        tuple(SearchTerm(text) for text in sorted(close[group[0].text])) if group[0].text in unknown else group
        for group in question
    )
    return meant if all(meant) else None


def _beginnings(session: Session, kinds: Kinds, texts: Sequence[str]) -> set[str]:
    """Those of the texts that words of these kinds begin with."""
    if _is_sqlite(session):
        listed: Any = func.json_each(json.dumps(texts)).table_valued(column("value"))
        words = literal('"') + listed.c.value + literal('"*')
        anywhere: Any = exists(
            select(literal_column("1")).select_from(_FTS).where(_FTS.c.search_index.op("MATCH")(words))
        )
    else:
        listed = func.unnest(cast(list(texts), ARRAY(Text))).table_valued(column("value")).render_derived()
        anywhere = true()
    each = [
        exists(select(literal_column("1")).select_from(_index(session)).where(*_begins(session, kind, owner, listed)))
        for kind, owner in kinds.items()
    ]
    # Most texts begin nothing at all: SQLite asks its one index of that first.
    some = case((anywhere, or_(*each)), else_=false())
    return set(session.connection().execute(select(listed.c.value).where(some)).scalars())


def _begins(session: Session, kind: SearchKind, owner: int | None, listed: Any) -> list[ColumnElement[bool]]:
    """The conditions that a row of the kind has a word that begins with the text of a list."""
    if _is_sqlite(session):
        words = literal(f'"{owner_mark(kind, owner)}" AND "') + listed.c.value + literal('"*')
        return [_FTS.c.search_index.op("MATCH")(words)]
    words = literal(f"'{owner_mark(kind, owner)}' & '") + listed.c.value + literal("':*")
    return [_is_of(kind), _VECTOR.op("@@")(cast(words, TSQUERY))]


def _count(session: Session, kind: SearchKind, question: Question, owner: int | None, rows: NewestRows) -> int:
    """How many rows are asked for, as far as it matters; where the newest hold it often, the rest is not counted."""
    if len(rows.holding(kind, question)) >= OFTEN:
        return MANY + 1
    some: Any = select(literal_column("1")).select_from(_index(session))
    some = some.where(*_asked(session, kind, question, owner, rows)).limit(MANY + 1).subquery()
    return int(session.connection().execute(select(func.count()).select_from(some)).scalar_one())


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _index(session: Session) -> Any:
    return _FTS if _is_sqlite(session) else _ENTRY


def _is_of(kind: SearchKind) -> ColumnElement[bool]:
    """By which PostgreSQL knows the index of the kind."""
    return literal_column(f"(entry & 7) = {kind:d}")


def _entry_number(session: Session) -> ColumnElement[int]:
    return _FTS.c.rowid if _is_sqlite(session) else _ENTRY.c.entry


def _holds(session: Session, kind: SearchKind, row: Any, question: Question) -> ColumnElement[bool]:
    """The words of this very row fulfil the question; asked row by row."""
    same = _ENTRY.c.entry == col(row) * 8 + literal_column(str(int(kind)))
    return exists(select(literal_column("1")).select_from(_ENTRY).where(same, _fulfil(session, question)))


def _fulfil(session: Session, question: Question) -> ColumnElement[bool]:
    """The words of an entry fulfil the question."""
    words, place = literal(" ") + _ENTRY.c.words + literal(" "), func.instr if _is_sqlite(session) else func.strpos
    groups = [or_(*(place(words, _place_of(term)) > 0 for term in group)) for group in question]
    return and_(true(), *groups)


def _asked(
    session: Session, kind: SearchKind, question: Question, owner: int | None, rows: NewestRows
) -> list[ColumnElement[bool]]:
    """That a row of the index fulfils the question: what is rare is asked of the index, the rest of the words of those
    rows. (To ask the index for a beginning costs a little for every row that has it.)"""
    rare = rows.rare(kind, question)
    often = tuple(group for group in question if group not in rare)
    groups = ((SearchTerm(owner_mark(kind, owner), False),), *rare)
    if _is_sqlite(session):
        words = " AND ".join(_either(group, _fts_term, " OR ") for group in groups)
        holds = exists(select(literal_column("1")).where(_ENTRY.c.entry == _FTS.c.rowid, _fulfil(session, often)))
        return [_FTS.c.search_index.op("MATCH")(words), *([holds.correlate(_FTS)] if often else ())]
    words = " & ".join(_either(group, _vector_term, " | ") for group in groups)
    return [_is_of(kind), _VECTOR.op("@@")(cast(words, TSQUERY)), *([_fulfil(session, often)] if often else ())]


def _either(group: Sequence[SearchTerm], spelled: Any, joined: str) -> str:
    return f"({joined.join(map(spelled, group))})" if len(group) > 1 else str(spelled(group[0]))


def _fts_term(term: SearchTerm) -> str:
    return f'"{term.text}"{"*" if term.is_beginning else ""}'


def _vector_term(term: SearchTerm) -> str:
    return f"'{term.text}'{':*' if term.is_beginning else ''}"
