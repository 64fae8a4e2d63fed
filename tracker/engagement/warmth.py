"""How warm a person's interest is: what they did with mail of the last days, the newer the warmer. Pure."""

from datetime import datetime, timedelta

HALF_LIFE = timedelta(days=2)
CLICK, OPEN, MOST = 3, 1, 12
"""A click is certain and says more than an open; after so many points more of the same says nothing."""
HOT, WARM = 4.0, 1.5


def warmth(opens: int, clicks: int, last: datetime, moment: datetime) -> float:
    """Points, halved every :data:`HALF_LIFE` since the last sign of a person."""
    points = min(opens * OPEN + clicks * CLICK, MOST)
    return float(points * 0.5 ** (max(moment - last, timedelta()) / HALF_LIFE))


def degree(points: float) -> str:
    """hot, warm or cool."""
    return "hot" if points >= HOT else "warm" if points >= WARM else "cool"
