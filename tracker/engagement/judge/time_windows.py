"""What happened within so many seconds: stretches of time in an ordered row of hits."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")


def time_windows(ordered: Sequence[T], time: Callable[[T], float], seconds: float) -> Iterator[Sequence[T]]:
    """Every longest run of items whose first and last are at most `seconds` apart; items without a time in none."""
    end = 0
    for start, first in enumerate(ordered):
        reached = end
        while end < len(ordered) and time(ordered[end]) - time(first) <= seconds:
            end += 1
        if end > reached:
            yield ordered[start:end]
        end = max(end, start + 1)


def any_within(moments: Iterable[float], seconds: float) -> bool:
    """Whether two of the moments are at most `seconds` apart; what is no time is near nothing."""
    ordered = sorted(moment for moment in moments if moment == moment)
    return any(later - earlier <= seconds for earlier, later in pairwise(ordered))


MOST_PAIRS = 50
"""An item is paired with so many of those after it: more would say no more, and a flood would cost its square."""


def pairs(ordered: Sequence[T], time: Callable[[T], float], seconds: float) -> Iterator[tuple[T, T]]:
    """Every two items at most `seconds` and `MOST_PAIRS` places apart, the earlier one first."""
    for at, earlier in enumerate(ordered):
        for other in ordered[at + 1 : at + 1 + MOST_PAIRS]:
            if not time(other) - time(earlier) <= seconds:
                break
            yield earlier, other


def nearest(ordered: Sequence[T], moment: float, time: Callable[[T], float]) -> T | None:
    """The item nearest to `moment`; None when there is none."""
    at = bisect_left(ordered, moment, key=time)
    return min(ordered[max(at - 1, 0) : at + 1], key=lambda item: abs(time(item) - moment), default=None)
