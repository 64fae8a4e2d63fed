"""The filter of the mail list: address bar ↔ value ↔ query ↔ sentence.

A filter is a value. Days are days in the reader's zone, ``since`` counts from its first moment and ``until`` to its
last; points of time (RFC 3339) are taken as they stand. Several states narrow each other, except that the stages of a
message's own life (draft, queued, sent …) widen: a message is in one of them only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, exists, false, literal, or_, select, tuple_
from sqlmodel import col

from tracker.addresses import AddressError, lookup_form
from tracker.db import UtcDateTime
from tracker.locale import N_
from tracker.locale import gettext as _
from tracker.models import Account, Delivery, Event, Message, MessageState, Recipient, User
from tracker.web.filter_values import (
    FilterError,
    as_text,
    chosen,
    first_moment,
    moment,
    next_day,
    spellings,
    values,
    words,
    yes_or_no,
)

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])

PAGE = 50

CANNOT_BE_KNOWN = ("text_only", "group_too_large", "host_unhealthy", "rewriting_failed", "protected")
"""Rules that left a copy unmeasured for what it is, not for what anybody wished."""

LIFE = ("draft", "scheduled", "queued", "sent", "failed", "cancelled")

STATES: Mapping[str, str] = {
    "tracked": N_("Tracked"),
    "opened": N_("Opened"),
    "not_opened": N_("Not opened"),
    "clicked": N_("Clicked"),
    "replied": N_("Replied"),
    "no_reply": N_("No reply"),
    "bounced": N_("Bounced"),
    "machine_only": N_("Machine only"),
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


@dataclass(frozen=True)
class Filter:
    """What of one's own mail to show. Everything empty is everything."""

    states: tuple[str, ...] = ()
    tracked: bool | None = None
    account: str = ""
    recipient: str = ""
    since: date | datetime | None = None
    until: date | datetime | None = None
    q: str = ""
    thread: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Filter":
        """The filter in an address. ``state`` may be repeated or hold several divided by commas; names that are not
        ours are left to others. Raises :class:`FilterError`."""
        return cls(
            states=chosen("state", values(query, "state"), STATES),
            tracked=yes_or_no("tracked", query.get("tracked", "")),
            account=words("account", query.get("account", "")),
            recipient=words("recipient", query.get("recipient", "")),
            since=moment("since", query.get("since", "")),
            until=moment("until", query.get("until", "")),
            q=words("q", query.get("q", "")),
            thread=words("thread", query.get("thread", "")),
        )

    def to_query(self) -> str:
        """The address bar's form, without the question mark; the same filter always gives the same text."""
        pairs = [("state", state) for state in self.states]
        pairs += [(name, text) for name in _SINGLE if (text := as_text(getattr(self, name)))]
        return urlencode(pairs)

    def without(self, name: str, value: str = "") -> "Filter":
        """Itself with one value less: ``without("state", "opened")``, ``without("q")``."""
        if name == "state":
            return replace(self, states=tuple(state for state in self.states if state != value))
        emptied: dict[str, Any] = {name: _DEFAULTS[name]}
        return replace(self, **emptied)

    def with_state(self, state: str) -> "Filter":
        return replace(self, states=chosen("state", [*self.states, state], STATES))

    @property
    def is_empty(self) -> bool:
        return self == Filter()

    def values(self) -> list[tuple[str, str]]:
        """Each value that is set, as (name, text): one chip each."""
        single = [(name, as_text(getattr(self, name))) for name in _SINGLE]
        return [("state", state) for state in self.states] + [(name, text) for name, text in single if text]

    def apply(self, query: Query, user: User) -> Query:
        """Narrows a query over :class:`Message` to this user's own messages that pass."""
        return query.where(col(Message.user_id) == user.id, *self.conditions(user))

    def conditions(self, user: User) -> list[ColumnElement[bool]]:
        """What a message must fulfil, without whose it is."""
        found = [_FACTS[state] for state in self.states if state not in LIFE]
        if stages := [state for state in self.states if state in LIFE]:
            found.append(col(Message.state).in_(stages))
        if self.tracked is not None:
            found.append(_TRACKED if self.tracked else ~_TRACKED)
        if self.account:
            found.append(_from_account(self.account))
        if self.recipient:
            found.append(_to_recipient(self.recipient))
        if self.thread:
            found.append(col(Message.thread) == self.thread)
        return found + self._period(ZoneInfo(user.timezone)) + [_has_word(word) for word in self.q.split()]

    def _period(self, zone: ZoneInfo) -> list[ColumnElement[bool]]:
        found = []
        if self.since is not None:
            found.append(col(Message.listed_at) >= first_moment(self.since, zone))
        if isinstance(self.until, datetime):
            found.append(col(Message.listed_at) <= self.until)
        elif self.until is not None:
            found.append(col(Message.listed_at) < first_moment(next_day(self.until), zone))
        return found


