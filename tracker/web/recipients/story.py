"""The story of a person: all mail both ways, what they did with it, orders, and how their enquiries stand, newest first.

Of mail and what was done with it only the reader's own is told; of letters those that the reader sees; orders are everybody's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Select, exists, select, union
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from tracker.crm.access import sees_letter
from tracker.locale import _, localize
from tracker.models import (
    Category,
    Delivery,
    DeliveryStatus,
    EnquiryStatus,
    Event,
    Letter,
    LetterBinding,
    Message,
    Order,
    TrackedLink,
    User,
)
from tracker.runtime.paging import Cursor, in_order
from tracker.web.http.formats import relative, short
from tracker.web.inbox.labels import category_label
from tracker.web.messages.activity_labels import line_of, rule_label
from tracker.web.recipients.person import Person

STORY_PAGE = 40
_ABOVE_ALL = 2**31 - 1
_LETTERS = ("reply", "auto_reply", "reaction")
"""Events that a letter tells better, while it is there."""


@dataclass(frozen=True)
class StoryEntry:
    """One thing that happened. ``tone`` as in :class:`tracker.web.messages.activity_labels.Line`, or ``mine`` for what we did."""

    kind: str
    tone: str
    title: str
    at: datetime
    number: int
    """With ``at`` its place in the story."""
    subject: str = ""
    href: str = ""
    text: str = ""
    url: str = ""
    address: str = ""
    """Which of the person's addresses it is about."""
    facts: tuple[str, ...] = ()
    opens: int = 0
    clicks: int = 0

    @property
    def reads(self) -> tuple[object, ...]:
        """What it says to whoever reads quickly: neighbours that say the same are folded into one."""
        if self.tone == "machine" and self.kind in ("open", "click"):
            return ("machine",)
        is_event = self.kind in ("open", "click")
        return self.kind, self.title, self.href, self.url, self.facts, relative(self.at) if is_event else self.number


@dataclass(frozen=True)
class Story:
    entries: Sequence[StoryEntry]
    next: Cursor | None

    @property
    def groups(self) -> list[list[StoryEntry]]:
        return [list(run) for _reads, run in groupby(self.entries, key=lambda entry: entry.reads)]


def read_story(session: Session, user: User, person: Person, after: Cursor | None) -> Story:
    """The page of the story behind a place, in a statement for each kind of thing that can have happened."""
    entries: list[StoryEntry] = []
    for rank, (source, make) in enumerate(_SOURCES):
        chosen = source(user, person)
        if chosen is None:
            continue
        query, at, number = chosen
        place = (after.at, _bound(after, rank)) if after else None
        rows = session.execute(in_order(query, (at, number), place).limit(STORY_PAGE + 1))
        entries += [make(row, rank * _RANK) for row in rows]
    entries.sort(key=lambda entry: (entry.at, entry.number), reverse=True)
    shown = entries[:STORY_PAGE]
    return Story(shown, Cursor(shown[-1].at, shown[-1].number) if len(entries) > STORY_PAGE else None)


_RANK = 10**12
"""What happened at one moment stands in the order of the kinds, then of the rows."""


def _bound(after: Cursor, rank: int) -> int:
    """Up to which row of a kind the page before has told what happened at its last moment."""
    last_rank, number = divmod(after.id, _RANK)
    if rank == last_rank:
        return min(number, _ABOVE_ALL)
    return -1 if rank > last_rank else _ABOVE_ALL


Source = tuple[Select[*tuple[Any, ...]], Any, Any] | None


def _sent(user: User, person: Person) -> Source:
    if not person.numbers:
        return None
    query = select(Delivery, Message).join(Message, col(Message.id) == col(Delivery.message_id))
    query = query.where(
        col(Delivery.recipient_id).in_(person.numbers),
        col(Message.user_id) + 0 == user.id,
        col(Message.sent_at).is_not(None),
    )
    return query, Message.listed_at, Delivery.id


def _sent_entry(row: Any, rank: int) -> StoryEntry:
    copy, message = row
    is_refused = copy.status == DeliveryStatus.REJECTED
    return StoryEntry(
        kind="sent",
        tone="trouble" if is_refused else "mine",
        title=_("Refused by the server") if is_refused else _("You wrote"),
        at=message.listed_at,
        number=rank + copy.id,
        subject=message.subject or _("(no subject)"),
        href=f"/mail/{message.public_id}",
        text=localize(copy.reply) if is_refused and copy.reply else message.snippet,
        address=copy.address,
        facts=_facts_of_copy(copy),
        opens=0 if copy.frozen else copy.opens,
        clicks=0 if copy.frozen else copy.clicks,
    )


def _facts_of_copy(copy: Delivery) -> tuple[str, ...]:
    if copy.status in (DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED):
        return (_("in the queue") if copy.status == DeliveryStatus.QUEUED else _("waiting to retry"),)
    is_untracked = not (copy.opens_on or copy.clicks_on) and copy.status == DeliveryStatus.ACCEPTED
    return (_("not tracked:") + " " + rule_label(copy.opens_rule),) if is_untracked and copy.opens_rule else ()


