"""The filter of incoming mail. By default it shows enquiries: letters that count and were not withdrawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, exists, false, or_, select, true, union_all
from sqlmodel import Session, col

from tracker.crm.access import is_given, of_group
from tracker.crm.enquiries import in_list
from tracker.locale import N_, _
from tracker.mail.addresses import AddressError, lookup_form
from tracker.models import Category, EnquiryStatus, Letter, Mailbox, SearchKind, User
from tracker.models.search_query import NOTHING, finds
from tracker.runtime.database import now
from tracker.web.http import list_filter
from tracker.web.http.list_filter import ListFilter, ended, listed

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
    Category.COMPLAINT: N_("Spam complaint"),
    Category.REACTION: N_("Reaction"),
    Category.REPORT: N_("Report of a mail system"),
}


_MOST_SENDERS = 100
_SHOW_CLAUSES: Mapping[str, str] = {
    "enquiries": N_("Enquiries"),
    "repeats": N_("Repeats"),
    "withdrawn": N_("Letters withdrawn as spam"),
    "uncounted": N_("Letters that do not count"),
    "letters": N_("All letters"),
}


LIST_LABELS: Mapping[str, str] = {
    "mine": N_("Mine"),
    "nobodys": N_("Nobody’s"),
    "waiting": N_("Waiting for an answer"),
    "answer": N_("For me to answer"),
    "snoozed": N_("Snoozed"),
    "done": N_("Done"),
}
"""The lists of a day's work, by the names of :data:`tracker.crm.enquiries.LISTS`."""


@dataclass(frozen=True)
class LetterFilter(ListFilter):
    """Which of one's own letters to show. The default is every enquiry; tombstones are never shown."""

    PATH = "/enquiries"
    LABELS = {
        **list_filter.LABELS,
        "show": SHOWS,
        "category": CATEGORIES,
        "mailbox": N_("In: %(what)s"),
        "sender": N_("From: %(what)s"),
        "list": LIST_LABELS,
    }
    CLAUSES = {
        **list_filter.CLAUSES,
        "show": _SHOW_CLAUSES,
        "category": CATEGORIES,
        "mailbox": N_("in %(what)s"),
        "sender": N_("from %(what)s"),
        "list": LIST_LABELS,
    }

    show: str = "enquiries"
    category: tuple[str, ...] = ()
    mailbox: str = ""
    sender: str = ""
    since: date | datetime | None = None
    until: date | datetime | None = None
    q: str = ""
    list: str = ""

    def sentence(self) -> str:
        clauses = [text for name, text in self.clauses() if name not in ("show", "category")]
        if categories := [text[:1].lower() + text[1:] for name, text in self.clauses() if name == "category"]:
            clauses.insert(0, listed(categories, "or"))
        shown = _(_SHOW_CLAUSES[self.show])
        if not clauses:
            return f"{shown}."
        return ended(_("%(shown)s: %(conditions)s.", shown=shown, conditions=listed(clauses)))

    def conditions(self, session: Session, user: User) -> Sequence[ColumnElement[bool]]:
        if (
            self.list == "done"
        ):  # they grow without end: one's own are read in the order of the list, others' beside them
            done = exists().where(
                col(EnquiryStatus.letter_id) == col(Letter.id), col(EnquiryStatus.done_at).is_not(None)
            )
            return [col(Letter.user_id) == user.id, done, *self._holds_words(session), *self._wanted(user)]
        if self.list:
            status = select(col(EnquiryStatus.letter_id)).where(in_list(self.list, user, now()))
            return [col(Letter.id).in_(status), *self._holds_words(session), *self._wanted(user)]
        own = [col(Letter.user_id) == user.id]
        if self.q:
            own = finds(session, SearchKind.LETTER, Letter.id, self.q, user.id, Letter.user_id)
        elif self.sender.startswith("@"):
            own = _of_senders(session, user, self.sender)
        return [*own, *self._wanted(user)]

    @property
    def is_only_list(self) -> bool:
        """Nothing is chosen but one of the lists, which stand above as tabs."""
        return [name for name, _value in self.values()] == ["list"]

    def conditions_for_manager(self, session: Session, user: User) -> Sequence[ColumnElement[bool]]:
        """The same for enquiries of other people's mailboxes: those given to this person, with their repeats; or done ones."""
        wanted = [*self._holds_words(session), *self._wanted(user)]
        if self.list:
            done = col(EnquiryStatus.done_at).is_not(None)
            ids = (select(col(EnquiryStatus.letter_id)).where(done, part) for part in (is_given(user), of_group(user)))
            foreign = or_(col(Letter.user_id) < user.id, col(Letter.user_id) > user.id)
            return [col(Letter.id).in_(union_all(*ids)), foreign, *wanted]
        assigned = select(col(EnquiryStatus.letter_id)).where(is_given(user))
        return [or_(col(Letter.id).in_(assigned), col(Letter.repeat_of_id).in_(assigned)), *wanted]

    def _holds_words(self, session: Session) -> Sequence[ColumnElement[bool]]:
        return finds(session, SearchKind.LETTER, Letter.id, self.q) if self.q else ()

    def _wanted(self, user: User) -> Sequence[ColumnElement[bool]]:
        conditions = [col(Letter.deleted_at).is_(None), *_SHOWN[self.show]]
        if self.category:
            conditions.append(col(Letter.category).in_(self.category))
        if self.mailbox:
            conditions.append(_in_mailbox(self.mailbox, user))
        if self.sender:
            conditions.append(_from_sender(self.sender))
        return conditions + self.period(Letter.received_at, user)


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
    query = select(col(Mailbox.id)).where(col(Mailbox.user_id) == user.id, named).order_by(col(Mailbox.id)).limit(1)
    return col(Letter.mailbox_id) == query.scalar_subquery()


def _of_senders(session: Session, user: User, domain: str) -> list[ColumnElement[bool]]:
    """Own letters that come of a domain. Which of its addresses wrote is asked first: then these letters are read by the index of
    senders; where they are many, the newest letters have some."""
    own = col(Letter.user_id) == user.id
    addresses = select(col(Letter.sender)).where(own, _from_sender(domain)).distinct()
    senders = session.scalars(addresses.limit(_MOST_SENDERS + 1)).all()
    if not senders:
        return [col(Letter.id) == NOTHING]
    if len(senders) > _MOST_SENDERS:
        return [own]
    theirs = select(col(Letter.id)).where(own, col(Letter.sender).in_(senders))
    return [col(Letter.user_id) + 0 == user.id, col(Letter.id).in_(theirs)]


def _from_sender(sender: str) -> ColumnElement[bool]:
    """By address in any spelling, or by a domain written as ``@example.com``."""
    try:
        if sender.startswith("@"):
            return col(Letter.sender).endswith(lookup_form(f"x{sender}")[1:], autoescape=True)
        return col(Letter.sender) == lookup_form(sender)
    except AddressError:
        return false()
