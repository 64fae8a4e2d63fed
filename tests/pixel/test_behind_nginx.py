"""The nginx file that ships, before a real edge: traps E13, E14, E21, E22, F27, F30, F31."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

import pytest

from tests.pixel.edge_server import Asker, RunningEdge, running_edge
from tests.pixel.nginx_server import CLIENT, PAGES, SHIPPED, TRACKING, Nginx, nginx_before
from tests.servers.processes import free_port, wait_until

# nginx speaks HTTP/1.0 to what stands behind it unless told otherwise, and so do many files that people have
UPSTREAMS = {"as shipped": (), "HTTP/1.0 upstream": ("proxy_http_version", "keepalive", "Connection")}


@pytest.fixture(scope="module", params=list(UPSTREAMS.values()), ids=list(UPSTREAMS))
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Nginx, RunningEdge]]:
    proxies = (ip_network("127.0.0.1/32"),)
    with (
        running_edge(tmp_path_factory.mktemp("edge"), trusted_proxies=proxies) as edge,
        nginx_before(edge.port, tmp_path_factory.mktemp("nginx"), *request.param) as nginx,
    ):
        yield nginx, edge


@pytest.fixture
def nginx(both: tuple[Nginx, RunningEdge]) -> Nginx:
    return both[0]


@pytest.fixture
def edge(both: tuple[Nginx, RunningEdge]) -> RunningEdge:
    return replace(both[1], begin=both[1].spool.last_id())


@pytest.mark.parametrize("host", [TRACKING, PAGES])
def test_the_pixel_arrives_untouched_and_the_hit_names_the_client(nginx: Nginx, edge: RunningEdge, host: str) -> None:
    target = f"/o/{edge.open_token()}.gif"
    through, direct = nginx.ask(target, host), Asker(edge.port).ask(target)
    assert through.status == 200
    assert through.body == direct.body
    passing = {"date", "connection", "server"}
    assert {h for h in through.headers if h[0] not in passing} == {h for h in direct.headers if h[0] not in passing}
    assert [hit.client for hit in edge.hits()] == [CLIENT, "127.0.0.1"]


@pytest.mark.parametrize(
    "spoofed",
    [
        {"X_Forwarded_For": "8.8.8.8"},
        {"X_Forwarded_For": "8.8.8.8, 127.0.0.1"},
        {"X_Real_IP": "8.8.8.8"},
        {"Forwarded": "for=8.8.8.8"},
        {"True_Client_IP": "8.8.8.8"},
    ],
)
def test_what_a_client_says_about_its_address_is_not_believed(
    nginx: Nginx, edge: RunningEdge, spoofed: dict[str, str]
) -> None:
    assert nginx.ask(f"/o/{edge.open_token()}", **spoofed).status == 200
    assert [hit.client for hit in edge.hits()] == [CLIENT]


@pytest.mark.parametrize(
    "url", ["https://example.com/", "https://example.com/a?b=c&d=%2F%20x", f"https://example.com/{'x' * 1700}"]
)
def test_click_tokens_survive_with_and_without_a_readable_tail(nginx: Nginx, edge: RunningEdge, url: str) -> None:
    token = edge.click_token(url)
    for target in (f"/c/{token}", f"/c/{token}/example.com", f"/c/{token}?gclid=1", f"/c/{token.replace('-', '%2D')}"):
        reply = nginx.ask(target)
        assert (reply.status, reply.location) == (302, url)
        assert reply.header("referrer-policy") == "no-referrer"
    assert {hit.client for hit in edge.hits()} == {CLIENT}


def test_head_and_old_clients_pass(nginx: Nginx, edge: RunningEdge) -> None:
    assert nginx.ask(f"/o/{edge.open_token()}", method="HEAD").status == 200
    assert edge.hits() == []
    assert nginx.ask(f"/c/{edge.click_token('https://example.com/')}", version="1.0").status == 302
    assert nginx.ask(f"/o/{edge.open_token()}", User_Agent="x" * 7000).status == 200
    assert len(edge.hits()) == 2


def test_bad_tokens_get_the_edges_own_page(nginx: Nginx, edge: RunningEdge) -> None:
    reply = nginx.ask("/c/nothing", Accept_Language="ru")
    assert reply.status == 404
    assert reply.location is None
    assert b"nginx" not in reply.body


def test_nothing_else_of_inkling_is_under_the_tracking_name(nginx: Nginx) -> None:
    for target in ("/", "/drain?after=0", "/sign-in", "/metrics", "/api/v1/me"):
        assert nginx.ask(target).status == 404
    assert nginx.ask("/robots.txt").status == 200


def test_plain_http_leads_to_tls_for_now_and_not_for_ever(nginx: Nginx) -> None:
    reply = Asker(nginx.plain_port).raw(b"GET /c/abc HTTP/1.1\r\nHost: t.example.com\r\nConnection: close\r\n\r\n")
    assert (reply.status, reply.location) == (302, "https://t.example.com/c/abc")


def test_no_log_names_who_came_for_mail(nginx: Nginx, edge: RunningEdge) -> None:
    tokens = [edge.open_token(), edge.click_token("https://example.com/"), "recipients-page"]
    for host in (TRACKING, PAGES):
        for kind, token in zip("ocr", tokens, strict=True):
            nginx.ask(f"/{kind}/{token}", host)
    nginx.ask("/o/../c/x", TRACKING)
    nginx.ask("/people-who-sell", PAGES)
    # logging works, so its silence means something
    wait_until(lambda: "/people-who-sell" in nginx.logged()["inkling.access.log"])
    said = nginx.logged()
    for name, text in said.items():
        assert not any(token in text for token in tokens), name
        assert not any(f"GET /{kind}/" in text for kind in "ocr"), name
    assert CLIENT not in said["inkling.error.log"] + said["main.access.log"] + said["main.error.log"]


def test_not_even_a_failed_request_is_written_down(tmp_path_factory: pytest.TempPathFactory) -> None:
    with nginx_before(free_port(), tmp_path_factory.mktemp("nginx")) as nginx:
        for host in (TRACKING, PAGES):
            assert nginx.ask("/o/sometoken", host).status == 502
            assert nginx.ask("/c/sometoken", host).status == 502
        assert not [name for name, text in nginx.logged().items() if CLIENT in text or "sometoken" in text]


def test_the_caddyfile_hands_on_the_same_paths() -> None:
    caddy = (SHIPPED.parent / "Caddyfile").read_text()
    assert "path /o/* /c/* /r/* /robots.txt" in caddy
    assert "location ~ ^/(o|c|r)/" in SHIPPED.read_text()
    assert "location ~ ^/(r|static)/" in SHIPPED.read_text()
    assert not [line for line in caddy.splitlines() if line.strip().startswith(("log", "trusted_proxies"))]
