"""The filter of incoming mail: address bar ↔ value ↔ query ↔ sentence, as :mod:`tracker.web.filters` is for outgoing mail.

By default it shows enquiries: letters that count and were not withdrawn. Days are days in the reader's zone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, false, or_, select, true
from sqlmodel import col

from tracker.addresses import AddressError, lookup_form
from tracker.locale import N_
from tracker.models import Category, Letter, Mailbox, User
from tracker.web.filter_values import as_text, chosen, first_moment, moment, next_day, spellings, values, words

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])

SHOWS: Mapping[str, str] = {
    "enquiries": N_("Enquiries"),
    "repeats": N_("Repeats"),
    "withdrawn": N_("Withdrawn as spam"),
    "uncounted": N_("Not counted"),
    "letters": N_("All letters"),
}
"""What is looked at: first the default, ``uncounted`` is everything that is no enquiry, for whatever reason."""

CATEGORIES: Mapping[str, str] = {
    Category.HUMAN: N_("From a person"),
    Category.BOUNCE: N_("Undeliverable"),
    Category.MDN: N_("Read receipt"),
    Category.AUTO_REPLY: N_("Automatic reply"),
    Category.AUTO_GENERATED: N_("Sent by a program"),
    Category.BULK: N_("Newsletter"),
    Category.OWN_NOTIFICATION: N_("Notice from Inkling"),
    Category.OWN_OUTGOING: N_("Written by ourselves"),
}


@dataclass(frozen=True)
class LetterFilter:
    """Which of one's own letters to show. The default is every enquiry."""

    show: str = "enquiries"
    categories: tuple[str, ...] = ()
    mailbox: str = ""
    sender: str = ""
    since: date | datetime | None = None
    until: date | datetime | None = None
    q: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str], show: str = "enquiries") -> "LetterFilter":
        """The filter in an address; ``show`` is what a bare address shows.

        Raises :class:`~tracker.web.filter_values.FilterError`.
        """
        asked = chosen("show", [query.get("show", "")], SHOWS)
        return cls(
            show=asked[0] if asked else show,
            categories=chosen("category", values(query, "category"), CATEGORIES),
            mailbox=words("mailbox", query.get("mailbox", "")),
            sender=words("sender", query.get("sender", "")),
            since=moment("since", query.get("since", "")),
            until=moment("until", query.get("until", "")),
            q=words("q", query.get("q", "")),
        )

    def to_query(self) -> str:
        """The address bar's form, without the question mark; the default is nothing."""
        pairs = [("category", one) for one in self.categories]
        shown = [("show", self.show)] if self.show != "enquiries" else []
        return urlencode(shown + pairs + [(name, text) for name, text in self._single() if text])

    def without(self, name: str, value: str = "") -> "LetterFilter":
        """Itself with one value less."""
        if name == "category":
            return replace(self, categories=tuple(one for one in self.categories if one != value))
        emptied: dict[str, Any] = {name: _DEFAULTS[name]}
        return replace(self, **emptied)

    @property
    def is_empty(self) -> bool:
        return self == LetterFilter()

    def values(self) -> list[tuple[str, str]]:
        """Each value that differs from the default, as (name, text): one chip each."""
        shown = [("show", self.show)] if self.show != "enquiries" else []
        return (
            shown
            + [("category", one) for one in self.categories]
            + [(name, text) for name, text in self._single() if text]
        )

    def apply(self, query: Query, user: User) -> Query:
        """Narrows a query over :class:`Letter` to this user's own letters that pass. Tombstones never do."""
        mine = (col(Letter.user_id) == user.id, col(Letter.deleted_at).is_(None))
        return query.where(*mine, *self.conditions(user))

    def conditions(self, user: User) -> list[ColumnElement[bool]]:
        """What a letter must fulfil, without whose it is."""
        found = list(_SHOWN[self.show])
        if self.categories:
            found.append(col(Letter.category).in_(self.categories))
        if self.mailbox:
            found.append(_in_mailbox(self.mailbox, user))
        if self.sender:
            found.append(_from_sender(self.sender))
        return found + self._period(ZoneInfo(user.timezone)) + [_has_word(word) for word in self.q.split()]

    def _single(self) -> list[tuple[str, str]]:
        return [(name, as_text(getattr(self, name))) for name in ("mailbox", "sender", "since", "until", "q")]

    def _period(self, zone: ZoneInfo) -> list[ColumnElement[bool]]:
        found = []
        if self.since is not None:
            found.append(col(Letter.received_at) >= first_moment(self.since, zone))
        if isinstance(self.until, datetime):
            found.append(col(Letter.received_at) <= self.until)
        elif self.until is not None:
            found.append(col(Letter.received_at) < first_moment(next_day(self.until), zone))
        return found


_DEFAULTS = {field.name: field.default for field in fields(LetterFilter)}

_ENQUIRY: tuple[ColumnElement[bool], ...] = (col(Letter.counted) == true(), col(Letter.withdrawn_at).is_(None))
_SHOWN: Mapping[str, tuple[ColumnElement[bool], ...]] = {
    "enquiries": _ENQUIRY,
    "repeats": (col(Letter.repeat_of_id).is_not(None), col(Letter.withdrawn_at).is_(None)),
    "withdrawn": (col(Letter.withdrawn_at).is_not(None),),
    "uncounted": (or_(~col(Letter.counted), col(Letter.withdrawn_at).is_not(None)),),
    "letters": (),
}


def _in_mailbox(mailbox: str, user: User) -> ColumnElement[bool]:
    """By public id or address; removed ones too, for their letters stay."""
    named = or_(col(Mailbox.public_id) == mailbox, col(Mailbox.address).in_([mailbox, mailbox.lower()]))
    # One number, not a set: then the list of that mailbox is read in its order.
    found = select(col(Mailbox.id)).where(col(Mailbox.user_id) == user.id, named).order_by(col(Mailbox.id)).limit(1)
    return col(Letter.mailbox_id) == found.scalar_subquery()


def _from_sender(sender: str) -> ColumnElement[bool]:
    """By address in any spelling, or by a domain written as ``@example.com``."""
    if sender.startswith("@"):
        return col(Letter.sender).endswith(sender.lower(), autoescape=True)
    try:
        return col(Letter.sender) == lookup_form(sender)
    except AddressError:
        return false()


def _has_word(word: str) -> ColumnElement[bool]:
    """The word stands in the subject, the beginning, or the sender's name or address."""
    columns = (col(Letter.subject), col(Letter.snippet), col(Letter.sender_name))
    found = [column.icontains(spelling, autoescape=True) for column in columns for spelling in spellings(word)]
    return or_(*found, col(Letter.sender).contains(word.lower(), autoescape=True))
