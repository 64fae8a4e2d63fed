"""What all tables have alike."""

import re
import secrets

from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel


def public_id() -> str:
    """64 random bits as 11 characters of base64url: what the outside may see of a row."""
    return secrets.token_urlsafe(8)


class Row(SQLModel):
    """A table is called after its class: ``user_session`` has the rows of ``UserSession``."""

    @declared_attr.directive
    def __tablename__(cls) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


class NumberedRow(Row):
    id: int | None = Field(default=None, primary_key=True)


class PublicRow(NumberedRow):
    public_id: str = Field(default_factory=public_id, unique=True, max_length=16)
