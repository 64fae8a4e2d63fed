"""Errors of the API as ``application/problem+json`` (RFC 9457). No error ever repeats what the caller sent as a value."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tracker.mail.addresses import AddressError
from tracker.outbound.draft import SendError
from tracker.runtime.limits import MAX_ATTACHMENT_BYTES
from tracker.runtime.localized_text import ActionError
from tracker.web.http.field_errors import named, sentence_of

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS = 20


class FieldError(BaseModel):
    """What is wrong with one field; ``field`` is its path in the body (``to.0.address``) or its name in the query."""

    field: str
    code: str
    detail: str


class ProblemResponse(BaseModel):
    """An error, RFC 9457. ``detail`` is a sentence that says what to do; ``errors`` names each field that is off."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


class Problem(Exception):
    """Ends a request with an error. With ``field`` the answer names it."""

    def __init__(
        self, status: int, detail: str, *, field: str = "", code: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = [FieldError(field=field, code=code or "invalid", detail=detail)] if field else []
        self.headers = headers


def not_found(what: str = "There is nothing here.") -> Problem:
    """Also for what exists but is somebody else's: the two look the same."""
    return Problem(404, what)


def install(api: FastAPI) -> None:
    """Makes every error of the application a problem document."""
    answers: Mapping[Any, Callable[[Any], Response]] = {
        Problem: lambda e: problem(e.status, e.detail, e.errors, e.headers),
        ActionError: _action_error,
        HTTPException: _http_error,
        RequestValidationError: _validation_error,
        SendError: lambda e: _field_problem(e.field, e.code, str(e), _TOO_LARGE.get(e.code, 422)),
        AddressError: lambda e: _field_problem("address", e.code, str(e)),
        OperationalError: _database_busy,
        Exception: lambda e: problem(500, "Something went wrong on our side. It was written to the log."),
    }
    for kind, answer in answers.items():
        api.add_exception_handler(kind, _handler(answer))


_TOO_LARGE = {"too_large": 413}
STATUS = {
    "invalid": 422,
    "not_found": 404,
    "forbidden": 403,
    "conflict": 409,
    "too_large": 413,
    "too_many": 429,
    "busy": 503,
}
"""How the web says each code of :class:`ActionError`."""


def _action_error(error: ActionError) -> Response:
    errors = [FieldError(field=field, code=error.detail_code, detail=text) for field, text in error.fields.items()]
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return problem(STATUS[error.code], str(error), errors, headers)


def _handler(answer: Callable[[Any], Response]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        return answer(error)

    return handle


def problem(
    status: int, detail: str, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """The error as an answer."""
    shape = ProblemResponse(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors))
    return Response(shape.model_dump_json(), status, headers, MEDIA_TYPE)


def _field_problem(field: str, code: str, detail: str, status: int = 422) -> Response:
    return problem(status, detail, [FieldError(field=field, code=code, detail=detail)])


_WORDS = {
    400: "The request could not be read.",
    404: "There is nothing at this address. The calls are listed at /api/v1/docs.",
    405: "This address does not answer to that method; the header Allow names those it does.",
    413: f"The body is too large. Files may have {MAX_ATTACHMENT_BYTES // 2**20} MB together; send links to larger ones.",
    429: "That is more at once than one person may have. Try again later.",
}


def _http_error(error: HTTPException) -> Response:
    return problem(error.status_code, _WORDS.get(error.status_code, str(error.detail)), headers=error.headers)


def _database_busy(error: OperationalError) -> Response:
    log.error("The database did not answer", exc_info=error)
    return problem(503, "The database is busy. Try again in a moment.", headers={"Retry-After": "1"})


def _validation_error(error: RequestValidationError) -> Response:
    problems = error.errors()
    if problems and problems[0]["type"] == "json_invalid":
        where, why = problems[0]["loc"][-1], problems[0]["ctx"]["error"]
        return problem(400, f"The body is not JSON: {why} at character {where}.")
    errors = [_field_error(problem) for problem in problems[:MAX_ERRORS]]
    return problem(422, errors[0].detail, errors)


def _field_error(error: Mapping[str, Any]) -> FieldError:
    field = ".".join(str(part) for part in error["loc"][1:] if part != "")[:120]
    if not field:
        missing = error["type"] == "missing"
        text = "The body is missing; it must be a JSON object." if missing else named("body", sentence_of(error))
        return FieldError(field="body", code=error["type"], detail=text)
    return FieldError(field=field, code=error["type"], detail=named(field, sentence_of(error)))
