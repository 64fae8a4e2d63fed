"""Erasure: everything that tells of one person goes.

What stays is a digest that is good for recognising the address alone, and a receipt.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, exists, or_
from sqlmodel import Session, col, delete, select, update

from pixel.hits import Hit
from tracker.consent.ledger import consent_of, erase_proof, record_consent
from tracker.consent.preferences import preference
from tracker.consent.rules import ConsentState, Purpose
from tracker.mail.addresses import domain_of, lookup_form, lookup_or_none, normalise
from tracker.models import (
    Delivery,
    DeliveryStatus,
    DomainProfile,
    Erasure,
    Event,
    IdempotencyKey,
    Letter,
    Message,
    MessageBody,
    MessageState,
    Notification,
    QuarantinedHit,
    Recipient,
    TrackedLink,
    TrackingPause,
    WebhookEvent,
)
from tracker.models.counting.counters import recount
from tracker.notifications.notify import announce
from tracker.privacy.erase_letters import erase_customers, erase_letters
from tracker.privacy.erase_mentions import WAITING, erase_mentions_in_mail
from tracker.privacy.redact import GONE, Redactor, redact_everywhere, rows_with
from tracker.privacy.replay import came_back, remember, remembered
from tracker.recipients import find_or_make, suppressions
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import Undecryptable

REPLAY = "replay"


@dataclass
class Subject:
    """One person's rows, and what they are known by."""

    recipient: Recipient
    form: str
    copies: Sequence[Delivery]
    redactor: Redactor
    done: Counter[str] = field(default_factory=Counter)

    @property
    def copy_ids(self) -> list[int]:
        return [copy.id for copy in self.copies]

    @property
    def message_ids(self) -> set[int]:
        return {copy.message_id for copy in self.copies}


def erase(context: AppContext, address: str, actor: str) -> Erasure:
    """Erases whoever has this address, known or not, and returns the receipt. Doing it again is safe.

    Raises :class:`tracker.mail.addresses.AddressError`.
    """
    with context.database.session_scope() as session:
        receipt = erase_rows(session, context, address, actor)
    if actor != REPLAY:
        remember(context, receipt)  # at once: what is scrubbed may still fail, what is erased must not come back
    context.database.scrub()
    return receipt


def erase_again(context: AppContext, digests: set[str] | None = None) -> int:
    """Erases whoever a restored backup brought back, by the list beside the database or the one given. Returns how many."""
    if digests is None:
        path = context.settings.erasures_path
        digests = remembered(path.read_text("utf-8").splitlines()) if path.is_file() else set()
    back = came_back(context, digests)
    for address in back:
        erase(context, address, REPLAY)
    return len(back)


def erase_rows(session: Session, context: AppContext, address: str, actor: str) -> Erasure:
    """The rows of :func:`erase`; the caller commits, and cares for the file and the replay list."""
    subject = _subject(session, address)
    _close_ledger(session, subject, actor)
    _hits(session, context, subject)
    erase_customers(session, subject.form, subject.redactor, subject.done)
    erase_letters(session, subject.form, subject.copy_ids, subject.redactor, subject.done)
    erase_mentions_in_mail(session, subject.redactor, list(subject.message_ids), subject.done)
    text = str(preference(session, "erasure_text"))
    _messages(session, subject, text)
    _answers(session, subject)
    _webhook_events(session, subject)
    subject.done.update(redact_everywhere(session, subject.redactor))
    _domain(session, subject)
    return _tombstone(session, subject, actor, text)


def _subject(session: Session, address: str) -> Subject:
    recipient = find_or_make(session, address)
    session.flush()
    copies = session.exec(select(Delivery).where(Delivery.recipient_id == recipient.id)).all()
    form = lookup_form(address)
    addresses = {form, normalise(address), *(copy.address for copy in copies)}
    addresses |= {recipient.address} if recipient.erased_at is None else set()
    written = select(Letter.sender_name).where(Letter.sender == form)
    names = {recipient.name, *(copy.name for copy in copies), *session.exec(written)} - {""}
    return Subject(recipient, form, copies, Redactor(frozenset(addresses), frozenset(names)))


