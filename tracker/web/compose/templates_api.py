"""``/templates``: what messages begin with, and what each achieved."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlmodel import Session

from tracker.mail.fields import RequestModel, ResponseModel, SingleLine, Text
from tracker.models import Template
from tracker.outbound.placeholders import used
from tracker.outbound.templates import MAX_HTML, MAX_NAME, find_usable, save, usable
from tracker.runtime.limits import MAX_SUBJECT
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.errors import not_found
from tracker.web.api.paging import Listing
from tracker.web.api.resource import Resource
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


def usable_template(session: Session, call: RequestContext, id: str) -> Template:
    template = find_usable(session, call.user, id)
    if template is None:
        raise not_found("There is no such template.")
    return template


def _save(
    session: Session, call: RequestContext, template: Template | None, change: NewTemplate | TemplateChanges
) -> Template:
    template = template or Template(user_id=call.user.id, name="")
    save(session, template, change.model_dump(exclude_none=True))
    return template


def _shapes(session: Session, call: RequestContext, rows: Sequence[Template]) -> Sequence[TemplateResponse]:
    figures, none = figures_by_template(session, call.user), SentFigures(0, 0, 0, 0, 0, 0, None)
    return [
        TemplateResponse.of_row(
            row,
            own=row.user_id == call.user.id,
            placeholders=list(used(row.subject, row.html)),
            figures=FiguresResponse.of_row(figures.get(row.id, none)),
        )
        for row in rows
    ]


TEMPLATES = Resource(
    plural="templates",
    singular="template",
    model=Template,
    new=NewTemplate,
    change=TemplateChanges,
    response=TemplateResponse,
    show=_shapes,
    see=usable_template,
    save=_save,
    remove=lambda session, call, row: session.delete(row),
    texts=(
        "",
        "One of my templates, or one that a colleague shares.",
        "A new template.",
        "Changes a template of mine.",
        "Removes a template of mine. Mail that was sent with it stays.",
    ),
)


@templates.get("/templates", response_model=Listing[TemplateResponse])
def list_templates(call: Caller) -> Any:
    """My templates and those that colleagues share, by name."""
    with call.reading() as session:
        return TEMPLATES.listed(session, call, usable(session, call.user), None)


TEMPLATES.add_to(templates, with_list=False)
