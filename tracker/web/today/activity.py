"""Fourteen days as a small picture: what was sent, opened and answered on each. Messages are counted, each once a day."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func, select
from sqlmodel import Session, col

from tracker.consent.preferences import preference
from tracker.locale.written_days import first_moment
from tracker.models import Delivery, Event, Message, User
from tracker.runtime.database import now
from tracker.web.messages.filter import SENT, Filter, counted

DAYS = 14
HEIGHT, BAR, STEP = 44, 6, 24
"""Of the picture, in its own units: how high a bar may be, how wide it is, and how far days are from each other."""
LEAST_PEOPLE = 3
"""Of fewer a total would tell one what a colleague did."""
SERIES = ("sent", "opened", "answered")


@dataclass(frozen=True)
class Day:
    day: date
    sent: int
    opened: int
    answered: int

    def list_of(self, series: str, until: date) -> str:
        """Where the messages of one of :data:`SERIES` are listed, from this day to another."""
        chosen = Filter(state=("sent",)) if series == "sent" else Filter(activity=series)
        return replace(chosen, since=self.day, until=until).address()

    def counts(self) -> tuple[int, int, int]:
        return self.sent, self.opened, self.answered


@dataclass(frozen=True)
class Bar:
    """One bar of the picture: its place and size, and which of :data:`SERIES` it is of."""

    x: int
    y: float
    height: float
    series: str


@dataclass(frozen=True)
class DailyActivity:
    days: Sequence[Day]
    totals: Day
    """Of all days together: a message counts once, however many days it was opened on."""

    @property
    def width(self) -> int:
        return STEP * len(self.days)

    @property
    def height(self) -> int:
        return HEIGHT

    @property
    def most(self) -> int:
        return max(max(day.counts()) for day in self.days)

    def bars(self) -> list[Bar]:
        return [
            Bar(place * STEP + 2 + number * (BAR + 1), HEIGHT - height, height, SERIES[number])
            for place, day in enumerate(self.days)
            for number, count in enumerate(day.counts())
            if (height := round(max(HEIGHT * count / self.most, 2), 1) if count else 0)
        ]


@dataclass(frozen=True)
class TeamTotals:
    """The same numbers of all who agreed that theirs count, together."""

    people: int
    sent: int
    opened: int
    answered: int


def read_activity(session: Session, user: User) -> DailyActivity:
    """The last days in the reader's zone, today the last of them."""
    edges = _edges(user)
    counts = _read_counts(session, col(Message.user_id) == user.id, [*pairwise(edges), (edges[0], edges[-1])])
    days = [edge.astimezone(ZoneInfo(user.timezone)).date() for edge in edges[:-1]]
    rows = [Day(day, *those) for day, those in zip([*days, days[0]], counts, strict=True)]
    return DailyActivity(rows[:-1], rows[-1])


def read_team_totals(session: Session, user: User) -> TeamTotals | None:
    """None unless the workspace allows it, the reader takes part, and enough others who do sent something in these days."""
    if not (user.in_team_totals and preference(session, "team_totals")):
        return None
    edges = _edges(user)
    first, last = edges[0], edges[-1]
    team = col(Message.user_id).in_(
        session.scalars(select(col(User.id)).where(col(User.active), col(User.in_team_totals))).all()
    )
    people = select(func.count(col(Message.user_id).distinct())).where(
        team, SENT, col(Message.listed_at) >= first, col(Message.listed_at) < last
    )
    if (number := session.execute(people).scalar_one()) < LEAST_PEOPLE:
        return None
    ((sent, opened, answered),) = _read_counts(session, team, [(first, last)])
    return TeamTotals(number, sent, opened, answered)


def _edges(user: User) -> list[datetime]:
    """Where each of the last days begins in the reader's zone, and where today ends."""
    zone = ZoneInfo(user.timezone)
    today = now().astimezone(zone).date()
    return [first_moment(today - timedelta(days=back), zone) for back in range(DAYS - 1, -2, -1)]


def _read_counts(
    session: Session, whose: ColumnElement[bool], periods: Sequence[tuple[datetime, datetime]]
) -> list[tuple[int, int, int]]:
    """How many messages were sent, opened and answered in each period; none began before the last one does."""
    first = periods[-1][0]
    sent = select(*_counts(Message.listed_at, periods)).where(whose, SENT, col(Message.listed_at) >= first)
    events = (
        select(
            *_counts(Event.at, periods, Event.message_id, col(Event.kind) == "open"),
            *_counts(Event.at, periods, Event.message_id, col(Event.kind) == "reply"),
        )
        .join(Message, col(Message.id) == col(Event.message_id))
        .outerjoin(Delivery, col(Delivery.id) == col(Event.delivery_id))
        .where(whose, col(Message.last_activity_at) >= first, col(Event.at) >= first, *counted("open", "reply"))
    )
    happened = [int(number) for number in session.execute(events).one()]
    return list(
        zip(map(int, session.execute(sent).one()), happened[: len(periods)], happened[len(periods) :], strict=True)
    )


def _counts(
    at: datetime,
    periods: Sequence[tuple[datetime, datetime]],
    what: int | None = None,
    *conditions: ColumnElement[bool],
) -> list[ColumnElement[int]]:
    """A count for each period: of the rows, or of the different values of ``what``."""
    number = func.count() if what is None else func.count(col(what).distinct())
    return [number.filter(col(at) >= first, col(at) < last, *conditions) for first, last in periods]
