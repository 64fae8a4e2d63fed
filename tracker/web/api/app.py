"""Wiring of the API: every resource, errors, the machine-readable and the readable description."""

from fastapi import FastAPI
from starlette.middleware import Middleware

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
from tracker.web.security_headers import NEVER_STORED, DefaultHeaders

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
        middleware=[Middleware(DefaultHeaders, headers=NEVER_STORED)],
    )
    api.state.house = house
    install(api)
    for resource in (*RESOURCES, mailboxes, letters):
        api.include_router(resource)
    api.include_router(docs)
    return api
