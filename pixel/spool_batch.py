"""Hits that go to disk together, and the answers that wait for them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pixel.hits import HitRow


@dataclass(slots=True)
class Entry:
    """A hit, or a draft of one, and who waits for it so many seconds: told once whether it is on disk."""

    hit: Any
    tell: Callable[[bool], None]
    seconds: float
    is_answered: bool = False


@dataclass
class Batch:
    """Hits that go to disk together."""

    entries: list[Entry] = field(default_factory=list)
    overdue: dict[float, asyncio.TimerHandle] = field(default_factory=dict)
    """By the seconds that answers wait."""

    def cancel_timers(self) -> None:
        for timer in self.overdue.values():
            timer.cancel()
        self.overdue.clear()


Completion = Callable[[Sequence[Any]], Sequence[HitRow | None]]
"""Makes hits of the drafts of a batch, in the writing thread; None of one that cannot be made. Never raises."""
