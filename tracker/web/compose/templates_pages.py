"""Templates: the list with what each achieved, and writing one."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _
from tracker.models import Template, User
from tracker.models.ownership import owned
from tracker.models.rows import rows_by_id
from tracker.outbound.placeholders import NAMES
from tracker.outbound.rich_text import plain
from tracker.outbound.templates import save as save_template
from tracker.outbound.templates import usable
from tracker.runtime.localized_text import ActionError
from tracker.web.compose.drafts import ComposeForm
from tracker.web.compose.placeholders import label_of
from tracker.web.http.actions import named_row, perform_on
from tracker.web.http.forms import errors_of, is_checked, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.messages.figures import interval
from tracker.web.messages.rows import SentFigures, figures_by_template

routes = Routes()
BASE_PATH = "/settings/templates"
FORM_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class TemplateLine:
    """A template in the list; ``own`` says whether this person may change it."""

    template: Template
    figures: SentFigures
    own: bool
    owner: str


@routes.page(BASE_PATH)
def templates(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        return render(
            request, "compose/settings_templates.html", {"lines": _lines(session, user), "interval": interval}
        )


@routes.page(f"{BASE_PATH}/new")
def new_template(request: Request, user: User) -> Response:
    return _form(request, Template(user_id=user.id, name=""), {})


@routes.page(BASE_PATH + "/{id}")
def template(request: Request, user: User) -> Response:
    return _form(request, named_row(request, user, Template), {})


@routes.action(BASE_PATH + "/{id}", max_bytes=FORM_BYTES)
@routes.action(f"{BASE_PATH}/new", max_bytes=FORM_BYTES)
def save(request: Request, user: User, form: FormData) -> Response:
    """A new template, or one's own changed. What is wrong stands at its field, and nothing typed is lost."""
    public_id, typed = request.path_params.get("id"), ComposeForm.from_form(form)
    values = {
        "name": text(form, "name"),
        "subject": typed.subject,
        "html": typed.html,
        "shared": is_checked(form, "shared"),
    }
    with context_of(request).database.session_scope() as session:
        template = owned(session, Template, user, public_id) if public_id else Template(user_id=user.id, name="")
        try:
            save_template(session, template, values)
        except ActionError as error:
            session.expunge_all()
            wrong = errors_of(error)
            return _form(request, template, {**wrong, "text": wrong.get("html", "")}, 422)
    return redirect(BASE_PATH, _("The template “%(name)s” is saved.", name=template.name))


@routes.action(BASE_PATH + "/{id}/removal")
def remove(request: Request, user: User, form: FormData) -> Response:
    """What was sent with it stays, without the figures."""
    return perform_on(request, user, Template, BASE_PATH, Session.delete, _("The template “%(name)s” is gone."))


def _lines(session: Session, user: User) -> list[TemplateLine]:
    templates = usable(session, user)
    figures = figures_by_template(session, user)
    owners = rows_by_id(session, User, (template.user_id for template in templates))
    none = SentFigures(0, 0, 0, 0, 0, 0, None)
    return [
        TemplateLine(
            template, figures.get(template.id, none), template.user_id == user.id, owners[template.user_id].name
        )
        for template in templates
    ]


def _form(request: Request, template: Template, wrong: Mapping[str, str], status: int = 200) -> Response:
    context = {
        "template": template,
        "text": plain(template.html),
        "wrong": wrong,
        "placeholders": [(name, label_of(name)) for name in NAMES],
    }
    return render(request, "compose/settings_template.html", context, status)
