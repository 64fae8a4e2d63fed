"""The records of a sending domain, looked up live: all at once, and never for longer than somebody waits for a page."""

import logging
import time

from dns.exception import DNSException
from dns.rdtypes.ANY.TXT import TXT
from dns.resolver import NXDOMAIN, NoAnswer, NoResolverConfiguration

from tracker.mail.addresses import domain_of
from tracker.mail.recipient_mx import is_never_asked, resolver
from tracker.models import Account
from tracker.outbound.sending_domain.advice import Advice, PublishedRecords, advise, find, is_providers_own
from tracker.outbound.sending_domain.dmarc import Dmarc
from tracker.outbound.sending_domain.sending_services import sending_of
from tracker.outbound.sending_domain.spf import Fetch, Records, Spf
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import LocalizedText

log = logging.getLogger(__name__)

TOTAL_SECONDS = 6.0
"""Seconds for everything together; what is not known then counts as not answered."""
LONGEST = 4096


def advice_for(context: AppContext, account: Account) -> list[Advice]:
    """What to tell about the domain of an account. Never raises; takes some seconds at the most."""
    domain, service = domain_of(account.address), sending_of(account.preset)
    if is_providers_own(domain):
        return advise(domain, service, PublishedRecords(Spf(), Dmarc("none"), domain), account.address)
    if is_never_asked(context, domain):
        text = LocalizedText("%(domain)s is not a name of the public internet; nothing was looked up.", domain=domain)
        return [Advice("SPF, DKIM, DMARC", "unknown", text)]
    return advise(domain, service, find(domain, service, fetcher(context)), account.address)


def fetcher(context: AppContext) -> Fetch:
    """Asks DNS, each question once, until :data:`TOTAL_SECONDS` is over."""
    deadline = time.monotonic() + TOTAL_SECONDS
    known: dict[tuple[str, str], Records] = {}

    def fetch(name: str, kind: str) -> Records:
        key = name.lower(), kind
        if key not in known:
            known[key] = _ask(context, name, kind, deadline - time.monotonic())
        return known[key]

    return fetch


def _ask(context: AppContext, name: str, kind: str, left: float) -> Records:
    if left <= 0:
        return Records(problem="no_answer")
    try:
        asking = resolver(context)
        asking.lifetime = min(asking.lifetime, left)
        answer = asking.resolve(f"{name}.", kind, search=False)
    except (NXDOMAIN, NoAnswer):
        return Records(problem="none")
    except (DNSException, NoResolverConfiguration, OSError, ValueError) as error:
        log.info("%s of %s could not be looked up (%s)", kind, name, type(error).__name__)
        return Records(problem="no_answer")
    return Records(tuple(_text(record) for record in answer))


def _text(record: object) -> str:
    """Whatever stands there: a TXT record's strings put together (RFC 7208 section 3.3), anything else as it is written."""
    if isinstance(record, TXT):
        return b"".join(record.strings).decode("ascii", "replace")[:LONGEST]
    return str(record)[:LONGEST]
