"""Writing a message: drafts that save themselves, who will be tracked, and sending."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from babel.dates import format_datetime
from sqlmodel import Session
from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tracker.consent.preferences import operator_ceiling
from tracker.crm.access import find_letter
from tracker.locale import _, babel_locale, localize, zone
from tracker.models import Attachment, Message, MessageState, User
from tracker.models.ownership import find_owned
from tracker.models.rows import public_id
from tracker.outbound.accounts import accounts_of
from tracker.outbound.draft import SendError
from tracker.outbound.message_links import strip_own_tracking
from tracker.outbound.send import enqueue_composed
from tracker.outbound.templates import find_usable, usable
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.limits import MAX_ATTACHMENT_BYTES
from tracker.web.compose.drafts import (
    ComposeForm,
    account_of,
    attach,
    chosen_account,
    detach,
    discard,
    files_of_draft,
    is_blank,
    made_by,
    new_or_made_by,
    read_draft,
    save_draft,
    says_the_same,
    to_send,
)
from tracker.web.compose.pictures import (
    address_of,
    as_sent,
    as_shown,
    find_picture,
    keep_picture,
    kind_of,
    needed,
    take_pictures,
)
from tracker.web.compose.placeholders import fill_message, remember_company, require_complete
from tracker.web.compose.plan import plan_of, request_exchangers
from tracker.web.compose.schedule import at_choice
from tracker.web.compose.start import (
    answer_to,
    answer_to_letter,
    apply_operator_limit,
    as_template,
    blank,
    signature_inner,
    signature_of,
    with_template,
)
from tracker.web.http.middleware import policy
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
FORM_BYTES = MAX_ATTACHMENT_BYTES + 12 * 1024 * 1024

Errors = dict[str, str]


@routes.page("/compose")
def compose(request: Request, user: User) -> Response:
    """An empty form; with ``reply`` an answer to a message, with ``letter`` to a letter, with ``to`` a recipient, with ``template``
    a template's words. Nothing is kept before something is typed."""
    with context_of(request).database.reading() as session:
        typed = apply_operator_limit(operator_ceiling(context_of(request)), _start(session, user, request.query_params))
        return _form(request, session, user, typed, None)


