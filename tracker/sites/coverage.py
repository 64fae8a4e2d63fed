"""How many of a rule's visits had an address of their own."""

from datetime import datetime

from sqlalchemy import case
from sqlmodel import Session, col, func, select

from tracker.models import SiteRule, Visit


def coverage_of(session: Session, rule: SiteRule, since: datetime | None = None) -> float | None:
    """Between 0 and 1, to three places; None while there was no visit. Robots are no visits."""
    covered = func.sum(case((col(Visit.covered), 1), else_=0))
    query = (
        select(func.count(), covered).select_from(Visit).where(Visit.rule_id == rule.id, col(Visit.robot).is_(False))
    )
    visits, shown = session.exec(query if since is None else query.where(col(Visit.began_at) >= since)).one()
    return round((shown or 0) / visits, 3) if visits else None
