"""Somebody's mail HTML made fit to be shown: what is taken out, what stays, and that nothing makes it fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from turbohtml import parse

from tests.web.reading import every
from tracker.mail.safe_html import clean, content_security_policy, has_remote_images, runs_something, safe_mail
from tracker.outbound.rich_text import formatted, plain, without_scripts

PIECES = st.sampled_from(
    [
        "<script>",
        "</script>",
        "<p onclick=a()>",
        "<a href='javascript:b()'>",
        "</a>",
        "<svg onload=c()>",
        "<style>",
        "</style>",
        "<!--",
        "-->",
        "<math>",
        "<mtext>",
        "<table>",
        "<img src=x onerror=d()>",
        "<iframe srcdoc='",
        "'>",
        '"',
        "&lt;",
        "<form>",
        "text",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=80))
def test_whatever_comes_nothing_runs(html: str) -> None:
    page = parse(safe_mail(html, "title", {}, remote_images=False).document)
    assert not every(page, "script, iframe, object, embed, form, svg, math, meta[http-equiv], link, input")
    for element in every(page, "*"):
        assert not [name for name in element.attrs if name.startswith("on")]
        assert "javascript:" not in str(element.attrs.get("href", "")).lower()


@pytest.mark.parametrize(
    "href",
    [
        "javascript:a()",
        " java\nscript:a()",
        "JaVaScRiPt:a()",
        "data:text/html,x",
        "da\tta:text/html,x",
        "vbscript:a",
        "file:///etc/passwd",
        "/mail",
        "//evil.example/x",
        "blob:x",
    ],
)
def test_a_link_goes_outside_or_nowhere(href: str) -> None:
    (link,) = every(parse(clean(f'<a href="{href}">x</a>')), "a")
    assert "href" not in link.attrs


def test_what_mail_is_made_of_stays() -> None:
    html = (
        '<table width="100%" bgcolor="#eee"><tr><td align="center" style="padding:4px;color:red"><font color="red" size="2">a'
        '</font><a href="mailto:a@x.example">m</a><a href="tel:+49">t</a><blockquote>q</blockquote></td></tr></table>'
    )
    shown = clean(html)
    for piece in (
        'width="100%"',
        'bgcolor="#eee"',
        "padding",
        'href="mailto:a@x.example"',
        'href="tel:+49"',
        "<blockquote>",
    ):
        assert piece in shown


def test_pictures_of_the_message_itself_are_shown_and_nothing_else_is_embedded() -> None:
    pictures = {"logo@x": ("image/png", b"\x89PNG"), "page@x": ("text/html", b"<script>"), "": ("image/png", b"no id")}
    document = safe_mail('<img src="cid:logo@x"><img src="cid:page@x">', "t", pictures, remote_images=False).document
    assert "data:image/png;base64,iVBORw==" in document
    assert "text/html" not in document


def test_the_title_is_text() -> None:
    page = parse(safe_mail("x", "</title><script>a()</script>", {}, remote_images=False).document)
    assert not every(page, "script")


def test_the_policy_lets_pictures_through_only_when_asked() -> None:
    assert "img-src data:;" in content_security_policy(remote_images=False)
    assert "https:" not in content_security_policy(remote_images=False)
    assert "img-src data: https: http:;" in content_security_policy(remote_images=True)
    assert "allow-scripts" not in content_security_policy(remote_images=True)


@pytest.mark.parametrize(
    ("html", "remote"),
    [
        ("<p>x</p>", False),
        ('<img src="https://x.example/a.png">', True),
        ("<IMG SRC=HTTP://x.example/a.png>", True),
        ('<img src="cid:logo">', False),
        ('<a href="https://x.example">x</a>', False),
    ],
)
def test_whether_pictures_would_tell_somebody(html: str, remote: bool) -> None:
    assert has_remote_images(html) is remote


@given(st.text(max_size=200))
def test_html_that_runs_nothing_is_kept_to_the_letter(html: str) -> None:
    assert runs_something(html) or without_scripts(html) == html


@given(st.lists(st.text("abc <>&\"'é", min_size=1, max_size=12).map(str.strip).filter(bool), min_size=1, max_size=6))
def test_plain_lines_survive_the_way_to_html_and_back(lines: list[str]) -> None:
    text = "\n".join(" ".join(line.split()) for line in lines)
    assert plain(formatted(text)) == text


@pytest.mark.parametrize(
    ("html", "theme", "is_dark", "is_turned"),
    [
        ("<p>Hello</p>", "light", False, False),
        ("<p>Hello</p>", "dark", True, False),
        ("<p>Hello</p>", "auto", True, False),
        ("<p>The colour of the sea: blue</p>", "dark", True, False),
        ('<p style="color:#333">Hello</p>', "dark", False, True),
        ('<p style="COLOR : red">Hello</p>', "auto", False, True),
        ('<table bgcolor="#ffffff"><tr><td>Hello</td></tr></table>', "dark", False, True),
        ('<font color="red">Hello</font>', "dark", False, True),
        ('<div style="background:#fff">Hello</div>', "dark", False, True),
        ('<p style="color:#333">Hello</p>', "light", False, False),
    ],
)
def test_on_dark_paper_a_mail_without_colours_has_ours_and_others_have_theirs_turned(
    html: str, theme: str, is_dark: bool, is_turned: bool
) -> None:
    document = safe_mail(html, "t", {}, remote_images=False, theme=theme).document
    assert ("html{background:#181c24" in document, "html{filter:invert" in document) == (is_dark, is_turned)
    assert ("@media (prefers-color-scheme:dark)" in document) == (theme == "auto")
