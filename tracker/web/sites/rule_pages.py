"""The pages of rules and sources: who sees which address, in which order, and what a visit would get."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from pixel.source_conditions import FIELDS, OPERATORS
from pixel.visit_sources import CHANNELS
from tracker.inbound.probe import send_probe
from tracker.locale import gettext as _
from tracker.locale import localize
from tracker.models import Mailbox, Role, Site, SiteBlock, SiteRule, SiteSource, User
from tracker.models.ownership import owned, owned_rows
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.sites.coverage import MOST_SHORT_CODES, coverage_of, pool_size
from tracker.sites.inputs import NewRule, NewSource, PreviewVisit, RuleChange
from tracker.sites.preview import Preview, preview
from tracker.sites.publishing import lease_minutes
from tracker.sites.rules import NEEDS_PROBE, remove_rule, save_rule, warnings_of
from tracker.sites.sites import move, remove_source, save_source
from tracker.sites.source_names import CHANNEL_LABELS, STANDARD
from tracker.web.http.forms import errors_of, parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.http.throttle import test_mails
from tracker.web.sites.pages import all_of

routes = Routes()
RULES, SOURCES = "/sites/rules", "/sites/sources"
_MORE_LINES = 2


@routes.page(RULES)
def rules(request: Request, user: User) -> Response:
    words, state = request.query_params.get("q", ""), request.query_params.get("state", "")
    with context_of(request).database.reading() as session:
        rows = _rules(session, user)
        shown = [
            (
                row,
                coverage_of(session, row) if row.tracking_type == "dynamic" else None,
                warnings_of(session, user, row),
            )
            for row in rows
            if words.lower() in f"{row.name} {row.description}".lower() and state in ("", row.state)
        ]
    return render(request, "sites/rules.html", {"rules": shown, "all": len(rows), "q": words, "state": state})


@routes.page(f"{RULES}/new")
def new_rule(request: Request, user: User) -> Response:
    blank = {
        "rule_type": "site_emails",
        "tracking_type": "dynamic",
        "substitution_type": "auto_generation",
        "traffic_type": "all",
    }
    with context_of(request).database.reading() as session:
        blocks = [one.public_id for one in all_of(session, SiteBlock, user)]
        mailboxes = [one.public_id for one in all_of(session, Mailbox, user)]
    only = {
        "blocks": blocks if len(blocks) == 1 else [],
        "email_account": mailboxes[0] if len(mailboxes) == 1 else None,
    }
    pools = [{**only, "addresses": []}]
    settings: dict[str, Any] = {
        "static_settings": [],
        "external_settings": [],
        "dynamic_settings": pools,
        "sources": [],
    }
    values = {
        **blank,
        **settings,
        "name": "",
        "description": "",
        "state": "draft",
        "lease_minutes": None,
        "rest_days": 7,
    }
    return _rule_form(request, user, None, values, {})


@routes.page(RULES + "/{id}")
def rule(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        row = owned(session, SiteRule, user, request.path_params["id"])
    return _rule_form(request, user, row, row.model_dump(), {})


@routes.action(RULES + "/{id}")
@routes.action(f"{RULES}/new")
def save(request: Request, user: User, form: FormData) -> Response:
    """A new rule, or one changed. What is wrong stands at its field, and nothing typed is lost."""
    id, row = request.path_params.get("id"), None
    values = _read_rule(form)
    if "more" in form:  # another empty line, without saving
        with context_of(request).database.reading() as session:
            row = owned(session, SiteRule, user, id) if id else None
        return _rule_form(request, user, row, values, {}, more=6)
    try:
        with context_of(request).database.session_scope() as session:
            row = owned(session, SiteRule, user, id) if id else None
            saved = save_rule(session, context_of(request), user, row, parse(NewRule, values))
    except ActionError as error:
        if error.detail_code == NEEDS_PROBE and values["state"] == "active" and not _is_active(request, user, id):
            return _save_untested(request, user, id, values)
        with context_of(request).database.reading() as session:
            row = owned(session, SiteRule, user, id) if id else None
        return _rule_form(request, user, row, values, errors_of(error), 422)
    return redirect(RULES, _("The rule “%(name)s” is saved.", name=saved.name))


def _is_active(request: Request, user: User, id: str | None) -> bool:
    with context_of(request).database.reading() as session:
        return id is not None and owned(session, SiteRule, user, id).state == "active"


def _save_untested(request: Request, user: User, id: str | None, values: dict[str, Any]) -> Response:
    """All that is missing is the test letter: the rule is kept as a draft, and its page offers to send one."""
    with context_of(request).database.session_scope() as session:
        row = owned(session, SiteRule, user, id) if id else None
        saved = save_rule(session, context_of(request), user, row, parse(NewRule, {**values, "state": "draft"}))
    text = _("The rule “%(name)s” is saved as a draft. One test letter, and it can be switched on.", name=saved.name)
    return redirect(f"{RULES}/{saved.public_id}#probe", text)


@routes.action(RULES + "/{id}/probe")
def send_test_letter(request: Request, user: User, form: FormData) -> Response:
    back = f"{RULES}/{request.path_params['id']}#probe"
    try:
        test_mails.take(user)
        send_probe(context_of(request), user, request.path_params["id"])
    except ActionError as error:
        return redirect(back, localize(error), kind="problem")
    return redirect(back)


@routes.action(RULES + "/{id}/activation")
def activate(request: Request, user: User, form: FormData) -> Response:
    """Switches a draft on as it stands."""
    back = f"{RULES}/{request.path_params['id']}"
    try:
        with context_of(request).database.session_scope() as session:
            row = owned(session, SiteRule, user, request.path_params["id"])
            save_rule(session, context_of(request), user, row, RuleChange(state="active"))
    except ActionError as error:
        return redirect(back, localize(error), kind="problem")
    return redirect(RULES, _("The rule “%(name)s” is switched on.", name=row.name))


def _read_rule(form: FormData) -> dict[str, Any]:
    """The form as the API has it: what belongs to another kind of rule is left out."""
    values: dict[str, Any] = {
        name: text(form, name, 2000) for name in ("name", "description", "rule_type", "state", "traffic_type")
    }
    external = values["rule_type"] == "external_area"
    tracking = "static" if external else text(form, "tracking_type")
    values |= {
        "tracking_type": tracking,
        "static_settings": [],
        "external_settings": [],
        "dynamic_settings": [],
        "sources": [],
    }
    values["substitution_type"] = text(form, "substitution_type") if tracking == "dynamic" else None
    values["rest_days"] = text(form, "rest_days") or "7"
    values["lease_minutes"] = text(form, "lease_minutes") or None
    if external:
        values["traffic_type"], values["external_settings"] = (
            "all",
            _lines(form, "external", ("address", "email_account", "source")),
        )
    elif tracking == "static":
        values["traffic_type"] = "all"
        values["static_settings"] = _lines(
            form, "static", ("blocks", "address", "email_account", "source", "default_source")
        )
    else:
        manual = values["substitution_type"] == "manual_pool"
        pool: dict[str, Any] = {
            "blocks": [str(one) for one in form.getlist("pool_blocks")],
            "email_account": text(form, "pool_email_account") or None,
            "addresses": text(form, "pool_addresses", 700_000).split() if manual else [],
        }
        values["dynamic_settings"] = [pool] if pool["blocks"] or pool["email_account"] else []
        if values["traffic_type"] == "custom_sources":
            values["sources"] = [str(one) for one in form.getlist("sources")]
    if form.get("probe") == "skip":
        values["probe"] = "skip"
    return values


def _lines(form: FormData, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    columns = {name: [str(one).strip() for one in form.getlist(f"{kind}_{name}")] for name in names}
    made = []
    for number in range(max(map(len, columns.values()), default=0)):
        line: dict[str, Any] = {
            name: (column[number] if number < len(column) else "") or None for name, column in columns.items()
        }
        if "blocks" in line:
            line["blocks"] = [line["blocks"]] if line["blocks"] else []
        if line.get("address") or line.get("default_source") or (kind == "external" and line.get("source")):
            made.append(line)
    return made


@routes.action(RULES + "/{id}/removal")
def remove(request: Request, user: User, form: FormData) -> Response:
    with context_of(request).database.session_scope() as session:
        row = owned(session, SiteRule, user, request.path_params["id"])
        remove_rule(session, context_of(request), row)
    return redirect(
        RULES, _("The rule “%(name)s” is removed. Letters to its addresses keep their source.", name=row.name)
    )


@routes.action(RULES + "/{id}/priority")
def move_rule(request: Request, user: User, form: FormData) -> Response:
    return _moved(request, user, form, SiteRule, RULES)


def _moved(request: Request, user: User, form: FormData, model: Any, back: str) -> Response:
    where = text(form, "move")
    if where in ("up", "down", "top", "bottom"):
        with context_of(request).database.session_scope() as session:
            move(session, context_of(request), user, owned(session, model, user, request.path_params["id"]), where)
    return redirect(back)


def _rules(session: Session, user: User) -> list[SiteRule]:
    return list(session.exec(owned_rows(SiteRule, user).order_by(col(SiteRule.position), col(SiteRule.id))))


def _sources(session: Session, user: User) -> list[SiteSource]:
    return list(session.exec(owned_rows(SiteSource, user).order_by(col(SiteSource.position), col(SiteSource.id))))


def source_options(session: Session, user: User) -> list[tuple[str, str]]:
    """What a line or a rule can be for: sources of one's own, standard ones, whole channels."""
    own = [(one.public_id, one.name) for one in _sources(session, user)]
    channels = [(f"channel:{key}", _("All of: %(channel)s", channel=_(CHANNEL_LABELS[key]))) for key in CHANNELS]
    return [*own, *((key, name) for key, (name, _channel) in STANDARD.items()), *channels]


