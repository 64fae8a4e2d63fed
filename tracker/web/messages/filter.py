"""The filter of the mail list.

States that exclude each other widen (opened or not opened; a message is in one stage of its life only); all others narrow.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select, text, union_all
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from tracker.locale import N_, _
from tracker.locale.written_days import first_moment
from tracker.mail.addresses import AddressError, lookup_form
from tracker.models import (
    Account,
    Delivery,
    DeliveryStatus,
    Event,
    Message,
    MessageState,
    Recipient,
    SearchKind,
    Template,
    User,
)
from tracker.models.activity import IS_PREFETCH
from tracker.models.mail import IS_UNKNOWABLE, NOT_SENT
from tracker.models.search_query import finds
from tracker.runtime.database import now
from tracker.web.http import list_filter
from tracker.web.http.list_filter import ListFilter, ended, listed

TROUBLE_DAYS = 7
OPENED, ANSWERED = ("opened", "not_opened", "machine_only", "unmeasurable"), ("replied", "no_reply")
LIFE = ("draft", "scheduled", "queued", "sent", "failed", "cancelled")

STATES: Mapping[str, str] = {
    "tracked": N_("Tracked"),
    "opened": N_("Opened"),
    "not_opened": N_("Not opened"),
    "clicked": N_("Clicked"),
    "replied": N_("Replied"),
    "no_reply": N_("No reply"),
    "due": N_("To be followed up"),
    "trouble": N_("Went wrong, not done"),
    "bounced": N_("Bounced"),
    "machine_only": N_("Machines only"),
    "unmeasurable": N_("Cannot be known"),
    "untracked": N_("Untracked"),
    "draft": N_("Drafts"),
    "scheduled": N_("Scheduled"),
    "queued": N_("Queued"),
    "sent": N_("Sent"),
    "failed": N_("Failed"),
    "cancelled": N_("Cancelled"),
}
"""Every value of ``state`` with the name that its chip and its tick box carry."""

_STATE_CLAUSES: Mapping[str, str] = {
    "tracked": N_("tracked"),
    "opened": N_("opened"),
    "not_opened": N_("not opened (measurable)"),
    "clicked": N_("with a click"),
    "replied": N_("answered"),
    "no_reply": N_("without a reply"),
    "due": N_("to be followed up"),
    "trouble": N_("that went wrong in the last days and is not done"),
    "bounced": N_("come back undelivered"),
    "machine_only": N_("touched by machines only"),
    "unmeasurable": N_("whose opening cannot be known"),
    "untracked": N_("not tracked"),
    "draft": N_("in draft"),
    "scheduled": N_("scheduled"),
    "queued": N_("waiting in the queue"),
    "sent": N_("sent"),
    "failed": N_("failed"),
    "cancelled": N_("cancelled"),
}


ACTIVITIES: Mapping[str, tuple[str, str]] = {
    "opened": ("open", N_("Period of opening")),
    "clicked": ("click", N_("Period of clicks")),
    "answered": ("reply", N_("Period of replies")),
}
"""What the period may be of instead of the sending: the kind of event, and the chip's words."""
_ACTIVITY_CLAUSES = {
    "opened": N_("opened %(when)s"),
    "clicked": N_("with a click %(when)s"),
    "answered": N_("answered %(when)s"),
}


