"""Between rows and the pure judge: the held hits of deliveries, and what the judge now says of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, func
from sqlalchemy import select as columns
from sqlmodel import Session, col

from tracker.engagement.judge.evidence import Evidence
from tracker.engagement.judge.ip_addresses import burst_verdict
from tracker.engagement.judge.sequence import judged_hits, merge_duplicates
from tracker.engagement.judge.sequence_hit import SequenceHit
from tracker.engagement.judge.verdict import Judgement, Reason, alertable
from tracker.engagement.rules import RuleSet
from tracker.engagement.sealing import Handover, handover_columns, unseal
from tracker.models import Delivery, Event, HitEvidence
from tracker.models.counting.tables import in_bound_list, run_made_once
from tracker.runtime.context import AppContext
from tracker.runtime.values import value

LOOKED_AT = 300
"""So many of a delivery's newest held hits are judged again when another one comes; a flood costs no more than that."""
FAR = ("human", "unknown", "security_scanner")
"""Of the held hits that no window of a new one reaches, only these can still matter: a person's open, a scanner's address."""
CONTEXT = 50
"""The oldest of them only speak for the others: what spoke for them is out of sight, so their verdicts stay."""


@value
class Stored:
    """What the event of a held hit says now."""

    id: int
    klass: str
    confidence: float
    reasons: Any
    merged: bool
    counted: bool
    overruled: bool
    alerted: bool


@value
class KnownHit:
    """One hit of a delivery with its evidence; ``stored`` is None for a new one. ``key`` is the event's public id."""

    key: str
    delivery_id: int
    message_id: int
    at: datetime
    evidence: Evidence
    crowd: Mapping[str, Any] | None = None
    stored: Stored | None = None


@value
class JudgedHit:
    """What the judge says of a hit now. ``hit`` is the hit as the sequence rules see it."""

    known: KnownHit
    hit: SequenceHit
    merged: bool

    @property
    def verdict(self) -> Judgement:
        return self.hit.verdict

    @property
    def counted(self) -> bool:
        return alertable(self.verdict) and not self.merged

    @property
    def stored(self) -> Stored:
        """What is stored of a hit that is not new."""
        assert self.known.stored is not None
        return self.known.stored

    @property
    def says_more(self) -> bool:
        """The stored verdict differs in class, confidence or rules; figures inside its reasons may have grown."""
        stored, verdict = self.stored, self.verdict
        if (stored.klass, stored.confidence) != (verdict.klass, verdict.confidence):
            return True
        return [reason["code"] for reason in stored.reasons or ()] != [reason.code for reason in verdict.reasons]

    @property
    def says_otherwise(self) -> bool:
        """The stored verdict differs in anything."""
        return self.says_more or self.stored.reasons != reasons_as_json(self.verdict)

    @property
    def counts_otherwise(self) -> bool:
        return (self.stored.merged, self.stored.counted) != (self.merged, self.counted)


def judge_delivery(hits: Sequence[KnownHit], rules: RuleSet) -> list[JudgedHit]:
    """Both stages, the address's crowd and the duplicates, for hits of one delivery."""
    by_key = {known.key: known for known in hits}
    timed = [(known.key, known.at.timestamp(), known.evidence) for known in hits]
    judged = [
        _with_burst(hit, by_key[str(hit.key)]) for hit in judged_hits(timed, rules.windows, rules.releases, tables=())
    ]
    repeats = merge_duplicates(judged, rules.windows) if len(judged) > 1 else {}
    return [JudgedHit(by_key[str(hit.key)], hit, hit.key in repeats) for hit in judged]


def _with_burst(hit: SequenceHit, known: KnownHit) -> SequenceHit:
    if known.crowd is None:
        return hit
    reason = Reason("many_recipients", {name: known.crowd[name] for name in ("recipients", "seconds")})
    verdict = burst_verdict(hit.verdict, reason, known.crowd["trigger"])
    return SequenceHit(hit.key, hit.t, hit.evidence, verdict, hit.opened_case)


def may_be_renewed(outcomes: Sequence[JudgedHit], limit: int | None = LOOKED_AT) -> list[JudgedHit]:
    """Those outcomes that may be written over what is stored: not the mere context, nothing that a user has decided."""
    judged = outcomes[CONTEXT:] if limit and len(outcomes) >= limit else outcomes
    return [outcome for outcome in judged if outcome.known.stored is not None and not outcome.known.stored.overruled]


