"""The snippet on pages of others, and traps that need a page's whole life. Names begin with the trap of the specification."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.pixel.foreign_pages import debian_page, framework, node
from tests.pixel.snippet_site import BASE, SnippetSite, block, pool, rule, settled

pytestmark = pytest.mark.browser
CODE = re.compile(r"\+[a-z2-9]{9}@", re.IGNORECASE)
SHOWN = "() => /(\\+|%2B)[a-z2-9]{9}@/i.test(document.documentElement.outerHTML)"
PERSON = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


@pytest.fixture
def said() -> list[str]:
    """What the page's console and its scripts complained of."""
    return []


@pytest.fixture
def page(browser: Browser, said: list[str]) -> Iterator[Page]:
    context = browser.new_context(user_agent=PERSON)
    context.add_init_script("Object.defineProperty(navigator, 'webdriver', {get: () => false})")
    made = context.new_page()
    made.on("pageerror", lambda error: said.append(str(error)))
    made.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    yield made
    context.close()
    assert [text for text in said if "404" not in text] == []


def shown(page: Page) -> str:
    page.wait_for_function(SHOWN)
    return str(page.evaluate("document.documentElement.outerHTML"))


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("contributing.en.html", "doc-debian@packages.debian.org"),
        ("support.en.html", "debian-user@lists.debian.org"),
        ("index.en.html", "doc-debian@packages.debian.org"),
        ("basic-defs.en.html", "nobody@nowhere.example"),
    ],
)
def test_pages_of_debians_documentation(site: SnippetSite, page: Page, name: str, address: str) -> None:
    source = debian_page(name)
    site.configure(blocks=[block("b1", ("email", address))], rules=[rule(pool(base=address))])
    site.pages["/"] = source
    page.goto(site.url)
    plain = str(page.evaluate("document.documentElement.outerHTML"))
    site.pages["/"] = source.replace("</head>", f"{site.tag()}</head>", 1)
    page.goto(site.url)
    if address in plain:
        swapped = shown(page)
    else:
        page.wait_for_function("() => !!window.et.visitor()")
        settled(page)
        swapped = str(page.evaluate("document.documentElement.outerHTML"))
    tag = page.evaluate("document.querySelector('script[src*=\"/s/\"]').outerHTML")
    assert (swapped != plain.replace("</head>", f"{tag}</head>")) is (address in plain)
    assert re.sub(r"(?:\+|%2B)[a-z2-9]{9}@", "@", swapped).replace(tag, "") == plain
    page.evaluate("et.restore()")
    assert str(page.evaluate("document.documentElement.outerHTML")).replace(tag, "") == plain


REACT = """const h = React.createElement, mail = 'info@site.example';
function Contact() {
  const [count, setCount] = React.useState(0);
  return h('main', null, h('p', {id: 'text'}, 'Write to ', mail, ', seen ', count, ' times'),
    h('a', {href: 'mailto:' + mail + '?subject=' + count}, mail),
    h('button', {onClick: () => setCount(count + 1)}, 'again'),
    count % 2 ? h('p', {id: 'late', key: 'late'}, mail) : null);
}"""


def test_j8_a_server_rendered_page_of_react(site: SnippetSite, page: Page) -> None:
    server = f"const React = require('react');{REACT};"
    rendered = node(f"{server}process.stdout.write(require('react-dom/server').renderToString(h(Contact)))")
    for name in ("react/umd/react.development.js", "react-dom/umd/react-dom.development.js"):
        site.pages[f"/{Path(name).name}"] = framework(name).read_text("utf-8")
    scripts = '<script src="/react.development.js"></script><script src="/react-dom.development.js"></script>'
    hydrate = (
        f"<script>{REACT};window.root = ReactDOM.hydrateRoot(document.querySelector('#root'), h(Contact))</script>"
    )
    page.add_init_script("window.writes = 0")
    page.goto(site.page(f'<div id="root">{rendered}</div>{scripts}{hydrate}'))
    shown(page)
    code = str(page.inner_text("a"))
    assert CODE.search(code)
    for count in (1, 2, 3):
        page.click("button")
        page.wait_for_function(f"() => document.querySelector('#text').textContent.includes('seen {count} ')")
        page.wait_for_function("() => document.querySelector('a').href.includes('%2B')")
        assert code in page.inner_text("#text")
        assert page.inner_text("a") == code
        assert code.replace("+", "%2B") in str(page.get_attribute("a", "href"))
    page.wait_for_function("() => document.querySelector('#late').textContent.includes('+')")
    assert page.inner_text("#late") == code
    page.evaluate("et.restore()")
    assert page.inner_text("#text") == f"Write to {BASE}, seen 3 times"
    assert page.get_attribute("a", "href") == f"mailto:{BASE}?subject=3"
    page.evaluate("() => window.root.unmount()")
    assert page.inner_html("#root") == ""


