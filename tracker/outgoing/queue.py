"""The durable queue: claims what is due, hands it over copy by copy, notes what the server said.

Any number of workers may run: a delivery is claimed by conditional update. A crash between the server's 250 and our commit
leads to one more try with the same Message-ID, never to a lost row.
"""

import logging
import os
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_
from sqlmodel import Session, col, delete, select, update

from tracker.connect import ConnectError
from tracker.db import now
from tracker.house import House
from tracker.limits import MAX_GIVE_UP_HOURS
from tracker.models import (
    Account,
    Attachment,
    Delivery,
    DeliveryStatus,
    Message,
    MessageBody,
    MessageState,
    TrackedLink,
)
from tracker.notify import announce, notify
from tracker.outgoing.accounts import smtp_server, state_after
from tracker.outgoing.asking import personal_copy
from tracker.outgoing.copies import Copy, make_copy
from tracker.outgoing.footer_words import footer_for
from tracker.outgoing.policy import tighten
from tracker.outgoing.rates import Room, put_off, room
from tracker.preferences import preference
from tracker.sentences import Sentence
from tracker.smtp_submission import Outcome, smtp

log = logging.getLogger(__name__)

WAITING = (DeliveryStatus.QUEUED.value, DeliveryStatus.DEFERRED.value)
LEASE = timedelta(minutes=10)
BATCH = 20
BACK_OFF = tuple(timedelta(minutes=m) for m in (1, 5, 15, 30, 60, 120, 240))


def worker_name() -> str:
    """This process, unique on the network."""
    return f"{socket.gethostname()}:{os.getpid()}"[:64]


def send_due(house: House, worker: str) -> int:
    """Hands over what is due for one account. Returns how many copies were tried; 0 means nothing is due."""
    claimed = _claim(house, worker)
    if not claimed:
        return 0
    account, copies = _compose(house, claimed)
    if account is None:
        _give_back(house, claimed, Sentence("The account was removed. Choose another account and send again."))
        return len(claimed)
    try:
        with smtp(house, smtp_server(house, account)) as line:
            for delivery, copy in copies:
                _note(house, delivery, line.hand_over(account.address, delivery.address, copy.raw), copy)
        _account_works(house, account)
    except ConnectError as error:
        _defer_rest(house, account, [d for d, _ in copies], error)
    return len(claimed)


def _claim(house: House, worker: str) -> list[int]:
    """The ids of due deliveries of one account, now ours for the time of the lease. An account that has sent enough for now is
    put off, and the next one looked at."""
    with house.database.session_scope() as session:
        moment = now()
        while (first := session.exec(_due(moment).limit(1)).first()) is not None:
            account_id = session.exec(select(Message.account_id).where(Message.id == first.message_id)).one()
            found = Room(BATCH) if account_id is None else room(session, account_id, moment, BATCH)
            if found.copies:
                return _claim_of(session, account_id, worker, moment, found.copies)
            assert account_id is not None
            put_off(session, account_id, moment, found)
        return []


def _claim_of(session: Session, account_id: int | None, worker: str, moment: datetime, most: int) -> list[int]:
    of_account = col(Message.account_id).is_not_distinct_from(account_id)
    ids = session.exec(_due_ids(moment).join(Message).where(of_account).limit(most)).all()
    return [id_ for id_ in ids if id_ is not None and _claim_one(session, id_, worker, moment)]


def _is_due(moment: datetime):  # type: ignore[no-untyped-def]
    free = or_(col(Delivery.claimed_until).is_(None), col(Delivery.claimed_until) < moment)
    return col(Delivery.status).in_(WAITING) & (col(Delivery.next_try_at) <= moment) & free


def _due(moment: datetime):  # type: ignore[no-untyped-def]
    return select(Delivery).where(_is_due(moment)).order_by(col(Delivery.next_try_at), col(Delivery.id))


def _due_ids(moment: datetime):  # type: ignore[no-untyped-def]
    return select(Delivery.id).where(_is_due(moment)).order_by(col(Delivery.next_try_at), col(Delivery.id))


def _claim_one(session: Session, id_: int, worker: str, moment: datetime) -> bool:
    claim = (
        update(Delivery)
        .where(col(Delivery.id) == id_, _is_due(moment))
        .values(claimed_by=worker, claimed_until=moment + LEASE)
    )
    return session.exec(claim).rowcount == 1


def release_claims_of_dead(house: House) -> int:
    """At start: gives free what a process of this machine held that no longer lives. Returns how many."""
    host = socket.gethostname()
    with house.database.session_scope() as session:
        holders = session.exec(
            select(Delivery.claimed_by).where(col(Delivery.claimed_by).is_not(None)).distinct()
        ).all()
        dead = [h for h in holders if h and h.startswith(f"{host}:"[:60]) and not _lives(h)]
        free = update(Delivery).where(col(Delivery.claimed_by).in_(dead)).values(claimed_by=None, claimed_until=None)
        return session.exec(free).rowcount if dead else 0


