"""The pages of sources: what a visit counts for, in which order they are asked."""

import json
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from pixel.source_conditions import FIELDS
from pixel.visit_sources import CHANNELS
from tracker.locale import gettext as _
from tracker.models import SiteSource, User
from tracker.models.ownership import owned, owned_rows
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.sites.inputs import NewSource
from tracker.sites.sites import move, remove_source, save_source
from tracker.sites.source_names import CHANNEL_LABELS, FIELD_LABELS, OPERATOR_LABELS, STANDARD, UNKNOWN_FIELDS
from tracker.web.http.actions import changing, named_row, perform_on
from tracker.web.http.forms import errors_of, parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
SOURCES = "/sites/sources"


@routes.page(SOURCES)
def sources(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        rows = _sources(session, user)
    return render(request, "sites/sources.html", {"sources": rows, "channels": CHANNEL_LABELS})


@routes.page(f"{SOURCES}/new")
def new_source(request: Request, user: User) -> Response:
    return _source_form(request, None, {"name": "", "channel": "ads", "group": "", "conditions": None}, {})


@routes.page(SOURCES + "/{id}")
def source(request: Request, user: User) -> Response:
    row = named_row(request, user, SiteSource)
    return _source_form(request, row, row.model_dump(), {})


@routes.action(SOURCES + "/{id}")
@routes.action(f"{SOURCES}/new")
def save_source_form(request: Request, user: User, form: FormData) -> Response:
    """A new source, or one changed."""
    id, row = request.path_params.get("id"), None
    values: dict[str, Any] = {name: text(form, name) for name in ("name", "channel", "group")}
    with changing(
        request, lambda error: _source_form(request, row, {"conditions": None, **values}, errors_of(error), 422)
    ) as session:
        values["conditions"] = _read_conditions(form)
        row = owned(session, SiteSource, user, id) if id else None
        saved = save_source(session, context_of(request), user, row, parse(NewSource, values))
    return redirect(SOURCES, _("The source “%(name)s” is saved.", name=saved.name))


def _read_conditions(form: FormData) -> dict[str, Any] | None:
    written = text(form, "conditions", 50_000)
    if written:
        try:
            made = json.loads(written)
        except (ValueError, RecursionError):
            made = None
        if not isinstance(made, dict):
            raise ActionError(
                "invalid", LocalizedText("This is not JSON. Take it back, or write it anew."), "conditions"
            )
        return made
    columns = [form.getlist(name) for name in ("field", "operator", "value")]
    parts = [
        {"field": str(field), "operator": str(operator), "value": str(value).strip()}
        for field, operator, value in zip(*columns, strict=False)
        if field and (str(value).strip() or operator in ("empty", "not_empty"))
    ]
    return {"any" if form.get("join") == "any" else "all": parts} if parts else None


def _source_form(
    request: Request, row: SiteSource | None, values: Mapping[str, Any], wrong: Mapping[str, str], status: int = 200
) -> Response:
    conditions = values["conditions"] or {}
    parts: list[dict[str, Any]] = next(iter(conditions.values()), [])
    is_simple = all("field" in part for part in parts)
    chosen = {part.get("field") for part in parts}
    context = {
        "source": row,
        "values": values,
        "wrong": wrong,
        "channels": [(key, _(label)) for key, label in CHANNEL_LABELS.items()],
        "join": next(iter(conditions), "all"),
        "lines": [*(parts if is_simple else []), {}, {}, {}],
        "written": "" if is_simple else json.dumps(conditions, ensure_ascii=False, indent=1),
        "fields": [(name, _(FIELD_LABELS.get(name, name))) for name in sorted(FIELDS - (UNKNOWN_FIELDS - chosen))],
        "operators": [(name, _(label)) for name, label in OPERATOR_LABELS.items()],
    }
    return render(request, "sites/source.html", context, status)


@routes.action(SOURCES + "/{id}/priority")
def move_source(request: Request, user: User, form: FormData) -> Response:
    return moved(request, user, form, SiteSource, SOURCES)


@routes.action(SOURCES + "/{id}/removal")
def remove_source_form(request: Request, user: User, form: FormData) -> Response:
    context, sentence = context_of(request), _("The source “%(name)s” is removed.")
    return perform_on(
        request, user, SiteSource, SOURCES, lambda session, row: remove_source(session, context, user, row), sentence
    )


def _sources(session: Session, user: User) -> list[SiteSource]:
    return list(session.exec(owned_rows(SiteSource, user).order_by(col(SiteSource.position), col(SiteSource.id))))


def source_options(session: Session, user: User) -> list[tuple[str, str]]:
    """What a line or a rule can be for: sources of one's own, standard ones, whole channels."""
    own = [(source.public_id, source.name) for source in _sources(session, user)]
    channels = [(f"channel:{key}", _("All of: %(channel)s", channel=_(CHANNEL_LABELS[key]))) for key in CHANNELS]
    return [*own, *((key, name) for key, (name, _channel) in STANDARD.items()), *channels]


def moved(request: Request, user: User, form: FormData, model: Any, back: str) -> Response:
    """Puts a rule or a source elsewhere in its order."""
    context, where = context_of(request), text(form, "move")
    if where not in ("up", "down", "top", "bottom"):
        return redirect(back)
    return perform_on(request, user, model, back, lambda session, row: move(session, context, user, row, where))
