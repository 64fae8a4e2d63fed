"""Where a recipient's domain gets its mail: looked up by a task, remembered for a week, never while somebody waits."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from dns.exception import DNSException
from dns.rdtypes.ANY.MX import MX
from dns.resolver import NXDOMAIN, NoAnswer, NoResolverConfiguration, Resolver
from sqlalchemy import bindparam, func
from sqlalchemy import select as columns
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select, update

from tracker.mail.addresses import domain_of
from tracker.mail.mail_providers import KNOWN, family
from tracker.models import Delivery, DomainProfile
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import HeldLease, is_free

log = logging.getLogger(__name__)

KEPT = timedelta(days=7)
"""How long an answer is believed, the answer that there is nothing too."""
ANSWER_SECONDS = 2.0
ALL_SECONDS = 5.0
"""How long one server, and all of them together, may take."""
RECENT = 2000
"""So many of the newest copies are told of an answer that came after they left."""

# Names that never exist in the public tree (RFC 6761, 6762, 7686): asking would only tell somebody of them.
_NEVER_ASKED = frozenset({"example", "invalid", "test", "localhost", "local", "onion", "internal"})


@dataclass(frozen=True)
class MxAnswer:
    """What DNS said of a domain. ``problem`` is no_domain, no_mx, no_mail or special; or no_answer, which is asked again."""

    mx_family: str | None = None
    host: str = ""
    problem: str = ""

    @property
    def is_final(self) -> bool:
        return self.problem != "no_answer"


@dataclass(frozen=True)
class KnownDomain:
    """What is known of a domain now; ``is_asked`` where nobody needs to ask the task to look it up (again)."""

    mx_family: str | None
    is_asked: bool


def known_domains(session: Session, addresses: Iterable[str]) -> dict[str, KnownDomain]:
    """By domain, of those among these addresses that anything is known of."""
    domains = {domain_of(address) for address in addresses}
    if not domains:
        return {}
    rows, stale = session.connection().execute(_PROFILES, {"domains": sorted(domains)}), now() - KEPT
    return {
        domain: KnownDomain(family_name, due_at is not None or (looked_up_at is not None and looked_up_at >= stale))
        for domain, family_name, due_at, looked_up_at in rows
    }


_PROFILES = columns(
    *(col(DomainProfile.domain), col(DomainProfile.mx_family)),
    *(col(DomainProfile.due_at), col(DomainProfile.looked_up_at)),
).where(col(DomainProfile.domain).in_(bindparam("domains", expanding=True)))


def request(session: Session, addresses: Iterable[str]) -> None:
    """Asks the task to look up what of these addresses' domains is not known, or was known too long ago."""
    domains = {domain_of(address) for address in addresses}
    known = {p.domain: p for p in session.exec(select(DomainProfile).where(col(DomainProfile.domain).in_(domains)))}
    for domain in sorted(domains - known.keys()):
        _add(session, domain)
    for profile in known.values():
        if profile.due_at is None and (profile.looked_up_at is None or profile.looked_up_at < now() - KEPT):
            profile.due_at = now()


def unknown(session: Session, addresses: Iterable[str]) -> bool:
    """True when nobody has asked yet about one of the domains."""
    domains = {domain_of(address) for address in addresses}
    asked = select(func.count()).select_from(DomainProfile).where(col(DomainProfile.domain).in_(domains))
    return session.exec(asked).one() < len(domains)


def _add(session: Session, domain: str) -> None:
    try:
        with session.begin_nested():
            session.add(DomainProfile(domain=domain))
    except IntegrityError:  # somebody else wrote to the same company at this moment
        log.debug("%s is wanted already", domain)


def fill(session: Session, deliveries: Iterable[Delivery]) -> None:
    """Notes on copies that are about to leave what is known of their recipients' domains."""
    open_ones = [delivery for delivery in deliveries if delivery.mx_family is None]
    known = known_domains(session, [delivery.address for delivery in open_ones])
    for delivery in open_ones:
        if (domain := known.get(domain_of(delivery.address))) is not None:
            delivery.mx_family = domain.mx_family
            session.add(delivery)


