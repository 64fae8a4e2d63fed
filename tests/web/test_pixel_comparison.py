"""A mail looks the same before and after rewriting, to the pixel, in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.outbound.test_compose_find_replace import DATA as MIME
from tests.outbound.test_compose_find_replace import FOUND
from tracker.outbound.mime_patch import HtmlPart, find_html
from tracker.outbound.rewriter.hidden_link import hide
from tracker.outbound.rewriter.html_scan import scan
from tracker.outbound.rewriter.rewriting import rewrite, track

pytestmark = pytest.mark.browser

DATA = Path(__file__).parent.parent / "data" / "rewrite"
HOST = "https://track.example"
GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
PICTURE = (
    b"<svg xmlns='http://www.w3.org/2000/svg' width='90' height='40'><rect width='90' height='40' fill='#08c'/></svg>"
)
NEWSLETTER = (
    "<html><head><style>a{color:#05a}a:hover{color:red}td>a:last-child{font-weight:bold}p:last-child{margin:0}</style></head>"
    '<body bgcolor="#eef"><div style="display:none">A word before</div><table width="600" align="center" bgcolor="#ffffff"><tr>'
    '<td style="padding:20px;font:16px/24px Arial"><img src="https://pictures.example/logo.svg" width="90" height="40" alt="Shop">'
    '<h1>Twelve chairs</h1><p>See <a href="https://shop.example/offer?a=1&amp;b=2">the offer</a> and '
    '<a href="https://shop.example/terms">terms</a></p><p><a href="https://shop.example/buy" style="display:inline-block;'
    'padding:12px 24px;background:#05a;color:#fff;text-decoration:none">Order</a></p></td></tr></table></body></html>'
)


def documents() -> dict[str, str]:
    html = {path.stem: path.read_bytes().decode() for path in sorted(DATA.glob("*.html"))}
    for name in FOUND:
        part = find_html((MIME / f"{name}.eml").read_bytes())
        assert isinstance(part, HtmlPart)
        html[name] = part.html
    return {
        **html,
        "newsletter": NEWSLETTER,
        "newsletter_over_102_kb": NEWSLETTER.replace("</h1>", "</h1>" + "<i></i>" * 15_000),
    }


DOCUMENTS = documents()


@pytest.fixture(scope="module")
def mail_page(browser: Browser) -> Page:
    """A window in which pictures come from nowhere but here, the pixel as the edge gives it."""
    page = browser.new_page(viewport={"width": 800, "height": 600}, java_script_enabled=False)
    page.route("**/*", lambda route: route.fulfill(body=PICTURE, content_type="image/svg+xml"))
    page.route(f"{HOST}/o/*", lambda route: route.fulfill(body=GIF, content_type="image/gif"))
    return page


def picture_of(page: Page, html: str) -> bytes:
    page.goto("about:blank")  # what stood there before can move a letter by a fraction of a pixel
    page.set_content(html, wait_until="load")
    return page.screenshot(full_page=True, animations="disabled")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_looks_the_same_to_the_pixel(mail_page: Page, name: str) -> None:
    html = DOCUMENTS[name]
    rewritten = rewrite(html, lambda url, index: f"{HOST}/c/{index}", f"{HOST}/o/1.gif")
    assert f"{HOST}/o/1.gif" in rewritten.html
    assert picture_of(mail_page, html) == picture_of(mail_page, rewritten.html)


# Text straight after a link is set a fraction of a pixel apart where the hidden link stands between them: kerning ends there.
@pytest.mark.parametrize("name", ["newsletter", "newsletter_over_102_kb", "outlook_button", "gmail_answer"])
def test_with_the_hidden_link_too(mail_page: Page, name: str) -> None:
    html = DOCUMENTS[name]
    document = scan(html)
    links, edits, _ = track(document, lambda url, index: f"{HOST}/c/{index}", f"{HOST}/o/1.gif")
    hidden = document.spliced(edits + hide(document, links, f"{HOST}/c/hidden", lambda url: False))
    assert f"{HOST}/c/hidden" in hidden
    assert picture_of(mail_page, html) == picture_of(mail_page, hidden)


def test_the_comparison_would_see_one_pixel(mail_page: Page) -> None:
    dot = f'<img src="{HOST}/dot" width="1" height="1" style="position:absolute;top:5px;left:5px">'
    assert picture_of(mail_page, NEWSLETTER) != picture_of(mail_page, NEWSLETTER.replace("<h1>", dot + "<h1>"))
