"""Which message of ours a letter answers, and what that changes: the event, the counters, the reminder, the bell."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from sqlmodel import Session, col, select

from tracker.inbound.parse.answers import (
    SentDelivery,
    Whose,
    candidates,
    is_answer_by_subject,
    quoted_urls,
    whose,
)
from tracker.inbound.parse.letter import ParsedLetter
from tracker.inbound.parse.reports import read_report
from tracker.inbound.parse.subjects import bare_subject
from tracker.inbound.received_letter import ReceivedLetter
from tracker.mail.addresses import lookup_or_none
from tracker.mail.message_ids import read_id
from tracker.models import Category, Delivery, Event, Letter, Message, MessageState, Recipient
from tracker.models.counting.counters import lock_messages, recount
from tracker.notifications.notify import announce, notify
from tracker.notifications.webhooks import emit
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import Keyring
from tracker.runtime.localized_text import LocalizedText

log = logging.getLogger(__name__)

_EVENT_KINDS = {Category.HUMAN.value: "reply", Category.REACTION.value: "reaction"}
SUBJECT_WITHIN = timedelta(days=30)
WHOLE_SECOND = timedelta(seconds=1)
"""Servers tell no less of when a letter came."""
_SENT = (MessageState.SENT.value, MessageState.QUEUED.value, MessageState.FAILED.value)


@dataclass(frozen=True)
class AnsweredMessage:
    """The message that is answered, whose copy, and the rule by which that was found."""

    message: Message
    whose: Whose
    rule: str

    @property
    def marks(self) -> bool:
        """Whether the message counts as answered by this: not by its subject alone."""
        return self.rule != "subject"


def answer_of(session: Session, context: AppContext, arrived: ReceivedLetter, letter: Letter) -> AnsweredMessage | None:
    """The message of this person's that the letter answers; None when it answers none."""
    ids = candidates(arrived.parsed)
    if letter.category == Category.MDN:
        ids = (*ids, read_report(arrived.raw, arrived.parsed).message_id)
    marked = quoted_copy(session, context, letter.user_id, arrived.parsed.html)
    answered, rule = by_ids(session, context, letter.user_id, ids), "message_id"
    may_be_told_otherwise = letter.category in (Category.HUMAN, Category.AUTO_REPLY)
    if answered is None and marked is not None and may_be_told_otherwise:
        answered, rule = session.get(Message, marked.message_id), "quoted_token"
    if answered is None and may_be_told_otherwise:
        answered, rule = _by_subject(session, letter), "subject"
    if answered is None:
        return None
    copy = whose(letter.sender, copies_of(session, answered), marked.id if marked else None)
    return AnsweredMessage(answered, copy, rule)


def answers_ours(ring: Keyring, letter: ParsedLetter) -> bool:
    """The letter says that it answers a message that was sent here: its id is signed."""
    named = (read_id(ring, id_) for id_ in candidates(letter))
    return any(ours is not None and ours.genuine and ours.kind == "m" for ours in named)


def notice_answered(ring: Keyring, letter: ParsedLetter) -> str | None:
    """The id of our own notice that the letter answers before anything else; None where it answers none."""
    first = next((read_id(ring, id_) for id_ in candidates(letter)), None)
    return first.id if first is not None and first.genuine and first.kind == "n" else None


def by_ids(session: Session, context: AppContext, user_id: int, ids: Sequence[str]) -> Message | None:
    """The first of these msg-ids that is a message of the person's. One of our form with a wrong signature is not believed."""
    if not ids:
        return None
    genuine, others = {}, []
    for id_ in ids:
        ours = read_id(context.keyring, id_)
        if ours is None:
            others.append(f"<{id_}>")
        elif ours.genuine and ours.kind == "m":
            genuine[id_] = ours.id
        else:
            log.info("a letter names a Message-ID of our form that is not ours")
    mine = select(Message).where(Message.user_id == user_id, col(Message.state).in_(_SENT))
    named = col(Message.public_id).in_(genuine.values()) | col(Message.message_id).in_(others)
    rows = session.exec(mine.where(named)).all()
    by_id = {row.public_id: row for row in rows} | {row.message_id: row for row in rows}
    messages = (by_id.get(genuine.get(id_, f"<{id_}>")) for id_ in ids)
    return next((row for row in messages if row is not None), None)


def quoted_copy(session: Session, context: AppContext, user_id: int, html: str | None) -> Delivery | None:
    """The person's copy whose signed tokens stand in the quoted HTML: known however a provider rewrote its Message-ID."""
    for url in quoted_urls(html):
        delivery = _delivery_in(context, url)
        if delivery is not None:
            mine = select(Delivery).join(Message, col(Message.id) == col(Delivery.message_id))
            return session.exec(mine.where(Delivery.public_id == delivery, Message.user_id == user_id)).first()
    return None


