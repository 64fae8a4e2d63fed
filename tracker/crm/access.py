"""Whose letters are whose: a letter is its mailbox owner's, and its manager's once its enquiry was given to one.

An enquiry that is nobody's is also seen by the group of its mailbox: somebody has to take it. Tracking data stays the
sender's alone.
"""

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, text
from sqlmodel import Session, col
from sqlmodel import select as rows

from tracker.models import EnquiryStatus, GroupMember, Letter, Mailbox, ManagerGroup, User
from tracker.models.ownership import is_public_id
from tracker.runtime.localized_text import ActionError, LocalizedText

DISABLED = select(col(User.id)).where(~col(User.active))
manager_number: ColumnElement[int | None] = col(EnquiryStatus.manager_id) + 0
owner_number: ColumnElement[int] = col(EnquiryStatus.user_id) + 0
"""As such no index is read by them: what is open is few and read whole by the index of it, what is done is many."""


def is_nobodys() -> ColumnElement[bool]:
    """The condition that an enquiry has no manager, or one who was disabled."""
    return or_(manager_number.is_(None), manager_number.in_(DISABLED))


def is_visible(user: User) -> ColumnElement[bool]:
    """The condition that an enquiry is seen by this person."""
    return or_(is_managed_by(user), sees_nobodys(user))


def is_managed_by(user: User) -> ColumnElement[bool]:
    return manager_number == user.id


def sees_nobodys(user: User) -> ColumnElement[bool]:
    """The same where nobody manages it: it came to this person's mailbox, or to one of their groups'."""
    in_group = (col(EnquiryStatus.mailbox_id) + 0).in_(group_mailboxes(user))
    return or_(owner_number == user.id, and_(is_nobodys(), in_group))


def reports_enquiry(session: Session, user: User) -> ColumnElement[bool]:
    """:func:`is_visible` for many enquiries of a period: each part of it is read by an index, on both engines."""
    own = session.exec(rows(Mailbox.id).where(Mailbox.user_id == user.id)).all()
    of_groups = session.scalars(group_mailboxes(user)).all()  # type: ignore[call-overload]
    mailbox = col(EnquiryStatus.mailbox_id)
    nobodys = and_(is_nobodys(), mailbox.in_(of_groups))
    return or_(col(EnquiryStatus.manager_id) == user.id, mailbox.in_(own), nobodys)


_OTHERS = text("CASE WHEN enquiry_status.manager_id = enquiry_status.user_id THEN 0 ELSE 1 END = 1")
"""In the words of the index of those; as “<>” PostgreSQL would expect most to be so, and read all there are until one is."""


def is_given(user: User) -> ColumnElement[bool]:
    """The condition that an enquiry of somebody else's mailbox was given to this person."""
    return and_(col(EnquiryStatus.manager_id) == user.id, _OTHERS)


def of_group(user: User) -> ColumnElement[bool]:
    """The condition that an enquiry is nobody's and came to a mailbox of this person's groups."""
    return and_(is_nobodys(), col(EnquiryStatus.mailbox_id).in_(group_mailboxes(user)))


def group_mailboxes(user: User) -> ColumnElement[int]:
    """The mailboxes of the groups that this person is in."""
    groups = select(col(ManagerGroup.public_id)).join(GroupMember, col(GroupMember.group_id) == col(ManagerGroup.id))
    mine = groups.where(col(GroupMember.user_id) == user.id)
    return select(col(Mailbox.id)).where(col(Mailbox.group).in_(mine))  # type: ignore[return-value]


def sees_letter(user: User) -> ColumnElement[bool]:
    """The condition that a letter is seen by this person: one's own, and those of enquiries one sees."""
    enquiry = func.coalesce(col(Letter.repeat_of_id), col(Letter.id))
    visible = exists().where(col(EnquiryStatus.letter_id) == enquiry, is_visible(user)).correlate(Letter)
    return or_(col(Letter.user_id) == user.id, visible)


def find_letter(session: Session, user: User, public_id: str) -> Letter:
    """The letter with this public id, where this person sees it. Raises :class:`ActionError` ``not_found``."""
    letter = find_letter_or_none(session, user, public_id)
    if letter is None:
        raise ActionError("not_found", LocalizedText("There is no such letter."))
    return letter


def find_letter_or_none(session: Session, user: User, public_id: str) -> Letter | None:
    if not is_public_id(public_id):
        return None
    seen = (col(Letter.public_id) == public_id, col(Letter.deleted_at).is_(None), sees_letter(user))
    return session.exec(rows(Letter).where(*seen)).first()


def find_enquiry(session: Session, user: User, public_id: str) -> tuple[Letter, EnquiryStatus]:
    """An enquiry that this person sees, held until the commit. Raises :class:`ActionError` ``not_found``."""
    letter = find_letter(session, user, public_id)
    query = rows(EnquiryStatus).where(EnquiryStatus.letter_id == letter.id).with_for_update()
    status = session.exec(query.execution_options(populate_existing=True)).first()
    if status is None:
        raise ActionError("not_found", LocalizedText("This letter is no enquiry."))
    return letter, status
