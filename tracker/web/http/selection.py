"""Many rows of a list at once: the action that each row has, in one request and one transaction. What one row refuses stops no
other. Pages: ``selection`` and ``select`` of ``templates/frame/_list.html``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from sqlmodel import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _, localize, ngettext
from tracker.models import User
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.web.http.forms import text
from tracker.web.http.templating import context_of, local_path, redirect

MOST = 200
"""So many rows at once."""
MOST_UNDONE = 100
"""The way to undo it goes through a cookie, which holds no more."""
Subject = TypeVar("Subject")


@dataclass(frozen=True)
class RowAction(Generic[Subject]):
    """What is done with a row, and the name of the action that undoes it, if any does."""

    do: Callable[[Session, Subject, User], object]
    undo: str = ""


def act_on_selection(
    request: Request,
    user: User,
    form: FormData,
    actions: Mapping[str, RowAction[Subject]],
    find: Callable[[Session, User, str], Subject],
    home: str,
) -> Response:
    """Does ``act`` with each row that ``id`` names. Both are in the form or, to undo it, in the address.
    ``back`` is the page to return to."""
    query = request.query_params
    name, ids = text(form, "act") or query.get("act", ""), [*form.getlist("id"), *query.getlist("id")]
    back = local_path(text(form, "back") or query.get("back"), home)
    action = actions.get(name)
    if action is None or not ids:
        return redirect(back, _("Select something first."), kind="problem")
    if len(ids) > MOST:
        return redirect(back, _("Select at most %(most)s at once.", most=MOST), kind="problem")
    done, refusal = list[str](), None
    with context_of(request).database.session_scope() as session:
        for public_id in dict.fromkeys(str(id_) for id_ in ids):
            try:
                with session.begin_nested():
                    action.do(session, find(session, user, public_id), user)
                done.append(public_id)
            except ActionError as error:
                refusal = refusal or error
    return _told(request, done, refusal, action.undo, back)


def _told(request: Request, done: list[str], refusal: ActionError | None, undo: str, back: str) -> Response:
    said = ngettext("%(num)s changed.", "%(num)s changed.", len(done)) if done else ""
    if refusal is not None:
        rest = localize(LocalizedText("Not all: %(reason)s", reason=refusal.sentence)) if done else localize(refusal)
        return redirect(back, f"{said} {rest}".strip(), kind="problem")
    if not undo or len(done) > MOST_UNDONE:
        return redirect(back, said)
    values = [("act", undo), *(("id", public_id) for public_id in done), ("back", back)]
    return redirect(back, said, action=f"{request.url.path}?{urlencode(values)}", action_label=_("Undo"))
