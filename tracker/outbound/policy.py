"""Who of the addressees will be tracked, and by which rule not: consent brought to a message."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlmodel import Session, col, select

from tracker.consent.ledger import ConsentStatus, consent_status_of
from tracker.consent.preferences import operator_ceiling, preference
from tracker.consent.rules import (
    MEASURED,
    CeilingError,
    Decision,
    Purpose,
    decide,
    forbidden_by,
    jurisdiction_of,
    rules_for,
)
from tracker.consent.tracking_facts import (
    RecipientFacts,
    Sender,
    WorkspaceRules,
    measured_by,
    senders_of,
    workspace_rules,
)
from tracker.mail.addresses import Address, domain_of, lookup_form
from tracker.mail.recipient_mx import KnownDomain, fill, known_domains
from tracker.models import Account, Delivery, Recipient, User
from tracker.outbound.draft import Draft, SendError
from tracker.outbound.host_health import host_problem
from tracker.recipients import find_all
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

SOON = timedelta(minutes=15)
"""Of mail that leaves later nobody can tell how the tracking host will be."""


@dataclass(frozen=True)
class PlannedRecipient:
    """One addressee and what will happen to the copy."""

    mailbox: Address
    role: str
    recipient: Recipient | None
    """None for somebody we never wrote to."""
    opens: Decision
    clicks: Decision
    mx_family: str | None = None
    """Where the recipient's domain gets its mail, as far as that is known."""
    pack_version: str = ""
    """Which version of the rules of the recipient's country was looked at."""
    is_domain_asked: bool = False
    """Whether the recipient's domain is known, or about to be looked up."""


def check_wishes(context: AppContext, draft: Draft) -> None:
    """Raises :class:`SendError` when the message asks for more than the operator allows: it is not quietly lowered."""
    for field, purpose, wanted in (
        ("track.opens", Purpose.OPENS, draft.track_opens),
        ("track.links", Purpose.CLICKS, draft.track_links),
    ):
        try:
            if wanted:
                operator_ceiling(context).check_wish(purpose)
        except CeilingError as error:
            raise SendError(field, "above_ceiling", error.sentence) from None


@dataclass(frozen=True)
class PolicyQuestion:
    """A message whose policy is asked for. ``untouched`` is why no copy of it can be changed, if so."""

    user: User
    draft: Draft
    account: Account | None = None
    untouched: str | None = None
    own: Set[str] | None = None
    """The person's own addresses in look-up form, where they are known already."""


def plan_policy(
    session: Session, context: AppContext, user: User, draft: Draft, account: Account | None
) -> list[PlannedRecipient]:
    """The policy of every addressee, as it would be frozen now.

    Raises :class:`tracker.outbound.draft.SendError` for an address that cannot be used.
    """
    return plan_policies(session, context, [PolicyQuestion(user, draft, account)])[0]


def plan_policies(
    session: Session, context: AppContext, questions: Sequence[PolicyQuestion]
) -> list[list[PlannedRecipient]]:
    """The same for several messages, of which everything is read together."""
    everybody = [question.draft.addressees() for question in questions]
    addresses = [mailbox.address for each in everybody for _, mailbox in each]
    known, domains = find_all(session, addresses), known_domains(session, addresses)
    statuses = consent_status_of(session, {r.id for r in known.values()})
    own = _own_addresses(session, [question.user for question in questions if question.own is None])
    rules = workspace_rules(session, context)
    is_healthy, recipient_limit = not host_problem(session), preference(session, "recipient_limit")
    plans = []
    for question, addressees in zip(questions, everybody, strict=True):
        user, draft = question.user, question.draft
        table = _Table(
            rules=rules,
            statuses=statuses,
            sender=Sender(user.role, measured_by(question.account)),
            own=own[user.id] if question.own is None else question.own,
            wanted=_wanted(user, draft),
            message={
                "measurable": bool(draft.html) or question.untouched is not None,
                "recipients": len(addressees),
                "host_healthy": is_healthy or _is_later(draft),
                "recipient_limit": recipient_limit,
            },
            untouched=question.untouched,
        )
        plans.append([_planned(table, known, domains, role, mailbox) for role, mailbox in addressees])
    return plans


