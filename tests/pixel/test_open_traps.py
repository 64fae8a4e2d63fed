"""The pixel: always an image, whatever is asked, and a hit only when somebody really asked. Traps E1 to E21."""

import random
import socket
import string
from itertools import pairwise
from pathlib import Path

import pytest

from pixel.answers import PIXEL
from pixel.tokens import open_path
from tests.pixel.edge_server import DRAIN_KEY, RunningEdge, read_reply, running_edge

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def test_e01_valid_token_is_the_image_and_a_hit(edge: RunningEdge) -> None:
    token = edge.open_token()
    reply = edge.ask(open_path(token), User_Agent=BROWSER)
    assert (reply.status, reply.header("content-type"), reply.body) == (200, "image/gif", PIXEL)
    assert reply.header("content-length") == str(len(PIXEL)) == "43"
    (hit,) = edge.hits()
    assert (hit.kind, hit.token, hit.link, hit.client) == ("open", token, None, "127.0.0.1")
    assert hit.headers["user-agent"] == BROWSER


def _without_date(raw: bytes) -> list[bytes]:
    return [line for line in raw.split(b"\r\n") if not line.lower().startswith(b"date:")]


def test_e02_bad_tokens_get_the_identical_answer_and_no_hit(edge: RunningEdge) -> None:
    token = edge.open_token()
    valid = edge.ask(open_path(token))
    bad = ["", "x", token[:-1], token[1:], token + "A", "A" * 39, "A" * 5000, edge.click_token("https://example.org/")]
    replies = [edge.ask(f"/o/{text}.gif") for text in bad]
    for text, reply in zip(bad, replies, strict=True):
        assert _without_date(reply.raw) == _without_date(valid.raw), text
    assert len(edge.hits()) == 1


def test_e03_head_has_the_same_headers_no_body_and_no_hit(edge: RunningEdge) -> None:
    path = open_path(edge.open_token())
    get, head = edge.ask(path), edge.ask(path, "HEAD")
    assert head.body == b""
    assert _without_date(head.raw) == _without_date(get.raw.replace(PIXEL, b""))
    assert len(edge.hits()) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"])
def test_e04_other_methods_are_refused_without_a_hit(edge: RunningEdge, method: str) -> None:
    reply = edge.ask(open_path(edge.open_token()), method)
    assert (reply.status, reply.header("allow")) == (405, "GET, HEAD")
    assert edge.hits() == []


def test_e05_nothing_may_keep_the_image(edge: RunningEdge) -> None:
    reply = edge.ask(open_path(edge.open_token()))
    directives = {part.strip() for part in (reply.header("cache-control") or "").split(",")}
    assert directives == {"no-cache", "no-store", "must-revalidate", "private", "max-age=0"}
    assert (reply.header("pragma"), reply.header("expires")) == ("no-cache", "0")
    assert reply.header("etag") is None
    assert reply.header("last-modified") is None


@pytest.mark.parametrize(
    "header",
    [
        {"If_None_Match": '"anything"'},
        {"If_None_Match": "*"},
        {"If_Modified_Since": "Sun, 22 Nov 2026 00:00:00 GMT"},
        {"Range": "bytes=0-0"},
    ],
)
def test_e06_conditions_and_ranges_are_ignored(edge: RunningEdge, header: dict[str, str]) -> None:
    reply = edge.ask(open_path(edge.open_token()), **header)
    assert (reply.status, reply.body) == (200, PIXEL)
    assert len(edge.hits()) == 1


def test_e07_no_cookie_is_ever_set_or_kept(edge: RunningEdge) -> None:
    reply = edge.ask(open_path(edge.open_token()), Cookie="session=4711; inkling_self=forged")
    assert reply.header("set-cookie") is None
    (hit,) = edge.hits()
    assert "4711" not in hit.to_json()
    assert hit.self_user is None


def test_e08_the_image_is_never_compressed(edge: RunningEdge) -> None:
    reply = edge.ask(open_path(edge.open_token()), Accept_Encoding="gzip, br, zstd")
    assert reply.header("content-encoding") is None
    assert reply.body == PIXEL


@pytest.mark.parametrize(
    "ending", ["", "/", ".gif", ".png", ".gif?utm_source=x", "?cb=1234", ".gif/anything/else", "#x"]
)
def test_e09_endings_and_queries_change_nothing(edge: RunningEdge, ending: str) -> None:
    assert edge.ask(f"/o/{edge.open_token()}{ending}").body == PIXEL
    assert len(edge.hits()) == 1


