"""Tags, attributes and documents as they really come: links found where a browser finds them, every other byte kept."""

import re

import pytest

from tests.outbound.edits import restore
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import rewrite

T = "https://track.example/c/"
X = "https://x.example/"


def tracked(url: str, index: int) -> str:
    return f"{T}{index}"


def reasons(html: str) -> list[str | None]:
    return [link.reason for link in rewrite(html, tracked, None).links]


# name, a document in which «…» marks what the tracked URL replaces
TRACKED = [
    ("B1 upper case", f'<A HREF="«{X}»">x</A>'),
    ("B2 unquoted", f"<a href=«{X}p?a=1» class=b>x</a>"),
    ("B2 unquoted, last", f"<a class=b href=«{X}p/»>x</a>"),
    ("B3 space around the sign", f'<a href = "«{X}»">x</a>'),
    ("B4 line break between attributes", f'<a class="b"\r\nhref="«{X}»"\nid=c>x</a>'),
    ("B5 tab", f'<a\thref="«{X}»">x</a>'),
    ("B5 slash", f'<a/href="«{X}»"/>x</a>'),
    ("B6 greater-than in a value", f'<a title="a > b" href="«{X}»">x</a>'),
    ("B6 tag in a value", f"""<a title='<a href="no">' href="«{X}»">x</a>"""),
    ("B7 decoy", f'<a data-href="{X}1" xhref={X}2 href="«{X}3»">x</a>'),
    ("B8 two of them", f'<a href="«{X}1»" href="{X}2" HREF={X}3>x</a>'),
    ("B11 area", f'<map><area shape=rect alt="Shop" href="«{X}»"></map>'),
    (
        "B18 VML",
        f'<!--[if mso]><v:roundrect xmlns:v="u" href="«{X}»" arcsize="8%"><center>B</center></v:roundrect><![endif]-->',
    ),
    ("B18 VML, version", f"<!--[if gte mso 9]>\r\n<v:rect href='«{X}»'></v:rect>\r\n<![endif]-->"),
    (
        "B18 a table for Outlook",
        f'<!--[if (gte mso 9)|(IE)]><table><tr><td><a href="«{X}»">B</a></td></tr></table><![endif]-->',
    ),
    ("B18 VML in the open", f'<v:shape href="«{X}»"/>'),
    ("B19 revealed", f'<![if !mso]><a href="«{X}»">x</a><![endif]>'),
    ("B20 revealed by comments", f'<!--[if !mso]><!--><a href="«{X}»">x</a><!--<![endif]-->'),
    ("B20 revealed by comments, other form", f'<!--[if !mso]> --><a href="«{X}»">x</a><!-- <![endif]-->'),
    ("B21 bracket before the tag", f'<![endif]><b>]></b>]]><a href="«{X}»">]></a>'),
    (
        "B22 Word's elements",
        f'<o:p></o:p><xml><o:OfficeDocumentSettings><w:Anchorlock/></xml><a href="«{X}»"><o:p>x</o:p></a>',
    ),
    (
        "B23 XHTML",
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x">\r\n'
        f'<html xmlns="http://www.w3.org/1999/xhtml" xmlns:v="u"><a href="«{X}»">x</a><br /></html>',
    ),
    ("B24 empty elements", f'<br/><td></td><a></a><p/><a href="«{X}»"/><hr></hr>'),
    ("B25 references in text", f'&nbsp; &copy; &#8217; é 日本 😀<a title="&eacute;" href="«{X}»">&lt;日&gt;</a>&amp'),
    ("B30 unclosed", f'<table><a href="«{X}1»">x<tr><td><b><i><a href="«{X}2»">y'),
    ("B31 line ends", f'\r\n<a href="«{X}»">\r\nx</a>\n\r<p>\r'),
    ("B34 NUL and others", f'a\0b\ud800\u2028\x85<a \0 x="\0" href="«{X}»">\0</a>\udfff'),
    ("B37 neighbours", f"""<a target=_blank REL='noopener' href="«{X}»" class="a  b" style="color:#fff;">x</a >"""),
    ("after a comment that looks open", f'<!--><a href="«{X}»">x</a><!--->'),
    ("behind a raw text element", f'<style>a{{}}</style ><a href="«{X}»">x</a>'),
    ("in a list of classes like ours", f'<div class="quote-of-the-day"><a href="«{X}»">x</a></div>'),
    ("text with a tag-like beginning", f'1 < 2 <3 <-- </ ><a href="«{X}»">x</a>'),
]


