"""Asking the index of words: which rows of a kind hold what was typed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, cast, column, exists, func, literal_column, select, table
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlmodel import Session, col

from tracker.models.search import WORDS_AS_VECTOR, SearchKind
from tracker.models.search_index import owner_mark
from tracker.runtime.word_search import Question, Term, forgiving, question_of

MANY = 20_000
"""From so many rows on a list is read in its own order and each row asked, instead of gathering them all and sorting."""
NOTHING = -1
"""The number of no row: read by the key, where a condition that is false might be read by the whole table."""
_FTS = table("search_index", column("rowid"), column("search_index"))
_ENTRY = table("search_entry", column("id"), column("words"))


def finds(
    session: Session, kind: SearchKind, row: Any, typed: str, owner: int | None = None, owner_column: Any = None
) -> list[ColumnElement[bool]]:
    """The conditions that the row with the number in ``row`` holds what was typed; none when no word was.

    With an ``owner`` only theirs are looked through; ``owner_column`` is then compared so that the list's own index is read only
    where that is quicker. When nothing holds the words, one slip in each is forgiven.
    """
    question = question_of(typed)
    if not question:
        return [] if not typed.strip() else [col(row) == NOTHING]
    asked = _asked(session, kind, question, owner)
    found = _count(session, asked)
    if not found:
        asked = _asked(session, kind, forgiving(question), owner)
        found = _count(session, asked)
    if not found:
        return [col(row) == NOTHING]
    if found > MANY:
        same = col(row) * 8 + literal_column(str(int(kind)))
        own = [col(owner_column) == owner] if owner_column is not None else []
        return [*own, _is_entry(session, asked, same)]
    ids = select(_entry_column(session).op(">>")(literal_column("3"))).where(asked)
    # Not by an index of the owner's: that would read all of their rows in the order of the list, to sort nothing.
    own = [col(owner_column) + 0 == owner] if owner_column is not None else []
    return [*own, col(row).in_(ids)]


def newest(
    session: Session, kinds: Sequence[tuple[SearchKind, int | None]], typed: str, each: int
) -> dict[SearchKind, list[int]]:
    """The numbers of the newest rows of each kind (with its owner) that hold what was typed, at most so many of each."""
    question = question_of(typed)
    if not question:
        return {}
    return _newest(session, kinds, question, each) or _newest(session, kinds, forgiving(question), each)


def _newest(
    session: Session, kinds: Sequence[tuple[SearchKind, int | None]], question: Question, each: int
) -> dict[SearchKind, list[int]]:
    found: dict[SearchKind, list[int]] = {}
    parts = []
    for kind, owner in kinds:
        number = _entry_column(session)
        query = select(number.label("entry")).where(_asked(session, kind, question, owner))
        parts.append(select(query.order_by(number.desc()).limit(each).subquery().c.entry))
    rows = session.connection().execute(parts[0].union_all(*parts[1:])).scalars()
    for entry in sorted(rows, reverse=True):
        found.setdefault(SearchKind(entry & 7), []).append(entry >> 3)
    return found


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _entry_column(session: Session) -> ColumnElement[int]:
    return _FTS.c.rowid if _is_sqlite(session) else _ENTRY.c.id


def _asked(session: Session, kind: SearchKind, question: Question, owner: int | None) -> ColumnElement[bool]:
    groups = ((Term(owner_mark(kind, owner), False),), *question)
    if _is_sqlite(session):
        return _FTS.c.search_index.op("MATCH")(" AND ".join(_either(group, _fts_term, " OR ") for group in groups))
    words = " & ".join(_either(group, _vector_term, " | ") for group in groups)
    return literal_column(WORDS_AS_VECTOR).op("@@")(cast(words, TSQUERY))


def _either(group: Sequence[Term], spelled: Any, joined: str) -> str:
    return f"({joined.join(map(spelled, group))})" if len(group) > 1 else str(spelled(group[0]))


def _fts_term(term: Term) -> str:
    return f'"{term.text}"{"*" if term.is_beginning else ""}'


def _vector_term(term: Term) -> str:
    return f"'{term.text}'{':*' if term.is_beginning else ''}"


def _count(session: Session, asked: ColumnElement[bool]) -> int:
    some: Any = select(literal_column("1")).select_from(_FTS if _is_sqlite(session) else _ENTRY).where(asked)
    counted = select(func.count()).select_from(some.limit(MANY + 1).subquery())
    return int(session.connection().execute(counted).scalar_one())


def _is_entry(session: Session, asked: ColumnElement[bool], number: ColumnElement[int]) -> ColumnElement[bool]:
    return exists(select(literal_column("1")).where(asked, _entry_column(session) == number))
