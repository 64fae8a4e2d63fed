"""Notices: what a mailbox has to tell its person, from the outbox to the bell and, for what needs doing, into the mail.

Whoever finds something out writes a row of :class:`Notice` with it, in one transaction; its key makes it unique. Here these rows
are told once the transaction is over: a new enquiry rings the bell, trouble and recovery also go by mail, where the person has an
account that works. Nothing is mailed to an address that is itself a connected mailbox.
"""

import logging
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, or_
from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from tracker.locale import use_locale
from tracker.mail.account_servers import WaitingSender, submit_from, working_account, working_host
from tracker.mail.canonical import canonical
from tracker.mail.smtp_submission import Outcome
from tracker.models import Account, DeliveryStatus, Letter, Mailbox, Notice, Role, User
from tracker.notifications.notice_letter import MAILED, assigned_words, notice_label, write_notice
from tracker.notifications.notify import add_notice, notify
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown
from tracker.runtime.lease import HeldLease, is_free

log = logging.getLogger(__name__)

LATER = timedelta(minutes=10)
AT_ONCE = 50
"""Notices of one person in one turn."""
MOST_TRIES = 6
"""After so many hand-overs that failed, the bell has to do."""


class _Mail(NamedTuple):
    """What the mail of a notice is written from."""

    person: User
    account: Account
    notice: Notice
    mailbox: Mailbox
    letter: Letter | None


def people_to_tell(session: Session, moment: datetime) -> list[WaitingSender]:
    """Whoever has a notice that is due and that nobody is telling."""
    due = select(Notice.user_id, Notice.tries, Notice.due_at)
    due = due.where(col(Notice.sent_at).is_(None), col(Notice.due_at) <= moment)
    due = due.where(is_free("notice", col(Notice.id), moment)).order_by(col(Notice.due_at))
    # A limit that is never reached: without it SQLite reads all notices there ever were, for the sake of the groups.
    row = due.limit(10**6).subquery().c
    people = columns(row.user_id, working_host(row.user_id), func.max(row.tries), func.min(row.due_at))
    rows = session.connection().execute(people.group_by(row.user_id))
    return [WaitingSender(id_, host or f"none of {id_}", tries > 0, since) for id_, host, tries, since in rows]


def tell_person(context: AppContext, user_id: int | None, shutdown: Shutdown) -> int:
    """Tells one person what is due, the oldest first. Returns how many notices that were."""
    sent = 0
    while sent < AT_ONCE and not shutdown.is_requested and tell_due(context, user_id, shutdown):
        sent += 1
    return sent


def tell_due(context: AppContext, user_id: int | None = None, shutdown: Shutdown | None = None) -> int:
    """Tells one notice that is due, of this person or of anybody. Returns 1 when there was one, else 0. Holds no transaction while
    it is handed over. What a shutdown cuts is due again at once."""
    lease = _claim(context, user_id)
    if lease is None:
        return 0
    try:
        mail = _notify(context, lease)
        if mail is not None:
            outcome = _hand_over(context, mail, shutdown)
            if shutdown is None or not shutdown.is_requested or not outcome.is_deferred:
                _end(context, lease, outcome)
    except Exception as error:  # a mistake in one notice must not hold up the others
        log.exception("notice %s could not be told", lease.subject)
        _end(context, lease, Outcome(DeliveryStatus.DEFERRED, type(error).__name__))
    return 1


def _claim(context: AppContext, user_id: int | None) -> HeldLease | None:
    """The next notice that is due, held so that no other worker tells it too."""
    with context.database.reading() as session:
        if session.exec(_due(now(), user_id)).first() is None:
            return None
    with context.database.session_scope() as session:
        notice = session.exec(_due(now(), user_id).with_for_update(skip_locked=True)).first()
        lease = None if notice is None else context.leases.claim(session, "notice", notice.id)
        if notice is not None and lease is not None:
            notice.tries += 1
        return lease


def _due(moment: datetime, user_id: int | None) -> SelectOfScalar[Notice]:
    """Whoever was given a customer hears of that before the customer's letter, however many workers tell."""
    before = aliased(Notice)
    assigned = (col(before.event) == "customer_assigned", col(before.sent_at).is_(None))
    first = select(before.id).where(before.user_id == Notice.user_id, *assigned, col(before.id) < col(Notice.id))
    due = select(Notice).where(col(Notice.sent_at).is_(None), col(Notice.due_at) <= moment)
    if user_id is not None:
        due = due.where(Notice.user_id == user_id)
    due = due.where(or_(col(Notice.event) != "letter", ~first.correlate(Notice).exists()))
    return due.where(is_free("notice", col(Notice.id), moment)).order_by(col(Notice.due_at), col(Notice.id)).limit(1)


