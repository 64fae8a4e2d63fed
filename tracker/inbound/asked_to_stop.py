"""A person's letter that asks not to be tracked: found in what they wrote themselves, and put before whoever got it."""

from sqlmodel import Session, select

from tracker.consent import asks_not_to_be_tracked, may_ask
from tracker.inbound.answering import Answer
from tracker.inbound.arrived import Arrived
from tracker.inbound.letter_text import own_words
from tracker.models import Delivery, Letter, Recipient
from tracker.pauses import begin

_MOST_TEXT = 20_000


def pause_if_asked(session: Session, arrived: Arrived, letter: Letter, answer: Answer | None) -> bool:
    """Pauses tracking of the writer when the new text of the letter asks for it. Quotations do not count."""
    text = arrived.parsed.text[:_MOST_TEXT]
    words = asks_not_to_be_tracked(own_words(text)) if may_ask(text) else None
    recipient = _writer(session, letter, answer) if words else None
    if words is None or recipient is None or recipient.erased_at is not None:
        return False
    return begin(session, recipient, letter, words)


def _writer(session: Session, letter: Letter, answer: Answer | None) -> Recipient | None:
    """Whose copy is answered, else whoever we know by this address."""
    if answer is not None and answer.whose.by_a_recipient and answer.whose.copy is not None:
        return session.get_one(Recipient, session.get_one(Delivery, answer.whose.copy).recipient_id)
    return session.exec(select(Recipient).where(Recipient.lookup == letter.sender)).first() if letter.sender else None
