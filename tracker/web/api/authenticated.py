"""The way into every call: who is it, is the body one we take. FastAPI reads the body before anything else; we ask first."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import Response

from tracker.runtime.limits import MAX_ATTACHMENT_BYTES, MAX_BODY_BYTES
from tracker.web.api.call import authenticate
from tracker.web.api.errors import MEDIA_TYPE
from tracker.web.http.body_limit import limited

LARGEST = 1024 * 1024
"""Bytes of an ordinary body."""
LARGEST_MESSAGE = MAX_ATTACHMENT_BYTES * 4 // 3 + 2 * MAX_BODY_BYTES + 3 * LARGEST
"""Bytes of a message: attachments in base64 (RFC 4648: four characters for three bytes), HTML and text, and room to spare."""

_ERRORS = {
    400: "The request could not be read.",
    401: "No token, or one that is not valid.",
    403: "Your role, or the address, does not allow it.",
    404: "There is nothing of that name, or it is somebody else's.",
    409: "It does not fit what is there now; the answer says why.",
    413: "The body is too large.",
    422: "A field is off; the answer names it.",
    429: "That is more at once than one person may have; `Retry-After` says when to try again.",
    503: "The database is busy or away. Try again.",
}
"""What any call may answer besides what it is for, each as a problem document."""


class AuthenticatedRoute(APIRoute):
    """A route behind the token. ``openapi_extra={"x-largest-body": bytes}`` lets one take more."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()
        largest: int = (self.openapi_extra or {}).get("x-largest-body", LARGEST)

        async def handle(request: Request) -> Response:
            context = request.app.state.context
            request.state.caller = await run_in_threadpool(authenticate, context, request.headers.get("authorization"))
            return await answer(limited(request, largest))

        return handle


def router(tag: str) -> APIRouter:
    """A router of calls that need a token and answer errors as problems."""
    return APIRouter(
        tags=[tag],
        route_class=AuthenticatedRoute,
        dependencies=[Security(HTTPBearer(auto_error=False, description="An API token, made in the settings."))],
        responses={status: _problem(text) for status, text in _ERRORS.items()},
    )


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemResponse"}}}}
