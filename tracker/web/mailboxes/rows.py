"""The list of mailboxes as values: what came in lately, and what went wrong."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, func, select
from sqlmodel import Session, col

from tracker.locale import N_, _, localize
from tracker.models import Letter, Mailbox, MailboxProblem, MailboxState
from tracker.notifications.notice_letter import PROBLEMS
from tracker.runtime.database import now
from tracker.web.http.formats import relative

RECENT_DAYS = 30
SHOWN_PROBLEMS = 20
VISITORS_OF_A_ROBOT = 3
"""So many Reply-To of one sender look like a web form's."""


@dataclass(frozen=True)
class MailboxFigures:
    """Letters of the last days, and how many of them are enquiries."""

    letters: int = 0
    enquiries: int = 0


def figures_of(session: Session, mailboxes: Sequence[Mailbox]) -> Mapping[int, MailboxFigures]:
    if not mailboxes:
        return {}
    recent = col(Letter.received_at) >= now() - timedelta(days=RECENT_DAYS)
    mine = col(Letter.mailbox_id).in_([box.id for box in mailboxes]) & recent & col(Letter.deleted_at).is_(None)
    counts = func.sum(case((col(Letter.counted) & col(Letter.withdrawn_at).is_(None), 1), else_=0))
    query = select(col(Letter.mailbox_id), func.count(), counts).where(mine).group_by(col(Letter.mailbox_id))
    return {row[0]: MailboxFigures(int(row[1]), int(row[2])) for row in session.execute(query)}


def problem_counts(session: Session, mailboxes: Sequence[Mailbox]) -> Mapping[int, int]:
    """How many problems each had in the last week."""
    if not mailboxes:
        return {}
    recent = col(MailboxProblem.at) >= now() - timedelta(days=7)
    mine = col(MailboxProblem.mailbox_id).in_([box.id for box in mailboxes]) & recent
    query = select(col(MailboxProblem.mailbox_id), func.count()).where(mine).group_by(col(MailboxProblem.mailbox_id))
    return {row[0]: row[1] for row in session.execute(query)}


def problems_of(session: Session, mailbox: Mailbox | None) -> Sequence[tuple[MailboxProblem, Letter | None]]:
    if mailbox is None:
        return ()
    query = select(MailboxProblem, Letter).outerjoin(Letter, col(Letter.id) == col(MailboxProblem.letter_id))
    newest = query.where(col(MailboxProblem.mailbox_id) == mailbox.id).order_by(col(MailboxProblem.at).desc())
    return [(row[0], row[1]) for row in session.execute(newest.limit(SHOWN_PROBLEMS))]


def proposed_robots(session: Session, mailbox: Mailbox | None) -> list[str]:
    """Senders whose recent letters bear many different Reply-To, as those of web forms do, and that are not listed yet."""
    if mailbox is None:
        return []
    answered_elsewhere = (col(Letter.reply_to) != "") & (col(Letter.reply_to) != col(Letter.sender_address))
    recent = (col(Letter.mailbox_id) == mailbox.id) & (col(Letter.received_at) >= now() - timedelta(days=RECENT_DAYS))
    visitors = func.count(col(Letter.reply_to).distinct())
    query = select(col(Letter.sender)).where(recent, answered_elsewhere, col(Letter.sender) != "")
    query = (
        query.group_by(col(Letter.sender)).having(visitors >= VISITORS_OF_A_ROBOT).order_by(visitors.desc()).limit(5)
    )
    return [sender for (sender,) in session.execute(query) if sender not in mailbox.form_robots]


STATES: Mapping[str, tuple[str, str]] = {
    MailboxState.ACTIVE: (N_("works"), "good"),
    MailboxState.NO_CREDENTIALS: (N_("nothing to sign in with"), "bad"),
    MailboxState.DUPLICATE: (N_("connected elsewhere already"), "bad"),
    MailboxState.AUTH_ERROR: (N_("sign-in refused"), "bad"),
    MailboxState.CHECKING: (N_("being checked"), "accent"),
    MailboxState.CONNECTION_ERROR: (N_("server cannot be reached"), "bad"),
    MailboxState.FOLDER_MISSING: (N_("folder missing"), "bad"),
    MailboxState.THROTTLED: (N_("the server asks for a pause"), "warn"),
    MailboxState.NEEDS_OAUTH: (N_("wants sign-in with the service"), "bad"),
    MailboxState.PAUSED: (N_("switched off"), ""),
}
"""Every state with its words and its tone."""

LATE = timedelta(minutes=25)
"""Two missed rounds, and some: then it is said."""


def state_label(mailbox: Mailbox) -> str:
    return _(STATES[mailbox.state][0]) if mailbox.state in STATES else mailbox.state.replace("_", " ")


def state_tone(mailbox: Mailbox) -> str:
    return STATES[mailbox.state][1] if mailbox.state in STATES else ""


def lag_of(mailbox: Mailbox) -> timedelta | None:
    """How old what we know of the mailbox is; None before the first good run and while it is switched off."""
    if mailbox.good_run_at is None or not mailbox.active:
        return None
    return max(now() - mailbox.good_run_at, timedelta())


def is_late(mailbox: Mailbox) -> bool:
    lag = lag_of(mailbox)
    return lag is not None and lag > LATE


def is_busy(mailbox: Mailbox, being_read: Collection[int]) -> bool:
    """Whether its state will change in a moment: it is being checked or read, or waits for a worker to do so."""
    if not mailbox.active:
        return False
    return mailbox.id in being_read or mailbox.sync_wanted or mailbox.state == MailboxState.CHECKING


def next_run_label(mailbox: Mailbox, being_read: Collection[int]) -> str:
    """When it is read next; empty when that is not planned."""
    if mailbox.id in being_read:
        return _("being read now")
    if mailbox.due_at is None or not mailbox.active:
        return ""
    return (
        _("next in a moment")
        if mailbox.due_at <= now() + timedelta(minutes=1)
        else _("next %(when)s", when=relative(mailbox.due_at))
    )


def problem_label(problem: MailboxProblem) -> str:
    return localize(problem.detail) or (_(PROBLEMS[problem.code]) if problem.code in PROBLEMS else problem.code)
