"""The bell: one line for one person about one subject, hints to that person's open pages, and notices for later."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, ScalarResult, func, insert, or_
from sqlalchemy import select as columns
from sqlmodel import Session, col, select, update

from tracker.attention import Act, end_of_quiet, judge, preference_of
from tracker.counting.bulk import insert_or_keep
from tracker.db import now
from tracker.house import House
from tracker.models import Event, FeedItem, Notice, Notification, User

_HINT = insert(FeedItem)  # made once: making a statement costs more than running it


def ring(session: Session, user_id: int, subject: str, kind: str, at: datetime, **facts: object) -> Notification:
    """Puts (or renews) the one line of ``user_id`` about ``subject``: unread again, on top, with new facts.

    ``facts`` are columns of :class:`Notification`: message_id, delivery_id, count, opens, clicks, client, detail, news. What the
    person wants only counted comes in read, and in quiet hours the line is held until they end.
    """
    line = Notification(user_id=user_id, subject=subject, kind=kind, first_at=at, at=at)
    session.execute(insert_or_keep(session, Notification).values(line.model_dump(exclude={"id"})))
    line = _line(session, user_id, subject).one()
    line.kind, line.at = kind, max(at, line.at)
    for name, value in facts.items():
        setattr(line, name, value)
    _let_ring(session, line)
    session.add(line)
    session.flush()
    announce(session, user_id, "notification", line.public_id)
    return line


def tell(session: Session, user_id: int, fresh: Sequence[Any], *, delivery_id: int, **facts: object) -> None:
    """The line about one copy, after ``fresh`` events (with kind, at and client) were found to be a person's.

    It rings for news that deserve attention; otherwise only its counter grows, and a line that was read stays read.
    """
    subject = f"delivery:{delivery_id}"
    line = _line(session, user_id, subject).first()
    told = {news: datetime.fromisoformat(at) for news, at in (line.told or {}).items()} if line else {}
    news = judge(_acts(session, delivery_id), [Act(event.kind, event.at) for event in fresh], told)
    newest = max(event.at for event in fresh)
    facts["delivery_id"] = delivery_id
    if news is None:
        if line is not None:  # else the message was muted when there were news
            _count_on(session, line, newest, facts)
        return
    told[news] = max(newest, told.get(news, newest))
    facts |= {"news": news, "told": {name: at.isoformat() for name, at in told.items()}, "machine": "", "vendor": ""}
    ring(session, user_id, subject, "click" if news == "click" else "open", newest, **facts)


def _acts(session: Session, delivery_id: int) -> list[Act]:
    seen = columns(col(Event.kind), col(Event.at)).where(
        col(Event.delivery_id) == delivery_id, col(Event.counted), col(Event.kind).in_(("open", "click"))
    )
    return [Act(kind, at) for kind, at in session.connection().execute(seen.order_by(col(Event.at)))]


def _count_on(session: Session, line: Notification, at: datetime, facts: Mapping[str, object]) -> None:
    line.at = max(at, line.at)
    for name, value in facts.items():
        setattr(line, name, value)
    session.add(line)
    announce(session, line.user_id, "notification", line.public_id)


def _let_ring(session: Session, line: Notification) -> None:
    """Unread, unless the person wants this kind only counted; held while it is quiet."""
    user = session.get_one(User, line.user_id)
    line.held_until = None
    if preference_of(line.kind, line.news if line.kind in ("open", "click") else "") in (user.quiet_kinds or ()):
        line.read_at = line.read_at or now()
        return
    line.read_at = None
    line.held_until = end_of_quiet(now(), zone_of(user), user.quiet_from, user.quiet_until)
    if line.held_until is not None:
        user.quiet_ends_at = line.held_until
        session.add(user)


def zone_of(user: User) -> ZoneInfo:
    try:
        return ZoneInfo(user.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def end_quiet_hours(house: House) -> int:
    """Tells the pages of those whose quiet hours are over to look again. Returns how many people that are."""
    with house.database.reading() as session:
        if session.exec(select(User.id).where(col(User.quiet_ends_at) <= now()).limit(1)).first() is None:
            return 0
    with house.database.session_scope() as session:
        over = select(User).where(col(User.quiet_ends_at) <= now()).with_for_update(skip_locked=True)
        people = session.exec(over).all()
        for user in people:
            user.quiet_ends_at = None
            session.add(user)
            assert user.id is not None
            announce(session, user.id, "notification", "")
    return len(people)


def correct(session: Session, user_id: int, subject: str, **facts: object) -> None:
    """Changes a line in place after a verdict was revised, and notes on it who it was instead. A line that was already seen
    stays seen; nothing vanishes."""
    line = _line(session, user_id, subject).first()
    if line is None:
        return
    for name, value in facts.items():
        setattr(line, name, value)
    line.machine, line.vendor = _who_it_was(session, line.delivery_id)
    if line.kind == "corrected":
        line.told = None  # a person's first open is still to come
    session.add(line)
    announce(session, user_id, "notification", line.public_id)


def _who_it_was(session: Session, delivery_id: int | None) -> tuple[str, str]:
    """Class and maker of the newest event that was told as a person's and is none any more; empty when there is none."""
    revised = columns(col(Event.klass), col(Event.vendor), col(Event.client), col(Event.overruled)).where(
        col(Event.delivery_id) == delivery_id, col(Event.alerted), ~col(Event.counted), ~col(Event.merged)
    )
    found = session.connection().execute(revised.order_by(col(Event.at).desc()).limit(1)).first()
    if found is None:
        return "", ""
    if found.overruled:
        return "user", ""
    return found.klass, (found.vendor or (found.client if found.klass == "link_preview" else ""))[:80]


