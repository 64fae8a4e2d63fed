"""What is searched for words: mail sent and received, people, customers, orders. One row each with its words.

What was decided here:

* Triggers write down in :class:`SearchChange` whose texts were changed, whoever changed them and however; the transaction that
  changed them indexes them before it commits (:mod:`tracker.models.search_index`); of what the gateway takes in the worker does it
  a moment later. Nothing can be left out, nothing stays behind.
* ``words`` are those of :func:`tracker.runtime.word_search.words_of`, divided by spaces, and marks with an underscore that say what
  the row is and whose. SQLite reads them by an FTS5 table over this one (``search_index``, kept by triggers too), PostgreSQL by a
  GIN index over the words as a ``tsvector``.
"""

from enum import IntEnum

from sqlalchemy import BigInteger, Index, Integer, text
from sqlmodel import Field

from tracker.models.rows import NumberedRow, Row

_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite's own number of a row is what its tables for words know."""
WORDS_AS_VECTOR = "array_to_tsvector(string_to_array(words, ' '))"


class SearchKind(IntEnum):
    """What is found. Its number is part of a row's number and never changes."""

    MESSAGE = 0
    LETTER = 1
    RECIPIENT = 2
    CUSTOMER = 3
    ORDER = 4


class SearchEntry(Row, table=True):
    """``entry`` is the number of the row that is found, times eight, plus its kind."""

    entry: int = Field(primary_key=True, sa_type=_NUMBER, sa_column_kwargs={"autoincrement": False})
    words: str


class SearchChange(NumberedRow, table=True):
    """Something whose texts were changed. Those of before the index was there wait for the worker: not ``fresh``."""

    __table_args__ = (
        Index("ix_search_change_fresh", "id", sqlite_where=text("fresh = 1"), postgresql_where=text("fresh")),
    )

    kind: int
    row_id: int
    fresh: bool = True
