"""The web role: every address of the product in one table."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount

from tracker.house import House
from tracker.sentences import ActionError
from tracker.web import (
    accounts_page,
    api_tokens,
    asking_page,
    compose,
    consent_account,
    consent_import_page,
    consent_rules,
    domain_page,
    enquiries,
    feed,
    health,
    letter,
    mail,
    mailboxes_page,
    message,
    notifications_page,
    oauth_page,
    own_page,
    people,
    privacy_person,
    privacy_settings,
    profile,
    recipient,
    set_up,
    sign_in,
    signatures_page,
    templates_page,
    test_mail_page,
    workspace_page,
)
from tracker.web.api import create_api
from tracker.web.cross_origin import CrossOriginProtection
from tracker.web.errors import on_action_error, on_crash, on_http_error, refuse_cross_origin
from tracker.web.forwarded import Forwarded
from tracker.web.security_headers import HEADERS, STRICT_TRANSPORT, DefaultHeaders
from tracker.web.static_files import Static

MAX_BODY = 48 * 1024 * 1024
"""No request may have more bytes, wherever it goes: attachments of 25 MB in base64, and their letter."""

_STATIC = Mount("/static", Static(), name="static")
ROUTES: list[BaseRoute] = [
    *mail.routes,
    *message.routes,
    *compose.routes,
    *consent_account.routes,
    *consent_import_page.routes,
    *enquiries.routes,
    *letter.routes,
    *mailboxes_page.routes,
    *recipient.routes,
    *privacy_person.routes,
    *asking_page.routes,
    *notifications_page.routes,
    *own_page.routes,
    *feed.routes,
    *profile.routes,
    *accounts_page.routes,
    *oauth_page.routes,
    *domain_page.routes,
    *test_mail_page.routes,
    *templates_page.routes,
    *signatures_page.routes,
    *api_tokens.routes,
    *people.routes,
    *workspace_page.routes,
    *privacy_settings.routes,
    *consent_rules.routes,
    *health.routes,
    *sign_in.routes,
    *set_up.routes,
    _STATIC,
]


def create_app(house: House) -> Starlette:
    """The web application on a wired house. The database must be at its newest revision."""
    headers = HEADERS | STRICT_TRANSPORT if house.settings.base_url.startswith("https:") else HEADERS
    app = Starlette(
        routes=[*ROUTES, Mount("/api/v1", create_api(house)), *_under_the_tracking_path(house.settings.tracking_path)],
        middleware=[
            Middleware(Forwarded, proxies=house.settings.trusted_proxies),
            Middleware(DefaultHeaders, headers=headers),
            Middleware(CrossOriginProtection, base_url=house.settings.base_url, refuse=refuse_cross_origin),
        ],
        exception_handlers={HTTPException: on_http_error, ActionError: on_action_error, Exception: on_crash},
        max_body_size=MAX_BODY,
    )
    app.state.house = house
    return app


def _under_the_tracking_path(path: str) -> list[BaseRoute]:
    """Recipients' pages once more where their links lead when the tracking address has a path."""
    return [Mount(path, routes=[*own_page.routes, _STATIC])] if path else []
