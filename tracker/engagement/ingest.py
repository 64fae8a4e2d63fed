"""From hits to events: reads the spools batch by batch, sets aside what cannot be taken in.

One batch is one transaction, the cursor included: a hit is taken in once, whatever crashes. Where many hits wait (an edge was cut
off), they become a backlog, which is taken in beside what comes; any number of workers share it.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from traceback import extract_tb
from typing import Any

from sqlalchemy import Select, bindparam
from sqlalchemy import select as columns
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlmodel import Session, col, delete, func, select
from sqlmodel.sql.expression import SelectOfScalar

from pixel.hits import Hit
from tracker.engagement.edge_sources import EdgeSource
from tracker.engagement.hit_context import hit_context_of
from tracker.engagement.judge.client_names import client_name
from tracker.engagement.judging import Scope, held_hits
from tracker.engagement.process_hits import process_hits
from tracker.engagement.rules import rules_of
from tracker.models import DrainBacklog, DrainCursor, Event, QuarantinedHit
from tracker.models.counting.bulk import insert_or_keep
from tracker.models.counting.tables import in_bound_list, run_made_once
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.gc_pause import gc_paused
from tracker.runtime.lease import HeldLease, Leases, is_free

log = logging.getLogger(__name__)

BATCH = 2000
BEHIND = 2 * BATCH
"""So many hits that wait are a backlog: whatever comes from now on goes before them."""
PART = BATCH
"""Hits of a backlog that one worker claims at a time."""
LEASE = "backlog"


def prepare(context: AppContext) -> None:
    """Reads what the first hits would have to wait for: range files, the patterns of programs' names, the statements' making."""
    client_name({"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"})
    rules = rules_of(context)
    with context.database.reading() as session:
        hit_context_of(session, context, ())
        held_hits(session, context, rules, {0}, Scope.around([now()], rules))


def drain(context: AppContext, source: EdgeSource) -> int:
    """Takes in the next hits of one spool, but for a backlog. Returns how many were read; 0 means there are none for now.

    Raises :class:`tracker.engagement.edge_sources.SourceError` when the edge cannot be read.
    """
    after, confirmed = _place_in(context, source.name)
    hits = source.after(after, BATCH, confirmed)
    first, last = (hits[0].id or 0, source.last_id()) if hits else (0, 0)
    if last - first > BEHIND:
        _leave_behind(context, source.name, after, first - 1, last)
    elif hits:
        _take_in(context, _Lane(source.name), hits)
        _confirm(context, source, confirmed)
    return len(hits)


def drain_backlog(context: AppContext, source: EdgeSource, limit: int = BATCH) -> int:
    """Takes in the next hits of a backlog, oldest first, that no other worker has claimed. 0 when there is nothing to do."""
    lane = _claim(context, source.name)
    if lane is None:
        return 0
    confirmed = _place_in(context, source.name)[1]
    hits = [hit for hit in source.after(lane.after, limit, confirmed) if (hit.id or 0) <= lane.until]
    if hits:
        _take_in(context, lane, hits)
    with context.database.session_scope() as session:
        if context.leases.release(session, lane.lease) and (len(hits) < limit or hits[-1].id == lane.until):
            session.exec(delete(DrainBacklog).where(col(DrainBacklog.id) == lane.part))
    _confirm(context, source, confirmed)
    return max(len(hits), 1)


def _place_in(context: AppContext, edge: str) -> tuple[int, int]:
    """Behind which number the next hits are read, and up to which all are taken in."""
    with context.database.reading() as session:
        after, oldest = run_made_once(session, _places, edge=edge).one()
    return after, after if oldest is None else min(after, oldest)


@cache
def _places(_is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    cursor = columns(col(DrainCursor.after)).where(col(DrainCursor.edge) == bindparam("edge")).scalar_subquery()
    oldest = columns(func.min(DrainBacklog.after)).where(col(DrainBacklog.edge) == bindparam("edge")).scalar_subquery()
    return columns(func.coalesce(cursor, 0), oldest)


def _confirm(context: AppContext, source: EdgeSource, confirmed: int) -> None:
    present = _place_in(context, source.name)[1]
    if present > confirmed:
        source.confirm(present)


def _leave_behind(context: AppContext, edge: str, after: int, first: int, last: int) -> None:
    """Puts what waits behind what will come."""
    with context.database.session_scope() as session:
        session.execute(insert_or_keep(session, DrainCursor).values(edge=edge, after=0))
        cursor = session.exec(select(DrainCursor).where(DrainCursor.edge == edge).with_for_update()).one()
        if cursor.after != after:
            return  # another worker was here
        for begin in range(first, last, PART):
            session.add(DrainBacklog(edge=edge, after=begin, until=min(begin + PART, last)))
        cursor.after = last
    log.warning("%d hits of %s wait; what comes now goes before them", last - first, edge)


class _Lane:
    """Hits of a spool in the order of their numbers, behind its cursor."""

    def __init__(self, edge: str) -> None:
        self.edge = edge

    def start(self, session: Session) -> int:
        """The number behind which nothing is taken in yet; nobody else moves it before the transaction ends."""
        cursor = session.exec(select(DrainCursor).where(DrainCursor.edge == self.edge).with_for_update()).first()
        return cursor.after if cursor else 0

    def advance(self, session: Session, after: int) -> None:
        """Everything up to ``after`` is taken in or set aside."""
        cursor = session.get(DrainCursor, self.edge) or DrainCursor(edge=self.edge)
        cursor.after, cursor.read_at = max(after, cursor.after), now()
        session.add(cursor)


class _BacklogLane(_Lane):
    """The same in a part of the backlog that is ours by a lease."""

    def __init__(self, leases: Leases, part: DrainBacklog, lease: HeldLease) -> None:
        super().__init__(part.edge)
        self.part, self.after, self.until = part.id, part.after, part.until
        self._leases, self.lease = leases, lease

    def start(self, session: Session) -> int:
        part = self._ours(session)
        return part.after if part else self.until  # we were away for so long that another worker goes on

    def advance(self, session: Session, after: int) -> None:
        part = self._ours(session)
        if part is not None and after > part.after:
            part.after = after
            session.add(part)

    def _ours(self, session: Session) -> DrainBacklog | None:
        return session.get(DrainBacklog, self.part) if self._leases.holds(session, self.lease) else None


def _claim(context: AppContext, edge: str) -> _BacklogLane | None:
    """The oldest part that nobody works at."""
    with context.database.reading() as session:
        if session.exec(_unclaimed(edge)).first() is None:
            return None
    while True:
        with context.database.session_scope() as session:
            part = session.exec(_unclaimed(edge)).first()
            lease = context.leases.claim(session, LEASE, part.id) if part else None
            if part is None:
                return None
            if lease is not None:  # else another worker was quicker: the next part, then
                session.refresh(part)
                return _BacklogLane(context.leases, part, lease)


def _unclaimed(edge: str) -> SelectOfScalar[DrainBacklog]:
    free = is_free(LEASE, col(DrainBacklog.id), now())
    return select(DrainBacklog).where(DrainBacklog.edge == edge, free).order_by(col(DrainBacklog.after)).limit(1)


def _take_in(context: AppContext, lane: _Lane, hits: Sequence[Hit]) -> None:
    try:
        _process(context, lane, hits)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the same hits are read again later
    except Exception as error:
        log.error(
            "a batch of %d hits of %s failed (%s); taking them one by one", len(hits), lane.edge, type(error).__name__
        )
        _one_by_one(context, lane, hits)


def _one_by_one(context: AppContext, lane: _Lane, hits: Sequence[Hit]) -> None:
    """One bad hit must not stop the line: it is set aside, and tried again later."""
    for hit in hits:
        try:
            _process(context, lane, [hit])
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.error("hit %s of %s was set aside (%s in %s)", hit.id, lane.edge, type(error).__name__, _place(error))
            quarantine(context, lane.edge, hit, type(error).__name__, lane)


def _place(error: Exception) -> str:
    """Where it was raised. What it says may hold what a reader's program sent, which no log may."""
    frame = extract_tb(error.__traceback__)[-1]
    return f"{frame.name}, line {frame.lineno}"


