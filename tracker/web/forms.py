"""Reading forms: typed values out, sentences about what does not fit."""

from collections.abc import Collection, Mapping
from functools import cache
from types import MappingProxyType, NoneType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from starlette.datastructures import FormData, UploadFile

from tracker.locale import said
from tracker.sentences import ActionError
from tracker.users import MAX_PASSWORD, zone_names
from tracker.web.field_errors import sentences_of

Schema = TypeVar("Schema", bound=BaseModel)
Wrong = dict[str, str]
"""What does not fit, by the name of the field."""


def text(form: FormData, name: str, limit: int = 1000) -> str:
    """A text field without surrounding space; empty when it is not there."""
    value = form.get(name, "")
    return "" if isinstance(value, UploadFile) else value.strip()[:limit]


def secret(form: FormData, name: str) -> str:
    """A password as typed, spaces and all; of a longer one as much as shows that it is too long."""
    value = form.get(name, "")
    return "" if isinstance(value, UploadFile) else value[: MAX_PASSWORD + 1]


def ticked(form: FormData, name: str) -> bool:
    return form.get(name) == "on"


def parse(
    schema: type[Schema],
    form: Mapping[str, Any],
    *,
    boxes: Collection[str] = (),
    secrets: Collection[str] = ("secret", "password"),
    sentences: Mapping[str, str] = MappingProxyType({}),
) -> Schema:
    """The form as the schema that the API takes. Texts are trimmed and converted; what is no field of the schema is passed over.

    What is empty is None where the field may be None, stays an empty text where it is a text, and counts as left out elsewhere.
    A secret is taken as typed, and left out when empty. ``boxes`` are the tick boxes of the form: absent means not ticked. A list
    or a nested model is put into ``form`` by the caller, as :func:`part` gives it.

    Raises :class:`ActionError` with a sentence for each field that does not fit, that of ``sentences`` where it has one. The
    fields of a nested model are named by their path, joined by an underscore.
    """
    values: dict[str, Any] = {name: form.get(name) == "on" for name in boxes}
    for name, field in schema.model_fields.items():
        if name in form and name not in boxes:
            values |= _value(name, form[name], field, name in secrets)
    try:
        return schema.model_validate(values, strict=False)
    except ValidationError as error:
        wrong = sentences_of(error.errors(include_url=False))
        raise ActionError.of_fields({name: sentences.get(name, text) for name, text in wrong.items()}) from None


def part(form: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The fields of a form whose names begin with ``prefix``, without it; empty ones are left out."""
    return {name.removeprefix(prefix): value for name, value in form.items() if name.startswith(prefix) and value}


def wrong_of(error: ActionError) -> Wrong:
    """What does not fit, in the reader's language, to be shown beside the fields; ``form`` is for what is about none of them."""
    return {field or "form": said(text) for field, text in (error.fields or {"": error.sentence}).items()}


def _value(name: str, value: Any, field: FieldInfo, is_secret: bool) -> dict[str, Any]:
    if not isinstance(value, str):
        return {} if isinstance(value, UploadFile) else {name: value}
    if is_secret:
        return {name: value} if value else {}
    if text := value.strip():
        return {name: text}
    if NoneType in get_args(field.annotation):
        return {name: None}
    return {name: ""} if field.annotation is str else {}


@cache
def zones() -> list[tuple[str, str]]:
    """The time zones that people know (those of a region and a city, and UTC), each with how it reads."""
    regions = (
        "Africa/",
        "America/",
        "Antarctica/",
        "Arctic/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    )
    names = sorted(name for name in zone_names() if name.startswith(regions))
    return [(name, name.replace("_", " ")) for name in ("UTC", *names)]
