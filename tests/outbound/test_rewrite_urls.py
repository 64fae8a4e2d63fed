"""What stands inside an href: every destination right, every value that is not ours to track left as it is."""

from html.parser import HTMLParser

import pytest

from tests.outbound.edits import restore
from tracker.outbound.rewriter.href import host_and_port, web_address
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import FoundLink, Rewritten, rewrite

HOST = "track.example"
LEAVE = Leave(own_hosts=frozenset({HOST}))
LONG_3000 = "https://x.example/" + "a" * 2982
LONG_8000 = "https://x.example/" + "a" * 7982


def tracked(url: str, index: int) -> str:
    return f"https://{HOST}/c/{index}?a=1&b=2"


def one_link(html: str, leave: Leave = LEAVE) -> tuple[Rewritten, FoundLink]:
    result = rewrite(html, tracked, None, leave)
    assert restore(result, html) == html
    assert len(result.links) == 1
    return result, result.links[0]


class _Hrefs(HTMLParser):
    """The standard library's reading of a document, to hold ours against."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.urls += [value for name, value in attrs if name == "href"][:1]


def hrefs(html: str) -> list[str | None]:
    reader = _Hrefs()
    reader.feed(html)
    reader.close()
    return reader.urls


# name, the attribute with its quotes, the destination that a browser would request
DESTINATIONS = [
    ("A1 escaped ampersand", '"https://x.example/p?a=1&amp;b=2"', "https://x.example/p?a=1&b=2"),
    ("A2 raw ampersand", '"https://x.example/p?a=1&b=2"', "https://x.example/p?a=1&b=2"),
    ("A3 numeric references", '"https://x.example/?a=1&#38;b=2&#x26;c=3"', "https://x.example/?a=1&b=2&c=3"),
    (
        "A4 no legacy references",
        '"https://x.example/?a=1&copy=2&reg=3&para=4"',
        "https://x.example/?a=1&copy=2&reg=3&para=4",
    ),
    ("A5 decoded once", '"https://x.example/?q=&amp;amp;"', "https://x.example/?q=&amp;"),
    ("A6 double quote in the query", '"https://x.example/?q=&quot;hi&quot;"', 'https://x.example/?q="hi"'),
    ("A8 fragment", '"https://x.example/p#sec-2"', "https://x.example/p#sec-2"),
    ("A10 fragment in another script", '"https://x.example/#color=grün"', "https://x.example/#color=gr%C3%BCn"),
    ("A11 query in the fragment", '"https://x.example/p?a=1#/route?x=1"', "https://x.example/p?a=1#/route?x=1"),
    ("A12 brackets", '"https://x.example/?f[0]=t:2&f[1]=t:7"', "https://x.example/?f[0]=t:2&f[1]=t:7"),
    ("A13 never encoded again", '"https://x.example/a%20b%2Fc%2Bd%EF"', "https://x.example/a%20b%2Fc%2Bd%EF"),
    ("A14 plus and %2B", '"https://x.example/?q=a+b%2Bc"', "https://x.example/?q=a+b%2Bc"),
    ("A15 empty, doubled, in order", '"https://x.example/?e=&e=2&e=2"', "https://x.example/?e=&e=2&e=2"),
    ("A16 space in the path", '"https://x.example/My File (1).pdf"', "https://x.example/My%20File%20(1).pdf"),
    ("A17 trimmed", '"  https://x.example/p \n"', "https://x.example/p"),
    ("A18 line break inside", '"https://x.exa\nmple/p\tq\r\nr"', "https://x.example/pqr"),
    ("A19 apostrophe", '"https://x.example/l\'ideatorio/"', "https://x.example/l'ideatorio/"),
    ("A20 quote in single quotes", "'https://x.example/?q=\"hi\"'", 'https://x.example/?q="hi"'),
    ("A21 at sign in the path", '"https://x.example/@name/p"', "https://x.example/@name/p"),
    ("A22 trailing slash", '"https://x.example/p/"', "https://x.example/p/"),
    ("A23 upper case", '"HTTPS://EX.com/P"', "https://ex.com/P"),
    (
        "A24 other scripts",
        '"https://bücher.example/größe?q=ü"',
        "https://xn--bcher-kva.example/gr%C3%B6%C3%9Fe?q=%C3%BC",
    ),
    ("A24 sharp s is no ss", '"https://straße.example/"', "https://xn--strae-oqa.example/"),
    ("A25 emoji", '"https://x.example/:f:/r/😀"', "https://x.example/:f:/r/%F0%9F%98%80"),
    ("A25 emoji host", '"https://i❤.ws/"', "https://xn--i-7iq.ws/"),
    ("A26 port and sub-delims", '"https://x.example:8443/a;v=1!b*c,d"', "https://x.example:8443/a;v=1!b*c,d"),
    ("A26 user", '"https://u:p@x.example:8443/a;v=1!b*c,d"', "https://u:p@x.example:8443/a;v=1!b*c,d"),
    (
        "A40 our host in a parameter",
        f'"https://other.example/?next=https://{HOST}/"',
        f"https://other.example/?next=https://{HOST}/",
    ),
    ("A41 a redirect of others", '"https://other.example/c/x"', "https://other.example/c/x"),
    ("A41 a redirect of others", '"https://other.example/redirect?u=1"', "https://other.example/redirect?u=1"),
    (
        "A43 a page about unsubscribing",
        '"https://x.example/blog/how-to-unsubscribe"',
        "https://x.example/blog/how-to-unsubscribe",
    ),
    (
        "A49 control characters",
        '"https://x.example/a&#13;&#10;Set-Cookie: b&#1;"',
        "https://x.example/aSet-Cookie:%20b",
    ),
    ("A49 control character inside", '"https://x.example/a&#1;b"', "https://x.example/a%01b"),
    ("A50 backslashes", r'"https:\\x.example\p?q=\"', "https://x.example/p?q=\\"),
    ("A50 too many slashes", '"https:////x.example/p"', "https://x.example/p"),
    ("IPv6", '"https://[2001:DB8::1]:8443/"', "https://[2001:db8::1]:8443/"),
    ("percent-encoded host", '"https://ex%61mple.com/"', "https://example.com/"),
    ("no path", '"https://x.example"', "https://x.example"),
    ("unquoted", "https://x.example/p?a=1", "https://x.example/p?a=1"),
]


@pytest.mark.parametrize(
    ("name", "attribute", "destination"), DESTINATIONS, ids=[f"{d[0]}: {d[1][:40]}" for d in DESTINATIONS]
)
def test_destination_is_what_a_browser_would_request(name: str, attribute: str, destination: str) -> None:
    html = f"<p>Hi <a class=b href={attribute} id=i>there</a></p>\r\n"
    result, link = one_link(html)
    assert (link.index, link.url, link.text, link.tracked, link.reason) == (0, destination, "there", True, None)
    quote = attribute[0] if attribute[0] in "\"'" else '"'
    assert result.html == f"<p>Hi <a class=b href={quote}https://{HOST}/c/0?a=1&amp;b=2{quote} id=i>there</a></p>\r\n"


LEFT = [
    ("A30 scheme-relative", "//x.example/p", "relative"),
    ("A31 relative path", "/p", "relative"),
    ("A31 relative file", "p.html", "relative"),
    ("A31 relative query", "?q=1", "relative"),
    ("A32 top", "#", "fragment"),
    ("A32 fragment", "#sec", "fragment"),
    ("A33 empty", "", "empty"),
    ("A34 mailto", "mailto:a@x.example?subject=Hi&amp;body=y", "not_http"),
    *[
        ("A35 " + scheme, f"{scheme}:+4930123", "not_http")
        for scheme in ("tel", "sms", "callto", "skype", "whatsapp", "geo")
    ],
    ("A36 cid", "cid:x@y", "not_http"),
    ("A37 javascript", "javascript:alert(1)", "not_http"),
    ("A37 javascript, disguised", " java\nscript:alert(1)", "not_http"),
    ("A37 data", "data:text/html,x", "not_http"),
    ("A37 vbscript", "vbscript:x", "not_http"),
    ("A37 file", "file:///etc/passwd", "not_http"),
    ("A37 blob", "blob:https://x.example/1", "not_http"),
    ("A38 app", "myapp://open/1", "not_http"),
    ("A38 intent", "intent://x#Intent;end", "not_http"),
    ("A39 already tracked", f"https://{HOST}/c/abc", "own_host"),
    ("A39 own host, default port", f"https://{HOST}:443/c/abc", "own_host"),
    ("A39 own host, other case", f"HTTPS://{HOST.upper()}/c/abc", "own_host"),
    ("A42 our unsubscribe page", f"https://{HOST}/unsubscribe?x=1", "own_host"),
    ("A48 braces", "https://x.example/?id={{ id }}", "placeholder"),
    ("A48 encoded braces", "https://x.example/?id=%7B%7Bid%7D%7D", "placeholder"),
    ("A48 dollar", "https://x.example/${x}", "placeholder"),
    ("A48 template tag", "{% url 'x' %}", "placeholder"),
    ("A48 merge tag", "https://x.example/*|EMAIL|*", "placeholder"),
    ("A50 no slash", "https:x.example", "bad_url"),
    ("A50 one slash", "https:/x.example", "bad_url"),
    ("host with a space", "https://x example/p", "bad_url"),
    ("port that is none", "https://x.example:port/", "bad_url"),
    ("port out of range", "https://x.example:70000/", "bad_url"),
    ("no host", "https://", "bad_url"),
    ("byte that is no character", "https://x.example/\udcff", "bad_url"),
    ("A27 3,000 characters", LONG_3000, "too_long"),
    ("A27 8,000 characters", LONG_8000, "too_long"),
]


@pytest.mark.parametrize(("name", "value", "reason"), LEFT, ids=[f"{item[0]}: {item[1][:30]!r}" for item in LEFT])
def test_value_is_left_with_its_reason(name: str, value: str, reason: str) -> None:
    html = f'<a href="{value}">there</a>'
    result, link = one_link(html)
    assert (link.tracked, link.reason) == (False, reason)
    assert result.html is html


@pytest.mark.parametrize("url", [LONG_3000, LONG_8000], ids=["A27 3,000", "A27 8,000"])
def test_a27_a_long_url_is_exact_where_it_may_be_tracked(url: str) -> None:
    _, link = one_link(f'<a href="{url}">x</a>', Leave(max_url_length=10_000))
    assert (link.url, link.tracked) == (url, True)


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a7_the_new_value_is_escaped(quote: str) -> None:
    hostile = "https://track.example/c/\"'<> &"
    html = f"<a href={quote}https://x.example/{quote}>x</a>"
    result = rewrite(html, lambda url, index: hostile, None)
    value = result.html[len(f"<a href={quote}") : -len(f"{quote}>x</a>")]
    assert not set(value) & set(f"<> {quote}")
    assert hrefs(result.html) == [hostile.replace(" ", "%20")]


def test_a9_nothing_is_appended_so_nothing_lands_behind_a_fragment() -> None:
    seen: list[str] = []
    rewrite('<a href="https://x.example/p#sec">x</a>', lambda url, index: seen.append(url), None)
    assert seen == ["https://x.example/p#sec"]


def test_a28_one_url_the_beginning_of_another() -> None:
    html = '<a href="https://x.example">a</a><a href="https://x.example/path">b</a>'
    result = rewrite(html, tracked, None)
    assert [link.url for link in result.links] == ["https://x.example", "https://x.example/path"]
    assert hrefs(result.html) == [tracked("", 0), tracked("", 1)]


def test_a29_the_same_url_twice_has_two_places() -> None:
    html = '<a href="https://x.example/">a</a> <a href="https://x.example/">b</a>'
    result = rewrite(html, tracked, None)
    assert [(link.index, link.text) for link in result.links] == [(0, "a"), (1, "b")]
    assert hrefs(result.html) == [tracked("", 0), tracked("", 1)]


def test_a39_a_tracked_link_on_a_host_that_we_no_longer_have() -> None:
    html = '<a href="https://old.example/c/abc">x</a>'
    result, link = one_link(html, Leave(original=lambda url: "https://x.example/" if url.endswith("/c/abc") else None))
    assert (result.html, link.reason) == (html, "own_host")


def test_a39_own_host_with_a_port_of_its_own() -> None:
    leave = Leave(own_hosts=frozenset({"127.0.0.1:8000"}))
    assert one_link('<a href="http://127.0.0.1:8000/c/x">x</a>', leave)[1].reason == "own_host"
    assert one_link('<a href="http://127.0.0.1:9000/c/x">x</a>', leave)[1].tracked


@pytest.mark.parametrize(
    ("url", "listed"),
    [
        ("https://other.example/u?id=1&amp;x=2", "https://other.example/u?id=1&x=2"),
        ("https://OTHER.example/ü", "https://other.example/ü"),
    ],
)
def test_a43_the_list_unsubscribe_address_is_left_on_any_host(url: str, listed: str) -> None:
    _, link = one_link(f'<a href="{url}">stop</a>', Leave(list_unsubscribe=frozenset({listed})))
    assert link.reason == "list_unsubscribe"


MARKED = [
    ('<a data-no-track href="https://x.example/">x</a>', '<a href="https://x.example/">x</a>'),
    ('<a href="https://x.example/" data-no-track>x</a>', '<a href="https://x.example/">x</a>'),
    ('<a href="https://x.example/" DATA-NO-TRACK="">x</a>', '<a href="https://x.example/">x</a>'),
    ("<a data-no-track='1'href=https://x.example/>x</a>", "<a href=https://x.example/>x</a>"),
    ('<a Data-No-Track = true\n href="https://x.example/" id=a>x</a>', '<a\n href="https://x.example/" id=a>x</a>'),
    ('<a id data-no-track="1"href="https://x.example/">x</a>', '<a id href="https://x.example/">x</a>'),
    ('<a data-no-track data-no-track href="https://x.example/">x</a>', '<a href="https://x.example/">x</a>'),
    ('<a href="https://x.example/"data-no-track/>x</a>', '<a href="https://x.example/"/>x</a>'),
    ("<a href=https://x.example/ data-no-track/>x</a>", "<a href=https://x.example/ />x</a>"),
    ('<a href="https://x.example/" data-no-track="" />x</a>', '<a href="https://x.example/" />x</a>'),
    ('<a foo data-no-track="1" =x href="https://x.example/">x</a>', '<a foo / =x href="https://x.example/">x</a>'),
    ('<area data-no-track href="https://x.example/" alt=x>', '<area href="https://x.example/" alt=x>'),
]


@pytest.mark.parametrize(("html", "without"), MARKED, ids=[html for html, _ in MARKED])
def test_a44_a_marked_link_is_left_and_the_mark_taken_out(html: str, without: str) -> None:
    result, link = one_link(html)
    assert (result.html, link.reason) == (without, "marked")


@pytest.mark.parametrize(("html", "without"), MARKED, ids=[html for html, _ in MARKED])
def test_a45_the_mark_goes_even_when_nothing_is_tracked(html: str, without: str) -> None:
    result = rewrite(html, lambda url, index: None, None)
    assert result.html == without
    assert restore(result, html) == html


def test_a45_the_mark_of_an_anchor_without_href_goes_too() -> None:
    assert rewrite("<a data-no-track name=x>y</a>", tracked, None).html == "<a name=x>y</a>"


def test_a46_a_mark_keeps_an_app_link_whole() -> None:
    html = '<a href="https://app.example/open/1" data-no-track>Open</a><a href="https://x.example/">b</a>'
    result = rewrite(html, tracked, None)
    assert hrefs(result.html) == ["https://app.example/open/1", tracked("", 1)]


ONE_TIME = [
    "https://x.example/reset-password?token=8a7f6e5d4c3b",
    "https://x.example/users/password/edit?reset_password_token=abc123",
    "https://x.example/auth/magic?code=123456789",
    "https://x.example/login/8a7f6e5d4c3b2a190f8e7d6c5b4a",
    "https://x.example/invite/accept?k=9f8e7d6c",
    "https://x.example/verify?email=a@b.example&t=0123456789",
    "https://app.example/__/auth/action?mode=resetPassword&oobCode=ABC123",
    "https://b.s3.amazonaws.com/f.pdf?X-Amz-Algorithm=AWS4&X-Amz-Signature=0123",
    "https://b.s3.amazonaws.com/f.pdf?AWSAccessKeyId=A&Signature=abc%3D&Expires=1700000000",
    "https://a.blob.core.windows.net/c/f?sv=2022&se=2026-01-01&sr=b&sp=r&sig=abc%3D",
    "https://d1.cloudfront.net/f?Expires=1&Signature=x&Key-Pair-Id=K",
    "https://storage.googleapis.com/b/f?X-Goog-Signature=0",
    "https://calendar.google.com/calendar/event?action=RESPOND&eid=abc&rst=1&tok=x",
    "https://calendly.com/cancellations/0f8e7d6c",
    "https://na3.docusign.net/Signing/EmailStart.aspx?a=1",
    "https://app.hellosign.com/sign/abc",
    "https://secure.eu1.adobesign.com/public/esign?tsid=1",
    "https://checkout.stripe.com/c/pay/cs_live_1",
]


@pytest.mark.parametrize("url", ONE_TIME)
def test_a47_a_one_time_link_is_left(url: str) -> None:
    html = f'<a href="{url.replace("&", "&amp;")}">x</a>'
    assert one_link(html)[1].reason == "one_time"
    assert one_link(html, Leave(leave_one_time=False))[1].tracked


ORDINARY = [
    "https://x.example/blog/how-to-reset-your-password",
    "https://x.example/login",
    "https://x.example/pricing?utm_source=mail&utm_campaign=invite",
    "https://calendly.com/anna/30min",
    "https://x.example/docs/authentication",
    "https://www.docusign.com/products/electronic-signature",
    "https://x.example/produkte/1234567890123456789012345",
    "https://shop.example/p?key=blue",
    "https://meet.example/abc-defg-hij",
]


@pytest.mark.parametrize("url", ORDINARY)
def test_a47_an_ordinary_link_is_no_one_time_link(url: str) -> None:
    assert one_link(f'<a href="{url}">x</a>')[1].tracked


def test_a48_the_value_with_a_placeholder_is_shown_as_written() -> None:
    assert one_link('<a href=" https://x.example/{{id}} ">x</a>')[1].url == "https://x.example/{{id}}"


def test_a_refusal_is_written_down() -> None:
    link = rewrite('<a href="https://x.example/">x</a>', lambda url, index: None, None).links[0]
    assert (link.tracked, link.reason) == (False, "refused")


def test_link_is_asked_in_order_and_only_for_what_may_be_tracked() -> None:
    asked: list[tuple[str, int]] = []
    html = '<a href="https://a.example/">a</a><a href="mailto:b@x">b</a><a href="https://c.example/">c</a>'
    rewrite(html, lambda url, index: asked.append((url, index)), None)
    assert asked == [("https://a.example/", 0), ("https://c.example/", 2)]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://x.example/p", "x.example"),
        ("https://x.example:443", "x.example"),
        ("http://x.example:80?q", "x.example"),
        ("http://x.example:443/", "x.example:443"),
        ("https://u:p@x.example:8443/", "x.example:8443"),
        ("https://[2001:db8::1]/", "[2001:db8::1]"),
        ("https://[2001:db8::1]:8443/", "[2001:db8::1]:8443"),
        ("https://x.example/@y:1", "x.example"),
    ],
)
def test_host_and_port(url: str, host: str) -> None:
    assert host_and_port(url) == host


def test_a_web_address_is_its_own_canonical_form() -> None:
    for _, attribute, destination in DESTINATIONS:
        assert web_address(destination) == destination, attribute
