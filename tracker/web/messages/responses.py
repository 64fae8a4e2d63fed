"""How messages look from outside."""

from datetime import datetime

from pydantic import Field
from sqlmodel import Session, col, select

from tracker.consent.rules import RULES
from tracker.mail.fields import ResponseModel
from tracker.models import Account, Delivery, Message, TrackedLink
from tracker.models.rows import public_ids


class AddressResponse(ResponseModel):
    address: str
    name: str


class Counts(ResponseModel):
    """People’s opens and clicks; what machines did; replies and bounces."""

    opens: int
    clicks: int
    machine: int
    replies: int
    bounces: int


class PurposeResponse(ResponseModel):
    """Whether this is tracked, the rule that decided (a stable code), and the rule in words."""

    on: bool
    reason: str
    text: str


class TrackingResponse(ResponseModel):
    opens: PurposeResponse
    clicks: PurposeResponse


class DeliveryResponse(ResponseModel):
    """One recipient’s copy. ``reply`` is the server’s last word about it."""

    id: str
    address: str
    name: str
    role: str
    status: str
    tracking: TrackingResponse
    accepted_at: datetime | None
    first_opened_at: datetime | None
    last_opened_at: datetime | None
    first_clicked_at: datetime | None
    opens: int
    clicks: int
    machine: int
    reply: str

    @classmethod
    def of(cls, row: Delivery) -> "DeliveryResponse":
        tracking = TrackingResponse(
            opens=_purpose(row.opens_on, row.opens_rule), clicks=_purpose(row.clicks_on, row.clicks_rule)
        )
        return cls.of_row(row, tracking=tracking)


def _purpose(on: bool, rule: str) -> PurposeResponse:
    return PurposeResponse(on=on, reason=rule, text=RULES.get(rule, rule.replace("_", " ")))


class LinkResponse(ResponseModel):
    """A link of the message; ``reason`` says why it was left alone."""

    index: int
    url: str
    text: str
    tracked: bool
    reason: str | None
    clicks: int

    @classmethod
    def of(cls, row: TrackedLink) -> "LinkResponse":
        return cls.of_row(row, index=row.position)


class MessageLine(ResponseModel):
    """A message as lists show it."""

    id: str
    message_id: str
    account: str | None
    subject: str
    snippet: str
    from_: AddressResponse = Field(serialization_alias="from")
    names: str
    state: str
    tracked: bool
    thread: str
    in_reply_to: str | None
    muted: bool
    has_attachments: bool
    created_at: datetime
    send_at: datetime | None
    sent_at: datetime | None
    first_opened_at: datetime | None
    last_activity_at: datetime | None
    follow_up_at: datetime | None
    counts: Counts


class MessageResponse(MessageLine):
    """A message with its copies and links."""

    deliveries: list[DeliveryResponse]
    links: list[LinkResponse]


def message_shape(session: Session, row: Message) -> MessageResponse:
    deliveries = session.exec(select(Delivery).where(Delivery.message_id == row.id).order_by(col(Delivery.position)))
    links = session.exec(
        select(TrackedLink).where(TrackedLink.message_id == row.id).order_by(col(TrackedLink.position))
    )
    return MessageResponse(
        **dict(message_lines(session, [row])[0]),
        deliveries=[DeliveryResponse.of(delivery) for delivery in deliveries],
        links=[LinkResponse.of(link) for link in links],
    )


def message_lines(session: Session, rows: list[Message]) -> list[MessageLine]:
    accounts = public_ids(session, Account, (row.account_id for row in rows))
    return [_line(row, accounts.get(row.account_id)) for row in rows]


def _line(row: Message, account: str | None) -> MessageLine:
    return MessageLine.of_row(
        row,
        account=account,
        from_=AddressResponse(address=row.from_address, name=row.from_name),
        tracked=row.opens_tracked > 0 or row.clicks_tracked > 0,
        counts=Counts.of_row(row),
    )