def _delivery_in(context: AppContext, url: str) -> str | None:
    if "/c/" not in url and "/o/" not in url:
        return None
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    kind, _, token = path.rpartition("/")[0][-2:], "", path.rpartition("/")[2]
    if kind == "/o":
        opened = context.tokens.read_open(token.removesuffix(".gif"))
        return opened.delivery if opened else None
    claims = context.tokens.read_click(token) or context.tokens.read_trap(token)
    return claims.delivery if claims else None


def copies_of(session: Session, message: Message) -> list[SentDelivery]:
    rows = session.exec(select(Delivery).where(Delivery.message_id == message.id).order_by(col(Delivery.position)))
    return [SentDelivery(row.id, lookup_or_none(row.address) or "") for row in rows]


def _by_subject(session: Session, letter: Letter) -> Message | None:
    """The newest message to this sender, within thirty days, whose subject the letter's subject answers."""
    if not letter.sender or not is_answer_by_subject(letter.subject):
        return None
    wanted = bare_subject(letter.subject)
    sent = select(Message).join(Delivery, col(Delivery.message_id) == col(Message.id))
    recent = sent.join(Recipient, col(Recipient.id) == col(Delivery.recipient_id)).where(
        Recipient.lookup == letter.sender,
        Message.user_id == letter.user_id,
        Message.state == MessageState.SENT,
        col(Message.listed_at) > letter.received_at - SUBJECT_WITHIN,
        col(Message.listed_at) < letter.received_at + WHOLE_SECOND,
    )
    newest = recent.order_by(col(Message.listed_at).desc()).limit(50)
    return next((row for row in session.exec(newest) if bare_subject(row.subject) == wanted), None)


def note_answer(session: Session, letter: Letter, answer: AnsweredMessage, *, rings: bool) -> None:
    """Ties the letter to the message, and lets the message know. Counted are answers of its recipients alone."""
    message, copy = answer.message, answer.whose.copy
    letter.in_reply_to_message_id, letter.delivery_id, letter.reply_rule = message.id, copy, answer.rule
    letter.thread = message.thread or message.message_id
    if not answer.whose.by_a_recipient and letter.category == Category.HUMAN:
        letter.flags = [*letter.flags, "sender_differs"]
    session.add(letter)
    if not answer.marks or letter.category == Category.MDN or _came_before(session, letter):
        return
    lock_messages(session, [message.id])
    counts = letter.category == Category.HUMAN and answer.whose.by_a_recipient
    session.add(_event(letter, answer, counts))
    if counts:
        session.refresh(message)
        message.follow_up_at = message.follow_up_due_at = None
    recount(session, [message.id])
    if counts:
        facts = {
            "id": message.public_id,
            "subject": message.subject,
            "letter": letter.public_id,
            "at": letter.received_at,
        }
        emit(session, "message.replied", {**facts, "version": message.replies + 1}, message.user_id)
    if rings and letter.category == Category.HUMAN and not message.muted:
        _notify(session, letter, answer)
    announce(session, message.user_id, "message", message.public_id)


def _came_before(session: Session, letter: Letter) -> bool:
    """The same letter in another mailbox of the person's has told the message already."""
    same = (Letter.user_id == letter.user_id, Letter.in_reply_to_message_id == letter.in_reply_to_message_id)
    other = (Letter.content_hash == letter.content_hash, col(Letter.id) != letter.id)
    return session.exec(select(Letter.id).where(*same, *other).limit(1)).first() is not None


def _event(letter: Letter, answer: AnsweredMessage, counts: bool) -> Event:
    person = letter.category == Category.HUMAN
    who = letter.sender_name or letter.sender_address
    other = [] if counts or not person else [{"code": "answered_by_other", "values": {"name": who}}]
    return Event(
        message_id=answer.message.id,
        delivery_id=answer.whose.copy,
        kind=_EVENT_KINDS.get(letter.category, "auto_reply"),
        at=letter.received_at,
        klass="human" if person else "unknown",
        confidence=1.0 if counts or not person else 0.5,
        reasons=other,
        counted=counts,
        alerted=counts,
    )


def _notify(session: Session, letter: Letter, answer: AnsweredMessage) -> None:
    """One line per copy: whoever answers again makes its counter grow."""
    message = answer.message
    facts: dict[str, object] = {"message_id": message.id, "delivery_id": answer.whose.copy, "client": ""}
    if answer.whose.by_a_recipient:
        same = (Letter.delivery_id == answer.whose.copy, Letter.category == Category.HUMAN)
        count = len(session.exec(select(Letter.id).where(*same, col(Letter.reply_rule) != "subject")).all())
        notify(
            session, message.user_id, f"reply:{answer.whose.copy}", "reply", letter.received_at, count=count, **facts
        )
        return
    facts["detail"] = LocalizedText(
        "%(who)s answered “%(subject)s”, which was sent to somebody else",
        who=letter.sender_name or letter.sender_address,
        subject=message.subject[:200],
    )
    notify(session, message.user_id, f"answered:{letter.id}", "answered", letter.received_at, **facts)
