"""Whether a letter counts as an enquiry, decided under a lock per sender and recipient."""

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session

from tracker.counting.bulk import add_or_keep
from tracker.counting.tables import ENQUIRY_KEY, LETTER
from tracker.inbound.repeat import Decision, Enquiry, decide, length
from tracker.inbound.storing import Arrived
from tracker.models import Letter

# Statements are made once: making one costs more than running it.
_KEY = (
    select(ENQUIRY_KEY.c.id)
    .where(*(ENQUIRY_KEY.c[name] == bindparam(name) for name in ("mailbox_id", "sender", "recipient")))
    .with_for_update()
)
_NEAR = select(LETTER.c.id, LETTER.c.received_at).where(
    LETTER.c.enquiry_key_id == bindparam("key"),
    LETTER.c.counted,
    LETTER.c.received_at > bindparam("after"),
    LETTER.c.received_at < bindparam("before"),
    LETTER.c.withdrawn_at.is_(None),
    LETTER.c.id != bindparam("letter"),
)
_STANDS = (
    update(LETTER)
    .where(LETTER.c.id == bindparam("letter"))
    .values({name: bindparam(name) for name in ("enquiry_key_id", "counted", "repeat_of_id")})
)


def decide_enquiry(session: Session, arrived: Arrived, letter: Letter) -> Decision:
    """Counts the letter, or folds it under the enquiry it repeats. A letter without a usable sender stands by itself."""
    if not letter.sender:
        return _stands(session, letter, None, Decision(True))
    key, is_new = hold_key(session, letter.mailbox_id, letter.sender, letter.recipient)
    near = [] if is_new else _near(session, key, letter, arrived)
    decision = decide(letter.received_at, near, arrived.mailbox.repeat_period_days)
    return _stands(session, letter, key, decision)


def _stands(session: Session, letter: Letter, key: int | None, decision: Decision) -> Decision:
    standing = {"enquiry_key_id": key, "counted": decision.counts, "repeat_of_id": decision.repeat_of}
    session.connection().execute(_STANDS, {"letter": letter.id, **standing})
    for name, value in standing.items():
        set_committed_value(letter, name, value)
    return decision


def hold_key(session: Session, mailbox_id: int, sender: str, recipient: str) -> tuple[int, bool]:
    """The row of this sender and recipient, and whether it was made just now; held until the commit: of two workers one waits."""
    names = {"mailbox_id": mailbox_id, "sender": sender, "recipient": recipient}
    connection = session.connection()
    if (found := connection.execute(_KEY, names).scalar()) is not None:
        return found, False
    if (made := add_or_keep(session, ENQUIRY_KEY, names)) is not None:
        return made, True
    return connection.execute(_KEY, names).scalar_one(), False  # somebody made it between the two questions


def _near(session: Session, key: int, letter: Letter, arrived: Arrived) -> list[Enquiry]:
    """The counted letters of the key within the period on either side, read through an index of those alone."""
    period, at = length(arrived.mailbox.repeat_period_days), letter.received_at
    around = {"key": key, "after": at - period, "before": at + period, "letter": letter.id}
    return [Enquiry(number, moment) for number, moment in session.connection().execute(_NEAR, around)]
