"""Where the pixel stands and what it is made of."""

from pathlib import Path

import pytest
import turbohtml

from tests.outbound.edits import restore
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import Rewritten, rewrite
from tracker.runtime.limits import GMAIL_CLIPS_AT

DATA = Path(__file__).parent.parent / "data" / "rewrite"
PIXEL = "https://track.example/o/abc.gif?x=1&y=2"
MARKUP = (
    '<img src="https://track.example/o/abc.gif?x=1&amp;y=2" width="1" height="1" alt="" role="presentation" aria-hidden="true"'
    ' style="display:block;position:absolute;width:1px;height:1px;border:0;margin:0;padding:0" />'
)
LEAVE = Leave(is_own_pixel=lambda url: url.startswith("https://track.example/o/"))


def with_pixel(html: str) -> Rewritten:
    result = rewrite(html, lambda url, index: None, PIXEL, LEAVE)
    assert restore(result, html) == html
    assert result.html == rewrite(result.html, lambda url, index: None, PIXEL, LEAVE).html
    return result


def rendered(html: str) -> list[turbohtml.Element]:
    """The pixels of the tree that a browser would build."""
    return [item for item in turbohtml.parse(html).select("img") if item.attrs.get("src") == PIXEL]


# name, document in which "@" is where the pixel goes
PLACES = [
    ("B26 fragment", "<p>Hi</p><p>there</p>@"),
    ("B26 text alone", "Hi@"),
    ("B26 nothing at all", "@"),
    ("B26 two roots and a comment", "<p>Hi</p><!-- x -->@"),
    ("B27 upper case", "<BODY>Hi@</BODY>"),
    ("B27 space", "<body>Hi@</body ></html>"),
    ("B27 no end of the body", "<html><body>Hi"),
    ("B27 html ends alone", "<html><body>Hi@</html>"),
    ("B27 twice", "<body>Hi@</body></body>"),
    ("B28 in a comment", "<body>Hi<!-- </body> -->there@</body>"),
    ("B28 in an attribute", '<body><p title="</body>">Hi</p>@</body>'),
    ("B28 in a script", '<body>Hi<script>"</body>"</script>@</body>'),
    ("B28 in a conditional comment", "<body>Hi<!--[if mso]></body><![endif]-->there@</body>"),
    ("B29 a second document", "<html><body>Hi@<html><body>old</body></html></body></html>"),
    ("B29 a second document after a fragment", "<p>Hi</p>@<html><body>old</body></html>"),
    ("B29 a preview before the document", '<div style="display:none">p</div><html><body>Hi@</body></html>'),
    ("B38 before the quote", "<body>Hi@<blockquote>old</blockquote></body>"),
    ("B38 before the first of several", "<p>Hi</p>@<div class=gmail_quote>old</div><blockquote>old</blockquote>"),
    ("B38 a quote at the very top", "<body>@<blockquote>old</blockquote>Hi</body>"),
    (
        "C3 an end is no place",
        '<body><div style="display:none">preview</div>@<p>Hi<a href="https://x.example/">x</body>',
    ),
    ("C7 not in a link that nobody closes", '<body>@<p>Hi</p><a href="https://x.example/">x</body>'),
    ("C7 not in an anchor that nobody closes", "<body>@<p>Hi</p><a name=x>x"),
    ("a comment that nobody closes", "<body>@<p>Hi</p><!-- x </body>"),
    ("a tag that nobody ends", "<body>@<p>Hi</p><img src='x"),
    ("a style sheet that nobody closes", "<p>Hi</p><style> p {}"),
    ("line ends", "<body>\r\nHi\r\n@</body>\r\n"),
]


@pytest.mark.parametrize(("name", "marked"), PLACES, ids=[name for name, _ in PLACES])
def test_place(name: str, marked: str) -> None:
    html = marked.replace("@", "")
    expected = {
        "B27 no end of the body": html + MARKUP,
        "a style sheet that nobody closes": MARKUP + html,
    }.get(name, marked.replace("@", MARKUP))
    result = with_pixel(html)
    assert result.html == expected
    assert result.pixel
    assert len(rendered(result.html)) == 1


