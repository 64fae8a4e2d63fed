"""Refusal of forms and calls that another site's page makes with our visitor's cookies.

By what browsers say themselves, without tokens in forms: ``Sec-Fetch-Site`` where it is sent (every browser since 2023),
else ``Origin`` against our own host. A request with neither does not come from a browser and carries nobody's cookies.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

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
