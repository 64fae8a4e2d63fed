"""The pages of rules: who sees which address, in which order, and what a visit would get."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.inbound.probe import send_probe
from tracker.locale import gettext as _
from tracker.models import Mailbox, Role, Site, SiteBlock, SiteRule, User
from tracker.models.ownership import owned, owned_rows
from tracker.runtime.localized_text import ActionError
from tracker.runtime.values import whole_number
from tracker.sites.coverage import MOST_SHORT_CODES, coverage_of, pool_size
from tracker.sites.inputs import NewRule, PreviewVisit, RuleChange
from tracker.sites.preview import Preview, preview
from tracker.sites.publishing import lease_minutes
from tracker.sites.rules import NEEDS_PROBE, remove_rule, save_rule, warnings_of
from tracker.web.http.actions import answering, named_or_none, named_row, perform_on, problem_at
from tracker.web.http.forms import errors_of, parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.http.throttle import test_mails
from tracker.web.sites.pages import all_of
from tracker.web.sites.source_pages import moved, source_options

routes = Routes()
RULES = "/sites/rules"
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
        blocks, mailboxes = all_of(session, SiteBlock, user), all_of(session, Mailbox, user)
    blocks = [block for block in blocks if block.public_id == request.query_params.get("block")] or blocks
    named = {selector["value"].lower() for block in blocks for selector in block.selectors}
    likely = [mailbox for mailbox in mailboxes if mailbox.address.lower() in named] or mailboxes
    only = {
        "blocks": [block.public_id for block in blocks] if len(blocks) == 1 else [],
        "email_account": likely[0].public_id if len(likely) == 1 else None,
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
    row = named_row(request, user, SiteRule)
    return _rule_form(request, user, row, row.model_dump(), {})


@routes.action(RULES + "/{id}")
@routes.action(f"{RULES}/new")
def save(request: Request, user: User, form: FormData) -> Response:
    """A new rule, or one changed. What is wrong stands at its field, and nothing typed is lost."""
    row, values = named_or_none(request, user, SiteRule), _read_rule(form)
    if "more" in form:  # another empty line, without saving
        return _rule_form(request, user, row, values, {}, more=6)
    try:
        saved = _save(request, user, row, values)
    except ActionError as error:
        wants_to_begin = values["state"] == "active" and (row is None or row.state != "active")
        if error.detail_code == NEEDS_PROBE and wants_to_begin:
            return _save_untested(request, user, row, values)
        return _rule_form(request, user, row, values, errors_of(error), 422)
    is_untried = saved.tracking_type == "dynamic" and saved.probe not in ("passed", "skipped")
    next_page = f"{RULES}/{saved.public_id}#probe" if is_untried else RULES
    return redirect(next_page, _("The rule “%(name)s” is saved.", name=saved.name))


def _save_untested(request: Request, user: User, row: SiteRule | None, values: dict[str, Any]) -> Response:
    """All that is missing is the test letter: the rule is kept as a draft, and its page offers to send one."""
    saved = _save(request, user, row, {**values, "state": "draft"})
    text = _("The rule “%(name)s” is saved as a draft. One test letter, and it can be switched on.", name=saved.name)
    return redirect(f"{RULES}/{saved.public_id}#probe", text)


def _save(request: Request, user: User, row: SiteRule | None, values: dict[str, Any]) -> SiteRule:
    with context_of(request).database.session_scope() as session:
        present = owned(session, SiteRule, user, row.public_id) if row is not None else None
        return save_rule(session, context_of(request), user, present, parse(NewRule, values))


@routes.action(RULES + "/{id}/probe")
def send_test_letter(request: Request, user: User, form: FormData) -> Response:
    back = f"{RULES}/{request.path_params['id']}#probe"
    with answering(problem_at(back)):
        test_mails.take(user)
        send_probe(context_of(request), user, request.path_params["id"])
    return redirect(back)


@routes.action(RULES + "/{id}/activation")
def activate(request: Request, user: User, form: FormData) -> Response:
    """Switches a draft on as it stands."""
    context, back = context_of(request), f"{RULES}/{request.path_params['id']}"

    def work(session: Session, row: SiteRule) -> None:
        save_rule(session, context, user, row, RuleChange(state="active"))

    return perform_on(request, user, SiteRule, back, work, _("The rule “%(name)s” is switched on."), RULES)


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
            "blocks": [str(block) for block in form.getlist("pool_blocks")],
            "email_account": text(form, "pool_email_account") or None,
            "addresses": text(form, "pool_addresses", 700_000).split() if manual else [],
        }
        values["dynamic_settings"] = [pool] if pool["blocks"] or pool["email_account"] else []
        if values["traffic_type"] == "custom_sources":
            values["sources"] = [str(source) for source in form.getlist("sources")]
    if form.get("probe") == "skip":
        values["probe"] = "skip"
    return values


def _lines(form: FormData, kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    columns = {name: [str(value).strip() for value in form.getlist(f"{kind}_{name}")] for name in names}
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
    context = context_of(request)
    sentence = _("The rule “%(name)s” is removed. Letters to its addresses keep their source.")
    return perform_on(request, user, SiteRule, RULES, lambda session, row: remove_rule(session, context, row), sentence)


@routes.action(RULES + "/{id}/priority")
def move_rule(request: Request, user: User, form: FormData) -> Response:
    return moved(request, user, form, SiteRule, RULES)


def _rules(session: Session, user: User) -> list[SiteRule]:
    return list(session.exec(owned_rows(SiteRule, user).order_by(col(SiteRule.position), col(SiteRule.id))))


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
        blocks = [(block.public_id, block.name) for block in all_of(session, SiteBlock, user)]
        mailboxes = [(mailbox.public_id, mailbox.address) for mailbox in all_of(session, Mailbox, user)]
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
        "size": pool_size(expected, lease) if (expected := whole_number(visits, 90_000)) else None,
        "most_short": MOST_SHORT_CODES,
    }
    return render(request, "sites/rule.html", context, status)


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
                made = preview(session, user, parse(PreviewVisit, query))
            except ActionError as error:
                wrong = errors_of(error)
    return render(request, "sites/preview.html", {"sites": mine, "made": made, "wrong": wrong, "query": query})