def test_j49_a_page_with_zones_becomes_stable(site: SnippetSite, page: Page) -> None:
    site.pages["/zone.js"] = framework("zone.js/bundles/zone.umd.js").read_text("utf-8")
    head = """<script src="/zone.js"></script><script>window.tasks = [];
        const schedule = Zone.prototype.scheduleTask;
        Zone.prototype.scheduleTask = function (task) {
          if (task.type !== 'microTask') tasks.push(task.type + ' ' + task.source); return schedule.apply(this, arguments) }
        </script>"""
    page.goto(site.page(f"<p>{BASE}</p>", head=head))
    shown(page)
    page.keyboard.press("a")
    page.evaluate("base => document.body.append(base)", BASE)
    settled(page)
    mine = [task for task in page.evaluate("tasks") if "eventTask" not in task]
    assert mine == ["macroTask setTimeout", "macroTask requestAnimationFrame", "macroTask setTimeout"], "the test's own"


def test_j11_a_page_that_changes_all_the_time_is_looked_at_seldom(site: SnippetSite, page: Page) -> None:
    body = f"<p id=x>{BASE}</p>" + "<p>text</p>" * 500
    page.goto(site.page(body))
    shown(page)
    passes = page.evaluate(
        """async () => { let passes = 0; const walker = document.createTreeWalker.bind(document);
        const now = performance.now.bind(performance); let asked = 0; performance.now = () => (asked++, now());
        document.createTreeWalker = (...a) => (passes++, walker(...a));
        const p = document.querySelector('#x'); const began = now(); let n = 0;
        while (n < 2000) { for (let i = 0; i < 20; i++) p.setAttribute('title', 'n' + n++);
            p.nextElementSibling.firstChild.nodeValue = 'text ' + n;
            await new Promise(r => setTimeout(r, 20)); }
        return [asked / 2, passes, (now() - began) / 1000] }"""
    )
    looks, walks, seconds = passes
    assert looks <= 12 + 30 * seconds, "of a thousand changes a second"
    assert walks <= 4 * looks, "and what has not changed is not read"


def test_j13_an_address_whose_time_is_over_is_asked_for_anew(site: SnippetSite, page: Page) -> None:
    site.configure(
        rules=[rule(pool(addresses=("one@site.example",)), substitution="manual_pool", lease_minutes=5, rest_minutes=0)]
    )
    page.add_init_script("window.later = 0; const now = Date.now; Date.now = () => now() + window.later")
    page.goto(site.page(f"<p>{BASE}</p>"))
    page.wait_for_function("() => document.body.textContent.includes('one@')")
    answers: list[Route] = []
    page.route("**/et/v1/resolve", lambda route: answers.append(route))
    page.evaluate("() => { later = 3 * 86400e3; document.dispatchEvent(new Event('visibilitychange')) }")
    page.evaluate("document.body.append(' again')")
    settled(page)
    assert page.inner_text("p") == BASE, "never an address that may be somebody else’s by now"
    assert len(answers) == 1
    answers[0].continue_()
    page.wait_for_function("() => document.body.textContent.includes('one@')")


def test_j54_nothing_keeps_the_page_from_the_back_forward_cache(site: SnippetSite, page: Page) -> None:
    page.goto(site.page(f"<p>{BASE}</p>"))
    shown(page)
    protocol = page.context.new_cdp_session(page)
    window = protocol.send("Runtime.evaluate", {"expression": "window"})["result"]["objectId"]
    listeners = protocol.send("DOMDebugger.getEventListeners", {"objectId": window})["listeners"]
    assert {each["type"] for each in listeners}.isdisjoint({"unload", "beforeunload", "pagehide"})
    assert "pageshow" in {each["type"] for each in listeners}


def test_j55_a_page_that_is_only_prerendered_does_nothing(site: SnippetSite, page: Page) -> None:
    head = "<script>Object.defineProperty(document, 'prerendering', {value: true, configurable: true})</script>"
    page.goto(site.page(f"<p>{BASE}</p>", head=head))
    page.wait_for_function("() => !!window.et")
    settled(page)
    assert (site.visits(), page.evaluate("document.cookie + localStorage.length")) == ([], "0")
    page.evaluate("() => { delete document.prerendering; document.dispatchEvent(new Event('prerenderingchange')) }")
    shown(page)
    assert len(site.visits()) == 1


@pytest.mark.parametrize(
    ("host", "own", "domain"),
    [
        ("shop.github.io", ["shop.github.io"], "shop.github.io"),
        ("a.site.co.uk", ["site.co.uk"], "site.co.uk"),
        ("site.example", ["site.example"], "site.example"),
        ("www.site.example", ["site.example", "www.site.example"], "www.site.example"),
        ("localhost", ["localhost"], ""),
        ("a.github.io", ["github.io"], ""),
    ],
)
def test_j60_the_cookies_domain_is_the_sites(
    site: SnippetSite, page: Page, host: str, own: list[str], domain: str
) -> None:
    site.configure(hosts=own)
    source = site.edge_script()
    page.add_init_script(
        """window.written = []; const own = Object.getOwnPropertyDescriptor(Document.prototype, 'cookie');
        Object.defineProperty(document, 'cookie', {get() { return own.get.call(document) },
          set(text) { written.push(text); own.set.call(document, text) }})"""
    )
    page.route("http://*/**", lambda route: route.fulfill(body=f"<p>{BASE}</p>", content_type="text/html"))
    page.goto(f"http://{host}/")
    page.evaluate(f"() => {{ {source} }}")
    page.wait_for_function("() => document.cookie.includes('_et_')")
    first = str(page.evaluate("written[0]"))
    assert ("; domain=" + domain in first) if domain else True
    assert page.evaluate("document.cookie.split('_et_').length") == 2


