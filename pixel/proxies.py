"""Who the client is: the forwarding chain, walked from the right through proxies we named and no further."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from pixel.environment import Network


class Proxies:
    """The proxies whose `X-Forwarded-For` counts. No other forwarding header is ever read."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)
        self._trusts = lru_cache(4096)(self._find)

    def client(self, peer: str, forwarded_for: Sequence[bytes]) -> str:
        """The nearest address that is not one of our proxies; the last believable one when all of them are."""
        client = plain_address(peer) or ""
        if not self._networks or not self._trusts(client):
            return client
        for hop in reversed(b",".join(forwarded_for).split(b",")):
            address = plain_address(hop.decode("ascii", "replace"))
            if address is None:
                return client
            client = address
            if not self._trusts(client):
                return client
        return client

    def trusts(self, peer: str) -> bool:
        """True when forwarding headers of this peer count."""
        return bool(self._networks) and self._trusts(plain_address(peer) or "")

    def _find(self, client: str) -> bool:
        if not client:
            return False
        address = ip_address(client)
        return any(address in network for network in self._networks if network.version == address.version)


@lru_cache(4096)
def plain_address(text: str) -> str | None:
    """One spelling per address: without port, brackets, zone; IPv4 inside IPv6 as IPv4. None when it is no address."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address)
