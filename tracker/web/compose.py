"""Writing a message: drafts that save themselves, who will be tracked, and sending."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from babel.dates import format_datetime
from sqlmodel import Session
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tracker.db import now
from tracker.house import House
from tracker.limits import MAX_ATTACHMENT_BYTES
from tracker.locale import babel_locale, said, zone
from tracker.locale import gettext as _
from tracker.models import Message, MessageState, User
from tracker.outgoing.send import SendError, accept
from tracker.web.auth import action, page
from tracker.web.compose_plan import plan_of, want_exchangers
from tracker.web.compose_start import answer_to, blank, under_ceiling
from tracker.web.drafts import (
    Typed,
    attach,
    detach,
    discard,
    files_of_draft,
    find_draft,
    read_draft,
    save_draft,
    to_send,
)
from tracker.web.mail_rows import accounts_of
from tracker.web.page import house, redirect, render
from tracker.web.security_headers import policy

FORM_BYTES = MAX_ATTACHMENT_BYTES + 12 * 1024 * 1024

Errors = dict[str, str]


@page
def compose(request: Request, user: User) -> Response:
    """An empty form; with ``reply`` an answer to a message, with ``to`` a recipient. Nothing is kept before something is typed."""
    with house(request).database.reading() as session:
        typed = _start(
            session, house(request), user, request.query_params.get("reply", ""), request.query_params.get("to", "")
        )
        return _form(request, session, user, typed, None)


@page
def compose_draft(request: Request, user: User) -> Response:
    with house(request).database.reading() as session:
        message = _own_draft(session, user, request.path_params["draft"])
        if message.state != MessageState.DRAFT:
            return redirect(f"/mail/{message.public_id}")
        return _form(request, session, user, read_draft(session, message, user.timezone), message)


@action(max_bytes=FORM_BYTES)
def compose_act(request: Request, user: User, form: FormData) -> Response:
    """What the form's button says in ``do``: save, attach, ``detach:<file>``, send, discard. The form is saved first,
    whatever it is. ``part`` asks for an answer to a script: ``saved`` (JSON) or ``files`` (the list of files)."""
    typed = Typed.from_form(form)
    do = str(form.get("do", "save"))
    with house(request).database.session_scope() as session:
        found = _own_draft(session, user, request.path_params["draft"]) if "draft" in request.path_params else None
        if found is not None and found.state != MessageState.DRAFT:
            return _already_sent(request, found)
        if do == "discard":
            return _discard(session, found)
        message = save_draft(session, user, typed, found)
        errors = _files(session, message, form, do)
    if do == "send" and not errors:
        errors = _send(house(request), user, typed, message, confirmed="subject_confirmed" in form)
        if not errors:
            return _sent(user, typed, message)
    return _answer(request, user, typed, message, do, errors)


@action
def compose_plan(request: Request, user: User, form: FormData) -> Response:
    """Who will be tracked, for the form as it stands. Keeps nothing of it."""
    typed = Typed.from_form(form)
    here = house(request)
    want_exchangers(here, typed)
    with here.database.reading() as session:
        return render(request, "_compose_plan.html", {"plan": plan_of(session, here, user, typed), "typed": typed})


def _start(session: Session, here: House, user: User, reply: str, to: str) -> Typed:
    if reply:
        original = find_draft(session, user, reply)
        if original is None or original.state == MessageState.DRAFT:
            raise HTTPException(404)
        return under_ceiling(here.ceiling, answer_to(session, user, original))
    return under_ceiling(here.ceiling, replace(blank(user), to=to[:254]))


def _own_draft(session: Session, user: User, public_id: str) -> Message:
    message = find_draft(session, user, public_id)
    if message is None:
        raise HTTPException(404)
    return message


def _files(session: Session, message: Message, form: FormData, do: str) -> Errors:
    uploads = [one for one in form.getlist("files") if isinstance(one, UploadFile) and one.filename]
    if do.startswith("detach:"):
        detach(session, message, do.removeprefix("detach:"))
    try:
        attach(session, message, uploads)
    except SendError as error:
        return {error.field: said(error)}
    return {}


def _send(here: House, user: User, typed: Typed, message: Message, confirmed: bool) -> Errors:
    """Queues the draft; or says at which field it cannot be."""
    if not typed.subject and not confirmed:
        return {"subject": _("The subject is empty. Write one, or press Send again to send it without.")}
    try:
        with here.database.session_scope() as session:
            row = session.get_one(Message, message.id, with_for_update=True)
            if row.state == MessageState.DRAFT:
                accept(session, here, user, to_send(session, user, typed, row), message=row)
                _remember_choice(session, user, typed)
    except SendError as error:
        return {_FIELDS.get(error.field, error.field): said(error)}
    return {}


_FIELDS: Mapping[str, str] = {
    "html": "text",
    "message": "text",
    "attachment": "attachments",
    "track.opens": "track",
    "track.links": "track",
}


def _remember_choice(session: Session, user: User, typed: Typed) -> None:
    """The last choice becomes the person's default."""
    row = session.get_one(User, user.id)
    row.track_opens, row.track_links = typed.track_opens, typed.track_links
    session.add(row)


