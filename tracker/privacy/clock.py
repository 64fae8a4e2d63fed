"""After a clock that ran ahead and came back: what it put off far into a time to come is due, and what it wrote down is no news.

A due time beyond the longest pause that there is was written by a wrong clock. It is looked for by the same means as what has
served its time.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, literal_column
from sqlmodel import col, select

from tracker.models import (
    Account,
    Delivery,
    DeliveryStatus,
    DomainProfile,
    FetchRetry,
    HostHealth,
    Job,
    Mailbox,
    Message,
    MessageState,
    Notice,
    QuarantinedHit,
    User,
)
from tracker.notifications.notify import zone_of
from tracker.notifications.rules import next_clock
from tracker.privacy.short_lived import Expiry, expire
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import LONGEST, Lease
from tracker.runtime.processes import GONE_AFTER, Process

SKEW = timedelta(minutes=5)
"""Clocks of several machines may differ by so much."""
_LONGEST = timedelta(hours=12)
"""No try is put off for longer, but for what people or a day's limit put off themselves."""
_DAY = timedelta(hours=25)
_LONGEST_PAUSE = timedelta(days=1)
"""Of an account; one that is cleared a little early is made again."""
_WANTS_COPY = col(Message.sent_copy) == literal_column("'wanted'")
"""As its index says it: a value that is bound would not be seen by the planner."""


def after_clock_came_back(context: AppContext) -> int:
    """Returns 0: there is never more to do at once."""
    moment = now()
    expire(context, [*_due(moment), *_noted(moment)])
    _put_right_daily(context, moment)
    return 0


def _due(moment: datetime) -> list[Expiry]:
    ahead = moment + _LONGEST
    tried = col(Delivery.status) == DeliveryStatus.DEFERRED
    # What nobody scheduled leaves within the seconds of its undo; a message from a time to come was written by a wrong clock.
    from_then = exists().where(
        col(Message.id) == col(Delivery.message_id),
        col(Message.state) == MessageState.QUEUED,
        col(Message.listed_at) > moment + SKEW,
        col(Message.created_at) > moment + SKEW,
    )
    at_once = col(Delivery.next_try_at).is_not(None) & (col(Delivery.next_try_at) > moment + SKEW) & from_then
    return [
        _pulled(Mailbox, "due_at", ahead, moment),
        # Without a try it is a letter that nobody wants, and its time never comes.
        _pulled(FetchRetry, "try_at", ahead, moment, col(FetchRetry.tries) > 0),
        _pulled(Notice, "due_at", ahead, moment, col(Notice.sent_at).is_(None)),
        _pulled(DomainProfile, "due_at", ahead, moment),
        _pulled(QuarantinedHit, "try_at", ahead, moment),
        _pulled(Job, "due_at", moment + _DAY, moment),
        Expiry(Account, col(Account.paused_until) > moment + _LONGEST_PAUSE, {"paused_until": None}),
        Expiry(Delivery, tried & (col(Delivery.next_try_at) > ahead), {"next_try_at": moment}),
        Expiry(Delivery, at_once, {"next_try_at": moment}),
        _pulled(Message, "sent_copy_at", ahead, moment, _WANTS_COPY),
    ]


def _noted(moment: datetime) -> list[Expiry]:
    """Signs of life, claims and looks of a time to come would be believed until then."""
    return [
        _pulled(Process, "at", moment + SKEW, moment - GONE_AFTER),
        _pulled(HostHealth, "checked_at", moment + SKEW, moment - SKEW),
        _pulled(Lease, "until", moment + LONGEST, moment),
    ]


def _pulled(model: Any, name: str, ahead: datetime, to: datetime, *of: ColumnElement[bool]) -> Expiry:
    return Expiry(model, and_(*of, col(getattr(model, name)) > ahead), {name: to})


def _put_right_daily(context: AppContext, moment: datetime) -> None:
    """What comes by the clock comes the next time that the clock shows it."""
    late = (col(User.digest_at) > moment + _DAY) | (col(User.quiet_ends_at) > moment + _DAY)
    with context.database.reading() as session:
        if session.exec(select(User.id).where(late).limit(1)).first() is None:
            return
    with context.database.session_scope() as session:
        for user in session.exec(select(User).where(late).with_for_update()):
            if user.digest_at is not None and user.digest_hour is not None:
                user.digest_at = next_clock(moment, zone_of(user), user.digest_hour * 60)
            if user.quiet_ends_at is not None and user.quiet_ends_at > moment + _DAY:
                user.quiet_ends_at = moment
