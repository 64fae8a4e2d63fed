"""The list of mailboxes as values: what came in lately, and what went wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, func, select
from sqlmodel import Session, col

from tracker.models import Letter, Mailbox, MailboxProblem
from tracker.runtime.database import now

RECENT_DAYS = 30
SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class Figures:
    """Letters of the last days, and how many of them are enquiries."""

    letters: int = 0
    enquiries: int = 0


def figures_of(session: Session, found: Sequence[Mailbox]) -> Mapping[int, Figures]:
    if not found:
        return {}
    recent = col(Letter.received_at) >= now() - timedelta(days=RECENT_DAYS)
    mine = col(Letter.mailbox_id).in_([box.id for box in found]) & recent & col(Letter.deleted_at).is_(None)
    counts = func.sum(case((col(Letter.counted) & col(Letter.withdrawn_at).is_(None), 1), else_=0))
    query = select(col(Letter.mailbox_id), func.count(), counts).where(mine).group_by(col(Letter.mailbox_id))
    return {row[0]: Figures(int(row[1]), int(row[2])) for row in session.execute(query)}


def problem_counts(session: Session, found: Sequence[Mailbox]) -> Mapping[int, int]:
    """How many problems each had in the last week."""
    if not found:
        return {}
    recent = col(MailboxProblem.at) >= now() - timedelta(days=7)
    mine = col(MailboxProblem.mailbox_id).in_([box.id for box in found]) & recent
    query = select(col(MailboxProblem.mailbox_id), func.count()).where(mine).group_by(col(MailboxProblem.mailbox_id))
    return {row[0]: row[1] for row in session.execute(query)}


def problems_of(session: Session, mailbox: Mailbox | None) -> Sequence[tuple[MailboxProblem, Letter | None]]:
    if mailbox is None:
        return ()
    query = select(MailboxProblem, Letter).outerjoin(Letter, col(Letter.id) == col(MailboxProblem.letter_id))
    newest = query.where(col(MailboxProblem.mailbox_id) == mailbox.id).order_by(col(MailboxProblem.at).desc())
    return [(row[0], row[1]) for row in session.execute(newest.limit(SHOWN_PROBLEMS))]