def _close_ledger(session: Session, subject: Subject, actor: str) -> None:
    """The last entries say that nobody asks or measures again; the words of all of them go, and the chain still fits."""
    states = consent_of(session, [subject.recipient.id])[subject.recipient.id]
    for purpose in Purpose:
        if states[purpose] != ConsentState.BLOCKED:
            record_consent(
                session, subject.recipient, purpose, ConsentState.BLOCKED, actor=_known(actor), channel="dsr"
            )
    subject.done["consent_entry"] += erase_proof(session, subject.recipient)
    _pauses(session, subject)


def _pauses(session: Session, subject: Subject) -> None:
    """The words of replies, and the bell lines that quote them."""
    theirs = select(TrackingPause.id).where(TrackingPause.recipient_id == subject.recipient.id)
    lines = [f"pause:{id_}" for id_ in session.exec(theirs)]
    session.exec(delete(Notification).where(col(Notification.subject).in_(lines)))
    gone = session.exec(delete(TrackingPause).where(col(TrackingPause.recipient_id) == subject.recipient.id))
    subject.done["tracking_pause"] += gone.rowcount


def _known(actor: str) -> str:
    return "system" if actor == REPLAY else actor


def _hits(session: Session, context: AppContext, subject: Subject) -> None:
    """Events with their verdicts and evidence, bell lines, and hits that were set aside."""
    ids = subject.copy_ids
    subject.done["event"] += session.exec(delete(Event).where(col(Event.delivery_id).in_(ids))).rowcount
    about_all = col(Notification.message_id).in_(subject.message_ids) & col(Notification.delivery_id).is_(None)
    lines = delete(Notification).where(or_(col(Notification.delivery_id).in_(ids), about_all))
    subject.done["notification"] += session.exec(lines).rowcount
    theirs = {copy.public_id for copy in subject.copies}
    for quarantined in session.exec(select(QuarantinedHit)).all():
        if _delivery_of(context, quarantined) in theirs:
            session.delete(quarantined)
            subject.done["hit_aside"] += 1


def _delivery_of(context: AppContext, quarantined: QuarantinedHit) -> str:
    try:
        plain = context.keyring.decrypt(quarantined.sealed, f"aside:{quarantined.edge}:{quarantined.hit}")
        return Hit.from_json(plain.decode()).delivery
    except (Undecryptable, ValueError, KeyError, TypeError):
        return ""


def _messages(session: Session, subject: Subject, text: str) -> None:
    """Messages to this person alone go or stay by the operator's mail policy; in all others only the person goes."""
    for message in session.exec(select(Message).where(col(Message.id).in_(subject.message_ids))).all():
        others = session.exec(
            select(Delivery).where(Delivery.message_id == message.id, Delivery.recipient_id != subject.recipient.id)
        ).all()
        if text == "delete" and not others:
            session.delete(message)
            subject.done["message deleted"] += 1
        else:
            _blank(session, subject, message, others)
            subject.done["message blanked"] += 1
        announce(session, message.user_id, "message", message.public_id)
    session.flush()
    left = session.exec(select(Message.id).where(col(Message.id).in_(subject.message_ids))).all()
    recount(session, left)


def _blank(session: Session, subject: Subject, message: Message, others: Sequence[Delivery]) -> None:
    """Address and names leave the row, the text and the copy; what was still to be sent to them is not sent."""
    for copy in subject.copies:
        if copy.message_id == message.id:
            _blank_copy(copy)
            session.add(copy)
    message.names = ", ".join(other.name or other.address for other in others)[:300] or GONE
    message.subject, message.snippet = subject.redactor.text(message.subject), subject.redactor.text(message.snippet)
    _blank_form(session, subject, message)
    if all(other.status not in WAITING for other in others):
        if message.state in (MessageState.QUEUED, MessageState.SCHEDULED):
            message.state = MessageState.SENT if message.sent_at else MessageState.CANCELLED
        message.sent_copy = "none" if message.sent_copy in ("wanted", "later") else message.sent_copy
        _blank_body(session, subject, message)
    for link in session.exec(select(TrackedLink).where(TrackedLink.message_id == message.id)):
        link.url, link.text = subject.redactor.text(link.url), subject.redactor.text(link.text)
    session.add(message)