def _notify(context: AppContext, lease: HeldLease) -> _Mail | None:
    """Writes the bell line and, in the same transaction, that it was written. Gives what is left to mail, if anything."""
    with context.database.session_scope() as session:
        if not context.leases.holds(session, lease):
            return None
        notice = session.get_one(Notice, int(lease.subject))
        person = session.get(User, notice.user_id)
        mailbox = session.get(Mailbox, notice.mailbox_id) if notice.mailbox_id else None
        letter = session.get(Letter, notice.letter_id) if notice.letter_id else None
        if person is None or not person.active:
            _redirect(session, notice)
        else:
            if notice.rung_at is None:
                _write_line(session, notice, mailbox, letter)
                notice.rung_at = now()
            account = _account_for(session, notice, person)
            if account is not None and mailbox is not None:
                return _Mail(person, account, notice, mailbox, letter)
        notice.sent_at = now()
        context.leases.release(session, lease)
    return None


def _redirect(session: Session, notice: Notice) -> None:
    """What was meant for somebody who has left goes to the administrators."""
    if notice.event != "letter":
        for admin in admins(session):
            add_notice(session, notice.event, notice.subject, admin, notice.mailbox_id, facts=notice.facts)


def admins(session: Session) -> list[int]:
    people = select(User.id).where(User.role == Role.ADMIN, col(User.active))
    return list(session.exec(people))


def _write_line(session: Session, notice: Notice, mailbox: Mailbox | None, letter: Letter | None) -> None:
    if notice.event == "letter":
        if letter is not None and letter.deleted_at is None and letter.read_at is None:
            kind = str(notice.facts.get("kind", "enquiry"))
            notify(session, notice.user_id, f"letter:{letter.id}", kind, letter.received_at)
    elif notice.event in ("customer_assigned", "enquiry_assigned"):
        _write_assigned(session, notice, letter)
    elif mailbox is not None:
        kind = "problem" if notice.event in ("broken", "broken_long", "problems", "loop", "group_empty") else "mailbox"
        about = ":problems" if notice.event in ("problems", "loop", "group_empty") else ""
        words = notice_label(notice, mailbox, letter)
        notify(session, notice.user_id, f"mailbox:{mailbox.id}{about}", kind, notice.created_at, detail=words)


def _write_assigned(session: Session, notice: Notice, letter: Letter | None) -> None:
    """Whose customer or enquiry it is now: a line that names the sender's address, and is never merged with the letter's."""
    words = assigned_words(session, notice, letter)
    at = letter.received_at if letter is not None else notice.created_at
    notify(session, notice.user_id, f"assigned:{notice.subject}", notice.event, at, detail=words)


def _account_for(session: Session, notice: Notice, person: User) -> Account | None:
    """The account to mail it from; None when the bell is enough, or all there is."""
    if notice.event not in MAILED or notice.tries > MOST_TRIES or is_connected(session, person.email):
        return None
    return working_account(session, person)


def is_connected(session: Session, address: str) -> bool:
    """Whether the address is itself a mailbox that we read: a notice sent there would come back in."""
    same = (Mailbox.canonical == canonical(address, ""), col(Mailbox.removed_at).is_(None))
    return session.exec(select(Mailbox.id).where(*same)).first() is not None


def _hand_over(context: AppContext, mail: _Mail, shutdown: Shutdown | None) -> Outcome:
    with use_locale(mail.person.locale, mail.person.timezone):
        raw = write_notice(context, *mail)
    return submit_from(context, mail.account, mail.person.email, raw, shutdown)


def _end(context: AppContext, lease: HeldLease, outcome: Outcome) -> None:
    """Notes what became of it, unless another worker has taken it over. What was refused for good is not tried again."""
    with context.database.session_scope() as session:
        if context.leases.release(session, lease):
            notice = session.get_one(Notice, int(lease.subject))
            notice.problem = outcome.reply
            if outcome.is_deferred and notice.tries <= MOST_TRIES:
                notice.due_at = now() + LATER * notice.tries
            else:
                notice.sent_at = now()
    if not outcome.is_accepted:
        log.warning("the mail of notice %s was %s", lease.subject, outcome.status)
