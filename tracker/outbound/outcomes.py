"""What became of a copy: written down for its delivery, its message and its account, by whoever still holds it."""

import logging
import time
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, delete, select

from tracker.mail.connections import ConnectError
from tracker.mail.smtp_submission import Outcome, deferred
from tracker.models import Account, Attachment, Delivery, DeliveryStatus, Message, MessageState
from tracker.notifications.notify import announce, notify
from tracker.outbound.accounts import state_after
from tracker.outbound.send_quota import HANDED_OVER, WAITING
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import HeldLease, is_free
from tracker.runtime.limits import MAX_GIVE_UP_HOURS
from tracker.runtime.sentences import Sentence

log = logging.getLogger(__name__)

BACK_OFF = tuple(timedelta(minutes=m) for m in (1, 5, 15, 30, 60, 120, 240))
DEFERRED_TOGETHER = 500
"""Copies of one account that wait together when its server cannot be reached."""
_WRITE_AGAIN = (0.5, 2.0, 8.0, 30.0)
"""Seconds after which what a server said is written once more, when the database is away: said it has only once."""


def is_due_of(account_id: int | None, moment: datetime) -> ColumnElement[bool]:
    """The condition for copies of an account that are to be handed over and that nobody is handing over."""
    of_account = col(Delivery.account_id).is_(None) if account_id is None else col(Delivery.account_id) == account_id
    return of_account & is_due(moment)


def is_due(moment: datetime) -> ColumnElement[bool]:
    """The same for copies of any account."""
    due = (col(Delivery.next_try_at) <= moment) & col(Delivery.status).in_(WAITING)
    return due & is_free(HANDED_OVER, col(Delivery.id), moment)


def note(context: AppContext, lease: HeldLease, outcome: Outcome, problem: ConnectError | None = None) -> None:
    """Writes down what the server said about one copy, at once, so that a crash repeats one copy at most.

    Where another worker has taken the copy over, nothing is written. ``problem`` is what is wrong with the account.
    """
    for pause in (*_WRITE_AGAIN, None):
        try:
            with context.database.session_scope() as session:
                write_outcome(context, session, lease, outcome, problem)
            return
        except DBAPIError as error:
            if pause is None:
                raise
            log.warning("delivery %s: its outcome could not be written: %s", lease.subject, type(error).__name__)
            time.sleep(pause)


def write_outcome(
    context: AppContext, session: Session, lease: HeldLease, outcome: Outcome, problem: ConnectError | None = None
) -> None:
    """The same, once, in a transaction that may do more."""
    if not context.leases.release(session, lease):
        log.warning("delivery %s: another worker has taken it over", lease.subject)
        return
    delivery = session.get(Delivery, int(lease.subject), with_for_update=True)
    if delivery is None:
        return
    _apply(session, delivery, outcome)
    _settle(session, {delivery.message_id})
    if problem is not None:
        _account_broken(session, session.get_one(Account, delivery.account_id), problem)


def defer_account(context: AppContext, account: Account, lease: HeldLease, error: ConnectError) -> None:
    """There is no connection: everything that is due of the account waits, and its person is told once."""
    with context.database.session_scope() as session:
        # The account first, as whoever claims a copy does it.
        account = session.get_one(Account, account.id, with_for_update=True)
        if not context.leases.release(session, lease):
            return
        due = select(Delivery).where(is_due_of(account.id, now())).order_by(col(Delivery.next_try_at))
        rows = session.exec(due.limit(DEFERRED_TOGETHER).with_for_update(skip_locked=True)).all()
        for delivery in rows:
            _apply(session, delivery, deferred(error))
        _settle(session, {delivery.message_id for delivery in rows})
        _account_broken(session, account, error)
    log.warning("account %s: %s", account.public_id, error.code)


def _apply(session: Session, delivery: Delivery, outcome: Outcome) -> None:
    delivery.tries += 1
    delivery.status, delivery.reply = outcome.status, outcome.reply
    delivery.next_try_at = None
    if outcome.status == DeliveryStatus.ACCEPTED:
        delivery.accepted_at = now()
    elif outcome.status == DeliveryStatus.DEFERRED:
        _retry_or_give_up(session, delivery)
    if delivery.status == DeliveryStatus.REJECTED:
        _ring_rejected(session, delivery)
    session.add(delivery)


def _retry_or_give_up(session: Session, delivery: Delivery) -> None:
    message = session.get_one(Message, delivery.message_id)
    since = message.send_at or message.created_at
    if now() - since > timedelta(hours=MAX_GIVE_UP_HOURS):
        delivery.status = DeliveryStatus.REJECTED
        delivery.reply = Sentence(
            "Given up after %(hours)s hours. Last answer: %(said)s", hours=MAX_GIVE_UP_HOURS, said=delivery.reply
        )
    else:
        delivery.next_try_at = now() + BACK_OFF[min(delivery.tries - 1, len(BACK_OFF) - 1)]


def _ring_rejected(session: Session, delivery: Delivery) -> None:
    message = session.get_one(Message, delivery.message_id)
    facts = {"message_id": message.id, "delivery_id": delivery.id, "detail": delivery.reply}
    notify(session, message.user_id, f"delivery:{delivery.id}", "rejected", now(), **facts)


def _settle(session: Session, message_ids: Collection[int]) -> None:
    session.flush()
    for message_id in sorted(message_ids):
        _settle_message(session, session.get_one(Message, message_id, with_for_update=True))


def _settle_message(session: Session, message: Message) -> None:
    """The state of a message follows from its deliveries."""
    counts = dict(
        session.exec(
            select(Delivery.status, func.count())
            .where(Delivery.message_id == message.id)
            .group_by(col(Delivery.status))
        ).all()
    )
    waiting = sum(counts.get(status, 0) for status in WAITING)
    accepted = counts.get(DeliveryStatus.ACCEPTED.value, 0)
    if accepted and message.sent_at is None:
        message.sent_at = message.listed_at = now()
        message.sent_copy = "wanted" if message.sent_copy == "later" else message.sent_copy
        message.sent_copy_at = max(message.sent_copy_at or now(), now())
    if not waiting:
        message.state = MessageState.SENT if accepted else MessageState.FAILED
        session.exec(delete(Attachment).where(col(Attachment.message_id) == message.id))
    session.add(message)
    announce(session, message.user_id, "message", message.public_id)


def _account_broken(session: Session, account: Account, error: ConnectError) -> None:
    state = state_after(error.code == "needs_sign_in")
    if account.state != state or account.state_detail != str(error):
        detail = Sentence("%(address)s: %(problem)s", address=account.address, problem=error.sentence)
        notify(session, account.user_id, f"account:{account.id}", "problem", now(), detail=detail)
    account.state, account.state_detail, account.checked_at = state, error.sentence, now()
    session.add(account)


def account_works(context: AppContext, account_id: int) -> None:
    """Its server has taken a message, or refused it: the account can be used."""
    with context.database.session_scope() as session:
        account = session.get_one(Account, account_id)
        account.state, account.state_detail, account.checked_at = "works", "", now()
        session.add(account)
