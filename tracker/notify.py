"""The bell: one line for one person about one subject, and hints to that person's open pages."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select, update

from tracker.db import now
from tracker.models import FeedItem, Notification, User


def ring(session: Session, user_id: int, subject: str, kind: str, at: datetime, **facts: object) -> Notification:
    """Puts (or renews) the one line of ``user_id`` about ``subject``: unread again, on top, with new facts.

    ``facts`` are columns of :class:`Notification`: message_id, delivery_id, count, opens, clicks, client, detail.
    """
    line = _line(session, user_id, subject) or _new_line(session, user_id, subject, kind, at)
    line.kind, line.at, line.read_at = kind, max(at, line.at), None
    for name, value in facts.items():
        setattr(line, name, value)
    session.add(line)
    session.flush()
    announce(session, user_id, "notification", line.public_id)
    return line


def _new_line(session: Session, user_id: int, subject: str, kind: str, at: datetime) -> Notification:
    try:
        with session.begin_nested():
            made = Notification(user_id=user_id, subject=subject, kind=kind, first_at=at, at=at)
            session.add(made)
        return made
    except IntegrityError:  # another worker rang about the same between our look and our insert
        found = _line(session, user_id, subject)
        assert found is not None
        return found


def correct(session: Session, user_id: int, subject: str, **facts: object) -> None:
    """Changes a line in place after a verdict was revised. A line that was already seen stays seen; nothing vanishes."""
    line = _line(session, user_id, subject)
    if line is None:
        return
    for name, value in facts.items():
        setattr(line, name, value)
    session.add(line)
    announce(session, user_id, "notification", line.public_id)


def _line(session: Session, user_id: int, subject: str) -> Notification | None:
    statement = select(Notification).where(Notification.user_id == user_id, Notification.subject == subject)
    return session.exec(statement.with_for_update()).first()


def announce(session: Session, user_id: int, kind: str, subject: str) -> None:
    """Leaves a hint for the person's open pages: ``notification``, ``message`` or ``letter``, and which."""
    session.add(FeedItem(user_id=user_id, kind=kind, subject=subject))


def lines(
    session: Session, user: User, *, unread_only: bool = False, limit: int = 50, before: datetime | None = None
) -> Sequence[Notification]:
    """The person's bell lines, newest first."""
    statement = select(Notification).where(Notification.user_id == user.id)
    if unread_only:
        statement = statement.where(col(Notification.read_at).is_(None))
    if before is not None:
        statement = statement.where(Notification.at < before)
    return session.exec(statement.order_by(col(Notification.at).desc(), col(Notification.id).desc()).limit(limit)).all()


def unread_count(session: Session, user: User) -> int:
    statement = select(func.count()).select_from(Notification)
    return session.exec(statement.where(Notification.user_id == user.id, col(Notification.read_at).is_(None))).one()


def mark_read(session: Session, user: User, public_id: str) -> bool:
    """Marks one line of this person as read; False when there is no such line."""
    statement = select(Notification).where(Notification.user_id == user.id, Notification.public_id == public_id)
    line = session.exec(statement).first()
    if line is None:
        return False
    if line.read_at is None:
        line.read_at = now()
        session.add(line)
        announce(session, line.user_id, "notification", line.public_id)
    return True


def mark_all_read(session: Session, user: User) -> None:
    unread = (col(Notification.user_id) == user.id) & col(Notification.read_at).is_(None)
    session.exec(update(Notification).where(unread).values(read_at=now()))
    assert user.id is not None
    announce(session, user.id, "notification", "")


def mark_message_read(session: Session, user: User, message_id: int) -> None:
    """Opening a message reads the lines about it."""
    unread = (col(Notification.user_id) == user.id) & col(Notification.read_at).is_(None)
    about_it = col(Notification.message_id) == message_id
    if session.exec(update(Notification).where(unread & about_it).values(read_at=now())).rowcount:
        assert user.id is not None
        announce(session, user.id, "notification", "")


def feed_after(session: Session, user_id: int | None, after_id: int, limit: int = 500) -> Sequence[FeedItem]:
    """Hints after a number, oldest first; of one person, or of all (None)."""
    statement = select(FeedItem).where(col(FeedItem.id) > after_id)
    if user_id is not None:
        statement = statement.where(FeedItem.user_id == user_id)
    return session.exec(statement.order_by(col(FeedItem.id)).limit(limit)).all()


def newest_feed_id(session: Session) -> int:
    return session.exec(select(func.max(FeedItem.id))).one() or 0
