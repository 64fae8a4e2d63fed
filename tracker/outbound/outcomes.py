"""What became of a copy: written down for its delivery, its message and its account, by whoever still holds it."""

import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Integer, Row, Table, bindparam, func
from sqlalchemy import select as columns
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, delete, select

from tracker.crm.answers import note_answers
from tracker.mail.connections import ConnectError
from tracker.mail.smtp_submission import Outcome, deferred
from tracker.models import Account, Attachment, Delivery, DeliveryStatus, Message, MessageState
from tracker.notifications.notify import announce, notify
from tracker.notifications.webhooks import emit, is_heard
from tracker.outbound.accounts import state_after
from tracker.outbound.claimed_copies import is_due_of, note_compositions
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
_OF_MESSAGES = bindparam("messages", type_=Integer, expanding=True)
_DELIVERIES = select(Delivery).where(col(Delivery.id).in_(bindparam("deliveries", type_=Integer, expanding=True)))
_DELIVERIES = _DELIVERIES.order_by(col(Delivery.id)).with_for_update()
_STATE = ("id", "user_id", "public_id", "sent_at", "sent_copy", "sent_copy_at")
_SETTLED = columns(*(_MESSAGE.c[name] for name in _STATE)).where(_MESSAGE.c.id.in_(_OF_MESSAGES))
_SETTLED = _SETTLED.order_by(_MESSAGE.c.id).with_for_update()
_CHANGE = _MESSAGE.update().where(_MESSAGE.c.id == bindparam("of_message", type_=Integer))
_COUNTS = columns(col(Delivery.message_id), col(Delivery.status), func.count())
_COUNTS = _COUNTS.where(col(Delivery.message_id).in_(_OF_MESSAGES)).group_by(
    col(Delivery.message_id), col(Delivery.status)
)
_DROP_FILES = delete(Attachment).where(col(Attachment.message_id).in_(_OF_MESSAGES))
_WRITE_AGAIN = (0.5, 2.0, 8.0, 30.0)
"""Seconds after which what a server said is written once more, when the database is away: said it has only once."""


@dataclass(frozen=True)
class HandedOver:
    """What the server said about one copy.

    ``copy`` is what was handed over, without its bytes, and ``problem`` what is wrong with the account.
    """

    context: AppContext
    lease: HeldLease
    outcome: Outcome
    copy: Copy | None = None
    problem: ConnectError | None = None


def note(handed_over: HandedOver) -> Future[None]:
    """Has it written down at once, together with what other accounts have just heard. It is done when it is committed.

    Where another worker has taken the copy over, nothing is written.
    """
    return handed_over.context.database.commit_together(_write_outcomes, handed_over)


def _write_outcomes(group: Sequence[HandedOver]) -> Sequence[None]:
    for pause in (*_WRITE_AGAIN, None):
        try:
            with group[0].context.database.session_scope() as session:
                _write_group(session, group)
            break
        except OperationalError as error:
            if pause is None or len(group) > 1:
                raise
            subject = group[0].lease.subject
            log.warning("delivery %s: its outcome could not be written: %s", subject, type(error).__name__)
            time.sleep(pause)
    return [None] * len(group)


def _write_group(session: Session, group: Sequence[HandedOver]) -> None:
    by_delivery = {int(each.lease.subject): each for each in _still_held(session, group)}
    rows = session.exec(_DELIVERIES, params={"deliveries": list(by_delivery)})
    deliveries = [(row, by_delivery[row.id or 0]) for row in rows]
    note_compositions(session, [(delivery, each.copy) for delivery, each in deliveries if each.copy is not None])
    for delivery, each in deliveries:
        _apply(session, delivery, each.outcome)
    note_answers(session, [delivery for delivery, each in deliveries if each.outcome.is_accepted])
    _settle(session, {delivery.message_id for delivery, _ in deliveries})
    for delivery, each in deliveries:
        if each.problem is not None:
            _account_broken(session, session.get_one(Account, delivery.account_id), each.problem)


def _still_held(session: Session, group: Sequence[HandedOver]) -> list[HandedOver]:
    held = group[0].context.leases.release_many(session, [each.lease for each in group])
    for each in group:
        if each.lease not in held:
            log.warning("delivery %s: another worker has taken it over", each.lease.subject)
    return [each for each in group if each.lease in held]


def defer_account(context: AppContext, account: Account, leases: Collection[HeldLease], error: ConnectError) -> None:
    """There is no connection: everything that is due of the account waits, and its person is told once."""
    with context.database.session_scope() as session:
        # The account first, as whoever claims a copy does it.
        account = session.get_one(Account, account.id, with_for_update=True)
        if not context.leases.release_many(session, leases):
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
    connection, which = session.connection(), {"messages": sorted(message_ids)}
    messages = connection.execute(_SETTLED, which).all()
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for message_id, status, number in connection.execute(_COUNTS, which):
        counts[message_id][status] = number
    changes = {message.id: _changes_of(message, counts[message.id]) for message in messages}
    for rows in _alike([{"of_message": message_id, **change} for message_id, change in changes.items() if change]):
        connection.execute(_CHANGE, rows)
    if sent := [message.id for message in messages if "sent_at" in changes[message.id]]:
        _tell_sent(session, sent)
    if done := [message.id for message in messages if "state" in changes[message.id]]:
        connection.execute(_DROP_FILES, {"messages": done})
    for user_id, theirs in groupby(sorted(messages, key=attrgetter("user_id")), attrgetter("user_id")):
        announce(session, user_id, "message", *(message.public_id for message in theirs))


def _alike(rows: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """The rows with the same columns together: they take one statement."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        alike[tuple(row)].append(row)
    return alike.values()


def _tell_sent(session: Session, message_ids: Sequence[int]) -> None:
    if not is_heard(session, "message.sent"):
        return
    sent = select(Message).where(col(Message.id).in_(message_ids)).order_by(col(Message.id))
    for message in session.exec(sent.execution_options(populate_existing=True)):
        facts = {"id": message.public_id, "subject": message.subject, "sent_at": message.sent_at, "version": 1}
        emit(session, "message.sent", facts, message.user_id)


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
