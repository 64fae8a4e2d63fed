"""One scan of a document, the edits of whoever changes it, and one splice of them all."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.outbound.edits import restore
from tests.outbound.test_rewrite_properties import PIECES
from tracker.outbound.rewriter.document import Document, Edit
from tracker.outbound.rewriter.footer import Footer, mark_of, put_footer, without_footers
from tracker.outbound.rewriter.hidden_link import hide, without_traps
from tracker.outbound.rewriter.html_scan import scan
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import Rewritten, rewrite, track, unwrap

HOST = "https://track.example"
PIXEL, TRAP = f"{HOST}/o/new.gif", f"{HOST}/c/trap-new"
MARK = mark_of("Seen. Choose")
FOOTER = Footer("Seen.", "Choose", f"{HOST}/r/new-{MARK}")
OLD_FOOTER = f'<div style="x">Seen. <a href="{HOST}/r/old-{MARK}">Choose</a></div>'
LEAVE = Leave(
    own_hosts=frozenset({"track.example"}),
    original=lambda url: "https://was.example/" if url == f"{HOST}/c/old" else None,
    is_own_pixel=lambda url: url.startswith(f"{HOST}/o/"),
)


def is_trap(url: str) -> bool:
    return url.startswith(f"{HOST}/c/trap-")


def mark(url: str) -> str | None:
    return url.rpartition("-")[2] if url.startswith(f"{HOST}/r/") else None


def whole_copy(html: str) -> Rewritten:
    """All that a copy may get: links, pixel, hidden link, footer; and all of an older message that goes."""
    document = scan(html)
    links, edits, pixel = track(document, lambda url, index: f"{HOST}/c/{index}", PIXEL, LEAVE)
    edits += hide(document, links, TRAP, is_trap) + put_footer(document, FOOTER, mark)
    return Rewritten(document.spliced(edits), links, edits, pixel)


def cleaned(html: str) -> str:
    document = scan(html)
    edits = without_traps(document, is_trap) + without_footers(document, mark)
    return document.spliced(edits + unwrap(document, LEAVE.original or (lambda url: None), lambda url: "/o/" in url))


documents = st.lists(
    st.sampled_from(
        [
            *PIECES,
            "Hi ",
            '<p style="x">',
            '<a href="https://x.example/">x</a>',
            f'<a href="{HOST}/c/trap-old">',
            f'<a href="{HOST}/c/trap-old"></a>',
            f'<img src="{HOST}/o/old.gif">',
            f'<a href="{HOST}/c/old">old</a>',
            f'<div>Seen. <a data-no-track href="{HOST}/r/old-{MARK}">',
            "Choose",
            OLD_FOOTER,
        ]
    ),
    max_size=30,
).map("".join)


@given(documents)
@settings(max_examples=600)
def test_whatever_the_document_the_edits_of_all_fit_together(html: str) -> None:
    copy = whole_copy(html)
    assert restore(copy, html) == html
    assert sum(copy.html.count(address) for address in (PIXEL, TRAP, FOOTER.url)) <= 3


@given(documents)
@example("<?x" + OLD_FOOTER + f"<script><a href='{HOST}/c/old'>")
@settings(max_examples=600)
def test_whatever_the_document_nothing_of_ours_is_left_in_it(html: str) -> None:
    links = rewrite(cleaned(html), lambda url, index: None, None).links
    assert not [link for link in links if is_trap(link.url) or mark(link.url) or link.url == f"{HOST}/c/old"]
    assert not [image for image in scan(cleaned(html)).images if "/o/" in image.source]


def test_a_copy_has_each_of_them_once_at_its_place() -> None:
    html = f"""<body style="x"><p>See <a href="https://a.example/">a</a> and <a href="https://b.example/">b</a>.</p>
<blockquote>You wrote: <img src="{HOST}/o/old.gif"><a href="{HOST}/c/old">c</a>{OLD_FOOTER}</blockquote></body>"""
    copy = whole_copy(html).html
    places = [copy.index(part) for part in (f"{HOST}/c/0", TRAP, f"{HOST}/c/1", PIXEL, FOOTER.url, "<blockquote>")]
    assert places == sorted(places)
    assert copy.endswith('<blockquote>You wrote: <a href="https://was.example/">c</a></blockquote></body>')


def test_a_pixel_inside_of_an_old_footer_goes_with_it() -> None:
    html = "<p>Hi</p>" + OLD_FOOTER.replace("Choose", f'Choose<img src="{HOST}/o/old.gif">')
    assert cleaned(html) == "<p>Hi</p>"


def test_a_mark_on_an_old_hidden_link_goes_with_it() -> None:
    assert "trap-old" not in whole_copy(f'<p>Hi<a data-no-track href="{HOST}/c/trap-old"></a></p>').html


# --- the splice


def test_edits_come_in_any_order_and_insertions_at_one_place_keep_theirs() -> None:
    edits = [Edit(4, 5, "E"), Edit(2, 2, "1"), Edit(2, 2, "2"), Edit(2, 3, "C"), Edit(0, 0, "<")]
    assert Document("abcdef").spliced(edits) == "<ab12CdEf"


def test_an_edit_inside_of_what_is_taken_out_is_lost_with_it() -> None:
    edits = [Edit(1, 2, "x"), Edit(3, 3, "y"), Edit(1, 4, ""), Edit(1, 4, "")]
    assert Document("abcdef").spliced(edits) == "aef"


def test_edits_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        Document("abcdef").spliced([Edit(0, 3, ""), Edit(2, 4, "")])


def test_without_edits_the_text_is_the_very_object() -> None:
    html = "<p>Hi</p>" * 3
    assert Document(html).spliced([]) is html


# --- the scan


def test_a_link_knows_its_element_and_an_unclosed_one_has_none() -> None:
    html = "<a href=x>1</a ><a href=y>2<a href=z title='</a>'>3</A class='>'>"
    links = scan(html).links
    whole = [html[slice(*element)] for link in links if (element := link.element()) is not None]
    assert whole == ["<a href=x>1</a >", "<a href=z title='</a>'>3</A class='>'>"]


def test_what_outlook_alone_reads_is_told_apart_and_closes_no_link_around_it() -> None:
    html = '<a href="x">1<!--[if mso]><v:rect href="y">2</v:rect><img src="z"></a><![endif]-->3</a>'
    document = scan(html)
    assert [(link.value, link.visible_text(html), link.conditional) for link in document.links] == [
        ("x", "13", False),
        ("y", "2", True),
    ]
    assert [html[image.start : image.end] for image in document.images] == ['<img src="z">']
