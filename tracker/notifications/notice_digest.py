"""What turns into a notice only when seen together: the problems of an hour, a mailbox broken for a day."""

from collections import Counter
from datetime import datetime, timedelta

from sqlmodel import Session, col, func, select, update

from tracker.models import Letter, Mailbox, MailboxProblem, Notice
from tracker.notifications.notices import admins
from tracker.notifications.notify import add_notice
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

HOUR = timedelta(hours=1)
DAY = timedelta(hours=24)
LINKED = 20
"""So many letters are linked in one digest."""
_SILENT = ("customer_not_found", "backfilled", "rebuilt", "loop")
"""Kept with the mailbox, but no trouble that its person could end: nothing is sent about them."""


def add_due(context: AppContext) -> int:
    """Writes the notices that are due from what has gathered. Returns 0: there is nothing to do again at once."""
    moment = now()
    with context.database.reading() as session:
        due = {mailbox_id for mailbox_id, at in _waiting(session) if at <= moment}
    for mailbox_id in due:
        with context.database.session_scope() as session:
            mailbox = session.exec(select(Mailbox).where(Mailbox.id == mailbox_id).with_for_update()).one()
            _digest(session, mailbox, moment)
            _tell_admins(session, mailbox, moment)
    return 0


def next_due(session: Session) -> datetime | None:
    """When the next notice will be due, as far as is known now."""
    return min((at for _, at in _waiting(session)), default=None)


def _waiting(session: Session) -> list[tuple[int, datetime]]:
    """The mailboxes about which there is something to tell, and when that will be."""
    before = select(func.max(Notice.created_at)).where(
        Notice.event == "problems", Notice.mailbox_id == MailboxProblem.mailbox_id
    )
    problems = select(MailboxProblem.mailbox_id, func.min(MailboxProblem.at), before.scalar_subquery())
    untold = problems.where(col(MailboxProblem.told_at).is_(None)).group_by(col(MailboxProblem.mailbox_id))
    announced = select(Notice.id).where(Notice.event == "broken_long", Notice.mailbox_id == Mailbox.id)
    announced = announced.where(col(Notice.created_at) >= col(Mailbox.broken_at)).correlate(Mailbox)
    broken = select(Mailbox.id, Mailbox.broken_at).where(col(Mailbox.removed_at).is_(None), ~announced.exists())
    due = [(id_, last + HOUR if last else first) for id_, first, last in session.exec(untold)]
    if admins(session):
        due += [(id_, since + DAY) for id_, since in session.exec(broken) if since is not None]
    return due


def _digest(session: Session, mailbox: Mailbox, moment: datetime) -> None:
    """One an hour and mailbox; what comes meanwhile waits for the next."""
    before = select(func.max(Notice.created_at)).where(Notice.event == "problems", Notice.mailbox_id == mailbox.id)
    last = session.exec(before).one()
    if last is not None and last > moment - HOUR:
        return
    untold = (col(MailboxProblem.mailbox_id) == mailbox.id, col(MailboxProblem.told_at).is_(None))
    problems = session.exec(select(MailboxProblem).where(*untold).order_by(col(MailboxProblem.id))).all()
    session.exec(update(MailboxProblem).where(*untold).values(told_at=moment))
    reported = [problem for problem in problems if problem.code not in _SILENT]
    if not reported or not mailbox.notify_skipped:
        return
    ids = [problem.letter_id for problem in reported if problem.letter_id is not None][:LINKED]
    letters = session.exec(select(Letter.public_id).where(col(Letter.id).in_(ids))).all() if ids else []
    facts: dict[str, object] = {
        "codes": dict(Counter(problem.code for problem in reported)),
        "letters_of": list(letters),
    }
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
