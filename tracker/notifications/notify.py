"""The bell: one line for one person about one subject, hints to that person's open pages, and notices for later."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, ScalarResult, bindparam, func, insert, or_
from sqlalchemy import select as columns
from sqlmodel import Session, col, select, update

from tracker.models import FeedItem, Notice, Notification, User
from tracker.models.counting.bulk import insert_or_keep
from tracker.notifications.push import enqueue_push
from tracker.notifications.rules import end_of_quiet, preference_of
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.paging import in_order

_HINT = insert(FeedItem)  # made once: making a statement costs more than running it


def notify(session: Session, user_id: int, subject: str, kind: str, at: datetime, **facts: object) -> Notification:
    """Puts (or renews) the one line of ``user_id`` about ``subject``: unread again, on top, with new facts.

    ``facts`` are columns of :class:`Notification`: message_id, delivery_id, count, opens, clicks, client, detail, news. What the
    person wants only counted comes in read, and in quiet hours the line is held until they end.
    """
    line = Notification(user_id=user_id, subject=subject, kind=kind, first_at=at, at=at)
    session.execute(insert_or_keep(session, Notification).values(line.model_dump(exclude={"id"})))
    line = _line(session, user_id, subject).one()
    line.kind, line.at = kind, max(at, line.at)
    _set(line, facts)
    _set(line, visibility(session.get_one(User, user_id), kind, line.news, line.read_at))
    session.add(line)
    session.flush()
    announce(session, user_id, "notification", line.public_id)
    enqueue_push(session, line)
    return line


def visibility(user: User, kind: str, news: str, read_at: datetime | None) -> dict[str, datetime | None]:
    """Columns of a line that has something new to say: unread, unless the person wants this kind only counted; held while it
    is quiet."""
    if preference_of(kind, news) in (user.quiet_kinds or ()):
        return {"read_at": read_at or now(), "held_until": None}
    quiet = end_of_quiet(now(), zone_of(user), user.quiet_from, user.quiet_until)
    if quiet is not None:
        user.quiet_ends_at = quiet
    return {"read_at": None, "held_until": quiet}


def zone_of(user: User) -> ZoneInfo:
    try:
        return ZoneInfo(user.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def end_quiet_hours(context: AppContext) -> int:
    """Tells the pages of those whose quiet hours are over to look again. Returns how many people that are."""
    with context.database.reading() as session:
        if session.exec(select(User.id).where(col(User.quiet_ends_at) <= now()).limit(1)).first() is None:
            return 0
    with context.database.session_scope() as session:
        over = update(User).where(col(User.quiet_ends_at) <= now()).values(quiet_ends_at=None)
        people = session.execute(over.returning(col(User.id))).scalars().all()
        for user_id in people:
            announce(session, user_id or 0, "notification", "")
    return len(people)


def correct(session: Session, user_id: int, subject: str, **facts: object) -> None:
    """Changes a line in place after a verdict was revised. A line that was already seen stays seen; nothing vanishes."""
    line = _line(session, user_id, subject).first()
    if line is None:
        return
    _set(line, facts)
    if line.kind == "corrected":
        line.told = None  # a person's first open is still to come
    announce(session, user_id, "notification", line.public_id)


def _line(session: Session, user_id: int, subject: str) -> ScalarResult[Notification]:
    statement = select(Notification).where(Notification.user_id == user_id, Notification.subject == subject)
    return session.exec(statement.with_for_update())


def _set(line: Notification, columns: Mapping[str, object]) -> None:
    for name, value in columns.items():
        setattr(line, name, value)


def announce(session: Session, user_id: int, kind: str, *subjects: str) -> None:
    """Leaves hints for the person's open pages: ``notification``, ``message`` or ``letter``, and which."""
    moment = now()
    hints = [{"user_id": user_id, "kind": kind, "subject": subject, "at": moment} for subject in subjects]
    if hints:
        session.connection().execute(_HINT, hints)