def _process(context: AppContext, lane: _Lane, hits: Sequence[Hit]) -> None:
    """What belongs to messages that another worker has in hand is taken in by a second transaction, so that the rest waits for
    nobody; the lane goes on when all is taken in."""
    last = hits[-1].id or 0
    left = _process_free(context, lane, hits, last, wait=False)
    if left:
        _process_free(context, lane, left, last, wait=True)


def _process_free(context: AppContext, lane: _Lane, hits: Sequence[Hit], last: int, *, wait: bool) -> Sequence[Hit]:
    with gc_paused(), context.database.session_scope() as session:
        start = lane.start(session)
        fresh = [hit for hit in hits if (hit.id or 0) > start]  # another worker may have been here
        fresh = _without_known(session, lane.edge, fresh)
        left = process_hits(session, context, lane.edge, fresh, wait=wait)
        if not left:
            lane.advance(session, last)
        return left


def _without_known(session: Session, edge: str, hits: Sequence[Hit]) -> list[Hit]:
    """A cursor can be lost, with a restored backup; events cannot be doubled all the same."""
    known = set(run_made_once(session, _known, edge=edge, numbers=[hit.id or 0 for hit in hits]).scalars())
    return [hit for hit in hits if hit.id not in known]


@cache
def _known(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    of_edge = col(Event.edge) == bindparam("edge")
    return columns(col(Event.hit)).where(of_edge, in_bound_list(is_sqlite, col(Event.hit), "numbers"))


def quarantine(context: AppContext, edge: str, hit: Hit, problem: str, lane: _Lane | None = None) -> None:
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
        (lane or _Lane(edge)).advance(session, hit.id or 0)


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
