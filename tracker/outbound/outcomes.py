"""What became of a copy: written down for its delivery, its message and its account, by whoever still holds it."""

import logging
import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Integer, Row, Table, bindparam, func
from sqlalchemy import select as columns
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, delete, select

from tracker.crm.answers import note_answered
from tracker.mail.connections import ConnectError
from tracker.mail.smtp_submission import Outcome, deferred
from tracker.models import Account, Attachment, Delivery, DeliveryStatus, Message, MessageState
from tracker.notifications.notify import announce, notify
from tracker.notifications.webhooks import emit, is_heard
from tracker.outbound.accounts import state_after
from tracker.outbound.claimed_copies import is_due_of, note_composition
from tracker.outbound.copies import Copy
from tracker.outbound.send_quota import WAITING
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import HeldLease
from tracker.runtime.limits import MAX_GIVE_UP_HOURS
from tracker.runtime.localized_text import LocalizedText

log = logging.getLogger(__name__)

BACK_OFF = tuple(timedelta(minutes=m) for m in (1, 5, 15, 30, 60, 120, 240))
DEFERRED_TOGETHER = 500
"""Copies of one account that wait together when its server cannot be reached."""
_MESSAGE: Table = Message.__table__  # type: ignore[attr-defined]
_OF_MESSAGE = bindparam("of_message", type_=Integer)
_STATE = ("user_id", "public_id", "sent_at", "sent_copy", "sent_copy_at")
_SETTLED = columns(*(_MESSAGE.c[name] for name in _STATE)).where(_MESSAGE.c.id == _OF_MESSAGE).with_for_update()
_CHANGE = _MESSAGE.update().where(_MESSAGE.c.id == _OF_MESSAGE)
_COUNTS = columns(col(Delivery.status), func.count()).where(col(Delivery.message_id) == _OF_MESSAGE)
_COUNTS = _COUNTS.group_by(col(Delivery.status))
_DROP_FILES = delete(Attachment).where(col(Attachment.message_id) == _OF_MESSAGE)
_WRITE_AGAIN = (0.5, 2.0, 8.0, 30.0)
"""Seconds after which what a server said is written once more, when the database is away: said it has only once."""


def note(
    context: AppContext,
    lease: HeldLease,
    outcome: Outcome,
    *,
    copy: Copy | None = None,
    problem: ConnectError | None = None,
) -> None:
    """Writes down what the server said about one copy, at once, so that a crash repeats one copy at most.

    Where another worker has taken the copy over, nothing is written. ``copy`` is what was handed over, and ``problem`` what is
    wrong with the account.
    """
    for pause in (*_WRITE_AGAIN, None):
        try:
            with context.database.session_scope() as session:
                _write_outcome(context, session, lease, outcome, copy, problem)
            return
        except DBAPIError as error:
            if pause is None:
                raise
            log.warning("delivery %s: its outcome could not be written: %s", lease.subject, type(error).__name__)
            time.sleep(pause)


def _write_outcome(
    context: AppContext,
    session: Session,
    lease: HeldLease,
    outcome: Outcome,
    copy: Copy | None,
    problem: ConnectError | None,
) -> None:
    if not context.leases.release(session, lease):
        log.warning("delivery %s: another worker has taken it over", lease.subject)
        return
    delivery = session.get(Delivery, int(lease.subject), with_for_update=True)
    if delivery is None:
        return
    if copy is not None:
        note_composition(session, delivery, copy)
    _apply(session, delivery, outcome)
    _settle(session, {delivery.message_id})
    if problem is not None:
        _account_broken(session, session.get_one(Account, delivery.account_id), problem)


def defer_account(context: AppContext, account: Account, leases: Collection[HeldLease], error: ConnectError) -> None:
    """There is no connection: everything that is due of the account waits, and its person is told once."""
    with context.database.session_scope() as session:
        # The account first, as whoever claims a copy does it.
        account = session.get_one(Account, account.id, with_for_update=True)
        if not sum(context.leases.release(session, lease) for lease in leases):
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
        note_answered(session, delivery)
    elif outcome.status == DeliveryStatus.DEFERRED:
        _retry_or_give_up(session, delivery)
    if delivery.status == DeliveryStatus.REJECTED:
        delivery.rejected_at = now()
        _notify_rejected(session, delivery)
    session.add(delivery)


def _retry_or_give_up(session: Session, delivery: Delivery) -> None:
    message = session.get_one(Message, delivery.message_id)
    since = message.send_at or message.created_at
    if now() - since > timedelta(hours=MAX_GIVE_UP_HOURS):
        delivery.status = DeliveryStatus.REJECTED
        delivery.reply = LocalizedText(
            "Given up after %(hours)s hours. Last answer: %(said)s", hours=MAX_GIVE_UP_HOURS, said=delivery.reply
        )
    else:
        delivery.next_try_at = now() + BACK_OFF[min(delivery.tries - 1, len(BACK_OFF) - 1)]


def _notify_rejected(session: Session, delivery: Delivery) -> None:
    message = session.get_one(Message, delivery.message_id)
    facts = {"message_id": message.id, "delivery_id": delivery.id, "detail": delivery.reply}
    notify(session, message.user_id, f"delivery:{delivery.id}", "rejected", now(), **facts)


def _settle(session: Session, message_ids: Collection[int]) -> None:
    """The state of a message follows from its deliveries."""
    session.flush()
    connection = session.connection()
    for message_id in sorted(message_ids):
        message = connection.execute(_SETTLED, {"of_message": message_id}).one()
        counts = dict(connection.execute(_COUNTS, {"of_message": message_id}).all())
        changes = _changes_of(message, counts)
        if changes:
            connection.execute(_CHANGE, {"of_message": message_id, **changes})
        if "sent_at" in changes and is_heard(session, "message.sent"):
            sent = session.get_one(Message, message_id, populate_existing=True)
            facts = {"id": sent.public_id, "subject": sent.subject, "sent_at": sent.sent_at, "version": 1}
            emit(session, "message.sent", facts, sent.user_id)
        if "state" in changes:
            connection.execute(_DROP_FILES, {"of_message": message_id})
        announce(session, message.user_id, "message", message.public_id)


def _changes_of(message: Row[Any], counts: Mapping[str, int]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    accepted, moment = counts.get(DeliveryStatus.ACCEPTED.value, 0), now()
    if accepted and message.sent_at is None:
        changes["sent_at"] = changes["listed_at"] = moment
        changes["sent_copy"] = "wanted" if message.sent_copy == "later" else message.sent_copy
        changes["sent_copy_at"] = max(message.sent_copy_at or moment, moment)
    if not any(counts.get(status) for status in WAITING):
        changes["state"] = (MessageState.SENT if accepted else MessageState.FAILED).value
    return changes


def _account_broken(session: Session, account: Account, error: ConnectError) -> None:
    state = state_after(error.code == "needs_sign_in")
    if account.state != state or account.state_detail != str(error):
        detail = LocalizedText("%(address)s: %(problem)s", address=account.address, problem=error.sentence)
        notify(session, account.user_id, f"account:{account.id}", "problem", now(), detail=detail)
    account.state, account.state_detail, account.checked_at = state, error.sentence, now()
    session.add(account)


def account_works(context: AppContext, account: Account) -> Account:
    """Its server has taken a message, or refused it: the account can be used."""
    with context.database.session_scope() as session:
        account = session.get_one(Account, account.id)
        account.state, account.state_detail, account.checked_at = "works", "", now()
        session.add(account)
        return account