@dataclass(frozen=True)
class Cursor:
    """A place in the list: the last message already seen. Its text is what stands in the address bar."""

    at: datetime
    id: int

    @classmethod
    def of(cls, message: Message) -> "Cursor":
        assert message.id is not None
        return cls(message.listed_at, message.id)

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Raises :class:`FilterError`."""
        found = re.fullmatch(r"(\d{1,17})\.(\d{1,18})", text)
        if not found:
            raise FilterError("cursor", _("“cursor” is not one of ours: take it from the previous page as it stands."))
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(found[1]))
        return cls(at, int(found[2]))

    def __str__(self) -> str:
        micro = (self.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        return f"{micro}.{self.id}"


def in_list_order(
    query: Query, after: Cursor | None = None, limit: int = PAGE, at: Any = Message.listed_at, number: Any = Message.id
) -> Query:
    """Newest first, after a place, one row more than asked for so that "is there more?" needs no count.

    Reads an index such as ``ix_message_user_list`` from the place on, however deep in the list it lies.
    """
    if after is not None:
        place = tuple_(literal(after.at, UtcDateTime), literal(after.id))
        query = query.where(tuple_(col(at), col(number)) < place)
    return query.order_by(col(at).desc(), col(number).desc()).limit(limit + 1)


_DEFAULTS = {field.name: field.default for field in fields(Filter)}
_SINGLE = tuple(name for name in _DEFAULTS if name != "states")

_SENT = col(Message.state) == MessageState.SENT
_LEFT_DRAFTS = col(Message.state).not_in([MessageState.DRAFT, MessageState.CANCELLED])
_TRACKED = or_(col(Message.opens_tracked) > 0, col(Message.clicks_tracked) > 0)
_UNKNOWABLE = and_(
    _LEFT_DRAFTS,
    col(Message.opens) == 0,
    or_(
        and_(
            col(Message.machine) > 0,
            exists().where(col(Event.message_id) == col(Message.id), col(Event.klass) == "privacy_prefetch"),
        ),
        and_(
            col(Message.opens_tracked) == 0,
            exists().where(col(Delivery.message_id) == col(Message.id), col(Delivery.opens_rule).in_(CANNOT_BE_KNOWN)),
        ),
    ),
)
MEASURABLE = and_(col(Message.opens_tracked) > 0, ~_UNKNOWABLE)
"""Messages whose opening can be known: the ground of every honest rate."""

_FACTS: Mapping[str, ColumnElement[bool]] = {
    "tracked": and_(_LEFT_DRAFTS, _TRACKED),
    "untracked": and_(_LEFT_DRAFTS, ~_TRACKED),
    "opened": col(Message.opens) > 0,
    "not_opened": and_(_SENT, MEASURABLE, col(Message.opens) == 0),
    "clicked": col(Message.clicks) > 0,
    "replied": col(Message.replies) > 0,
    "no_reply": and_(_SENT, col(Message.replies) == 0),
    "bounced": col(Message.bounces) > 0,
    "machine_only": and_(col(Message.machine) > 0, col(Message.opens) == 0, col(Message.clicks) == 0),
    "unmeasurable": _UNKNOWABLE,
}


def _from_account(account: str) -> ColumnElement[bool]:
    """By address or public id."""
    named = select(col(Account.id)).where(
        or_(col(Account.public_id) == account, col(Account.address).in_([account, account.lower()]))
    )
    return col(Message.account_id).in_(named)


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


def _has_word(word: str) -> ColumnElement[bool]:
    """The word stands in the subject, the snippet, a recipient's name or address."""
    columns = (col(Message.subject), col(Message.snippet), col(Message.names))
    found = [column.icontains(spelling, autoescape=True) for column in columns for spelling in spellings(word)]
    people = select(col(Recipient.id)).where(col(Recipient.lookup).contains(word.lower(), autoescape=True))
    sent_to = select(col(Delivery.message_id)).where(col(Delivery.recipient_id).in_(people))
    return or_(*found, col(Message.id).in_(sent_to))