def _rule_form(
    request: Request,
    user: User,
    row: SiteRule | None,
    values: Mapping[str, Any],
    wrong: Mapping[str, str],
    status: int = 200,
    *,
    more: int = _MORE_LINES,
) -> Response:
    with context_of(request).database.reading() as session:
        options = source_options(session, user)
        blocks = [(one.public_id, one.name) for one in all_of(session, SiteBlock, user)]
        mailboxes = [(one.public_id, one.address) for one in all_of(session, Mailbox, user)]
        coverage = coverage_of(session, row) if row is not None and row.tracking_type == "dynamic" else None
        warnings = warnings_of(session, user, row) if row is not None else []
    pool: Mapping[str, Any] = next(
        iter(values["dynamic_settings"]), {"blocks": [], "email_account": None, "addresses": []}
    )
    lease = lease_minutes(row) if row is not None else 10_080
    visits = request.query_params.get("visits", "")
    context = {
        "rule": row,
        "values": values,
        "wrong": wrong,
        "options": options,
        "blocks": blocks,
        "mailboxes": mailboxes,
        "pool": pool,
        "static_lines": [*values["static_settings"], *([{}] * more)],
        "external_lines": [*values["external_settings"], *([{}] * more)],
        "coverage": coverage,
        "warnings": warnings,
        "is_admin": user.role == Role.ADMIN,
        "visits": visits,
        "lease": lease,
        "size": pool_size(int(visits), lease) if visits.isdecimal() and 0 < int(visits) <= 90_000 else None,
        "most_short": MOST_SHORT_CODES,
    }
    return render(request, "sites/rule.html", context, status)