@pytest.mark.parametrize("junk", ["=", "%3D", ".", ")", "%29", ">", "%22", ",", ";", "=3D", "'", "]", "%0D%0A"])
def test_e10_junk_that_mail_programs_stick_to_a_token_is_ignored(edge: RunningEdge, junk: str) -> None:
    assert edge.ask(f"/o/{edge.open_token()}{junk}").body == PIXEL
    assert len(edge.hits()) == 1


def test_e10_case_folded_token_is_the_image_and_a_knowing_loss(edge: RunningEdge) -> None:
    token = edge.open_token()
    for folded in {token.lower(), token.upper()} - {token}:
        assert edge.ask(open_path(folded)).body == PIXEL
    assert edge.hits() == []


def test_e11_percent_encoded_token_is_the_same_token(edge: RunningEdge) -> None:
    token = edge.open_token()
    encoded = "".join(f"%{ord(mark):02x}" for mark in token)
    assert edge.ask(f"/o/{encoded}.gif").body == PIXEL
    assert edge.ask(f"/%6f/{token}%2Egif").body == PIXEL
    assert [hit.token for hit in edge.hits()] == [token, token]


def test_e13_forwarding_headers_of_strangers_are_ignored(edge: RunningEdge) -> None:
    forged = {
        "X_Forwarded_For": "8.8.8.8",
        "X_Real_IP": "8.8.4.4",
        "Forwarded": "for=9.9.9.9",
        "CF_Connecting_IP": "1.1.1.1",
    }
    edge.ask(open_path(edge.open_token()), **forged)
    (hit,) = edge.hits()
    assert hit.client == "127.0.0.1"
    assert set(hit.headers) == set()


def test_e15_strange_user_agents_are_cut_and_made_printable(edge: RunningEdge) -> None:
    path = open_path(edge.open_token())
    for agent in (b"A" * 8192, b"\xff\xfe\x80 agent", b"<script>alert(1)</script>", "Агент".encode(), b"a\tb"):
        assert (
            edge.raw(
                b"GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nUser-Agent: %s\r\n\r\n" % (path.encode(), agent)
            ).status
            == 200
        )
    assert edge.ask(path).status == 200
    agents = [hit.headers.get("user-agent") for hit in edge.hits()]
    assert agents == ["A" * 512, "\ufffd\ufffd\ufffd agent", "<script>alert(1)</script>", "Агент", "a\ufffdb", None]


def test_e17_robots_are_told_to_stay_away(edge: RunningEdge) -> None:
    assert "noindex" in (edge.ask(open_path(edge.open_token())).header("x-robots-tag") or "")
    assert edge.ask("/robots.txt").body == b"User-agent: *\nDisallow: /\n"


OWN_PAGES = [
    {"Sec_Fetch_Site": "same-origin"},
    {"Referer": "https://crm.example/messages/7"},
    {"Referer": "https://crm.example:443/messages"},
    {"Referer": "HTTPS://CRM.example/messages?x=1"},
]
OTHER_PAGES = [
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Referer": "https://mail.example/"},
    {"Referer": "https://crm.example:8443/messages/"},
    {"Referer": "https://crm.example.evil/messages/"},
    {"Referer": "https://evil/?https://crm.example/messages/"},
    {"Referer": "[::broken"},
]


@pytest.mark.parametrize(("headers", "hits"), [(h, 0) for h in OWN_PAGES] + [(h, 1) for h in OTHER_PAGES])
def test_e18_our_own_pages_make_no_hits(tmp_path: Path, headers: dict[str, str], hits: int) -> None:
    with running_edge(tmp_path, base_url="https://crm.example") as edge:
        assert edge.ask(open_path(edge.open_token()), **headers).body == PIXEL
        assert edge.ask(f"/c/{edge.click_token('https://example.org/')}", **headers).status == 302
        assert len(edge.hits()) == 2 * hits


def test_e19_other_sites_may_show_it_and_learn_nothing(edge: RunningEdge) -> None:
    reply = edge.ask(open_path(edge.open_token()))
    assert reply.header("cross-origin-resource-policy") == "cross-origin"
    assert reply.header("x-content-type-options") == "nosniff"
    assert reply.header("referrer-policy") == "no-referrer"


