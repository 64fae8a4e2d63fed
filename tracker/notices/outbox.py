"""Notices: what a mailbox has to tell its person, from the outbox to the bell and, for what needs doing, into the mail.

Whoever finds something out writes a row of :class:`Notice` with it, in one transaction; its key makes it unique. Here these rows
are told once the transaction is over: a new enquiry rings the bell, trouble and recovery also go by mail, where the person has an
account that works. Nothing is mailed to an address that is itself a connected mailbox.
"""

import logging
import smtplib
from datetime import datetime, timedelta

from sqlalchemy import or_
from sqlmodel import Session, col, select, update

from tracker.connect import ConnectError, smtp
from tracker.db import now
from tracker.digest import working_account
from tracker.house import House
from tracker.inbound.canonical import canonical
from tracker.locale import speaking
from tracker.models import Account, Letter, Mailbox, Notice, Role, User
from tracker.notices.letter import write_notice
from tracker.notices.words import MAILED, bell_words
from tracker.notify import ring
from tracker.outgoing.accounts import smtp_server

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
LATER = timedelta(minutes=10)
MOST_TRIES = 6
"""After so many hand-overs that failed, the bell has to do."""


def tell_due(house: House) -> int:
    """Tells one notice that is due. Returns 1 when there was one, else 0. Holds no transaction while it is handed over."""
    claimed = _claim(house)
    if claimed is None:
        return 0
    with house.database.session_scope() as session:
        notice = session.get_one(Notice, claimed)
        if _redirected(session, notice):
            return 1
        if notice.tries == 1:
            _ring(session, notice)
        account = _mails_from(session, notice)
        if account is None:
            notice.sent_at = now()
        session.add(notice)
    if account is not None:
        _mail(house, claimed, account)
    return 1


def _claim(house: House) -> int | None:
    """The next notice that is due, held for the time of the lease, so that no other worker tells it too."""
    with house.database.reading() as session:
        if _next(session, now()) is None:
            return None
    with house.database.session_scope() as session:
        moment = now()
        notice = _next(session, moment)
        if notice is None:
            return None
        free = or_(col(Notice.claimed_until).is_(None), col(Notice.claimed_until) < moment)
        claim = update(Notice).where(col(Notice.id) == notice.id, col(Notice.sent_at).is_(None), free)
        held = claim.values(claimed_until=moment + LEASE, tries=Notice.tries + 1)
        return notice.id if session.exec(held).rowcount == 1 else None


def _next(session: Session, moment: datetime) -> Notice | None:
    free = or_(col(Notice.claimed_until).is_(None), col(Notice.claimed_until) < moment)
    due = select(Notice).where(col(Notice.sent_at).is_(None), col(Notice.due_at) <= moment, free)
    return session.exec(due.order_by(col(Notice.due_at), col(Notice.id)).limit(1)).first()


def _redirected(session: Session, notice: Notice) -> bool:
    """What was meant for somebody who has left goes to the administrators."""
    person = session.get(User, notice.user_id)
    if person is not None and person.active:
        return False
    if notice.event != "letter":
        for admin in admins(session):
            add_notice(session, notice.event, notice.subject, admin, notice.mailbox_id, notice.facts)
    notice.sent_at = now()
    session.add(notice)
    return True


def admins(session: Session) -> list[int]:
    people = select(User.id).where(User.role == Role.ADMIN, col(User.active))
    return [id_ for id_ in session.exec(people) if id_ is not None]


def add_notice(
    session: Session, event: str, subject: str, user_id: int, mailbox_id: int | None, facts: dict[str, object]
) -> None:
    """Puts a notice into the outbox unless one of this event, subject and person is there."""
    same = select(Notice.id).where(Notice.event == event, Notice.subject == subject, Notice.user_id == user_id)
    if session.exec(same).first() is None:
        session.add(Notice(event=event, subject=subject, user_id=user_id, mailbox_id=mailbox_id, facts=facts))


def _ring(session: Session, notice: Notice) -> None:
    mailbox = session.get(Mailbox, notice.mailbox_id) if notice.mailbox_id else None
    letter = session.get(Letter, notice.letter_id) if notice.letter_id else None
    if notice.event == "letter":
        if letter is not None and letter.deleted_at is None and letter.read_at is None:
            ring(session, notice.user_id, f"letter:{letter.id}", "enquiry", letter.received_at)
        return
    if mailbox is not None:
        kind, about = ("problem", ":problems") if notice.event in ("problems", "loop") else ("mailbox", "")
        kind = "problem" if notice.event in ("broken", "broken_long") else kind
        words = bell_words(notice, mailbox, letter)
        ring(session, notice.user_id, f"mailbox:{mailbox.id}{about}", kind, notice.created_at, detail=words)


def _mails_from(session: Session, notice: Notice) -> Account | None:
    """The account to mail it from; None when the bell is enough, or all there is."""
    person = session.get_one(User, notice.user_id)
    if notice.event not in MAILED or notice.tries > MOST_TRIES or is_connected(session, person.email):
        return None
    return working_account(session, person)


def is_connected(session: Session, address: str) -> bool:
    """Whether the address is itself a mailbox that we read: a notice sent there would come back in."""
    same = (Mailbox.canonical == canonical(address, ""), col(Mailbox.removed_at).is_(None))
    return session.exec(select(Mailbox.id).where(*same)).first() is not None


def _mail(house: House, notice_id: int, account: Account) -> None:
    with house.database.reading() as session:
        notice = session.get_one(Notice, notice_id)
        person = session.get_one(User, notice.user_id)
        mailbox = session.get(Mailbox, notice.mailbox_id) if notice.mailbox_id else None
        letter = session.get(Letter, notice.letter_id) if notice.letter_id else None
        with speaking(person.locale, person.timezone):
            raw = write_notice(house, person, account, notice, mailbox, letter) if mailbox else None
    problem = _hand_over(house, account, person, raw) if raw else ""
    with house.database.session_scope() as session:
        notice = session.get_one(Notice, notice_id)
        notice.problem, notice.claimed_until = problem, None
        notice.sent_at, notice.due_at = (None, now() + LATER * notice.tries) if problem else (now(), notice.due_at)
        session.add(notice)


def _hand_over(house: House, account: Account, person: User, raw: bytes) -> str:
    """Empty when it was taken, or refused for good."""
    try:
        with smtp(house, smtp_server(house, account)) as line:
            line.sendmail(account.address, [person.email], raw)
        return ""
    except smtplib.SMTPRecipientsRefused:
        return ""
    except (ConnectError, OSError, smtplib.SMTPException) as error:
        log.warning("a notice to %s could not be handed over (%s)", person.public_id, type(error).__name__)
        return error.sentence if isinstance(error, ConnectError) else type(error).__name__
