"""Lists page by page. A page begins behind the last row seen, so that what arrives in between neither repeats nor hides."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self, TypeVar

from sqlalchemy import Select, literal, select, tuple_
from sqlmodel import Session, col

from tracker.runtime.localized_text import ActionError, LocalizedText

Row = TypeVar("Row")

PAGE = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Cursor(NamedTuple):
    """A place in a list that is ordered by time and number: the last row seen. Its text is what stands in an address."""

    at: datetime
    id: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises :class:`ActionError` ``invalid``."""
        parts = re.fullmatch(r"(\d{1,17})\.(\d{1,18})", text, re.ASCII)
        if not parts:
            sentence = LocalizedText("“cursor” is not one of ours: take it from the previous page as it stands.")
            raise ActionError("invalid", sentence, "cursor")
        return cls(_EPOCH + timedelta(microseconds=int(parts[1])), int(parts[2]))

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}.{self.id}"


def read_page(
    session: Session,
    query: Select[Row],
    order: Sequence[Any],
    after: Sequence[Any] | None = None,
    limit: int = PAGE,
    *,
    newest_first: bool = True,
    key: Any = None,
) -> tuple[Sequence[Row], tuple[Any, ...] | None]:
    """The rows behind ``after``, and the place of the last of them; None when the list ends with it.

    ``order`` are columns that together tell every row from the others; a place is their values. An index over them is read from
    the place on, however deep in the list it lies, and "is there more?" needs no count. With ``key``, the row's number, PostgreSQL
    looks for them in that index alone where it holds all that is asked, and reads no row that is left out.
    """
    page = in_order(query, order, after, newest_first=newest_first).limit(limit + 1)
    if key is not None:
        rows_of = select(query.column_descriptions[0]["entity"])
        page = in_order(rows_of.where(col(key).in_(page.with_only_columns(key))), order, newest_first=newest_first)
    rows = session.scalars(page).all()
    shown = rows[:limit]
    return shown, tuple(getattr(shown[-1], column.key) for column in order) if len(rows) > limit else None


def in_order(
    query: Select[Row], order: Sequence[Any], after: Sequence[Any] | None = None, *, newest_first: bool = True
) -> Select[Row]:
    """The query in this order, from behind a place on."""
    columns: list[Any] = [col(column) for column in order]
    if after is not None:
        here, place = tuple_(*columns), tuple_(*(literal(v, c.type) for v, c in zip(after, columns, strict=True)))
        query = query.where(here < place if newest_first else here > place)
    return query.order_by(*(column.desc() if newest_first else column.asc() for column in columns))
