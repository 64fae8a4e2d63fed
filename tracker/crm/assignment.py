"""Who gets a new customer: shared out evenly among those of the mailbox's group who are free and signed in, else among the rest."""

from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from tracker.consent.preferences import preference
from tracker.crm.customers import facts_of
from tracker.models import ApiToken, Customer, GroupMember, Letter, Mailbox, ManagerGroup, User, UserSession
from tracker.notifications.notify import add_notice
from tracker.notifications.webhooks import emit
from tracker.runtime.database import now

FREE = "free"


class Assigner:
    """Assigns new customers of one mailbox. Holds its group until the commit, so that counts stay even whoever else assigns."""

    def __init__(self, session: Session, mailbox: Mailbox) -> None:
        self._session, self._mailbox = session, mailbox
        self._group = _held_group(session, mailbox.group)

    def assign(self, customer: Customer, letter: Letter) -> int | None:
        """Gives the customer a manager, and tells that person. None where the mailbox has no group, or the group nobody."""
        if self._group is None:
            return None
        member = next_member(self._session, self._group)
        if member is None:
            self._tell_that_nobody_is_there(self._group)
            return None
        self._group.turn += 1
        member.turn = self._group.turn
        customer.manager_id = member.user_id
        self._session.add_all([self._group, member, customer])
        self._session.flush()
        customer.version += 1
        emit(self._session, "customer.assigned", facts_of(self._session, customer))
        subject = f"customer:{customer.id}"
        add_notice(self._session, "customer_assigned", subject, member.user_id, self._mailbox.id, letter_id=letter.id)
        return member.user_id

    def _tell_that_nobody_is_there(self, group: ManagerGroup) -> None:
        subject = f"group:{group.public_id}:{now():%Y-%m-%d}"
        facts = {"group": group.name}
        add_notice(self._session, "group_empty", subject, self._mailbox.user_id, self._mailbox.id, facts=facts)


def _held_group(session: Session, public_id: str | None) -> ManagerGroup | None:
    if not public_id:
        return None
    return session.exec(select(ManagerGroup).where(ManagerGroup.public_id == public_id).with_for_update()).first()


def next_member(session: Session, group: ManagerGroup) -> GroupMember | None:
    """Whose turn it is: of those who are free and signed in, or of all where nobody is, who was assigned longest ago."""
    query = select(GroupMember, User).join(User, col(User.id) == col(GroupMember.user_id))
    rows = session.exec(query.where(GroupMember.group_id == group.id, col(User.active))).all()
    present = signed_in(session, {user.id for _, user in rows})
    free = [member for member, user in rows if user.status == FREE and user.id in present]
    candidates = free or [member for member, _ in rows]
    return min(candidates, key=lambda member: (member.turn, member.user_id), default=None)


def signed_in(session: Session, users: set[int], at: datetime | None = None) -> set[int]:
    """Those who did something lately: in a browser, by the API or through the gateway."""
    if not users:
        return set()
    moment = at or now()
    since = moment - timedelta(minutes=preference(session, "presence_minutes"))
    browsers = select(UserSession.user_id).where(
        col(UserSession.user_id).in_(users), UserSession.seen_at > since, UserSession.expires_at > moment
    )
    tokens = select(ApiToken.user_id).where(
        col(ApiToken.user_id).in_(users), col(ApiToken.used_at) > since, col(ApiToken.revoked_at).is_(None)
    )
    return {*session.exec(browsers), *session.exec(tokens)}
