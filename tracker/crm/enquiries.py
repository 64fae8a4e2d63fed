"""The work of a day: an enquiry is taken or given to somebody, put off until later, done; and the lists in which it stands."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, bindparam, func, or_, select
from sqlmodel import Session, col
from sqlmodel import select as rows
from sqlmodel.sql.expression import SelectOfScalar

from tracker.crm.access import is_managed_by, is_nobodys, is_visible, sees_nobodys
from tracker.models import EnquiryChange, EnquiryStatus, Letter, User
from tracker.notifications.notify import add_notice, announce, notify
from tracker.runtime.context import AppContext
from tracker.runtime.database import UtcDateTime, now
from tracker.runtime.localized_text import ActionError, LocalizedText

LISTS = ("mine", "nobodys", "waiting", "answer", "snoozed", "done")
_WOKEN_AT_ONCE = 100


def in_list(name: str, user: User, moment: datetime) -> ColumnElement[bool]:
    """The condition of one of :data:`LISTS`, over what this person sees."""
    condition = _condition(name, user, moment)
    if name == "mine":
        return condition
    if name == "answer":  # in the hands of no colleague
        return and_(condition, or_(is_managed_by(user), and_(is_nobodys(), sees_nobodys(user))))
    return and_(sees_nobodys(user) if name == "nobodys" else is_visible(user), condition)


def _is_open(moment: datetime) -> ColumnElement[bool]:
    return and_(col(EnquiryStatus.done_at).is_(None), ~_is_snoozed(moment))


def _is_snoozed(moment: datetime) -> ColumnElement[bool]:
    return func.coalesce(col(EnquiryStatus.snoozed_until) > moment, False)


def _condition(name: str, user: User, moment: datetime) -> ColumnElement[bool]:
    match name:
        case "mine":
            return and_(is_managed_by(user), _is_open(moment))
        case "nobodys":
            return and_(is_nobodys(), _is_open(moment))
        case "waiting" | "answer":
            return and_(col(EnquiryStatus.waiting_since).is_not(None), _is_open(moment))
        case "snoozed":
            return and_(col(EnquiryStatus.done_at).is_(None), _is_snoozed(moment))
    return col(EnquiryStatus.done_at).is_not(None)


def list_counts(session: Session, user: User) -> Mapping[str, int]:
    """How many enquiries stand in each list of this person."""
    return dict(session.execute(_list_counts(), {"user": user.id, "moment": now()}).mappings().one())


@cache
def _list_counts() -> Any:
    """Made once, of whoever asks and whenever: to make it takes as long as to run it."""
    user: Any = SimpleNamespace(id=bindparam("user", type_=Integer))
    moment: Any = bindparam("moment", type_=UtcDateTime())
    names = (name for name in LISTS if name not in ("answer", "done"))
    counts = (func.count().filter(_condition(name, user, moment)).label(name) for name in names)
    query = select(*counts).join_from(EnquiryStatus, Letter, col(Letter.id) == col(EnquiryStatus.letter_id))
    alive = (col(Letter.withdrawn_at).is_(None), col(Letter.deleted_at).is_(None), col(EnquiryStatus.done_at).is_(None))
    return query.where(is_visible(user), *alive)


def assign_enquiry(
    session: Session, letter: Letter, status: EnquiryStatus, manager: User, by: User, before: User | None = None
) -> bool:
    """Gives the enquiry to somebody, and tells them unless they do it themselves. Whether anything changed.

    Of two who take one at once the first has it. Whoever moves it on purpose names who has it now (``before``).
    Raises :class:`ActionError` ``conflict`` that names who has it, ``invalid`` for somebody who was disabled.
    """
    if not manager.active:
        raise ActionError(
            "invalid", LocalizedText("%(name)s is disabled. Choose somebody else.", name=manager.name), "manager"
        )
    if status.manager_id == manager.id:
        return False
    holder = session.get(User, status.manager_id) if status.manager_id else None
    taken = holder is not None and holder.active and (before is None or before.id != holder.id)
    if holder is not None and taken and (manager.id == by.id or before is not None):
        text = LocalizedText("%(name)s has this enquiry already.", name=holder.name)
        raise ActionError("conflict", text, "manager", detail_code="taken")
    status.manager_id = manager.id
    _changed(session, letter, status, by, "assigned", to_user_id=manager.id)
    if manager.id != by.id:
        subject = f"letter:{letter.id}:{status.version}"
        add_notice(session, "enquiry_assigned", subject, manager.id, letter.mailbox_id, letter_id=letter.id)
    if holder is not None and holder.id != by.id:
        announce(session, holder.id, "letter", letter.public_id)
    return True


def release_enquiry(session: Session, letter: Letter, status: EnquiryStatus, by: User) -> None:
    """It is nobody's again."""
    if status.manager_id is not None:
        status.manager_id = None
        _changed(session, letter, status, by, "released")


def snooze_enquiry(session: Session, letter: Letter, status: EnquiryStatus, until: datetime, by: User) -> None:
    """Out of the lists until then, or until its sender writes again. Raises :class:`ActionError` for a time that is over."""
    if until <= now():
        raise ActionError("invalid", LocalizedText("This time is over. Choose a later one."), "until")
    status.snoozed_until, status.done_at = until, None
    _changed(session, letter, status, by, "snoozed", until=until)


def wake_enquiry(session: Session, letter: Letter, status: EnquiryStatus, by: User) -> None:
    """Back into the lists now."""
    if status.snoozed_until is not None:
        status.snoozed_until = None
        _changed(session, letter, status, by, "woken")


def complete_enquiry(session: Session, letter: Letter, status: EnquiryStatus, by: User) -> None:
    """Done: it leaves the lists of the day until its sender writes again."""
    if status.done_at is None:
        status.done_at, status.snoozed_until = now(), None
        _changed(session, letter, status, by, "done")


def reopen_enquiry(session: Session, letter: Letter, status: EnquiryStatus, by: User) -> None:
    """There is something to do about it after all."""
    if status.done_at is not None:
        status.done_at = None
        _changed(session, letter, status, by, "reopened")


def _changed(
    session: Session,
    letter: Letter,
    status: EnquiryStatus,
    by: User | None,
    what: str,
    *,
    to_user_id: int | None = None,
    until: datetime | None = None,
) -> None:
    """One line of history, and a hint to the pages of those who see it."""
    status.version += 1
    session.add(status)
    by_id = by.id if by else None
    session.add(EnquiryChange(letter_id=letter.id, user_id=by_id, what=what, to_user_id=to_user_id, until=until))
    session.flush()
    for person in {status.user_id, status.manager_id, by_id} - {None}:
        announce(session, person or 0, "letter", letter.public_id)


def wake_snoozed(context: AppContext) -> int:
    """Brings back what was put off until now, and tells whoever has it. Returns how many."""
    with context.database.reading() as session:
        if session.exec(_due(now())).first() is None:
            return 0
    with context.database.session_scope() as session:
        due = session.exec(_due(now()).with_for_update(skip_locked=True)).all()
        for status in due:
            letter = session.get_one(Letter, status.letter_id)
            status.snoozed_until = None
            _changed(session, letter, status, None, "woken")
            person = status.manager_id or status.user_id
            notify(session, person, f"letter:{letter.id}", "enquiry_due", now())
        return len(due)


def _due(moment: datetime) -> SelectOfScalar[EnquiryStatus]:
    return rows(EnquiryStatus).where(col(EnquiryStatus.snoozed_until) <= moment).limit(_WOKEN_AT_ONCE)