def add_notice(
    session: Session,
    event: str,
    subject: str,
    user_id: int,
    mailbox_id: int | None,
    *,
    letter_id: int | None = None,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Puts a notice into the outbox, to be told after the commit; keeps one of this event, subject and person that is there."""
    notice = Notice(event=event, subject=subject, user_id=user_id, mailbox_id=mailbox_id, letter_id=letter_id)
    notice.facts = dict(facts or {})
    session.execute(insert_or_keep(session, Notice).values(notice.model_dump(exclude={"id"})))


def lines(
    session: Session,
    user: User,
    *,
    unread_only: bool = False,
    ringing: bool = False,
    limit: int = 50,
    before: tuple[datetime, int] | None = None,
) -> Sequence[Notification]:
    """The person's bell lines, newest first. ``before`` is time and number of the last line of the page above: many
    lines may bear one time. ``ringing`` are the unread ones that quiet hours do not hold."""
    statement = select(Notification).where(Notification.user_id == user.id)
    if unread_only or ringing:
        statement = statement.where(col(Notification.read_at).is_(None))
    if ringing:
        statement = statement.where(_not_held(now()))
    return session.scalars(in_order(statement, (Notification.at, Notification.id), before).limit(limit)).all()


def unread_count(session: Session, user: User) -> int:
    """What the badge says: unread lines, without those that quiet hours still hold."""
    return int(session.execute(_UNREAD, {"user": user.id, "now": now()}).scalar_one())


def bell_of(session: Session, user: User) -> tuple[int, int]:
    """:func:`unread_count` and :func:`newest_feed_id` in one statement: every page shows them."""
    row = session.connection().execute(_BELL, {"user": user.id, "now": now()}).one()
    return row[0], row[1] or 0


def _not_held(moment: Any) -> ColumnElement[bool]:
    held = col(Notification.held_until)
    return or_(held.is_(None), held <= moment)


_UNREAD = (
    select(func.count())
    .select_from(Notification)
    .where(
        col(Notification.user_id) == bindparam("user"), col(Notification.read_at).is_(None), _not_held(bindparam("now"))
    )
)
_BELL = columns(_UNREAD.scalar_subquery(), select(func.max(FeedItem.id)).scalar_subquery())
"""Made once: every page asks it."""


def mark_read(session: Session, user: User, public_id: str) -> bool:
    """Marks one line of this person as read; False when there is no such line."""
    statement = select(Notification).where(Notification.user_id == user.id, Notification.public_id == public_id)
    line = session.exec(statement).first()
    if line is None:
        return False
    if line.read_at is None:
        line.read_at = now()
        announce(session, line.user_id, "notification", line.public_id)
    return True


def mark_all_read(session: Session, user: User) -> None:
    _mark_read(session, user.id)


def mark_message_read(session: Session, user: User, message_id: int) -> None:
    """Opening a message reads the lines about it."""
    _mark_read(session, user.id, col(Notification.message_id) == message_id)


def mark_subject_read(session: Session, user_id: int, subject: str) -> None:
    """Looking at what a line is about reads it."""
    _mark_read(session, user_id, col(Notification.subject) == subject)


def _mark_read(session: Session, user_id: int | None, *conditions: ColumnElement[bool]) -> None:
    assert user_id is not None
    unread = col(Notification.user_id) == user_id, col(Notification.read_at).is_(None)
    if session.exec(update(Notification).where(*unread, *conditions).values(read_at=now())).rowcount:
        announce(session, user_id, "notification", "")


def feed_after(session: Session, user_id: int | None, after_id: int, limit: int = 500) -> Sequence[FeedItem]:
    """Hints after a number, oldest first; of one person, or of all (None)."""
    statement = select(FeedItem).where(col(FeedItem.id) > after_id)
    if user_id is not None:
        statement = statement.where(FeedItem.user_id == user_id)
    return session.exec(statement.order_by(col(FeedItem.id)).limit(limit)).all()


def newest_feed_id(session: Session) -> int:
    return session.exec(select(func.max(FeedItem.id))).one() or 0
