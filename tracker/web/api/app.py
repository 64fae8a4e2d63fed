"""Wiring of the API: every resource, errors, the machine-readable and the readable description."""

from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tracker.house import House
from tracker.web.api.accounts import accounts
from tracker.web.api.consents import consents
from tracker.web.api.docs import docs
from tracker.web.api.errors import install
from tracker.web.api.events import events
from tracker.web.api.feed import feed
from tracker.web.api.letters import letters
from tracker.web.api.mailboxes import mailboxes
from tracker.web.api.me import me
from tracker.web.api.messages import messages
from tracker.web.api.notifications import notifications
from tracker.web.api.recipients import recipients
from tracker.web.api.rights import rights
from tracker.web.api.templates import templates

RESOURCES = (me, accounts, messages, templates, events, notifications, feed, consents, rights, recipients)
_ABOUT = "Sends tracked one-to-one mail and tells what happened to it. Every call needs `Authorization: Bearer TOKEN`."


def create_api(house: House) -> FastAPI:
    """The application of ``/api/v1``, to be mounted there or run alone."""
    api = FastAPI(
        title="Inkling API",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        middleware=[Middleware(NeverStored)],
    )
    api.state.house = house
    install(api)
    for resource in (*RESOURCES, mailboxes, letters):
        api.include_router(resource)
    api.include_router(docs)
    return api


class NeverStored:
    """Answers are one person's, and of this moment."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _with_defaults(message.get("headers", []))}
            await send(message)

        await self.app(scope, receive, sending)


_DEFAULTS = {b"cache-control": b"no-store", b"x-content-type-options": b"nosniff"}


def _with_defaults(headers: Any) -> list[tuple[bytes, bytes]]:
    given = {name.lower() for name, _ in headers}
    return [*headers, *(pair for pair in _DEFAULTS.items() if pair[0] not in given)]
