"""The durable queue: what is due leaves account by account, copy by copy.

Any number of workers may run: a copy is handed over under a lease. A crash between the server's 250 and our commit leads to one
more try with the same Message-ID, never to a lost row.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy import select as columns
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import Session, col, select

from tracker.consent.preferences import preference
from tracker.mail.account_servers import smtp_server
from tracker.mail.connections import ConnectError
from tracker.mail.smtp_submission import OPENING_SECONDS, Outcome, SmtpConnection, deferred, smtp
from tracker.models import Account, Delivery, DeliveryStatus, Message, MessageBody, TrackedLink
from tracker.outbound.account_pool import Turn, WaitingAccount, serve_longest_waiting
from tracker.outbound.accounts import TROUBLED
from tracker.outbound.consent_request import personal_copy
from tracker.outbound.copies import Copy, make_copy
from tracker.outbound.footer_words import footer_for
from tracker.outbound.outcomes import account_works, defer_account, is_due, is_due_of, note, write_outcome
from tracker.outbound.policy import tighten
from tracker.outbound.send_quota import HANDED_OVER, WAITING, defer, hold_quota, send_quota
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Deadline, Shutdown
from tracker.runtime.lease import HeldLease
from tracker.runtime.sentences import Sentence

log = logging.getLogger(__name__)

_CANDIDATES = 5
"""Copies looked at for one that no other worker takes at the same moment."""


@dataclass(frozen=True)
class ClaimedCopy:
    """A copy that is ours to hand over; ``problem`` says why it could not be composed, if so."""

    lease: HeldLease
    address: str
    raw: bytes = b""
    problem: str = ""


def send_due(context: AppContext) -> int:
    """One turn of the account whose mail has waited longest. Returns how many copies were tried; 0 means nothing is due."""
    return serve_longest_waiting(context, accounts_due, send_for_account)


def accounts_due(session: Session, moment: datetime) -> list[WaitingAccount]:
    """The accounts that have a copy due. Each is looked at, not its copies, of which there may be very many."""
    earliest = session.exec(select(func.min(Delivery.next_try_at)).where(col(Delivery.next_try_at).is_not(None))).one()
    if earliest is None or earliest > moment:
        return []
    due = is_due_of(None, moment)
    orphan = session.exec(select(Delivery.next_try_at).where(due).order_by(col(Delivery.next_try_at)).limit(1)).first()
    waiting = [WaitingAccount(None, 0, "", False, orphan)] if orphan is not None else []
    facts = (col(Account.id), col(Account.user_id), col(Account.smtp_host), col(Account.state), _first_due(moment))
    accounts = columns(*facts)
    for id_, user_id, host, state, since in session.connection().execute(accounts):
        if since is not None:
            waiting.append(WaitingAccount(id_, user_id, host, state in TROUBLED, since))
    return waiting


def send_for_account(context: AppContext, account_id: int | None, shutdown: Shutdown) -> int:
    """One turn: so many copies over one connection, each composed when its time has come. Returns how many were tried."""
    with context.database.reading() as session:
        account = session.get(Account, account_id) if account_id is not None else None
    claimed = _claim(context, account)
    if claimed is None:
        return 0
    if account is None or account.removed_at is not None:
        text = Sentence("The account was removed. Choose another account and send again.")
        note(context, claimed.lease, Outcome(DeliveryStatus.REJECTED, text))
        return 1
    try:
        with (
            Deadline(OPENING_SECONDS) as deadline,
            shutdown.watching(deadline),
            smtp(context, smtp_server(context, account), deadline) as connection,
        ):
            return _hand_over_in_turn(context, account, connection, claimed, shutdown)
    except ConnectError as error:
        if shutdown.is_requested:  # it was we who cut the connection
            _give_back(context, claimed)
        else:
            defer_account(context, account, claimed.lease, error)
        return 1
    except BaseException:
        _give_back(context, claimed)
        raise


def _hand_over_in_turn(
    context: AppContext, account: Account, connection: SmtpConnection, first: ClaimedCopy, shutdown: Shutdown
) -> int:
    assert account.id is not None
    claimed: ClaimedCopy | None = first
    works, turn = account.state == "works", Turn(shutdown)
    while claimed is not None:
        outcome, problem = _hand_over(context, account, connection, claimed)
        turn.done += 1
        if problem is not None and shutdown.is_requested:  # it was we who cut the connection
            _give_back(context, claimed)
            break
        if turn.is_over or problem is not None or not connection.is_open:
            note(context, claimed.lease, outcome, problem)
            claimed = None
        else:
            claimed = _note_and_claim(context, account, claimed, outcome)
        if problem is None and not works:
            account_works(context, account.id)
            works = True
    return turn.done


def _hand_over(
    context: AppContext, account: Account, connection: SmtpConnection, claimed: ClaimedCopy
) -> tuple[Outcome, ConnectError | None]:
    """What became of one copy, and what is wrong with the connection, if so."""
    if claimed.problem:
        return Outcome(DeliveryStatus.DEFERRED, claimed.problem), None
    try:
        return connection.hand_over(account.address, claimed.address, claimed.raw), None
    except ConnectError as error:
        return deferred(error), error
    except BaseException:
        _give_back(context, claimed)
        raise


def _note_and_claim(
    context: AppContext, account: Account, claimed: ClaimedCopy, outcome: Outcome
) -> ClaimedCopy | None:
    """Writes one outcome down and takes the next copy, in one transaction: each costs the disk as much as a hand-over does."""
    try:
        with context.database.session_scope() as session:
            hold_quota(session, account)
            write_outcome(context, session, claimed.lease, outcome)
            session.flush()
            return _claim_in(context, session, account)
    except SQLAlchemyError:  # what the server said is written in any case
        note(context, claimed.lease, outcome)
        return None


def _claim(context: AppContext, account: Account | None) -> ClaimedCopy | None:
    """The next copy of the account, as it goes out; None when there is none, or it has sent enough for now."""
    with context.database.session_scope() as session:
        if account is not None:
            hold_quota(session, account)
        return _claim_in(context, session, account)


def _claim_in(context: AppContext, session: Session, account: Account | None) -> ClaimedCopy | None:
    moment, account_id = now(), account.id if account is not None else None
    if account is not None and (quota := send_quota(session, account, moment)).wait:
        defer(session, account, moment, quota)
        return None
    due = select(Delivery.id).where(is_due_of(account_id, moment))
    due = due.order_by(col(Delivery.next_try_at), col(Delivery.id)).limit(_CANDIDATES)
    for id_ in session.exec(due).all():
        if (lease := context.leases.claim(session, HANDED_OVER, id_)) is None:
            continue
        delivery = session.get(Delivery, id_, with_for_update=True)
        if delivery is not None and delivery.status in WAITING and delivery.next_try_at is not None:
            return _composed(context, session, lease, delivery)
        context.leases.release(session, lease)  # somebody has just handed it over, or taken it back
    return None


def _give_back(context: AppContext, claimed: ClaimedCopy) -> None:
    """Others may take it at once, unless it was noted."""
    with suppress(DBAPIError), context.database.session_scope() as session:
        context.leases.release(session, claimed.lease)


def _first_due(moment: datetime) -> Any:
    """When the first copy of an account was due, as a column of its row."""
    of_account = (col(Delivery.account_id) == col(Account.id)) & is_due(moment)
    first = select(Delivery.next_try_at).where(of_account).order_by(col(Delivery.next_try_at)).limit(1)
    return first.correlate(Account).scalar_subquery()


def _composed(context: AppContext, session: Session, lease: HeldLease, delivery: Delivery) -> ClaimedCopy:
    """The copy as it goes out. The policy is tightened by consent as it is now, and then frozen."""
    before = delivery.opens_on, delivery.clicks_on
    try:
        tighten(session, context, [delivery])
        raw = _copy_of(context, session, delivery).raw
        if (delivery.opens_on, delivery.clicks_on) != before:
            _count_tracked(session, delivery.message_id)
        return ClaimedCopy(lease, delivery.address, raw)
    except SQLAlchemyError:
        raise
    except Exception as error:  # whatever is wrong with one copy, the others go on
        log.error("delivery %s: %s: %s", delivery.public_id, type(error).__name__, error)
        text = Sentence("Something went wrong inside Inkling: %(problem)s", problem=type(error).__name__)
        return ClaimedCopy(lease, delivery.address, problem=text)


def _copy_of(context: AppContext, session: Session, delivery: Delivery) -> Copy:
    body = session.get_one(MessageBody, delivery.message_id)
    message = session.get_one(Message, delivery.message_id)
    if message.personal_link:
        return Copy(personal_copy(session, context, message, body, delivery))
    links = session.exec(select(TrackedLink).where(TrackedLink.message_id == delivery.message_id)).all()
    hidden_link = bool(preference(session, "hidden_link"))
    copy = make_copy(
        context,
        body.raw or b"",
        delivery,
        links,
        hidden_link=hidden_link,
        footer=lambda html: footer_for(session, context, delivery, html, now().date()),
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


def _count_tracked(session: Session, message_id: int) -> None:
    session.flush()
    message = session.get_one(Message, message_id)
    deliveries = session.exec(select(Delivery).where(Delivery.message_id == message_id)).all()
    message.opens_tracked = sum(d.opens_on for d in deliveries)
    message.clicks_tracked = sum(d.clicks_on for d in deliveries)
    session.add(message)
