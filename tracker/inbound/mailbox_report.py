"""The report of mailboxes: how each is read, what came to it over a period, and what was left out and why."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from sqlalchemy import select as columns
from sqlmodel import Session, col, func, select

from tracker.models import Category, FetchRetry, Letter, LetterBinding, Mailbox, MailboxFolder, MailboxProblem, User
from tracker.runtime.database import now
from tracker.runtime.report_table import Period, Report, Value

SKIPPED = ("customer_not_found", "own_address", "no_sender")
"""Reasons for which a letter was bound to nobody; each is a column."""
TROUBLES = ("unparsed", "too_large", "attachment", "retry_exhausted")
"""Problems with a single letter; each is a column."""
CLASSES = tuple(category.value for category in Category if category != Category.HUMAN)
NUMBERS = ("letters", "enquiries", "repeats", *CLASSES, *(f"skipped_{reason}" for reason in SKIPPED), *TROUBLES)
COLUMNS = (
    *("mailbox", "state", "last_run_at", "good_run_at", "lag_seconds", "problem", "failures", "retries"),
    *NUMBERS,
)


def mailboxes_report(session: Session, user: User, period: Period, group: str = "") -> Report:
    """One row a mailbox. ``lag_seconds`` is the time since the last good run began; ``retries`` are letters to be tried again."""
    query = select(Mailbox).where(Mailbox.user_id == user.id, col(Mailbox.removed_at).is_(None))
    boxes = session.exec(query.order_by(col(Mailbox.id))).all()
    counts, retries = _counts(session, user, period), _retries(session, user)
    rows = [_row(box, counts[box.id], retries.get(box.id, 0)) for box in boxes]
    totals: dict[str, Value] = dict.fromkeys(COLUMNS)
    for name in ("retries", *NUMBERS):
        totals[name] = sum(number for row in rows if isinstance(number := row[name], int))
    return Report(COLUMNS, rows, totals)


def _row(box: Mailbox, counts: Mapping[str, int], retries: int) -> dict[str, Value]:
    lag = (now() - box.good_run_at).total_seconds() if box.active and box.good_run_at else None
    return {
        "mailbox": box.address,
        "state": box.state,
        "last_run_at": box.run_ended_at,
        "good_run_at": box.good_run_at,
        "lag_seconds": None if lag is None else round(lag),
        "problem": str(box.run_problem or box.state_detail or ""),
        "failures": box.failures,
        "retries": retries,
        **{name: counts.get(name, 0) for name in NUMBERS},
    }


def _counts(session: Session, user: User, period: Period) -> dict[int, Counter[str]]:
    """By mailbox: letters by class, those bound to nobody by reason, problems by code."""
    mine = (col(Letter.user_id) == user.id, col(Letter.deleted_at).is_(None), *period.conditions(Letter.received_at))
    made: dict[int, Counter[str]] = defaultdict(Counter)
    kinds = col(Letter.mailbox_id), col(Letter.category), col(Letter.counted)
    for mailbox, category, counted, number in session.execute(
        columns(*kinds, func.count()).where(*mine).group_by(*kinds)
    ):
        human = "enquiries" if counted else "repeats"
        made[mailbox] += Counter({"letters": number, human if category == Category.HUMAN else category: number})
    skipped = columns(col(Letter.mailbox_id), col(LetterBinding.rule), func.count()).join(
        LetterBinding, col(LetterBinding.letter_id) == col(Letter.id)
    )
    for mailbox, reason, number in session.execute(
        skipped.where(*mine, col(LetterBinding.rule).in_(SKIPPED)).group_by(
            col(Letter.mailbox_id), col(LetterBinding.rule)
        )
    ):
        made[mailbox][f"skipped_{reason}"] = number
    problems = columns(col(MailboxProblem.mailbox_id), col(MailboxProblem.code), func.count()).join(
        Mailbox, col(Mailbox.id) == col(MailboxProblem.mailbox_id)
    )
    problems = problems.where(col(Mailbox.user_id) == user.id, col(MailboxProblem.code).in_(TROUBLES))
    for mailbox, code, number in session.execute(
        problems.where(*period.conditions(MailboxProblem.at)).group_by(
            col(MailboxProblem.mailbox_id), col(MailboxProblem.code)
        )
    ):
        made[mailbox][code] = number
    return made


def _retries(session: Session, user: User) -> dict[int, int]:
    query = (
        columns(col(MailboxFolder.mailbox_id), func.count())
        .join(FetchRetry, col(FetchRetry.folder_id) == col(MailboxFolder.id))
        .join(Mailbox, col(Mailbox.id) == col(MailboxFolder.mailbox_id))
        .where(col(Mailbox.user_id) == user.id, col(FetchRetry.tries) > 0)
        .group_by(col(MailboxFolder.mailbox_id))
    )
    return {row[0]: row[1] for row in session.execute(query)}
