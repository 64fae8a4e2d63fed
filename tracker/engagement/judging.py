"""Between rows and the pure judge: evidence from hits, verdicts onto events, the whole delivery looked at again."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlmodel import Session, col, select

from pixel.hits import Hit
from tracker.db import now
from tracker.engagement.classify import RULE_SET
from tracker.engagement.duplicates import merge_duplicates
from tracker.engagement.evidence import Evidence, State
from tracker.engagement.sequence import SequenceHit, judge_sequence
from tracker.engagement.settle import settle_seconds
from tracker.engagement.verdict import Reason, Verdict, alertable
from tracker.engagement.windows import Windows
from tracker.house import House
from tracker.models import Delivery, Event, HitEvidence, Message
from tracker.models import Verdict as VerdictRow
from tracker.secrets import Undecryptable

# The server's 250 is noted a moment after it was said; a gateway may have followed the links by then.
_CLOCK_SLACK = 60.0


@lru_cache
def windows_of(house: House) -> Windows:
    """Every waiting and age window, times ``INKLING_WINDOW_SCALE``."""
    return Windows().scaled(house.settings.window_scale)


def evidence_of(hit: Hit, delivery: Delivery, message: Message, *, app_session: bool, links: int) -> Evidence:
    """What a judge may look at of one hit."""
    return Evidence(
        kind=hit.kind,
        ip=hit.client,
        method=hit.method,
        headers=dict(hit.headers),
        seconds_after_send=seconds_after_send(hit.received_at, delivery, message),
        state=State(recipient_mx=delivery.mx_family, app_session=app_session),
        link=hit.link,
        links_in_message=links,
    )


def seconds_after_send(at: datetime, delivery: Delivery, message: Message) -> float:
    """Age of a hit, counted from the server's 250; a hit that overtook our note of the 250 has age 0."""
    base = delivery.accepted_at or message.send_at or message.created_at
    seconds = (at - base).total_seconds()
    return 0.0 if -_CLOCK_SLACK <= seconds < 0 or delivery.accepted_at is None else seconds


def seal(house: House, event: Event, evidence: Evidence) -> HitEvidence:
    """Address and headers of a hit, encrypted, with the date on which they are thrown away."""
    assert event.id is not None
    kept = {
        "ip": evidence.ip,
        "method": evidence.method,
        "headers": dict(evidence.headers),
        "app_session": evidence.state.app_session,
        "links": evidence.links_in_message,
    }
    days = house.settings.evidence_days
    # With no days at all it still lives until the verdict has settled: the sequence could not be judged without it.
    expires = now() + timedelta(days=days) if days else (event.settle_at or now()) + timedelta(minutes=1)
    sealed = house.ring.encrypt(json.dumps(kept).encode(), _record(event.public_id))
    return HitEvidence(event_id=event.id, at=event.at, sealed=sealed, expires_at=expires)


def _record(event_public_id: str) -> str:
    return f"evidence:{event_public_id}"


def _unseal(house: House, event: Event, sealed: bytes, delivery: Delivery, message: Message) -> Evidence | None:
    try:
        kept: dict[str, Any] = json.loads(house.ring.decrypt(sealed, _record(event.public_id)))
    except (Undecryptable, ValueError):
        return None
    return Evidence(
        kind="open" if event.kind == "open" else "click",
        ip=kept["ip"],
        method=kept["method"],
        headers=kept["headers"],
        seconds_after_send=seconds_after_send(event.at, delivery, message),
        state=State(recipient_mx=delivery.mx_family, app_session=kept["app_session"]),
        link=event.link,
        links_in_message=kept["links"],
    )


def settles_at(house: House, event: Event, evidence: Evidence, verdict: Verdict) -> datetime:
    """When the verdict is final enough to ring."""
    return event.at + timedelta(seconds=settle_seconds(evidence, verdict, windows_of(house)))


