"""How many addresses a pool should have. Pure."""

from math import ceil, sqrt

MOST_VISITS = 90_000
BUSY = 2.5
"""The busiest hours have so many times the visits of the day's mean."""
RARELY_SHORT = 2.33
"""Quantile of the normal distribution: in 99 of 100 hours there are enough."""
MOST_SHORT_CODES = 10_000


def pool_size(visits_per_day: int, lease_minutes: int, *, most: int | None = None) -> int:
    """λ = 2.5 · V · L / 24 visitors hold an address at once; λ + 2.33·√λ are enough nearly always."""
    holding = BUSY * visits_per_day * (lease_minutes / 60) / 24
    size = ceil(holding + RARELY_SHORT * sqrt(holding))
    return min(size, most) if most is not None else size