def _lives(worker: str) -> bool:
    try:
        pid = int(worker.rpartition(":")[2])
        os.kill(pid, 0)
        return pid != os.getpid()
    except (ValueError, OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        return True


def _compose(house: House, ids: Sequence[int]) -> tuple[Account | None, list[tuple[Delivery, Copy]]]:
    """The claimed copies as they go out. The policy is tightened by consent as it is now, and then frozen."""
    with house.database.session_scope() as session:
        deliveries = session.exec(select(Delivery).where(col(Delivery.id).in_(ids)).order_by(col(Delivery.id))).all()
        tighten(session, house, deliveries)
        messages = {
            m.id: m
            for m in session.exec(select(Message).where(col(Message.id).in_({d.message_id for d in deliveries})))
        }
        account_id = next(iter(messages.values())).account_id
        account = session.get(Account, account_id) if account_id is not None else None
        if account is None or account.removed_at is not None:
            return None, []
        copies = [(d, _copy_of(house, session, d)) for d in deliveries]
        for message in messages.values():
            _count_tracked(session, message)
        return account, copies


def _copy_of(house: House, session: Session, delivery: Delivery) -> Copy:
    body = session.get_one(MessageBody, delivery.message_id)
    message = session.get_one(Message, delivery.message_id)
    if message.personal_link:
        return Copy(personal_copy(session, house, message, body, delivery))
    links = session.exec(select(TrackedLink).where(TrackedLink.message_id == delivery.message_id)).all()
    hidden_link = bool(preference(session, "hidden_link"))
    copy = make_copy(
        house,
        body.raw or b"",
        delivery,
        links,
        hidden_link=hidden_link,
        footer=lambda html: footer_for(session, house, delivery, html, now().date()),
    )
    body.html_bytes_before, body.html_bytes_after = copy.html_bytes_before, copy.html_bytes_after
    session.add(body)
    if copy.problem:  # tracking may never block a send: the original goes out, and the row says so
        _switch_off(delivery, ("opens", "clicks"), copy.problem)
    elif copy.no_place_for_pixel:
        _switch_off(delivery, ("opens",), "text_only")
    session.add(delivery)
    return copy


def _switch_off(delivery: Delivery, purposes: Sequence[str], rule: str) -> None:
    for purpose in purposes:
        if getattr(delivery, f"{purpose}_on"):
            setattr(delivery, f"{purpose}_on", False)
            setattr(delivery, f"{purpose}_rule", rule)


def _count_tracked(session: Session, message: Message) -> None:
    deliveries = session.exec(select(Delivery).where(Delivery.message_id == message.id)).all()
    message.opens_tracked = sum(d.opens_on for d in deliveries)
    message.clicks_tracked = sum(d.clicks_on for d in deliveries)
    session.add(message)


def _note(house: House, delivery: Delivery, outcome: Outcome, copy: Copy) -> None:
    """Writes down what the server said about one copy: at once, so that a crash repeats one copy at most."""
    with house.database.session_scope() as session:
        fresh = session.get_one(Delivery, delivery.id)
        _apply(session, fresh, outcome)
        session.flush()
        _settle_message(session, session.get_one(Message, fresh.message_id, with_for_update=True))


def _apply(session: Session, delivery: Delivery, outcome: Outcome) -> None:
    delivery.tries += 1
    delivery.claimed_by = delivery.claimed_until = None
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


def _defer_rest(house: House, account: Account, deliveries: Sequence[Delivery], error: ConnectError) -> None:
    """No line: everything not yet noted waits, and the person is told once per account."""
    with house.database.session_scope() as session:
        ids = [d.id for d in deliveries]
        rest = session.exec(
            select(Delivery).where(col(Delivery.id).in_(ids), col(Delivery.claimed_by).is_not(None))
        ).all()
        for delivery in rest:
            _apply(session, delivery, Outcome(DeliveryStatus.DEFERRED, error.sentence))
        session.flush()
        for message_id in {d.message_id for d in rest}:
            _settle_message(session, session.get_one(Message, message_id, with_for_update=True))
        _account_broken(session, account, error)
    log.warning("account %s: %s", account.public_id, error.code)


def _account_broken(session: Session, account: Account, error: ConnectError) -> None:
    row = session.get_one(Account, account.id)
    state = state_after(error.code == "needs_sign_in")
    if row.state != state or row.state_detail != str(error):
        notify(
            session,
            row.user_id,
            f"account:{row.id}",
            "problem",
            now(),
            detail=Sentence("%(address)s: %(problem)s", address=row.address, problem=error.sentence),
        )
    row.state, row.state_detail, row.checked_at = state, error.sentence, now()
    session.add(row)


def _account_works(house: House, account: Account) -> None:
    if account.state == "works":
        return
    with house.database.session_scope() as session:
        row = session.get_one(Account, account.id)
        row.state, row.state_detail, row.checked_at = "works", "", now()
        session.add(row)


def _give_back(house: House, ids: Sequence[int], text: str) -> None:
    with house.database.session_scope() as session:
        deliveries = session.exec(select(Delivery).where(col(Delivery.id).in_(ids))).all()
        for delivery in deliveries:
            _apply(session, delivery, Outcome(DeliveryStatus.REJECTED, text))
        session.flush()
        for message_id in {d.message_id for d in deliveries}:
            _settle_message(session, session.get_one(Message, message_id, with_for_update=True))
