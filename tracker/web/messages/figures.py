"""What one's mail achieved, in numbers for pictures: how far it came, and at which hours people open and answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlmodel import Session, col

from tracker.models import Delivery, Event, Message, User
from tracker.runtime.database import now

ENOUGH = 20
"""Of fewer a percentage says nothing."""
_Z = 1.96
"""Of the normal distribution, for 95 %."""
MOST_EVENTS = 20_000
"""The newest of a period that the hours are taken from."""
KINDS = ("open", "reply")
CELL, GAP = 20, 2
"""Of the picture of hours, in its own units."""


def interval(part: int, whole: int) -> tuple[float, float]:
    """Between which shares the true one lies in 95 of 100 cases (Wilson's interval), from 0 to 1; all of it for nothing counted."""
    if not whole:
        return 0.0, 1.0
    share, square = part / whole, _Z * _Z
    middle = share + square / (2 * whole)
    reach = _Z * sqrt(share * (1 - share) / whole + square / (4 * whole * whole))
    scale = 1 + square / whole
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


@dataclass(frozen=True)
class Cell:
    """One hour of one weekday (Monday is 0): how often, where it stands, and how strong its colour is, from 0 to 1."""

    weekday: int
    hour: int
    count: int
    x: int
    y: int
    strength: float


@dataclass(frozen=True)
class Hours:
    """Counts by weekday and hour in the reader's zone."""

    counts: Sequence[Sequence[int]]

    @property
    def total(self) -> int:
        return sum(map(sum, self.counts))

    @property
    def width(self) -> int:
        return 24 * CELL

    @property
    def height(self) -> int:
        return 7 * CELL

    def cells(self) -> list[Cell]:
        most = max(map(max, self.counts)) or 1
        return [
            Cell(day, hour, count, hour * CELL, day * CELL, round(count / most, 2))
            for day, hours in enumerate(self.counts)
            for hour, count in enumerate(hours)
        ]

    @property
    def best(self) -> tuple[int, int] | None:
        """Weekday and hour when it happened most; None where too little happened to say so, or as often at another hour."""
        most = max(map(max, self.counts))
        best = [(day, hour) for day in range(7) for hour in range(24) if self.counts[day][hour] == most]
        return best[0] if self.total >= ENOUGH and len(best) == 1 else None


def hours_of(moments: Sequence[datetime], zone: ZoneInfo) -> Hours:
    counts = [[0] * 24 for _ in range(7)]
    for moment in moments:
        local = moment.astimezone(zone)
        counts[local.weekday()][local.hour] += 1
    return Hours(counts)


def read_hours(session: Session, user: User, days: int) -> dict[str, Hours]:
    """When people opened and answered one's mail in the last days, by kind of event."""
    since = now() - timedelta(days=days)
    happened = (
        select(col(Event.kind), col(Event.at))
        .join(Message, col(Message.id) == col(Event.message_id))
        .outerjoin(Delivery, col(Delivery.id) == col(Event.delivery_id))
        .where(
            col(Message.user_id) == user.id,
            col(Message.last_activity_at) >= since,
            col(Event.at) >= since,
            col(Event.kind).in_(KINDS),
            col(Event.counted),
            col(Event.summed) == 0,  # of what is older only the day is left
            func.coalesce(col(Delivery.frozen), False).is_(False),
        )
        .order_by(col(Event.at).desc())
        .limit(MOST_EVENTS)
    )
    moments: dict[str, list[datetime]] = {kind: [] for kind in KINDS}
    for kind, at in session.execute(happened):
        moments[kind].append(at)
    zone = ZoneInfo(user.timezone)
    return {kind: hours_of(those, zone) for kind, those in moments.items()}
