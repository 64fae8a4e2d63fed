"""What can be done for one recipient's rights: archive, link to their page, freezing, erasure."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _, language
from tracker.models import Recipient, User
from tracker.outbound.consent_request import send_own_link
from tracker.privacy.archive import archive_name, archive_of
from tracker.privacy.erase import erase
from tracker.privacy.restrict import restrict, unrestrict
from tracker.privacy.views import note_view, views_of
from tracker.recipients import look_up
from tracker.runtime.database import now
from tracker.web.http.forms import text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()


@routes.page("/recipients/{who}/rights")
def rights(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        person = look_up(session, request.path_params["who"])
        views = views_of(session, person)[:50]
    return _page(request, person, views, "")


@routes.page("/recipients/{who}/archive")
def archive(request: Request, user: User) -> Response:
    """The ledger and one's own mail with this person; what colleagues wrote goes to the person alone."""
    context = context_of(request)
    with context.database.reading() as session:
        person = look_up(session, request.path_params["who"])
    assert person.id is not None
    note_view(context, user, "export", [person.id])
    headers = {"Content-Disposition": f'attachment; filename="{archive_name(now())}"'}
    return Response(archive_of(context, person, language(), user.id), media_type="application/zip", headers=headers)


@routes.action("/recipients/{who}/own-link")
def mail_link(request: Request, user: User, form: FormData) -> Response:
    with context_of(request).database.session_scope() as session:
        person = look_up(session, request.path_params["who"])
        sent = send_own_link(session, context_of(request), person, language())
    sentence = (
        _("The link to their page is on its way.")
        if sent
        else _("Not sent: one was sent within the hour, or nobody has written to them yet.")
    )
    return redirect(_here(person), sentence, kind="done" if sent else "problem")


@routes.action("/recipients/{who}/restriction")
def restriction(request: Request, user: User, form: FormData) -> Response:
    """``frozen`` on or off."""
    with context_of(request).database.session_scope() as session:
        person = look_up(session, request.path_params["who"])
        if "frozen" in form:
            restrict(session, person)
        else:
            unrestrict(session, person)
    done = (
        _("Frozen: nothing is shown, counted or newly kept.")
        if "frozen" in form
        else _("No longer frozen. They stay on the never-track list until you take them off it.")
    )
    return redirect(_here(person), done)


@routes.admin_action("/recipients/{who}/erasure")
def erasure(request: Request, user: User, form: FormData) -> Response:
    """Needs the address typed again, so that nobody is erased by a slip."""
    context = context_of(request)
    with context.database.reading() as session:
        person = look_up(session, request.path_params["who"])
        views = views_of(session, person)[:50]
    if text(form, "address", 254).lower() != person.address.lower() or person.erased_at is not None:
        return _page(request, person, views, _("Type the address exactly as it stands above. Nothing was erased."), 422)
    receipt = erase(context, person.address, f"user:{user.id}")
    return redirect("/recipients", _("Erased. Receipt %(number)s.", number=receipt.public_id))


def _here(person: Recipient) -> str:
    return f"/recipients/{person.public_id}/rights"


def _page(request: Request, person: Recipient, views: object, wrong: str, status: int = 200) -> Response:
    return render(request, "recipients/privacy_person.html", {"person": person, "views": views, "wrong": wrong}, status)
