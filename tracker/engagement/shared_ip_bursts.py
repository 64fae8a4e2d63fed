"""S6 over the whole workspace: one address that asks for the mail of many recipients at once.

Addresses are not at rest, so hits of one address are found by the digest of their day; only minutes matter here.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam
from sqlalchemy import select as columns
from sqlmodel import Session, col

from tracker.engagement.judge.ip_addresses import LEFT_OUT, RECIPIENTS, shared_ip_bursts
from tracker.engagement.judging import JudgedHit
from tracker.engagement.rules import RuleSet
from tracker.engagement.source_digests import meaningful_host, source_digest
from tracker.models import Delivery, Event, HitEvidence
from tracker.models.counting.bulk import update_rows
from tracker.models.counting.tables import EVIDENCE, in_bound_list, run_made_once
from tracker.runtime.context import AppContext
from tracker.runtime.values import value

Burst = Mapping[str, Any]
"""``recipients`` and ``seconds`` of the sentence, and ``trigger``: the public id of the event that showed it."""


@value
class BurstHit:
    """A hit as far as crowds need it; ``event`` is its number when it is stored, ``marked`` says it was in a crowd before."""

    key: str
    host: str
    at: float
    delivery_id: int
    recipient: str
    event: int | None = None
    marked: bool = False


@dataclass(frozen=True)
class Bursts:
    """Which hits belong to a crowd, by key, and which deliveries they are on."""

    marks: Mapping[str, Burst]
    deliveries: frozenset[int]


def find_bursts(
    session: Session, context: AppContext, rules: RuleSet, new: Sequence[JudgedHit], recipients: Mapping[int, str]
) -> Bursts:
    """The crowds that these new hits show; held hits in them are marked. ``recipients``: addresses by delivery."""
    mine = _asked(new, recipients)
    groups: dict[str, list[BurstHit]] = defaultdict(list)
    for use in (*mine, *_held(session, context, rules, mine)):
        groups[use.host].append(use)
    marks: dict[str, Burst] = {}
    uses: list[BurstHit] = []
    for group in groups.values():
        if len(group) < RECIPIENTS:
            continue
        for use, reason, trigger in shared_ip_bursts(sorted(group, key=lambda item: item.at), rules.windows):
            if use.key not in marks and not use.marked:
                marks[use.key] = {**reason.values, "trigger": None if trigger == use.key else trigger}
                uses.append(use)
    stored = [{"event_id": use.event, "crowd": marks[use.key]} for use in uses if use.event is not None]
    update_rows(session, EVIDENCE, stored, key="event_id")
    return Bursts(marks, frozenset(use.delivery_id for use in uses))


def _asked(new: Sequence[JudgedHit], recipients: Mapping[int, str]) -> list[BurstHit]:
    return [
        BurstHit(
            use.known.key, host, use.known.at.timestamp(), use.known.delivery_id, recipients[use.known.delivery_id]
        )
        for use in new
        if use.verdict.klass not in LEFT_OUT and not use.hit.address_is_shared
        if (host := meaningful_host(use.known.evidence.ip)) is not None
    ]


def _held(session: Session, context: AppContext, rules: RuleSet, mine: Sequence[BurstHit]) -> list[BurstHit]:
    """Stored hits of the same addresses around the same time."""
    if not mine:
        return []
    window = timedelta(seconds=rules.windows.cross_recipient)
    hosts = _hosts_by_digest(context, mine, window)
    first, last = (_moment(pick(use.at for use in mine)) for pick in (min, max))
    held = run_made_once(session, _of_sources, sources=hosts, first=first - window, last=last + window)
    return [_stored(hosts, row) for row in held]


@cache
def _of_sources(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    return (
        columns(
            col(Event.public_id),
            col(HitEvidence.source),
            col(HitEvidence.at),
            col(Event.delivery_id),
            col(Delivery.address),
            col(Event.id),
            col(HitEvidence.crowd).is_not(None),
        )
        .join(Event, col(Event.id) == col(HitEvidence.event_id))
        .join(Delivery, col(Delivery.id) == col(Event.delivery_id))
        .where(
            in_bound_list(is_sqlite, col(HitEvidence.source), "sources"),
            col(HitEvidence.at).between(bindparam("first"), bindparam("last")),
            col(Event.klass).not_in(LEFT_OUT),
        )
    )


def _stored(hosts: Mapping[str, str], row: Any) -> BurstHit:
    key, source, at, delivery_id, recipient, event, marked = row
    return BurstHit(key, hosts[source], at.timestamp(), delivery_id, recipient, event, marked)


def _hosts_by_digest(context: AppContext, mine: Sequence[BurstHit], window: timedelta) -> dict[str, str]:
    """The digests under which hits of these hosts are found; around midnight those of two days."""
    hosts: dict[str, str] = {}
    for use in mine:
        moment = _moment(use.at)
        for day in {(moment - window).date(), (moment + window).date()}:
            digest = source_digest(context, use.host.partition("/")[0], day)
            if digest is not None:
                hosts[digest] = use.host
    return hosts


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
