"""What a person is told of their sites: once a day and thing, and once when it begins."""

from datetime import timedelta

from sqlmodel import Session, select

from tracker.models import Notification, SiteBlock, SiteRule
from tracker.notifications.notify import notify
from tracker.runtime.database import now
from tracker.runtime.localized_text import N_, LocalizedText

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
