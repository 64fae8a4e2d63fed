"""What all tables have alike."""

import re
import secrets
from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy.orm import declared_attr
from sqlmodel import Field, Session, SQLModel, col, select


def public_id() -> str:
    """64 random bits as 11 characters of base64url: what the outside may see of a row."""
    while (name := secrets.token_urlsafe(8)).startswith("-"):  # it would be taken for an option on the command line
        pass
    return name


class Row(SQLModel):
    """A table is called after its class: ``user_session`` has the rows of ``UserSession``."""

    @declared_attr.directive
    def __tablename__(cls) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


class NumberedRow(Row):
    id: int = Field(default=None, primary_key=True)
    """Not there before the row is flushed."""


Numbered = TypeVar("Numbered", bound=NumberedRow)


class PublicRow(NumberedRow):
    public_id: str = Field(default_factory=public_id, unique=True, max_length=16)


def rows_by_id(session: Session, model: type[Numbered], ids: Iterable[int | None]) -> dict[int, Numbered]:
    """The rows with these numbers, in one query; without any, none is asked."""
    wanted = {id_ for id_ in ids if id_ is not None}
    rows = session.exec(select(model).where(col(model.id).in_(wanted))) if wanted else ()
    return {row.id: row for row in rows}


def public_ids(session: Session, model: type[PublicRow], ids: Iterable[int | None]) -> dict[int | None, str]:
    """The public ids of the rows with these numbers, in one query; without any, none is asked."""
    wanted = {id_ for id_ in ids if id_ is not None}
    query = select(model.id, model.public_id).where(col(model.id).in_(wanted))
    return dict(session.exec(query).all()) if wanted else {}
