"""The daily digest: what happened since the last one, as one untracked letter from the person's own account to themselves."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, case, func
from sqlalchemy import select as columns
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from tracker.locale import _, ngettext, use_locale
from tracker.mail.account_servers import WaitingSender, submit_from, working_account, working_host
from tracker.models import Delivery, Event, Message, Notification, User
from tracker.notifications.notice_letter import Digest, Item, write_letter
from tracker.notifications.notify import zone_of
from tracker.notifications.rules import TROUBLE, next_clock
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown
from tracker.runtime.lease import HeldLease, is_free

log = logging.getLogger(__name__)

LATER = timedelta(minutes=20)
"""When the letter could not be handed over it is tried again after so long."""
DAY = timedelta(days=1)
OVERDUE = timedelta(hours=2)
"""Whoever has waited so long for a digest has a server in trouble."""


def set_hour(user: User, hour: int | None) -> None:
    """The person wants the digest at that hour of their day from now on, or none."""
    user.digest_hour = hour
    user.digest_at = next_clock(now(), zone_of(user), hour * 60) if hour is not None else None
    user.digest_since = now() if hour is not None else None


class _Claim(NamedTuple):
    """A person's digest that is ours to send, and the time that it tells of."""

    lease: HeldLease
    user_id: int
    since: datetime
    until: datetime


def people_waiting(session: Session, moment: datetime) -> list[WaitingSender]:
    """Whose digest is due and is being sent by nobody."""
    due = select(User.id, working_host(col(User.id)), User.digest_since, User.digest_at).where(_is_due(moment))
    rows = session.execute(due)
    return [
        WaitingSender(id_, host or f"none of {id_}", since is not None and moment - since > DAY + OVERDUE, at)
        for id_, host, since, at in rows
    ]


def send_due(context: AppContext, user_id: int | None = None, shutdown: Shutdown | None = None) -> int:
    """Sends one digest that is due, of this person or of anybody. Returns 1 when there was one, else 0. Holds no transaction while
    it is handed over. What a shutdown cuts is due again at once."""
    claim = _claim(context, user_id)
    if claim is None:
        return 0
    try:
        sent = _send(context, claim, shutdown)
    except Exception:  # a mistake in one digest must not hold up the others
        log.exception("the digest of person %s could not be written", claim.user_id)
        sent = False
    if sent or shutdown is None or not shutdown.is_requested:
        _note(context, claim, sent)
    return 1


def _claim(context: AppContext, user_id: int | None) -> _Claim | None:
    """The digest of the next person whose hour has come, held so that no other worker writes it too."""
    with context.database.reading() as session:
        if session.exec(_due(now(), user_id)).first() is None:
            return None
    with context.database.session_scope() as session:
        moment = now()
        user = session.exec(_due(moment, user_id).with_for_update(skip_locked=True, key_share=True)).first()
        lease = None if user is None else context.leases.claim(session, "digest", user.id)
        if user is None or lease is None:
            return None
        return _Claim(lease, user.id, max(user.digest_since or moment - DAY, moment - 7 * DAY), moment)


def _due(moment: datetime, user_id: int | None) -> SelectOfScalar[User]:
    due = select(User).where(_is_due(moment))
    if user_id is not None:
        due = due.where(User.id == user_id)
    return due.order_by(col(User.digest_at)).limit(1)


def _is_due(moment: datetime) -> ColumnElement[bool]:
    return (col(User.digest_at) <= moment) & col(User.active) & is_free("digest", col(User.id), moment)


def _send(context: AppContext, claim: _Claim, shutdown: Shutdown | None) -> bool:
    """Whether that is done with: the letter was taken or refused for good, or there is none to write."""
    with context.database.reading() as session:
        user = session.get_one(User, claim.user_id)
        account = working_account(session, user)
        with use_locale(user.locale, user.timezone):
            digest = read_digest(session, context, user, claim.since, claim.until)
            if account is None or digest.is_empty:
                return True
            letter = write_letter(context, user, account, digest, claim.until)
    outcome = submit_from(context, account, user.email, letter, shutdown)
    if not outcome.is_accepted:
        log.warning("the digest of %s was %s", user.public_id, outcome.status)
    return not outcome.is_deferred  # refused for good: tomorrow's is another letter