@dataclass(frozen=True)
class Filter(ListFilter):
    """What of one's own mail to show. Everything empty is everything."""

    PATH = "/mail"
    LABELS = {
        **list_filter.LABELS,
        "state": STATES,
        "tracked": {"true": N_("Tracked"), "false": N_("Untracked")},
        "account": N_("From: %(what)s"),
        "recipient": N_("To: %(what)s"),
        "thread": N_("One conversation"),
        "template": N_("One template"),
        "activity": {name: label for name, (_kind, label) in ACTIVITIES.items()},
    }
    CLAUSES = {
        **list_filter.CLAUSES,
        "state": _STATE_CLAUSES,
        "tracked": {"true": N_("tracked"), "false": N_("not tracked")},
        "account": N_("sent from %(what)s"),
        "recipient": N_("to %(what)s"),
        "thread": N_("of one conversation"),
        "template": N_("begun with one template"),
        "activity": _ACTIVITY_CLAUSES,
    }

    state: tuple[str, ...] = ()
    tracked: str = ""
    account: str = ""
    recipient: str = ""
    since: date | datetime | None = None
    until: date | datetime | None = None
    q: str = ""
    thread: str = ""
    template: str = ""
    activity: str = ""
    """One of :data:`ACTIVITIES`: ``since`` and ``until`` are then of this."""

    def groups(self) -> list[list[str]]:
        """The states by what excludes what: within a group one of them is enough."""
        return [[state for state in self.state if state in group] for group in EXCLUSIVE]

    @property
    def is_tab(self) -> bool:
        """Nothing is chosen but one of :data:`TABS`, which stand above."""
        return len(self.values()) == 1 and self.state[:1] in [(name,) for name in TABS]

    def sentence(self) -> str:
        clauses = [text for name, text in self.clauses() if name not in ("state", "activity")]
        if self.activity:
            period = [text for name, text in self.clauses() if name in ("since", "until")]
            clauses = [text for text in clauses if text not in period]
            clauses.append(_(_ACTIVITY_CLAUSES[self.activity], when=" ".join(period)).strip())
        states = [listed([_(_STATE_CLAUSES[state]) for state in group], "or") for group in self.groups() if group]
        clauses = states + clauses
        return ended(_("Mail: %(conditions)s.", conditions=listed(clauses))) if clauses else _("All mail.")

    def conditions(self, session: Session, user: User) -> list[ColumnElement[bool]]:
        # To one recipient, in one conversation and with one template few were written, and few come back: they are read by that,
        # and not all of one's own in the order of the list.
        is_of_few = self.recipient or self.thread or self.template or self.activity or "bounced" in self.state
        own = col(Message.user_id) + 0 if is_of_few else col(Message.user_id)
        conditions = (
            finds(session, SearchKind.MESSAGE, Message.id, self.q, user.id, Message.user_id)
            if self.q
            else [own == user.id]
        )
        conditions += self.of_states(user)
        if self.tracked:
            conditions.append(_TRACKED if self.tracked == "true" else ~_TRACKED)
        if self.account:
            conditions.append(_from_account(self.account, user))
        if self.recipient:
            conditions.append(_to_recipient(self.recipient))
        if self.thread:
            conditions.append(_of_thread(self.thread, user))
        if self.template:
            template = select(col(Template.id)).where(col(Template.public_id) == self.template)
            conditions.append(col(Message.template_id) == template.scalar_subquery())
        if self.activity:
            return [*conditions, self._happened(user)]
        return conditions + self.period(Message.listed_at, user)

    def of_states(self, user: User) -> list[ColumnElement[bool]]:
        states = {**_STATE, "trouble": went_wrong(), "bounced": _came_back(user)}
        return [or_(*(states[state] for state in group)) for group in self.groups() if group]

    def _happened(self, user: User) -> ColumnElement[bool]:
        """Something of :attr:`activity` in the period."""
        zone, message = ZoneInfo(user.timezone), aliased(Message)
        happened = select(col(Event.message_id)).join(message, col(message.id) == col(Event.message_id))
        happened = happened.outerjoin(Delivery, col(Delivery.id) == col(Event.delivery_id))
        happened = happened.where(col(message.user_id) == user.id, *counted(ACTIVITIES[self.activity][0]))
        if self.since is not None:
            happened = happened.where(col(message.last_activity_at) >= first_moment(self.since, zone))
        return col(Message.id).in_(happened.where(*self.period(Event.at, user)))


def counted(*kinds: str) -> list[ColumnElement[bool]]:
    """That an event, beside its delivery, is one of these kinds and is counted."""
    return [
        col(Event.counted).is_(True),
        col(Event.kind).in_(kinds),
        func.coalesce(col(Delivery.frozen), False).is_(False),
    ]


SENT = or_(
    col(Message.state) == MessageState.SENT,
    and_(col(Message.state) == MessageState.QUEUED, col(Message.sent_at).is_not(None)),
)
"""Left, be it that some of its recipients still wait for their copy."""
_STAGES: Mapping[str, ColumnElement[bool]] = {state: and_(NOT_SENT, col(Message.state) == state) for state in LIFE} | {
    "sent": SENT
}
_REJECTED = exists().where(col(Delivery.message_id) == col(Message.id), col(Delivery.status) == DeliveryStatus.REJECTED)


