"""How fast one account may send: what its service takes, or what the person set. What is too much waits; nothing is refused."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select, update

from tracker.models import Account, Delivery, DeliveryStatus, Message
from tracker.outgoing.sending_services import sending_of
from tracker.sentences import Sentence

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LEAST_WAIT = timedelta(seconds=1)
WAITING = (DeliveryStatus.QUEUED.value, DeliveryStatus.DEFERRED.value)


@dataclass(frozen=True)
class Room:
    """How many copies may leave now; where that is none, for how long not and why."""

    copies: int
    wait: timedelta = timedelta()
    why: str = ""


def limits_of(account: Account) -> tuple[int, int]:
    """Copies a minute and a day; 0 is no limit. What the person set goes before what is known of the service."""
    usual = sending_of(account.preset)
    minute = usual.per_minute if account.per_minute is None else account.per_minute
    day = usual.per_day if account.per_day is None else account.per_day
    return minute or 0, day or 0


def room(session: Session, account_id: int, moment: datetime, most: int) -> Room:
    """At most ``most``. The account is held until the transaction ends, so that two workers cannot both take the last place."""
    account = session.get_one(Account, account_id)
    minute, day = limits_of(account)
    if not minute and not day:
        return Room(most)
    account = session.get_one(Account, account_id, with_for_update=True, populate_existing=True)
    minute_text = Sentence("Waits: this account sends at most %(count)s messages a minute.", count=minute)
    day_text = Sentence("Waits: this account sends at most %(count)s messages a day.", count=day)
    rooms = [Room(most)]
    for limit, span, why in ((minute, MINUTE, minute_text), (day, DAY, day_text)):
        if limit:
            rooms.append(_within(session, account_id, moment, limit, span, why))
    return min(rooms, key=lambda found: (found.copies, -found.wait))


def _within(session: Session, account_id: int, moment: datetime, limit: int, span: timedelta, why: str) -> Room:
    since = moment - span
    sent = (col(Message.account_id) == account_id) & (col(Delivery.accepted_at) > since)
    used, oldest = session.exec(select(func.count(), func.min(Delivery.accepted_at)).join(Message).where(sent)).one()
    on_the_way = (col(Message.account_id) == account_id) & (col(Delivery.claimed_until) > moment)
    used += session.exec(select(func.count()).select_from(Delivery).join(Message).where(on_the_way)).one()
    if used < limit:
        return Room(limit - used)
    return Room(0, max(LEAST_WAIT, oldest - since) if oldest else LEAST_WAIT, why)


def put_off(session: Session, account_id: int, moment: datetime, found: Room) -> None:
    """What is due of this account waits, in its order, and says why."""
    of_account = select(Message.id).where(Message.account_id == account_id)
    due = col(Delivery.status).in_(WAITING) & (col(Delivery.next_try_at) <= moment)
    waits = update(Delivery).where(due, col(Delivery.message_id).in_(of_account))
    session.exec(waits.values(next_try_at=moment + found.wait, reply=found.why))