def _note(context: AppContext, claim: _Claim, sent: bool) -> None:
    with context.database.session_scope() as session:
        if not context.leases.release(session, claim.lease):
            return  # another worker has taken it over
        user = session.get_one(User, claim.user_id)
        if user.digest_hour is None:
            return  # switched off meanwhile
        if sent:
            user.digest_since = claim.until
            user.digest_at = next_clock(now(), zone_of(user), user.digest_hour * 60)
        else:
            user.digest_at = now() + LATER


# --- what happened


def read_digest(session: Session, context: AppContext, user: User, since: datetime, until: datetime) -> Digest:
    """Everything about the person's mail from ``since`` up to ``until``, muted messages left out."""
    lines = _lines(session, user, since, until)
    return Digest(
        people=[_person(context, row) for row in _people(session, user, since, until)],
        answers=[_from_line(context, row, "") for row in lines if row.kind in ("reply", "follow_up")],
        trouble=[_from_line(context, row, row.detail) for row in lines if row.kind in TROUBLE],
        corrected=[
            _from_line(context, row, _("was no person but an automatic check"))
            for row in lines
            if row.kind == "corrected"
        ],
    )


def _people(session: Session, user: User, since: datetime, until: datetime) -> Sequence[Any]:
    """One row per copy that a person opened or clicked in that time, the newest first."""
    opens, clicks = (func.sum(case((col(Event.kind) == kind, 1), else_=0)) for kind in ("open", "click"))
    happened = (col(Event.at) >= since) & (col(Event.at) < until) & col(Event.counted)
    statement = (
        columns(
            col(Delivery.name),
            col(Delivery.address),
            col(Message.subject),
            col(Message.public_id),
            opens.label("opens"),
            clicks.label("clicks"),
        )
        .join(Delivery, col(Delivery.id) == col(Event.delivery_id))
        .join(Message, col(Message.id) == col(Event.message_id))
        .where(happened, col(Message.user_id) == user.id, ~col(Message.muted), col(Event.kind).in_(("open", "click")))
        .group_by(
            col(Delivery.id), col(Delivery.name), col(Delivery.address), col(Message.subject), col(Message.public_id)
        )
        .order_by(func.max(col(Event.at)).desc())
    )
    return session.connection().execute(statement).all()


def _lines(session: Session, user: User, since: datetime, until: datetime) -> Sequence[Any]:
    statement = (
        columns(
            col(Notification.kind),
            col(Notification.detail),
            col(Delivery.name),
            col(Delivery.address),
            col(Message.subject),
            col(Message.public_id),
            col(Message.names),
        )
        .outerjoin(Delivery, col(Delivery.id) == col(Notification.delivery_id))
        .outerjoin(Message, col(Message.id) == col(Notification.message_id))
        .where(col(Notification.user_id) == user.id, col(Notification.at) >= since, col(Notification.at) < until)
        .order_by(col(Notification.at).desc())
    )
    return session.connection().execute(statement).all()


def _person(context: AppContext, row: Any) -> Item:
    counts = []
    if row.opens:
        counts.append(ngettext("opened once", "opened %(num)s times", row.opens))
    if row.clicks:
        counts.append(ngettext("one click", "%(num)s clicks", row.clicks))
    return Item(row.name or row.address, _subject(row), ", ".join(counts), _url(context, row))


def _from_line(context: AppContext, row: Any, what: str) -> Item:
    return Item(
        row.name or row.address or row.names or "", _subject(row) if row.public_id else "", what, _url(context, row)
    )


def _subject(row: Any) -> str:
    return row.subject or _("(no subject)")


def _url(context: AppContext, row: Any) -> str:
    base = context.settings.base_url
    return f"{base}/mail/{row.public_id}" if row.public_id else f"{base}/notifications"
