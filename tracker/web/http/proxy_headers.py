"""Whom a request came from when proxies stand before us. Only proxies the operator named are believed."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pixel.proxies import Proxies
from tracker.runtime.settings import Network


class Forwarded:
    """ASGI middleware: puts the visitor's address, in its one spelling, and scheme into the scope; no client when the peer has no
    address, such as a socket of this machine. Of a peer that is none of ``proxies`` no forwarding header counts.

    uvicorn's own middleware takes whatever stands in the header for an address, and trusts no IPv4 proxy on an IPv6 socket.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[Network]) -> None:
        self._app = app
        self._proxies = Proxies(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope["client"][0] if scope.get("client") else ""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            chain = [value.encode("latin-1") for value in headers.getlist("x-forwarded-for")]
            address = self._proxies.client(peer, chain)
            scope = {**scope, "client": (address, 0) if address else None}
            scheme = headers.get("x-forwarded-proto", "").strip().lower()
            if scheme in ("http", "https") and self._proxies.trusts(peer):
                scope["scheme"] = scheme
        await self._app(scope, receive, send)
