"""Reading forms: typed values out, sentences about what does not fit."""

from collections.abc import Collection, Mapping
from functools import cache
from types import MappingProxyType, NoneType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from starlette.datastructures import FormData, UploadFile

from tracker.locale import localize
from tracker.runtime.localized_text import ActionError
from tracker.runtime.password_rules import MAX_PASSWORD
from tracker.users import zone_names
from tracker.web.http.field_errors import sentences_of

Schema = TypeVar("Schema", bound=BaseModel)
FormErrors = dict[str, str]
"""What does not fit, by the name of the field."""


def text(form: FormData, name: str, limit: int = 1000) -> str:
    """A text field without surrounding space; empty when it is not there."""
    value = form.get(name, "")
    return "" if isinstance(value, UploadFile) else value.strip()[:limit]


def secret(form: FormData, name: str) -> str:
    """A password as typed, spaces and all; of a longer one as much as shows that it is too long."""
    value = form.get(name, "")
    return "" if isinstance(value, UploadFile) else value[: MAX_PASSWORD + 1]


def ends_tokens(form: FormData) -> bool:
    """Whether a new password ends the API tokens of before: unless somebody chose to keep them."""
    return text(form, "tokens") != "keep"


def is_checked(form: FormData, name: str) -> bool:
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
    A secret is taken as typed, and left out when empty. ``boxes`` are the tick boxes of the form: absent means not ticked. The
    fields of a nested model ``smtp`` are named ``smtp_host`` and so on. What is no text in ``form`` is taken as it is: so the
    caller gives lists, or None instead of a nested model.

    Raises :class:`ActionError` with a sentence for each field that does not fit, that of ``sentences`` where it has one, by the
    path of the field (``smtp.host``).
    """
    values = {name: form.get(name) == "on" for name in boxes}
    try:
        return schema.model_validate({**_values(schema, form, secrets), **values}, strict=False)
    except ValidationError as error:
        wrong = sentences_of(error.errors(include_url=False))
        raise ActionError.of_fields({name: sentences.get(name, text) for name, text in wrong.items()}) from None


def errors_of(error: ActionError) -> FormErrors:
    """What does not fit, in the reader's language, by the names of the form; ``form`` is for what is about none of its fields."""
    return {
        field.replace(".", "_") or "form": localize(text)
        for field, text in (error.fields or {"": error.sentence}).items()
    }


def _values(
    schema: type[BaseModel], form: Mapping[str, Any], secrets: Collection[str], prefix: str = ""
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in schema.model_fields.items():
        key, model = prefix + name, _model_of(field)
        value = form.get(key)
        if key in form and not isinstance(value, str | UploadFile):
            values[name] = value
        elif model is not None:
            nested = _values(model, form, secrets, f"{key}_")
            values |= {name: nested} if nested or key in form else {}
        elif isinstance(value, str):
            values |= _value(name, value, field, name in secrets)
    return values


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    parts = get_args(field.annotation) or (field.annotation,)
    return next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)


def _value(name: str, value: str, field: FieldInfo, is_secret: bool) -> dict[str, Any]:
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
