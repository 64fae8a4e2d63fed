"""Templates: the list with what each achieved, and writing one."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session, col, or_, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracker.db import now
from tracker.limits import MAX_SUBJECT
from tracker.locale import gettext as _
from tracker.models import Template, User
from tracker.outgoing.placeholders import NAMES, used
from tracker.web.auth import action, page
from tracker.web.drafts import Typed, plain
from tracker.web.forms import Wrong, text, ticked
from tracker.web.mail_rows import Figures, figures_by_template
from tracker.web.merge import label_of
from tracker.web.page import house, redirect, render

HERE = "/settings/templates"
MAX_NAME = 100
MAX_HTML = 400_000
FORM_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class TemplateLine:
    """A template in the list; ``own`` says whether this person may change it."""

    template: Template
    figures: Figures
    own: bool
    owner: str


@page
def templates(request: Request, user: User) -> Response:
    with house(request).database.reading() as session:
        return render(request, "settings_templates.html", {"lines": _lines(session, user)})


@page
def template(request: Request, user: User) -> Response:
    with house(request).database.reading() as session:
        found = _own(session, user, request.path_params["template"])
    return _form(request, found, {})


@page
def new_template(request: Request, user: User) -> Response:
    return _form(request, Template(user_id=user.id or 0, name=""), {})


@action(max_bytes=FORM_BYTES)
def save(request: Request, user: User, form: FormData) -> Response:
    """A new template, or one's own changed. What is wrong stands at its field, and nothing typed is lost."""
    with house(request).database.session_scope() as session:
        public_id = request.path_params.get("template")
        found = _own(session, user, public_id) if public_id else Template(user_id=user.id or 0, name="")
        _fill(found, form)
        wrong = _wrong(found)
        if wrong:
            session.expunge_all()
            return _form(request, found, wrong, 422)
        found.changed_at = now()
        session.add(found)
    return redirect(HERE, _("The template “%(name)s” is saved.") % {"name": found.name})


@action
def remove(request: Request, user: User, form: FormData) -> Response:
    """What was sent with it stays, without the figures."""
    with house(request).database.session_scope() as session:
        found = _own(session, user, request.path_params["template"])
        session.delete(found)
    return redirect(HERE, _("The template “%(name)s” is gone.") % {"name": found.name})


def usable(session: Session, user: User) -> list[Template]:
    """The templates that this person may begin with: their own, and those that colleagues share."""
    mine = or_(col(Template.user_id) == user.id, col(Template.shared))
    return list(session.exec(select(Template).where(mine).order_by(col(Template.name), col(Template.id))))


def find_usable(session: Session, user: User, public_id: str) -> Template | None:
    return next((one for one in usable(session, user) if one.public_id == public_id), None) if public_id else None


def _own(session: Session, user: User, public_id: str) -> Template:
    query = select(Template).where(Template.public_id == public_id, Template.user_id == user.id)
    found = session.exec(query).first()
    if found is None:
        raise HTTPException(404)
    return found


def _lines(session: Session, user: User) -> list[TemplateLine]:
    found = usable(session, user)
    figures = figures_by_template(session, user)
    owners = {
        one.id: one.name for one in session.exec(select(User).where(col(User.id).in_({t.user_id for t in found})))
    }
    none = Figures(0, 0, 0, 0, 0, 0, None)
    return [
        TemplateLine(one, figures.get(one.id or 0, none), one.user_id == user.id, owners.get(one.user_id, ""))
        for one in found
    ]


def _fill(found: Template, form: FormData) -> None:
    typed = Typed.from_form(form)
    found.name, found.subject, found.html = text(form, "name", MAX_NAME + 1), typed.subject, typed.html
    found.shared = ticked(form, "shared")


def _wrong(found: Template) -> Wrong:
    wrong: Wrong = {}
    if not found.name:
        wrong["name"] = _("The name is missing. You choose the template by it.")
    elif len(found.name) > MAX_NAME:
        wrong["name"] = _("The name is too long. Use 100 characters or fewer.")
    if len(found.subject) > MAX_SUBJECT:
        wrong["subject"] = _("The subject is too long. Use 500 characters or fewer.")
    unknown = [name for name in used(found.subject, found.html) if name not in NAMES]
    if not plain(found.html).strip():
        wrong["text"] = _("The template is empty. Write what every message begins with.")
    elif len(found.html) > MAX_HTML:
        wrong["text"] = _("The template is too large. Use smaller pictures, or attach them to the message.")
    elif unknown:
        wrong["text"] = _("{{%(name)s}} is no placeholder. These are: %(known)s.") % {
            "name": unknown[0],
            "known": ", ".join(NAMES),
        }
    return wrong


def _form(request: Request, found: Template, wrong: Mapping[str, str], status: int = 200) -> Response:
    context = {
        "template": found,
        "text": plain(found.html),
        "wrong": wrong,
        "placeholders": [(name, label_of(name)) for name in NAMES],
    }
    return render(request, "settings_template.html", context, status)


routes = [
    Route(HERE, templates),
    Route(f"{HERE}/new", new_template),
    Route(f"{HERE}/new", save, methods=["POST"]),
    Route(HERE + "/{template}", template),
    Route(HERE + "/{template}", save, methods=["POST"]),
    Route(HERE + "/{template}/removal", remove, methods=["POST"]),
]
