"""What pydantic refuses, in words for people: one table, for forms and for the API."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tracker.runtime.localized_text import LocalizedError, LocalizedText

THIS = "This "
"""How a sentence of the table begins; the API puts the name of the field in its place."""
_Context = Mapping[str, Any]


def sentence_of(error: Mapping[str, Any]) -> str:
    """What is wrong with the field of one error of pydantic. A validator's own :class:`LocalizedError` keeps its sentence."""
    make = _SENTENCES.get(error["type"])
    return make(error.get("ctx", {})) if make else str(error["msg"])


def sentences_of(errors: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The sentences by the path of the field; an entry of a list is the list's affair."""
    return {".".join(part for part in error["loc"] if isinstance(part, str)): sentence_of(error) for error in errors}


def named(field: str, sentence: str) -> str:
    """The sentence with the field that it is about, in English: what reads it may not see it beside the field."""
    if sentence.startswith(THIS):
        return f"“{field}” {sentence.removeprefix(THIS)}"
    return f"“{field}”: {sentence}"


def _value_error(context: _Context) -> str:
    error = context["error"]
    return error.sentence if isinstance(error, LocalizedError) else str(error)


def _too_many(context: _Context) -> str:
    return LocalizedText("This has more than %(most)s entries.", most=context["max_length"])


def _too_many_characters(context: _Context) -> str:
    return LocalizedText("This is longer than %(most)s characters.", most=context["max_length"])


_WHOLE_NUMBER = LocalizedText("This must be a whole number.")
_OBJECT = LocalizedText("This must be a JSON object.")
_SENTENCES: Mapping[str, Callable[[_Context], str]] = {
    "missing": lambda c: LocalizedText("This is missing."),
    "extra_forbidden": lambda c: LocalizedText(
        "This is not a field of this call. Check its spelling, or leave it out."
    ),
    "string_type": lambda c: LocalizedText("This must be a text."),
    "string_unicode": lambda c: LocalizedText("This holds half a character (a lone surrogate)."),
    "bool_type": lambda c: LocalizedText("This must be true or false."),
    "bool_parsing": lambda c: LocalizedText("This must be true or false."),
    "int_type": lambda c: _WHOLE_NUMBER,
    "int_parsing": lambda c: _WHOLE_NUMBER,
    "int_from_float": lambda c: _WHOLE_NUMBER,
    "int_parsing_size": lambda c: LocalizedText("This is too large a number."),
    "list_type": lambda c: LocalizedText("This must be a list."),
    "dict_type": lambda c: _OBJECT,
    "model_type": lambda c: _OBJECT,
    "model_attributes_type": lambda c: _OBJECT,
    "literal_error": lambda c: LocalizedText("This must be one of %(choices)s.", choices=c["expected"]),
    "greater_than_equal": lambda c: LocalizedText("This must be %(least)s or more.", least=c["ge"]),
    "less_than_equal": lambda c: LocalizedText("This must be %(most)s or less.", most=c["le"]),
    "string_too_short": lambda c: LocalizedText("This is empty."),
    "string_too_long": _too_many_characters,
    "too_short": lambda c: LocalizedText("This is empty."),
    "too_long": lambda c: _too_many_characters(c) if c["field_type"] == "Value" else _too_many(c),
    "value_error": _value_error,
}