def look_up_due(context: AppContext) -> int:
    """Looks up one domain that is due. Returns 1 when there was one, else 0. Holds no transaction while it waits."""
    lease = _claim(context)
    if lease is None:
        return 0
    answer = look_up(context, lease.subject)
    with context.database.session_scope() as session:
        if context.leases.release(session, lease):
            _note(session, lease.subject, answer)
    return 1


def _claim(context: AppContext) -> HeldLease | None:
    due = col(DomainProfile.due_at) <= now()
    following = select(DomainProfile.domain).where(due, is_free("mx", col(DomainProfile.domain), now()))
    following = following.order_by(col(DomainProfile.due_at)).limit(1)
    with context.database.reading() as session:
        domain = session.exec(following).first()
    if domain is None:
        return None
    with context.database.session_scope() as session:
        lease = context.leases.claim(session, "mx", domain)
        still_due = select(DomainProfile.domain).where(DomainProfile.domain == domain, due)
        if lease is not None and session.exec(still_due).first() is None:  # another worker has just looked it up
            context.leases.release(session, lease)
            return None
        return lease


def look_up(context: AppContext, domain: str) -> MxAnswer:
    """The mail exchangers of a domain, the preferred one first (RFC 5321 section 5.1). Never raises."""
    if is_never_asked(context, domain):
        return MxAnswer(problem="special")
    try:
        answer = resolver(context).resolve(f"{domain}.", "MX", search=False)
    except NXDOMAIN:
        return MxAnswer(problem="no_domain")
    except NoAnswer:
        return MxAnswer(problem="no_mx")  # its mail goes to the host of that name
    except (DNSException, NoResolverConfiguration, OSError, ValueError) as error:
        log.info("the mail exchanger of %s could not be looked up (%s)", domain, type(error).__name__)
        return MxAnswer(problem="no_answer")
    return _read([record for record in answer if isinstance(record, MX)])


def is_never_asked(context: AppContext, domain: str) -> bool:
    """Whether it is a name that nobody may be asked for."""
    return domain.rpartition(".")[2] in _NEVER_ASKED and context.name_server is None


def resolver(context: AppContext, answer_seconds: float = ANSWER_SECONDS, all_seconds: float = ALL_SECONDS) -> Resolver:
    """Asks the name server of the context, or of this machine; each server may take so long, and all of them together."""
    resolver = Resolver(configure=context.name_server is None)
    if context.name_server is not None:
        resolver.nameservers, resolver.port = [context.name_server[0]], context.name_server[1]
    resolver.timeout, resolver.lifetime = answer_seconds, all_seconds
    return resolver


def _read(records: list[MX]) -> MxAnswer:
    hosts = [
        record.exchange.to_text(omit_final_dot=True).lower()
        for record in sorted(records, key=lambda record: (record.preference, record.exchange))
    ]
    if hosts in ([], ["."], [""]):  # RFC 7505: this domain takes no mail
        return MxAnswer(problem="no_mail")
    known_family = next((known for host in hosts if (known := family(host)) in KNOWN), None)
    return MxAnswer(known_family, hosts[0][:255])


def _note(session: Session, domain: str, answer: MxAnswer) -> None:
    profile = session.get(DomainProfile, domain, with_for_update=True)
    if profile is None:
        return
    if answer.is_final:
        profile.mx_family, profile.host, profile.problem = answer.mx_family, answer.host, answer.problem
        profile.looked_up_at, profile.due_at, profile.tries = now(), None, 0
    else:  # what was known before is better than nothing
        profile.tries += 1
        profile.problem, profile.due_at = answer.problem, now() + _pause(profile.tries)
    if answer.mx_family is not None:
        _tell_copies(session, domain, answer.mx_family)


def _pause(tries: int) -> timedelta:
    minutes = 5 * 2 ** min(tries - 1, 12)
    return timedelta(minutes=min(minutes, 24 * 60))


def _tell_copies(session: Session, domain: str, mx_family: str) -> None:
    """Copies that left before the answer came; verdicts are judged again as long as there is evidence."""
    newest = session.exec(select(func.max(Delivery.id))).one() or 0
    recent = (col(Delivery.id) > newest - RECENT) & col(Delivery.mx_family).is_(None)
    there = func.lower(col(Delivery.address)).endswith(f"@{domain}", autoescape=True)
    session.exec(update(Delivery).where(recent, there).values(mx_family=mx_family))
