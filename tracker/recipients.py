"""Recipients and their consent ledger."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from tracker.addresses import lookup_form, normalise
from tracker.consent import Purpose, State, chain_digest, check_move, grade_of
from tracker.db import now
from tracker.models import ConsentEntry, Recipient

_GENESIS = "0" * 64


def find(session: Session, address: str) -> Recipient | None:
    """The recipient with this address, however it is spelled. Raises :class:`tracker.addresses.AddressError`."""
    return session.exec(select(Recipient).where(Recipient.lookup == lookup_form(address))).first()


def find_or_make(session: Session, address: str, name: str = "") -> Recipient:
    """The recipient with this address, made when there is none. A name is remembered when none was known.

    Raises :class:`tracker.addresses.AddressError`.
    """
    found = find(session, address) or _insert(session, address, name)
    if name and not found.name:
        found.name = name[:200]
        session.add(found)
    return found


def _insert(session: Session, address: str, name: str) -> Recipient:
    try:
        with session.begin_nested():
            made = Recipient(address=normalise(address), lookup=lookup_form(address), name=name[:200])
            session.add(made)
        return made
    except IntegrityError:  # another process made it between our look and our insert
        return session.exec(select(Recipient).where(Recipient.lookup == lookup_form(address))).one()


def consent_of(session: Session, recipient_ids: Iterable[int]) -> Mapping[int, Mapping[Purpose, State]]:
    """The present state per recipient and purpose; ``unknown`` where nothing was ever recorded."""
    ids = list(recipient_ids)
    states = {id_: dict.fromkeys(Purpose, State.UNKNOWN) for id_ in ids}
    newest = (
        select(func.max(ConsentEntry.number).label("number"), ConsentEntry.recipient_id, ConsentEntry.purpose)
        .where(col(ConsentEntry.recipient_id).in_(ids))
        .group_by(col(ConsentEntry.recipient_id), col(ConsentEntry.purpose))
        .subquery()
    )
    rows = session.exec(
        select(ConsentEntry.recipient_id, ConsentEntry.purpose, ConsentEntry.state).join(
            newest,
            (col(ConsentEntry.recipient_id) == newest.c.recipient_id) & (col(ConsentEntry.number) == newest.c.number),
        )
    )
    for recipient_id, purpose, state in rows:
        states[recipient_id][Purpose(purpose)] = State(state)
    return states


def ledger(session: Session, recipient: Recipient) -> Sequence[ConsentEntry]:
    """Every consent event of a recipient, oldest first."""
    statement = select(ConsentEntry).where(ConsentEntry.recipient_id == recipient.id).order_by(col(ConsentEntry.number))
    return session.exec(statement).all()


def record_consent(
    session: Session,
    recipient: Recipient,
    purpose: Purpose,
    state: State,
    *,
    actor: str,
    channel: str,
    note: str = "",
    at: datetime | None = None,
    notice: str | None = None,
) -> ConsentEntry:
    """Appends a consent event to the recipient's chain.

    ``actor`` is ``subject``, ``user:<id>``, ``api:<id>`` or ``system``. Raises :class:`tracker.consent.MoveError` naming the field.
    """
    assert recipient.id is not None
    _lock(session, recipient)
    chain = ledger(session, recipient)
    last = next((e for e in reversed(chain) if e.purpose == purpose), None)
    before = State(last.state) if last else State.UNKNOWN
    moment = now()
    given_at = at or moment
    check_move(before, state, at=given_at, now=moment, channel=channel, note=note, since=last.at if last else None)
    entry = ConsentEntry(
        recipient_id=recipient.id,
        number=len(chain) + 1,
        purpose=purpose.value,
        state=state.value,
        at=given_at.astimezone(UTC),  # as it will be read again: the digest covers how it is written
        recorded_at=moment,
        actor=actor,
        channel=channel,
        grade=grade_of(channel),
        note=note.strip(),
        notice=notice,
        previous_digest=chain[-1].digest if chain else _GENESIS,
        digest="",
    )
    entry.digest = chain_digest(entry.previous_digest, chained_facts(entry))
    session.add(entry)
    session.flush()
    return entry


def _lock(session: Session, recipient: Recipient) -> None:
    """Two events at once must follow one another. (SQLite: the transaction already holds the only write lock.)

    With key_share it does not wait for others that merely refer to the recipient, nor deadlock with them.
    """
    session.exec(select(Recipient.id).where(Recipient.id == recipient.id).with_for_update(key_share=True)).one()


def chained_facts(entry: ConsentEntry) -> dict[str, Any]:
    """The facts of an entry that its digest covers: everything but its own keys."""
    return {
        "recipient": entry.recipient_id,
        "number": entry.number,
        "purpose": entry.purpose,
        "state": entry.state,
        "at": entry.at.isoformat(),
        "recorded_at": entry.recorded_at.isoformat(),
        "actor": entry.actor,
        "channel": entry.channel,
        "grade": entry.grade,
        "note": entry.note,
        "notice": entry.notice,
        "evidence": entry.evidence,
    }


def broken_link(chain: Sequence[ConsentEntry]) -> int | None:
    """The number of the first entry whose digest does not fit, or None when the chain is whole."""
    previous = _GENESIS
    for expected, entry in enumerate(chain, start=1):
        fits = entry.number == expected and entry.previous_digest == previous
        if not fits or entry.digest != chain_digest(previous, chained_facts(entry)):
            return expected
        previous = entry.digest
    return None
