"""The pages of websites: sites with their script tag, and the blocks in which addresses are swapped."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import gettext as _
from tracker.models import Site, SiteBlock, User
from tracker.models.ownership import owned, owned_rows
from tracker.runtime.localized_text import ActionError
from tracker.sites.block_search import places_in
from tracker.sites.hosts import shown_host
from tracker.sites.inputs import NewBlock, NewSite
from tracker.sites.sites import remove_block, remove_site, save_block, save_site
from tracker.web.http.actions import changing, named_or_none, named_row, perform_on
from tracker.web.http.forms import errors_of, parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.sites.responses import script_tag

routes = Routes()
BASE_PATH = "/sites"
_SWITCHES = ("consent_mode", "ignore_robots")
LARGEST_PAGE = 2 * 1024 * 1024
"""Bytes of a page that is pasted to be searched."""


@routes.page(BASE_PATH)
def sites(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        rows = all_of(session, Site, user)
        blocks = all_of(session, SiteBlock, user)
    context = {"sites": rows, "blocks": blocks, "shown_host": shown_host}
    return render(request, "sites/list.html", context)


@routes.page(f"{BASE_PATH}/new")
def new_site(request: Request, user: User) -> Response:
    return _site_form(request, None, {"ignore_robots": True, "session_minutes": 30, "cookie_days": 400}, {})


@routes.page(BASE_PATH + "/site/{id}")
def site(request: Request, user: User) -> Response:
    row = named_row(request, user, Site)
    values = {**row.model_dump(), "hosts": "\n".join(map(shown_host, row.hosts))}
    return _site_form(request, row, {**values, "ignored_referrers": "\n".join(row.ignored_referrers)}, {})


@routes.action(BASE_PATH + "/site/{id}")
@routes.action(f"{BASE_PATH}/new")
def save(request: Request, user: User, form: FormData) -> Response:
    """A new site, or one changed."""
    id, row = request.path_params.get("id"), None
    lists = {name: text(form, name, 20_000).split() for name in ("hosts", "ignored_referrers")}
    values = {**form, **lists}
    try:
        with context_of(request).database.session_scope() as session:
            row = owned(session, Site, user, id) if id else None
            saved = save_site(session, context_of(request), user, row, parse(NewSite, values, boxes=_SWITCHES))
    except ActionError as error:
        typed = {**dict.fromkeys(_SWITCHES, ""), **form}
        return _site_form(request, row, typed, errors_of(error), 422)
    return redirect(f"{BASE_PATH}/site/{saved.public_id}", _("The site “%(name)s” is saved.", name=saved.name))


@routes.action(BASE_PATH + "/site/{id}/removal")
def remove(request: Request, user: User, form: FormData) -> Response:
    sentence = _("The site “%(name)s” is removed. Its pages show their own addresses again.")
    context = context_of(request)
    return perform_on(request, user, Site, BASE_PATH, lambda session, row: remove_site(session, context, row), sentence)


def _site_form(
    request: Request, row: Site | None, values: Mapping[str, Any], wrong: Mapping[str, str], status: int = 200
) -> Response:
    tag, has_block = script_tag(context_of(request), row) if row is not None else "", True
    if row is not None:
        with context_of(request).database.reading() as session:
            blocks = session.exec(
                select(SiteBlock.sites).where(SiteBlock.user_id == row.user_id, col(SiteBlock.removed_at).is_(None))
            )
            has_block = any(row.public_id in sites for sites in blocks)
    facts = {"site": row, "values": values, "wrong": wrong, "tag": tag, "has_block": has_block}
    return render(request, "sites/site.html", facts, status)


# --- blocks


@routes.page(f"{BASE_PATH}/blocks/new")
def new_block(request: Request, user: User) -> Response:
    """With what most people would choose: the site that one comes from, or the only one, and the only address that its pages
    show."""
    with context_of(request).database.reading() as session:
        sites = all_of(session, Site, user)
    named = [site for site in sites if site.public_id == request.query_params.get("site")]
    chosen = named or (sites if len(sites) == 1 else [])
    addresses = sorted({address for site in chosen or sites for address, _page in site.addresses})
    selectors = [{"attribute": "email", "value": addresses[0]}] if len(addresses) == 1 else []
    ids = [site.public_id for site in chosen]
    return _block_form(request, user, None, {"name": "", "sites": ids, "selectors": selectors}, {})


@routes.page(BASE_PATH + "/blocks/{id}")
def block(request: Request, user: User) -> Response:
    row = named_row(request, user, SiteBlock)
    return _block_form(request, user, row, row.model_dump(), {})


@routes.action(BASE_PATH + "/blocks/{id}", max_bytes=LARGEST_PAGE)
@routes.action(f"{BASE_PATH}/blocks/new", max_bytes=LARGEST_PAGE)
def save_block_form(request: Request, user: User, form: FormData) -> Response:
    """A new block, or one changed; or, with “search”, where the address stands in the page that was pasted."""
    row = named_or_none(request, user, SiteBlock)
    attributes, values = form.getlist("attribute"), form.getlist("value")
    pairs = [(str(name), str(value).strip()) for name, value in zip(attributes, values, strict=False)]
    selectors = [{"attribute": name, "value": value} for name, value in pairs if value]
    chosen = [str(site) for site in form.getlist("sites")]
    typed: dict[str, Any] = {"name": text(form, "name"), "sites": chosen, "selectors": selectors}
    if "search" in form:
        email = next((selector["value"] for selector in selectors if selector["attribute"] == "email"), "")
        places = places_in(text(form, "html", LARGEST_PAGE), email) if email else []
        return _block_form(request, user, row, typed, {}, places=places, html=text(form, "html", LARGEST_PAGE))
    with changing(request, lambda error: _block_form(request, user, row, typed, errors_of(error), 422)) as session:
        present = owned(session, SiteBlock, user, row.public_id) if row is not None else None
        saved = save_block(session, context_of(request), user, present, parse(NewBlock, typed))
    if row is None:  # what comes next when one sets up a site
        text_after = _("The block “%(name)s” is saved. Now say what its visitors see.", name=saved.name)
        return redirect(f"{BASE_PATH}/rules/new?block={saved.public_id}", text_after)
    return redirect(BASE_PATH, _("The block “%(name)s” is saved.", name=saved.name))


@routes.action(BASE_PATH + "/blocks/{id}/removal")
def remove_block_form(request: Request, user: User, form: FormData) -> Response:
    context, sentence = context_of(request), _("The block “%(name)s” is removed.")
    return perform_on(
        request, user, SiteBlock, BASE_PATH, lambda session, row: remove_block(session, context, user, row), sentence
    )


def _block_form(
    request: Request,
    user: User,
    row: SiteBlock | None,
    values: Mapping[str, Any],
    wrong: Mapping[str, str],
    status: int = 200,
    *,
    places: Sequence[Mapping[str, Any]] | None = None,
    html: str = "",
) -> Response:
    with context_of(request).database.reading() as session:
        mine = all_of(session, Site, user)
    seen = [pair for site in mine for pair in site.addresses]
    blank = {"attribute": "class" if values["selectors"] else "email", "value": ""}
    lines = [*values["selectors"], blank, blank]
    attributes = [
        ("email", _("This address")),
        ("id", "id"),
        ("class", "class"),
        ("name", "name"),
        ("selector", _("CSS selector")),
    ]
    context = {
        "block": row,
        "values": values,
        "wrong": wrong,
        "sites": mine,
        "lines": lines,
        "attributes": attributes,
        "seen": seen,
        "places": places,
        "html": html,
    }
    return render(request, "sites/block.html", context, status)


def all_of(session: Session, model: Any, user: User) -> list[Any]:
    """Everything of this kind that is the person's, the oldest first."""
    return list(session.exec(owned_rows(model, user).order_by(col(model.id))))
