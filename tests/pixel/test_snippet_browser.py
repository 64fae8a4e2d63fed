"""The snippet in a real browser, on pages that others might have made. Names begin with the trap of the specification."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.pixel.snippet_site import BASE, SALES, SnippetSite, block, line, pool, rule, settled
from tests.servers import wait_until

pytestmark = pytest.mark.browser
CODE = r"info\+[a-z2-9]{9}@site\.example"
SWAPPED = "() => /info(\\+|%2B)[a-z2-9]{9}(@|<)/i.test(document.documentElement.outerHTML)"


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    """A page on which any error of a script fails the test."""
    made = visitor.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    yield made
    assert errors == []


def swapped(page: Page, url: str) -> str:
    """The page after swapping; what its body holds."""
    page.goto(url)
    page.wait_for_function(SWAPPED)
    return str(page.evaluate("document.body.innerHTML"))


def code_in(text: str) -> str:
    match = re.search(CODE, text, re.IGNORECASE)
    assert match is not None, text
    return match[0].lower()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Write: info@site.example.", "Write: {a}."),
        ("(info@site.example)", "({a})"),
        ("«info@site.example»", "«{a}»"),
        ("info@site.example,sales@site.example", "{a},sales@site.example"),
        ("info@site.example, sales@site.example", "{a}, sales@site.example"),
        ("E-mail:info@site.example", "E-mail:{a}"),
        ("a\u00a0info@site.example\u00a0b", "a&nbsp;{a}&nbsp;b"),
        ("info@site.example!? info@site.example;", "{a}!? {a};"),
        ("xinfo@site.example {ok}", "xinfo@site.example {a}"),
        ("info@site.example.com {ok}", "info@site.example.com {a}"),
        ("my-info@site.example {ok}", "my-info@site.example {a}"),
        ("мinfo@site.example {ok}", "мinfo@site.example {a}"),
        ("info@site.examples {ok}", "info@site.examples {a}"),
        ("info+0011@site.example {ok}", "info+0011@site.example {a}"),
        ("INFO@SITE.EXAMPLE", "{A}"),
        ("info&#64;site.example", "{a}"),
        ('<a href="mailto:info@site.example?subject=A%26B&amp;cc=info@site.example">x</a>',
         '<a href="mailto:{m}?subject=A%26B&amp;cc={m}">x</a>'),
        ('<a href="MAILTO:sales@site.example,info%40site.example?body=info@site.example">x</a> {ok}',
         '<a href="MAILTO:sales@site.example,{m}?body=info@site.example">x</a> {a}'),
        ('<i title="info@site.example" aria-label="to info@site.example" data-email="info@site.example">x</i>',
         '<i title="{a}" aria-label="to {a}" data-email="{a}">x</i>'),
        ('<input value="info@site.example"><textarea>info@site.example</textarea> {ok}',
         '<input value="info@site.example"><textarea>info@site.example</textarea> {a}'),
        ('<div contenteditable="true">info@site.example</div><div data-et-skip="">info@site.example</div> {ok}',
         '<div contenteditable="true">info@site.example</div><div data-et-skip="">info@site.example</div> {a}'),
        ('<script type="application/ld+json">{"e":"info@site.example"}</script><!-- info@site.example --> {ok}',
         '<script type="application/ld+json">{"e":"info@site.example"}</script><!-- info@site.example --> {a}'),
        ("<p><b>info<span>@</span>site.example</b></p>", "<p><b>{l}<span>@</span>site.example</b></p>"),
        ("<p><b>info<span>@</span>site.example and more</b></p> {ok}",
         "<p><b>info<span>@</span>site.example and more</b></p> {a}"),
    ],
)  # fmt: skip
def test_j1_to_j7_what_is_swapped_and_given_back(site: SnippetSite, page: Page, body: str, expected: str) -> None:
    plain = body.replace("{ok}", BASE)
    swaps = swapped(page, site.page(plain))
    tag = re.search(r"info(?:\+|%2B)([a-z2-9]{9})", swaps, re.IGNORECASE)
    assert tag is not None
    address = f"info+{tag[1].lower()}@site.example"
    wanted = expected
    for name, value in {
        "{a}": address,
        "{A}": address.upper(),
        "{m}": address.replace("+", "%2B"),
        "{l}": address.partition("@")[0],
    }.items():
        wanted = wanted.replace(name, value)
    assert swaps == wanted
    page.evaluate("et.restore()")
    original = page.evaluate(
        "html => { const d = document.createElement('div'); d.innerHTML = html; return d.innerHTML }", plain
    )
    assert page.evaluate("document.body.innerHTML") == original


def test_j6_what_a_person_types_stays(site: SnippetSite, page: Page) -> None:
    swapped(page, site.page(f'<p>{BASE}</p><div id="chat" role="textbox" contenteditable></div><input id="i">'))
    page.click("#chat")
    page.keyboard.type(f"write to {BASE} now")
    page.fill("#i", BASE)
    page.wait_for_timeout(200)
    assert page.inner_text("#chat") == f"write to {BASE} now"
    assert page.input_value("#i") == BASE


def test_j9_j10_a_new_view_and_a_late_block_are_swapped(site: SnippetSite, page: Page) -> None:
    swapped(page, site.page(f"<p id=a>{BASE}</p>"))
    page.evaluate(
        f"() => {{ history.pushState(null, '', '/second'); document.querySelector('#a').outerHTML = '<p id=b>{BASE}</p>' }}"
    )
    page.wait_for_function("() => document.querySelector('#b').textContent.includes('+')")
    wait_until(lambda: len(site.visits()) == 2)
    page.evaluate("() => history.replaceState(null, '', '/second')")
    settled(page)
    assert [hit.body["page"] for hit in site.visits() if hit.body] == [f"{site.url}/", f"{site.url}/second"]
    assert len({hit.body["session"] for hit in site.visits() if hit.body}) == 1


def test_j12_two_copies_act_as_one(site: SnippetSite, page: Page) -> None:
    url = site.page(f"<p>{BASE}</p>", head=site.tag())
    swaps = swapped(page, url)
    assert swaps.count("+") == 1
    assert len(site.visits()) == 1


def test_j14_with_the_edge_away_the_page_stays(site: SnippetSite, page: Page) -> None:
    page.route("**/et/v1/**", lambda route: route.abort())
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(site.page(f"<p>{BASE}</p>"))
    page.wait_for_timeout(700)
    assert page.inner_text("p") == BASE
    assert len(said) <= 1


def test_an_answer_that_comes_too_late_changes_nothing(site: SnippetSite, page: Page) -> None:
    def slow(route: object) -> None:
        page.wait_for_timeout(2300)
        route.continue_()  # type: ignore[attr-defined]

    page.route("**/et/v1/resolve", slow)
    page.goto(site.page(f"<p>{BASE}</p>"))
    page.wait_for_timeout(2800)
    assert page.inner_text("p") == BASE


def test_j43_a_snapshot_of_the_page_heals(site: SnippetSite, page: Page) -> None:
    first = code_in(swapped(page, site.page(f"<p id=a>{BASE}</p>")))
    page.evaluate(
        "() => { document.body.innerHTML = document.body.innerHTML + '<p id=c>info+bbbbbbbbb@site.example</p>' }"
    )
    page.wait_for_timeout(150)
    assert page.inner_text("#a") == first
    page.evaluate("et.restore()")
    assert page.inner_text("#a") == BASE


def test_j44_a_page_that_takes_the_text_back_wins(site: SnippetSite, page: Page) -> None:
    body = f"<p id=war>{BASE}</p><p id=peace>{BASE}</p>"
    swapped(page, site.page(body))
    page.evaluate(
        """base => { const n = document.querySelector('#war').firstChild;
        new MutationObserver(() => { if (n.nodeValue !== base) n.nodeValue = base })
            .observe(n, {characterData: true}); n.nodeValue = base }""",
        BASE,
    )
    page.wait_for_timeout(1500)
    assert page.inner_text("#war") == BASE
    assert "+" in page.inner_text("#peace")


def test_j45_translation_moves_text_and_nothing_is_thrown(site: SnippetSite, page: Page) -> None:
    swapped(page, site.page(f"<p id=a>Write to {BASE} today</p>"))
    page.evaluate(
        """() => { const p = document.querySelector('#a'), f = document.createElement('font');
        f.textContent = p.textContent; p.replaceChildren(f) }"""
    )
    page.wait_for_timeout(150)
    page.evaluate("et.restore()")
    assert page.inner_text("#a") == f"Write to {BASE} today"


def test_j50_old_libraries_that_break_json_do_no_harm(site: SnippetSite, page: Page) -> None:
    head = """<script>Array.prototype.toJSON = function () { return '[' + this.join() + ']' };
        String.prototype.toJSON = function () { return '"' + this + '"' };</script>"""
    swapped(page, site.page(f"<p>{BASE}</p>", head=head))
    (visit,) = site.visits()
    assert visit.body is not None
    assert visit.body["matched"] == [{"attribute": "email", "value": BASE}]


def test_j51_put_in_by_a_tag_manager_after_everything(site: SnippetSite, page: Page) -> None:
    site.pages["/"] = f"<!doctype html><p>{BASE}</p>"
    page.goto(site.url)
    source = f"http://localhost:{site.edge.port}/s/{'k' * 32}.js"
    page.evaluate("src => { const s = document.createElement('script'); s.src = src; document.head.append(s) }", source)
    page.wait_for_function(SWAPPED)
    assert len(site.visits()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Security-Policy": "default-src 'none'; script-src 'nonce-abc'; connect-src http://localhost:*"},
        {"Content-Security-Policy": "require-trusted-types-for 'script'; trusted-types 'none'"},
        {"Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Opener-Policy": "same-origin"},
    ],
)
def test_j52_under_strict_policies(site: SnippetSite, page: Page, headers: dict[str, str]) -> None:
    site.headers = headers
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    swapped(page, site.page(f"<p>{BASE}</p>", attributes='nonce="abc"'))
    assert [text for text in said if "favicon" not in text and "404" not in text] == []


def test_j54_j57_going_back_and_beacons(site: SnippetSite, page: Page) -> None:
    methods: list[str] = []
    page.on("request", lambda request: methods.append(request.method))
    swaps = swapped(page, site.page(f'<a id=m href="mailto:{BASE}">{BASE}</a><p id=t>{BASE}</p>'))
    page.evaluate("() => document.querySelector('#m').addEventListener('click', e => e.preventDefault())")
    page.click("#m")
    page.evaluate("() => { const r = document.createRange(); r.selectNode(document.querySelector('#t'));"
                  " getSelection().removeAllRanges(); getSelection().addRange(r); document.execCommand('copy') }")  # fmt: skip
    wait_until(lambda: {body["kind"] for body in site.beacons()} >= {"click", "copy"})
    kinds = {str(body["kind"]): body["address"] for body in site.beacons()}
    assert kinds["click"] == kinds["copy"] == code_in(swaps)
    assert "OPTIONS" not in methods


def test_j59_without_any_storage_a_long_code_is_shown_and_no_pool_is_leased(site: SnippetSite, page: Page) -> None:
    broken = """<script>for (const [o, n] of [[Document.prototype, 'cookie'], [window, 'localStorage']])
        Object.defineProperty(o, n, {get() { throw new Error('no') }, set() { throw new Error('no') }});</script>"""
    swapped(page, site.page(f"<p>{BASE}</p>", head=broken))
    site.configure(rules=[rule(pool(addresses=(SALES,)), substitution="manual_pool")])
    page.goto(site.page(f"<p>{BASE}</p>", head=broken))
    page.wait_for_timeout(500)
    assert page.inner_text("p") == BASE


def test_j63_consent_is_waited_for_and_taken_back(site: SnippetSite, page: Page) -> None:
    site.configure(consent_mode=True)
    page.goto(site.page(f"<p>{BASE}</p>") + "?utm_source=mail&utm_medium=email")
    page.wait_for_timeout(400)
    assert (site.visits(), page.evaluate("document.cookie + localStorage.length")) == ([], "0")
    page.evaluate("() => { history.replaceState(null, '', '/'); et.consent(true) }")
    page.wait_for_function(SWAPPED)
    (visit,) = site.visits()
    assert visit.body is not None
    assert visit.body["marks"] == {"utm_source": "mail", "utm_medium": "email"}
    page.evaluate("et.consent(false)")
    assert page.inner_text("p") == BASE
    assert page.evaluate("document.cookie + localStorage.length") == "0"
    asked: list[str] = []
    page.wait_for_timeout(200)
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("base => document.body.append(base)", BASE)
    page.wait_for_timeout(300)
    assert asked == []


def test_a_visitor_who_returns_sees_the_same_address(site: SnippetSite, page: Page) -> None:
    first = code_in(swapped(page, site.page(f"<p>{BASE}</p>")))
    assert code_in(swapped(page, site.url)) == first


def test_elements_by_attribute_and_two_blocks(site: SnippetSite, page: Page) -> None:
    site.configure(
        blocks=[
            block("b1", ("email", BASE)),
            block("b2", ("class", "mail")),
            block("b3", ("id", "x"), ("selector", "p > b")),
        ],
        rules=[
            rule(
                static=(
                    line("one@site.example", "b1"),
                    line("two@site.example", "b2"),
                    line("three@site.example", "b3"),
                )
            )
        ],
    )
    page.goto(
        site.page(
            f'<p>{BASE}</p><p class="mail">any@other.example {BASE}</p><p id=x>q@q.example</p><p><b>r@r.example</b></p>'
        )
    )
    page.wait_for_function("() => document.body.textContent.includes('two@')")
    assert page.evaluate("[...document.querySelectorAll('p')].map(p => p.textContent)") == [
        "one@site.example",
        "two@site.example one@site.example",
        "three@site.example",
        "three@site.example",
    ]
    page.evaluate("et.restore()")
    assert page.inner_text("p.mail") == f"any@other.example {BASE}"


def test_shadow_roots_on_request(site: SnippetSite, page: Page) -> None:
    body = f"""<div id=h></div><p>{BASE}</p><script>
        document.querySelector('#h').attachShadow({{mode: 'open'}}).innerHTML = '<b>{BASE}</b>'</script>"""
    swapped(page, site.page(body, attributes="data-shadow"))
    assert "+" in page.evaluate("document.querySelector('#h').shadowRoot.textContent")
    page.evaluate("et.restore()")
    assert page.evaluate("document.querySelector('#h').shadowRoot.textContent") == BASE


def test_j16_a_robot_sees_the_page_as_it_is(site: SnippetSite, page: Page) -> None:
    site.configure(ignore_robots=True)
    page.goto(site.page(f"<p>{BASE}</p>"))
    page.wait_for_timeout(500)
    assert (page.inner_text("p"), site.visits()) == (BASE, [])


def test_j48_a_renewal_writes_nothing(site: SnippetSite, page: Page) -> None:
    swapped(page, site.page(f"<p>{BASE}</p>"))
    writes = page.evaluate(
        """async () => { let n = 0; new MutationObserver(l => n += l.length)
        .observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
        history.pushState(null, '', '/again'); document.title = 'x'; await new Promise(r => setTimeout(r, 800)); return n }"""
    )
    assert writes == 0
    assert len(site.visits()) == 2


def test_the_snippet_is_small_and_carries_its_licence() -> None:
    import gzip

    text = (Path(__file__).parents[2] / "pixel/snippet.js").read_bytes()
    assert len(gzip.compress(text, 9)) < 12 * 1024
    assert b"licence" in text
    assert not re.search(rb"\beval\(|new Function|innerHTML|document\.write", text)
    json.dumps("")


def test_the_zones_name_which_costs_a_page_dear_waits_for_somebody_who_stays(
    site: SnippetSite, browser: Browser
) -> None:
    count = "zones = 0; const own = Intl.DateTimeFormat; Intl.DateTimeFormat = (...a) => { zones++; return own(...a) }"
    context = browser.new_context(timezone_id="Asia/Kolkata")
    page = context.new_page()
    url = site.page(f"Write: {BASE}", head=f"<script>{count}</script>")
    swapped(page, url)
    assert page.evaluate("window.zones") == 0
    page.keyboard.press("Shift")
    page.wait_for_function("window.zones === 1")
    swapped(page, url)
    assert page.evaluate("window.zones") == 0, "the name was remembered"
    context.close()
    assert [(visit.body or {})["timezone"] for visit in site.visits()] == ["UTC+0530", "Asia/Calcutta"]
