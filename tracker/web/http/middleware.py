"""What stands around every request: whom it came from behind proxies, whether a page of another site made it, and what a browser
may do with the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


_DIRECTIVES: Mapping[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "manifest-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def policy(**changes: str) -> str:
    """The Content-Security-Policy of our pages with some directives replaced: ``policy(img_src="'self' https:")``."""
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    return "; ".join(f"{name} {value}".strip() for name, value in {**_DIRECTIVES, **changed}.items())


HEADERS = {
    "Content-Security-Policy": policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
NEVER_STORED = {name: HEADERS[name] for name in ("Cache-Control", "X-Content-Type-Options")}
"""For programs: answers are one person's, and of this moment."""
STRICT_TRANSPORT = {"Strict-Transport-Security": "max-age=31536000"}
"""Beside the others when we are reached by HTTPS (RFC 6797)."""


class DefaultHeaders:
    """ASGI middleware: puts ``headers`` on every answer that has none of that name."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


API = "/api/v1/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class CrossOriginProtection:
    """ASGI middleware: ``refuse`` answers a request that changes something and was made by a page of another origin."""

    def __init__(self, app: ASGIApp, base_url: str, refuse: Callable[[Request], Response]) -> None:
        self._app = app
        self._refuse = refuse
        self._own_host = urlsplit(base_url).netloc.lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and not self._is_own(scope):
            await self._refuse(Request(scope))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        # The API knows its callers by the token alone, and a page of another site cannot send one without our leave (CORS), which
        # nobody gets. Other kinds of authorization are added by browsers themselves, and pages are opened by cookies.
        scheme = headers.get("authorization", "").partition(" ")[0].lower()
        if scheme == "bearer" and scope["path"].startswith(API):
            return True
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        origin = headers.get("origin")
        return origin is None or self._is_own_host(origin, headers.get("host", ""))

    def _is_own_host(self, origin: str, host: str) -> bool:
        try:
            netloc = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        return bool(netloc) and netloc in (host.lower(), self._own_host)
