"""What turns into a notice only when seen together: the problems of an hour, a mailbox broken for a day."""

from collections import Counter
from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select, update

from tracker.db import now
from tracker.house import House
from tracker.models import Letter, Mailbox, MailboxProblem, Notice
from tracker.notices.outbox import admins
from tracker.notify import add_notice

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
LINKED = 20
"""So many letters are linked in one digest."""
_SILENT = ("customer_not_found", "backfilled", "rebuilt", "loop")
"""Kept with the mailbox, but no trouble that its person could end: nothing is sent about them."""


def gather(house: House) -> int:
    """Writes the notices that are due from what has gathered. Returns 0: there is nothing to do again at once."""
    with house.database.reading() as session:
        wanted = _with_problems(session) + _long_broken(session)
    for mailbox_id in dict.fromkeys(wanted):
        with house.database.session_scope() as session:
            locked = select(Mailbox).where(Mailbox.id == mailbox_id).with_for_update()
            mailbox = session.exec(locked).one()
            _digest(session, mailbox, now())
            _tell_admins(session, mailbox, now())
    return 0


def _with_problems(session: Session) -> list[int]:
    untold = select(MailboxProblem.mailbox_id).where(col(MailboxProblem.told_at).is_(None)).distinct()
    return list(session.exec(untold))


def _long_broken(session: Session) -> list[int]:
    told = select(Notice.id).where(Notice.event == "broken_long", Notice.mailbox_id == Mailbox.id)
    told = told.where(col(Notice.created_at) >= col(Mailbox.broken_at)).correlate(Mailbox)
    long = (col(Mailbox.removed_at).is_(None), col(Mailbox.broken_at) <= now() - DAY)
    return [id_ for id_ in session.exec(select(Mailbox.id).where(*long, ~told.exists())) if id_ is not None]


def _digest(session: Session, mailbox: Mailbox, moment: datetime) -> None:
    """One an hour and mailbox; what comes meanwhile waits for the next."""
    before = select(func.max(Notice.created_at)).where(Notice.event == "problems", Notice.mailbox_id == mailbox.id)
    last = session.exec(before).one()
    if last is not None and last > moment - HOUR:
        return
    untold = (col(MailboxProblem.mailbox_id) == mailbox.id, col(MailboxProblem.told_at).is_(None))
    problems = session.exec(select(MailboxProblem).where(*untold).order_by(col(MailboxProblem.id))).all()
    session.exec(update(MailboxProblem).where(*untold).values(told_at=moment))
    told = [problem for problem in problems if problem.code not in _SILENT]
    if not told or not mailbox.notify_skipped:
        return
    ids = [problem.letter_id for problem in told if problem.letter_id is not None][:LINKED]
    letters = session.exec(select(Letter.public_id).where(col(Letter.id).in_(ids))).all() if ids else []
    facts: dict[str, object] = {"codes": dict(Counter(problem.code for problem in told)), "letters_of": list(letters)}
    subject = f"mailbox:{mailbox.id}:{moment:%Y-%m-%dT%H:%M:%S.%f}"
    add_notice(session, "problems", subject, mailbox.user_id, mailbox.id, facts=facts)


def _tell_admins(session: Session, mailbox: Mailbox, moment: datetime) -> None:
    """After a day the administrators learn that the mailbox is broken: its address and state, nothing of what is in it."""
    if mailbox.broken_at is None or mailbox.broken_at > moment - DAY or mailbox.removed_at is not None:
        return
    subject = f"mailbox:{mailbox.id}:{mailbox.broken_at:%Y-%m-%dT%H:%M:%S}"
    facts: dict[str, object] = {"state": mailbox.state, "since": mailbox.broken_at.isoformat()}
    for admin in admins(session):
        add_notice(session, "broken_long", subject, admin, mailbox.id, facts=facts)
