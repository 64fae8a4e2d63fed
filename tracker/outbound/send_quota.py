"""How fast one account may send: what its service takes, or what the person set. What is too much waits; nothing is refused."""

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from tracker.models import Account, Delivery, DeliveryStatus
from tracker.outbound.sending_domain.sending_services import sending_of
from tracker.runtime.lease import held_subjects
from tracker.runtime.localized_text import LocalizedText

HANDED_OVER = "delivery"
"""The kind of lease under which one copy is handed over."""
WAITING = (DeliveryStatus.QUEUED.value, DeliveryStatus.DEFERRED.value)
SKEW = timedelta(minutes=1)
"""Clocks of several machines may differ by so much."""
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LEAST_WAIT = timedelta(seconds=1)
UNLIMITED = sys.maxsize


@dataclass(frozen=True)
class SendQuota:
    """How many more copies may leave now: where none may, for how long and why."""

    wait: timedelta = timedelta()
    reason: str = ""
    copies: int = UNLIMITED


def limits_of(account: Account) -> tuple[int, int]:
    """Copies a minute and a day; 0 is no limit. What the person set goes before what is known of the service."""
    usual = sending_of(account.preset)
    minute = usual.per_minute if account.per_minute is None else account.per_minute
    day = usual.per_day if account.per_day is None else account.per_day
    return minute or 0, day or 0


def hold_quota(session: Session, account: Account) -> None:
    """Until the transaction ends no other worker takes a place of a limited account. To be called before anything is written."""
    if any(limits_of(account)):
        session.get_one(Account, account.id, with_for_update=True)


def send_quota(session: Session, account: Account, moment: datetime) -> SendQuota:
    """To be asked while :func:`hold_quota` holds."""
    minute, day = limits_of(account)
    if not minute and not day:
        return SendQuota()
    assert account.id is not None
    minute_text = LocalizedText("Waiting: at most %(count)s messages a minute leave from this address.", count=minute)
    day_text = LocalizedText("Waiting: at most %(count)s messages a day leave from this address.", count=day)
    under_way = _under_way(session, account.id)
    quotas = [
        _quota_within(session, account.id, moment, limit - under_way, span, text)
        for limit, span, text in ((minute, MINUTE, minute_text), (day, DAY, day_text))
        if limit
    ]
    return max(quotas, key=lambda quota: (quota.wait, -quota.copies))


def _under_way(session: Session, account_id: int) -> int:
    """Copies that are being handed over now."""
    held = [int(subject) for subject in held_subjects(session, HANDED_OVER)]
    # Counted here: SQLite would go through everything that the account has sent.
    return list(session.exec(select(Delivery.account_id).where(col(Delivery.id).in_(held)))).count(account_id)


def _quota_within(
    session: Session, account_id: int, moment: datetime, limit: int, span: timedelta, reason: str
) -> SendQuota:
    """What keeps to ``limit`` copies within any ``span``."""
    within = col(Delivery.accepted_at).between(
        moment - span, moment + SKEW
    )  # not what a clock that ran ahead has noted
    sent = (col(Delivery.account_id) == account_id) & within
    used, oldest = session.exec(select(func.count(), func.min(Delivery.accepted_at)).where(sent)).one()
    if used < limit:
        return SendQuota(copies=limit - used)
    return SendQuota(max(LEAST_WAIT, oldest + span - moment) if oldest else LEAST_WAIT, reason, 0)


def defer(session: Session, account: Account, moment: datetime, quota: SendQuota) -> None:
    """What is due of this account waits, in its order, and says why."""
    due = (col(Delivery.account_id) == account.id) & (col(Delivery.next_try_at) <= moment)
    waits = update(Delivery).where(due, col(Delivery.status).in_(WAITING))
    session.exec(waits.values(next_try_at=moment + quota.wait, reply=quota.reason))
