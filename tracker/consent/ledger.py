"""The consent ledger: what is appended, what it says now, and whether it is whole."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Select, func
from sqlalchemy import select as columns
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select, update

from tracker.consent.preferences import preference, workspace_pack
from tracker.consent.rules import (
    ConsentEvent,
    ConsentState,
    Jurisdiction,
    Proof,
    Purpose,
    Terms,
    accepted_grades,
    chain_digest,
    check_transition,
    checked_proof,
    in_force_until,
    jurisdiction_of,
    present_state,
    proof_digest,
    rules_for,
)
from tracker.mail.addresses import domain_of
from tracker.models import ConsentEntry, NoticeText, Recipient
from tracker.models.counting.tables import bound_list, in_bound_list
from tracker.models.people import GENESIS
from tracker.notifications.webhooks import emit
from tracker.runtime.database import now
from tracker.runtime.values import value

PROOF = (
    "note",
    "question",
    "control",
    "reference",
    "source_url",
    "request_message_id",
    "attachment_digest",
    "evidence",
)
"""Columns that may speak of the person: covered by ``proof_digest``, blanked by erasure."""
CHAINED = (
    "public_id",
    "recipient_id",
    "number",
    "purpose",
    "state",
    "at",
    "recorded_at",
    "actor",
    "channel",
    "grade",
    "notice",
    "notice_version",
    "notice_language",
    "notice_digest",
    "double_opt_in",
    "confirmed_at",
    "jurisdiction",
    "pack",
    "pack_version",
    "valid_until",
    "proof_digest",
)
"""Columns that ``digest`` covers."""


@value
class ConsentStatus:
    """What the ledger says now of one recipient and purpose, and the grade of the evidence for it."""

    state: ConsentState = ConsentState.UNKNOWN
    grade: str = ""


def consent_of(session: Session, recipient_ids: Iterable[int]) -> Mapping[int, Mapping[Purpose, ConsentState]]:
    """The present state per recipient and purpose; ``unknown`` where nothing was ever recorded, ``lapsed`` where time is over."""
    statuses = consent_status_of(session, recipient_ids)
    return {id_: {purpose: status.state for purpose, status in mine.items()} for id_, mine in statuses.items()}


def consent_status_of(session: Session, recipient_ids: Iterable[int]) -> Mapping[int, Mapping[Purpose, ConsentStatus]]:
    """As :func:`consent_of`, with the grades."""
    ids, moment = list(recipient_ids), now()
    unknown = dict.fromkeys(Purpose, ConsentStatus())
    statuses = {id_: unknown.copy() for id_ in ids}
    if not ids:
        return statuses
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    rows = session.connection().execute(_newest(is_sqlite), {"recipients": bound_list(is_sqlite, ids)})
    for recipient_id, purpose, state, until, grade in rows:
        statuses[recipient_id][Purpose(purpose)] = ConsentStatus(
            present_state(ConsentState(state), until, moment), grade
        )
    return statuses


@cache
def _newest(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    """The newest entry of each of the ``recipients`` and each purpose."""
    newest = (
        select(func.max(ConsentEntry.number).label("number"), ConsentEntry.recipient_id, ConsentEntry.purpose)
        .where(in_bound_list(is_sqlite, col(ConsentEntry.recipient_id), "recipients"))
        .group_by(col(ConsentEntry.recipient_id), col(ConsentEntry.purpose))
        .subquery()
    )
    entry = (
        col(ConsentEntry.recipient_id),
        col(ConsentEntry.purpose),
        col(ConsentEntry.state),
        col(ConsentEntry.valid_until),
        col(ConsentEntry.grade),
    )
    is_newest = (entry[0] == newest.c.recipient_id) & (col(ConsentEntry.number) == newest.c.number)
    return columns(*entry).join(newest, is_newest)


def states_in(entries: Iterable[ConsentEntry]) -> Mapping[Purpose, ConsentState]:
    """The present state per purpose, by the whole ledger of a recipient, oldest first; as :func:`consent_of` says it."""
    newest, moment = {entry.purpose: entry for entry in entries}, now()
    said = {purpose: newest.get(purpose) for purpose in Purpose}
    return {
        purpose: present_state(ConsentState(entry.state), entry.valid_until, moment) if entry else ConsentState.UNKNOWN
        for purpose, entry in said.items()
    }


def ledger(session: Session, recipient: Recipient) -> Sequence[ConsentEntry]:
    """Every consent event of a recipient, oldest first."""
    statement = select(ConsentEntry).where(ConsentEntry.recipient_id == recipient.id).order_by(col(ConsentEntry.number))
    return session.exec(statement).all()


def record_consent(
    session: Session,
    recipient: Recipient,
    purpose: Purpose,
    state: ConsentState,
    *,
    actor: str,
    channel: str,
    proof: Proof | None = None,
    at: datetime | None = None,
) -> ConsentEntry:
    """Appends a consent event to the recipient's chain.

    ``actor`` is ``subject``, ``user:<id>``, ``api:<id>``, ``import:<batch>`` or ``system``. Raises
    :class:`tracker.consent.rules.ConsentError` naming the field.
    """
    head = _lock(session, recipient)
    moment = now()
    proof = checked_proof(proof or Proof(), at=at or moment, now=moment)
    event = ConsentEvent(state, at or moment, actor, channel, proof)
    before = _last(session, recipient, purpose)
    terms = terms_for(session, recipient)
    check_transition(_old(before, event, moment), event, now=moment, since=before.at if before else None, terms=terms)
    entry = _entry(recipient, purpose, event, moment, head)
    entry.valid_until = in_force_until(state, entry.at, terms)
    _note_rules(session, recipient, entry)
    _seal(entry)
    _keep_text(session, proof)
    session.add(entry)
    session.flush()
    _move_head(session, recipient, entry)
    facts = {"recipient": recipient.address, "purpose": purpose.value, "state": state.value, "at": entry.at}
    emit(session, "consent.changed", {**facts, "version": entry.number})
    return entry


def _old(before: ConsentEntry | None, event: ConsentEvent, moment: datetime) -> ConsentState:
    """What it says now; for the event that says it has lapsed, what it said until then."""
    if before is None:
        return ConsentState.UNKNOWN
    over = None if event.state == ConsentState.LAPSED else before.valid_until
    return present_state(ConsentState(before.state), over, moment)


def terms_for(session: Session, recipient: Recipient) -> Terms:
    """What the workspace asks of this person's consent: in a strict country a noted or imported yes counts by choice alone."""
    chosen, strict = str(preference(session, "accepted_grades")), jurisdiction(recipient).is_strict
    return Terms(
        accepted=accepted_grades(workspace_pack(session), strict, chosen),
        months=int(preference(session, "consent_months")),
        ask_again_after=timedelta(days=int(preference(session, "ask_again_days"))),
    )


