"""The leases of one pool in memory, where they are chosen; the store writes what changed. Pure; times are milliseconds."""

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass

Row = tuple[str, str, int, int]
"""Address, visitor (empty for nobody's), since, until."""


@dataclass(frozen=True, slots=True)
class PoolLease:
    """An address of a pool that is a visitor's until a moment (milliseconds). ``rested`` is False when it was given on early."""

    address: str
    since: int
    until: int
    rested: bool = True


class PoolLeases:
    """Who holds which address of a pool's share, and which was released longest ago."""

    def __init__(self, share: Collection[str], rows: Iterable[Row]) -> None:
        self.share = share
        self.change = 0
        """The newest change in the file that is known here."""
        self._rows = {row[0]: row for row in rows if row[0] in share}
        self.changed = set(share) - self._rows.keys()
        self._rows |= {address: (address, "", 0, 0) for address in self.changed}
        by_end = sorted(self._rows.values(), key=lambda row: row[3])
        self._held = {visitor: address for address, visitor, _, _ in by_end if visitor}
        self._ends = [(until, address) for address, _, _, until in by_end]
        heapq.heapify(self._ends)

    def take(self, visitor: str, at: int, until: int, rested_before: int) -> PoolLease | None:
        """An address for this visitor: the one they have or had, else the one that is free for longest; one that was free after
        ``rested_before`` only when there is no other. None when all are taken."""
        own = self._held.get(visitor)
        if own is not None:
            _, _, since, end = self._rows[own]
            return self._give(visitor, PoolLease(own, since if end > at else at, max(end, until)))
        free = self._longest_free()
        if free is None or free[0] > at:
            return None
        return self._give(visitor, PoolLease(free[1], at, until, free[0] <= rested_before))

    def prolong(self, visitor: str, at: int, until: int) -> None:
        """What the visitor holds is theirs at least until then."""
        own = self._held.get(visitor)
        if own is not None and self._rows[own][3] > at:
            self._give(visitor, PoolLease(own, self._rows[own][2], max(self._rows[own][3], until)))

    def release(self, visitor: str, at: int) -> None:
        """What the visitor has or had is nobody's, to rest from now."""
        own = self._held.pop(visitor, None)
        if own is not None:
            self._set((own, "", self._rows[own][2], min(self._rows[own][3], at)))

    def changed_rows(self) -> list[Row]:
        """What is to be written; asked for once."""
        changed, self.changed = self.changed, set()
        return [self._rows[address] for address in changed]

    def take_over(self, rows: Iterable[Row]) -> None:
        """What another process has changed; nothing of it is to be written."""
        for row in rows:
            address, visitor, _, until = row
            if address not in self._rows:
                continue
            before = self._rows[address][1]
            if self._held.get(before) == address:
                del self._held[before]
            if visitor:
                self._held[visitor] = address
            self._rows[address] = row
            heapq.heappush(self._ends, (until, address))

    def _longest_free(self) -> tuple[int, str] | None:
        while self._ends:
            until, address = self._ends[0]
            if self._rows[address][3] == until:
                return self._ends[0]
            heapq.heappop(self._ends)  # it was given or prolonged since
        return None

    def _give(self, visitor: str, lease: PoolLease) -> PoolLease:
        before = self._rows[lease.address][1]
        if before != visitor:
            self._held.pop(before, None)
        self._held[visitor] = lease.address
        self._set((lease.address, visitor, lease.since, lease.until))
        return lease

    def _set(self, row: Row) -> None:
        self._rows[row[0]] = row
        self.changed.add(row[0])
        heapq.heappush(self._ends, (row[3], row[0]))
        if len(self._ends) > 4 * len(self._rows) + 64:
            self._ends = [(until, address) for address, _, _, until in self._rows.values()]
            heapq.heapify(self._ends)
