"""What happened within so many seconds: stretches of time in an ordered row of hits."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def stretches(ordered: Sequence[T], time: Callable[[T], float], seconds: float) -> Iterator[Sequence[T]]:
    """Every longest run of items whose first and last are at most `seconds` apart; items without a time in none."""
    end = 0
    for start, first in enumerate(ordered):
        reached = end
        while end < len(ordered) and time(ordered[end]) - time(first) <= seconds:
            end += 1
        if end > reached:
            yield ordered[start:end]
        end = max(end, start + 1)


def pairs(ordered: Sequence[T], time: Callable[[T], float], seconds: float) -> Iterator[tuple[T, T]]:
    """Every two items at most `seconds` apart, the earlier one first."""
    for at, one in enumerate(ordered):
        for other in ordered[at + 1 :]:
            if not time(other) - time(one) <= seconds:
                break
            yield one, other


def nearest(ordered_times: Sequence[float], time: float) -> float:
    """Seconds between `time` and the nearest of the times; infinite when there is none."""
    at = bisect_left(ordered_times, time)
    return min((abs(time - other) for other in ordered_times[max(at - 1, 0) : at + 1]), default=float("inf"))