def jurisdiction(recipient: Recipient) -> Jurisdiction:
    """Whose rules this person is under, and how we know."""
    return jurisdiction_of(recipient.jurisdiction, recipient.country, domain_of(recipient.lookup))


def _note_rules(session: Session, recipient: Recipient, entry: ConsentEntry) -> None:
    code = jurisdiction(recipient).code
    rules = rules_for(code, entry.recorded_at.date())
    entry.jurisdiction, entry.pack = code or None, workspace_pack(session).value
    entry.pack_version = rules.version if rules else ""


def _lock(session: Session, recipient: Recipient) -> tuple[int, str]:
    """Two events at once must follow one another. Returns number and digest of the last entry.

    SQLite: the transaction already holds the only write lock. With key_share it does not wait for others that merely refer to
    the recipient, nor deadlock with them.
    """
    head = select(Recipient.ledger_entries, Recipient.ledger_digest).where(Recipient.id == recipient.id)
    return session.exec(head.with_for_update(key_share=True)).one()


def _last(session: Session, recipient: Recipient, purpose: Purpose) -> ConsentEntry | None:
    of_purpose = (ConsentEntry.recipient_id == recipient.id, ConsentEntry.purpose == purpose.value)
    return session.exec(select(ConsentEntry).where(*of_purpose).order_by(col(ConsentEntry.number).desc())).first()


