"""What people did with one's own mail, for the list of people: when last, how warm, what is to come, and twelve weeks in small.

Only the reader's own mail is looked at: what a colleague's mail tells of somebody is the colleague's.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlmodel import Session, col

from tracker.engagement.warmth import degree, warmth
from tracker.models import Delivery, Event, Message, User
from tracker.runtime.database import now

WEEKS = 12
WARM_DAYS = timedelta(days=7)
LOOKED_AT = 2000
"""So many of one's newest copies with a sign of a person are looked at to put people in order."""
STEP, HEIGHT = 6, 16
"""Of the small picture, in its own units."""
ORDERS = ("name", "last", "warmth", "follow_up")


@dataclass(frozen=True)
class PersonActivity:
    last: datetime | None = None
    points: float = 0.0
    follow_up: datetime | None = None
    weeks: Sequence[int] = ()
    """Opens, clicks and answers of each week, this one the last."""

    @property
    def degree(self) -> str:
        return degree(self.points) if self.points else ""

    @property
    def line(self) -> str:
        """The points of a polyline; empty where nothing happened."""
        most = max(self.weeks, default=0)
        if not most:
            return ""
        heights = (HEIGHT - 1 - (HEIGHT - 2) * count / most for count in self.weeks)
        return " ".join(f"{place * STEP},{height:.1f}" for place, height in enumerate(heights))


def activity_of(session: Session, user: User, people: Collection[int]) -> Mapping[int, PersonActivity]:
    """By number of the recipient, for those who got mail of the reader; in two statements however many they are."""
    if not people:
        return {}
    moment = now()
    weeks: dict[int, list[int]] = {}
    last: dict[int, datetime] = {}
    for person, at in session.execute(_signs(user, people, moment - timedelta(weeks=WEEKS))):
        counts = weeks.setdefault(person, [0] * WEEKS)
        counts[min(WEEKS - 1, max(0, WEEKS - 1 - (moment - at).days // 7))] += 1
        last[person] = max(at, last.get(person, at))
    rows: dict[int, PersonActivity] = {}
    for row in session.execute(_copies(user, people, moment)):
        newest = max((at for at in (row.opened, row.clicked, last.get(row.person)) if at is not None), default=None)
        points = warmth(row.opens or 0, row.clicks or 0, newest, moment) if newest else 0.0
        rows[row.person] = PersonActivity(newest, points, row.follow_up, weeks.get(row.person, []))
    return rows


def _signs(user: User, people: Collection[int], since: datetime) -> Select[Any, Any]:
    return (
        select(col(Delivery.recipient_id), col(Event.at))
        .join(Delivery, col(Delivery.id) == col(Event.delivery_id))
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(
            col(Delivery.recipient_id).in_(people),
            col(Message.user_id) + 0 == user.id,
            ~col(Delivery.frozen),
            col(Event.counted),
            col(Event.kind).in_(("open", "click", "reply")),
            col(Event.at) >= since,
        )
    )


def _copies(user: User, people: Collection[int], moment: datetime) -> Select[Any, Any, Any, Any, Any, Any]:
    lately = func.coalesce(col(Delivery.last_clicked_at), col(Delivery.last_opened_at)) >= moment - WARM_DAYS
    waits = (col(Message.replies) == 0) & col(Message.follow_up_at).is_not(None)
    return (
        select(
            col(Delivery.recipient_id).label("person"),
            func.max(col(Delivery.last_opened_at)).label("opened"),
            func.max(col(Delivery.last_clicked_at)).label("clicked"),
            func.sum(col(Delivery.opens)).filter(lately).label("opens"),
            func.sum(col(Delivery.clicks)).filter(lately).label("clicks"),
            func.min(col(Message.follow_up_at)).filter(waits).label("follow_up"),
        )
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(col(Delivery.recipient_id).in_(people), col(Message.user_id) + 0 == user.id, ~col(Delivery.frozen))
        .group_by(col(Delivery.recipient_id))
    )


def in_order(session: Session, user: User, order: str) -> list[int]:
    """The people of one's own mail who showed a sign lately or are to be followed up, by ``last``, ``warmth`` or ``follow_up``."""
    mine = select(col(Delivery.recipient_id)).join(Message, col(Message.id) == col(Delivery.message_id))
    mine = mine.where(col(Message.user_id) == user.id, ~col(Delivery.frozen))
    if order == "follow_up":
        mine = mine.where(col(Message.follow_up_at).is_not(None), col(Message.replies) == 0)
        mine = mine.order_by(col(Message.follow_up_at))
    else:
        mine = mine.where(col(Message.last_activity_at).is_not(None)).order_by(col(Message.last_activity_at).desc())
    people = list(dict.fromkeys(session.execute(mine.limit(LOOKED_AT)).scalars()))
    rows = activity_of(session, user, people)
    if order == "follow_up":
        return sorted((p for p in people if rows[p].follow_up), key=lambda p: rows[p].follow_up or now())
    active = [(row, person) for person, row in rows.items() if row.last is not None]
    newest_first = sorted(active, key=lambda each: each[0].last or now(), reverse=True)
    if order == "warmth":
        newest_first.sort(key=lambda each: each[0].points, reverse=True)
    return [person for _row, person in newest_first]
