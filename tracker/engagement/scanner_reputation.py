"""S7: networks that were proven to be scanners on three messages, remembered for thirty days under a keyed digest.

Nothing is remembered of networks without such a proof. Where a person was ever seen, nothing is believed.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func, update
from sqlalchemy import select as columns
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from tracker.engagement.judge.ip_addresses import MESSAGES_TO_LEARN, PROOF
from tracker.engagement.judging import JudgedHit
from tracker.engagement.sealing import address_of
from tracker.engagement.source_digests import scanner_digest
from tracker.models import Event, HitEvidence, ScannerNetwork, ScannerProof
from tracker.models.counting.tables import SCANNER_NETWORK, SCANNER_PROOF
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

PROOF_LIFE = timedelta(days=30)
_SLICE = 2000


def note_proofs(session: Session, context: AppContext, outcomes: Iterable[JudgedHit]) -> None:
    """Remembers which networks were shown to be scanners, and on which messages."""
    proofs: dict[tuple[str, int], tuple[str, Any]] = {}
    for outcome in outcomes:
        code = next((reason.code for reason in outcome.verdict.reasons if reason.code in PROOF), None)
        if code is None or outcome.hit.address_is_shared or outcome.verdict.klass != "security_scanner":
            continue
        digest = scanner_digest(context, outcome.known.evidence.ip)
        if digest is not None:
            proofs[digest, outcome.known.message_id] = (code, outcome.known.at)
    if proofs:
        _write(session, proofs)


def _write(session: Session, proofs: dict[tuple[str, int], tuple[str, Any]]) -> None:
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    moment = now()
    networks = [
        {"digest": digest, "first_at": moment, "expires_at": moment + PROOF_LIFE}
        for digest in sorted({d for d, _ in proofs})
    ]
    made = insert(SCANNER_NETWORK)
    renewed = made.on_conflict_do_update(index_elements=["digest"], set_={"expires_at": made.excluded.expires_at})
    session.connection().execute(renewed, networks)
    rows = [
        {"network": digest, "message_id": message, "code": code, "at": at}
        for (digest, message), (code, at) in sorted(proofs.items())
    ]
    session.connection().execute(insert(SCANNER_PROOF).on_conflict_do_nothing(), rows)


def note_people(session: Session, context: AppContext, addresses: Iterable[str]) -> None:
    """People were seen at these addresses: if their networks were suspected, they are never believed to be scanners."""
    digests = {digest for ip in addresses if (digest := scanner_digest(context, ip)) is not None}
    if digests:
        suspected = update(ScannerNetwork).where(col(ScannerNetwork.digest).in_(digests))
        session.exec(suspected.where(col(ScannerNetwork.person_at).is_(None)).values(person_at=now()))


def learn_scanners(context: AppContext) -> int:
    """Networks with enough proofs are believed from now on, unless the evidence still held shows a person there.

    Returns how many networks were decided about.
    """
    with context.database.reading() as session:
        candidates = set(session.exec(_candidates()))
        people = _people_among(session, context, candidates) if candidates else set()
    if not candidates:
        return 0
    with context.database.session_scope() as session:
        for digests, column in ((people, "person_at"), (candidates - people, "checked_at")):
            session.exec(update(ScannerNetwork).where(col(ScannerNetwork.digest).in_(digests)).values({column: now()}))
    return len(candidates)


def _candidates() -> Any:
    proofs = columns(func.count()).where(col(ScannerProof.network) == col(ScannerNetwork.digest)).scalar_subquery()
    return select(ScannerNetwork.digest).where(
        col(ScannerNetwork.checked_at).is_(None), col(ScannerNetwork.person_at).is_(None), proofs >= MESSAGES_TO_LEARN
    )


def _people_among(session: Session, context: AppContext, candidates: set[str]) -> set[str]:
    """Those of the networks that a person's (or our own) hit came from, as far as evidence is still held."""
    people: set[str] = set()
    after = 0
    while rows := _held_of_people(session, after):
        after = rows[-1][0]
        people |= {
            scanner_digest(context, address_of(context, key, sealed)) or "" for _, key, sealed in rows
        } & candidates
    return people


def _held_of_people(session: Session, after: int) -> list[Any]:
    statement = (
        columns(col(Event.id), col(Event.public_id), col(HitEvidence.sealed))
        .join(HitEvidence, col(HitEvidence.event_id) == col(Event.id))
        .where(col(Event.id) > after, col(Event.klass).in_(("human", "mail_proxy", "sender_self")))
        .order_by(col(Event.id))
        .limit(_SLICE)
    )
    return list(session.connection().execute(statement).all())


def believed_scanners(session: Session) -> frozenset[str]:
    """Digests of the networks that are taken for scanners now; few at any time."""
    return frozenset(session.connection().execute(_BELIEVED, {"moment": now()}).scalars())


_BELIEVED = columns(col(ScannerNetwork.digest)).where(
    col(ScannerNetwork.checked_at).is_not(None),
    col(ScannerNetwork.person_at).is_(None),
    col(ScannerNetwork.expires_at) > bindparam("moment"),
)
