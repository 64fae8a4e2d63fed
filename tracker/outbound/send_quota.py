"""How fast one account may send: what its service takes, or what the person set. What is too much waits; nothing is refused."""

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func
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


def hold_quota(session: Session, account: Account) -> Account:
    """The account with its limits as they are now. Until the transaction ends no other worker takes a place of a limited one.

    To be called before anything is written.
    """
    return session.get_one(Account, account.id, with_for_update=True) if any(limits_of(account)) else account


def send_quota(session: Session, account: Account, moment: datetime) -> SendQuota:
    """To be asked while :func:`hold_quota` holds."""
    minute, day = limits_of(account)
    if not minute and not day:
        return SendQuota()
    minute_text = LocalizedText("At most %(count)s messages a minute leave from this address.", count=minute)
    day_text = LocalizedText("At most %(count)s messages a day leave from this address.", count=day)
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


def pause(session: Session, account: Account, moment: datetime, quota: SendQuota) -> None:
    """Nothing of this account is due for a while. Its copies, of which there may be very many, stay as they are."""
    paused = update(Account).where(col(Account.id) == account.id)
    session.exec(paused.values(paused_until=moment + quota.wait, pause_reason=quota.reason))


def is_sending(moment: datetime) -> ColumnElement[bool]:
    """The condition for accounts that are not paused."""
    return func.coalesce(col(Account.paused_until), moment) <= moment


def waits_until(account: Account | None, delivery: Delivery, moment: datetime) -> datetime | None:
    """When the pause ends for which a copy waits; None where it waits for nothing, or for something else."""
    until = account.paused_until if account is not None else None
    if until is None or until <= moment or delivery.status not in WAITING or delivery.next_try_at is None:
        return None
    return until if delivery.next_try_at <= until else None
