"""``/templates``: what messages begin with, and what each achieved."""

from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlmodel import Session, select
from starlette.responses import Response

from tracker.db import now
from tracker.fields import Body, Line, Shape, Text
from tracker.models import Template
from tracker.outgoing.placeholders import NAMES, used
from tracker.web.api.call import Call, Caller
from tracker.web.api.door import router
from tracker.web.api.errors import Problem, known, not_found
from tracker.web.api.idempotency import once
from tracker.web.api.paging import Listing
from tracker.web.drafts import without_scripts
from tracker.web.mail_rows import Figures, figures_by_template
from tracker.web.templates_page import MAX_HTML, usable

templates = router("Templates")


class FiguresShape(Shape):
    """Counts of one’s own messages. Honest rates: opened of ``measurable``, clicked of ``links``, replied of ``sent``."""

    sent: int
    measurable: int
    opened: int
    links: int
    clicked: int
    replied: int


class TemplateShape(Shape):
    id: str
    name: str
    subject: str
    html: str
    shared: bool
    own: bool
    placeholders: list[str]
    figures: FiguresShape
    changed_at: datetime


class NewTemplate(Body):
    """Subject and text may hold placeholders such as ``{{first_name}}`` or ``{{company|your company}}``."""

    name: Annotated[Line, Field(min_length=1, max_length=100)]
    subject: Annotated[Line, Field(max_length=500)] = ""
    html: Annotated[Text, Field(min_length=1, max_length=MAX_HTML)]
    shared: bool = False


class TemplateChanges(Body):
    """What is left out stays."""

    name: Annotated[Line, Field(min_length=1, max_length=100)] | None = None
    subject: Annotated[Line, Field(max_length=500)] | None = None
    html: Annotated[Text, Field(min_length=1, max_length=MAX_HTML)] | None = None
    shared: bool | None = None


@templates.get("/templates", response_model=Listing[TemplateShape])
def list_templates(call: Caller) -> Listing[TemplateShape]:
    """My templates and those that colleagues share, by name."""
    with call.reading() as session:
        return Listing(items=[_shape(session, call, one) for one in usable(session, call.user)], next=None)


@templates.post("/templates", response_model=TemplateShape, status_code=201)
def post_template(call: Caller, new: NewTemplate) -> Response:
    """A new template."""

    def work(session: Session) -> TemplateShape:
        made = Template(user_id=call.user.id or 0, name=new.name)
        return _changed(session, call, made, new.model_dump())

    return once(call, work, status=201)


@templates.get("/templates/{id}", response_model=TemplateShape)
def get_template(call: Caller, id: str) -> TemplateShape:
    """One of my templates, or one that a colleague shares."""
    with call.reading() as session:
        return _shape(session, call, usable_template(session, call, id))


@templates.patch("/templates/{id}", response_model=TemplateShape)
def patch_template(call: Caller, id: str, changes: TemplateChanges) -> TemplateShape:
    """Changes a template of mine."""
    with call.writing() as session:
        return _changed(session, call, _own(session, call, id), changes.model_dump(exclude_none=True))


@templates.delete("/templates/{id}", status_code=204)
def delete_template(call: Caller, id: str) -> Response:
    """Removes a template of mine. Mail that was sent with it stays."""
    with call.writing() as session:
        session.delete(_own(session, call, id))
    return Response(status_code=204)


def usable_template(session: Session, call: Call, id: str) -> Template:
    found = next((one for one in usable(session, call.user) if one.public_id == known(id)), None)
    if found is None:
        raise not_found("There is no such template.")
    return found


def _own(session: Session, call: Call, id: str) -> Template:
    query = select(Template).where(Template.public_id == known(id), Template.user_id == call.user.id)
    found = session.exec(query).first()
    if found is None:
        raise not_found("There is no such template.")
    return found


def _changed(session: Session, call: Call, template: Template, values: dict[str, object]) -> TemplateShape:
    for name, value in values.items():
        setattr(template, name, without_scripts(str(value)) if name == "html" else value)
    unknown = [name for name in used(template.subject, template.html) if name not in NAMES]
    if unknown:
        text = f"“{{{{{unknown[0]}}}}}” is no placeholder. These are: {', '.join(NAMES)}."
        raise Problem(422, text, field="html", code="placeholder_unknown")
    template.changed_at = now()
    session.add(template)
    session.flush()
    return _shape(session, call, template)


def _shape(session: Session, call: Call, template: Template) -> TemplateShape:
    figures = figures_by_template(session, call.user).get(template.id or 0, Figures(0, 0, 0, 0, 0, 0, None))
    return TemplateShape(
        id=template.public_id,
        own=template.user_id == call.user.id,
        placeholders=list(used(template.subject, template.html)),
        figures=FiguresShape(**{name: getattr(figures, name) for name in FiguresShape.model_fields}),
        **template.model_dump(include={"name", "subject", "html", "shared", "changed_at"}),
    )
