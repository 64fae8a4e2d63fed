"""Taking an enquiry out as spam, and putting it back (inbound 3.3, item 9).

A withdrawn letter is not seen by later ones, and nothing earlier is promoted in its place. Putting it back keeps the rule that
two counted letters of one sender are never closer than the repeat period: where another one counts meanwhile, it stays.
"""

from sqlmodel import Session, col, select, update

from tracker.inbound.repeat import Enquiry, decide, length
from tracker.models import EnquiryKey, Letter, Mailbox
from tracker.runtime.database import now


def mark_spam(session: Session, letter: Letter) -> None:
    """Marks an enquiry as spam. Nothing happens to what does not count or was withdrawn before."""
    _hold(session, letter)
    if letter.counted and letter.withdrawn_at is None:
        letter.withdrawn_at = now()
        session.add(letter)


def unmark_spam(session: Session, letter: Letter) -> None:
    """Undoes it: the letter counts again, or becomes a repeat of the letter that counts meanwhile."""
    _hold(session, letter)
    if letter.withdrawn_at is None:
        return
    letter.withdrawn_at = None
    mailbox = session.get_one(Mailbox, letter.mailbox_id)
    decided = decide(letter.received_at, _enquiries(session, letter, mailbox), mailbox.repeat_period_days)
    if not decided.counts:
        letter.counted, letter.repeat_of_id = False, decided.repeat_of
        folded = update(Letter).where(col(Letter.repeat_of_id) == letter.id)
        session.exec(folded.values(repeat_of_id=decided.repeat_of))
    session.add(letter)


def _hold(session: Session, letter: Letter) -> None:
    """Whoever decides about letters of this sender waits for us, and we for them; then the row is read again."""
    if letter.enquiry_key_id is not None:
        session.exec(select(EnquiryKey).where(EnquiryKey.id == letter.enquiry_key_id).with_for_update()).first()
    session.refresh(letter)


def _enquiries(session: Session, letter: Letter, mailbox: Mailbox) -> list[Enquiry]:
    """The letters of the same sender and recipient that count, within the period on either side."""
    if letter.enquiry_key_id is None:
        return []
    span, at = length(mailbox.repeat_period_days), col(Letter.received_at)
    near = (at > letter.received_at - span) & (at < letter.received_at + span)
    counts = col(Letter.counted) & col(Letter.withdrawn_at).is_(None) & (col(Letter.id) != letter.id)
    same = col(Letter.enquiry_key_id) == letter.enquiry_key_id
    rows = session.exec(select(Letter.id, Letter.received_at).where(same, counts, near))
    return [Enquiry(id_, received_at) for id_, received_at in rows]