def _sent(user: User, typed: Typed, message: Message) -> Response:
    undo = {"action": f"/mail/{message.public_id}/cancellation", "action_label": _("Undo")}
    said = _("On its way in a moment.") if user.undo_seconds else _("Handed to the queue.")
    if typed.send_at:
        said = _("Scheduled. It waits until its time.")
    return redirect(f"/mail/{message.public_id}", said, **undo)


def _discard(session: Session, message: Message | None) -> Response:
    if message is not None:
        discard(session, message)
    return redirect("/mail", _("The draft is gone."))


def _already_sent(request: Request, message: Message) -> Response:
    if request.query_params.get("part"):
        return JSONResponse({"gone": f"/mail/{message.public_id}"}, 409)
    return redirect(f"/mail/{message.public_id}", _("This message has been sent already."), kind="problem")


def _answer(request: Request, user: User, typed: Typed, message: Message, do: str, errors: Errors) -> Response:
    part = request.query_params.get("part", "")
    with house(request).database.reading() as session:
        row = session.get_one(Message, message.id)
        if part == "saved":
            return JSONResponse(
                {"draft": row.public_id, "at": format_datetime(now(), "HH:mm", tzinfo=zone(), locale=babel_locale())}
            )
        if part == "files":
            context = {"files": files_of_draft(session, row), "error": errors.get("attachments", "")}
            return render(request, "_compose_files.html", context, 422 if errors else 200)
        if errors:
            return _form(request, session, user, typed, row, errors)
    if do in ("save", "send"):
        return redirect(f"/compose/{message.public_id}", _("Saved."))
    return redirect(f"/compose/{message.public_id}#files")


def _form(
    request: Request, session: Session, user: User, typed: Typed, message: Message | None, errors: Errors | None = None
) -> Response:
    context: dict[str, Any] = {
        "typed": typed,
        "draft": message,
        "errors": errors or {},
        "accounts": accounts_of(session, user),
        "files": files_of_draft(session, message) if message else (),
        "plan": plan_of(session, house(request), user, typed),
        "max_bytes": MAX_ATTACHMENT_BYTES,
        "zone": user.timezone,
    }
    response = render(request, "compose.html", context, 422 if errors else 200)
    # What is quoted keeps its colours in the editor; nothing else of our pages' policy is loosened.
    response.headers["Content-Security-Policy"] = policy(style_src_attr="'unsafe-inline'")
    return response


routes = [
    Route("/compose", compose),
    Route("/compose", compose_act, methods=["POST"]),
    Route("/compose/plan", compose_plan, methods=["POST"]),
    Route("/compose/{draft}", compose_draft),
    Route("/compose/{draft}", compose_act, methods=["POST"]),
]