def _line(session: Session, user_id: int, subject: str) -> ScalarResult[Notification]:
    statement = select(Notification).where(Notification.user_id == user_id, Notification.subject == subject)
    return session.exec(statement.with_for_update())


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
    notice = Notice(
        event=event,
        subject=subject,
        user_id=user_id,
        mailbox_id=mailbox_id,
        letter_id=letter_id,
        facts=dict(facts or {}),
    )
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
        statement = statement.where(_not_held())
    if before is not None:
        at, number = before
        same_time = (col(Notification.at) == at) & (col(Notification.id) < number)
        statement = statement.where((col(Notification.at) < at) | same_time)
    return session.exec(statement.order_by(col(Notification.at).desc(), col(Notification.id).desc()).limit(limit)).all()


def unread_count(session: Session, user: User) -> int:
    """What the badge says: unread lines, without those that quiet hours still hold."""
    statement = select(func.count()).select_from(Notification)
    unread = (col(Notification.user_id) == user.id) & col(Notification.read_at).is_(None)
    return session.exec(statement.where(unread, _not_held())).one()


def _not_held() -> ColumnElement[bool]:
    held = col(Notification.held_until)
    return or_(held.is_(None), held <= now())


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


def mark_subject_read(session: Session, user_id: int, subject: str) -> None:
    """Looking at what a line is about reads it."""
    unread = (col(Notification.user_id) == user_id) & col(Notification.read_at).is_(None)
    about_it = col(Notification.subject) == subject
    if session.exec(update(Notification).where(unread & about_it).values(read_at=now())).rowcount:
        announce(session, user_id, "notification", "")


def feed_after(session: Session, user_id: int | None, after_id: int, limit: int = 500) -> Sequence[FeedItem]:
    """Hints after a number, oldest first; of one person, or of all (None)."""
    statement = select(FeedItem).where(col(FeedItem.id) > after_id)
    if user_id is not None:
        statement = statement.where(FeedItem.user_id == user_id)
    return session.exec(statement.order_by(col(FeedItem.id)).limit(limit)).all()


def newest_feed_id(session: Session) -> int:
    return session.exec(select(func.max(FeedItem.id))).one() or 0
