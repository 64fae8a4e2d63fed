"""What became of a copy: written down for its delivery, its message and its account, by whoever still holds it."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Integer, Table, bindparam, case, literal_column
from sqlalchemy import select as columns
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, delete, select

from tracker.crm.answers import IS_AWAITED, note_answers
from tracker.mail.connections import ConnectError
from tracker.mail.smtp_submission import Outcome, deferred
from tracker.models import Account, Attachment, Delivery, DeliveryStatus, Message, MessageState
from tracker.notifications.notify import announce, notify
from tracker.notifications.webhooks import ENDPOINTS, emit, is_heard, read_endpoints
from tracker.outbound.accounts import state_after
from tracker.outbound.claimed_copies import is_due_of, note_left_out, note_sizes
from tracker.outbound.copies import Copy
from tracker.outbound.send_quota import WAITING
from tracker.runtime.context import AppContext
from tracker.runtime.database import UtcDateTime, now
from tracker.runtime.lease import HeldLease
from tracker.runtime.limits import MAX_GIVE_UP_HOURS
from tracker.runtime.localized_text import LocalizedText

log = logging.getLogger(__name__)

BACK_OFF = tuple(timedelta(minutes=m) for m in (1, 5, 15, 30, 60, 120, 240))
DEFERRED_TOGETHER = 500
"""Copies of one account that wait together when its server cannot be reached."""
_MESSAGE: Table = Message.__table__  # type: ignore[attr-defined]
_DELIVERY: Table = Delivery.__table__  # type: ignore[attr-defined]
_OF_MESSAGES = bindparam("messages", type_=Integer, expanding=True)
_OF_DELIVERIES = bindparam("deliveries", type_=Integer, expanding=True)
_MOMENT = bindparam("moment", type_=UtcDateTime)
_DELIVERIES = select(Delivery).where(col(Delivery.id).in_(_OF_DELIVERIES)).order_by(col(Delivery.id)).with_for_update()
_HOLD_DELIVERIES = columns(_DELIVERY.c.id).where(_DELIVERY.c.id.in_(_OF_DELIVERIES)).order_by(_DELIVERY.c.id)
_HOLD_DELIVERIES = _HOLD_DELIVERIES.with_for_update()
_ACCEPTED = _DELIVERY.update().where(_DELIVERY.c.id.in_(_OF_DELIVERIES))
_ACCEPTED = _ACCEPTED.values(
    status=DeliveryStatus.ACCEPTED.value, reply="", tries=_DELIVERY.c.tries + 1, next_try_at=None, accepted_at=_MOMENT
).returning(*(_DELIVERY.c[name] for name in ("id", "message_id", "recipient_id", "accepted_at")), IS_AWAITED)
_HOLD_MESSAGES = columns(_MESSAGE.c.id).where(_MESSAGE.c.id.in_(_OF_MESSAGES)).order_by(_MESSAGE.c.id).with_for_update()


def _any_copy(*statuses: str) -> ColumnElement[bool]:
    of_message = _DELIVERY.c.message_id == _MESSAGE.c.id
    return columns(_DELIVERY.c.id).where(of_message, _DELIVERY.c.status.in_(statuses)).exists()


_IS_FIRST = _MESSAGE.c.sent_at.is_(None) & _any_copy(DeliveryStatus.ACCEPTED.value)
_LATER = case((_MESSAGE.c.sent_copy_at > _MOMENT, _MESSAGE.c.sent_copy_at), else_=_MOMENT)
_END = case((_any_copy(DeliveryStatus.ACCEPTED.value), MessageState.SENT.value), else_=MessageState.FAILED.value)
# As text: behind RETURNING SQLAlchemy leaves the names of tables out for SQLite.
_HAS_FILES: ColumnElement[bool] = literal_column(
    "EXISTS (SELECT 1 FROM attachment WHERE attachment.message_id = message.id)"
).label("has_files")
_SETTLE = _MESSAGE.update().where(_MESSAGE.c.id.in_(_OF_MESSAGES))
_SETTLE = _SETTLE.values(
    sent_at=case((_IS_FIRST, _MOMENT), else_=_MESSAGE.c.sent_at),
    listed_at=case((_IS_FIRST, _MOMENT), else_=_MESSAGE.c.listed_at),
    sent_copy=case((_IS_FIRST & (_MESSAGE.c.sent_copy == "later"), "wanted"), else_=_MESSAGE.c.sent_copy),
    sent_copy_at=case((_IS_FIRST, _LATER), else_=_MESSAGE.c.sent_copy_at),
    state=case((_any_copy(*WAITING), _MESSAGE.c.state), else_=_END),
).returning(*(_MESSAGE.c[name] for name in ("id", "user_id", "public_id", "state", "sent_at")), _HAS_FILES)
"""The state of a message follows from its copies. What is returned was sent first just now where ``sent_at`` is the moment."""
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

    @property
    def is_usual(self) -> bool:
        """Accepted, with everything in it that was planned."""
        return self.outcome.is_accepted and not self.problem and (self.copy is None or self.copy.is_as_planned)


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
    if not by_delivery:
        return
    _know_endpoints(session, group[0].context)
    usual = [id_ for id_, each in by_delivery.items() if each.is_usual]
    accepted: list[Any] = _accepted(session, usual)
    rows = _others(session, {id_: each for id_, each in by_delivery.items() if not each.is_usual})
    note_sizes(session, [(row.message_id, by_delivery[row.id].copy) for row in [*accepted, *rows]])
    taken = [row for row in rows if by_delivery[row.id].outcome.is_accepted]
    note_answers(session, [*(row for row in accepted if row.is_awaited), *taken])
    _settle(session, {row.message_id for row in [*accepted, *rows]})
    for row in rows:
        if (problem := by_delivery[row.id].problem) is not None:
            _account_broken(session, session.get_one(Account, row.account_id), problem)


def _accepted(session: Session, ids: Sequence[int]) -> list[Any]:
    """What a server took just as it was planned: by one statement, past the ORM."""
    if not ids:
        return []
    connection = session.connection()
    if len(ids) > 1 and connection.dialect.name != "sqlite":  # in one order, as everybody who holds several
        connection.execute(_HOLD_DELIVERIES, {"deliveries": ids})
    return list(connection.execute(_ACCEPTED, {"deliveries": ids, "moment": now()}))


def _others(session: Session, by_delivery: Mapping[int, HandedOver]) -> Sequence[Delivery]:
    if not by_delivery:
        return ()
    rows = session.exec(_DELIVERIES, params={"deliveries": list(by_delivery)}).all()
    composed = [(row, by_delivery[row.id].copy) for row in rows]
    note_left_out(session, [(row, copy) for row, copy in composed if copy is not None])
    for row in rows:
        _apply(session, row, by_delivery[row.id].outcome)
    return rows


def _know_endpoints(session: Session, context: AppContext) -> None:
    """Whoever listens by webhook is remembered: nearly always nobody does."""
    session.info[ENDPOINTS] = context.database.remembered(read_endpoints, None, ("webhook_endpoint", "user_account"))


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
    """The state of messages follows from their deliveries."""
    session.flush()
    connection, which, moment = session.connection(), {"messages": sorted(message_ids)}, now()
    if connection.dialect.name != "sqlite":  # one statement sees what was committed before it began
        connection.execute(_HOLD_MESSAGES, which)
    messages = connection.execute(_SETTLE, {**which, "moment": moment}).all()
    if sent := [message.id for message in messages if message.sent_at == moment]:
        _tell_sent(session, sent)
    ends = (MessageState.SENT, MessageState.FAILED)
    if done := [message.id for message in messages if message.has_files and message.state in ends]:
        connection.execute(_DROP_FILES, {"messages": done})
    for user_id, theirs in groupby(sorted(messages, key=attrgetter("user_id", "id")), attrgetter("user_id")):
        announce(session, user_id, "message", *(message.public_id for message in theirs))


def _tell_sent(session: Session, message_ids: Sequence[int]) -> None:
    if not is_heard(session, "message.sent"):
        return
    sent = select(Message).where(col(Message.id).in_(message_ids)).order_by(col(Message.id))
    for message in session.exec(sent.execution_options(populate_existing=True)):
        facts = {"id": message.public_id, "subject": message.subject, "sent_at": message.sent_at, "version": 1}
        emit(session, "message.sent", facts, message.user_id)


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
