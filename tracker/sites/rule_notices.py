"""What is told of active rules: a mailbox that is switched off, a coverage that is low."""

from datetime import timedelta

from sqlmodel import Session, col, select

from tracker.models import Mailbox, SiteRule, Visit
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.sites.coverage import coverage_of
from tracker.sites.notices import tell_coverage, tell_mailbox_off

LOW = 0.95
LEAST_VISITS = 50
"""Fewer visits in a day say nothing about coverage."""


def tell_of_rules(context: AppContext) -> None:
    """Looks at every active rule; each thing is told once a day."""
    with context.database.reading() as session:
        due = [rule.id for rule in _active(session) if _off(session, rule) or _low_coverage(session, rule) is not None]
    if not due:
        return
    with context.database.session_scope() as session:
        for rule in (active for active in _active(session) if active.id in due):
            for mailbox in _off(session, rule):
                tell_mailbox_off(session, rule, mailbox.address)
            if (coverage := _low_coverage(session, rule)) is not None:
                tell_coverage(session, rule, coverage)


def _active(session: Session) -> list[SiteRule]:
    return list(session.exec(select(SiteRule).where(SiteRule.state == "active", col(SiteRule.removed_at).is_(None))))


def _off(session: Session, rule: SiteRule) -> list[Mailbox]:
    lines = (*rule.static_settings, *rule.external_settings, *rule.dynamic_settings)
    ids = {line["email_account"] for line in lines} - {None}
    rows = session.exec(select(Mailbox).where(Mailbox.user_id == rule.user_id, col(Mailbox.public_id).in_(ids)))
    return [box for box in rows if not box.active or box.removed_at is not None]


def _low_coverage(session: Session, rule: SiteRule) -> float | None:
    """That of the last day, where it is low."""
    if rule.tracking_type != "dynamic":
        return None
    since = now() - timedelta(days=1)
    recent = select(Visit.id).where(Visit.rule_id == rule.id, col(Visit.began_at) >= since).limit(LEAST_VISITS)
    if len(session.exec(recent).all()) < LEAST_VISITS:
        return None
    coverage = coverage_of(session, rule, since)
    return coverage if coverage is not None and coverage < LOW else None