@dataclass(frozen=True)
class Scope:
    """Which held hits to look at: at most the ``limit`` newest of a delivery, and what the windows around some moments reach."""

    limit: int | None = LOOKED_AT
    first: datetime | None = None
    last: datetime | None = None

    @classmethod
    def around(cls, moments: Collection[datetime], rules: RuleSet) -> "Scope":
        reach = reach_of(rules)
        return cls(first=min(moments) - reach, last=max(moments) + reach)

    @property
    def moments(self) -> dict[str, datetime]:
        return {} if self.first is None or self.last is None else {"first": self.first, "last": self.last}


def reach_of(rules: RuleSet) -> timedelta:
    """How far apart two hits may be for one to say something of the other, those of :data:`FAR` aside."""
    return timedelta(seconds=max(rules.windows.spread, rules.windows.honeypot_network))


EVERYTHING = Scope(limit=None)


def held_hits(
    session: Session, context: AppContext, rules: RuleSet, deliveries: Collection[int], scope: Scope
) -> dict[int, list[KnownHit]]:
    """By delivery, the hits whose evidence is still held, oldest first."""
    flooded = _flooded(session, deliveries, scope.limit) if scope.limit else set()
    held = _read(session, context, rules, [id_ for id_ in deliveries if id_ not in flooded], scope)
    for id_ in flooded:
        held |= _read(session, context, rules, [id_], scope, scope.limit)
    return held


def _flooded(session: Session, deliveries: Collection[int], limit: int) -> set[int]:
    over = run_made_once(session, _with_more_events, deliveries=deliveries, limit=limit)
    return {id_ for id_ in over.scalars() if id_ is not None}


@cache
def _with_more_events(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    counts = columns(col(Event.delivery_id)).where(in_bound_list(is_sqlite, col(Event.delivery_id), "deliveries"))
    return counts.group_by(col(Event.delivery_id)).having(func.count() > bindparam("limit"))


def _read(
    session: Session,
    context: AppContext,
    rules: RuleSet,
    deliveries: Sequence[int],
    scope: Scope,
    limit: int | None = None,
) -> dict[int, list[KnownHit]]:
    if not deliveries:
        return {}
    moments = scope.moments
    held = run_made_once(session, _held_newest_first, bool(moments), limit, deliveries=deliveries, **moments)
    by_delivery: dict[int, list[KnownHit]] = defaultdict(list)
    for row in reversed(held.all()):
        known = _known(context, rules, row)
        if known is not None:
            by_delivery[known.delivery_id].append(known)
    return by_delivery


@cache
def _held_newest_first(is_sqlite: bool, around: bool, limit: int | None) -> Select[*tuple[Any, ...]]:
    of_event = (
        "id klass confidence reasons merged counted overruled alerted public_id delivery_id message_id kind link at"
    )
    held = (
        columns(
            *(getattr(Event, name) for name in of_event.split()),
            col(HitEvidence.sealed),
            col(HitEvidence.crowd),
            *handover_columns(),
        )
        .join(HitEvidence, col(HitEvidence.event_id) == col(Event.id))
        .join(Delivery, col(Delivery.id) == col(Event.delivery_id))
        .where(in_bound_list(is_sqlite, col(Event.delivery_id), "deliveries"))
    )
    if around:
        # A mail program in Microsoft's network is shown as its proxy, and is a person's open all the same.
        of_people = (col(Event.klass) == "mail_proxy") & (col(Event.vendor) == "microsoft")
        in_reach = col(Event.at).between(bindparam("first"), bindparam("last"))
        held = held.where(in_reach | col(Event.klass).in_(FAR) | of_people)
    return held.order_by(col(Event.at).desc(), col(Event.id).desc()).limit(limit)


def _known(context: AppContext, rules: RuleSet, row: Any) -> KnownHit | None:
    evidence = unseal(context, rules, row, Handover(*row[-2:]))
    if evidence is None:
        return None
    return KnownHit(row.public_id, row.delivery_id, row.message_id, row.at, evidence, row.crowd, Stored(*row[:8]))


def judge_again(
    session: Session, context: AppContext, rules: RuleSet, deliveries: Collection[int], scope: Scope
) -> list[JudgedHit]:
    """The outcomes of every delivery's held hits that may be written over what is stored."""
    held = held_hits(session, context, rules, deliveries, scope)
    return [outcome for hits in held.values() for outcome in may_be_renewed(judge_delivery(hits, rules), scope.limit)]


def reasons_as_json(verdict: Judgement) -> list[dict[str, Any]]:
    return verdict.reasons_as_json
