"""The connections that a server lets in: how many at once, how many of one source, and which ends where there are too many."""

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Network
from typing import Protocol

from pixel.environment import Network
from pixel.proxies import Proxies, plain_address

_DESCRIPTORS = 65_536
"""File descriptors that a process is given where the system allows it; the usual 1,024 are few for one that listens to mail."""
_DESCRIPTORS_KEPT = 256
"""Those that are never given to visitors: the database, the spool, mail servers."""


@dataclass(frozen=True)
class ServerLimits:
    """What visitors may take. Sizes in bytes, times in seconds."""

    head_bytes: int = 64 * 1024
    """Of request line and headers together: four times what servers usually take, for the longest link that is ever signed."""
    headers: int = 100
    head_seconds: float = 15
    """From the connection, or from the first byte of a further request, to the end of its headers."""
    body_seconds: float = 60
    """From one piece of a body to the next, and of an answer that the visitor does not take."""
    connections: int = 8192
    connections_per_source: int = 2048
    """Of one address, or of the /64 of an IPv6 address; not of a proxy that the operator named."""


def raise_descriptor_limit() -> int:
    """Takes as many file descriptors as the system gives a process like this. Returns how many it may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return _DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def limits_for(descriptors: int) -> ServerLimits:
    """The usual limits, lower where the process has few file descriptors."""
    most = min(ServerLimits.connections, max(64, descriptors - _DESCRIPTORS_KEPT))
    return ServerLimits(connections=most, connections_per_source=max(32, most // 4))


class Guarded(Protocol):
    """A connection that is counted for its source, and ends at once when it is dropped."""

    source: str

    def drop(self) -> None: ...


class ConnectionGuard:
    """The connections of one server, by source. Where there are too many, that one ends which has waited longest without a request:
    a flood of empty connections pushes out its own, and never a visitor who asks for something."""

    def __init__(self, limits: ServerLimits, trusted_proxies: Sequence[Network] = ()) -> None:
        self.limits = limits
        self._proxies = Proxies(trusted_proxies)
        self._number = 0
        self._by_source: dict[str, int] = {}
        self._waiting: dict[Guarded, None] = {}
        """Those in no request, the one that waits longest first."""

    def source_of(self, peer: str) -> str:
        """Whose connections are counted together; empty for a proxy of ours, which brings everybody's."""
        if self._proxies.trusts(peer):
            return ""
        address = plain_address(peer) or peer
        return str(IPv6Network((address, 64), strict=False)) if ":" in address else address

    def enter(self, protocol: Guarded) -> bool:
        """Counts a new connection. False when there is no place for it."""
        if self._is_full(protocol.source) and not self._make_room(protocol.source):
            return False
        self._number += 1
        self._by_source[protocol.source] = self._by_source.get(protocol.source, 0) + 1
        self._waiting[protocol] = None
        return True

    def leave(self, protocol: Guarded) -> None:
        self._number -= 1
        self._waiting.pop(protocol, None)
        left = self._by_source[protocol.source] - 1
        if left:
            self._by_source[protocol.source] = left
        else:
            del self._by_source[protocol.source]

    def waits(self, protocol: Guarded) -> None:
        self._waiting[protocol] = None

    def works(self, protocol: Guarded) -> None:
        self._waiting.pop(protocol, None)

    def _is_full(self, source: str) -> bool:
        return self._number >= self.limits.connections or self._has_enough(source)

    def _has_enough(self, source: str) -> bool:
        return bool(source) and self._by_source.get(source, 0) >= self.limits.connections_per_source

    def _make_room(self, source: str) -> bool:
        """Ends the connection that waits longest: of this source when it has enough, else of the one that has most of them."""
        enough = self._has_enough(source)
        crowd = source if enough else max(self._by_source, key=self._by_source.__getitem__)
        victim = next((waiting for waiting in self._waiting if waiting.source == crowd), None)
        if victim is None and not enough:
            victim = next(iter(self._waiting), None)
        if victim is None:
            return False
        victim.drop()
        return True
