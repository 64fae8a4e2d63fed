"""Budgets: how many hits of one source, one token and one copy of a message are written down. Answers are never limited."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from mmap import mmap

MINUTE, DAY = 60.0, 86_400.0
_PLACES = 1 << 14
_LAST_PLACE = _PLACES - 1


@dataclass(frozen=True)
class Budgets:
    """Hits that are written down, of a source and of a token per minute, of a copy per day; 0 means no limit.

    The default for a source is wide, because a mail provider fetches for all its readers from a few addresses.
    """

    per_source: int = 3000
    per_token: int = 300
    per_copy: int = 1000


class Limits:
    """Counts hits within the current minute and day, together with the processes that were forked since. The clock is handed in, in
    seconds."""

    def __init__(self, budgets: Budgets) -> None:
        self._sources = _Window(budgets.per_source, MINUTE)
        self._tokens = _Window(budgets.per_token, MINUTE)
        self._copies = _Window(budgets.per_copy, DAY)

    def allow(self, client: str, token: str, copy: str, now: float) -> bool:
        """True while source, token and copy all have hits left. What one of them refuses costs the others nothing: whoever holds
        a token must not spend what belongs to everybody behind his address."""
        source = source_of(client)
        if not (self._tokens.has_left(token, now) and self._copies.has_left(copy, now)):
            return False
        if source is not None:
            if not self._sources.has_left(source, now):
                return False
            self._sources.spend(source)
        self._tokens.spend(token)
        self._copies.spend(copy)
        return True


class _Window:
    """Counts per key within a time, in memory of a fixed size that the processes forked from this one share.

    Each key counts in one place of each of two rows, and the lower count is its own: two keys would have to meet in both. Counting
    begins anew before so many have been counted that they would.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit, self._seconds = limit, seconds
        self._counts = memoryview(mmap(-1, 2 * _PLACES * 4)).cast("I")
        self._times = memoryview(mmap(-1, 16)).cast("d")
        """When the time is over, and how many were counted in it."""

    def has_left(self, key: str, now: float) -> bool:
        if not self._limit:
            return True
        if now >= self._times[0] or self._times[1] >= _PLACES * max(self._limit // 4, 1):
            self._counts[:] = memoryview(bytes(self._counts.nbytes)).cast("I")
            self._times[0], self._times[1] = now + self._seconds, 0.0
        place = hash(key)
        counts = self._counts
        return counts[place & _LAST_PLACE] < self._limit or counts[(place >> 20 & _LAST_PLACE) + _PLACES] < self._limit

    def spend(self, key: str) -> None:
        if self._limit:
            place = hash(key)
            self._counts[place & _LAST_PLACE] += 1
            self._counts[(place >> 20 & _LAST_PLACE) + _PLACES] += 1
            self._times[1] += 1


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