@pytest.mark.parametrize(("name", "marked"), TRACKED, ids=[name for name, _ in TRACKED])
def test_link_is_tracked_and_every_other_byte_kept(name: str, marked: str) -> None:
    html = marked.replace("«", "").replace("»", "")
    numbers = iter(range(99))
    expected = re.sub("(?<=[\"'])«.*?»", lambda _: f"{T}{next(numbers)}", marked)
    expected = re.sub("«.*?»", lambda _: f'"{T}{next(numbers)}"', expected)
    result = rewrite(html, tracked, None)
    assert result.html == expected
    assert restore(result, html) == html


LEFT = [
    ("B9 stylesheet", f'<link rel=stylesheet href="{X}a.css">'),
    ("B9 canonical", f'<link rel="canonical" href="{X}"/>'),
    ("B10 base", f'<base href="{X}">'),
    ("B12 form", f'<form action="{X}"><button formaction="{X}">b</button></form>'),
    (
        "B13 images",
        f'<img src="{X}a.png" srcset="{X}b.png 2x"><td background="{X}c.png" style="background:url({X}d.png)">',
    ),
    ("B14 visible text", f'&lt;a href="{X}"&gt; href="{X}"'),
    ("B15 style sheet", f'<style>a[href="{X}"] {{}} <a href="{X}"></style>'),
    ("B16 script", f"<script>document.write('<a href=\"{X}\">x</a>')</script>"),
    ("B16 textarea", f'<textarea><a href="{X}">x</a></textarea>'),
    ("B16 title", f'<title><a href="{X}">x</a></title>'),
    ("B16 noscript", f'<noscript><a href="{X}">x</a></noscript>'),
    ("B17 comment", f'<!-- <a href="{X}">x</a> -->'),
    ("B17 comment with a bang", f'<!-- <a href="{X}">x</a> --!>'),
    ("B17 bogus comment", f"<!a href={X}><?a href={X}></ a href={X}>"),
    ("B17 comment inside a conditional one", f'<!--[if mso]> text only [endif] href="{X}" <![endif]-->'),
    ("B35 no href", '<a>x</a><a name="y">z</a><a href>w</a>'),
    ("B36 div", f'<div href="{X}">x</div><span HREF={X}>'),
    ("B36 svg", f'<svg><a xlink:href="{X}"><use href="#i"/></a></svg>'),
    ("B43 text that looks like a link", f"See {X} or www.x.example"),
    ("a tag that never ends", f'<a href="{X}'),
    ("a quote that never ends", f"<a href='{X}>x</a>"),
]


@pytest.mark.parametrize(("name", "html"), LEFT, ids=[name for name, _ in LEFT])
def test_what_is_no_link_is_left(name: str, html: str) -> None:
    result = rewrite(html, tracked, None)
    assert result.html is html
    assert not any(link.tracked for link in result.links)


def test_b10_relative_links_are_resolved_for_the_report_only() -> None:
    result = rewrite(f'<base href="{X}d/"><a href="p?q">x</a>', tracked, None)
    assert [(link.url, link.reason) for link in result.links] == [(f"{X}d/p?q", "relative")]


def test_b10_a_base_that_is_no_address_breaks_nothing() -> None:
    result = rewrite('<base href="https://[x/"><a href="p">x</a>', tracked, None)
    assert result.links[0].url == "p"