def test_e20_nobody_is_asked_while_answering(edge: RunningEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    token, click = edge.open_token(), edge.click_token("https://example.org/")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a name was looked up")

    with socket.create_connection(("127.0.0.1", edge.port)) as connection:
        for name in ("getaddrinfo", "gethostbyaddr", "gethostbyname", "create_connection"):
            monkeypatch.setattr(socket, name, refuse)
        for path in (open_path(token), f"/c/{click}"):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            assert read_reply(connection).status in (200, 302)
    assert len(edge.hits()) == 2


def test_e21_old_and_odd_clients_are_served(edge: RunningEdge) -> None:
    path = open_path(edge.open_token()).encode()
    questions = [
        b"GET %s HTTP/1.0\r\n\r\n" % path,
        b"GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n" % path,
        b"GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Big: %s\r\n\r\n" % (path, b"b" * 60_000),
        b"GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello" % path,
        b"GET http://track.example%s HTTP/1.1\r\nHost: track.example\r\nConnection: close\r\n\r\n" % path,
        b"GET %s HTTP/1.1\r\nHost: h\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n\r\n" % path,
    ]
    for question in questions:
        assert edge.raw(question).body == PIXEL, question[:80]
    assert [hit.http_version for hit in edge.hits()] == ["1.0", "1.1", "1.1", "1.1", "1.1", "1.1"]


def test_e21_kept_connections_and_pipelines_get_every_answer(edge: RunningEdge) -> None:
    path = open_path(edge.open_token())
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode() * 5)
        received = b""
        while received.count(PIXEL) < 5:
            received += connection.recv(65536)
    assert len(edge.hits()) == 5


def test_e21_nonsense_is_never_a_server_error(edge: RunningEdge) -> None:
    dice = random.Random(4711)
    for _ in range(150):
        target = "/" + "".join(dice.choice(string.printable[:94] + "%ÿ/") for _ in range(dice.randrange(60)))
        kind = dice.choice(["/o", "/c", ""])
        try:
            reply = edge.raw(f"GET {kind}{target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode("latin-1"))
        except ConnectionError:
            continue  # hung up on: no answer is no error page
        assert reply.status in (200, 400, 404), (target, reply.raw)
    assert edge.ask(open_path(edge.open_token())).body == PIXEL


def test_f29_prefix_of_the_tracking_address_is_understood_with_and_without(tmp_path: Path) -> None:
    with running_edge(tmp_path, tracking_url="https://crm.example/t") as edge:
        token = edge.open_token()
        assert edge.ask("/t" + open_path(token)).body == PIXEL
        assert edge.ask(open_path(token)).body == PIXEL
        assert edge.ask("/t/robots.txt").status == 200
        assert len(edge.hits()) == 2
        assert all(
            edge.app.handles(path) for path in ("/t/o/x", "/o/x", "/t/drain", "/t/robots.txt", "/t/healthz", "/healthz")
        )
        assert not any(edge.app.handles(path) for path in ("/t/messages", "/t", "/to/x", "/t/drainage"))


def test_ids_rise_and_times_are_in_order(edge: RunningEdge) -> None:
    path = open_path(edge.open_token())
    for _ in range(5):
        edge.ask(path)
    hits = edge.hits()
    assert all((first.id or 0) < (second.id or 0) for first, second in pairwise(hits))
    assert all(first.received_at <= second.received_at for first, second in pairwise(hits))


def test_a_prefetched_image_is_a_hit_that_shows_it(edge: RunningEdge) -> None:
    edge.ask(open_path(edge.open_token()), Sec_Purpose="prefetch", X_Moz="prefetch")
    (hit,) = edge.hits()
    assert (hit.headers["sec-purpose"], hit.headers["x-moz"]) == ("prefetch", "prefetch")


def test_only_the_named_headers_are_kept(edge: RunningEdge) -> None:
    secrets = {
        "Cookie": "a=1",
        "Authorization": f"Bearer {DRAIN_KEY}",
        "X_Forwarded_For": "1.2.3.4",
        "X_Custom": "secret",
    }
    headers = {
        "User_Agent": BROWSER,
        "Accept": "image/*",
        "Accept_Language": "ru",
        "Accept_Encoding": "gzip",
        "Sec_Fetch_Site": "cross-site",
        "Sec_Fetch_Mode": "no-cors",
        "Sec_Fetch_Dest": "image",
        "Sec_Fetch_User": "?1",
        "Sec_CH_UA": '"Chromium";v="130"',
        "Sec_Purpose": "x",
        "Purpose": "x",
        "X_Purpose": "x",
        "X_Moz": "x",
        "X_Native_Host": "OneOutlook/1",
        "Via": "1.1 proxy",
        "From": "bot@example.org",
        "DNT": "1",
    }
    edge.ask(open_path(edge.open_token()), Referer="https://Mail.Example.org/inbox?id=private", **headers, **secrets)
    (hit,) = edge.hits()
    expected = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    assert dict(hit.headers) == {**expected, "referer": "mail.example.org"}
