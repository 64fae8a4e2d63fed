"""What holds for every document, found or made up."""

from hypothesis import given, settings
from hypothesis import strategies as st
from turbohtml import TokenType, tokenize

from tests.outbound.edits import restore
from tracker.outbound.rewriter.html_attributes import Attribute, find_href, read_start_tag
from tracker.outbound.rewriter.html_scan import LINKS, scan
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import Rewritten, byte_size, rewrite, unwrap

PIXEL = "https://track.example/o/1.gif"
T = "https://track.example/c/"
LEAVE = Leave(
    own_hosts=frozenset({"track.example"}),
    original=lambda url: "https://was.example/" if url == T + "old" else None,
    is_own_pixel=lambda url: url.startswith("https://track.example/o/"),
)

PIECES = [
    *(
        "<",
        ">",
        "/",
        "=",
        '"',
        "'",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\f",
        "\v",
        "\0",
        "&",
        "&amp;",
        "&#0;",
        "é",
        "日",
        "😀",
        "\ud800",
    ),
    *(
        "a",
        "A",
        "href",
        "HREF",
        "href=",
        "data-no-track",
        "text",
        "https://x.example/?a=1&b=2",
        "\u2028",
        "\x85",
        "]]>",
        "<![CDATA[",
    ),
    *(
        "<a ",
        "</a>",
        '<a href="https://x.example/?a=1&copy=2">',
        "<A HREF=https://y.example/>",
        f"<a href='{T}old'>",
        "<area href=https://z.example>",
    ),
    *(
        "<!--",
        "-->",
        "--!>",
        "<!--[if mso]>",
        "<![endif]-->",
        "<![if !mso]>",
        "<v:rect href='https://v.example/'>",
        "<!doctype html>",
        "<?x",
    ),
    *(
        "<script>",
        "</script>",
        "<style>",
        "</style>",
        "<title>",
        "</title>",
        "<textarea>",
        "<plaintext>",
        "<noscript>",
        "<svg>",
    ),
    *(
        "<html>",
        "</html>",
        "<body>",
        "</body>",
        "<blockquote>",
        "</blockquote>",
        '<div class="gmail_quote">',
        "</div>",
        "<div id=divRplyFwdMsg>",
    ),
    *(
        '<div style="display:none">',
        "<img src='https://track.example/o/old.gif'>",
        "<img alt=x src=y>",
        "<base href=https://b.example/>",
        "<frameset>",
    ),
]
documents = st.one_of(
    st.text(), st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)), max_size=30).map("".join)
)


def tracked(url: str, index: int) -> str:
    return f"{T}{index}?a&b"


def everything(html: str) -> Rewritten:
    return rewrite(html, tracked, PIXEL, LEAVE)


@given(documents)
@settings(max_examples=400)
def test_there_is_a_way_back(html: str) -> None:
    result = everything(html)
    assert restore(result, html) == html


@given(documents)
@settings(max_examples=400)
def test_twice_is_once(html: str) -> None:
    once = everything(html)
    if once.pixel:
        twice = everything(once.html)
        assert twice.html is once.html
        assert [link.text for link in twice.links] == [link.text for link in once.links]
    elif "data-no-track" not in html.lower():
        assert everything(once.html).html == once.html


@given(documents)
@settings(max_examples=400)
def test_nothing_to_track_is_the_very_same_object(html: str) -> None:
    result = rewrite(html, lambda url, index: None, None)
    if "data-no-track" not in html.lower():
        assert result.html is html
    assert not any(link.tracked for link in result.links)


@given(documents)
@settings(max_examples=400)
def test_only_href_values_pixel_and_marks_change(html: str) -> None:
    result = everything(html)
    position = 0
    for start, end, _ in sorted(result.edits):
        assert start >= position
        position, old = end, html[start:end]
        is_value = html[:start].rstrip("\t\n\f\r \"'").endswith("=")
        assert is_value or old == "" or old.lower().startswith("<img") or "data-no-track" in old.lower(), old


@given(documents)
@settings(max_examples=400)
def test_at_most_one_pixel_of_this_copy_and_none_of_another(html: str) -> None:
    result = everything(html)
    tags = [token for token in tokenize(result.html) if token.type is TokenType.START_TAG and token.tag == "img"]
    sources = [token.attr("src") for token in tags]
    assert sources.count(PIXEL) == result.pixel
    assert "https://track.example/o/old.gif" not in sources


@given(documents)
@settings(max_examples=400)
def test_every_link_that_the_tokenizer_sees_is_found_and_read_as_it_does(html: str) -> None:
    links = [
        token.attr("href")
        for token in tokenize(html)
        if token.type is TokenType.START_TAG and token.tag in LINKS and token.attr("href") is not None
    ]
    held = html.lower().count("<!--[if")
    hrefs = rewrite(html, lambda url, index: None, None).links
    valued = [value for value in links if value]
    assert len(hrefs) >= len(valued)
    assert held or len(hrefs) <= len(links)


@given(documents)
@settings(max_examples=400)
def test_attributes_are_read_as_the_tokenizer_reads_them(text: str) -> None:
    html = f"<a {text}"
    for token in tokenize(html):
        if (token.line, token.col) == (1, 0) and token.type is TokenType.START_TAG and token.tag == "a":
            tag = read_start_tag(html, 0)
            assert tag is not None
            ours: dict[str, str] = {}
            for attribute in tag.attributes:
                ours.setdefault(attribute.name.replace("\0", "\ufffd"), value_of(html, attribute))
            assert ours == dict(token.attrs or [])
            href = tag.first("href")
            place = href[3:] if href is not None and href.value_start >= 0 else None
            assert find_href(html, 0) == place


def value_of(html: str, attribute: Attribute) -> str:
    """The characters between its quotes as the tokenizer reads them."""
    if attribute.value_start < 0:
        return ""
    value = html[attribute.value_start : attribute.value_end].replace('"', "&quot;")
    return next(tokenize(f'<a b="{value}">')).attr("b") or ""


@given(documents)
@settings(max_examples=200)
def test_unwrap_takes_out_whatever_was_put_in(html: str) -> None:
    if "track.example" in html or "data-no-track" in html.lower():
        return
    values: dict[str, str] = {}

    def link(url: str, index: int) -> str:
        values[f"{T}{index}"] = url
        return f"{T}{index}"

    result = rewrite(html, link, PIXEL)
    document = scan(result.html)
    back = document.spliced(unwrap(document, values.get, lambda url: url == PIXEL))
    # A destination comes back in its canonical spelling, so a second pass finds the very same links.
    again = rewrite(back, lambda url, index: None, None).links
    assert [item.url for item in again] == [link.url for link in result.links]
    assert PIXEL not in back


@given(documents)
@settings(max_examples=200)
def test_it_grows_by_the_links_and_the_pixel_alone(html: str) -> None:
    result = everything(html)
    longest = len(f"{T}99?a&amp;b") + 2
    assert byte_size(result.html) - byte_size(html) <= len(result.links) * longest + 400
