"""A report: a table over a period, and what narrows it. The page, the API and the CSV file show the very same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import col

from tracker.runtime.localized_text import ActionError, LocalizedText

Value = str | int | float | bool | datetime | None
COMPARISONS = ("", "is", "not", "min", "max")
"""What may stand behind a column’s name and a dot; without it a text has the words, and anything else equals them."""
_NO_SUMS = ("senders", "new_senders", "visitors")


@dataclass(frozen=True)
class Period:
    """From a moment on, and until before another; None is without end."""

    since: datetime | None = None
    until: datetime | None = None

    def conditions(self, column: Any) -> list[Any]:
        made = [] if self.since is None else [col(column) >= self.since]
        return made if self.until is None else [*made, col(column) < self.until]


@dataclass
class Report:
    """``columns`` are names of fields; each row and ``totals`` have a value for each. ``distribution`` is of first-answer times."""

    columns: Sequence[str]
    rows: list[dict[str, Value]] = field(default_factory=list)
    totals: dict[str, Value] = field(default_factory=dict)
    distribution: Sequence[int] = ()


def column_of(name: str) -> str:
    """The column that a filter of this name is about; ``in_group`` is the one called ``group``."""
    column = name.partition(".")[0]
    return "group" if column == "in_group" else column


def narrowed(report: Report, filters: Iterable[tuple[str, str]]) -> Report:
    """The rows that fit, in two levels: of several values of one name any, of several names all. ``-`` stands for an empty cell.
    Sums are of these rows, and what is no sum is left out.

    Raises :class:`ActionError` for a column or comparison that is not there, and a bound that is no number.
    """
    groups: dict[str, list[str]] = {}
    for name, value in filters:
        groups.setdefault(name, []).append(value)
    if not groups:
        return report
    for name in groups:
        _check(report, name)
    rows = [row for row in report.rows if all(_fits_any(row, name, values) for name, values in groups.items())]
    return Report(report.columns, rows, {name: _sum(rows, name, value) for name, value in report.totals.items()})


def _check(report: Report, name: str) -> None:
    column, comparison = column_of(name), name.partition(".")[2]
    if column not in report.columns:
        raise ActionError(
            "invalid", LocalizedText("“%(name)s” is no column of this report.", name=column[:40]), name[:40]
        )
    if comparison not in COMPARISONS:
        known = ", ".join(COMPARISONS[1:])
        text = LocalizedText("“%(name)s” is no comparison. These are: %(known)s.", name=comparison[:40], known=known)
        raise ActionError("invalid", text, name[:40])


def _fits_any(row: dict[str, Value], name: str, values: Sequence[str]) -> bool:
    value, comparison = row.get(column_of(name)), name.partition(".")[2]
    if comparison == "not":
        return not any(_fits(value, "is", wanted) for wanted in values)
    return any(_fits(value, comparison, wanted) for wanted in values)


def _fits(value: Value, comparison: str, wanted: str) -> bool:
    if wanted == "-":
        return value in (None, "")
    if value is None:
        return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _compares(
            value, comparison, _number(wanted) if comparison in ("min", "max") else _number_or_none(wanted)
        )
    text = value.isoformat() if isinstance(value, datetime) else str(value).lower()
    return _compares(text, comparison, wanted.lower()) if comparison else wanted.lower() in text.lower()


def _compares(value: Any, comparison: str, wanted: Any) -> bool:
    if comparison == "min":
        return bool(value >= wanted)
    return bool(value <= wanted) if comparison == "max" else bool(value == wanted)


def _number(text: str) -> float:
    number = _number_or_none(text)
    if number is None:
        raise ActionError("invalid", LocalizedText("“%(value)s” is no number.", value=text[:40]), "words")
    return number


def _number_or_none(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def _sum(rows: Sequence[dict[str, Value]], name: str, before: Value) -> Value:
    if type(before) is not int or name in _NO_SUMS or name.endswith("_seconds"):
        return None
    return sum(number for row in rows if isinstance(number := row.get(name), int))
