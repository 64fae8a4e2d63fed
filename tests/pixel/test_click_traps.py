"""The redirect: a signed destination and nowhere else, for ever, whatever is asked around it. Traps F1 to F32."""

import ast
import base64
import re
from pathlib import Path
from urllib.parse import quote

import pytest

import pixel
from pixel.tokens import ClickClaims, Tokens, click_path, new_public_id
from tests.pixel.edge_server import KEY, OLDER_KEY, Reply, RunningEdge, running_edge

THERE = "https://example.org/offer?a=1&b=%20#part"


def _is_refused(reply: Reply) -> bool:
    return reply.status == 404 and reply.location is None


def test_f01_found_for_now_and_never_remembered(edge: RunningEdge) -> None:
    reply = edge.ask(click_path(edge.click_token(THERE)))
    assert (reply.status, reply.location, reply.body) == (302, THERE, b"")
    assert "no-store" in (reply.header("cache-control") or "")
    (hit,) = edge.hits()
    assert (hit.kind, hit.link, hit.method) == ("click", 0, "GET")


def test_f02_head_gets_the_same_location_and_makes_no_hit(edge: RunningEdge) -> None:
    reply = edge.ask(click_path(edge.click_token(THERE)), "HEAD")
    assert (reply.status, reply.location) == (302, THERE)
    assert edge.hits() == []


def test_f03_bad_token_is_a_page_that_repeats_nothing(edge: RunningEdge) -> None:
    marker = "zq9marker"
    for target in (f"/c/{marker}", f"/c/?url=https://{marker}/", f"/c/{'A' * 60}/{marker}", f"/{marker}"):
        reply = edge.ask(target, User_Agent=marker, Referer=f"https://{marker}/", X_Forwarded_Host=marker)
        assert _is_refused(reply)
        assert marker.encode() not in reply.raw
    assert edge.hits() == []


@pytest.mark.parametrize("query", ["?url=https://evil.example/", "?u=https://evil.example/", "?next=//evil.example"])
def test_f04_destinations_offered_by_the_client_are_never_used(edge: RunningEdge, query: str) -> None:
    assert edge.ask(click_path(edge.click_token(THERE)) + query).location == THERE
    assert _is_refused(edge.ask("/c/x" + query))
    assert _is_refused(edge.ask("/c/" + query))


def test_f05_tokens_of_one_kind_are_refused_at_the_other_door(edge: RunningEdge) -> None:
    opening, click = edge.open_token(), edge.click_token(THERE)
    assert _is_refused(edge.ask(f"/c/{opening}"))
    assert edge.ask(f"/o/{click}").status == 200
    mark = edge.tokens.self_mark("u1")
    assert _is_refused(edge.ask(f"/c/{mark}"))
    assert edge.hits() == []


def test_f06_any_changed_character_is_refused(edge: RunningEdge) -> None:
    token = edge.click_token("https://e.org/")
    for place, mark in enumerate(token):
        changed = token[:place] + ("A" if mark != "A" else "B") + token[place + 1 :]
        assert _is_refused(edge.ask(click_path(changed))), place
    assert edge.hits() == []


def test_f08_tokens_of_the_previous_key_still_work_and_the_newest_signs(tmp_path: Path) -> None:
    old = Tokens([OLDER_KEY]).click(new_public_id(), 3, THERE)
    with running_edge(tmp_path, keys=(KEY, OLDER_KEY)) as edge:
        assert edge.ask(click_path(old)).location == THERE
        assert Tokens([KEY]).read_click(edge.click_token(THERE)) is not None
        assert [hit.link for hit in edge.hits()] == [3]
    with running_edge(tmp_path, keys=(KEY,)) as edge:
        assert _is_refused(edge.ask(click_path(old)))


def test_f09_parts_of_two_tokens_do_not_make_a_third(edge: RunningEdge) -> None:
    first, second = edge.click_token("https://a.example/"), edge.click_token("https://b.example/")
    assert _is_refused(edge.ask(click_path(first[:-27] + second[-27:])))
    assert _is_refused(edge.ask(click_path(second[:-27] + first[-27:])))


def _sealed(url: str) -> str:
    """A rightly signed click token for any text, as a mistake in the sending part might once have made it."""
    tokens = Tokens([KEY])
    packed = base64.urlsafe_b64decode(tokens.click("AAAAAAAAAAA", 0, "https://x")[:-27] + "==")[:11]
    return tokens._click.sign(packed + url.encode())


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://example.org/x",
        "myapp://open/1",
        "intent://x#Intent;end",
        "mailto:a@example.org",
        "ftp://example.org/",
        "",
        "/local",
        "example.org",
    ],
)
def test_f11_the_scheme_is_checked_again_even_when_signed(edge: RunningEdge, url: str) -> None:
    assert _is_refused(edge.ask(click_path(_sealed(url))))
    assert edge.hits() == []


