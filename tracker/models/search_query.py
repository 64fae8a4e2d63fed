"""Asking the index of words: which rows of a kind hold what was typed.

A word that thousands of rows hold is not gathered: a list is read in its own order then, and the words of each row are looked at
until the page is full. Which way to go is told by counting the words themselves, without what begins with them: that is quick.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Text,
    and_,
    case,
    cast,
    column,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlmodel import Session, col

from tracker.models.search import WORDS_AS_VECTOR, SearchKind
from tracker.models.search_index import owner_mark
from tracker.runtime.word_search import Question, Term, question_of, variants

MANY = 20_000
"""From so many rows on they are not gathered."""
MOST_SLIPS = 2
"""So many words of a question may be mistyped: for each, hundreds of others are looked for."""
NOTHING = -1
"""The number of no row: read by the key, where a condition that is false might be read by the whole table."""
_INDEXED_BEGINNINGS = (2, 3)
"""SQLite's index has the beginnings of words of these lengths, too."""
_FTS = table("search_index", column("rowid"), column("search_index"))
_ENTRY = table("search_entry", column("entry"), column("words"))
_VECTOR: ColumnElement[Any] = literal_column(WORDS_AS_VECTOR)
Kinds = Mapping[SearchKind, int | None]
"""Each kind with its owner; None where everybody's is looked through."""


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
    own = [] if owner_column is None else [col(owner_column) == owner]
    count = _count(session, kind, question, owner)
    if not count and (meant := _meant(session, question)):
        question, count = meant, _count(session, kind, meant, owner)
    if count > MANY:
        return [*own, _holds(session, kind, row, question)]
    if count:
        # Not by an index of the owner's: that would read all of their rows in the order of the list, to sort nothing.
        own = [] if owner_column is None else [col(owner_column) + 0 == owner]
        number = _entry_number(session).op(">>")(literal_column("3"))
        return [*own, col(row).in_(select(number).where(_asked(session, kind, question, owner)))]
    return [col(row) == NOTHING]


def newest(session: Session, kinds: Kinds, typed: str, each: int) -> dict[SearchKind, list[int]]:
    """The numbers of the newest rows of each kind that hold what was typed, at most so many of each.

    Of kinds in which thousands hold a word, those that hold it as it was typed.
    """
    question = question_of(typed)
    if not question:
        return {}
    if hits := _newest(session, kinds, question, each):
        return hits
    meant = _meant(session, question)
    return _newest(session, kinds, meant, each) if meant else {}


def _newest(session: Session, kinds: Kinds, question: Question, each: int) -> dict[SearchKind, list[int]]:
    many = _with_many(session, kinds, question)
    asked = {kind: _as_words(question) if kind in many else question for kind in kinds}
    number, parts = _entry_number(session), list[Any]()
    for kind, owner in kinds.items():
        part = select(number.label("entry")).where(_asked(session, kind, asked[kind], owner))
        parts.append(select(part.order_by(number.desc()).limit(each).subquery().c.entry))
    ids: dict[SearchKind, list[int]] = {}
    for entry in sorted(session.connection().execute(parts[0].union_all(*parts[1:])).scalars(), reverse=True):
        ids.setdefault(SearchKind(entry & 7), []).append(entry >> 3)
    return ids


def _with_many(session: Session, kinds: Kinds, question: Question) -> set[SearchKind]:
    """The kinds in which so many rows hold each of the words that they are not to be gathered."""
    counts = select(*(_number_of(session, kind, _as_words(question), owner) for kind, owner in kinds.items()))
    row = session.connection().execute(counts).one()
    return {kind for kind, count in zip(kinds, row, strict=True) if count > MANY}


