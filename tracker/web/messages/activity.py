"""What one icon of a row tells, person by person: opens or clicks, first and last, through what, and the machines in grey."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from tracker.mail.maker_labels import trust_label
from tracker.models import Delivery, Event, Message
from tracker.web.messages.activity_labels import (
    PEOPLE,
    Line,
    inferred_from,
    line_of,
    name_of,
    rule_label,
    through_of,
    tone_of,
)

SHOWN_MACHINES = 5
SHOWN_PEOPLE = 8


@dataclass(frozen=True)
class PersonLine:
    """One recipient's copy: how often, since when, through what; or why it is not measured."""

    name: str
    count: int
    first: datetime | None
    last: datetime | None
    through: tuple[str, ...]
    why_not: str = ""
    trust: str = ""
    """What can be believed of this copy, by the mail exchanger of the company."""


@dataclass(frozen=True)
class MessageActivity:
    people: Sequence[PersonLine]
    """Whoever did something first."""
    more_people: int
    machines: Sequence[Line]
    more_machines: int


def copies_of(session: Session, message: Message) -> Sequence[Delivery]:
    return session.exec(
        select(Delivery).where(Delivery.message_id == message.id).order_by(col(Delivery.position))
    ).all()


def activity_of(session: Session, message: Message, deliveries: Sequence[Delivery], kind: str) -> MessageActivity:
    """``kind`` is opens or clicks."""
    event_kind = "open" if kind == "opens" else "click"
    events = session.exec(
        select(Event)
        .where(Event.message_id == message.id, Event.kind == event_kind, col(Event.merged).is_(False))
        .order_by(col(Event.at))
    ).all()
    by_id: dict[int | None, Delivery] = {delivery.id: delivery for delivery in deliveries}
    machines = [line_of(event, by_id.get(event.delivery_id)) for event in events if tone_of(event) != "person"]
    people = [_person(delivery, events, kind) for delivery in deliveries]
    people.sort(key=lambda person: person.count == 0)
    more_people, more_machines = max(0, len(people) - SHOWN_PEOPLE), max(0, len(machines) - SHOWN_MACHINES)
    return MessageActivity(people[:SHOWN_PEOPLE], more_people, machines[:SHOWN_MACHINES], more_machines)


def _person(delivery: Delivery, events: Sequence[Event], kind: str) -> PersonLine:
    mine = [event for event in events if event.delivery_id == delivery.id and event.klass in PEOPLE]
    through = tuple(dict.fromkeys(text for event in mine if (text := through_of(event))))
    if kind == "opens":
        on, rule, count = delivery.opens_on, delivery.opens_rule, delivery.opens
        first, last = delivery.first_opened_at, delivery.last_opened_at
        if count and not mine:
            through = (inferred_from(delivery),)
    else:
        on, rule, count = delivery.clicks_on, delivery.clicks_rule, delivery.clicks
        first, last = delivery.first_clicked_at, delivery.last_clicked_at
    why_not = "" if on or count else rule_label(rule)
    trust = trust_label(delivery.mx_family) if on and kind == "opens" else ""
    return PersonLine(name_of(delivery), count, first, last, through, why_not, trust)
