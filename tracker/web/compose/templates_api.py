"""``/templates``: what messages begin with, and what each achieved."""

from datetime import datetime

from pydantic import Field
from sqlmodel import Session
from starlette.responses import Response

from tracker.mail.fields import RequestModel, ResponseModel, SingleLine, Text
from tracker.models import Template
from tracker.models.ownership import owned
from tracker.outbound.placeholders import used
from tracker.outbound.templates import MAX_HTML, MAX_NAME, find_usable, save, usable
from tracker.runtime.limits import MAX_SUBJECT
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.errors import not_found
from tracker.web.api.idempotency import idempotent
from tracker.web.api.paging import Listing
from tracker.web.messages.rows import SentFigures, figures_by_template

templates = router("Templates")


class FiguresResponse(ResponseModel):
    """Counts of one’s own messages. Honest rates: opened of ``measurable``, clicked of ``links``, replied of ``sent``."""

    sent: int
    measurable: int
    opened: int
    links: int
    clicked: int
    replied: int


class TemplateResponse(ResponseModel):
    id: str
    name: str
    subject: str
    html: str
    shared: bool
    own: bool
    placeholders: list[str]
    figures: FiguresResponse
    changed_at: datetime


class NewTemplate(RequestModel):
    """Subject and text may hold placeholders such as ``{{first_name}}`` or ``{{company|your company}}``."""

    name: SingleLine = Field(json_schema_extra={"maxLength": MAX_NAME})
    subject: SingleLine = Field("", json_schema_extra={"maxLength": MAX_SUBJECT})
    html: Text = Field(json_schema_extra={"maxLength": MAX_HTML})
    shared: bool = False


class TemplateChanges(RequestModel):
    """What is left out stays."""

    name: SingleLine | None = None
    subject: SingleLine | None = None
    html: Text | None = None
    shared: bool | None = None


@templates.get("/templates", response_model=Listing[TemplateResponse])
def list_templates(call: Caller) -> Listing[TemplateResponse]:
    """My templates and those that colleagues share, by name."""
    with call.reading() as session:
        return Listing(items=[_shape(session, call, template) for template in usable(session, call.user)], next=None)


@templates.post("/templates", response_model=TemplateResponse, status_code=201)
def post_template(call: Caller, new: NewTemplate) -> Response:
    """A new template."""

    def work(session: Session) -> TemplateResponse:
        made = Template(user_id=call.user.id or 0, name=new.name)
        return _saved(session, call, made, new.model_dump())

    return idempotent(call, work, status=201)


@templates.get("/templates/{id}", response_model=TemplateResponse)
def get_template(call: Caller, id: str) -> TemplateResponse:
    """One of my templates, or one that a colleague shares."""
    with call.reading() as session:
        return _shape(session, call, usable_template(session, call, id))


@templates.patch("/templates/{id}", response_model=TemplateResponse)
def patch_template(call: Caller, id: str, changes: TemplateChanges) -> TemplateResponse:
    """Changes a template of mine."""
    with call.writing() as session:
        return _saved(session, call, owned(session, Template, call.user, id), changes.model_dump(exclude_none=True))


@templates.delete("/templates/{id}", status_code=204)
def delete_template(call: Caller, id: str) -> Response:
    """Removes a template of mine. Mail that was sent with it stays."""
    with call.writing() as session:
        session.delete(owned(session, Template, call.user, id))
    return Response(status_code=204)


def usable_template(session: Session, call: RequestContext, id: str) -> Template:
    template = find_usable(session, call.user, id)
    if template is None:
        raise not_found("There is no such template.")
    return template


def _saved(session: Session, call: RequestContext, template: Template, values: dict[str, object]) -> TemplateResponse:
    save(session, template, values)
    session.flush()
    return _shape(session, call, template)


def _shape(session: Session, call: RequestContext, template: Template) -> TemplateResponse:
    figures = figures_by_template(session, call.user).get(template.id or 0, SentFigures(0, 0, 0, 0, 0, 0, None))
    return TemplateResponse(
        id=template.public_id,
        own=template.user_id == call.user.id,
        placeholders=list(used(template.subject, template.html)),
        figures=FiguresResponse(**{name: getattr(figures, name) for name in FiguresResponse.model_fields}),
        **template.model_dump(include={"name", "subject", "html", "shared", "changed_at"}),
    )
