"""The demo's website: three pages of a shop whose address each visitor sees as one of their own, and the ways that lead there."""

import json
import re
import time
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any

import httpx
from sqlmodel import Session, select
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from tracker.demo.incoming import make_letter
from tracker.demo.world import World
from tracker.inbound.credentials import make_credential
from tracker.inbound.mailbox_input import NewCredentials
from tracker.inbound.mailboxes import connect_mailbox
from tracker.inbound.probe import send_probe
from tracker.locale import N_, best_language, use_locale
from tracker.models import Site, SiteRule, User
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError
from tracker.sites.inputs import NewBlock, NewRule, NewSite, NewSource, RuleChange
from tracker.sites.rules import save_rule
from tracker.sites.sites import save_block, save_site, save_source
from tracker.web.http.templating import environment
from tracker.web.sites.responses import script_tag

ADDRESS = "hello@inkling.example"
PATH = "/website"
PAGES: Mapping[str, str] = {"": N_("Furniture"), "chairs": N_("Chairs"), "contact": N_("Contact")}
WAYS: Mapping[str, tuple[str, str]] = {
    "ad": (
        N_("an advertisement"),
        f"{PATH}/chairs?utm_source=google&utm_medium=cpc&utm_campaign=spring-chairs&gclid=demo",
    ),
    "search": (N_("a search"), f"{PATH}/?ysclid=demo"),
    "friend": (N_("a friend’s link"), f"{PATH}/friend"),
}
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
_VISITORS = (
    ("chairs?utm_source=google&utm_medium=cpc&utm_campaign=spring-chairs&gclid=a", "", True),
    ("?utm_source=google&utm_medium=cpc&utm_campaign=desks&gclid=b", "", False),
    ("", "https://www.bing.com/search?q=oak+desks", False),
    ("contact", "https://t.me/furniture", False),
    ("", "", False),
)
WAIT_SECONDS = 20.0
_NOT_A_NAME = re.compile(r"[^\w .-]")


def open_website(session: Session, context: AppContext, world: World, user: User, secret: str) -> None:
    """A site with its block and a draft rule, over a mailbox of its own; a blog of a friend's as a source."""
    world.add_mailbox(ADDRESS, secret, "Inkling Furniture")
    place: dict[str, Any] = {"host": world.host, "port": world.imap_port, "security": "none", "login": ADDRESS}
    credential = make_credential(session, context, user.id, NewCredentials(name="Website", secret=secret, **place))
    mailbox = connect_mailbox(session, user.id, credential)
    site = save_site(session, context, user, None, NewSite(name="Inkling Furniture", hosts=["localhost"]))
    selector: Any = {"attribute": "email", "value": ADDRESS}
    block = NewBlock(name="Contact address", sites=[site.public_id], selectors=[selector])
    is_friend = {"all": [{"field": "referrer_domain", "operator": "equals", "value": "127.0.0.1"}]}
    blog = NewSource(name="A friend’s blog", channel="referral", group="Blogs", conditions=is_friend)
    save_source(session, context, user, None, blog)
    pool: Any = {
        "blocks": [save_block(session, context, user, None, block).public_id],
        "email_account": mailbox.public_id,
    }
    rule: dict[str, Any] = {"rule_type": "site_emails", "tracking_type": "dynamic", "dynamic_settings": [pool]}
    made = NewRule(name="Everybody sees an address of their own", substitution_type="auto_generation", **rule)
    save_rule(session, context, user, None, made)


def visit_website(context: AppContext, world: World, is_over: Callable[[], bool]) -> None:
    """The rule is tried by a test letter and switched on; then some visitors come, and one of them writes."""
    with context.database.reading() as session:
        rule = session.exec(select(SiteRule)).one()
        user, site = session.get_one(User, rule.user_id), session.exec(select(Site)).one()
    send_probe(context, user, rule.public_id)
    if not _has_passed(context, rule, is_over):
        return
    with context.database.session_scope() as session:
        save_rule(session, context, user, session.get_one(SiteRule, rule.id), RuleChange(state="active"))
    for place, referrer, writes in _VISITORS:
        shown = _come(context, site, place, referrer)
        if shown and writes:
            text = "Good day,\n\nwhat do forty chairs in grey cost, and when could you deliver them?\n\nOlga Petrova"
            write_letter(world, shown, "Olga Petrova <olga@petrova.example>", "Forty chairs in grey", text)


def _has_passed(context: AppContext, rule: SiteRule, is_over: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and not is_over():
        with context.database.reading() as session:
            if session.get_one(SiteRule, rule.id).probe == "passed":
                return True
        time.sleep(0.3)
    return False


def _come(context: AppContext, site: Site, place: str, referrer: str) -> str:
    """What a visitor is shown; empty for the page's own address."""
    asked = {"key": site.key, "page": f"http://localhost{PATH}/{place}", "referrer": referrer}
    report = {"selectors": [{"attribute": "email", "value": ADDRESS}], "addresses": [ADDRESS], "language": "en"}
    headers = {"User-Agent": _BROWSER, "Content-Type": "text/plain"}
    body = json.dumps({**asked, **report})
    answer = httpx.post(f"{context.settings.tracking_url}/et/v1/resolve", content=body, headers=headers, timeout=5)
    rules = answer.json()["rules"] if answer.is_success else []
    return str(rules[0]["show"]) if rules else ""


def write_letter(world: World, to: str, sender: str, subject: str, text: str) -> None:
    domain = sender.rpartition("@")[2].rstrip(">")
    world.deliver(make_letter((sender, domain), to, subject, text), to)


def website_routes(world: World, context: AppContext) -> list[BaseRoute]:
    """The shop's pages, the doors to them, and where a visitor's letter goes."""

    def page(request: Request) -> Response:
        name = request.path_params.get("name", "")
        return _page(request, context, "page.html" if name in PAGES else "elsewhere.html", name=name)

    async def write(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=5)
        to, name = str(form.get("to", "")).strip()[:254], str(form.get("name", "")).strip()[:80] or "A visitor"
        sender = f"{_NOT_A_NAME.sub('', name)} <visitor-{token_hex(2)}@example.net>"
        if "@" in to and to.isprintable():
            write_letter(world, to, sender, "A question from your website", str(form.get("text", ""))[:5000] or "?")
        return RedirectResponse(f"{PATH}/sent", 303)

    return [
        Route(f"{PATH}/letters", write, methods=["POST"]),
        Route(f"{PATH}/", page),
        Route(f"{PATH}/{{name}}", page),
    ]


def _page(request: Request, context: AppContext, template: str, name: str) -> Response:
    edge = context.settings.tracking_url
    policy = f"default-src 'none'; style-src 'self'; form-action 'self'; script-src 'self' {edge}; connect-src {edge}"
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", "Referrer-Policy": "unsafe-url"}
    port = request.url.port or 80
    facts = {
        "name": name,
        "pages": PAGES,
        "ways": WAYS,
        "path": PATH,
        "address": ADDRESS,
        "tag": _script_tag(context),
        "shop": f"http://localhost:{port}{PATH}/",
        "blog": f"http://127.0.0.1:{port}{PATH}/friend",
        "product": context.settings.base_url,
    }
    with use_locale(best_language(request.headers.get("accept-language", ""))):
        return HTMLResponse(environment().get_template(f"demo/website_{template}").render(**facts), headers=headers)


def _script_tag(context: AppContext) -> str:
    with context.database.reading() as session:
        site = session.exec(select(Site)).first()
    if site is None:
        raise ActionError("not_found", "There is no site.")
    return script_tag(context, site)