@pytest.mark.parametrize(
    "url",
    [
        "http:evil.example",
        "http:/evil.example",
        "https:\\\\evil.example",
        "https:/\\evil.example",
        "/\\evil",
        "//evil",
        "https://",
        "https:///evil",
        "https://?x",
        "https://127.0.0.1@evil.example/",
        "https://127.0.0.1:8000@evil.example/",
        "https://127.0.0.1:x@evil.example",
        "https://127.0.0.1%2f@evil.example/",
        "https://127.0.0.1.@evil.example/",
        "https://127.0.0.1\\@evil.example/",
        "https://evil.example\\@127.0.0.1/",
        " https://evil.example",
        "https://ev il.example/",
        "https://evil.example:port/",
    ],
)
def test_f12_nothing_that_browsers_may_read_as_another_site(edge: RunningEdge, url: str) -> None:
    assert _is_refused(edge.ask(click_path(_sealed(url))))
    assert edge.hits() == []


@pytest.mark.parametrize(
    "url", ["https://e.org/\r\nSet-Cookie:a=1", "https://e.org/\n", "https://e.org/\x00", "https://e\t.org"]
)
def test_f12_control_characters_never_reach_the_header(edge: RunningEdge, url: str) -> None:
    assert _is_refused(edge.ask(click_path(_sealed(url))))


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("https://bücher.example/größe?q=ü#ü", "https://xn--bcher-kva.example/gr%C3%B6%C3%9Fe?q=%C3%BC#%C3%BC"),
        ("https://straße.example/", "https://xn--strae-oqa.example/"),
        ("https://пример.рф/путь", "https://xn--e1afmkfd.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C"),
        ("https://e.org/😀", "https://e.org/%F0%9F%98%80"),
        ("https://e.org/My File (1).pdf", "https://e.org/My%20File%20(1).pdf"),
        ("https://u:p@e.org:8443/a;v=1!b*c,d", "https://u:p@e.org:8443/a;v=1!b*c,d"),
        ("https://e.org/%20%2F%2B%EF?f[0]=t:2&e=&e=2+2&e=2", "https://e.org/%20%2F%2B%EF?f[0]=t:2&e=&e=2+2&e=2"),
        ("HTTPS://EX.com/P", "HTTPS://EX.com/P"),
        ("https://x/p?a=1#/route?x=1", "https://x/p?a=1#/route?x=1"),
        ("https://[2001:db8::1]:8080/x", "https://[2001:db8::1]:8080/x"),
        ("https://e.org?x='\"<>", "https://e.org?x='\"<>"),
        ("https://e.org/a\\b", "https://e.org/a\\b"),
        ("https://other.example/?next=https://127.0.0.1/", "https://other.example/?next=https://127.0.0.1/"),
    ],
)
def test_f13_location_is_ascii_and_otherwise_exact(edge: RunningEdge, url: str, there: str) -> None:
    reply = edge.ask(click_path(edge.click_token(url)))
    assert (reply.status, reply.location) == (302, there)
    assert reply.raw.isascii()


@pytest.mark.parametrize("length", [1_800, 3_000, 8_000])
def test_f13_long_destinations_arrive_whole(edge: RunningEdge, length: int) -> None:
    url = "https://e.org/" + "x" * (length - 14)
    assert edge.ask(click_path(edge.click_token(url))).location == url


def test_f14_a_token_made_years_ago_still_redirects(edge: RunningEdge) -> None:
    """Made on 22 November 2026 with this key; nothing in it ages, and the format stays readable."""
    token = "AQABAgMEBQYHAAJodHRwczovL2V4YW1wbGUub3JnL29mZmVyT0v2KUIivgmjfnZy4coHw5jGmhA"
    assert edge.ask(click_path(token)).location == "https://example.org/offer"


def test_f15_the_spool_need_not_know_the_token(edge: RunningEdge) -> None:
    token = edge.click_token(THERE)
    edge.ask(click_path(token))
    edge.spool.prune(edge.spool.last_id())
    assert edge.ask(click_path(token)).location == THERE


@pytest.mark.parametrize("extra", ["?gclid=1", "?utm_source=x&b=9", "/?gclid=1", "?", "#x"])
def test_f18_what_others_append_to_the_query_is_dropped(edge: RunningEdge, extra: str) -> None:
    assert edge.ask(click_path(edge.click_token(THERE)) + extra).location == THERE
    assert len(edge.hits()) == 1


@pytest.mark.parametrize("tail", ["/example.com", "/", ".", ")", "%3E", "/a/b?c", "=", "&amp;x"])
def test_f18_a_readable_tail_and_stuck_junk_are_ignored(edge: RunningEdge, tail: str) -> None:
    assert edge.ask(click_path(edge.click_token(THERE)) + tail).location == THERE


