"""Everything that is held about one person, as plain data; and the archive, the same as JSON for programs and as a page for people,
in one ZIP file. Nothing of other recipients is in it.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from sqlmodel import Session, col, select

from tracker.consent.ledger import broken_at, consent_of, ledger
from tracker.consent.rules import BASES
from tracker.locale import language, use_locale
from tracker.locale.templates import write
from tracker.models import (
    ConsentEntry,
    Customer,
    CustomerAddress,
    Delivery,
    Event,
    HitEvidence,
    Letter,
    Message,
    NoticeText,
    Notification,
    Order,
    Recipient,
    TrackedLink,
    TrackingPause,
)
from tracker.privacy.periods import periods
from tracker.privacy.views import views_of
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def archive_of(context: AppContext, recipient: Recipient, words: str = "en", of_user: int | None = None) -> bytes:
    """The ZIP file, its page in the language ``words``: ``data.json`` and ``index.html``.

    With ``of_user`` it holds the ledger and that user's own mail alone: whoever of us asks sees nothing of a colleague's.
    """
    with context.database.reading() as session:
        held = {"made_at": now().isoformat(timespec="seconds"), **held_about(session, context, recipient, of_user)}
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as packed, use_locale(words):
        packed.writestr("data.json", json.dumps(held, ensure_ascii=False, indent=2, default=str))
        packed.writestr("index.html", page_of(held))
    return file.getvalue()


def archive_name(moment: datetime) -> str:
    return f"inkling-{moment:%Y-%m-%d}.zip"


def page_of(held: Mapping[str, Any]) -> str:
    """The data as a page that needs nothing else, in the language being spoken."""
    return write("compliance/archive.html", held=held, language=language())


_PRIVATE = ("id", "recipient_id", "salt")


def held_about(
    session: Session, context: AppContext, recipient: Recipient, of_user: int | None = None
) -> dict[str, Any]:
    """The whole archive of one person as JSON can hold it; with ``of_user`` only of the mail that this user wrote and got."""
    copies = session.exec(_copies(recipient, of_user)).all()
    return {
        "subject": _subject(recipient),
        "consent": {
            purpose.value: state.value for purpose, state in consent_of(session, [recipient.id])[recipient.id].items()
        },
        "ledger": [_entry(session, entry) for entry in ledger(session, recipient)],
        "asked_in_replies": _pauses(session, recipient, of_user),
        "ledger_is_whole": broken_at(session, recipient) is None,
        "copies": [copy_facts(session, delivery, message) for delivery, message in copies],
        "alerts": _alerts(session, [delivery.id for delivery, _ in copies]),
        "letters": _letters(session, recipient, of_user),
        "customers": _customers(session, recipient),
        "viewed_by": [
            {"day": day.isoformat(), "what": what, "who": who} for day, what, who in views_of(session, recipient)
        ],
        "kept_for": {**periods(session), "evidence_days": context.settings.evidence_days},
    }


def _copies(recipient: Recipient, of_user: int | None) -> Any:
    query = (
        select(Delivery, Message)
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(Delivery.recipient_id == recipient.id)
        .order_by(col(Message.listed_at))
    )
    return query if of_user is None else query.where(Message.user_id == of_user)


def _subject(recipient: Recipient) -> dict[str, Any]:
    return {
        "address": recipient.address,
        "name": recipient.name,
        "company": recipient.company,
        "jurisdiction": recipient.jurisdiction or recipient.country,
        "never_track": recipient.never_track,
        "frozen_since": _at(recipient.restricted_at),
        "paused_since": _at(recipient.paused_at),
        "known_since": _at(recipient.created_at),
    }


def _pauses(session: Session, recipient: Recipient, of_user: int | None) -> list[dict[str, Any]]:
    query = select(TrackingPause).where(TrackingPause.recipient_id == recipient.id)
    mine = query if of_user is None else query.where(TrackingPause.user_id == of_user)
    return [
        {
            "words": pause.words,
            "said_at": _at(pause.said_at),
            "decision": pause.decision,
            "decided_at": _at(pause.decided_at),
        }
        for pause in session.exec(mine.order_by(col(TrackingPause.id)))
    ]


def _entry(session: Session, entry: ConsentEntry) -> dict[str, Any]:
    facts = {name: _plain(value) for name, value in entry.model_dump(exclude=set(_PRIVATE)).items()}
    text = session.get(NoticeText, entry.notice_digest) if entry.notice_digest else None
    return {**facts, "text_shown": text.text if text else None}


def copy_facts(
    session: Session, delivery: Delivery, message: Message, recipient: Recipient | None = None
) -> dict[str, Any]:
    """One copy and what was measured of it. Nothing is shown of somebody who had it frozen."""
    links = {
        link.position: link.url
        for link in session.exec(select(TrackedLink).where(TrackedLink.message_id == message.id))
    }
    events = select(Event).where(Event.delivery_id == delivery.id, ~col(Event.merged)).order_by(col(Event.at))
    return {
        "sent_at": _at(delivery.accepted_at or message.sent_at),
        "subject": message.subject,
        "sender": message.from_address,
        "sender_name": message.from_name,
        "status": delivery.status,
        "opens": _purpose(delivery.opens_on, delivery.opens_rule),
        "clicks": _purpose(delivery.clicks_on, delivery.clicks_rule),
        "frozen": delivery.frozen,
        "events": [_event(session, event, links) for event in session.exec(events).all()],
    }


def _purpose(on: bool, rule: str) -> dict[str, Any]:
    return {"measured": on, "rule": rule, "basis": BASES.get(rule, "none") if on else "none"}


def _event(session: Session, event: Event, links: Mapping[int, str]) -> dict[str, Any]:
    evidence = session.get(HitEvidence, event.id)
    return {
        "id": event.public_id,
        "at": _at(event.at),
        "kind": event.kind,
        "link": links.get(event.link) if event.link is not None else None,
        "client": event.client,
        "class": event.klass,
        "confidence": event.confidence,
        "reasons": event.reasons,
        "counted_as_person": event.counted,
        "address_and_program_kept_encrypted_until": _at(evidence.expires_at) if evidence else None,
    }


def _alerts(session: Session, copies: Sequence[int]) -> list[dict[str, Any]]:
    lines = session.exec(select(Notification).where(col(Notification.delivery_id).in_(copies))).all()
    return [
        {"kind": line.kind, "count": line.count, "first_at": _at(line.first_at), "at": _at(line.at)} for line in lines
    ]


def _letters(session: Session, recipient: Recipient, of_user: int | None) -> list[dict[str, Any]]:
    """Letters from this person, to whomever of ours."""
    query = select(Letter).where(Letter.sender == recipient.lookup, col(Letter.deleted_at).is_(None))
    query = query if of_user is None else query.where(Letter.user_id == of_user)
    rows = session.exec(query.order_by(col(Letter.received_at))).all()
    return [
        {"received_at": _at(row.received_at), "to": row.recipient, "subject": row.subject, "category": row.category}
        for row in rows
    ]


def _customers(session: Session, recipient: Recipient) -> list[dict[str, Any]]:
    """The person as a customer, with the numbers and states of their orders."""
    theirs = select(CustomerAddress.customer_id).where(CustomerAddress.lookup == recipient.lookup)
    rows = session.exec(select(Customer).where(col(Customer.id).in_(theirs)).order_by(col(Customer.id))).all()
    return [
        {
            "name": row.name,
            "addresses": list(
                session.exec(select(CustomerAddress.address).where(CustomerAddress.customer_id == row.id))
            ),
            "tags": row.tags,
            "known_since": _at(row.created_at),
            "orders": [
                {"number": number, "status": status}
                for number, status in session.exec(
                    select(Order.number, Order.status).where(Order.customer_id == row.id)
                )
            ],
        }
        for row in rows
    ]


def _at(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _plain(value: Any) -> Any:
    return _at(value) if isinstance(value, datetime) else value