def _events(user: User, person: Person) -> Source:
    if not person.numbers:
        return None
    has_letter = exists().where(
        col(Letter.delivery_id) == col(Event.delivery_id),
        col(Letter.received_at) == col(Event.at),
        col(Letter.deleted_at).is_(None),
    )
    query = (
        select(Event, Delivery, Message, TrackedLink)
        .join(Delivery, col(Delivery.id) == col(Event.delivery_id))
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .outerjoin(
            TrackedLink,
            (col(TrackedLink.message_id) == col(Event.message_id)) & (col(TrackedLink.position) == col(Event.link)),
        )
        .where(
            col(Delivery.recipient_id).in_(person.numbers),
            ~col(Delivery.frozen),
            col(Message.user_id) + 0 == user.id,
            ~col(Event.merged),
            col(Event.kind).not_in(_LETTERS) | ~has_letter,
        )
    )
    return query, Event.at, Event.id


def _event_entry(row: Any, rank: int) -> StoryEntry:
    event, copy, message, link = row
    line = line_of(event, copy, link.url if link else None)
    through = (line.through,) if line.through else ()
    return StoryEntry(
        kind=line.kind,
        tone=line.tone,
        title=line.title,
        at=event.at,
        number=rank + event.id,
        subject=message.subject or _("(no subject)"),
        href=f"/mail/{message.public_id}#timeline",
        url=line.url,
        address=copy.address,
        facts=(*through, *(line.reasons if line.tone != "person" else ())),
    )


def _letter_numbers(user: User, person: Person) -> Any:
    """Their letters: written from one of their addresses, or bound to them."""
    forms = list(person.addresses)
    parts = [
        select(col(Letter.id)).where(col(Letter.user_id) == user.id, col(Letter.sender).in_(forms)),
        select(col(EnquiryStatus.letter_id)).where(col(EnquiryStatus.sender).in_(forms)),
    ]
    customers = [customer.id for customer in person.customers]
    if customers:
        parts.append(select(col(LetterBinding.letter_id)).where(col(LetterBinding.customer_id).in_(customers)))
    return union(*parts)


def _letters(user: User, person: Person) -> Source:
    manager, answered_by = aliased(User), aliased(User)
    query = (
        select(Letter, EnquiryStatus, manager, answered_by)
        .outerjoin(EnquiryStatus, col(EnquiryStatus.letter_id) == col(Letter.id))
        .outerjoin(manager, col(manager.id) == col(EnquiryStatus.manager_id))
        .outerjoin(answered_by, col(answered_by.id) == col(EnquiryStatus.answered_by))
        .where(
            col(Letter.id).in_(_letter_numbers(user, person)),
            col(Letter.deleted_at).is_(None),
            col(Letter.withdrawn_at).is_(None),
            sees_letter(user),
        )
    )
    return query, Letter.received_at, Letter.id


def _letter_entry(row: Any, rank: int) -> StoryEntry:
    letter, status, manager, answered_by = row
    is_human = letter.category == Category.HUMAN
    return StoryEntry(
        kind="letter" if is_human else letter.category,
        tone="person" if is_human else "machine",
        title=_letter_title(letter, is_human),
        at=letter.received_at,
        number=rank + letter.id,
        subject=letter.subject or _("(no subject)"),
        href=f"/letters/{letter.public_id}",
        text=letter.snippet,
        address=letter.sender_address,
        facts=_work(status, manager, answered_by) if status else (),
    )


def _work(status: EnquiryStatus, manager: User | None, answered_by: User | None) -> tuple[str, ...]:
    """How the work on an enquiry stands."""
    if status.done_at is None and status.snoozed_until is not None:
        stands = _("snoozed until %(when)s", when=short(status.snoozed_until))
    elif status.done_at is None and status.waiting_since is not None:
        stands = _("waits for an answer")
    elif status.answered_at is not None:
        stands = _("answered by %(name)s", name=answered_by.name) if answered_by else _("answered")
    else:
        stands = _("done")
    return (stands, manager.name) if manager and manager != answered_by else (stands,)


def _letter_title(letter: Letter, is_human: bool) -> str:
    if not is_human:
        return category_label(letter.category)
    if letter.in_reply_to_message_id is not None:
        return _("They replied")
    return _("They asked") if letter.counted else _("They wrote")


def _orders(user: User, person: Person) -> Source:
    customers = [customer.id for customer in person.customers]
    if not customers:
        return None
    return select(Order).where(col(Order.customer_id).in_(customers)), Order.created_at, Order.id


def _order_entry(row: Any, rank: int) -> StoryEntry:
    (order,) = row
    return StoryEntry(
        kind="order",
        tone="mine",
        title=_("Order"),
        at=order.created_at,
        number=rank + order.id,
        subject=order.number,
        href=f"/orders/{order.public_id}",
        facts=(order.status,) if order.status else (),
    )


_SOURCES: Sequence[tuple[Callable[[User, Person], Source], Callable[[Any, int], StoryEntry]]] = (
    (_sent, _sent_entry),
    (_orders, _order_entry),
    (_letters, _letter_entry),
    (_events, _event_entry),
)
