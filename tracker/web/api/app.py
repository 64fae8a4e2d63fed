"""Wiring of the API: every resource, errors, the machine-readable and the readable description."""

import re
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Mount

from tracker.runtime.context import AppContext
from tracker.web.accounts.api import accounts
from tracker.web.api.docs import docs
from tracker.web.api.errors import ProblemResponse, install
from tracker.web.compose.templates_api import templates
from tracker.web.crm.customers_api import customers
from tracker.web.crm.orders_api import orders
from tracker.web.crm.webhooks_api import webhooks
from tracker.web.crm.working_time import working_hours
from tracker.web.http.middleware import NEVER_STORED, DefaultHeaders
from tracker.web.inbox.api import letters
from tracker.web.mailboxes.api import mailboxes
from tracker.web.messages.api import messages
from tracker.web.notifications.api import feed, notifications
from tracker.web.profile.api import me
from tracker.web.recipients.api import recipients
from tracker.web.recipients.rights_api import rights
from tracker.web.reports.api import reports
from tracker.web.sites.api import sites
from tracker.web.sites.reattribution import reattribution
from tracker.web.sites.visits_api import visits

RESOURCES = (
    me,
    accounts,
    messages,
    templates,
    notifications,
    feed,
    rights,
    recipients,
    mailboxes,
    letters,
    customers,
    orders,
    working_hours,
    webhooks,
    sites,
    visits,
    reports,
    reattribution,
    docs,
)
_ABOUT = "Sends tracked one-to-one mail and tells what happened to it. Every call needs `Authorization: Bearer TOKEN`."


class Api(FastAPI):
    """Its description also holds the shape of an error, which no call returns by itself."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            problem = ProblemResponse.model_json_schema(ref_template="#/components/schemas/{model}")
            shapes = document.setdefault("components", {}).setdefault("schemas", {})
            shapes.update(problem.pop("$defs"), ProblemResponse=problem)
        return self.openapi_schema or {}


def create_api(context: AppContext) -> FastAPI:
    """The application of ``/api/v1``, to be mounted there or run alone."""
    api = Api(
        title="Inkling API",
        version="1",
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        middleware=[Middleware(DefaultHeaders, headers=NEVER_STORED)],
    )
    api.state.context = context
    install(api)
    for resource in RESOURCES:
        api.router.routes += resource.routes  # `include_router` would build each of them once more
    return api


def mounted(api: FastAPI) -> Mount:
    """The application at its place. Whatever stands below it is its own, a line break in the path too."""
    mount = Mount("/api/v1", api)
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return mount
