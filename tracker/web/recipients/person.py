"""A person as recipient and customer at once: whoever is both has one page and one story, reached from either."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from tracker.consent.ledger import consent_of
from tracker.consent.rules import MEASURED, ConsentState, Purpose
from tracker.crm.records import find_record
from tracker.locale import _
from tracker.models import Customer, CustomerAddress, Delivery, Message, Recipient, User
from tracker.recipients import look_up, named
from tracker.web.messages.activity_labels import consent_label
from tracker.web.recipients.activity import PersonActivity, activity_of


@dataclass(frozen=True)
class Person:
    """``recipients``: the addresses that were written to, the one asked for first; ``customers``: the records with one of these."""

    recipients: Sequence[Recipient]
    customers: Sequence[Customer]
    addresses: Mapping[str, str]
    """Each address by its look-up form."""
    owner: User | None

    @cached_property
    def numbers(self) -> list[int]:
        return [recipient.id for recipient in self.recipients]

    @property
    def recipient(self) -> Recipient | None:
        return self.recipients[0] if self.recipients else None

    @property
    def customer(self) -> Customer | None:
        return self.customers[0] if self.customers else None

    @property
    def name(self) -> str:
        names = [recipient.name for recipient in self.recipients] + [customer.name for customer in self.customers]
        return next((name for name in (*names, *self.addresses.values()) if name), "")

    @property
    def company(self) -> str:
        return next((each.company for each in self.recipients if each.company), "")


@dataclass(frozen=True)
class PersonFacts:
    """What stands beside a person's story."""

    activity: PersonActivity
    follow_up: Message | None
    """What is to be followed up, or will be, first."""
    consent: Mapping[int, Mapping[Purpose, ConsentState]]


def person_named(session: Session, who: str) -> Person:
    """The recipient with this address or public id, with the customers of this address and all their other addresses.

    Raises :class:`tracker.runtime.localized_text.ActionError` ``not_found``.
    """
    same = aliased(CustomerAddress)
    query = select(Recipient, CustomerAddress, Customer, User, _OTHER)
    query = query.outerjoin(same, col(same.lookup) == col(Recipient.lookup))
    query = query.outerjoin(CustomerAddress, col(CustomerAddress.customer_id) == col(same.customer_id))
    query = query.outerjoin(Customer, col(Customer.id) == col(CustomerAddress.customer_id))
    rows = session.execute(_with_people(query).where(named(session, who))).all()
    return _person(rows) if rows else Person([look_up(session, who)], [], {}, None)


def person_of_customer(session: Session, public_id: str) -> Person:
    """Raises :class:`tracker.runtime.localized_text.ActionError` ``not_found``."""
    query = select(literal(None), CustomerAddress, Customer, User, _OTHER).select_from(Customer)
    query = query.outerjoin(CustomerAddress, col(CustomerAddress.customer_id) == col(Customer.id))
    rows = session.execute(_with_people(query).where(col(Customer.public_id) == public_id)).all()
    return _person(rows) if rows else Person([], [find_record(session, Customer, public_id)], {}, None)


_OTHER = aliased(Recipient)


def _with_people(query: Any) -> Any:
    query = query.outerjoin(User, col(User.id) == col(Customer.manager_id))
    query = query.outerjoin(_OTHER, col(_OTHER.lookup) == col(CustomerAddress.lookup))
    return query.order_by(col(Customer.id), col(CustomerAddress.position))


def _person(rows: Sequence[Any]) -> Person:
    recipients = {each.id: each for row in rows for each in (row[0], row[4]) if each is not None}
    return Person(
        list(recipients.values()),
        list({row[2].id: row[2] for row in rows if row[2] is not None}.values()),
        {row[1].lookup: row[1].address for row in rows if row[1]} or {r.lookup: r.address for r in recipients.values()},
        next((row[3] for row in rows if row[3] is not None), None),
    )


def facts_of(session: Session, user: User, person: Person) -> PersonFacts:
    """Of the reader's own mail with this person."""
    activities = activity_of(session, user, person.numbers).values()
    return PersonFacts(
        activity=_together(list(activities)),
        follow_up=_follow_up(session, user, person.numbers),
        consent=consent_of(session, person.numbers) if person.numbers else {},
    )


def _together(activities: Sequence[PersonActivity]) -> PersonActivity:
    """That of several addresses as one."""
    if len(activities) == 1:
        return activities[0]
    weeks = [activity.weeks for activity in activities if activity.weeks]
    return PersonActivity(
        max((activity.last for activity in activities if activity.last), default=None),
        sum(activity.points for activity in activities),
        min((activity.follow_up for activity in activities if activity.follow_up), default=None),
        [sum(counts) for counts in zip(*weeks, strict=True)],
    )


def _follow_up(session: Session, user: User, numbers: Sequence[int]) -> Message | None:
    """What is due before what will be, the oldest first."""
    if not numbers:
        return None
    copies = select(col(Delivery.message_id)).where(col(Delivery.recipient_id).in_(numbers), ~col(Delivery.frozen))
    due, later = col(Message.follow_up_due_at), col(Message.follow_up_at)
    waits = due.is_not(None) | (later.is_not(None) & (col(Message.replies) == 0))
    mine = select(Message).where(col(Message.id).in_(copies), col(Message.user_id) + 0 == user.id, waits)
    return session.scalars(mine.order_by(due.is_(None), due, later).limit(1)).first()


def consent_sentence(recipient: Recipient, states: Mapping[Purpose, ConsentState]) -> tuple[str, str]:
    """How loud (good, warn, bad or nothing), and what they agreed to, as one would say it."""
    if recipient.never_track:
        return "bad", _("On the never-track list: nothing is tracked.")
    if recipient.paused_at is not None:
        return "warn", _("Tracking is paused until somebody decides about their reply.")
    opens, clicks = (states.get(purpose, ConsentState.UNKNOWN) for purpose in MEASURED)
    if opens == clicks:
        return _ALIKE_TONES.get(opens, "bad"), _alike(opens)
    is_partly = ConsentState.GRANTED in (opens, clicks)
    said = _("Opens: %(opens)s. Clicks: %(clicks)s.", opens=consent_label(opens), clicks=consent_label(clicks))
    return "good" if is_partly else "bad", said


_ALIKE_TONES: Mapping[ConsentState, str] = {
    ConsentState.GRANTED: "good",
    ConsentState.UNKNOWN: "",
    ConsentState.ASKED: "",
    ConsentState.LAPSED: "warn",
}


def _alike(state: ConsentState) -> str:
    sentences = {
        ConsentState.GRANTED: _("Agreed: opens and clicks are tracked."),
        ConsentState.UNKNOWN: _("Never asked: nothing is tracked."),
        ConsentState.ASKED: _("Asked, no answer yet: nothing is tracked."),
        ConsentState.REFUSED: _("Refused: nothing is tracked."),
        ConsentState.WITHDRAWN: _("Withdrew: nothing is tracked any more."),
        ConsentState.OBJECTED: _("Objected: nothing is tracked."),
        ConsentState.LAPSED: _("Agreed once, but that has lapsed: nothing is tracked."),
        ConsentState.BLOCKED: _("Blocked: nothing is tracked, and nobody may ask."),
    }
    return sentences[state]
