"""The durable queue: what is due leaves account by account, copy by copy.

Any number of workers may run: a copy is handed over under a lease. A crash between the server's 250 and our commit leads to one
more try with the same Message-ID, never to a lost row.
"""

import logging
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy import select as columns
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from tracker.mail.account_servers import smtp_server
from tracker.mail.connections import ConnectError
from tracker.mail.smtp_submission import OPENING_SECONDS, Outcome, SmtpConnection, deferred, smtp
from tracker.models import Account, Delivery, DeliveryStatus
from tracker.outbound.account_pool import Turn, WaitingAccount, serve_longest_waiting
from tracker.outbound.accounts import TROUBLED
from tracker.outbound.claimed_copies import ClaimedCopies, ClaimedCopy, Composer, is_due_of, is_waiting
from tracker.outbound.outcomes import HandedOver, account_works, defer_account, note
from tracker.outbound.send_quota import is_sending
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Deadline, Shutdown
from tracker.runtime.localized_text import LocalizedText

log = logging.getLogger(__name__)


def send_due(context: AppContext) -> int:
    """One turn of the account whose mail has waited longest. Returns how many copies were tried; 0 means nothing is due."""
    return serve_longest_waiting(context, accounts_due, send_for_account)


def accounts_due(session: Session, moment: datetime) -> list[WaitingAccount]:
    """The accounts that have a copy due and are not paused. Each is looked at, not its copies, of which there may be very many."""
    earliest = session.exec(select(func.min(Delivery.next_try_at)).where(col(Delivery.next_try_at).is_not(None))).one()
    if earliest is None or earliest > moment:
        return []
    due = is_due_of(None, moment)
    orphan = session.exec(select(Delivery.next_try_at).where(due).order_by(col(Delivery.next_try_at)).limit(1)).first()
    waiting = [WaitingAccount(None, 0, "", False, orphan)] if orphan is not None else []
    facts = (col(Account.id), col(Account.user_id), col(Account.smtp_host), col(Account.state), _first_due(moment))
    accounts = columns(*facts).where(is_sending(moment))
    for id_, user_id, host, state, since in session.connection().execute(accounts):
        if since is not None and since <= moment:
            waiting.append(WaitingAccount(id_, user_id, host, state in TROUBLED, since))
    return waiting


def next_due(session: Session) -> datetime | None:
    """When there will be a copy to hand over, as far as is known now: of a paused account not before its pause ends."""
    moment = now()
    waiting = col(Delivery.next_try_at).is_not(None)
    earliest = session.exec(select(func.min(Delivery.next_try_at)).where(waiting)).one()
    if earliest is None or earliest > moment:
        return earliest
    orphan = select(func.min(Delivery.next_try_at)).where(col(Delivery.account_id).is_(None), waiting)
    accounts = columns(col(Account.paused_until), _first_due(moment))
    times = [max(first, until or first) for until, first in session.connection().execute(accounts) if first is not None]
    return min([at for at in (session.exec(orphan).one(),) if at is not None] + times, default=None)


def send_for_account(context: AppContext, account_id: int | None, shutdown: Shutdown) -> int:
    """One turn: so many copies over one connection, each composed when its time has come. Returns how many were tried."""
    with context.database.reading() as session:
        account = session.get(Account, account_id) if account_id is not None else None
    turn = Turn(shutdown)
    with ClaimedCopies(context, account) as claimed:
        if not claimed.claim(turn.left):
            return 0
        if account is None or account.removed_at is not None:
            return _reject(context, claimed)
        try:
            with (
                Deadline(OPENING_SECONDS) as deadline,
                shutdown.watching(deadline),
                smtp(context, smtp_server(context, account), deadline) as connection,
            ):
                _HandOver(context, account, connection, claimed, turn).run()
        except ConnectError as error:
            if not shutdown.is_requested:  # otherwise it was we who cut the connection
                defer_account(context, account, claimed.leases.values(), error)
            return 1
    return turn.done


