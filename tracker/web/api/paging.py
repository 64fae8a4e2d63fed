"""Lists: ``{"items": […], "next": cursor or null}``. A cursor is the place after the last item seen, so that what arrives in
between neither repeats nor hides anything."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import and_, or_
from sqlmodel import Session, col
from sqlmodel.sql.expression import SelectOfScalar

from tracker.fields import Shape
from tracker.web.filters import Cursor

MOST = 200
USUAL = 50

T = TypeVar("T")


class Listing(Shape, Generic[T]):
    """One page of a list, and where the next one begins."""

    items: list[T]
    next: str | None = None


class Paged(BaseModel):
    """The query of a list. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MOST, description=f"Items per page, 1 to {MOST}.")] = USUAL
    cursor: Annotated[str | None, Field(description="“next” of the page before.")] = None


PageQuery = Annotated[Paged, Query()]


def page(
    session: Session,
    query: SelectOfScalar[Any],
    model: Any,
    paged: Paged,
    *,
    at: str = "created_at",
    newest_first: bool = True,
) -> tuple[Sequence[Any], str | None]:
    """One page of the rows of ``model`` in ``query``, ordered by the time ``at``, and the next cursor.

    Raises :class:`tracker.web.filters.FilterError` for a cursor that is not ours.
    """
    moment, number = col(getattr(model, at)), col(model.id)
    if paged.cursor:
        place = Cursor.parse(paged.cursor)
        later, same = (moment < place.at, number < place.id) if newest_first else (moment > place.at, number > place.id)
        query = query.where(or_(later, and_(moment == place.at, same)))
    order = (moment.desc(), number.desc()) if newest_first else (moment.asc(), number.asc())
    rows = session.exec(query.order_by(*order).limit(paged.limit + 1)).all()
    return cut(rows, paged.limit, lambda row: Cursor(getattr(row, at), row.id))


def cut(rows: Sequence[T], limit: int, cursor: Callable[[T], Cursor]) -> tuple[Sequence[T], str | None]:
    """A page out of rows of which one more than ``limit`` was asked for."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], str(cursor(rows[limit - 1]))
