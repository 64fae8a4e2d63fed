"""Values of which a batch makes a hundred thousand, and numbers that people type."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


def whole_number(text: str, most: int) -> int | None:
    """What somebody typed as a number from 0 to ``most``; None for anything else.

    ``isdigit`` alone takes ``²``, of which ``int`` makes no number, and ``int`` refuses five thousand digits.
    """
    plain = text.strip()
    if not (plain.isascii() and plain.isdigit() and len(plain) <= 18 and int(plain) <= most):
        return None
    return int(plain)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """As ``@dataclass(frozen=True)``, but the type checker alone sees to it that nothing changes.

    A dataclass that guards itself takes four times as long to make: a seventh of all the time that a hit costs.
    """
    return dataclass(unsafe_hash=True)(cls)