def _entry(
    recipient: Recipient, purpose: Purpose, event: ConsentEvent, moment: datetime, head: tuple[int, str]
) -> ConsentEntry:
    proof = event.proof
    return ConsentEntry(
        recipient_id=recipient.id,
        number=head[0] + 1,
        purpose=purpose.value,
        state=event.state.value,
        at=event.at.astimezone(UTC),  # as it will be read again: the digest covers how it is written
        recorded_at=moment,
        actor=event.actor,
        channel=event.channel,
        grade=event.grade,
        notice=proof.notice or None,
        notice_version=proof.notice_version or None,
        notice_language=proof.notice_language or None,
        notice_digest=proof.notice_digest or None,
        double_opt_in=proof.double_opt_in,
        confirmed_at=proof.confirmed_at,
        evidence=dict(proof.more) if proof.more else None,
        **{name: getattr(proof, name) for name in PROOF if name != "evidence"},
        salt=secrets.token_hex(16),
        proof_digest="",
        previous_digest=head[1],
        digest="",
    )


def _seal(entry: ConsentEntry) -> None:
    entry.proof_digest = proof_digest(entry.salt or "", proof_facts(entry))
    entry.digest = chain_digest(entry.previous_digest, chained_facts(entry))


def _keep_text(session: Session, proof: Proof) -> None:
    if not proof.shown or session.get(NoticeText, proof.notice_digest) is not None:
        return
    try:
        with session.begin_nested():
            session.add(NoticeText(digest=proof.notice_digest, text=proof.shown))
    except IntegrityError:  # somebody else was shown it at the same moment
        pass


def _move_head(session: Session, recipient: Recipient, entry: ConsentEntry) -> None:
    moved = {"ledger_entries": entry.number, "ledger_digest": entry.digest}
    session.exec(update(Recipient).where(col(Recipient.id) == recipient.id).values(moved))


def proof_facts(entry: Any) -> dict[str, Any]:
    """What may speak of the person, as its digest covers it."""
    return dict(zip(PROOF, _proof_of(entry), strict=True))


def chained_facts(entry: Any) -> dict[str, Any]:
    """The facts of an entry that its digest covers: everything but row number, words and the digests themselves."""
    return dict(zip(CHAINED, _chained_of(entry), strict=True))


_proof_of, _chained_of = attrgetter(*PROOF), attrgetter(*CHAINED)


def broken_at(session: Session, recipient: Recipient) -> int | None:
    """The number of the first entry that does not fit, one more than the last where the end is missing, None when whole."""
    head = select(Recipient.ledger_entries, Recipient.ledger_digest).where(Recipient.id == recipient.id)
    return first_broken(ledger(session, recipient), *session.exec(head).one())


def first_broken(chain: Sequence[Any], entries: int, digest: str) -> int | None:
    """As :func:`broken_at`, of a chain that should have so many entries and end with this digest."""
    previous = GENESIS
    for expected, entry in enumerate(chain, start=1):
        if entry.number != expected or entry.previous_digest != previous or not _fits(entry):
            return expected
        previous = entry.digest
    return None if (len(chain), previous) == (entries, digest) else len(chain) + 1


def _fits(entry: Any) -> bool:
    return entry.digest == chain_digest(entry.previous_digest, chained_facts(entry)) and _proof_fits(entry)


def _proof_fits(entry: Any) -> bool:
    """Erased words cannot be checked, but nothing may stand in their place."""
    if entry.salt is None:
        return entry.erased_at is not None and not any(proof_facts(entry).values())
    return bool(entry.proof_digest == proof_digest(entry.salt, proof_facts(entry)))


def erase_proof(session: Session, recipient: Recipient) -> int:
    """Blanks whatever in the entries may speak of the person; states, times and digests stay and the chain still fits.

    Returns how many entries were blanked.
    """
    theirs = (col(ConsentEntry.recipient_id) == recipient.id) & col(ConsentEntry.salt).is_not(None)
    return int(session.exec(update(ConsentEntry).where(theirs).values(**erased_words())).rowcount)


def erased_words() -> dict[str, object]:
    """The columns of an entry whose words are to go."""
    return {**{name: None if name == "evidence" else "" for name in PROOF}, "salt": None, "erased_at": now()}
