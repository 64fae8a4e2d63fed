"""Who of the addressees will be tracked, and by which rule not: consent brought to a message."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from tracker.addresses import Mailbox, domain_of, lookup_form
from tracker.consent import Decision, Facts, Pack, Purpose, State, decide, may_keep
from tracker.db import now
from tracker.ledger import consent_of
from tracker.models import Account, Delivery, Recipient, User
from tracker.mx import families, fill
from tracker.outgoing.draft import Draft
from tracker.outgoing.host_health import BELIEVED, host_problem
from tracker.preferences import preference, workspace_pack


@dataclass(frozen=True)
class Planned:
    """One addressee and what will happen to the copy."""

    mailbox: Mailbox
    role: str
    recipient: Recipient | None
    """None for somebody we never wrote to."""
    opens: Decision
    clicks: Decision
    mx_family: str | None = None
    """Where the recipient's domain gets its mail, as far as that is known."""


def plan_policy(session: Session, user: User, draft: Draft, *, untouched: str | None = None) -> list[Planned]:
    """The policy of every addressee, as it would be frozen now. ``untouched`` is why no copy can be changed, if so.

    Raises :class:`tracker.outgoing.draft.SendError` for an address that cannot be used.
    """
    everybody = draft.addressees()
    known = _known(session, [m.address for _, m in everybody])
    states = consent_of(session, [r.id for r in known.values() if r.id is not None])
    own = _own_addresses(session, user)
    healthy = _is_later(draft) or not host_problem(session)
    exchangers = families(session, [m.address for _, m in everybody])
    planned = []
    for role, mailbox in everybody:
        form = lookup_form(mailbox.address)
        recipient = known.get(form)
        consent = states.get(recipient.id or 0, {}) if recipient else {}
        opens, clicks = (
            _decision(
                session,
                draft,
                wanted,
                recipient,
                consent.get(purpose, State.UNKNOWN),
                len(everybody),
                form in own,
                untouched,
                healthy,
            )
            for purpose, wanted in _wanted(user, draft)
        )
        mx_family = exchangers.get(domain_of(mailbox.address))
        planned.append(Planned(mailbox, role, recipient, opens, clicks, mx_family))
    return planned


def _wanted(user: User, draft: Draft) -> list[tuple[Purpose, bool]]:
    opens = user.track_opens if draft.track_opens is None else draft.track_opens
    links = user.track_links if draft.track_links is None else draft.track_links
    return [(Purpose.OPENS, opens), (Purpose.CLICKS, links)]


def _decision(
    session: Session,
    draft: Draft,
    wanted: bool,
    recipient: Recipient | None,
    state: State,
    recipients: int,
    is_sender: bool,
    untouched: str | None,
    healthy: bool,
) -> Decision:
    decision = decide(
        Facts(
            pack=workspace_pack(session),
            state=state,
            never_track=recipient is not None and recipient.never_track,
            jurisdiction=recipient.jurisdiction if recipient else None,
            wanted=wanted,
            measurable=bool(draft.html) or untouched is not None,
            recipients=recipients,
            recipient_limit=preference(session, "recipient_limit"),
            is_sender=is_sender,
            host_healthy=healthy,
        )
    )
    return Decision(on=False, rule=untouched) if decision.on and untouched else decision


def _is_later(draft: Draft) -> bool:
    """Mail for later is not judged by how the tracking host is now; it is looked at again when it leaves."""
    return draft.send_at is not None and draft.send_at > now() + BELIEVED


def _known(session: Session, addresses: Sequence[str]) -> dict[str, Recipient]:
    forms = [lookup_form(address) for address in addresses]
    rows = session.exec(select(Recipient).where(col(Recipient.lookup).in_(forms)))
    return {row.lookup: row for row in rows}


def _own_addresses(session: Session, user: User) -> set[str]:
    accounts = session.exec(select(Account.address).where(Account.user_id == user.id))
    return {lookup_form(address) for address in accounts} | {user.email}


def tighten(session: Session, deliveries: Sequence[Delivery]) -> None:
    """Checks queued copies against consent as it is now: what was allowed may have been forbidden since, never the reverse.

    Where their mail goes is noted with it: the judge asks for it.
    """
    fill(session, deliveries)
    pack, unwell = workspace_pack(session), bool(host_problem(session))
    recipients = {
        r.id: r
        for r in session.exec(select(Recipient).where(col(Recipient.id).in_([d.recipient_id for d in deliveries])))
    }
    states = consent_of(session, [id_ for id_ in recipients if id_ is not None])
    for delivery in deliveries:
        for purpose, prefix in ((Purpose.OPENS, "opens"), (Purpose.CLICKS, "clicks")):
            state = states[delivery.recipient_id][purpose]
            never = recipients[delivery.recipient_id].never_track
            if not getattr(delivery, f"{prefix}_on"):
                continue
            if not may_keep(True, pack, state, never):
                setattr(delivery, f"{prefix}_on", False)
                setattr(delivery, f"{prefix}_rule", _why_not(pack, state, never))
            elif unwell:
                setattr(delivery, f"{prefix}_on", False)
                setattr(delivery, f"{prefix}_rule", "host_unhealthy")
        session.add(delivery)


def _why_not(pack: Pack, state: State, never_track: bool) -> str:
    if pack == Pack.OFF:
        return "policy_off"
    return "never_track" if never_track else state.value