GROWING = [
    ("B32 tags that never end", "<a "),
    ("B32 links that never end", '<a href="https://x.example/'),
    ("B32 open angle brackets", "<"),
    ("B32 conditional comments that never end", "<!--[if mso]>"),
    ("B32 conditional comments", "<!--[if mso]><a href=https://x.example/><![endif]-->"),
    ("B32 attributes that never end", "<a x='"),
    ("B32 ampersands", "<a href='https://x.example/?&a&b;'>"),
    ("B32 links nobody closes", "<a href='https://x.example/'>x "),
    ("B33 nested", "<div>"),
    ("B33 nested quotes", "<blockquote>"),
    ("B33 nested hidden", "<div style=display:none>"),
    ("B33 nested tables", "<table><tr><td>"),
    ("quoted again and again", "<div class=gmail_quote></div>"),
    ("returns", "<p>\r"),
    ("scripts", "<script><!--<script>"),
    ("spaces in tags", "<a" + " " * 50 + "href"),
    ("marks", "<a data-no-track>"),
]


@pytest.mark.parametrize("beginning", ["", "x"], ids=["unseen", "seen"])
@pytest.mark.parametrize(("name", "piece"), GROWING, ids=[name for name, _ in GROWING])
def test_b32_b33_a_hostile_megabyte_is_read_before_the_test_times_out(name: str, piece: str, beginning: str) -> None:
    """One that grew with the square of the size would be at it for hours."""
    html = beginning + piece * (1_000_000 // len(piece))
    result = rewrite(html, tracked, f"{T}p.gif", Leave(is_own_pixel=lambda url: False))
    assert restore(result, html) == html


def test_b32_five_megabytes() -> None:
    html = "<html><body>" + f'<p>text &amp; text <a href="{X}?a=1&amp;b=2">x</a></p>\r\n' * 90_000 + "</body></html>"
    assert len(html) > 5_000_000
    result = rewrite(html, tracked, f"{T}p.gif")
    assert sum(link.tracked for link in result.links) == 65_535
    assert result.links[-1].reason == "too_many"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("  two\r\n words ", "two words"),
        ("<b>bo</b>ld &amp; <i>it</i>", "bold & it"),
        ('<img alt="Our &quot;shop&quot;" src=x>', 'Our "shop"'),
        ("<img alt=logo src=x> Visit", "Visit"),
        ("\r\n  <img alt=''><img alt=logo src=x>\r\n", "logo"),
        ("<!-- no --><style>p{}</style>yes", "yes"),
        ("<!--[if mso]>no<![endif]-->yes", "yes"),
        ("", ""),
        ("x" * 300, "x" * 200),
    ],
)
def test_visible_text(inner: str, text: str) -> None:
    assert rewrite(f'<p>t</p><a href="{X}">{inner}</a> more', tracked, None).links[0].text == text


def test_visible_text_of_a_link_that_another_one_ends() -> None:
    html = f'<a href="{X}1">one<a href="{X}2">two'
    assert [link.text for link in rewrite(html, tracked, None).links] == ["one", "two"]


def test_visible_text_of_an_area() -> None:
    assert rewrite(f'<area href="{X}" alt="North &amp; South">', tracked, None).links[0].text == "North & South"


URL_TEXTS = [
    ("https://x.example/p", True),
    ("HTTP://y.example", True),
    ("www.y.example", True),
    ("x.example", True),
    ("www.x.example/p", True),
    ("<b>x.example</b>", True),
    ("y.example", False),
    ("Node.js", False),
    ("Visit x.example", False),
    ("price.pdf", False),
    ("1.5", False),
]


@pytest.mark.parametrize(("text", "is_url"), URL_TEXTS)
def test_b42_a_link_whose_text_is_its_address_is_left(text: str, is_url: bool) -> None:
    html = f'<p>t</p><a href="{X}p">{text}</a>'
    link = rewrite(html, tracked, None).links[0]
    assert link.reason == ("text_is_url" if is_url else None)
    result = rewrite(html, tracked, None, Leave(leave_text_urls=False))
    assert result.html == f'<p>t</p><a href="{T}0">{text}</a>'


def test_nothing_to_track_is_the_very_same_object() -> None:
    html = f'<html><body><p>Hi <a href="{X}">x</a></p></body></html>'
    assert rewrite(html, lambda url, index: None, None).html is html


def test_an_empty_document() -> None:
    assert rewrite("", tracked, None).html == ""
    assert rewrite("", tracked, f"{T}p.gif").html.startswith("<img ")