def _meant(session: Session, question: Question) -> Question | None:
    """The question with what may have been meant in place of words that nothing holds; None when there is nothing like them, when
    each word stands somewhere, or when too many stand nowhere."""
    texts = [group[0].text for group in question]
    unknown = set(texts) - _beginnings(session, texts)
    if not 0 < len(unknown) <= MOST_SLIPS:
        return None
    close = _beginnings(session, [text for word in sorted(unknown) for text in sorted(variants(word))])
    meant = tuple(
        tuple(Term(text) for text in sorted(close & variants(group[0].text))) if group[0].text in unknown else group
        for group in question
    )
    return meant if all(meant) else None


def _beginnings(session: Session, texts: Sequence[str]) -> set[str]:
    """Those of the texts that words of the index begin with."""
    if _is_sqlite(session):
        listed = func.json_each(json.dumps(texts)).table_valued(column("value"))
        begins = _FTS.c.search_index.op("MATCH")(literal('"') + listed.c.value + literal('"*'))
        some: Any = select(literal_column("1")).select_from(_FTS).where(begins)
    else:
        listed = func.unnest(cast(list(texts), ARRAY(Text))).table_valued(column("value")).render_derived()
        begins = _VECTOR.op("@@")(cast(literal("'") + listed.c.value + literal("':*"), TSQUERY))
        some = select(literal_column("1")).select_from(_ENTRY).where(begins)
    return set(session.connection().execute(select(listed.c.value).where(exists(some))).scalars())


def _as_words(question: Question) -> Question:
    return tuple(
        tuple(Term(term.text, term.is_beginning and len(term.text) in _INDEXED_BEGINNINGS) for term in group)
        for group in question
    )


def _count(session: Session, kind: SearchKind, question: Question, owner: int | None) -> int:
    """How many rows are asked for, as far as it matters. Those with the very words first: with many of them the rest, which takes
    longer, is not counted."""
    words = select(_number_of(session, kind, _as_words(question), owner).label("n")).subquery()
    rest = _number_of(session, kind, question, owner)
    counted = select(case((words.c.n > MANY, words.c.n), else_=rest))
    return int(session.connection().execute(counted).scalar_one())


def _number_of(session: Session, kind: SearchKind, question: Question, owner: int | None) -> ScalarSelect[int]:
    some: Any = select(literal_column("1")).select_from(_FTS if _is_sqlite(session) else _ENTRY)
    some = some.where(_asked(session, kind, question, owner)).limit(MANY + 1).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _entry_number(session: Session) -> ColumnElement[int]:
    return _FTS.c.rowid if _is_sqlite(session) else _ENTRY.c.entry


def _holds(session: Session, kind: SearchKind, row: Any, question: Question) -> ColumnElement[bool]:
    """The words of this very row fulfil the question; asked row by row."""
    words, place = literal(" ") + _ENTRY.c.words + literal(" "), func.instr if _is_sqlite(session) else func.strpos
    same = _ENTRY.c.entry == col(row) * 8 + literal_column(str(int(kind)))
    groups = [
        or_(*(place(words, f" {term.text}" if term.is_beginning else f" {term.text} ") > 0 for term in group))
        for group in question
    ]
    return exists(select(literal_column("1")).select_from(_ENTRY).where(same, and_(true(), *groups)))


def _asked(session: Session, kind: SearchKind, question: Question, owner: int | None) -> ColumnElement[bool]:
    groups = ((Term(owner_mark(kind, owner), False),), *question)
    if _is_sqlite(session):
        return _FTS.c.search_index.op("MATCH")(" AND ".join(_either(group, _fts_term, " OR ") for group in groups))
    words = " & ".join(_either(group, _vector_term, " | ") for group in groups)
    return _VECTOR.op("@@")(cast(words, TSQUERY))


def _either(group: Sequence[Term], spelled: Any, joined: str) -> str:
    return f"({joined.join(map(spelled, group))})" if len(group) > 1 else str(spelled(group[0]))


def _fts_term(term: Term) -> str:
    return f'"{term.text}"{"*" if term.is_beginning else ""}'


def _vector_term(term: Term) -> str:
    return f"'{term.text}'{':*' if term.is_beginning else ''}"
