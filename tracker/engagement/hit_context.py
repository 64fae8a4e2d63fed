"""What the product knows around a batch of hits: the copies they speak of, who was sender, whose browser, what may be kept.

One query per table and batch, whatever the number of hits.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, lru_cache
from typing import Any, cast

from sqlalchemy import Select, bindparam, func
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from pixel.hits import Hit, MailKind
from tracker.consent.ledger import ConsentStatus, consent_status_of
from tracker.consent.rules import Purpose, may_keep
from tracker.consent.tracking_facts import RecipientFacts, Sender, allowed, workspace_rules
from tracker.engagement.judge.evidence import Evidence
from tracker.engagement.judge.evidence import HitState as Known
from tracker.engagement.rules import RuleSet
from tracker.engagement.scanner_reputation import believed_scanners
from tracker.engagement.sealing import Handover, handover_columns, link_of
from tracker.engagement.source_digests import network_digest, scanner_digest
from tracker.mail.addresses import domain_of, lookup_or_none
from tracker.mail.mail_providers import PUBLIC_DOMAINS, provider
from tracker.models import Account, Delivery, Message, Recipient, TrackedLink, User, UserSession
from tracker.models.counting.tables import in_bound_list, run_made_once
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.values import value

SESSION_COUNTS = timedelta(hours=6)
"""How long after a sign-in was last seen its address is still the sender's."""


@value
class JudgedDelivery:
    """One delivery with what a judge must know of it."""

    id: int
    message_id: int
    user_id: int
    recipient_id: int
    address: str
    sender: str
    provider: str | None
    opens_on: bool
    clicks_on: bool
    person: RecipientFacts
    by: Sender
    handover: Handover

    @property
    def recipient_is_sender(self) -> bool:
        return _lookup(self.address) == _lookup(self.sender)


@dataclass(frozen=True)
class HitContext:
    """Everything around a batch. ``allowed`` names deliveries and kinds of hits that consent lets us keep."""

    copies: Mapping[str, JudgedDelivery]
    allowed: frozenset[tuple[int, str]]
    links: Mapping[int, int]
    browsers: Mapping[str, str]
    """Our own people's addresses, by the public id that their browsers' marks state."""
    colleagues: frozenset[str]
    sessions: frozenset[tuple[int, str]]
    scanners: frozenset[str]
    https: bool
    states: dict[int, Known] = field(default_factory=dict)
    """By copy, where neither our own browsers nor learned networks are known."""

    def may_keep(self, hit: Hit) -> bool:
        copy = self.copies.get(hit.delivery)
        return copy is not None and (copy.id, hit.kind) in self.allowed

    def message_of(self, hit: Hit) -> int:
        return self.copies[hit.delivery].message_id

    def evidence(self, context: AppContext, rules: RuleSet, hit: Hit) -> Evidence:
        """What a judge may look at of a hit that may be kept."""
        copy = self.copies[hit.delivery]
        return Evidence(
            kind=cast(MailKind, hit.kind),
            ip=hit.client,
            method=hit.method,
            headers=hit.headers,
            seconds_after_send=copy.handover.age(hit.received_at),
            net=rules.net(hit.client, None),
            state=self._state(context, hit, copy),
            link=link_of(hit.link),
            links_in_message=self.links.get(copy.message_id, 0),
        )

    def _state(self, context: AppContext, hit: Hit, copy: JudgedDelivery) -> Known:
        if hit.self_user or self.sessions or self.scanners:
            return self._state_of(context, hit, copy)
        state = self.states.get(copy.id)  # then nothing of it is the hit's own
        if state is None:
            state = self.states[copy.id] = self._state_of(context, hit, copy)
        return state

    def _state_of(self, context: AppContext, hit: Hit, copy: JudgedDelivery) -> Known:
        own = self.browsers.get(hit.self_user or "")
        return Known(
            recipient_mx=copy.handover.mx_family,
            sender_provider=copy.provider,
            # a colleague who is the recipient reads in a browser that is signed in here as well
            app_session=own is not None and own != _lookup(copy.address),
            sender_ip_match=bool(self.sessions)
            and (copy.user_id, network_digest(context, hit.client)) in self.sessions,
            recipient_is_sender=copy.recipient_is_sender,
            recipient_internal=self._is_internal(copy),
            learned_scanner=bool(self.scanners) and scanner_digest(context, hit.client) in self.scanners,
            https=self.https,
        )

    def _is_internal(self, copy: JudgedDelivery) -> bool:
        domain = domain_of(copy.address)
        same_company = domain == domain_of(copy.sender) and domain not in PUBLIC_DOMAINS
        return same_company or _lookup(copy.address) in self.colleagues


def hit_context_of(session: Session, context: AppContext, hits: Sequence[Hit]) -> HitContext:
    """Reads what is known around these hits."""
    copies = _copies(session, {hit.delivery for hit in hits})
    addresses = {_lookup(copy.address) for copy in copies.values()}
    return HitContext(
        copies=copies,
        allowed=_allowed(session, context, copies, {(hit.delivery, hit.kind) for hit in hits}),
        links=_link_counts(session, {copy.message_id for copy in copies.values()}),
        browsers=_browsers(session, {hit.self_user for hit in hits if hit.self_user}),
        colleagues=_colleagues(session, addresses),
        sessions=_sessions(session, {copy.user_id for copy in copies.values()}),
        scanners=believed_scanners(session),
        https=context.settings.tracking_url.startswith("https:"),
    )


