"""What serves for hours or days and is thrown away whatever a workspace prefers."""

from datetime import datetime, timedelta

from sqlalchemy import delete, func, update
from sqlalchemy import select as columns
from sqlmodel import Session, col

from tracker.db import now
from tracker.house import House
from tracker.models import (
    FeedItem,
    HitAside,
    HitEvidence,
    IdempotencyKey,
    ScannerNetwork,
    ScannerProof,
    SignInFailure,
    Submission,
    UserSession,
)

FEED_KEPT = timedelta(days=1)
IDEMPOTENCY_KEPT = timedelta(days=1)
SUBMISSIONS_KEPT = timedelta(days=1)
SIGN_IN_FAILURES_KEPT = timedelta(days=1)
SOURCES_KEPT = timedelta(hours=24)
"""Digests of where somebody came from: a reader's hit, a sign-in."""
SCANNER_PROOFS_KEPT = timedelta(days=30)
SCANNER_PROOFS_NEEDED = 3


def sweep_short_lived(house: House) -> None:
    """Throws away what has served its time."""
    moment = now()
    with house.database.session_scope() as session:
        session.exec(delete(HitEvidence).where(col(HitEvidence.expires_at) < moment))
        stale = (col(HitEvidence.at) < moment - SOURCES_KEPT) & col(HitEvidence.source).is_not(None)
        session.exec(update(HitEvidence).where(stale).values(source=None))
        session.exec(delete(HitAside).where(col(HitAside.expires_at) < moment))
        session.exec(delete(FeedItem).where(col(FeedItem.at) < moment - FEED_KEPT))
        session.exec(delete(IdempotencyKey).where(col(IdempotencyKey.created_at) < moment - IDEMPOTENCY_KEPT))
        session.exec(delete(Submission).where(col(Submission.created_at) < moment - SUBMISSIONS_KEPT))
        session.exec(delete(SignInFailure).where(col(SignInFailure.at) < moment - SIGN_IN_FAILURES_KEPT))
        session.exec(delete(UserSession).where(col(UserSession.expires_at) < moment))
        unseen = (col(UserSession.seen_at) < moment - SOURCES_KEPT) & col(UserSession.address_digest).is_not(None)
        session.exec(update(UserSession).where(unseen).values(address_digest=None))
        _doubt_old_scanners(session, moment)


def _doubt_old_scanners(session: Session, moment: datetime) -> None:
    """What was learned decays: old proofs go, a network that too few are left of is believed no more, then forgotten."""
    session.exec(delete(ScannerProof).where(col(ScannerProof.at) < moment - SCANNER_PROOFS_KEPT))
    session.exec(delete(ScannerNetwork).where(col(ScannerNetwork.expires_at) < moment))
    proven = columns(col(ScannerProof.network)).group_by(col(ScannerProof.network))
    enough = proven.having(func.count() >= SCANNER_PROOFS_NEEDED)
    doubtful = col(ScannerNetwork.digest).not_in(enough) & col(ScannerNetwork.checked_at).is_not(None)
    session.exec(update(ScannerNetwork).where(doubtful).values(checked_at=None))