def _blank_form(session: Session, subject: Subject, message: Message) -> None:
    """The form as it was before it was sent, from which undo makes a draft again."""
    body = session.get(MessageBody, message.id)
    if body is not None and body.recipients:
        form = subject.redactor.value(json.loads(body.recipients))
        body.recipients = json.dumps(form, ensure_ascii=False)


def _blank_copy(copy: Delivery) -> None:
    copy.address, copy.name, copy.reply, copy.mx_family = "", "", "", None
    if copy.status in WAITING:
        copy.status, copy.next_try_at = DeliveryStatus.CANCELLED, None


def _blank_body(session: Session, subject: Subject, message: Message) -> None:
    body = session.get(MessageBody, message.id)
    if body is not None:
        body.html = subject.redactor.text(body.html) if body.html else body.html
        body.text = subject.redactor.text(body.text) if body.text else body.text
        body.raw = None  # encoded, it could not be searched; the sender's mailbox has it


def _answers(session: Session, subject: Subject) -> None:
    """Answers of the API that are kept for a day to be given again, and are not changed but dropped."""
    for answer in session.exec(select(IdempotencyKey)).all():
        if subject.redactor.mentions(f"{answer.path} {answer.body}"):
            session.delete(answer)
            subject.done["idempotency_key"] += 1


def _webhook_events(session: Session, subject: Subject) -> None:
    """Events about the person go whole, as a subject or name of theirs would stay; those that only mention them lose the
    address like any other text."""
    table = WebhookEvent.__table__  # type: ignore[attr-defined]
    rows = rows_with(session, subject.redactor, table, [table.c.body])
    about = [row["id"] for row in list(rows) if _names(_value(row["body"]), subject.form)]
    subject.done["webhook_event"] += session.exec(delete(WebhookEvent).where(col(WebhookEvent.id).in_(about))).rowcount


def _value(body: str) -> Any:
    """What the text holds: JSON, or itself where it is none, which must not stop an erasure."""
    try:
        return json.loads(body)
    except ValueError:
        return body


def _names(value: Any, form: str) -> bool:
    """Whether the address is a value by itself, in whatever JSON can hold."""
    if isinstance(value, dict):
        return any(_names(item, form) for item in value.values())
    if isinstance(value, list):
        return any(_names(item, form) for item in value)
    return isinstance(value, str) and lookup_or_none(value) == form


def _domain(session: Session, subject: Subject) -> None:
    """A domain that nobody else of ours has may be a person's own."""
    domain = domain_of(subject.form)
    here = col(Recipient.lookup).endswith(f"@{domain}", autoescape=True)
    others = select(Recipient.id).where(here, Recipient.id != subject.recipient.id)
    if session.exec(others.limit(1)).first() is None:
        session.exec(delete(DomainProfile).where(col(DomainProfile.domain) == domain))


def _tombstone(session: Session, subject: Subject, actor: str, text: str) -> Erasure:
    mark = suppressions(session, subject.form)[0]
    row = subject.recipient
    blank = {
        "address": mark,
        "lookup": mark,
        "name": "",
        "company": "",
        "jurisdiction": None,
        "country": None,
        "restricted_at": None,
        "paused_at": None,
    }
    session.exec(
        update(Recipient).where(col(Recipient.id) == row.id).values(**blank, never_track=False, erased_at=now())
    )
    session.expire(row)
    receipt = Erasure(digest=mark, actor=actor, text=text, done={k: n for k, n in sorted(subject.done.items()) if n})
    session.add(receipt)
    session.flush()
    return receipt


def raw_of_erased() -> ColumnElement[bool]:
    """Bodies of messages that had still to be sent to others when somebody was erased, and now are: their raw bytes may go."""
    here = col(MessageBody.message_id)
    erased = select(Recipient.id).where(col(Recipient.erased_at).is_not(None))
    of_erased = select(Delivery.message_id).where(col(Delivery.recipient_id).in_(erased), Delivery.address == "")
    waits = exists().where(col(Delivery.message_id) == here, col(Delivery.status).in_(WAITING))
    is_filed_later = exists().where(col(Message.id) == here, col(Message.sent_copy).in_(("wanted", "later")))
    return here.in_(of_erased) & col(MessageBody.raw).is_not(None) & ~waits & ~is_filed_later