# --- sources


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
    with context_of(request).database.reading() as session:
        row = owned(session, SiteSource, user, request.path_params["id"])
    return _source_form(request, row, row.model_dump(), {})


@routes.action(SOURCES + "/{id}")
@routes.action(f"{SOURCES}/new")
def save_source_form(request: Request, user: User, form: FormData) -> Response:
    """A new source, or one changed."""
    id, row = request.path_params.get("id"), None
    values: dict[str, Any] = {name: text(form, name) for name in ("name", "channel", "group")}
    try:
        values["conditions"] = _read_conditions(form)
        with context_of(request).database.session_scope() as session:
            row = owned(session, SiteSource, user, id) if id else None
            saved = save_source(session, context_of(request), user, row, parse(NewSource, values))
    except ActionError as error:
        return _source_form(request, row, {"conditions": None, **values}, errors_of(error), 422)
    return redirect(SOURCES, _("The source “%(name)s” is saved.", name=saved.name))


def _read_conditions(form: FormData) -> dict[str, Any] | None:
    written = text(form, "conditions", 50_000)
    if written:
        try:
            made = json.loads(written)
        except ValueError:
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
    context = {
        "source": row,
        "values": values,
        "wrong": wrong,
        "channels": [(key, _(label)) for key, label in CHANNEL_LABELS.items()],
        "join": next(iter(conditions), "all"),
        "lines": [*(parts if is_simple else []), {}, {}, {}],
        "written": "" if is_simple else json.dumps(conditions, ensure_ascii=False, indent=1),
        "fields": sorted(FIELDS),
        "operators": sorted(OPERATORS),
    }
    return render(request, "sites/source.html", context, status)


@routes.action(SOURCES + "/{id}/priority")
def move_source(request: Request, user: User, form: FormData) -> Response:
    return _moved(request, user, form, SiteSource, SOURCES)


@routes.action(SOURCES + "/{id}/removal")
def remove_source_form(request: Request, user: User, form: FormData) -> Response:
    try:
        with context_of(request).database.session_scope() as session:
            row = owned(session, SiteSource, user, request.path_params["id"])
            remove_source(session, context_of(request), user, row)
    except ActionError as error:
        return redirect(SOURCES, localize(error.sentence), kind="problem")
    return redirect(SOURCES, _("The source “%(name)s” is removed.", name=row.name))


# --- what would a visit get?


@routes.page("/sites/preview")
def preview_page(request: Request, user: User) -> Response:
    query = request.query_params
    made: Preview | None = None
    wrong: Mapping[str, str] = {}
    with context_of(request).database.reading() as session:
        mine = all_of(session, Site, user)
        if query.get("site"):
            try:
                asked = {name: query.get(name, "")[:3000] for name in ("site", "page", "referrer")}
                made = preview(session, user, PreviewVisit(**asked))
            except ActionError as error:
                wrong = errors_of(error)
    return render(request, "sites/preview.html", {"sites": mine, "made": made, "wrong": wrong, "query": query})
