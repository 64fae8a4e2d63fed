"""Which letters count as enquiries, decided under a lock per sender and recipient."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select, tuple_
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session

from tracker.inbound.repeat import Enquiry, RepeatDecision, decide, length
from tracker.models import Letter, Mailbox
from tracker.models.counting.bulk import add_or_keep_all, update_rows
from tracker.models.counting.tables import ENQUIRY_KEY, LETTER

Pair = tuple[str, str]
"""A sender and the recipient it was written to."""
# Statements are made once: making one costs more than running it.
_KEYS = (
    select(ENQUIRY_KEY.c.sender, ENQUIRY_KEY.c.recipient, ENQUIRY_KEY.c.id)
    .where(
        ENQUIRY_KEY.c.mailbox_id == bindparam("mailbox"),
        tuple_(ENQUIRY_KEY.c.sender, ENQUIRY_KEY.c.recipient).in_(bindparam("pairs", expanding=True)),
    )
    .order_by(ENQUIRY_KEY.c.id)
    .with_for_update()
)
_NEAR = select(LETTER.c.enquiry_key_id, LETTER.c.id, LETTER.c.received_at).where(
    LETTER.c.enquiry_key_id.in_(bindparam("keys", expanding=True)),
    LETTER.c.counted,
    LETTER.c.received_at > bindparam("after"),
    LETTER.c.received_at < bindparam("before"),
    LETTER.c.withdrawn_at.is_(None),
)


@dataclass
class Key:
    """The row of a sender and recipient, held until the commit, with its enquiries near the letters in hand."""

    id: int
    near: list[Enquiry] = field(default_factory=list)


def decide_enquiries(session: Session, mailbox: Mailbox, letters: Sequence[Letter]) -> list[RepeatDecision]:
    """Counts each new letter of the mailbox, or folds it under the enquiry it repeats, in their order. A letter without a usable
    sender stands by itself."""
    keys = _held(session, mailbox, [letter for letter in letters if letter.sender])
    decisions = []
    for letter in letters:
        key = keys.get((letter.sender, letter.recipient))
        decision = decide(letter.received_at, key.near if key else (), mailbox.repeat_period_days)
        if key and decision.counts:
            key.near.append(Enquiry(letter.id, letter.received_at))
        decisions.append(decision)
    standings = [_standing(keys, letter, decision) for letter, decision in zip(letters, decisions, strict=True)]
    update_rows(session, LETTER, standings)
    return decisions


def _standing(keys: dict[Pair, Key], letter: Letter, decision: RepeatDecision) -> dict[str, int | bool | None]:
    key = keys.get((letter.sender, letter.recipient))
    standing = {
        "enquiry_key_id": key.id if key else None,
        "counted": decision.counts,
        "repeat_of_id": decision.repeat_of,
    }
    for name, value in standing.items():
        set_committed_value(letter, name, value)
    return {"id": letter.id, **standing}


def _held(session: Session, mailbox: Mailbox, letters: Sequence[Letter]) -> dict[Pair, Key]:
    """The keys of these letters; of two workers with the same key one waits for the other's commit."""
    pairs = sorted({(letter.sender, letter.recipient) for letter in letters})
    if not pairs:
        return {}
    known = _find(session, mailbox, pairs)
    missing = [pair for pair in pairs if pair not in known]
    new = [{"mailbox_id": mailbox.id, "sender": sender, "recipient": recipient} for sender, recipient in missing]
    made = add_or_keep_all(session, ENQUIRY_KEY, new, "sender", "recipient")
    if len(made) < len(missing):  # somebody made some between the two questions
        known |= _find(session, mailbox, [pair for pair in missing if pair not in made])
    by_id = {number: Key(number) for number in known.values()}
    for number, enquiry in _near(session, list(by_id), letters, mailbox):
        by_id[number].near.append(enquiry)
    return {pair: by_id[number] for pair, number in known.items()} | {pair: Key(made[pair]) for pair in made}


def _find(session: Session, mailbox: Mailbox, pairs: Iterable[Pair]) -> dict[Pair, int]:
    rows = session.connection().execute(_KEYS, {"mailbox": mailbox.id, "pairs": list(pairs)})
    return {(sender, recipient): number for sender, recipient, number in rows}


def _near(
    session: Session, keys: list[int], letters: Sequence[Letter], mailbox: Mailbox
) -> Iterator[tuple[int, Enquiry]]:
    """The counted letters of the keys within the period around all these letters, read through an index of those alone."""
    period = length(mailbox.repeat_period_days)
    if not keys or not period:
        return
    moments = [letter.received_at for letter in letters]
    around = {"keys": keys, "after": min(moments) - period, "before": max(moments) + period}
    for number, letter, moment in session.connection().execute(_NEAR, around):
        yield number, Enquiry(letter, moment)
