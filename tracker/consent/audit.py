"""Looking after the whole ledger: is every chain whole, and what has lapsed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import exists
from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from tracker.consent.ledger import CHAINED, PROOF, first_broken, record_consent
from tracker.consent.rules import ConsentError, ConsentState, Proof, Purpose
from tracker.models import ConsentEntry, Recipient
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

LAPSED_AT_ONCE = 100
_READ = 2000
_NEEDED = (*CHAINED, *PROOF, "salt", "erased_at", "previous_digest", "digest")


def broken_chains(session: Session) -> Iterator[tuple[str, int]]:
    """Every recipient (by public id) whose chain does not fit, with the number of the first entry that does not.

    Reads the ledger once from end to end, whatever its length.
    """
    heads = {
        id_: (public, entries, digest)
        for id_, public, entries, digest in session.exec(
            select(Recipient.id, Recipient.public_id, Recipient.ledger_entries, Recipient.ledger_digest)
        )
    }
    entry = [getattr(ConsentEntry, name) for name in _NEEDED]
    statement = columns(*entry).order_by(col(ConsentEntry.recipient_id), col(ConsentEntry.number))
    rows = session.connection().execution_options(yield_per=_READ).execute(statement)
    for recipient, chain in groupby(rows, key=lambda row: row.recipient_id):
        public, entries, digest = heads.pop(recipient)
        if number := first_broken(list(chain), entries, digest):
            yield public, number
    yield from ((public, 1) for public, entries, _ in heads.values() if entries)


def ledger_length(session: Session) -> int:
    return session.exec(select(func.count()).select_from(ConsentEntry)).one()


def lapse(context: AppContext) -> int:
    """Writes down of some consents and questions that their time is over; they counted no more from that moment on anyway.

    Returns how many.
    """
    with context.database.reading() as session:
        if not _due(session):
            return 0
    with context.database.session_scope() as session:
        return sum(_lapse(session, entry, entry.valid_until) for entry in _due(session))


def retire_notice(context: AppContext, notice: str, kept_version: str) -> int:
    """Consents given to another version of this notice lapse: what they agreed to is no longer what is done. Returns how many."""
    done = 0
    while True:
        with context.database.session_scope() as session:
            shared = _given_to_others(session, notice, kept_version)
            lapsed = sum(_lapse(session, entry, None, f"{notice}: only {kept_version} holds") for entry in shared)
        done += lapsed
        if not lapsed:
            return done


def _lapse(session: Session, entry: ConsentEntry, at: datetime | None, why: str = "") -> int:
    person, purpose = session.get_one(Recipient, entry.recipient_id), Purpose(entry.purpose)
    try:
        record_consent(
            session, person, purpose, ConsentState.LAPSED, actor="system", channel="time", proof=Proof(note=why), at=at
        )
        return 1
    except ConsentError:  # renewed, withdrawn or written down by somebody else since we looked
        return 0


def _due(session: Session) -> Sequence[ConsentEntry]:
    """Entries whose time is over and that are the last word on their purpose."""
    return _last_words(session, col(ConsentEntry.valid_until) <= now(), ConsentEntry.valid_until)


def _given_to_others(session: Session, notice: str, kept_version: str) -> Sequence[ConsentEntry]:
    other = func.coalesce(col(ConsentEntry.notice_version), "") != kept_version
    agreed = col(ConsentEntry.state) == ConsentState.GRANTED.value
    return _last_words(session, agreed & (col(ConsentEntry.notice) == notice) & other, ConsentEntry.id)


def _last_words(session: Session, condition: Any, order: Any) -> Sequence[ConsentEntry]:
    later: Any = aliased(ConsentEntry)
    superseded = exists().where(
        later.recipient_id == col(ConsentEntry.recipient_id),
        later.purpose == col(ConsentEntry.purpose),
        later.number > col(ConsentEntry.number),
    )
    over = select(ConsentEntry).where(condition, ~superseded)
    return session.exec(over.order_by(order).limit(LAPSED_AT_ONCE)).all()
