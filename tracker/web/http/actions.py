"""What the forms of pages do: one change in one transaction, then another page that says so, or why not."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import N_, _, localize
from tracker.models import User
from tracker.models.ownership import Owned, owned
from tracker.models.rows import Row
from tracker.runtime.localized_text import ActionError
from tracker.web.http.field_errors import THIS
from tracker.web.http.templating import context_of, redirect


class EarlyResponse(Exception):
    """Ends a handler with this response, from wherever it is raised."""

    def __init__(self, response: Response) -> None:
        self.response = response


@contextmanager
def answering(show: Callable[[ActionError], Response]) -> Iterator[None]:
    """What is refused within is answered by ``show``, and what follows is not done. What is not there is a 404."""
    try:
        yield
    except ActionError as error:
        if error.code == "not_found":
            raise
        raise EarlyResponse(show(error)) from error


@contextmanager
def changing(request: Request, show: Callable[[ActionError], Response]) -> Iterator[Session]:
    """The same in one transaction."""
    with answering(show), context_of(request).database.session_scope() as session:
        yield session


def problem_at(path: str, sentence: str = "%(reason)s") -> Callable[[ActionError], Response]:
    """To that page, which says what was refused, and of which field."""
    return lambda error: redirect(path, sentence % {"reason": _reason(error)}, kind="problem")


_LABELS: Mapping[str, str] = {"name": N_("Name"), "number": N_("Order number"), "status": N_("Status")}


def _reason(error: ActionError) -> str:
    """The sentence; one of "this" field has nothing beside it on another page, so the field is named."""
    label, says_this = _LABELS.get(error.field), error.sentence.startswith(THIS)
    return f"{_(label)}: {localize(error)}" if label and says_this else localize(error)


def named_row(request: Request, user: User, model: type[Owned]) -> Owned:
    """The row of this person that the address names. Raises :class:`ActionError` ``not_found``."""
    with context_of(request).database.reading() as session:
        return owned(session, model, user, request.path_params["id"])


def named_or_none(request: Request, user: User, model: type[Owned]) -> Owned | None:
    """The same; None where the address names none, since a new row is to be made."""
    return named_row(request, user, model) if "id" in request.path_params else None


def perform(
    request: Request, back: str, work: Callable[[Session], object], sentence: str = "", onward: str = "", **undo: Any
) -> Response:
    """Does ``work`` and goes ``onward`` (or ``back``) with the sentence; or ``back``, with that of the :class:`ActionError` it
    raised. What is not there is a 404. A sentence may name columns of the row that ``work`` returns, as ``%(name)s``."""
    with changing(request, problem_at(back)) as session:
        row = work(session)
    return redirect(onward or back, sentence % row.model_dump() if isinstance(row, Row) else sentence, **undo)


def perform_on(
    request: Request,
    user: User,
    model: type[Any],
    back: str,
    work: Callable[[Session, Any], object],
    sentence: str = "",
    onward: str = "",
    **undo: str,
) -> Response:
    """The same with the row of this person that the address names."""

    def on_row(session: Session) -> Row:
        row: Row = owned(session, model, user, request.path_params["id"])
        work(session, row)
        return row

    return perform(request, back, on_row, sentence, onward, **undo)
