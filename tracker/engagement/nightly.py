"""Once a night, by whichever worker comes first: judge again what is still held, and decide about suspected networks."""

from datetime import timedelta

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from tracker.db import now
from tracker.engagement.reevaluate import reevaluate
from tracker.house import House
from tracker.models import Job

NAME = "judge again"
EVERY = timedelta(days=1)


def judge_nightly(house: House) -> int:
    """Judges everything again when a day has passed. Returns 0: there is never more to do at once."""
    with house.database.session_scope() as session:
        mine = _claim(session)
    if mine:
        reevaluate(house)
    return 0


def _claim(session: Session) -> bool:
    """Whether it is due, and ours to do. The first look of all only sets the date."""
    moment = now()
    due = update(Job).where(col(Job.name) == NAME, col(Job.due_at) <= moment).values(due_at=moment + EVERY)
    if session.exec(due).rowcount == 1:
        return True
    if session.get(Job, NAME) is None:
        _begin(session)
    return False


def _begin(session: Session) -> None:
    try:
        with session.begin_nested():
            session.add(Job(name=NAME, due_at=now() + EVERY))
    except IntegrityError:  # another worker began at this moment
        return
