"""What the forms of pages do: one change in one transaction, then another page that says so, or why not."""

from collections.abc import Callable
from typing import Any

from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import localize
from tracker.models import User
from tracker.models.ownership import owned
from tracker.models.rows import Row
from tracker.runtime.localized_text import ActionError
from tracker.web.http.templating import context_of, redirect


def perform(
    request: Request, back: str, work: Callable[[Session], object], sentence: str = "", onward: str = "", **undo: str
) -> Response:
    """Does ``work`` and goes ``onward`` (or ``back``) with the sentence; or ``back``, with that of the :class:`ActionError` it
    raised. What is not there is a 404. A sentence may name columns of the row that ``work`` returns, as ``%(name)s``."""
    try:
        with context_of(request).database.session_scope() as session:
            row = work(session)
    except ActionError as error:
        if error.code == "not_found":
            raise
        return redirect(back, localize(error), kind="problem")
    return redirect(onward or back, sentence % row.model_dump() if isinstance(row, Row) else sentence, **undo)


def perform_on(
    request: Request,
    user: User,
    model: type[Any],
    back: str,
    work: Callable[[Session, Any], object],
    sentence: str = "",
    onward: str = "",
) -> Response:
    """The same with the row of this person that the address names."""

    def on_row(session: Session) -> Row:
        row: Row = owned(session, model, user, request.path_params["id"])
        work(session, row)
        return row

    return perform(request, back, on_row, sentence, onward)
