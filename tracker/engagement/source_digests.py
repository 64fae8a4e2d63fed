"""What stands for a network where its address must not: keyed digests, one purpose each, so that no two can be joined."""

from datetime import date
from functools import lru_cache
from ipaddress import ip_network

from tracker.engagement.judge.ip_ranges import Table, parse_address, same_host_key
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import Keyring

# Behind these stand proxies that nobody declared, machines of one house, or ourselves: they say nothing about who it was.
_NOBODYS = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16
    ::/127 fc00::/7 fe80::/10
"""
NOBODYS = Table(
    "nobodys",
    "2026-11-01",
    "RFC 6890, without the networks for documentation",
    tuple(map(ip_network, _NOBODYS.split())),
)


def network_digest(context: AppContext, ip: str) -> str | None:
    """What a sign-in remembers of where it was seen from: one IPv4 address or IPv6 /64. None for an address that tells nothing."""
    return _digest(context.keyring, "session", ip)


def scanner_digest(context: AppContext, ip: str) -> str | None:
    """What a learned scanner network is known by."""
    return _digest(context.keyring, "scanner", ip)


def source_digest(context: AppContext, ip: str, day: date) -> str | None:
    """What a hit of that day (UTC) keeps of where it came from; another one every day."""
    return _digest(context.keyring, f"hit {day.isoformat()}", ip)


@lru_cache(maxsize=65536)
def meaningful_host(ip: str) -> str | None:
    """The IPv4 address or IPv6 /64 that says who it may have been; None for private networks and for what is no address."""
    address = parse_address(ip)
    if address is None or address in NOBODYS:
        return None
    return same_host_key(ip)


@lru_cache(maxsize=65536)
def _digest(keyring: Keyring, purpose: str, ip: str) -> str | None:
    host = meaningful_host(ip)
    return None if host is None else keyring.digest(f"network {purpose} {host}")[:32]
