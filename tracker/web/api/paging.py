"""Lists: ``{"items": […], "next": cursor or null}``. A cursor is the place after the last item seen, so that what arrives in
between neither repeats nor hides anything."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import Session
from sqlmodel.sql.expression import SelectOfScalar

from tracker.mail.fields import ResponseModel
from tracker.runtime.paging import PAGE, Cursor, read_page

MOST = 200

T = TypeVar("T")


class Listing(ResponseModel, Generic[T]):
    """One page of a list, and where the next one begins."""

    items: list[T]
    next: str | None = None


class Paged(BaseModel):
    """The query of a list. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MOST, description=f"Items per page, 1 to {MOST}.")] = PAGE
    cursor: Annotated[str | None, Field(description="“next” of the page before.")] = None

    @property
    def after(self) -> Cursor | None:
        """Raises :class:`tracker.runtime.localized_text.ActionError` for a cursor that is not ours."""
        return Cursor.parse(self.cursor) if self.cursor else None


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
    """One page of the rows of ``model`` in ``query``, ordered by the time ``at``, and the next cursor."""
    order = (getattr(model, at), model.id)
    rows, place = read_page(session, query, order, paged.after, paged.limit, newest_first=newest_first)
    return rows, str(Cursor(*place)) if place else None
