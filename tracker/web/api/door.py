"""The way into every call: who is it, is the body one we take. FastAPI reads the body before anything else; we ask first."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import Response

from tracker.limits import MAX_ATTACHMENT_BYTES, MAX_BODY_BYTES
from tracker.web.api.call import Call, recognise
from tracker.web.api.errors import MEDIA_TYPE, Problem, ProblemShape

MEGABYTE = 1024 * 1024
LARGEST = MEGABYTE
"""Bytes of an ordinary body."""
LARGEST_MESSAGE = MAX_ATTACHMENT_BYTES * 4 // 3 + 2 * MAX_BODY_BYTES + 3 * MEGABYTE
"""Bytes of a message: attachments in base64 (RFC 4648: four characters for three bytes), HTML and text, and room to spare."""
MAX_KEY = 255

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Door(APIRoute):
    """A route behind the token. ``openapi_extra={"x-largest-body": bytes}`` lets one take more."""

    def get_route_handler(self) -> _Handler:
        answer = super().get_route_handler()
        largest: int = (self.openapi_extra or {}).get("x-largest-body", LARGEST)

        async def handle(request: Request) -> Response:
            house = request.app.state.house
            user, token = await run_in_threadpool(recognise, house, request.headers.get("authorization"))
            path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
            call = Call(house, user, token, request.method, path, _key(request))
            if request.method != "GET":
                body = await _body(request, largest)
                call = Call(house, user, token, request.method, path, call.key, body)
                request = Request(request.scope, _once(body))
            request.state.call = call
            return await answer(request)

        return handle


def router(tag: str) -> APIRouter:
    """A router of calls that need a token and answer errors as problems."""
    return APIRouter(
        tags=[tag],
        route_class=Door,
        dependencies=[Security(HTTPBearer(auto_error=False, description="An API token, made in the settings."))],
        responses={status: _problem(text) for status, text in _ERRORS.items()},
    )


_ERRORS = {401: "No token, or one that is not valid.", 422: "A field is off; the answer names it."}


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": ProblemShape.model_json_schema()}}}


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key") if request.method == "POST" else None
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise Problem(
            422,
            f"“Idempotency-Key” must have 1 to {MAX_KEY} printable ASCII characters.",
            field="Idempotency-Key",
        )
    return key


async def _body(request: Request, largest: int) -> bytes:
    """The body, if it is small enough and JSON. Raises :class:`Problem` 413 or 415.

    What is too large is read and thrown away up to twice the limit, since most clients listen only once they have sent.
    """
    taken, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > 2 * largest:
            break
        if size <= largest:
            taken += chunk
    if size > largest:
        limit = f"{largest / MEGABYTE:.0f} MB"
        raise Problem(
            413,
            f"The body is larger than {limit}. Files may have {_attachments()} together; send links to larger ones.",
        )
    if taken and not _is_json(request.headers.get("content-type", "")):
        raise Problem(415, "Send the body as JSON with the header “Content-Type: application/json”.")
    return bytes(taken)


def _attachments() -> str:
    return f"{MAX_ATTACHMENT_BYTES // MEGABYTE} MB"


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _once(body: bytes) -> Callable[[], Coroutine[Any, Any, dict[str, Any]]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
