"""Mail to look at: messages with deliveries, links and events as sending and judging would have left them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, select

from tracker.consent.ledger import record_consent
from tracker.consent.rules import MEASURED, ConsentState, Proof, Purpose
from tracker.mail.addresses import Address
from tracker.models import (
    Account,
    Delivery,
    DeliveryStatus,
    Event,
    Message,
    MessageBody,
    MessageState,
    TrackedLink,
    User,
)
from tracker.outbound.draft import Draft
from tracker.outbound.send import enqueue_composed
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


@dataclass(frozen=True)
class To:
    """One recipient's copy: tracked or not, by which rule, and what became of it."""

    address: str
    name: str = ""
    opens: bool = True
    clicks: bool = True
    rule: str = "granted"
    status: str = DeliveryStatus.ACCEPTED
    reply: str = ""
    role: str = "to"


@dataclass(frozen=True)
class Seen:
    """One event: ``after`` seconds after sending, by the ``who``-th recipient."""

    kind: str
    klass: str
    after: float
    who: int = 0
    client: str = ""
    vendor: str | None = None
    reasons: tuple[tuple[str, dict[str, Any]], ...] = ()
    link: int | None = None
    merged: bool = False


@dataclass(frozen=True)
class Written:
    """One message."""

    subject: str
    to: tuple[To, ...]
    seen: tuple[Seen, ...] = ()
    ago: timedelta = timedelta(hours=1)
    html: str = "<p>Hello,</p><p>here is the offer.</p>"
    links: tuple[tuple[str, str], ...] = ()
    state: str = MessageState.SENT
    snippet: str = "Hello, here is the offer."
    columns: dict[str, Any] = field(default_factory=dict)


def make_account(context: AppContext, user: User, address: str = "alice@sales.example", **facts: Any) -> Account:
    """An account that could send."""
    with context.database.session_scope() as session:
        account = Account(
            user_id=user.id or 0,
            name=user.name,
            address=address,
            smtp_host="127.0.0.1",
            smtp_port=1,
            smtp_security="none",
            confirmed_at=now(),
            **facts,
        )
        session.add(account)
    return account


def write(context: AppContext, user: User, *messages: Written, account: Account | None = None) -> list[Message]:
    with context.database.session_scope() as session:
        return [_write(session, user, message, account) for message in messages]


def agree(
    context: AppContext,
    address: str,
    state: ConsentState = ConsentState.GRANTED,
    purposes: Sequence[Purpose] = MEASURED,
    name: str = "",
) -> None:
    """Records a consent event about somebody."""
    with context.database.session_scope() as session:
        person = find_or_make(session, address, name)
        session.flush()
        for purpose in purposes:
            record_consent(
                session,
                person,
                purpose,
                state,
                actor="subject",
                channel="reply_text",
                proof=Proof(note="“Yes, fine with me.”"),
            )


def _write(session: Session, user: User, written: Written, account: Account | None) -> Message:
    at = now() - written.ago
    message = Message(
        user_id=user.id or 0,
        account_id=account.id if account else None,
        message_id=f"<{at.timestamp()}@sales.example>",
        from_address=account.address if account else "alice@sales.example",
        from_name=user.name,
        subject=written.subject,
        snippet=written.snippet,
        state=written.state,
        sent_at=at if written.state == MessageState.SENT else None,
        listed_at=at,
        send_at=at,
        names=", ".join(to.name or to.address for to in written.to),
    )
    session.add(message)
    session.flush()
    session.add(MessageBody(message_id=message.id or 0, html=written.html))
    deliveries = [_deliver(session, message, n, to, at) for n, to in enumerate(written.to)]
    for position, (url, text) in enumerate(written.links):
        clicks = sum(e.kind == "click" and e.link == position and e.klass == "human" for e in written.seen)
        session.add(
            TrackedLink(message_id=message.id or 0, position=position, url=url, text=text, tracked=True, clicks=clicks)
        )
    for seen in written.seen:
        _see(session, message, deliveries[seen.who], seen, at)
    message.opens_tracked, message.clicks_tracked = (
        sum(to.opens for to in written.to),
        sum(to.clicks for to in written.to),
    )
    for name, value in written.columns.items():
        setattr(message, name, value)
    session.flush()
    return message


def _deliver(session: Session, message: Message, position: int, to: To, at: datetime) -> Delivery:
    recipient = find_or_make(session, to.address, to.name)
    session.flush()
    delivery = Delivery(
        message_id=message.id or 0,
        recipient_id=recipient.id or 0,
        position=position,
        role=to.role,
        address=to.address,
        name=to.name,
        opens_on=to.opens,
        opens_rule=to.rule,
        clicks_on=to.clicks,
        clicks_rule=to.rule,
        status=to.status,
        reply=to.reply,
        accepted_at=at if to.status == DeliveryStatus.ACCEPTED else None,
        rejected_at=at if to.status == DeliveryStatus.REJECTED else None,
    )
    session.add(delivery)
    session.flush()
    return delivery


