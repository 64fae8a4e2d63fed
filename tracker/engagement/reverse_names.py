"""Reverse DNS that is worth believing: the name of an address whose own addresses lead back to it."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers, Resolver
from dns.reversename import from_address

from tracker.engagement.judge.ip_ranges import parse_address
from tracker.mail.recipient_mx import resolver
from tracker.runtime.context import AppContext

log = logging.getLogger(__name__)

ANSWER_SECONDS = 1.0
ALL_SECONDS = 2.0
"""How long one server, and all of them together, may take."""
REMEMBERED = 24 * 3600.0
FAILURE_REMEMBERED = 600.0
MOST = 10_000
AT_ONCE = 8
LONGEST_NAME = 255


class NoNameServer(Exception):
    """Nobody answers questions about names: this machine may be offline."""


@dataclass
class ReverseNames:
    """Names by address, remembered in memory for a day: addresses are never written down for this. Safe between threads."""

    context: AppContext
    _known: dict[str, tuple[float, str]] = field(default_factory=dict, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def of(self, addresses: set[str]) -> dict[str, str]:
        """The confirmed name of each address, empty for those that have none. Asks only for what is not remembered.

        Raises :class:`NoNameServer` when not one of the first questions was answered.
        """
        names = {ip: name for ip in addresses if (name := self._remembered(ip)) is not None}
        missing = sorted(addresses - names.keys())
        if not missing:
            return names
        asking = _resolver(self.context)
        answers = _ask(asking, missing[:AT_ONCE])
        if all(answer is None for answer in answers.values()):
            raise NoNameServer
        answers |= _ask(asking, missing[AT_ONCE:])
        self._remember(answers)
        return names | {ip: name or "" for ip, name in answers.items()}

    def _remembered(self, ip: str) -> str | None:
        with self._guard:
            until, name = self._known.get(ip, (0.0, ""))
        return name if until > time.monotonic() else None

    def _remember(self, answers: dict[str, str | None]) -> None:
        moment = time.monotonic()
        with self._guard:
            for ip, name in answers.items():
                seconds = FAILURE_REMEMBERED if name is None else REMEMBERED
                self._known.pop(ip, None)
                self._known[ip] = (moment + seconds, name or "")
            for oldest in list(self._known)[: max(0, len(self._known) - MOST)]:
                del self._known[oldest]


def _ask(resolver: Resolver, addresses: list[str]) -> dict[str, str | None]:
    with ThreadPoolExecutor(AT_ONCE, "reverse names") as pool:
        return dict(zip(addresses, pool.map(lambda ip: confirmed_name(resolver, ip), addresses), strict=True))


def confirmed_name(resolver: Resolver, ip: str) -> str | None:
    """The first name of the address that leads back to it; empty when there is none, None when nobody answered."""
    address = parse_address(ip)
    if address is None:
        return ""
    try:
        pointers = resolver.resolve(from_address(str(address)), "PTR", search=False)
        names = [str(pointer).rstrip(".").lower()[:LONGEST_NAME] for pointer in list(pointers)[:3]]
        return next((name for name in names if _leads_back(resolver, name, address)), "")
    except (NXDOMAIN, NoAnswer):
        return ""
    except NoNameservers:
        return ""  # one that answers, but cannot: the zone is broken, not our line
    except (DNSException, OSError, ValueError):
        return None


def _leads_back(resolver: Resolver, name: str, address: IPv4Address | IPv6Address) -> bool:
    try:
        records = resolver.resolve(f"{name}.", "A" if address.version == 4 else "AAAA", search=False)
    except (NXDOMAIN, NoAnswer, NoNameservers):
        return False
    return any(parse_address(str(record)) == address for record in records)


def _resolver(context: AppContext) -> Resolver:
    try:
        return resolver(context, ANSWER_SECONDS, ALL_SECONDS)
    except (DNSException, OSError):
        raise NoNameServer from None
