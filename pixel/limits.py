"""Budgets: how many hits of one source and one token are written down per minute. Answers are never limited."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

WINDOW = 60.0
_MAX_KEYS = 50_000


@dataclass(frozen=True)
class Budgets:
    """Hits per minute that are written down; 0 means no limit.

    The default for a source is wide, because a mail provider fetches for all its readers from a few addresses.
    """

    per_source: int = 3000
    per_token: int = 300


class Limits:
    """Counts hits within the current minute. The clock is handed in, in seconds."""

    def __init__(self, budgets: Budgets) -> None:
        self._sources = _Window(budgets.per_source)
        self._tokens = _Window(budgets.per_token)

    def allow(self, client: str, token: str, now: float) -> bool:
        """True while both the source and the token have hits left in this minute."""
        source = source_of(client)
        within_source = source is None or self._sources.spend(source, now)
        return self._tokens.spend(token, now) and within_source


class _Window:
    """Counts per key, forgotten every minute, and when there are so many keys that memory would suffer."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}
        self._ends = 0.0

    def spend(self, key: str, now: float) -> bool:
        if not self._limit:
            return True
        if now >= self._ends or len(self._counts) >= _MAX_KEYS:
            self._counts.clear()
            self._ends = now + WINDOW
        spent = self._counts.get(key, 0)
        self._counts[key] = spent + 1
        return spent < self._limit


def source_of(client: str) -> str | None:
    """What counts as one source: an IPv4 address, an IPv6 /64.

    None, which has no budget, for an unknown address and the loopback: there a proxy that nobody named stands for everybody.
    """
    if not client or client.startswith("127.") or client == "::1":
        return None
    if ":" not in client:
        return client
    try:
        address = ip_address(client)
    except ValueError:
        return client
    return str(int(address) >> 64) if isinstance(address, IPv6Address) else client
