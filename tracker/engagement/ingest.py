"""From hits to events: reads the spools batch by batch, sets aside what cannot be taken in.

One batch is one transaction, the cursor included: a hit is taken in once, whatever crashes.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from traceback import extract_tb

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlmodel import Session, col, delete, select

from pixel.hits import Hit
from tracker.engagement.edge_sources import EdgeSource
from tracker.engagement.gc_pause import gc_paused
from tracker.engagement.process_hits import process_hits
from tracker.models import DrainCursor, Event, QuarantinedHit
from tracker.models.counting.tables import in_list
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

log = logging.getLogger(__name__)

BATCH = 2000


def drain(context: AppContext, source: EdgeSource) -> int:
    """Takes in the next hits of one edge. Returns how many were read; 0 means there are none for now.

    Raises :class:`tracker.engagement.edge_sources.SourceError` when the edge cannot be read.
    """
    with context.database.reading() as session:
        cursor = session.get(DrainCursor, source.name)
        after = cursor.after if cursor else 0
    hits = source.after(after, BATCH, after)
    if not hits:
        return 0
    try:
        _process(context, source.name, hits)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the same hits are read again later
    except Exception as error:
        log.error(
            "a batch of %d hits of %s failed (%s); taking them one by one", len(hits), source.name, type(error).__name__
        )
        _one_by_one(context, source.name, hits)
    source.confirm(hits[-1].id or 0)
    return len(hits)


def _one_by_one(context: AppContext, edge: str, hits: Sequence[Hit]) -> None:
    """One bad hit must not stop the line: it is set aside, and tried again later."""
    for hit in hits:
        try:
            _process(context, edge, [hit])
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.error("hit %s of %s was set aside (%s in %s)", hit.id, edge, type(error).__name__, _place(error))
            quarantine(context, edge, hit, type(error).__name__)


def _place(error: Exception) -> str:
    """Where it was raised. What it says may hold what a reader's program sent, which no log may."""
    frame = extract_tb(error.__traceback__)[-1]
    return f"{frame.name}, line {frame.lineno}"


def _process(context: AppContext, edge: str, hits: Sequence[Hit]) -> None:
    with gc_paused(), context.database.session_scope() as session:
        cursor = session.exec(select(DrainCursor).where(DrainCursor.edge == edge).with_for_update()).first()
        start = cursor.after if cursor else 0
        fresh = [hit for hit in hits if (hit.id or 0) > start]  # another worker may have been here
        fresh = _without_known(session, edge, fresh)
        process_hits(session, context, edge, fresh)
        advance(session, edge, hits[-1].id or 0)


def _without_known(session: Session, edge: str, hits: Sequence[Hit]) -> list[Hit]:
    """A cursor can be lost, with a restored backup; events cannot be doubled all the same."""
    numbers = [hit.id or 0 for hit in hits]
    known = set(session.exec(select(Event.hit).where(Event.edge == edge, in_list(session, col(Event.hit), numbers))))
    return [hit for hit in hits if hit.id not in known]


def advance(session: Session, edge: str, after: int) -> None:
    """Everything of this edge up to ``after`` is taken in or set aside."""
    cursor = session.get(DrainCursor, edge) or DrainCursor(edge=edge)
    cursor.after, cursor.read_at = max(after, cursor.after), now()
    session.add(cursor)


def quarantine(context: AppContext, edge: str, hit: Hit, problem: str) -> None:
    """Keeps a hit that could not be taken in, encrypted, for as long as evidence is kept."""
    with context.database.session_scope() as session:
        quarantined = session.exec(
            select(QuarantinedHit).where(QuarantinedHit.edge == edge, QuarantinedHit.hit == hit.id)
        ).first()
        if quarantined is None:
            sealed = context.keyring.encrypt(hit.to_json().encode(), f"aside:{edge}:{hit.id}")
            expires = now() + timedelta(days=max(1, context.settings.evidence_days))
            quarantined = QuarantinedHit(
                edge=edge, hit=hit.id or 0, sealed=sealed, tries=0, try_at=now(), expires_at=expires
            )
            session.add(quarantined)
        _try_later(quarantined, problem)
        advance(session, edge, hit.id or 0)


def _try_later(quarantined: QuarantinedHit, problem: str) -> None:
    quarantined.tries += 1
    quarantined.problem, quarantined.try_at = problem, now() + timedelta(minutes=2**quarantined.tries)


def retry_quarantined(context: AppContext) -> int:
    """Tries the hit again that was set aside and has been due for longest. Returns 1 when there was one due, else 0."""
    due = (
        select(QuarantinedHit)
        .where(col(QuarantinedHit.try_at) <= now())
        .order_by(col(QuarantinedHit.try_at), col(QuarantinedHit.id))
        .limit(1)
    )
    with context.database.reading() as session:
        quarantined = session.exec(due).first()
    if quarantined is None:
        return 0
    try:
        hit = Hit.from_json(
            context.keyring.decrypt(quarantined.sealed, f"aside:{quarantined.edge}:{quarantined.hit}").decode()
        )
        with context.database.session_scope() as session:
            if session.exec(delete(QuarantinedHit).where(col(QuarantinedHit.id) == quarantined.id)).rowcount:
                process_hits(session, context, quarantined.edge, [hit])
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        with context.database.session_scope() as session:
            _try_later(session.get_one(QuarantinedHit, quarantined.id), type(error).__name__)
    return 1
