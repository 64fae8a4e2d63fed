"""Who of ours has seen whose tracking data, by the day; kept for a year."""

import logging
from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import select as columns
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session, col, select

from tracker.models import Delivery, Message, Recipient, TrackingView, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

log = logging.getLogger(__name__)


def note_view(context: AppContext, user: User, what: str, recipients: Iterable[int]) -> None:
    """``user`` was shown tracking data of these recipients (``what``: message, recipient, export). Written once a day."""
    day, wanted = now().date(), set(recipients)
    if not wanted:
        return
    seen = select(TrackingView.recipient_id).where(
        TrackingView.user_id == user.id, TrackingView.what == what, TrackingView.day == day
    )
    with context.database.reading() as session:
        known = session.exec(seen.where(col(TrackingView.recipient_id).in_(wanted))).all()
    for recipient in sorted(wanted - set(known)):
        try:
            with context.database.session_scope(hurried=True) as session:
                session.add(TrackingView(user_id=user.id, recipient_id=recipient, what=what, day=day))
        except IntegrityError:  # another window noted it at the same moment
            continue
        except OperationalError:  # reading goes on while nobody can write
            log.warning("a look at tracking data was not noted: the database is busy")
            return


def note_message_view(context: AppContext, user: User, message: Message) -> None:
    """``user`` was shown what happened to a message: noted for the recipients of whom something is measured."""
    with context.database.reading() as session:
        copies = session.exec(select(Delivery).where(Delivery.message_id == message.id)).all()
    note_copies_view(context, user, copies)


def note_copies_view(context: AppContext, user: User, copies: Iterable[Delivery]) -> None:
    """The same of a message whose copies were just read."""
    note_view(context, user, "message", {copy.recipient_id for copy in copies if copy.opens_on or copy.clicks_on})


def views_of(session: Session, recipient: Recipient) -> Sequence[tuple[date, str, str]]:
    """Day, what, and the name of who looked; the newest first."""
    query = (
        columns(col(TrackingView.day), col(TrackingView.what), col(User.name))
        .join(User, col(User.id) == col(TrackingView.user_id))
        .where(col(TrackingView.recipient_id) == recipient.id)
        .order_by(col(TrackingView.day).desc(), col(User.name))
    )
    return [(day, what, name) for day, what, name in session.connection().execute(query)]
