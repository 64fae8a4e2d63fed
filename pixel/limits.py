"""Budgets: how many hits of one source, one token and one copy of a message are written down. Answers are never limited."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

MINUTE, DAY = 60.0, 86_400.0
_MAX_KEYS = 50_000


@dataclass(frozen=True)
class Budgets:
    """Hits that are written down, of a source and of a token per minute, of a copy per day; 0 means no limit.

    The default for a source is wide, because a mail provider fetches for all its readers from a few addresses.
    """

    per_source: int = 3000
    per_token: int = 300
    per_copy: int = 1000


class Limits:
    """Counts hits within the current minute and day. The clock is handed in, in seconds."""

    def __init__(self, budgets: Budgets) -> None:
        self._sources = _Window(budgets.per_source, MINUTE)
        self._tokens = _Window(budgets.per_token, MINUTE)
        self._copies = _Window(budgets.per_copy, DAY)

    def allow(self, client: str, token: str, copy: str, now: float) -> bool:
        """True while source, token and copy all have hits left. What one of them refuses costs the others nothing: whoever holds
        a token must not spend what belongs to everybody behind his address."""
        source = source_of(client)
        budgets = [(self._tokens, token), (self._copies, copy)]
        if source is not None:
            budgets.append((self._sources, source))
        if not all(window.has_left(key, now) for window, key in budgets):
            return False
        for window, key in budgets:
            window.spend(key)
        return True


class _Window:
    """Counts per key, forgotten after a time, and when there are so many keys that memory would suffer."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit, self._seconds = limit, seconds
        self._counts: dict[str, int] = {}
        self._ends = 0.0

    def has_left(self, key: str, now: float) -> bool:
        if not self._limit:
            return True
        if now >= self._ends or len(self._counts) >= _MAX_KEYS:
            self._counts.clear()
            self._ends = now + self._seconds
        return self._counts.get(key, 0) < self._limit

    def spend(self, key: str) -> None:
        if self._limit:
            self._counts[key] = self._counts.get(key, 0) + 1


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