def _see(session: Session, message: Message, delivery: Delivery, seen: Seen, sent: datetime) -> None:
    at = sent + timedelta(seconds=seen.after)
    counted = seen.klass in ("human", "mail_proxy") and not seen.merged
    session.add(
        Event(
            message_id=message.id or 0,
            delivery_id=delivery.id,
            kind=seen.kind,
            at=at,
            klass=seen.klass,
            confidence=0.9,
            client=seen.client,
            vendor=seen.vendor,
            link=seen.link,
            merged=seen.merged,
            counted=counted,
            reasons=[{"code": code, "values": values} for code, values in seen.reasons],
        )
    )
    if seen.kind == "open" and counted:
        delivery.opens, message.opens = delivery.opens + 1, message.opens + 1
        delivery.first_opened_at, delivery.last_opened_at = delivery.first_opened_at or at, at
    elif seen.kind == "click" and counted:
        delivery.clicks, message.clicks = delivery.clicks + 1, message.clicks + 1
        delivery.first_clicked_at, delivery.last_clicked_at = delivery.first_clicked_at or at, at
    elif seen.kind in ("open", "click") and not seen.merged:
        delivery.machine, message.machine = delivery.machine + 1, message.machine + 1
    elif seen.kind == "reply":
        message.replies += 1
    elif seen.kind == "bounce":
        message.bounces += 1


ANNA = To("anna.petit@atelier-petit.example", "Anna Petit")
LUC = To("luc@studio-luc.example", "Luc Moreau", opens=False, clicks=False, rule="unknown")
MARINA = To("marina.orlova@zavod.example", "Марина Орлова")
KEN = To("ken.watanabe@northwind.example", "Ken Watanabe")
OFFER = (("https://sales.example/offer/12?a=1&b=2", "the offer"), ("https://sales.example/terms", "our terms"))
_HTML = """<p>Dear Anna,</p><p>thank you for the visit on Tuesday. Attached you find
<a href="https://sales.example/offer/12?a=1&amp;b=2">the offer</a>
for the twelve chairs, with the oak you liked, and <a href="https://sales.example/terms">our terms</a>.</p><p>The price holds until
the end of the month. Shall we talk on Thursday?</p><p>Best regards<br>Alice</p>"""

GALLERY = (
    Written(
        "Offer 12: twelve oak chairs",
        (ANNA, LUC),
        (
            Seen("open", "security_scanner", 43, 0, "", "microsoft", (("nothing_fits", {}),)),
            Seen("click", "security_scanner", 43.2, 0, "", "microsoft", link=0),
            Seen("open", "mail_proxy", 1800, 0, "Gmail", "google"),
            Seen("open", "mail_proxy", 1812, 0, "Gmail", "google", merged=True),
            Seen("click", "human", 1900, 0, "Chrome", link=0),
            Seen("open", "human", 2600, 0, "Apple Mail"),
            Seen("reply", "human", 3000, 0),
        ),
        timedelta(minutes=58),
        _HTML,
        OFFER,
        snippet="Dear Anna, thank you for the visit on Tuesday. Attached you find the offer for the twelve chairs.",
    ),
    Written(
        "Приглашение на выставку",
        (MARINA,),
        (Seen("open", "human", 700, 0, "Thunderbird"),),
        timedelta(hours=3),
        snippet="Марина, добрый день! Будем рады видеть Вас на стенде.",
    ),
    Written(
        "Samples are on their way",
        (KEN,),
        (Seen("open", "privacy_prefetch", 9, 0, "Apple Mail", "apple"),),
        timedelta(hours=5),
        snippet="Hi Ken, three samples left today.",
    ),
    Written(
        "Re: delivery dates",
        (KEN, MARINA),
        (),
        timedelta(hours=8),
        links=OFFER,
        snippet="We can do both weeks; say which.",
    ),
    Written(
        "Contract draft",
        (LUC,),
        (),
        timedelta(days=1),
        snippet="Luc, here is the draft as promised.",
        columns={"has_attachments": True},
    ),
    Written(
        "Catalogue 2027",
        (
            To(
                "info@old-address.example",
                status=DeliveryStatus.REJECTED,
                reply="550 5.1.1 <info@old-address.example>: Recipient address rejected: User unknown",
            ),
        ),
        (Seen("bounce", "human", 3),),
        timedelta(days=2),
        state=MessageState.FAILED,
    ),
    Written(
        "Price list",
        (ANNA,),
        (Seen("click", "security_scanner", 20, 0, "", "barracuda", link=0),),
        timedelta(days=3),
        links=OFFER,
        snippet="The list with the prices of spring.",
    ),
    Written(
        "Thank you for the order, and a very long subject that does not end where one would like it to end on a telephone",
        (KEN, ANNA, MARINA, LUC),
        (Seen("open", "human", 50, 1, "Outlook"), Seen("auto_reply", "human", 60, 0)),
        timedelta(days=40),
    ),
    Written(
        "On Monday",
        (ANNA,),
        state=MessageState.SCHEDULED,
        ago=timedelta(days=-2),
        snippet="A word before the week begins.",
    ),
    Written(
        "Waiting",
        (
            To(
                "ken.watanabe@northwind.example",
                "Ken Watanabe",
                status=DeliveryStatus.DEFERRED,
                reply="451 4.7.1 Greylisted, try again later",
            ),
        ),
        state=MessageState.QUEUED,
        ago=timedelta(minutes=4),
    ),
)
"""A page of mail with everything on it that the list can show."""


def queued(context: AppContext, alice: User, **facts: object) -> Message:
    """A message accepted by the real thing."""
    with context.database.reading() as session:
        has_account = session.exec(select(Account)).first() is not None
    if not has_account:
        make_account(context, alice)
    values: dict[str, object] = {
        "to": (Address("anna@example.org", "Anna"),),
        "subject": "Offer",
        "html": '<p>Hi <img src="cid:logo"></p>',
        **facts,
    }
    with context.database.session_scope() as session:
        return enqueue_composed(session, context, session.get_one(User, alice.id), Draft(**values))  # type: ignore[arg-type]


def the_offer(context: AppContext, alice: User) -> Message:
    return write(context, alice, GALLERY[0])[0]
