"""Values of which a batch makes a hundred thousand."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """As ``@dataclass(frozen=True)``, but the type checker alone sees to it that nothing changes.

    A dataclass that guards itself takes four times as long to make: a seventh of all the time that a hit costs.
    """
    return dataclass(unsafe_hash=True)(cls)
