"""Older messages inside a document: theirs are left alone, our own become what they were before we sent them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.outbound.edits import restore
from tracker.outbound.rewriter import quoted
from tracker.outbound.rewriter.html_scan import scan
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import rewrite, unwrap

DATA = Path(__file__).parent.parent / "data" / "rewrite"
PIXEL = "https://track.example/o/NEW.gif"


def original(url: str) -> str | None:
    return "https://shop.example/offer?a=1&b=2" if url.startswith("https://track.example/c/OLD") else None


def is_own_pixel(url: str) -> bool:
    return url.startswith("https://track.example/o/")


LEAVE = Leave(own_hosts=frozenset({"track.example"}), original=original, is_own_pixel=is_own_pixel)


def tracked(url: str, index: int) -> str:
    return f"https://track.example/c/NEW{index}"


def unwrapped(html: str, original: Callable[[str], str | None]) -> str:
    document = scan(html)
    return document.spliced(unwrap(document, original, is_own_pixel))


def read(name: str) -> str:
    return (DATA / name).read_bytes().decode()


@pytest.mark.parametrize(
    "name",
    [
        "gmail_answer.html",
        "outlook_web_answer.html",
        "outlook_desktop_answer.html",
        "apple_interleaved_answer.html",
        "quoted_second_document.html",
    ],
)
def test_b38_links_of_the_older_message_are_left(name: str) -> None:
    result = rewrite(read(name), tracked, PIXEL, LEAVE)
    for link in result.links:
        assert link.tracked == link.url.startswith("https://shop.example/") or link.reason == "quoted", link
        assert link.tracked or link.reason == "quoted", link
    assert any(link.tracked for link in result.links)
    assert restore(result, read(name)) == read(name)


MARKS = [
    "<blockquote>{}</blockquote>",
    '<div class="gmail_quote">{}</div>',
    '<div id="divRplyFwdMsg">From: Bob</div>{}',
    '<div id="appendonsend"></div>{}',
    '<div class="yahoo_quoted" id="yahoo_quoted_1">{}</div>',
    '<div class="moz-forward-container">{}</div>',
    '<div class="protonmail_quote">{}</div>',
    '<span id="OLK_SRC_BODY_SECTION">{}</span>',
    '<div id="mail-editor-reference-message-container">{}</div>',
    "<div style='border:none;border-top:solid #B5C4DF 1.0pt;padding:3.0pt 0cm 0cm 0cm'>From:</div>{}",
    '<hr id="zwchr" data-marker="__DIVIDER__">{}',
    "<!-- originalMessage --><div>-------- Original message --------</div>{}",
    '<hr id="stopSpelling">From: Bob<br>{}',
    '<div name="quote" style="margin:10px 5px 5px 10px; padding: 10px 0 10px 10px; border-left:2px solid #C3D9E5;">{}</div>',
    '<div class="iNotesHistory" style="padding-left:5px;">{}</div>',
    '<div class="js-helper js-readmsg-msg">{}</div>',
]


@pytest.mark.parametrize("mark", MARKS)
def test_b38_marks_of_mail_programs(mark: str) -> None:
    html = "<div>Hi</div>" + mark.format('<div><a href="https://x.example/">x</a></div>')
    result = rewrite(html, tracked, PIXEL, LEAVE)
    assert [link.reason for link in result.links] == ["quoted"]
    assert result.html.startswith("<div>Hi</div><img ")


@pytest.mark.parametrize("mark", quoted.WITHIN + quoted.FROM_HERE)
def test_every_mark_of_quoted_history_is_seen(mark: str) -> None:
    name = "style" if ":" in mark else "class"
    for value in (mark, mark.upper(), f"x {mark}"):
        html = f'<p>new</p><div {name}="{value}"><a href="https://x.example/">old</a></div>'
        assert scan(html).links[0].quoted is True


def test_b38_our_words_after_the_quote_are_ours() -> None:
    html = '<div class=gmail_quote><div>a</div></div><div><a href="https://x.example/">x</a></div>'
    assert rewrite(html, tracked, None).links[0].tracked


def test_b38_a_class_name_in_a_style_sheet_quotes_nothing() -> None:
    html = '<style>.gmail_quote{}</style><div><a href="https://x.example/">x</a></div>'
    assert rewrite(html, tracked, None).links[0].tracked


def test_b39_our_own_earlier_message_becomes_what_it_was() -> None:
    html = read("gmail_answer.html")
    expected = html.replace("https://track.example/c/OLD?x=1&amp;y=2", "https://shop.example/offer?a=1&amp;b=2")
    expected = expected.replace('<img src="https://track.example/o/OLD.gif" width="1" height="1" alt="">', "")
    assert rewrite(html, lambda url, index: None, None, LEAVE).html == expected
    assert unwrapped(html, original) == expected


def test_b39_an_old_pixel_counts_for_nothing_and_goes() -> None:
    html = '<p>Hi</p><blockquote>old<img src="https://track.example/o/OLD.gif"></blockquote>'
    result = rewrite(html, tracked, PIXEL, LEAVE)
    assert result.html.count("<img ") == 1
    assert "OLD" not in result.html
    assert restore(result, html) == html


def test_b39_an_old_pixel_outside_a_recognised_quote_goes_too() -> None:
    html = '<p>Hi</p><p>On Monday Bob wrote:</p><p>old<img src="https://track.example/o/OLD.gif"></p>'
    assert "OLD" not in rewrite(html, tracked, PIXEL, LEAVE).html
    assert "OLD" not in rewrite(html, lambda url, index: None, None, LEAVE).html


def test_b39_a_pixel_behind_an_image_proxy() -> None:
    html = '<blockquote><img src="https://ci3.googleusercontent.com/proxy/x=s0#https://track.example/o/OLD.gif"></blockquote>'
    assert rewrite(html, tracked, None, LEAVE).html == "<blockquote></blockquote>"


def test_b39_inside_a_conditional_comment() -> None:
    html = '<blockquote><!--[if mso]><v:rect href="https://track.example/c/OLD"></v:rect><img src="https://track.example/o/OLD"><![endif]-->'
    expected = '<blockquote><!--[if mso]><v:rect href="https://shop.example/offer?a=1&amp;b=2"></v:rect><![endif]-->'
    assert rewrite(html, tracked, None, LEAVE).html == expected


def test_b39_pictures_and_links_of_others_stay() -> None:
    html = (
        '<blockquote><img src="https://other.example/o/1.gif"><a href="https://other.example/c/OLD">x</a></blockquote>'
    )
    assert rewrite(html, tracked, None, LEAVE).html is html


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("*.html")))
def test_b40_b41_twice_is_once_and_there_is_a_way_back(name: str) -> None:
    html = read(name)
    once = rewrite(html, tracked, PIXEL, LEAVE)
    twice = rewrite(once.html, tracked, PIXEL, LEAVE)
    assert twice.html is once.html
    assert len(twice.links) == len(once.links)
    assert restore(once, html) == html


def test_b41_unwrap_without_a_record_gives_the_document_back() -> None:
    html = read("outlook_button.html")
    urls: list[str] = []

    def link(url: str, index: int) -> str:
        urls.append(url)
        return f"https://track.example/c/{len(urls) - 1}"

    result = rewrite(html, link, PIXEL)

    def back(url: str) -> str | None:
        return urls[int(url.rpartition("/")[2])] if url.startswith("https://track.example/c/") else None

    assert len(urls) == 3
    assert unwrapped(result.html, back) == html


def test_unwrap_leaves_a_document_without_anything_of_ours() -> None:
    html = read("outlook_button.html")
    assert unwrapped(html, original) is html


def test_a_mark_written_with_character_references_begins_a_quote_too() -> None:
    html = '<p>Mine <a href="https://a.example/">a</a></p><div class="gmail&#95;quote"><a href="https://b.example/">b</a></div>'
    assert [link.reason for link in rewrite(html, tracked, None, LEAVE).links] == [None, "quoted"]
