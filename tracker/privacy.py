"""Retention: what is thrown away, and when."""

from datetime import timedelta

from sqlalchemy import delete
from sqlmodel import col

from tracker.db import now
from tracker.house import House
from tracker.models import FeedItem, HitAside, HitEvidence, IdempotencyKey, SignInFailure, UserSession

FEED_KEPT = timedelta(days=1)
IDEMPOTENCY_KEPT = timedelta(days=1)
SIGN_IN_FAILURES_KEPT = timedelta(days=1)


def sweep(house: House) -> int:
    """Throws away what has served its time. Returns 0: there is never more to do at once."""
    moment = now()
    with house.database.session_scope() as session:
        session.exec(delete(HitEvidence).where(col(HitEvidence.expires_at) < moment))
        session.exec(delete(HitAside).where(col(HitAside.expires_at) < moment))
        session.exec(delete(FeedItem).where(col(FeedItem.at) < moment - FEED_KEPT))
        session.exec(delete(IdempotencyKey).where(col(IdempotencyKey.created_at) < moment - IDEMPOTENCY_KEPT))
        session.exec(delete(SignInFailure).where(col(SignInFailure.at) < moment - SIGN_IN_FAILURES_KEPT))
        session.exec(delete(UserSession).where(col(UserSession.expires_at) < moment))
    return 0
