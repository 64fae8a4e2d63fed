"""Sources of one's own: conditions over what is known of a visit, and which source wins. Pure.

The answer is one of: a custom source, a standard one (``std:search/google``), or None for an internal transition, which keeps the
session's source.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pixel.visit_sources import (
    MARKS,
    Arrival,
    Source,
    begins_nothing,
    host_of,
    is_internal,
    search_phrase,
    standard_source,
)

FIELDS = frozenset(
    (
        *MARKS,
        *("referrer", "referrer_domain", "ad_engine", "search_engine", "search_phrase", "channel", "entrance_page"),
        *("country", "region", "city", "device", "language", "internal_transition"),
    )
)
"""What a condition of a custom source may look at."""
OPERATORS = frozenset({"equals", "not_equals", "contains", "not_contains", "empty", "not_empty", "regex"})

Pattern = Callable[[str], bool]
Compile = Callable[[str], Pattern]
"""Makes the test of a regular expression, whatever the case; handed in, so that a hostile one cannot take time (RE2)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison, or several of which all or any must hold."""

    field: str = ""
    operator: str = ""
    value: str = ""
    pattern: Pattern | None = None
    parts: tuple["Condition", ...] = ()
    all: bool = True

    def holds(self, facts: Mapping[str, str]) -> bool:
        if not self.operator:
            return (
                all(part.holds(facts) for part in self.parts) if self.all else any(p.holds(facts) for p in self.parts)
            )
        text = facts.get(self.field, "").lower()
        return _OPERATION[self.operator](text, self)


_OPERATION: Mapping[str, Callable[[str, Condition], bool]] = {
    "equals": lambda text, condition: text == condition.value,
    "not_equals": lambda text, condition: text != condition.value,
    "contains": lambda text, condition: condition.value in text,
    "not_contains": lambda text, condition: condition.value not in text,
    "empty": lambda text, condition: not text,
    "not_empty": lambda text, condition: bool(text),
    "regex": lambda text, condition: condition.pattern is not None and condition.pattern(text),
}


def read_conditions(made: Any, compile_pattern: Compile) -> Condition | None:
    """``{"all": [{"field", "operator", "value"}, {"any": […]}]}`` as a condition; None for none. Raises ValueError."""
    if not made:
        return None
    return _group(made, compile_pattern, 1)


def _group(made: Mapping[str, Any], compile_pattern: Compile, level: int) -> Condition:
    (name, parts), *more = made.items()
    if more or name not in ("all", "any") or level > 2:
        raise ValueError("conditions are two levels of all and any")
    read = [
        _group(part, compile_pattern, level + 1) if "field" not in part else _comparison(part, compile_pattern)
        for part in parts
    ]
    return Condition(parts=tuple(read), all=name == "all")


def _comparison(made: Mapping[str, Any], compile_pattern: Compile) -> Condition:
    field_, operator, written = made["field"], made["operator"], str(made.get("value") or "")
    value = written.lower()
    if field_ not in FIELDS or operator not in OPERATORS:
        raise ValueError(f"no such comparison: {field_} {operator}")
    pattern = compile_pattern(written) if operator == "regex" else None
    return Condition(field=field_, operator=operator, value=value, pattern=pattern)


@dataclass(frozen=True, slots=True)
class CustomSource:
    """A source of one's own. Without conditions it stands for its whole group, or its whole channel."""

    source: Source
    condition: Condition | None = field(default=None)


def source_of(arrival: Arrival, marks: Mapping[str, str], custom: Sequence[CustomSource]) -> Source | None:
    """The first custom source that fits, else the standard one; None for what begins nothing (internal, ignored)."""
    if begins_nothing(arrival):
        return None
    standard = standard_source(arrival, marks)
    if custom:
        facts = facts_of(arrival, marks, standard)
        for each in custom:
            if each.condition is not None and each.condition.holds(facts):
                return each.source
    return standard


def facts_of(arrival: Arrival, marks: Mapping[str, str], standard: Source) -> dict[str, str]:
    """Everything that conditions may look at, by field."""
    channel = standard.channel
    return {
        **marks,
        "referrer": arrival.referrer,
        "referrer_domain": host_of(arrival.referrer),
        "ad_engine": standard.name if channel == "ads" else "",
        "search_engine": standard.name if channel == "search" else "",
        "search_phrase": search_phrase(arrival.referrer),
        "channel": channel,
        "entrance_page": arrival.page,
        "country": arrival.country,
        "region": arrival.region,
        "city": arrival.city,
        "device": arrival.device,
        "language": arrival.language,
        "internal_transition": "yes" if is_internal(arrival.referrer, arrival.hosts) else "",
    }
