"""What a person is told of their sites: once a day and thing, and once when it begins; and of active rules whose mailbox is off, or
whose coverage is low.
"""

from datetime import timedelta

from sqlmodel import Session, col, select

from tracker.models import Mailbox, Notification, SiteBlock, SiteRule, Visit
from tracker.notifications.notify import notify
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import N_, LocalizedText
from tracker.sites.coverage import coverage_of

_AGAIN = timedelta(days=1)


def tell(session: Session, user_id: int, subject: str, sentence: LocalizedText) -> bool:
    """One line of the bell, unless this was told within a day."""
    query = select(Notification.at).where(Notification.user_id == user_id, Notification.subject == subject)
    noticed_at = session.exec(query).first()
    if noticed_at is not None and noticed_at > now() - _AGAIN:
        return False
    notify(session, user_id, subject, "problem", now(), detail=sentence)
    return True


def tell_vanished(session: Session, block: SiteBlock) -> None:
    text = N_(
        "“%(block)s” was not found on any page for a day: its addresses are not swapped. See whether the page has changed."
    )
    tell(session, block.user_id, f"block:{block.id}", LocalizedText(text, block=block.name))


def tell_leaked(session: Session, user_id: int, address: str) -> None:
    text = N_(
        "%(address)s was made for one visitor and many write to it: it has got about. Its letters have no source now."
    )
    tell(session, user_id, f"leaked:{address}"[:64], LocalizedText(text, address=address))


def tell_many_codes(session: Session, user_id: int, sender: str) -> None:
    text = N_("%(sender)s writes to the addresses of many visitors. Such letters have no source.")
    tell(session, user_id, f"codes:{sender}"[:64], LocalizedText(text, sender=sender))


def tell_exhausted(session: Session, rule: SiteRule) -> None:
    text = N_(
        "The rule “%(rule)s” has run out of addresses: some visitors see the page’s own. Add some, or shorten the lease."
    )
    tell(session, rule.user_id, f"pool:{rule.id}", LocalizedText(text, rule=rule.name))


def tell_mailbox_off(session: Session, rule: SiteRule, address: str) -> None:
    text = N_(
        "The mailbox %(address)s is switched off, and the active rule “%(rule)s” needs it: nothing is swapped for it now."
    )
    tell(session, rule.user_id, f"rulebox:{rule.id}", LocalizedText(text, address=address, rule=rule.name))


def tell_coverage(session: Session, rule: SiteRule, coverage: float) -> None:
    percent = round(100 * coverage)
    text = N_("In the rule “%(rule)s” only %(percent)s of 100 visitors see an address of their own. Add addresses.")
    tell(session, rule.user_id, f"coverage:{rule.id}", LocalizedText(text, rule=rule.name, percent=percent))


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
