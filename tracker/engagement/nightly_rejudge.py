"""Once a night, by whichever worker comes first: judge again what is still held, and decide about suspected networks."""

from datetime import timedelta

from sqlmodel import Session

from tracker.engagement.rejudge import rejudge_held
from tracker.models import Job
from tracker.models.counting.bulk import insert_or_keep
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

NAME = "judge again"
EVERY = timedelta(days=1)


def rejudge_nightly(context: AppContext) -> int:
    """Judges everything again when a day has passed. Returns 0: there is never more to do at once."""
    with context.database.reading() as session:
        job = session.get(Job, NAME)
    if job is None:  # the first look of all only sets the date
        with context.database.session_scope() as session:
            session.execute(insert_or_keep(session, Job).values(name=NAME, due_at=now() + EVERY))
        return 0
    if not _is_due(job):
        return 0
    with context.database.session_scope() as session:
        lease = context.leases.claim(session, "job", NAME)
        still_due = _is_due(session.get_one(Job, NAME))
    if lease is None:
        return 0
    if still_due:
        rejudge_held(context)
    with context.database.session_scope() as session:
        if context.leases.release(session, lease) and still_due:
            _done(session)
    return 0


def _is_due(job: Job) -> bool:
    return job.due_at <= now()


def _done(session: Session) -> None:
    job = session.get_one(Job, NAME)
    job.due_at = now() + EVERY
    session.add(job)