def _came_back(user: User) -> ColumnElement[bool]:
    """Come back undelivered, or refused for some of its recipients; refused for all of them, it has failed. Both are few, with an
    index of their own (of refused copies in these words)."""
    bounced = select(col(Message.id)).where(col(Message.user_id) == user.id, col(Message.bounces) > text("0"))
    copies = select(col(Message.id)).join(Delivery, col(Delivery.message_id) == col(Message.id))
    copies = copies.where(col(Delivery.status) == text("'rejected'"), col(Message.user_id) + 0 == user.id)
    refused = copies.where(col(Message.state).in_([MessageState.SENT, MessageState.QUEUED]))
    both = union_all(bounced, refused).cte("came_back", nesting=True).prefix_with("MATERIALIZED", dialect="postgresql")
    return col(Message.id).in_(select(both.c.id))


def went_wrong() -> ColumnElement[bool]:
    """Failed, refused for some or come back in the last days, and nobody has dealt with it since."""
    later = and_(col(Message.bounces) > 0, col(Message.last_activity_at) > col(Message.handled_at))
    return and_(
        col(Message.listed_at) >= now() - timedelta(days=TROUBLE_DAYS),
        or_(
            col(Message.state) == MessageState.FAILED,
            col(Message.bounces) > 0,
            and_(col(Message.state).in_((MessageState.SENT, MessageState.QUEUED)), _REJECTED),
        ),
        or_(col(Message.handled_at).is_(None), later),
    )


_LEFT_DRAFTS = col(Message.state).not_in([MessageState.DRAFT, MessageState.CANCELLED])
_TRACKED = or_(col(Message.opens_tracked) > 0, col(Message.clicks_tracked) > 0)
_UNKNOWABLE = and_(
    _LEFT_DRAFTS,
    col(Message.opens) == 0,
    or_(
        and_(
            col(Message.machine) > 0,
            exists().where(col(Event.message_id) == col(Message.id), IS_PREFETCH),
        ),
        and_(
            col(Message.opens_tracked) == 0,
            exists().where(col(Delivery.message_id) == col(Message.id), IS_UNKNOWABLE),
        ),
    ),
)
MEASURABLE = and_(col(Message.opens_tracked) > 0, ~_UNKNOWABLE)
"""Messages whose opening can be known: the ground of every honest rate."""

_FACTS: Mapping[str, ColumnElement[bool]] = {
    "tracked": and_(_LEFT_DRAFTS, _TRACKED),
    "untracked": and_(_LEFT_DRAFTS, ~_TRACKED),
    "opened": col(Message.opens) > 0,
    "not_opened": and_(SENT, MEASURABLE, col(Message.opens) == 0),
    "clicked": col(Message.clicks) > 0,
    "replied": col(Message.replies) > 0,
    "no_reply": and_(SENT, col(Message.replies) == 0),
    "due": col(Message.follow_up_due_at).is_not(None),
    "machine_only": and_(col(Message.machine) > 0, col(Message.opens) == 0, col(Message.clicks) == 0),
    "unmeasurable": _UNKNOWABLE,
}

_STATE = {**_STAGES, **_FACTS}
TABS = ("sent", "scheduled", "draft", "failed", "due")
"""What the list is looked at by most, without any other condition."""
EXCLUSIVE = (LIFE, ("tracked", "untracked"), OPENED, ("clicked",), ANSWERED, ("due",), ("trouble",), ("bounced",))
"""Every state in its group."""


def _from_account(account: str, user: User) -> ColumnElement[bool]:
    """By address or public id; the one that is there before those that were removed."""
    named = or_(col(Account.public_id) == account, col(Account.address).in_([account, account.lower()]))
    own = select(col(Account.id)).where(col(Account.user_id) == user.id, named)
    return col(Message.account_id).in_(own)


def _of_thread(thread: str, user: User) -> ColumnElement[bool]:
    message = aliased(Message)
    of_thread = select(col(message.id)).where(col(message.user_id) == user.id, col(message.thread) == thread)
    return col(Message.id).in_(of_thread)


def _to_recipient(recipient: str) -> ColumnElement[bool]:
    """By address in any spelling, or public id."""
    named: ColumnElement[bool] = col(Recipient.public_id) == recipient
    if "@" in recipient:
        try:
            named = col(Recipient.lookup) == lookup_form(recipient)
        except AddressError:
            named = false()
    people = select(col(Recipient.id)).where(named)
    return col(Message.id).in_(select(col(Delivery.message_id)).where(col(Delivery.recipient_id).in_(people)))
