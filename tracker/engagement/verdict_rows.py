"""Events, verdicts and evidence as rows, written for a whole batch at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlalchemy import select as columns
from sqlmodel import Session

from tracker.engagement.judge.client_names import client_name
from tracker.engagement.judge.verdict import Judgement, settle_seconds
from tracker.engagement.judging import JudgedHit, reasons_as_json
from tracker.engagement.rules import RuleSet
from tracker.engagement.sealing import number_of, seal
from tracker.engagement.source_digests import meaningful_host, source_digest
from tracker.models.counting.bulk import append_rows, reserve_ids, update_rows
from tracker.models.counting.tables import EVENT, EVIDENCE, VERDICT, in_list
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def store_new(
    session: Session,
    context: AppContext,
    rules: RuleSet,
    edge: str,
    new: Mapping[str, int],
    judged: Sequence[JudgedHit],
) -> None:
    """Events, first verdicts and sealed evidence of the hits in ``new``, which says their numbers at the edge by key."""
    mine = sorted(
        (outcome for outcome in judged if outcome.known.key in new), key=lambda outcome: new[outcome.known.key]
    )
    ids = reserve_ids(session, EVENT, len(mine))
    events = [
        _event_row(id_, edge, new[outcome.known.key], outcome, rules) for id_, outcome in zip(ids, mine, strict=True)
    ]
    moment = now()
    append_rows(session, EVENT, events)
    verdicts = (
        _verdict_row(id_, 1, outcome.verdict, rules.name, moment) for id_, outcome in zip(ids, mine, strict=True)
    )
    append_rows(session, VERDICT, list(verdicts))
    sealed = (_evidence_row(context, event, outcome, moment) for event, outcome in zip(events, mine, strict=True))
    append_rows(session, EVIDENCE, list(sealed))


def store_changed(
    session: Session, rules: RuleSet, outcomes: Sequence[JudgedHit], *, exact: bool = False
) -> list[JudgedHit]:
    """Appends a verdict to every event that is judged otherwise now, and returns those whose verdict or counting changed.

    With ``exact`` also where only the figures in the reasons have grown.
    """
    renewed = {
        outcome.stored.id: outcome.verdict
        for outcome in outcomes
        if (outcome.says_otherwise if exact else outcome.says_more)
    }
    append_verdicts(session, renewed, rules.name)
    changed = [outcome for outcome in outcomes if outcome.stored.id in renewed or outcome.counts_otherwise]
    update_rows(session, EVENT, [_renewal(outcome) for outcome in changed])
    return changed


def append_verdicts(session: Session, verdicts: Mapping[int, Judgement], rule_set: str, by: int | None = None) -> None:
    """Makes each verdict the newest of its event (by number). The event's own columns are the caller's."""
    if not verdicts:
        return
    newest = columns(VERDICT.c.event_id, func.max(VERDICT.c.version).label("version")).where(
        in_list(session, VERDICT.c.event_id, verdicts)
    )
    newest_rows = session.connection().execute(newest.group_by(VERDICT.c.event_id)).all()
    versions: dict[int, int] = {row.event_id: row.version for row in newest_rows}
    moment = now()
    rows = [
        _verdict_row(event, versions.get(event, 0) + 1, verdict, rule_set, moment, by)
        for event, verdict in verdicts.items()
    ]
    append_rows(session, VERDICT, rows)


def _event_row(id_: int, edge: str, number: int, outcome: JudgedHit, rules: RuleSet) -> dict[str, Any]:
    known, verdict = outcome.known, outcome.verdict
    settle = settle_seconds(known.evidence, verdict, rules.windows)
    return {
        "id": id_,
        "public_id": known.key,
        "message_id": known.message_id,
        "delivery_id": known.delivery_id,
        "kind": known.evidence.kind,
        "at": known.at,
        "link": number_of(known.evidence.link),
        "edge": edge,
        "hit": number,
        "klass": verdict.klass,
        "confidence": verdict.confidence,
        "reasons": reasons_as_json(verdict),
        "vendor": verdict.vendor,
        "client": client_name(known.evidence.headers)[:80],
        "merged": outcome.merged,
        "counted": outcome.counted,
        "overruled": False,
        "summed": 0,
        "settle_at": known.at + timedelta(seconds=settle),
        "alerted": False,
    }


def _verdict_row(
    event: int, version: int, verdict: Judgement, rule_set: str, moment: datetime, by: int | None = None
) -> dict[str, Any]:
    return {
        "event_id": event,
        "version": version,
        "klass": verdict.klass,
        "confidence": verdict.confidence,
        "reasons": reasons_as_json(verdict),
        "rule_set": rule_set,
        "decided_at": moment,
        "decided_by": by,
        "trigger": verdict.trigger,
    }


def _evidence_row(context: AppContext, event: dict[str, Any], outcome: JudgedHit, moment: datetime) -> dict[str, Any]:
    known, days = outcome.known, context.settings.evidence_days
    # With no days at all it still lives until the verdict has settled: the sequence could not be judged without it.
    expires = moment + timedelta(days=days) if days else max(moment, event["settle_at"]) + timedelta(minutes=1)
    return {
        "event_id": event["id"],
        "at": known.at,
        "sealed": seal(context, known.key, known.evidence),
        "source": _source(context, outcome),
        "crowd": known.crowd,
        "look_up_since": moment if wants_look_up(outcome) else None,
        "expires_at": expires,
    }


def _source(context: AppContext, outcome: JudgedHit) -> str | None:
    """Nothing for addresses that many people share: what they do says nothing about anybody."""
    if outcome.hit.address_is_shared:
        return None
    return source_digest(context, outcome.known.evidence.ip, outcome.known.at.date())


def wants_look_up(outcome: JudgedHit) -> bool:
    """Whether a name for the address could change anything: not where the network is known or the class is certain."""
    settled = outcome.verdict.klass in ("privacy_prefetch", "sender_self", "link_preview")
    return not settled and not outcome.hit.case.facts and meaningful_host(outcome.known.evidence.ip) is not None


def _renewal(outcome: JudgedHit) -> dict[str, Any]:
    return {
        "id": outcome.stored.id,
        "klass": outcome.verdict.klass,
        "confidence": outcome.verdict.confidence,
        "vendor": outcome.verdict.vendor,
        "reasons": reasons_as_json(outcome.verdict),
        "merged": outcome.merged,
        "counted": outcome.counted,
    }
