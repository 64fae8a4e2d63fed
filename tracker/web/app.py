"""The web role: every address of the product in one table."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount, Router

from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError
from tracker.web import health
from tracker.web.accounts import advice_pages, oauth_page
from tracker.web.accounts import pages as accounts_page
from tracker.web.api import create_api, mounted
from tracker.web.compose import pages as compose
from tracker.web.compose import people as compose_people
from tracker.web.compose import signatures_pages as signatures_page
from tracker.web.compose import templates_pages as templates_page
from tracker.web.connect import pages as connect
from tracker.web.crm import csv_pages, enquiry_pages, shops_pages, webhook_pages, working_time
from tracker.web.crm import pages as customers
from tracker.web.http.errors import on_action_error, on_crash, on_http_error, refuse_cross_origin
from tracker.web.http.middleware import (
    HEADERS,
    STRICT_TRANSPORT,
    CrossOriginProtection,
    DefaultHeaders,
    Forwarded,
)
from tracker.web.http.static_files import Static
from tracker.web.inbox import letter_page as letter
from tracker.web.inbox import pages as enquiries
from tracker.web.mailboxes import pages as mailboxes_page
from tracker.web.messages import figures_page as mail_figures
from tracker.web.messages import list_page as mail
from tracker.web.messages import page as message
from tracker.web.messages import selection_page as mail_selection
from tracker.web.notifications import feed
from tracker.web.notifications import pages as notifications_page
from tracker.web.notifications import push_pages as push
from tracker.web.profile import pages as profile
from tracker.web.profile import saved_views as views
from tracker.web.profile import sign_in_page as sign_in
from tracker.web.recipients import consent_request_page as asking_page
from tracker.web.recipients import import_page as consent_import_page
from tracker.web.recipients import pages as recipient
from tracker.web.recipients import preference_page
from tracker.web.recipients import privacy_pages as privacy_person
from tracker.web.reports import pages as report_pages
from tracker.web.search import pages as search
from tracker.web.sites import pages as site_pages
from tracker.web.sites import reattribution, rule_pages, source_pages
from tracker.web.today import pages as today
from tracker.web.workspace import people_pages as people
from tracker.web.workspace import policy_page as workspace_page
from tracker.web.workspace import privacy_pages as privacy_settings
from tracker.web.workspace import set_up_page as set_up

MAX_BODY = 48 * 1024 * 1024
"""No request may have more bytes, wherever it goes: attachments of 25 MB in base64, and their letter."""

_STATIC = Mount("/static", Static(), name="static")
ROUTES: list[BaseRoute] = [
    *views.routes,
    *today.routes,
    *search.routes,
    *mail.routes,
    *mail_selection.routes,
    *mail_figures.routes,
    *message.routes,
    *compose_people.routes,
    *compose.routes,
    *consent_import_page.routes,
    *enquiries.routes,
    *enquiry_pages.routes,
    *csv_pages.routes,
    *report_pages.routes,
    *customers.routes,
    *shops_pages.routes,
    *working_time.routes,
    *webhook_pages.routes,
    *letter.routes,
    *connect.routes,
    *mailboxes_page.routes,
    *site_pages.routes,
    *reattribution.routes,
    *rule_pages.routes,
    *source_pages.routes,
    *recipient.routes,
    *privacy_person.routes,
    *asking_page.routes,
    *notifications_page.routes,
    *push.routes,
    *preference_page.routes,
    *feed.routes,
    *profile.routes,
    *accounts_page.routes,
    *oauth_page.routes,
    *advice_pages.routes,
    *templates_page.routes,
    *signatures_page.routes,
    *people.routes,
    *workspace_page.routes,
    *privacy_settings.routes,
    *health.routes,
    *sign_in.routes,
    *set_up.routes,
    _STATIC,
]


def create_app(context: AppContext) -> Starlette:
    """The web application on a context. The database must be at its newest revision."""
    headers = HEADERS | STRICT_TRANSPORT if context.settings.base_url.startswith("https:") else HEADERS
    app = Starlette(
        routes=[
            *ROUTES,
            mounted(create_api(context)),
            *_under_the_tracking_path(context.settings.tracking_path),
        ],
        middleware=[
            Middleware(Forwarded, proxies=context.settings.trusted_proxies),
            Middleware(DefaultHeaders, headers=headers),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5),
            Middleware(CrossOriginProtection, base_url=context.settings.base_url, refuse=refuse_cross_origin),
        ],
        exception_handlers={HTTPException: on_http_error, ActionError: on_action_error, Exception: on_crash},
        max_body_size=MAX_BODY,
    )
    app.router.redirect_slashes = False  # a redirect would name whatever host the request named
    app.state.context = context
    return app


def _under_the_tracking_path(path: str) -> list[BaseRoute]:
    """Recipients' pages once more where their links lead when the tracking address has a path."""
    return [Mount(path, Router([*preference_page.routes, _STATIC], redirect_slashes=False))] if path else []
