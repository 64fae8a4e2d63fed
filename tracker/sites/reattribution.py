"""Deciding again where letters come from, because somebody asks for it: rules, sources or visits are known better by now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from tracker.models import Category, Letter, LetterSource, User
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.sites.attribution import Attribution
from tracker.sites.letters import decide_anew, keep_attribution, own_addresses_of_rules

MOST = 2000
"""Letters of one request."""


@dataclass(frozen=True)
class ReattributedLetter:
    """A letter that would be attributed otherwise, or was: ``before`` is None for one that was never decided about."""

    letter: Letter
    before: LetterSource | None
    after: Attribution


def source_changes(
    session: Session,
    user: User,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    letters: Sequence[str] = (),
) -> list[ReattributedLetter]:
    """What would change if letters of this period, or these letters, were decided about now; in the order of their receipt.

    What was said of a letter when it was handed in from elsewhere stays. Raises :class:`ActionError` when there are too many.
    """
    own = own_addresses_of_rules(session, user.id)
    rows = session.exec(_asked(user, since, until, letters).limit(MOST + 1)).all()
    if len(rows) > MOST:
        text = LocalizedText("These are more than %(most)s letters. Choose a shorter period.", most=MOST)
        raise ActionError("too_large", text, "since")
    asked = [(letter, before) for letter, before in rows if own.tracks and not _is_said(before)]
    decided = decide_anew(session, [letter for letter, _ in asked], own)
    return [
        ReattributedLetter(letter, before, after)
        for (letter, before), after in zip(asked, decided, strict=True)
        if before is None or _decided(before) != _made(after)
    ]


def attribute_anew(session: Session, changes: Sequence[ReattributedLetter]) -> None:
    """Keeps what :func:`source_changes` has found."""
    for change in changes:
        keep_attribution(session, change.letter, change.after, change.before)
    session.flush()


def _asked(user: User, since: datetime | None, until: datetime | None, letters: Sequence[str]) -> Any:
    query = (
        select(Letter, LetterSource)
        .join(LetterSource, col(LetterSource.letter_id) == col(Letter.id), isouter=True)
        .where(Letter.user_id == user.id, Letter.category == Category.HUMAN, col(Letter.deleted_at).is_(None))
        .order_by(col(Letter.received_at), col(Letter.id))
    )
    if letters:
        query = query.where(col(Letter.public_id).in_(letters))
    if since is not None:
        query = query.where(col(Letter.received_at) >= since)
    return query if until is None else query.where(col(Letter.received_at) < until)


def _is_said(row: LetterSource | None) -> bool:
    """Whether visit or source were named by whoever handed the letter in: then no address decided."""
    return row is not None and row.method in ("code", "external") and not row.address


def _decided(row: LetterSource) -> tuple[Any, ...]:
    return row.method, row.source or None, row.visit_id, row.address, row.rule_id, sorted(row.flags)


def _made(made: Attribution) -> tuple[Any, ...]:
    source = dict(made.source) if made.source else None
    return made.method, source, made.visit, made.address[:254], made.rule, sorted(made.flags)