HIDDEN = [
    '<div style="display: none">p</div>',
    '<div style="DISPLAY:NONE !important;max-height:0">p<div>q</div></div>',
    "<span style='visibility:hidden;font-size:1px'>p</span>",
    '<p style="mso-hide:all">p</p>',
    '<div class="preheader">p</div>',
    "<table id=preview-text><tr><td><table><tr><td>p</td></tr></table></td></tr></table>",
    "<div hidden>p</div>",
    '<div style="display:none">p</div>\r\n<div style="opacity:0">&zwnj;&nbsp;</div>',
]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_c1_c3_a_long_message_has_its_pixel_early_but_behind_the_preview_text(hidden: str) -> None:
    text = "<p>" + "text " * 30_000 + "</p>"
    html = f"<html><head><style>p{{}}</style></head><body class=b>{hidden}<table><tr><td>{text}</td></tr></table></body></html>"
    result = with_pixel(html)
    assert result.html == html.replace(hidden, hidden + MARKUP)
    assert len(result.html[: result.html.index(MARKUP)].encode()) < GMAIL_CLIPS_AT


@pytest.mark.parametrize(
    "beginning", ["<body>", "<html><head><title>t</title></head><body bgcolor='#fff'>", "<style>p{}</style>", ""]
)
def test_c1_a_long_message_without_preview_text(beginning: str) -> None:
    html = beginning + "<div>" + "ö" * 60_000 + "</div>"
    result = with_pixel(html)
    assert result.html == beginning + MARKUP + html[len(beginning) :]


def test_c1_visible_text_is_not_mistaken_for_a_preview() -> None:
    html = '<body><p>Hi</p><div style="display:none">p</div>' + "x" * GMAIL_CLIPS_AT
    assert with_pixel(html).html == html.replace("<body>", "<body>" + MARKUP)


def test_c2_growth_over_the_limit_is_reported_and_the_pixel_comes_first() -> None:
    html = "<body><p>Hi</p>" + '<a href="https://x.example/">x</a> ' * 2000 + "x" * 30_000 + "</body>"
    result = rewrite(html, lambda url, index: f"https://track.example/c/{index}", PIXEL)
    assert len(html) <= GMAIL_CLIPS_AT < len(result.html)
    assert result.html.startswith("<body>" + MARKUP)


def test_c4_to_c9_markup() -> None:
    assert "display:none" not in MARKUP
    assert MARKUP.isascii()
    image = rendered(with_pixel("<p>Hi</p>").html)[0]
    assert (image.attrs["width"], image.attrs["height"], image.attrs["alt"]) == ("1", "1", "")
    assert (image.attrs["role"], image.attrs["aria-hidden"]) == ("presentation", "true")
    assert not {"loading", "srcset", "tabindex", "title"} & set(image.attrs)
    assert "border:0" in str(image.attrs["style"])


def test_c7_the_pixel_is_never_in_a_link() -> None:
    html = '<body><a href="https://x.example/"><div style="display:none">p</div>' + "x" * GMAIL_CLIPS_AT
    result = with_pixel(html)
    assert result.html == html.replace("<body>", "<body>" + MARKUP)


def test_a_page_of_frames_has_no_place() -> None:
    html = "<html><head></head><frameset cols=*><frame src=x></frameset></html>"
    result = with_pixel(html)
    assert (result.html, result.pixel) == (html, False)


def test_c10_one_pixel_after_two_passes() -> None:
    once = with_pixel("<body>Hi</body>")
    twice = rewrite(once.html, lambda url, index: None, PIXEL)
    assert twice.html is once.html
    assert twice.pixel


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.html")))
def test_real_shapes_render_exactly_one_pixel_of_this_copy(name: str) -> None:
    result = with_pixel((DATA / name).read_bytes().decode())
    (image,) = rendered(result.html)
    above = image.parent
    while above is not None:
        assert getattr(above, "tag", "") not in ("a", "blockquote", "title", "head")
        above = above.parent
