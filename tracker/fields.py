"""What the fields of inputs may hold: strict types that no later layer has to doubt. Forms are read by them, too, laxly."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tracker.addresses import normalise
from tracker.sentences import Sentence, Told

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


class Body(BaseModel):
    """What a caller sends: unknown fields are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Shape(BaseModel):
    """What we answer."""

    model_config = ConfigDict(frozen=True)


def _text(text: str) -> str:
    if "\0" in text:
        raise Told(Sentence("A text cannot hold the character NUL."))
    return text


def _line(text: str) -> str:
    if any(ord(c) < 32 or ord(c) in (127, 0x85, 0x2028, 0x2029) for c in text):
        raise Told(Sentence("This must be one line, without control characters."))
    return text.strip()


def _moment(value: Any) -> Any:
    if not isinstance(value, str):
        raise Told(Sentence("A time is a text as in RFC 3339, such as 2026-03-31T09:30:00Z."))
    if not _RFC_3339.fullmatch(value):
        raise Told(Sentence("This is not a time with its zone; write it as 2026-03-31T09:30:00Z (RFC 3339)."))
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Told(Sentence("There is no such time.")) from None


Text = Annotated[str, AfterValidator(_text)]
"""Any text without NUL, which PostgreSQL cannot store."""
Line = Annotated[str, AfterValidator(_line)]
"""One line, trimmed."""
Name = Annotated[str, Field(max_length=200), AfterValidator(_line)]
Address = Annotated[str, AfterValidator(normalise)]
"""An addr-spec, brought to its normal form."""
Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A point of time in RFC 3339 with its zone, as UTC."""
