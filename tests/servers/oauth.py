"""A real authorisation server: the code flow with PKCE, refresh tokens that rotate, introspection for Dovecot.

with authorisation_server() as server:
    server.address = "alice@seller.example"     # who signs in
    server.down = True; server.revoke(); server.expire()
"""

import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.servers.processes import free_port, wait_until

CLIENT_ID, CLIENT_SECRET = "inkling-test", "s3cret of the client"


@dataclass
class AuthorisationServer:
    """What it does wrong may be changed while it runs; `asked` is every word that came to the token endpoint."""

    url: str
    address: str = "alice@seller.example"
    email_verified: bool = True
    scope: str | None = None  # what the answer says was granted; None: nothing is said
    lifetime: int = 3600
    with_refresh_token: bool = True
    down: bool = False
    client_secret: str = CLIENT_SECRET
    raw_answer: bytes | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    access_tokens: dict[str, str] = field(default_factory=dict)  # token → address

    def settings(self, provider: str = "GOOGLE") -> dict[str, str]:
        """Settings without their INKLING_ prefix."""
        return {
            f"{provider}_CLIENT_ID": CLIENT_ID,
            f"{provider}_CLIENT_SECRET": CLIENT_SECRET,
            f"{provider}_AUTHORIZE_URL": f"{self.url}/authorize",
            f"{provider}_TOKEN_URL": f"{self.url}/token",
        }

    def revoke(self) -> None:
        """The person takes the access back."""
        self.refresh_tokens.clear()
        self.access_tokens.clear()

    def expire(self) -> None:
        """Every access token given so far is over; refresh tokens stay good."""
        self.access_tokens.clear()

    def takes(self, login: str, token: str) -> bool:
        """For mail servers: is this the token of this mailbox?"""
        return self.access_tokens.get(token) == login

    async def authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        wrong = query["client_id"] != CLIENT_ID or query["response_type"] != "code"
        if wrong or query["code_challenge_method"] != "S256" or len(query["code_challenge"]) != 43:
            return HTMLResponse("wrong request", 400)
        allow = token_urlsafe(12)
        self.codes[allow] = query
        back = query["redirect_uri"]
        deny = f"{back}?{urlencode({'error': 'access_denied', 'state': query['state']})}"
        yes = f"{back}?{urlencode({'code': allow, 'state': query['state']})}"
        return HTMLResponse(
            f'<!doctype html><html lang="en"><title>Sign in</title><h1>{self.address}</h1>'
            f'<a id="allow" href="{yes.replace("&", "&amp;")}">Allow</a> '
            f'<a id="deny" href="{deny.replace("&", "&amp;")}">Deny</a>'
        )

    async def token(self, request: Request) -> Response:
        words = {name: str(value) for name, value in (await request.form()).items()}
        self.asked.append(words)
        if self.down:
            return Response("<html>Bad gateway</html>", 502)
        if self.raw_answer is not None:
            return Response(self.raw_answer, media_type="application/json")
        if (words.get("client_id"), words.get("client_secret")) != (CLIENT_ID, self.client_secret):
            return JSONResponse({"error": "invalid_client"}, 401)
        return self._by_code(words) if words["grant_type"] == "authorization_code" else self._by_refresh(words)

    def _by_code(self, words: dict[str, str]) -> Response:
        asked = self.codes.pop(words["code"], None)
        challenge = urlsafe_b64encode(sha256(words["code_verifier"].encode()).digest()).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != words["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = {"email": self.address, "email_verified": self.email_verified}
        id_token = ".".join(("e30", urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("="), "sig"))
        return JSONResponse({**self._tokens(), "id_token": id_token})

    def _by_refresh(self, words: dict[str, str]) -> Response:
        if words["refresh_token"] not in self.refresh_tokens:
            return JSONResponse({"error": "invalid_grant", "error_description": "revoked"}, 400)
        self.refresh_tokens.discard(words["refresh_token"])  # each is good once
        return JSONResponse(self._tokens())

    def _tokens(self) -> dict[str, Any]:
        access, refresh = f"at-{token_urlsafe(24)}", f"rt-{token_urlsafe(24)}"
        self.access_tokens[access] = self.address
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.lifetime}
        if self.scope is not None:
            answer["scope"] = self.scope
        if self.with_refresh_token:
            self.refresh_tokens.add(refresh)
            answer["refresh_token"] = refresh
        return answer

    async def introspect(self, request: Request) -> Response:
        """RFC 7662, as Dovecot asks it."""
        token = str((await request.form()).get("token", ""))
        address = self.access_tokens.get(token)
        return JSONResponse({"active": address is not None, "email": address or "", "username": address or ""})


@contextmanager
def authorisation_server() -> Iterator[AuthorisationServer]:
    """Runs until the end of the block."""
    port = free_port()
    server = AuthorisationServer(f"http://127.0.0.1:{port}")
    routes = [
        Route("/authorize", server.authorize),
        Route("/token", server.token, methods=["POST"]),
        Route("/introspect", server.introspect, methods=["POST"]),
    ]
    running = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=port, log_level="critical"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: running.started)
        yield server
    finally:
        running.should_exit = True
        thread.join(10)
