"""The hidden link at the edge: looks like any link, answers with a page, is written down as what it is."""

import pytest

from pixel.tokens import TRAP_LINK, Tokens, TrapClaims, click_path, new_public_id, open_path
from tests.pixel.edge_server import KEY, OLDER_KEY, RunningEdge

BROWSER = {
    "User_Agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36",
    "Accept": "text/html",
}


def test_a_trap_says_whose_copy_it_was_and_nothing_else() -> None:
    tokens, delivery = Tokens((KEY,)), new_public_id()
    token = tokens.trap(delivery)
    assert tokens.read_trap(token) == TrapClaims(delivery)
    assert (tokens.read_open(token), tokens.read_click(token), tokens.read_self_mark(token)) == (None, None, None)
    assert tokens.read_trap(tokens.open(delivery)) is None
    assert tokens.read_trap(tokens.click(delivery, 0, "https://shop.example/")) is None
    assert Tokens(("another-key-0123456789-abcdefghijklmn",)).read_trap(token) is None


@pytest.mark.parametrize("change", ["", "x", "A" * 39, "A" * 5000, "ö" * 39])
def test_what_is_no_trap_reads_as_nothing(change: str) -> None:
    assert Tokens((KEY,)).read_trap(change) is None


def test_a_trap_signed_with_an_older_key_is_still_one() -> None:
    delivery = new_public_id()
    assert Tokens((KEY, OLDER_KEY)).read_trap(Tokens((OLDER_KEY,)).trap(delivery)) == TrapClaims(delivery)


def test_a_trap_of_another_spelling_is_none() -> None:
    tokens = Tokens((KEY,))
    token = tokens.trap(new_public_id())
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        assert tokens.read_trap(token[:place] + other + token[place + 1 :]) is None


def test_a_link_may_not_have_the_number_of_the_hidden_one() -> None:
    with pytest.raises(ValueError, match="link index"):
        Tokens((KEY,)).click(new_public_id(), TRAP_LINK, "https://shop.example/")


def test_it_answers_200_with_a_plain_page_and_writes_down_a_click_on_the_hidden_link(edge: RunningEdge) -> None:
    delivery = new_public_id()
    token = edge.tokens.trap(delivery)
    reply = edge.ask(click_path(token), **BROWSER)
    assert reply.status == 200
    assert reply.header("content-type") == "text/html; charset=utf-8"
    assert reply.location is None
    assert "no-store" in (reply.header("cache-control") or "")
    assert token not in reply.body.decode()
    (hit,) = edge.hits()
    assert (hit.kind, hit.link, hit.delivery, hit.method) == ("click", TRAP_LINK, delivery, "GET")


@pytest.mark.parametrize(
    ("wanted", "language", "words"),
    [
        ("ru-RU,ru;q=0.9", "ru", "Здесь ничего нет"),
        ("de", "en", "There is nothing here"),
        ("", "en", "No person can see"),
    ],
)
def test_the_page_speaks_the_readers_language(edge: RunningEdge, wanted: str, language: str, words: str) -> None:
    reply = edge.ask(click_path(edge.tokens.trap(new_public_id())), Accept_Language=wanted)
    assert reply.header("content-language") == language
    assert words in reply.body.decode()


@pytest.mark.parametrize("tail", [")", "=", "/x", ".html", "?utm_source=scan", "%20"])
def test_what_sticks_to_the_address_does_not_matter(edge: RunningEdge, tail: str) -> None:
    assert edge.ask(click_path(edge.tokens.trap(new_public_id())) + tail).status == 200
    assert [hit.link for hit in edge.hits()] == [TRAP_LINK]


def test_a_head_is_answered_and_not_written_down_as_with_every_link(edge: RunningEdge) -> None:
    reply = edge.ask(click_path(edge.tokens.trap(new_public_id())), method="HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert edge.hits() == []


def test_a_browser_that_only_looks_ahead_has_proven_nothing(edge: RunningEdge) -> None:
    assert edge.ask(click_path(edge.tokens.trap(new_public_id())), Sec_Purpose="prefetch").status == 200
    assert edge.hits() == []


def test_our_own_pages_leave_no_hit(edge: RunningEdge) -> None:
    assert edge.ask(click_path(edge.tokens.trap(new_public_id())), Sec_Fetch_Site="same-origin").status == 200
    assert edge.hits() == []


def test_a_forged_one_is_a_link_that_does_not_work(edge: RunningEdge) -> None:
    forged = Tokens(("another-key-0123456789-abcdefghijklmn",)).trap(new_public_id())
    assert edge.ask(click_path(forged)).status == 404
    assert edge.ask(open_path(edge.tokens.trap(new_public_id()))).body[:3] == b"GIF", "a pixel is always a pixel"
    assert edge.hits() == []