def _copies(session: Session, ids: Collection[str]) -> dict[str, JudgedDelivery]:
    return {row[0]: _copy(row) for row in run_made_once(session, _of_copies, ids=ids).all()}


@cache
def _of_copies(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    return (
        columns(
            col(Delivery.public_id),
            col(Delivery.id),
            col(Delivery.message_id),
            col(Message.user_id),
            col(Delivery.recipient_id),
            col(Delivery.address),
            col(Message.from_address),
            col(Account.preset),
            col(Account.smtp_host),
            col(Delivery.opens_on),
            col(Delivery.clicks_on),
            col(Recipient.never_track),
            col(Recipient.jurisdiction),
            col(Recipient.country),
            col(Recipient.lookup),
            col(Recipient.paused_at),
            col(User.role),
            col(Account.measure_opens),
            col(Account.measure_clicks),
            *handover_columns(),
        )
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .join(User, col(User.id) == col(Message.user_id))
        .join(Recipient, col(Recipient.id) == col(Delivery.recipient_id))
        .outerjoin(Account, col(Account.id) == col(Message.account_id))
        .where(in_bound_list(is_sqlite, col(Delivery.public_id), "ids"))
    )


def _copy(row: Any) -> JudgedDelivery:
    _, id_, message, user, recipient, address, sender, preset, host, opens, clicks, *standing, accepted_at, mx = row
    never, declared, country, lookup, paused_at, role, may_open, may_click = standing
    person = RecipientFacts(domain_of(lookup), declared, country, never, paused_at is not None)
    by = Sender(role, allowed(may_open, may_click))
    service = provider(preset or "", host or "")
    handover = Handover(accepted_at, mx)
    return JudgedDelivery(id_, message, user, recipient, address, sender, service, opens, clicks, person, by, handover)


def _allowed(
    session: Session, context: AppContext, copies: Mapping[str, JudgedDelivery], asked: Collection[tuple[str, str]]
) -> frozenset[tuple[int, str]]:
    """(delivery, kind of hit) of those asked for that the frozen policy and consent as it is now both allow to be kept."""
    rules = workspace_rules(session, context)
    standings = consent_status_of(session, {copy.recipient_id for copy in copies.values()})

    @cache  # many people of one company, asked in one way, by one sender
    def keeps(frozen: bool, purpose: Purpose, person: RecipientFacts, standing: ConsentStatus, by: Sender) -> bool:
        # the notice stood in the copy when it was sent, or it would not have been tracked
        return may_keep(frozen, rules.facts(purpose, person, standing, by, notice_given=True))

    return frozenset(
        (copy.id, kind)
        for delivery, kind in asked
        if (copy := copies.get(delivery)) is not None
        for purpose, frozen in [(Purpose.OPENS, copy.opens_on) if kind == "open" else (Purpose.CLICKS, copy.clicks_on)]
        if keeps(frozen, purpose, copy.person, standings[copy.recipient_id][purpose], copy.by)
    )


def _link_counts(session: Session, messages: Collection[int]) -> dict[int, int]:
    return {message: count for message, count in run_made_once(session, _of_links, messages=messages)}  # noqa: C416 (rows are no tuples to mypy)


@cache
def _of_links(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    tracked = columns(col(TrackedLink.message_id), func.count()).where(
        in_bound_list(is_sqlite, col(TrackedLink.message_id), "messages"), col(TrackedLink.tracked)
    )
    return tracked.group_by(col(TrackedLink.message_id))


def _browsers(session: Session, marks: Collection[str]) -> dict[str, str]:
    if not marks:
        return {}
    return dict(session.exec(select(User.public_id, User.email).where(col(User.public_id).in_(marks))).all())


def _colleagues(session: Session, addresses: Collection[str]) -> frozenset[str]:
    """Those of the addresses that belong to our own people."""
    people = run_made_once(session, _of_people, addresses=addresses).scalars()
    mine = {_lookup(address) for address in session.connection().execute(_SENDING).scalars()}
    return frozenset(people) | (mine & set(addresses))


_SENDING = columns(col(Account.address)).where(col(Account.removed_at).is_(None)).distinct()


@cache
def _of_people(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    return columns(col(User.email)).where(in_bound_list(is_sqlite, col(User.email), "addresses"))


def _sessions(session: Session, users: Collection[int]) -> frozenset[tuple[int, str]]:
    """(user, digest of the network) of the sign-ins that were active lately."""
    seen = run_made_once(session, _of_sessions, users=users, since=now() - SESSION_COUNTS)
    return frozenset((user_id, digest) for user_id, digest in seen)


@cache
def _of_sessions(is_sqlite: bool) -> Select[*tuple[Any, ...]]:
    return columns(col(UserSession.user_id), col(UserSession.address_digest)).where(
        in_bound_list(is_sqlite, col(UserSession.user_id), "users"),
        col(UserSession.seen_at) > bindparam("since"),
        col(UserSession.address_digest).is_not(None),
    )


@lru_cache(maxsize=65536)
def _lookup(address: str) -> str:
    return lookup_or_none(address) or address.lower()
