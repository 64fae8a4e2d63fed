"""Conditions of a source of one's own, checked before they are kept: two levels of all and any. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from pixel.source_conditions import FIELDS, OPERATORS
from tracker.runtime.localized_text import ActionError, LocalizedText

MOST = 100
LONGEST = 500
_SLOW = re.compile(r"\([^()]*[+*][^()]*\)[+*]|\{\d{3,}")


def checked_conditions(made: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The conditions with nothing in them but what is known. Raises :class:`ActionError` at ``conditions``."""
    return _group(made, 1) if made else None


def slow_patterns(made: Mapping[str, Any] | None) -> list[str]:
    """Regular expressions that would take for ever in many programs; here they are only read by an engine that cannot be slow."""
    if not made:
        return []
    if "field" in made:
        return [made["value"]] if made["operator"] == "regex" and _SLOW.search(made["value"]) else []
    return [slow for parts in made.values() for part in parts for slow in slow_patterns(part)]


def _refuse(sentence: LocalizedText) -> ActionError:
    return ActionError("invalid", sentence, "conditions")


def _group(made: Mapping[str, Any], level: int) -> dict[str, Any]:
    if len(made) != 1 or next(iter(made)) not in ("all", "any") or level > 2:
        raise _refuse(
            LocalizedText("Conditions are “all” or “any” of a list, and inside it one more level of the same.")
        )
    ((name, parts),) = made.items()
    if not isinstance(parts, list) or not 1 <= len(parts) <= MOST or not all(isinstance(p, Mapping) for p in parts):
        raise _refuse(LocalizedText("A group of conditions holds 1 to %(most)s conditions.", most=MOST))
    return {name: [_comparison(part) if "field" in part else _group(part, level + 1) for part in parts]}


def _comparison(made: Mapping[str, Any]) -> dict[str, Any]:
    field, operator, value = made.get("field"), made.get("operator"), made.get("value", "")
    if unknown := sorted(set(made) - {"field", "operator", "value"}):
        raise _refuse(LocalizedText("“%(name)s” is nothing that a condition has.", name=str(unknown[0])[:40]))
    if field not in FIELDS:
        known = ", ".join(sorted(FIELDS))
        raise _refuse(
            LocalizedText(
                "“%(name)s” is nothing we know of a visit. These are: %(known)s.", name=str(field)[:40], known=known
            )
        )
    if operator not in OPERATORS:
        known = ", ".join(sorted(OPERATORS))
        raise _refuse(
            LocalizedText("“%(name)s” is no comparison. These are: %(known)s.", name=str(operator)[:40], known=known)
        )
    if operator in ("empty", "not_empty"):
        return {"field": field, "operator": operator, "value": ""}
    if not isinstance(value, str) or not value or len(value) > LONGEST or not value.isprintable():
        raise _refuse(LocalizedText("Say what to compare with, in at most %(most)s characters.", most=LONGEST))
    if operator == "regex" and not _is_pattern(value):
        raise _refuse(
            LocalizedText("“%(value)s” is not a regular expression that can be read (RE2).", value=value[:80])
        )
    return {"field": field, "operator": operator, "value": value}


def _is_pattern(text: str) -> bool:
    import re2  # takes a while to load, and few have such conditions

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error:
        return False
    return True
