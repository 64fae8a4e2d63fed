"""Error pages: one sentence of what is wrong and one of the way out, in the reader's language, never a trace."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tracker.locale import N_, _, localize, use_locale
from tracker.runtime.localized_text import ActionError
from tracker.web.api.errors import STATUS
from tracker.web.http.middleware import HEADERS
from tracker.web.http.routes import locale_of
from tracker.web.http.sessions import current_user
from tracker.web.http.templating import context_of, render

SENTENCES: Mapping[int, tuple[str, str]] = {
    400: (N_("This request could not be read"), N_("Go back, reload the page and try again.")),
    401: (
        N_("Please sign in"),
        N_("Your session has ended. Sign in again; what you wrote is still in the other window."),
    ),
    403: (N_("You have no access to this page"), N_("Ask an administrator of your workspace if you need it.")),
    404: (N_("Page not found"), N_("The page was moved or removed, or it belongs to somebody else.")),
    409: (N_("This cannot be done now"), N_("Go back, reload the page and try again.")),
    405: (N_("This address is not for that"), N_("Go back, reload the page and try again.")),
    413: (N_("That is too large"), N_("Send less at once: smaller or fewer files.")),
    422: (N_("Something in the form does not fit"), N_("Go back and check what you entered.")),
    429: (N_("Too many attempts"), N_("Wait a few minutes and try again.")),
    500: (N_("Something went wrong on our side"), N_("The error has been noted. Try again in a moment.")),
    503: (N_("Not ready yet"), N_("Try again in a moment.")),
}
CROSS_ORIGIN = N_(
    "Another site’s page tried to do this in your name, so it was refused. Open Inkling itself and do it there."
)


def error_page(request: Request, status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> Response:
    """The page for ``status``; ``detail`` (already in the reader's language) instead of the usual way out."""
    if not hasattr(request.state, "user"):
        request.state.user = _person(request)
    known = status if status in SENTENCES else (500 if status >= 500 else 400)
    with use_locale(*locale_of(request)):
        title, way_out = (_(sentence) for sentence in SENTENCES[known])
        if request.headers.get("sec-fetch-dest") == "empty":
            response: Response = JSONResponse({"title": title, "detail": detail or way_out}, status)
        else:
            response = render(
                request, "frame/error.html", {"status": status, "title": title, "way_out": detail or way_out}, status
            )
    response.headers.update(headers or {})
    return response


def on_http_error(request: Request, error: Exception) -> Response:
    """For ``HTTPException``: its detail is shown when it is a sentence of ours, not the phrase of the status."""
    assert isinstance(error, HTTPException)
    detail = error.detail if error.detail.endswith((".", "!", "?")) else ""
    return error_page(request, error.status_code, detail, error.headers)


def on_action_error(request: Request, error: Exception) -> Response:
    """For an :class:`ActionError` that no form shows beside its field. What is not there gets the page of every 404."""
    assert isinstance(error, ActionError)
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    if not hasattr(request.state, "user"):
        request.state.user = _person(request)
    with use_locale(*locale_of(request)):
        detail = localize(error) if error.code != "not_found" else ""
    return error_page(request, STATUS[error.code], detail, headers)


def on_crash(request: Request, _error: Exception) -> Response:
    """For everything unforeseen. The trace goes to the server's log, not to the visitor."""
    return error_page(request, 500, headers=HEADERS)


def refuse_cross_origin(request: Request) -> Response:
    with use_locale(*locale_of(request)):
        detail = _(CROSS_ORIGIN)
    # Whose cookies came along does not matter here: the page shows nothing of theirs.
    request.state.user = None
    return error_page(request, 403, detail)


def _person(request: Request) -> object:
    try:
        return current_user(context_of(request), request)
    except Exception:
        return None
