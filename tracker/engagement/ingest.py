"""From hits to events: read the spools, keep what may be kept, judge it, look at the whole delivery again, count anew.

One batch is one transaction, the cursor included: a hit is taken in once, whatever crashes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlmodel import Session, col, select

from pixel.hits import Hit
from tracker.addresses import lookup_form
from tracker.consent import Purpose, may_keep
from tracker.db import now
from tracker.engagement.alerts import correct_bell
from tracker.engagement.classify import classify, client_name
from tracker.engagement.counters import recount
from tracker.engagement.evidence import Evidence
from tracker.engagement.judging import evidence_of, rejudge, seal, settles_at, verdict_row, windows_of
from tracker.engagement.sources import Source
from tracker.engagement.verdict import Verdict
from tracker.house import House
from tracker.models import Delivery, DrainCursor, Event, HitAside, Message, Recipient, TrackedLink, User
from tracker.notify import announce
from tracker.preferences import workspace_pack
from tracker.recipients import consent_of

log = logging.getLogger(__name__)

BATCH = 1000


def drain(house: House, source: Source) -> int:
    """Takes in the next hits of one edge. Returns how many were read; 0 means there are none for now.

    Raises :class:`tracker.engagement.sources.SourceError` when the edge cannot be read.
    """
    with house.database.reading() as session:
        cursor = session.get(DrainCursor, source.name)
        after = cursor.after if cursor else 0
    hits = source.after(after, BATCH)
    if not hits:
        return 0
    try:
        _take_in(house, source.name, hits)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the same hits are read again later
    except Exception as error:
        log.error(
            "a batch of %d hits of %s failed (%s); taking them one by one", len(hits), source.name, type(error).__name__
        )
        _one_by_one(house, source.name, hits)
    source.confirm(hits[-1].id or 0)
    return len(hits)


def _one_by_one(house: House, edge: str, hits: Sequence[Hit]) -> None:
    """One bad hit must not stop the line: it is set aside, and tried again later."""
    for hit in hits:
        try:
            _take_in(house, edge, [hit])
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            log.error("hit %s of %s was set aside (%s)", hit.id, edge, type(error).__name__, exc_info=True)
            set_aside(house, edge, hit, type(error).__name__)


def _take_in(house: House, edge: str, hits: Sequence[Hit]) -> None:
    with house.database.session_scope() as session:
        cursor = session.exec(select(DrainCursor).where(DrainCursor.edge == edge).with_for_update()).first()
        start = cursor.after if cursor else 0
        fresh = [hit for hit in hits if (hit.id or 0) > start]  # another worker may have been here
        fresh = _without_known(session, edge, fresh)
        take_in(session, house, edge, fresh)
        advance(session, edge, hits[-1].id or 0)


def _without_known(session: Session, edge: str, hits: Sequence[Hit]) -> list[Hit]:
    """A cursor can be lost, with a restored backup; events cannot be doubled all the same."""
    numbers = [hit.id for hit in hits]
    known = set(session.exec(select(Event.hit).where(Event.edge == edge, col(Event.hit).in_(numbers))))
    return [hit for hit in hits if hit.id not in known]


def take_in(session: Session, house: House, edge: str, hits: Sequence[Hit]) -> None:
    """Judges and stores hits that were not taken in before; counters and bell follow. The caller commits."""
    kept = _judge(session, house, hits)
    _store(session, house, edge, kept)
    changed = rejudge(session, house, {one.delivery.id or 0 for one in kept})
    for message in recount(session, {one.message.id or 0 for one in kept}):
        announce(session, message.user_id, "message", message.public_id)
    correct_bell(session, changed)


def advance(session: Session, edge: str, after: int) -> None:
    """Everything of this edge up to ``after`` is taken in or set aside."""
    cursor = session.get(DrainCursor, edge) or DrainCursor(edge=edge)
    cursor.after, cursor.read_at = max(after, cursor.after), now()
    session.add(cursor)


def set_aside(house: House, edge: str, hit: Hit, problem: str) -> None:
    """Keeps a hit that could not be taken in, encrypted, for as long as evidence is kept."""
    moment = now()
    with house.database.session_scope() as session:
        aside = session.exec(select(HitAside).where(HitAside.edge == edge, HitAside.hit == hit.id)).first()
        if aside is None:
            sealed = house.ring.encrypt(hit.to_json().encode(), f"aside:{edge}:{hit.id}")
            expires = moment + timedelta(days=max(1, house.settings.evidence_days))
            aside = HitAside(edge=edge, hit=hit.id or 0, sealed=sealed, tries=0, try_at=moment, expires_at=expires)
        aside.tries += 1
        aside.problem, aside.try_at = problem, moment + timedelta(minutes=2**aside.tries)
        session.add(aside)
        advance(session, edge, hit.id or 0)


def retry_aside(house: House) -> int:
    """Tries one hit again that was set aside. Returns 1 when there was one due, else 0."""
    with house.database.reading() as session:
        aside = session.exec(select(HitAside).where(col(HitAside.try_at) <= now()).limit(1)).first()
    if aside is None:
        return 0
    hit = Hit.from_json(house.ring.decrypt(aside.sealed, f"aside:{aside.edge}:{aside.hit}").decode())
    try:
        with house.database.session_scope() as session:
            take_in(session, house, aside.edge, [hit])
            session.delete(session.get_one(HitAside, aside.id))
    except Exception as error:
        set_aside(house, aside.edge, hit, type(error).__name__)
    return 1


@dataclass(frozen=True)
class _Judged:
    hit: Hit
    delivery: Delivery
    message: Message
    evidence: Evidence
    verdict: Verdict


def _judge(session: Session, house: House, hits: Sequence[Hit]) -> list[_Judged]:
    """The hits that may be kept, each with its first verdict. Everything else leaves no trace."""
    deliveries = _deliveries(session, hits)
    messages = _messages(session, deliveries)
    allowed = _allowed(session, list(deliveries.values()))
    links = _link_counts(session, messages)
    ours = _own_people(session, hits)
    judged = []
    for hit in hits:
        delivery = deliveries.get(hit.delivery)
        if delivery is None or (delivery.id, hit.kind) not in allowed:
            continue
        message = messages[delivery.message_id]
        app_session = hit.self_user in ours and ours[hit.self_user] != lookup_form(delivery.address)
        evidence = evidence_of(hit, delivery, message, app_session=app_session, links=links.get(delivery.message_id, 0))
        judged.append(_Judged(hit, delivery, message, evidence, classify(evidence, windows_of(house))))
    return judged


def _deliveries(session: Session, hits: Sequence[Hit]) -> dict[str, Delivery]:
    ids = {hit.delivery for hit in hits}
    return {d.public_id: d for d in session.exec(select(Delivery).where(col(Delivery.public_id).in_(ids)))}


def _messages(session: Session, deliveries: Mapping[str, Delivery]) -> dict[int, Message]:
    ids = {d.message_id for d in deliveries.values()}
    return {m.id: m for m in session.exec(select(Message).where(col(Message.id).in_(ids))) if m.id is not None}


def _link_counts(session: Session, messages: Mapping[int, Message]) -> dict[int, int]:
    tracked = select(TrackedLink.message_id, func.count()).where(
        col(TrackedLink.message_id).in_(list(messages)), col(TrackedLink.tracked)
    )
    return dict(session.exec(tracked.group_by(col(TrackedLink.message_id))).all())


def _own_people(session: Session, hits: Sequence[Hit]) -> dict[str | None, str]:
    """Our own people whose browsers made one of these hits, with their addresses."""
    marks = {hit.self_user for hit in hits if hit.self_user}
    return (
        {u.public_id: u.email for u in session.exec(select(User).where(col(User.public_id).in_(marks)))}
        if marks
        else {}
    )


def _allowed(session: Session, deliveries: Sequence[Delivery]) -> frozenset[tuple[int | None, str]]:
    """(delivery, kind of hit) that the frozen policy and consent as it is now both allow to be kept."""
    pack = workspace_pack(session)
    ids = {d.recipient_id for d in deliveries}
    never = dict(session.exec(select(Recipient.id, Recipient.never_track).where(col(Recipient.id).in_(ids))).all())
    states = consent_of(session, ids)
    allowed: set[tuple[int | None, str]] = set()
    for delivery in deliveries:
        state = states[delivery.recipient_id]
        for kind, purpose, frozen in (
            ("open", Purpose.OPENS, delivery.opens_on),
            ("click", Purpose.CLICKS, delivery.clicks_on),
        ):
            if may_keep(frozen, pack, state[purpose], never[delivery.recipient_id]):
                allowed.add((delivery.id, kind))
    return frozenset(allowed)


def _store(session: Session, house: House, edge: str, judged: Sequence[_Judged]) -> None:
    """Events first, all in one go, because verdicts and evidence need their numbers."""
    events = [_event(edge, one) for one in judged]
    session.add_all(events)
    session.flush()
    for one, event in zip(judged, events, strict=True):
        session.add(verdict_row(event, one.verdict, version=1))
        event.settle_at = settles_at(house, event, one.evidence, one.verdict)
        session.add(seal(house, event, one.evidence))
    session.flush()


def _event(edge: str, one: _Judged) -> Event:
    assert one.message.id is not None
    return Event(
        message_id=one.message.id,
        delivery_id=one.delivery.id,
        kind=one.hit.kind,
        at=one.hit.received_at,
        link=one.hit.link,
        edge=edge,
        hit=one.hit.id,
        klass=one.verdict.klass,
        confidence=one.verdict.confidence,
        client=client_name(one.evidence.headers)[:80],
    )
