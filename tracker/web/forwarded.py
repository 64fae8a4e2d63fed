"""Whom a request came from when proxies stand before us. Only proxies the operator named are believed."""

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tracker.settings import Network


class Forwarded:
    """ASGI middleware: puts the visitor's address and scheme into the scope. Of any other peer no forwarding header counts."""

    def __init__(self, app: ASGIApp, proxies: Sequence[Network]) -> None:
        self._app = app
        self._proxies = tuple(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope["client"][0] if scope.get("client") else ""
        if self._proxies and scope["type"] == "http" and self._is_proxy(peer):
            headers = Headers(scope=scope)
            scope = {**scope, "client": (self._visitor(peer, headers.getlist("x-forwarded-for")), 0)}
            scheme = headers.get("x-forwarded-proto", "").strip().lower()
            scope["scheme"] = scheme if scheme in ("http", "https") else scope["scheme"]
        await self._app(scope, receive, send)

    def _visitor(self, peer: str, chain: list[str]) -> str:
        """From the right, past our own proxies, to the first address that is not one of them."""
        visitor = peer
        for hop in reversed(",".join(chain).split(",")):
            if plain(hop) is None:
                return visitor
            visitor = hop.strip()
            if not self._is_proxy(visitor):
                return visitor
        return visitor

    def _is_proxy(self, address: str) -> bool:
        found = plain(address)
        return found is not None and any(ip_address(found) in network for network in self._proxies)


def plain(address: str) -> str | None:
    """One spelling per address, IPv4 inside IPv6 as IPv4; None when it is no address."""
    try:
        ip = ip_address(address.strip().strip("[]"))
    except ValueError:
        return None
    return str(ip.ipv4_mapped if isinstance(ip, IPv6Address) and ip.ipv4_mapped else ip)
