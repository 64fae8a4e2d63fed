"""Who is told of a letter, and when nobody is: notices are rows written with it, and told after the commit."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Integer, String, bindparam, column, func, select, values
from sqlmodel import Session

from tracker.inbound.fetch.fetched_letter import FetchedLetter
from tracker.models import Letter, Mailbox, MailboxProblem
from tracker.models.counting.tables import LETTER
from tracker.notifications.notify import add_notice
from tracker.runtime.database import UtcDateTime

LOOP_LETTERS = 20
LOOP_WITHIN = timedelta(minutes=120)
_ASKED = (column("id", Integer), column("sender", String), column("since", UtcDateTime), column("until", UtcDateTime))
_ONE = LETTER.alias("one")
_AROUND = (
    select(LETTER.c.id)
    .where(
        LETTER.c.user_id == bindparam("person"),
        LETTER.c.sender == _ONE.c.sender,
        LETTER.c.received_at > bindparam("since"),
        LETTER.c.received_at <= bindparam("until"),
    )
    .limit(LOOP_LETTERS + 1)
    .correlate(_ONE)
    .subquery()
)
_BUSY = select(_ONE.c.sender).where(
    _ONE.c.id.in_(bindparam("letters", expanding=True)),
    select(func.count()).select_from(_AROUND).scalar_subquery() > LOOP_LETTERS,
)


def loops(session: Session, letters: Sequence[Letter]) -> set[int]:
    """Numbers of those letters of one person's that are more than twenty of their sender's within two hours: a machine answers our
    machine. They are stored, and nobody is told."""
    named = [letter for letter in letters if letter.sender]
    if len(named) > 1:
        busy = _busy(session, named)
        named = [letter for letter in named if letter.sender in busy]
    return _looping(session, named) if named else set()


def _busy(session: Session, letters: Sequence[Letter]) -> set[str]:
    """The senders who wrote more than that around all of these letters: one question for nearly every load."""
    moments = [letter.received_at for letter in letters]
    one_of_each = {letter.sender: letter.id for letter in letters}
    span = {"since": min(moments) - LOOP_WITHIN, "until": max(moments)}
    facts = {"person": letters[0].user_id, "letters": list(one_of_each.values()), **span}
    return set(session.connection().execute(_BUSY, facts).scalars())


def _looping(session: Session, letters: Sequence[Letter]) -> set[int]:
    """One question, however many letters."""
    spans = [(letter.id, letter.sender, letter.received_at - LOOP_WITHIN, letter.received_at) for letter in letters]
    asked = values(*_ASKED, name="spans").data(spans).cte("asked")
    lately = (
        select(LETTER.c.id)
        .where(
            LETTER.c.user_id == letters[0].user_id,
            LETTER.c.sender == asked.c.sender,
            LETTER.c.received_at > asked.c.since,
            LETTER.c.received_at <= asked.c.until,
            LETTER.c.id <= asked.c.id,  # those that share its load and come after it are not there yet
        )
        .limit(LOOP_LETTERS + 1)
        .correlate(asked)
        .subquery()
    )
    count = select(func.count()).select_from(lately).scalar_subquery()
    return set(session.connection().execute(select(asked.c.id).where(count > LOOP_LETTERS)).scalars())


def add_loop_notices(session: Session, mailbox: Mailbox, looping: Sequence[Letter]) -> None:
    """A machine that writes in a loop is told once a day, with its first letter."""
    first: dict[str, Letter] = {}
    for letter in looping:
        sender = hashlib.sha256(letter.sender.encode()).hexdigest()[:16]
        first.setdefault(f"loop:{mailbox.id}:{sender}:{letter.received_at:%Y-%m-%d}", letter)
    for subject, letter in first.items():
        add_notice(session, "loop", subject, letter.user_id, mailbox.id, letter_id=letter.id)


def add_letter_notice(session: Session, mailbox: Mailbox, letter: Letter, *, announced: bool) -> None:
    """A new enquiry is told to the mailbox's person, once; repeats, first loads and what the bell has told already are not."""
    if letter.counted and mailbox.notify_manager and not (letter.silent or announced):
        add_notice(session, "letter", f"letter:{letter.id}", letter.user_id, mailbox.id, letter_id=letter.id)


def note_problems(session: Session, letter: Letter, fetched: FetchedLetter) -> None:
    """What its person should know of a letter that is not whole; told in a digest."""
    codes = [code for code, is_so in (("unparsed", letter.unparsed), ("too_large", letter.too_large)) if is_so]
    for code in codes:
        problem = MailboxProblem(mailbox_id=letter.mailbox_id, letter_id=letter.id, code=code)
        problem.detail = fetched.unparsed[:500] if code == "unparsed" else letter.subject[:200]
        session.add(problem)