def test_j64_a_consent_that_comes_two_views_later_tells_of_the_landing(site: SnippetSite, page: Page) -> None:
    site.configure(consent_mode=True)
    site.pages["/from"] = '<a href="/?utm_source=mail&utm_medium=email">go</a>'
    site.page(f"<p id=a>{BASE}</p>")
    page.goto(site.url + "/from")
    page.click("a")
    page.wait_for_function("() => !!window.et")
    for path in ("/second", "/third"):
        page.evaluate("path => history.pushState(null, '', path)", path)
        settled(page)
    assert (site.visits(), page.evaluate("document.cookie + localStorage.length")) == ([], "0")
    page.evaluate("et.consent(true)")
    shown(page)
    page.evaluate("() => document.body.append(document.createElement('p'))")
    settled(page)
    (visit,) = site.visits()
    body = visit.body or {}
    assert (body["page"], body["marks"]) == (f"{site.url}/", {"utm_source": "mail", "utm_medium": "email"})
    page.evaluate("history.pushState(null, '', '/fourth')")
    page.wait_for_function(
        "() => performance.getEntriesByType('resource').filter(e => e.name.includes('resolve')).length === 2"
    )
    assert [(each.body or {})["page"] for each in site.visits()][1:] == [f"{site.url}/fourth"]


def test_j42_j48_decoded_later_renewed_and_live(site: SnippetSite, page: Page) -> None:
    protected = '<a class="__cf_email__" href="/cdn-cgi/l/email-protection#00">[email&#160;protected]</a>'
    page.goto(site.page(f"<p id=a>{BASE}</p><p id=live aria-live=polite>{BASE}</p>{protected}"))
    shown(page)
    assert page.get_attribute(".__cf_email__", "href") == "/cdn-cgi/l/email-protection#00"
    page.evaluate("base => { const a = document.querySelector('.__cf_email__');"
                  " a.textContent = base; a.href = 'mailto:' + base }", BASE)  # fmt: skip
    page.wait_for_function("() => document.querySelector('.__cf_email__').textContent.includes('+')")
    assert "%2B" in str(page.get_attribute(".__cf_email__", "href"))
    page.evaluate(
        "() => { window.changes = 0; new MutationObserver(l => changes += l.length).observe(document,"
        " {subtree: true, childList: true, characterData: true, attributes: true}) }"
    )
    with page.expect_response("**/et/v1/resolve"):
        page.evaluate("history.pushState(null, '', '/next')")
    settled(page)
    assert page.evaluate("changes") == 0, "the same address is not written again"
    live = page.inner_text("#live")
    answer = json.dumps({"visitor": "v" * 22, "session": "s" * 16, "rules": [
        {"selectors": [], "find": BASE, "show": "info+bbbbbbbbb@site.example"}], "ttl": 60})  # fmt: skip
    headers = {"Access-Control-Allow-Origin": site.url}
    page.route("**/et/v1/resolve", lambda route: route.fulfill(body=answer, headers=headers))
    with page.expect_response("**/et/v1/resolve"):
        page.evaluate("history.pushState(null, '', '/last')")
    page.wait_for_function("() => document.querySelector('#a').textContent.includes('bbbbbbbbb')")
    assert live


def test_shadow_roots_are_searched_where_that_is_asked_for(site: SnippetSite, page: Page) -> None:
    body = f"""<p>{BASE}</p><div id=host></div><div id=closed></div><script>
        document.querySelector('#host').attachShadow({{mode: 'open'}}).innerHTML = '<b>{BASE}</b>';
        document.querySelector('#closed').attachShadow({{mode: 'closed'}}).innerHTML = '<b>{BASE}</b>'</script>"""
    inside = "document.querySelector('#host').shadowRoot.textContent"
    page.goto(site.page(body))
    shown(page)
    assert page.evaluate(inside) == BASE
    page.goto(site.page(body, attributes="data-shadow"))
    shown(page)
    page.wait_for_function(f"() => {inside}.includes('+')")
    page.evaluate("et.restore()")
    assert page.evaluate(inside) == BASE


def test_a_large_page_is_read_in_one_pass(site: SnippetSite, page: Page) -> None:
    body = "".join(f"<p>line {number} <b>x</b></p>" for number in range(2500)) + f"<p id=a>{BASE}</p>"
    page.add_init_script(
        "window.walks = 0; const walker = Document.prototype.createTreeWalker;"
        "Document.prototype.createTreeWalker = function () { walks++; return walker.apply(this, arguments) }"
    )
    page.goto(site.page(body))
    shown(page)
    settled(page)
    looked: Any = page.evaluate("walks")
    assert looked <= 4