@routes.page("/compose/{draft}")
def compose_draft(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        message = _own_draft(session, user, request.path_params["draft"])
        if message.state != MessageState.DRAFT:
            return redirect(f"/mail/{message.public_id}")
        return _form(request, session, user, read_draft(session, message, user.timezone), message)


@routes.action("/compose/plan", max_bytes=FORM_BYTES)
def compose_plan(request: Request, user: User, form: FormData) -> Response:
    """Who will be tracked, for the form as it stands. Keeps nothing of it."""
    context = context_of(request)
    typed = _typed(context, form)
    request_exchangers(context, typed)
    with context.database.reading() as session:
        plan = plan_of(session, context, user, typed, account_of(session, user, typed.account))
        return render(request, "compose/_compose_plan.html", {"plan": plan, "typed": typed})


@routes.action("/compose/{draft}", max_bytes=FORM_BYTES)
@routes.action("/compose", max_bytes=FORM_BYTES)
def compose_act(request: Request, user: User, form: FormData) -> Response:
    """What the form's button says in ``do``: save, attach, ``detach:<file>``, picture, ``template:<id>``, keep-template, send,
    ``schedule:<choice>``, discard. The form is saved first, whatever it is. ``part`` asks for an answer to a script: ``saved`` and
    ``picture`` (JSON) or ``files`` (the list of files)."""
    typed = _typed(context_of(request), form)
    do = str(form.get("do", "save"))
    with context_of(request).database.session_scope() as session:
        if "draft" in request.path_params:
            draft = _own_draft(session, user, request.path_params["draft"])
        elif do == "discard":
            return _discard(session, made_by(session, user, str(form.get("key", ""))))
        else:
            draft = new_or_made_by(session, user, str(form.get("key", "")))
        session.refresh(draft, with_for_update=True)
        if (
            do == "save"
            and draft.state == MessageState.DRAFT
            and is_blank(typed)
            and not files_of_draft(session, draft)
        ):
            discard(session, draft)
            return _nothing_to_save(request)
        if draft.state != MessageState.DRAFT:
            if "draft" in request.path_params or says_the_same(session, typed, draft):
                return _already_sent(request, draft)
            draft = new_or_made_by(session, user, public_id())  # another message, written in a page gone back to
        if do == "discard":
            return _discard(session, draft)
        typed, do, unknown = _scheduled(session, user, _from_template(session, user, typed, do), do)
        message = save_draft(session, user, typed, draft)
        typed, errors = _files(session, message, typed, form, do)
        errors |= unknown
        if do == "picture" and not errors:
            return _picture(session, message, form)
    if do == "send" and not errors:
        errors = _send(context_of(request), user, typed, message, confirmed="subject_confirmed" in form)
        if not errors:
            return _sent(user, typed, message)
    return _answer(request, user, typed, message, do, errors)


@routes.page("/compose/{draft}/pictures/{picture}")
def compose_picture(request: Request, user: User) -> Response:
    """A picture of the text, for the editor alone: it goes out inside the message."""
    with context_of(request).database.reading() as session:
        message = _own_draft(session, user, request.path_params["draft"])
        picture = find_picture(session, message, request.path_params["picture"])
    kind = kind_of(picture.content) if picture else None
    if picture is None or kind is None:
        raise HTTPException(404)
    headers = {"Content-Security-Policy": "sandbox; default-src 'none'", "Cache-Control": "no-store"}
    return Response(picture.content, media_type=kind, headers=headers)


def _typed(context: AppContext, form: FormData) -> ComposeForm:
    """The form with its text as it would go out: pictures by their Content-ID, nothing of ours in what was pasted or quoted."""
    typed = ComposeForm.from_form(form)
    return replace(typed, html=strip_own_tracking(context, as_sent(typed.html)) or "")


def _from_template(session: Session, user: User, typed: ComposeForm, do: str) -> ComposeForm:
    if do == "keep-template":
        session.add(as_template(typed, user))
    chosen = find_usable(session, user, do.removeprefix("template:")) if do.startswith("template:") else None
    return with_template(typed, chosen) if chosen else typed


def _scheduled(session: Session, user: User, typed: ComposeForm, do: str) -> tuple[ComposeForm, str, Errors]:
    """``schedule:<choice>`` is to send at that time."""
    if not do.startswith("schedule:"):
        return typed, do, {}
    try:
        return at_choice(session, user, typed, do.removeprefix("schedule:")), "send", {}
    except SendError as error:
        return typed, "send", {error.field: localize(error)}


def _picture(session: Session, message: Message, form: FormData) -> Response:
    upload = form.get("picture")
    if not isinstance(upload, UploadFile):
        raise HTTPException(400)
    try:
        picture = keep_picture(session, message, upload.filename or "picture", upload.file.read())
    except SendError as error:
        return JSONResponse({"error": localize(error)}, 422)
    return JSONResponse({"src": address_of(message, picture)})


def _start(session: Session, user: User, query: QueryParams) -> ComposeForm:
    if "letter" in query:
        return answer_to_letter(session, user, find_letter(session, user, query["letter"]))
    reply = query.get("reply", "")
    if reply:
        original = find_owned(session, Message, user, reply)
        if original is None or original.state == MessageState.DRAFT:
            raise HTTPException(404)
        return answer_to(session, user, original)
    typed = replace(blank(session, user), to=query.get("to", "")[:254])
    template = find_usable(session, user, query.get("template", ""))
    return with_template(typed, template) if template else typed


def _own_draft(session: Session, user: User, public_id: str) -> Message:
    message = find_owned(session, Message, user, public_id)
    if message is None:
        raise HTTPException(404)
    return message


def _files(
    session: Session, message: Message, typed: ComposeForm, form: FormData, do: str
) -> tuple[ComposeForm, Errors]:
    uploads = [upload for upload in form.getlist("files") if isinstance(upload, UploadFile) and upload.filename]
    if do.startswith("detach:"):
        detach(session, message, do.removeprefix("detach:"))
    try:
        attach(session, message, uploads)
        return take_pictures(session, message, typed), {}
    except SendError as error:
        return typed, {error.field: localize(error)}


def _send(context: AppContext, user: User, typed: ComposeForm, message: Message, confirmed: bool) -> Errors:
    """Queues the draft; or says at which field it cannot be."""
    if not typed.subject and not confirmed:
        return {"subject": _("The subject is empty. Write one, or press Send again to send it without.")}
    try:
        with context.database.session_scope() as session:
            row = session.get_one(Message, message.id, with_for_update=True)
            if row.state == MessageState.DRAFT:
                filled = require_complete(fill_message(session, user, typed))
                files = needed(filled.html, files_of_draft(session, row))
                enqueue_composed(session, context, user, to_send(session, user, filled, row, files), message=row)
                _remember_choice(session, user, typed)
                remember_company(session, typed)
    except SendError as error:
        return {_FIELDS.get(error.field, error.field): localize(error)}
    return {}


_FIELDS: Mapping[str, str] = {
    "html": "text",
    "message": "text",
    "attachment": "attachments",
    "track.opens": "track",
    "track.links": "track",
}


def _remember_choice(session: Session, user: User, typed: ComposeForm) -> None:
    """The last choice becomes the person's default."""
    row = session.get_one(User, user.id)
    row.track_opens, row.track_links = typed.track_opens, typed.track_links


def _sent(user: User, typed: ComposeForm, message: Message) -> Response:
    until = now().timestamp() + user.undo_seconds if user.undo_seconds and not typed.send_at else 0
    said = _("On its way in a moment.") if user.undo_seconds else _("Waiting to be sent.")
    if typed.send_at:
        said = _("Scheduled. It waits until its time.")
    path = f"/mail/{message.public_id}"
    return redirect(path, said, action=f"{path}/cancellation", action_label=_("Undo"), until=until)


def _nothing_to_save(request: Request) -> Response:
    """What was left untouched, or emptied, is no draft."""
    if request.query_params.get("part") == "saved":
        return JSONResponse({"draft": None, "at": ""})
    return redirect("/compose", _("There is nothing to save yet."))


def _discard(session: Session, message: Message | None) -> Response:
    if message is not None and message.state == MessageState.DRAFT:
        discard(session, message)
    return redirect("/mail", _("The draft is gone."))


def _already_sent(request: Request, message: Message) -> Response:
    if request.query_params.get("part"):
        return JSONResponse({"gone": f"/mail/{message.public_id}"}, 409)
    return redirect(f"/mail/{message.public_id}", _("This message has been sent already."), kind="problem")


def _answer(request: Request, user: User, typed: ComposeForm, message: Message, do: str, errors: Errors) -> Response:
    part = request.query_params.get("part", "")
    with context_of(request).database.reading() as session:
        row = session.get_one(Message, message.id)
        if part == "saved":
            return JSONResponse(
                {"draft": row.public_id, "at": format_datetime(now(), "HH:mm", tzinfo=zone(), locale=babel_locale())}
            )
        if part == "files":
            context = {"files": _attached(session, row), "error": errors.get("attachments", "")}
            return render(request, "compose/_compose_files.html", context, 422 if errors else 200)
        if errors:
            return _form(request, session, user, typed, row, errors)
    if do == "keep-template":
        return redirect(f"/compose/{message.public_id}", _("Kept as a template. You find it in the settings."))
    if do in ("save", "send"):
        return redirect(f"/compose/{message.public_id}", _("Saved."))
    if do.startswith("template:"):
        return redirect(f"/compose/{message.public_id}")
    return redirect(f"/compose/{message.public_id}#files")


def _form(
    request: Request,
    session: Session,
    user: User,
    typed: ComposeForm,
    message: Message | None,
    errors: Errors | None = None,
) -> Response:
    accounts = accounts_of(session, user)
    context: dict[str, Any] = {
        "typed": typed,
        "shown_html": as_shown(typed.html, message),
        "templates": usable(session, user),
        "signatures": {account.public_id: signature_inner(signature_of(user, account)) for account in accounts},
        "draft": message,
        "form_key": public_id(),
        "errors": errors or {},
        "accounts": accounts,
        "files": _attached(session, message) if message else (),
        "plan": plan_of(session, context_of(request), user, typed, chosen_account(accounts, typed.account)),
        "max_bytes": MAX_ATTACHMENT_BYTES,
        "zone": user.timezone,
    }
    response = render(request, "compose/compose.html", context, 422 if errors else 200)
    # What is quoted keeps its colours in the editor; nothing else of our pages' policy is loosened.
    response.headers["Content-Security-Policy"] = policy(style_src_attr="'unsafe-inline'")
    return response


def _attached(session: Session, message: Message) -> list[Attachment]:
    return [file for file in files_of_draft(session, message) if not file.cid]