def reasons_as_json(verdict: Verdict) -> list[dict[str, Any]]:
    return [{"code": reason.code, "values": dict(reason.values)} for reason in verdict.reasons]


def reasons_from_json(stored: Any) -> tuple[Reason, ...]:
    """The reasons of a stored verdict, to be put into words."""
    return tuple(Reason(one["code"], one.get("values", {})) for one in stored or ())


def verdict_row(event: Event, verdict: Verdict, version: int, *, by: int | None = None) -> VerdictRow:
    """Makes ``verdict`` the newest of ``event``: sets the event's own columns and gives the row to be added."""
    event.klass, event.confidence, event.vendor = verdict.klass, verdict.confidence, verdict.vendor
    event.reasons = reasons_as_json(verdict)
    event.counted = alertable(verdict) and not event.merged
    assert event.id is not None
    return VerdictRow(
        event_id=event.id,
        version=version,
        klass=verdict.klass,
        confidence=verdict.confidence,
        reasons=event.reasons,
        rule_set=RULE_SET,
        decided_by=by,
    )


def next_version(session: Session, event: Event) -> int:
    statement = (
        select(VerdictRow.version).where(VerdictRow.event_id == event.id).order_by(col(VerdictRow.version).desc())
    )
    return (session.exec(statement.limit(1)).first() or 0) + 1


def rejudge(session: Session, house: House, delivery_ids: Iterable[int]) -> list[Event]:
    """Looks at all hits of each delivery again, as a sequence. Returns the events whose verdict changed.

    An event whose evidence has expired, or that a user has overruled, keeps its verdict.
    """
    changed: list[Event] = []
    for delivery, message, events in _with_evidence(session, delivery_ids):
        changed += _rejudge_delivery(session, house, delivery, message, events)
    return changed


_Rows = list[tuple[Event, bytes]]


def _with_evidence(session: Session, delivery_ids: Iterable[int]) -> list[tuple[Delivery, Message, _Rows]]:
    ids = sorted(set(delivery_ids))
    rows = session.exec(
        select(Event, HitEvidence.sealed, Delivery, Message)
        .join(HitEvidence, col(HitEvidence.event_id) == Event.id)
        .join(Delivery, col(Delivery.id) == Event.delivery_id)
        .join(Message, col(Message.id) == Event.message_id)
        .where(col(Event.delivery_id).in_(ids))
        .order_by(col(Event.at), col(Event.id))
    ).all()
    grouped: dict[int, tuple[Delivery, Message, _Rows]] = {}
    for event, sealed, delivery, message in rows:
        grouped.setdefault(delivery.id or 0, (delivery, message, []))[2].append((event, sealed))
    return list(grouped.values())


def _rejudge_delivery(session: Session, house: House, delivery: Delivery, message: Message, rows: _Rows) -> list[Event]:
    events = {event.id: event for event, _ in rows}
    evidence = {
        event.id: found
        for event, sealed in rows
        if (found := _unseal(house, event, sealed, delivery, message)) is not None
    }
    windows = windows_of(house)
    final = judge_sequence(evidence.items(), windows)
    judged = [SequenceHit(key, one.seconds_after_send or 0.0, one, final[key]) for key, one in evidence.items()]
    repeats = merge_duplicates(judged, windows)
    return [e for id_, e in events.items() if id_ in final and _renew(session, e, final[id_], merged=id_ in repeats)]


def _renew(session: Session, event: Event, verdict: Verdict, *, merged: bool) -> bool:
    if event.overruled:
        return False
    was = (event.klass, event.confidence, event.reasons, event.merged)
    event.merged = merged
    if was == (verdict.klass, verdict.confidence, reasons_as_json(verdict), merged):
        return False
    if was[:3] != (verdict.klass, verdict.confidence, reasons_as_json(verdict)):
        session.add(verdict_row(event, verdict, next_version(session, event)))
    event.counted = alertable(verdict) and not merged
    session.add(event)
    return True