def _reject(context: AppContext, claimed: ClaimedCopies) -> int:
    text = LocalizedText("That address was removed. Choose another one and send again.")
    copies = claimed.waiting
    notes = [note(HandedOver(context, copy.lease, Outcome(DeliveryStatus.REJECTED, text))) for copy in copies]
    for copy, noted in zip(copies, notes, strict=True):
        noted.result()
        claimed.noted(copy)
    return len(copies)


class _TakenOver(Exception):
    """Another worker hands the copy over: our lease ended while the server took the envelope."""


@dataclass
class _HandOver:
    """What hands the claimed copies of an account over, one after the other on one connection.

    While the outcome of one is written down the next is composed and its envelope handed over; its content leaves once the outcome
    is on disk, so that a crash repeats one copy at most.
    """

    context: AppContext
    account: Account
    connection: SmtpConnection
    claimed: ClaimedCopies
    turn: Turn
    noted: Future[None] | None = None

    def run(self) -> None:
        """Copies are claimed once more when so much time has gone by that consent has to be asked again."""
        try:
            while True:
                with self.context.database.reading() as session:
                    composer = Composer(self.context, session, self.claimed.waiting)
                    while not self.turn.is_over and (copy := self.claimed.take()) is not None:
                        if not self._one(composer, copy):
                            return
                self._wait()
                if self.turn.is_over or not self.claimed.claim(self.turn.left):
                    return
        finally:
            self._wait()

    def _one(self, composer: Composer, claimed: ClaimedCopy) -> bool:
        """From composing a copy to what became of it. False when the connection takes no more."""
        try:
            copy = composer.compose(claimed)
        except SQLAlchemyError:
            raise
        except Exception as error:  # whatever is wrong with one copy, the others go on
            self._note(claimed, _failed(claimed.delivery, error))
            return True
        if copy is None:
            return True
        self.connection.before_content = lambda: self._before_content(claimed)
        try:
            outcome = self.connection.hand_over(self.account.address, claimed.delivery.address, copy.raw)
        except _TakenOver:
            log.warning("delivery %s: another worker has taken it over", claimed.delivery.public_id)
            return False
        except ConnectError as error:
            if not self.turn.shutdown.is_requested:  # otherwise it was we who cut the connection
                self._note(claimed, deferred(error), copy=replace(copy, raw=b""), problem=error)
            return False
        self._note(claimed, outcome, copy=replace(copy, raw=b""))
        if self.account.state != "works":
            self.account = account_works(self.context, self.account)
        return self.connection.is_open

    def _note(self, claimed: ClaimedCopy, outcome: Outcome, **more: Any) -> None:
        self._wait()
        self.noted = note(HandedOver(self.context, claimed.lease, outcome, **more))
        self.claimed.noted(claimed)
        self.turn.done += 1

    def _before_content(self, claimed: ClaimedCopy) -> None:
        """Between envelope and content much time may have gone by."""
        self._wait()
        if not self.claimed.is_ours(claimed):
            raise _TakenOver

    def _wait(self) -> None:
        """Until the outcome of the copy before is on disk."""
        noted, self.noted = self.noted, None
        if noted is not None:
            noted.result()


def _failed(delivery: Delivery, error: Exception) -> Outcome:
    log.error("delivery %s: %s: %s", delivery.public_id, type(error).__name__, error)
    text = LocalizedText("Something went wrong inside Inkling: %(problem)s", problem=type(error).__name__)
    return Outcome(DeliveryStatus.DEFERRED, text)


def _first_due(moment: datetime) -> Any:
    """When the first copy of an account is or was due, as a column of its row.

    Asked so that the index of accounts alone has the order: by that of all copies, which PostgreSQL takes where most are of one
    account, whoever has few is found behind everything that it has.
    """
    of_account = col(Delivery.account_id).between(col(Account.id), col(Account.id)) & is_waiting(moment)
    order = col(Delivery.account_id), col(Delivery.next_try_at)
    first = select(Delivery.next_try_at).where(of_account, col(Delivery.next_try_at).is_not(None)).order_by(*order)
    return first.limit(1).correlate(Account).scalar_subquery()