def _planned(
    table: "_Table", known: Mapping[str, Recipient], domains: Mapping[str, KnownDomain], role: str, mailbox: Address
) -> PlannedRecipient:
    form = lookup_form(mailbox.address)
    recipient = known.get(form)
    opens, clicks = (table.decide(purpose, form, recipient) for purpose in MEASURED)
    domain = domains.get(domain_of(mailbox.address), KnownDomain(None, is_asked=False))
    version = _version(form, recipient)
    return PlannedRecipient(mailbox, role, recipient, opens, clicks, domain.mx_family, version, domain.is_asked)


@dataclass(frozen=True)
class _Table:
    """What is the same for all addressees of a message."""

    rules: WorkspaceRules
    statuses: Mapping[int, Mapping[Purpose, ConsentStatus]]
    sender: Sender
    own: Set[str]
    wanted: Mapping[Purpose, bool]
    message: Mapping[str, Any]
    untouched: str | None

    def decide(self, purpose: Purpose, form: str, recipient: Recipient | None) -> Decision:
        status = self.statuses[recipient.id][purpose] if recipient else ConsentStatus()
        of_copy = {**self.message, "is_sender": form in self.own, "wanted": self.wanted[purpose]}
        decision = decide(self.rules.facts(purpose, _person(form, recipient), status, self.sender, **of_copy))
        return Decision(on=False, rule=self.untouched) if decision.on and self.untouched else decision


def _person(form: str, recipient: Recipient | None) -> RecipientFacts:
    if recipient is None:
        return RecipientFacts(domain_of(form))
    paused = recipient.paused_at is not None
    return RecipientFacts(domain_of(form), recipient.jurisdiction, recipient.country, recipient.never_track, paused)


def _version(form: str, recipient: Recipient | None) -> str:
    """Which rules were looked at; empty where the country has none of its own."""
    person = _person(form, recipient)
    rules = rules_for(jurisdiction_of(person.declared, person.country, person.domain).code, now().date())
    return rules.version if rules else ""


def _wanted(user: User, draft: Draft) -> Mapping[Purpose, bool]:
    opens = user.track_opens if draft.track_opens is None else draft.track_opens
    links = user.track_links if draft.track_links is None else draft.track_links
    return {Purpose.OPENS: opens, Purpose.CLICKS: links}


def _is_later(draft: Draft) -> bool:
    """Mail for later is not judged by how the tracking host is now; it is looked at again when it leaves."""
    return draft.send_at is not None and draft.send_at > now() + SOON


def _own_addresses(session: Session, users: Sequence[User]) -> dict[int | None, set[str]]:
    """By person, in look-up form."""
    if not users:
        return {}
    own: dict[int | None, set[str]] = {user.id: {user.email} for user in users}
    accounts = select(Account.user_id, Account.address).where(col(Account.user_id).in_(own))
    for user_id, address in session.exec(accounts):
        own[user_id].add(lookup_form(address))
    return own


def recheck_consent(session: Session, context: AppContext, deliveries: Sequence[Delivery]) -> None:
    """Checks queued copies against consent as it is now: what was allowed may have been forbidden since, never the reverse.

    Where their mail goes is noted with it: the judge asks for it.
    """
    fill(session, deliveries)
    rules, unwell = workspace_rules(session, context), bool(host_problem(session))
    senders = senders_of(session, {delivery.message_id for delivery in deliveries})
    recipients = {
        r.id: r
        for r in session.exec(select(Recipient).where(col(Recipient.id).in_([d.recipient_id for d in deliveries])))
    }
    statuses = consent_status_of(session, [id_ for id_ in recipients if id_ is not None])
    for delivery in deliveries:
        recipient = recipients[delivery.recipient_id]
        for purpose in MEASURED:
            status, sender = statuses[delivery.recipient_id][purpose], senders[delivery.message_id]
            facts = rules.facts(purpose, _person(recipient.lookup, recipient), status, sender)
            if getattr(delivery, f"{purpose}_on") and (
                rule := forbidden_by(facts) or ("host_unhealthy" if unwell else None)
            ):
                setattr(delivery, f"{purpose}_on", False)
                setattr(delivery, f"{purpose}_rule", rule)
        session.add(delivery)
