"""How warm a person's interest is: what they did with mail of the last days, the newer the warmer. Pure."""

from datetime import datetime, timedelta
from math import log2

HALF_LIFE = timedelta(days=2)
CLICK, OPEN, MOST = 3, 1, 12
"""A click is certain and says more than an open; after so many points more of the same says nothing."""
HOT, WARM = 4.0, 1.5
COLD = 10**6
"""More half-lives than anybody has lived."""


def warmth(opens: int, clicks: int, last: datetime, moment: datetime) -> float:
    """Points, halved every :data:`HALF_LIFE` since the last sign of a person."""
    return float(_points(opens, clicks) * 0.5 ** (max(moment - last, timedelta()) / HALF_LIFE))


def heat(opens: int, clicks: int, last: datetime) -> float:
    """The order of :func:`warmth` without a moment: everybody's interest cools alike. A number that was worked out from the
    moment would differ in its last digits from one page of a list to the next. Below all others, by their last sign, are those
    without points."""
    points, halves = _points(opens, clicks), last.timestamp() / HALF_LIFE.total_seconds()
    return log2(points) + halves if points else halves - COLD


def _points(opens: int, clicks: int) -> float:
    return float(min(opens * OPEN + clicks * CLICK, MOST))


def degree(points: float) -> str:
    """hot, warm or cool."""
    return "hot" if points >= HOT else "warm" if points >= WARM else "cool"
