"""What people did with one's own mail, for the list of people: when last, how warm, what is to come, and twelve weeks in small.

Only the reader's own mail is looked at: what a colleague's mail tells of somebody is the colleague's.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select, union
from sqlmodel import Session, col

from tracker.engagement.warmth import degree, heat, warmth
from tracker.models import Customer, CustomerAddress, Delivery, Event, Message, Recipient, User
from tracker.runtime.database import now
from tracker.runtime.paging import in_order as in_page_order

WEEKS = 12
WARM_DAYS = timedelta(days=7)
LOOKED_AT = 500
"""So many of one's newest copies with a sign of a person are looked at to put people in order."""
STEP, HEIGHT = 6, 16
"""Of the small picture, in its own units."""
ORDERS = ("name", "last", "warmth", "owner", "follow_up")


@dataclass(frozen=True)
class PersonActivity:
    last: datetime | None = None
    points: float = 0.0
    follow_up: datetime | None = None
    weeks: Sequence[int] = ()
    """Opens, clicks and answers of each week, this one the last."""
    heat: float = 0.0
    """The order of warmth."""

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
    return _summed(session, user, people, moment, last, weeks)


def _places(session: Session, user: User, people: Collection[int]) -> Mapping[int, PersonActivity]:
    """The same without the weeks, for many people."""
    moment = now()
    signs = _signs(user, people, moment - timedelta(weeks=WEEKS)).with_only_columns(
        col(Delivery.recipient_id), func.max(col(Event.at))
    )
    last = {row[0]: row[1] for row in session.execute(signs.group_by(col(Delivery.recipient_id)))}
    return _summed(session, user, people, moment, last, {})


def _summed(
    session: Session,
    user: User,
    people: Collection[int],
    moment: datetime,
    last: Mapping[int, datetime],
    weeks: Mapping[int, Sequence[int]],
) -> Mapping[int, PersonActivity]:
    rows: dict[int, PersonActivity] = {}
    for row in session.execute(_copies(user, people, moment)):
        newest = max((at for at in (row.opened, row.clicked, last.get(row.person)) if at is not None), default=None)
        signs = (row.opens or 0, row.clicks or 0)
        points, place = (warmth(*signs, newest, moment), heat(*signs, newest)) if newest else (0.0, 0.0)
        rows[row.person] = PersonActivity(newest, points, row.follow_up, weeks.get(row.person, []), place)
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
    due, later = col(Message.follow_up_due_at), col(Message.follow_up_at)
    waits = due.is_not(None) | ((col(Message.replies) == 0) & later.is_not(None))
    return (
        select(
            col(Delivery.recipient_id).label("person"),
            func.max(col(Delivery.last_opened_at)).label("opened"),
            func.max(col(Delivery.last_clicked_at)).label("clicked"),
            func.sum(col(Delivery.opens)).filter(lately).label("opens"),
            func.sum(col(Delivery.clicks)).filter(lately).label("clicks"),
            func.min(func.coalesce(due, later)).filter(waits).label("follow_up"),
        )
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(col(Delivery.recipient_id).in_(people), col(Message.user_id) + 0 == user.id, ~col(Delivery.frozen))
        .group_by(col(Delivery.recipient_id))
    )


def in_order(session: Session, user: User, order: str, among: Select[Any] | None = None) -> list[tuple[float, int]]:
    """The people of one's own mail who showed a sign lately or are to be followed up, by ``last``, ``warmth`` or ``follow_up``:
    each with what puts them there, the greatest first. ``among`` are numbers of recipients that alone are asked for."""
    mine = select(col(Delivery.recipient_id)).join(Message, col(Message.id) == col(Delivery.message_id))
    # By the messages that are to be followed up where these are asked for, and not by all of the reader's.
    owned = (col(Message.user_id) + 0 if order == "follow_up" else col(Message.user_id)) == user.id
    mine = mine.where(owned, ~col(Delivery.frozen))
    if among is not None:
        mine = mine.where(col(Delivery.recipient_id).in_(among))
    if order == "follow_up":
        mine = mine.where(col(Message.id).in_(_to_follow_up(user)))
        mine = mine.order_by(func.coalesce(col(Message.follow_up_due_at), col(Message.follow_up_at)))
    else:
        mine = mine.where(col(Message.last_activity_at).is_not(None)).order_by(col(Message.last_activity_at).desc())
    people = list(dict.fromkeys(session.execute(mine.limit(LOOKED_AT)).scalars()))
    rows = _places(session, user, people) if people else {}
    places = ((_place(rows[person], order), person) for person in people if person in rows)
    return sorted(((place, person) for place, person in places if place is not None), reverse=True)


def _to_follow_up(user: User) -> Any:
    """Numbers of the messages that are due, or will be, first."""
    mine = select(col(Message.id)).where(col(Message.user_id) == user.id)
    due = mine.where(col(Message.follow_up_due_at).is_not(None)).order_by(col(Message.follow_up_due_at))
    later = select(col(Message.id)).where(col(Message.user_id) + 0 == user.id, col(Message.replies) == 0)
    later = later.where(col(Message.follow_up_at).is_not(None)).order_by(col(Message.follow_up_at))
    return union(*(select(arm.limit(LOOKED_AT).subquery().c.id) for arm in (due, later)))


def _place(row: PersonActivity, order: str) -> float | None:
    if order == "follow_up":
        return -row.follow_up.timestamp() if row.follow_up else None
    if row.last is None:
        return None
    return row.heat if order == "warmth" else row.last.timestamp()


def owners_of(session: Session, people: Collection[int]) -> Mapping[int, User]:
    """Who is in charge of each as a customer, by number of the recipient; the customer's that was there first."""
    if not people:
        return {}
    query = _with_owner(select(col(Recipient.id), User)).where(col(Recipient.id).in_(people))
    return {row[0]: row[1] for row in session.execute(query.order_by(col(Customer.id).desc()))}


def owned_by(owner: User) -> Select[Any]:
    """The numbers of recipients whose customer is in this person's hands."""
    numbers: Select[Any] = _with_owner(select(col(Recipient.id))).where(col(Customer.manager_id) == owner.id)
    return numbers


def _with_owner(query: Any) -> Any:
    query = query.select_from(Recipient)
    query = query.join(CustomerAddress, col(CustomerAddress.lookup) == col(Recipient.lookup))
    query = query.join(Customer, col(Customer.id) == col(CustomerAddress.customer_id))
    return query.join(User, col(User.id) == col(Customer.manager_id))


def by_owner(session: Session, after: Sequence[Any] | None, limit: int) -> list[tuple[str, str, Recipient]]:
    """Those with an owner, in the order of the owners' names and then of addresses, behind a place of these two."""
    query = _with_owner(select(col(User.name), col(Recipient.lookup), Recipient)).distinct()
    query = in_page_order(query, (User.name, Recipient.lookup), after, newest_first=False)
    return [(row[0], row[1], row[2]) for row in session.execute(query.limit(limit))]
