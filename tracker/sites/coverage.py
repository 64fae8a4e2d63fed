"""How many of a rule's visits had an address of their own, and how many addresses that takes."""

from datetime import datetime
from math import ceil, sqrt

from sqlalchemy import case
from sqlmodel import Session, col, func, select

from tracker.models import SiteRule, Visit

MOST_VISITS = 90_000
BUSY = 2.5
"""The busiest hours have so many times the visits of the day's mean."""
RARELY_SHORT = 2.33
"""Quantile of the normal distribution: in 99 of 100 hours there are enough."""
MOST_SHORT_CODES = 10_000


def coverage_of(session: Session, rule: SiteRule, since: datetime | None = None) -> float | None:
    """Between 0 and 1, to three places; None while there was no visit. Robots are no visits."""
    covered = func.sum(case((col(Visit.covered), 1), else_=0))
    query = (
        select(func.count(), covered).select_from(Visit).where(Visit.rule_id == rule.id, col(Visit.robot).is_(False))
    )
    visits, shown = session.exec(query if since is None else query.where(col(Visit.began_at) >= since)).one()
    return round((shown or 0) / visits, 3) if visits else None


def pool_size(visits_per_day: int, lease_minutes: int, *, most: int | None = None) -> int:
    """λ = 2.5 · V · L / 24 visitors hold an address at once; λ + 2.33·√λ are enough nearly always."""
    holding = BUSY * visits_per_day * (lease_minutes / 60) / 24
    size = ceil(holding + RARELY_SHORT * sqrt(holding))
    return min(size, most) if most is not None else size
