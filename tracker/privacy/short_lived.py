"""What serves for hours or days and is thrown away whatever a workspace prefers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, update
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from tracker.models import (
    FeedItem,
    HitEvidence,
    IdempotencyKey,
    QuarantinedHit,
    ScannerNetwork,
    ScannerProof,
    Submission,
    UserSession,
    WebhookEvent,
)
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.processes import FORGOTTEN_AFTER, Process
from tracker.runtime.throttle import SignInFailure

WEBHOOK_EVENTS_KEPT = timedelta(days=30)
"""With their attempts; so long they can be sent again."""
FEED_KEPT = timedelta(days=1)
IDEMPOTENCY_KEPT = timedelta(days=1)
SUBMISSIONS_KEPT = timedelta(days=1)
SIGN_IN_FAILURES_KEPT = timedelta(days=1)
SOURCES_KEPT = timedelta(hours=24)
"""Digests of where somebody came from: a reader's hit, a sign-in."""
SCANNER_PROOFS_KEPT = timedelta(days=30)
SCANNER_PROOFS_NEEDED = 3


@dataclass(frozen=True)
class Expiry:
    """Rows that have served their time: deleted, or with some of their columns changed to ``values``."""

    model: Any
    over: ColumnElement[bool]
    values: Mapping[str, object] | None = None

    def is_due(self, session: Session) -> bool:
        return session.exec(select(1).select_from(self.model).where(self.over).limit(1)).first() is not None

    def carry_out(self, session: Session) -> None:
        gone: Any = delete(self.model) if self.values is None else update(self.model).values(**self.values)
        session.exec(gone.where(self.over))


def expire(context: AppContext, expiries: Sequence[Expiry]) -> None:
    """Carries them out in one transaction, in their order, since one may make another due; writes nothing when none is due."""
    with context.database.reading() as session:
        if not any(expiry.is_due(session) for expiry in expiries):
            return
    with context.database.session_scope() as session:
        for expiry in expiries:
            expiry.carry_out(session)


def sweep_short_lived(context: AppContext) -> None:
    """Throws away what has served its time."""
    moment = now()
    day_ago = moment - SOURCES_KEPT
    stale = (col(HitEvidence.at) < day_ago) & col(HitEvidence.source).is_not(None)
    unseen = (col(UserSession.seen_at) < day_ago) & col(UserSession.address_digest).is_not(None)
    expire(
        context,
        [
            Expiry(HitEvidence, col(HitEvidence.expires_at) < moment),
            Expiry(HitEvidence, stale, {"source": None}),
            Expiry(QuarantinedHit, col(QuarantinedHit.expires_at) < moment),
            Expiry(WebhookEvent, col(WebhookEvent.at) < moment - WEBHOOK_EVENTS_KEPT),
            Expiry(FeedItem, col(FeedItem.at) < moment - FEED_KEPT),
            Expiry(IdempotencyKey, col(IdempotencyKey.created_at) < moment - IDEMPOTENCY_KEPT),
            Expiry(Submission, col(Submission.created_at) < moment - SUBMISSIONS_KEPT),
            Expiry(SignInFailure, col(SignInFailure.at) < moment - SIGN_IN_FAILURES_KEPT),
            Expiry(UserSession, col(UserSession.expires_at) < moment),
            Expiry(UserSession, unseen, {"address_digest": None}),
            Expiry(Process, col(Process.at) < moment - FORGOTTEN_AFTER),
            *_scanners(moment),
        ],
    )


def _scanners(moment: datetime) -> list[Expiry]:
    """What was learned decays: old proofs go, a network that too few are left of is believed no more, then forgotten."""
    proofs = columns(func.count()).where(col(ScannerProof.network) == col(ScannerNetwork.digest)).scalar_subquery()
    doubtful = (proofs < SCANNER_PROOFS_NEEDED) & col(ScannerNetwork.checked_at).is_not(None)
    return [
        Expiry(ScannerProof, col(ScannerProof.at) < moment - SCANNER_PROOFS_KEPT),
        Expiry(ScannerNetwork, col(ScannerNetwork.expires_at) < moment),
        Expiry(ScannerNetwork, doubtful, {"checked_at": None}),
    ]
