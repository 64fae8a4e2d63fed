"""What lets a browser be told of news while no page is open: its subscription, its worker, and the manifest to install by."""

from sqlmodel import Session, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from tracker.models import User, UserSession
from tracker.notifications.push import NewPushSubscription, push_key, subscribe, unsubscribe
from tracker.notifications.push_encryption import point_of, to_base64url
from tracker.runtime.keyring import token_digest
from tracker.web.http.forms import parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.sessions import session_token_of
from tracker.web.http.static_files import FOLDER, static_url
from tracker.web.http.templating import context_of

routes = Routes()
_AGAIN_EACH_TIME = {"Cache-Control": "no-cache"}
SHEET = "#ffffff"
"""The colour around us while we begin: that of a sheet in ``ink.css``."""


@routes.action("/push/key")
def key(request: Request, user: User, form: FormData) -> Response:
    """The key to subscribe with; made when somebody asks for the first time."""
    context = context_of(request)
    with context.database.session_scope() as session:
        return JSONResponse({"key": to_base64url(point_of(push_key(session, context)))})


@routes.action("/push/subscriptions")
def subscription(request: Request, user: User, form: FormData) -> Response:
    """``endpoint``, ``p256dh`` and ``auth`` of this browser."""
    context = context_of(request)
    new = parse(NewPushSubscription, form)
    with context.database.session_scope() as session:
        subscribe(session, context, user, _sign_in(session, request), new)
    return Response(status_code=204)


@routes.action("/push/subscriptions/removal")
def removal(request: Request, user: User, form: FormData) -> Response:
    with context_of(request).database.session_scope() as session:
        unsubscribe(session, text(form, "endpoint", 2000))
    return Response(status_code=204)


def _sign_in(session: Session, request: Request) -> UserSession:
    digest = token_digest(session_token_of(context_of(request), request))
    return session.exec(select(UserSession).where(UserSession.token_digest == digest)).one()


@routes.public_page("/service-worker.js")
def service_worker(request: Request) -> Response:
    """At the top, for a worker speaks for the addresses below its own."""
    return FileResponse(FOLDER / "service_worker.js", media_type="text/javascript", headers=_AGAIN_EACH_TIME)


@routes.public_page("/manifest.webmanifest")
def manifest(request: Request) -> Response:
    """What a system needs to know to install us as a program (W3C Web Application Manifest)."""
    icons = [
        {"src": static_url("favicon.svg"), "type": "image/svg+xml", "sizes": "any"},
        *(
            {"src": static_url(f"icon-{size}.png"), "type": "image/png", "sizes": f"{size}x{size}", "purpose": purpose}
            for size in (192, 512)
            for purpose in ("any", "maskable")
        ),
    ]
    words = {
        "id": "/",
        "name": "Inkling",
        "short_name": "Inkling",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "theme_color": SHEET,
        "background_color": SHEET,
        "icons": icons,
    }
    return JSONResponse(words, media_type="application/manifest+json", headers=_AGAIN_EACH_TIME)
