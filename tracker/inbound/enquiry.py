"""Whether a letter counts as an enquiry, decided under a lock per sender and recipient."""

from sqlmodel import Session, col, select

from tracker.counting.bulk import insert_or_keep
from tracker.inbound.repeat import Decision, Enquiry, decide, length
from tracker.inbound.storing import Arrived
from tracker.models import EnquiryKey, Letter


def decide_enquiry(session: Session, arrived: Arrived, letter: Letter) -> Decision:
    """Counts the letter, or folds it under the enquiry it repeats. A letter without a usable sender stands by itself."""
    if not letter.sender:
        letter.counted = True
        session.add(letter)
        return Decision(True)
    key = hold_key(session, letter.mailbox_id, letter.sender, letter.recipient)
    decision = decide(letter.received_at, _near(session, key, letter, arrived), arrived.mailbox.repeat_period_days)
    letter.enquiry_key_id = key
    letter.counted, letter.repeat_of_id = decision.counts, decision.repeat_of
    session.add(letter)
    session.flush()
    return decision


def hold_key(session: Session, mailbox_id: int, sender: str, recipient: str) -> int:
    """The row of this sender and recipient, made when there is none, and held until the commit: of two workers one waits."""
    names = {"mailbox_id": mailbox_id, "sender": sender, "recipient": recipient}
    wanted = select(EnquiryKey.id).where(*(getattr(EnquiryKey, name) == value for name, value in names.items()))
    found = session.exec(wanted.with_for_update()).first()
    if found is None:
        session.execute(insert_or_keep(session, EnquiryKey).values(names))
        found = session.exec(wanted.with_for_update()).one()
    assert found is not None
    return found


def _near(session: Session, key: int, letter: Letter, arrived: Arrived) -> list[Enquiry]:
    """The counted letters of the key within the period on either side, read through an index of those alone."""
    period = length(arrived.mailbox.repeat_period_days)
    at = col(Letter.received_at)
    query = select(Letter.id, Letter.received_at).where(
        Letter.enquiry_key_id == key,
        col(Letter.counted),
        at > letter.received_at - period,
        at < letter.received_at + period,
        col(Letter.withdrawn_at).is_(None),
        col(Letter.id) != letter.id,
    )
    return [Enquiry(id_ or 0, moment) for id_, moment in session.exec(query)]
