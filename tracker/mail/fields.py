"""What the fields of inputs may hold: strict types that no later layer has to doubt. Forms are read by them, too, laxly."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticKnownError

from tracker.mail.addresses import normalise
from tracker.mail.services import PRESETS
from tracker.runtime.localized_text import LocalizedError, LocalizedText

HOST_MISSING = LocalizedText("The name of the server is missing or cannot be used. It looks like mail.example.com.")
_HOST = re.compile(r"[^\s/@\\:\x00-\x20\x7f]{1,255}|\[?[0-9A-Fa-f:.]{2,45}\]?")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


class RequestModel(BaseModel):
    """What a caller sends: unknown fields are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _whole_characters(cls, value: Any) -> Any:
        """Before any other validator: a sentence that quotes half a character could not be written."""
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                _refuse_half_characters(text)
        return value


def _without_defaults(schema: dict[str, Any]) -> None:
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class ChangeModel(RequestModel):
    """What a caller wants changed: what is left out stays (``model_fields_set`` tells), so no default is described."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)


class ResponseModel(BaseModel):
    """What we answer."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def of_row(cls, row: Any, **more: Any) -> Self:
        """The attributes of ``row`` under their own names, its public id as ``id``, and ``more``, which it has not."""
        same = {
            name: row.public_id if name == "id" else getattr(row, name)
            for name in cls.model_fields.keys() - more.keys()
        }
        return cls(**same, **more)


def _refuse_half_characters(text: str) -> None:
    """JSON may hold lone surrogates; pydantic looks for them only where it limits a length."""
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise PydanticKnownError("string_unicode")


def _text(text: str) -> str:
    _refuse_half_characters(text)
    if "\0" in text:
        raise LocalizedError(LocalizedText("A text cannot hold the character NUL."))
    return text


def _is_one_line(text: str) -> bool:
    return not any(ord(c) < 32 or ord(c) in (127, 0x85, 0x2028, 0x2029) for c in text)


def _line(text: str) -> str:
    _refuse_half_characters(text)
    if not _is_one_line(text):
        raise LocalizedError(LocalizedText("This must be one line, without control characters."))
    return text.strip()


def _moment(value: Any) -> Any:
    if not isinstance(value, str):
        raise LocalizedError(LocalizedText("A time is a text as in RFC 3339, such as 2026-03-31T09:30:00Z."))
    if not _RFC_3339.fullmatch(value):
        raise LocalizedError(
            LocalizedText("This is not a time with its zone; write it as 2026-03-31T09:30:00Z (RFC 3339).")
        )
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise LocalizedError(LocalizedText("There is no such time.")) from None


def _host(text: str) -> str:
    host = text.strip().lower()
    if not _HOST.fullmatch(host):
        raise LocalizedError(HOST_MISSING)
    return host


def _secret(text: str) -> str:
    if any(c in text for c in "\0\r\n"):
        raise LocalizedError(LocalizedText("A password cannot hold line breaks."))
    return text


def _preset(name: str) -> str:
    if name not in PRESETS:
        raise LocalizedError(
            LocalizedText("There is no such service. Choose one of %(choices)s.", choices=", ".join(PRESETS))
        )
    return name


Text = Annotated[str, AfterValidator(_text)]
"""Any text without NUL, which PostgreSQL cannot store."""
SingleLine = Annotated[str, AfterValidator(_line)]
"""One line, trimmed."""
Name = Annotated[str, Field(max_length=200), AfterValidator(_line)]
EmailAddress = Annotated[str, AfterValidator(normalise)]
"""An addr-spec, brought to its normal form."""
Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A point of time in RFC 3339 with its zone, as UTC."""
Host = Annotated[str, AfterValidator(_host)]
"""The name or IP address of a server, without scheme or port, in lower case."""
Port = Annotated[int, Field(ge=1, le=65535)]
Security = Literal["tls", "starttls", "none"]
Preset = Annotated[str, AfterValidator(_preset)]
"""The key of a mail service."""
Secret = Annotated[str, AfterValidator(_secret)]
"""A password or token."""


def line_problem(text: str, longest: int, missing: str) -> LocalizedText | None:
    """What is wrong with a name: nothing, too long, or not one line; ``missing`` says that there is none."""
    if not text.strip():
        return LocalizedText(missing)
    if len(text) > longest:
        return LocalizedText("The name is too long. Use %(most)d characters or fewer.", most=longest)
    return None if _is_one_line(text) else LocalizedText("The name must be one line, without control characters.")