def test_f19_the_destination_does_not_learn_the_token(edge: RunningEdge) -> None:
    assert edge.ask(click_path(edge.click_token(THERE))).header("referrer-policy") == "no-referrer"


def test_f20_a_tracked_link_to_a_tracked_link_is_one_step_and_one_hit(edge: RunningEdge) -> None:
    inner = edge.settings.tracking_url + click_path(edge.click_token(THERE))
    outer = edge.click_token(inner + "?utm_source=x")
    around = edge.click_token(edge.settings.tracking_url + click_path(outer) + "/tail")
    assert edge.ask(click_path(around)).location == THERE
    assert [hit.token for hit in edge.hits()] == [around]


def test_f20_other_pages_of_our_own_host_are_destinations(edge: RunningEdge) -> None:
    url = f"{edge.settings.tracking_url}/offers"
    assert edge.ask(click_path(edge.click_token(url))).location == url


def test_f21_the_edge_has_nothing_to_fetch_with() -> None:
    """No module of the edge imports a client of any protocol."""
    clients = {"urllib.request", "http", "http.client", "httpx", "requests", "aiohttp", "ftplib", "smtplib", "ssl"}
    imported = set()
    for path in Path(pixel.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module or "")
    assert "pixel.spool" in imported
    assert imported & clients == set()


@pytest.mark.parametrize(
    "header",
    [
        {"Sec_Purpose": "prefetch"},
        {"Sec_Purpose": "prefetch;prerender"},
        {"Sec_Purpose": "prefetch;anonymous-client-ip"},
        {"Purpose": "prefetch"},
        {"Purpose": "Preview"},
        {"X_Purpose": "preview"},
        {"X_Moz": "prefetch"},
    ],
)
def test_f22_looking_ahead_redirects_and_makes_no_hit(edge: RunningEdge, header: dict[str, str]) -> None:
    assert edge.ask(click_path(edge.click_token(THERE)), **header).location == THERE
    assert edge.hits() == []


def test_f24_a_token_says_nothing_about_a_person() -> None:
    tokens, delivery = Tokens([KEY]), new_public_id()
    click = tokens.click(delivery, 1, "https://e.org/")
    packed = base64.urlsafe_b64decode(click[:-27] + "=" * (-len(click[:-27]) % 4))
    assert packed == b"\x01" + base64.urlsafe_b64decode(delivery + "=") + b"\x00\x01" + b"https://e.org/"
    assert tokens.read_click(click) == ClickClaims(delivery, 1, "https://e.org/")


def test_f25_ids_cannot_be_walked() -> None:
    ids = [new_public_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{11}", text) for text in ids)
    assert len({text[:2] for text in ids}) > 1000


def test_f31_paths_survive_proxies(edge: RunningEdge) -> None:
    token = edge.click_token("https://example.org/a//b?x=../..&y=%2F")
    assert re.fullmatch(r"/c/[A-Za-z0-9_-]+", click_path(token))
    assert len(click_path(edge.click_token("https://e.org/" + "x" * 1400))) < 2048


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("ru", b"ru"),
        ("ru-RU,ru;q=0.9,en;q=0.8", b"ru"),
        ("en;q=0.5, ru;q=0.7", b"ru"),
        ("de, RU;q=0.1", b"ru"),
        ("en-GB", b"en"),
        ("ru;q=0", b"en"),
        ("ru;q=0.4,en;q=0.5", b"en"),
        ("ru;q=x", b"en"),
        ("ru;q=nan", b"en"),
        ("*", b"en"),
        ("", b"en"),
        ("ru" * 9000, b"en"),
    ],
)
def test_f32_the_page_speaks_the_readers_language(edge: RunningEdge, wanted: str, language: bytes) -> None:
    reply = edge.ask("/c/broken", Accept_Language=wanted)
    assert b'<html lang="' + language in reply.body
    assert reply.header("content-language") == language.decode()
    assert ("Эта ссылка" in reply.body.decode()) == (language == b"ru")


def test_f32_no_answer_names_the_program_or_its_version(edge: RunningEdge) -> None:
    for target in ("/c/broken", "/nowhere", "/o/x", click_path(edge.click_token(THERE)), "/healthz", "/drain"):
        raw = edge.ask(target).raw.lower()
        assert not any(name in raw for name in (b"server:", b"uvicorn", b"python", b"inkling", b"x-powered-by"))


def test_both_dots_and_percent_signs_are_only_junk(edge: RunningEdge) -> None:
    for target in ("/c/../c/x", "/c/%2e%2e/o/x", "/c//", "/c", "/o", "/", "//", "/c/" + quote("ü"), "/c/%00", "/c/%ff"):
        assert _is_refused(edge.ask(target)), target
