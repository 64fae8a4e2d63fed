"""Look-ups off the hot path: the names of addresses, put into the sealed evidence, and the verdicts that follow.

On a machine without name servers nothing waits: the task pauses, and what was not found within an hour is let go.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select as columns
from sqlalchemy import update
from sqlmodel import Session, col

from tracker.engagement.judging import JudgedHit, KnownHit, Scope, held_hits, judge_delivery, may_be_renewed
from tracker.engagement.process_hits import publish_outcomes
from tracker.engagement.reverse_names import NoNameServer, ReverseNames
from tracker.engagement.rules import RuleSet, rules_of
from tracker.engagement.scanner_reputation import note_proofs
from tracker.engagement.sealing import address_of, seal
from tracker.engagement.verdict_rows import store_changed
from tracker.models import Event, HitEvidence
from tracker.models.counting.bulk import update_rows
from tracker.models.counting.counters import lock_messages
from tracker.models.counting.tables import EVIDENCE, in_list
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

log = logging.getLogger(__name__)

BATCH = 50
GIVEN_UP_AFTER = timedelta(hours=1)
SHORTEST_PAUSE = 60.0
LONGEST_PAUSE = 3600.0


@dataclass
class ReverseDns:
    """The task. Remembers names, and until when it does not ask because nobody answers."""

    names: ReverseNames
    _pause: float = SHORTEST_PAUSE
    _asleep_until: float = field(default=0.0)

    def __call__(self, context: AppContext) -> int:
        """Looks up the addresses of some hits that want it, and judges their deliveries again. Returns how many hits."""
        if time.monotonic() < self._asleep_until:
            return 0
        with context.database.reading() as session:
            wanted = _wanted(session)
        if not wanted:
            return 0
        addresses = {row.event_id: address_of(context, row.public_id, row.sealed) for row in wanted}
        try:
            names = self.names.of(set(addresses.values()))
        except NoNameServer:
            return self._sleep(context)
        self._pause = SHORTEST_PAUSE
        _note(context, {event: names[ip] for event, ip in addresses.items()})
        return len(wanted)

    def _sleep(self, context: AppContext) -> int:
        log.info("names of addresses cannot be looked up; trying again in %d s", self._pause)
        self._asleep_until = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        with context.database.session_scope() as session:
            tired = col(HitEvidence.look_up_since) < now() - GIVEN_UP_AFTER
            session.exec(update(HitEvidence).where(tired).values(look_up_since=None))
        return 0


def _wanted(session: Session) -> Sequence[Any]:
    """The newest first: their bell may still be waiting."""
    statement = (
        columns(col(HitEvidence.event_id), col(Event.public_id), col(HitEvidence.sealed))
        .join(Event, col(Event.id) == col(HitEvidence.event_id))
        .where(col(HitEvidence.look_up_since).is_not(None))
        .order_by(col(HitEvidence.look_up_since).desc())
    )
    return session.connection().execute(statement.limit(BATCH)).all()


def _note(context: AppContext, names: Mapping[int, str]) -> None:
    """Closes the question for every event; where a name was found, seals it in and judges the delivery again."""
    named = {event: name for event, name in names.items() if name}
    with context.database.session_scope() as session:
        done = update(HitEvidence).where(in_list(session, col(HitEvidence.event_id), names)).values(look_up_since=None)
        session.exec(done)
        if named:
            _judge_again(session, context, named)


def _judge_again(session: Session, context: AppContext, named: Mapping[int, str]) -> None:
    about = columns(col(Event.delivery_id), col(Event.message_id), col(Event.at)).where(
        in_list(session, col(Event.id), named)
    )
    rows = session.connection().execute(about).all()
    lock_messages(session, {row.message_id for row in rows})
    rules = rules_of(context)
    scope = Scope.around([row.at for row in rows], rules)
    outcomes: list[JudgedHit] = []
    for held in held_hits(session, context, rules, {row.delivery_id for row in rows}, scope).values():
        known = [_with_name(hit, named, rules) for hit in held]
        update_rows(session, EVIDENCE, _sealed_again(context, known, named), key="event_id")
        outcomes += may_be_renewed(judge_delivery(known, rules))
    changed = store_changed(session, rules, outcomes)
    if changed:
        note_proofs(session, context, changed)
        publish_outcomes(session, changed)


def _with_name(known: KnownHit, named: Mapping[int, str], rules: RuleSet) -> KnownHit:
    name = named.get(known.stored.id) if known.stored else None
    if name is None:
        return known
    return replace(known, evidence=replace(known.evidence, net=rules.net(known.evidence.ip, name)))


def _sealed_again(context: AppContext, known: Sequence[KnownHit], named: Mapping[int, str]) -> list[dict[str, Any]]:
    return [
        {"event_id": hit.stored.id, "sealed": seal(context, hit.key, hit.evidence)}
        for hit in known
        if hit.stored and hit.stored.id in named
    ]
