"""The journey of a batch of hits: what may be kept, who made it, rows, counters, bell. One transaction, its caller's."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlmodel import Session

from pixel.hits import WEBSITE_KINDS, Hit
from tracker.engagement.act_webhooks import emit_corrections
from tracker.engagement.delivery_notifications import announce_messages, correct_notifications
from tracker.engagement.hit_context import HitContext, hit_context_of
from tracker.engagement.judging import JudgedHit, KnownHit, Scope, held_hits, judge_delivery, may_be_renewed
from tracker.engagement.rules import RuleSet, rules_of
from tracker.engagement.scanner_reputation import note_proofs
from tracker.engagement.shared_ip_bursts import find_bursts
from tracker.engagement.verdict_rows import store_changed, store_new
from tracker.engagement.visits import take_in_visits
from tracker.models.counting.counters import lock_messages, recount
from tracker.models.rows import public_id
from tracker.runtime.context import AppContext

Judged = Mapping[int, Sequence[JudgedHit]]
"""By delivery, what the judge says of all its hits, the new ones among them."""


def process_hits(
    session: Session, context: AppContext, edge: str, hits: Sequence[Hit], *, wait: bool = True
) -> Sequence[Hit]:
    """Judges and stores hits that were not taken in before; counters and bell follow. The caller commits.

    Without ``wait`` hits of messages that another worker has in hand are left out, and so are those of websites where there are
    such. Returns what was left out.
    """
    visits = [hit for hit in hits if hit.kind in WEBSITE_KINDS]
    hits = [hit for hit in hits if hit.kind not in WEBSITE_KINDS]
    around = hit_context_of(session, context, hits)
    admitted = [hit for hit in hits if around.may_keep(hit)]
    held = lock_messages(session, {around.message_of(hit) for hit in admitted}, wait=wait)
    left = [hit for hit in admitted if around.message_of(hit) not in held]
    _store(session, context, edge, around, [hit for hit in admitted if around.message_of(hit) in held])
    if left:
        return [*left, *visits]
    take_in_visits(session, context, edge, visits)
    return ()


def _store(session: Session, context: AppContext, edge: str, around: HitContext, admitted: Sequence[Hit]) -> None:
    if not admitted:
        return
    rules = rules_of(context)
    new = {known.key: (known, hit) for hit in admitted for known in [_known(context, rules, around, hit)]}
    alone = _judge(session, context, rules, [known for known, _ in new.values()])
    judged = _with_bursts(session, context, rules, around, alone)
    outcomes = [outcome for sequence in judged.values() for outcome in sequence]
    store_new(session, context, rules, edge, {key: hit.id or 0 for key, (_, hit) in new.items()}, outcomes)
    changed = store_changed(
        session, rules, [outcome for sequence in judged.values() for outcome in may_be_renewed(sequence)]
    )
    fresh = [outcome for outcome in outcomes if outcome.known.stored is None]
    note_proofs(session, context, [*fresh, *changed])
    publish_outcomes(session, [*fresh, *changed])


def publish_outcomes(session: Session, outcomes: Sequence[JudgedHit]) -> None:
    """Counters of the messages, which the caller holds, lines of the bell, and a hint to the open pages, after events were made or
    judged otherwise."""
    messages = recount(session, {outcome.known.message_id for outcome in outcomes}, held=True)
    correct_notifications(
        session,
        {outcome.known.delivery_id for outcome in outcomes if outcome.known.stored and outcome.known.stored.alerted},
    )
    flipped = {
        outcome.stored.id for outcome in outcomes if outcome.known.stored and outcome.stored.counted != outcome.counted
    }
    emit_corrections(session, flipped)
    announce_messages(session, messages)


def _known(context: AppContext, rules: RuleSet, around: HitContext, hit: Hit) -> KnownHit:
    copy = around.copies[hit.delivery]
    return KnownHit(public_id(), copy.id, copy.message_id, hit.received_at, around.evidence(context, rules, hit))


def _judge(session: Session, context: AppContext, rules: RuleSet, new: Sequence[KnownHit]) -> Judged:
    """New hits together with the held ones of their deliveries."""
    sequences: dict[int, list[KnownHit]] = defaultdict(list)
    scope = Scope.around([known.at for known in new], rules)
    for delivery, held in held_hits(session, context, rules, {known.delivery_id for known in new}, scope).items():
        sequences[delivery] += held
    for known in new:
        sequences[known.delivery_id].append(known)
    return {delivery: judge_delivery(sequence, rules) for delivery, sequence in sequences.items()}


def _with_bursts(session: Session, context: AppContext, rules: RuleSet, around: HitContext, judged: Judged) -> Judged:
    """The same, after a look at who else the addresses of the new hits asked for; may bring further deliveries in."""
    fresh = [outcome for sequence in judged.values() for outcome in sequence if outcome.known.stored is None]
    bursts = find_bursts(session, context, rules, fresh, {copy.id: copy.address for copy in around.copies.values()})
    if not bursts.marks:
        return judged
    sequences = {
        delivery: [outcome.known for outcome in judged[delivery]] for delivery in bursts.deliveries & judged.keys()
    }
    scope = Scope.around([hit.known.at for hit in fresh], rules)
    others = held_hits(session, context, rules, bursts.deliveries - judged.keys(), scope)
    lock_messages(session, {known.message_id for held in others.values() for known in held})
    again = {
        delivery: judge_delivery(
            [replace(known, crowd=bursts.marks.get(known.key, known.crowd)) for known in sequence], rules
        )
        for delivery, sequence in {**sequences, **others}.items()
    }
    return {**judged, **again}
