"""The edge alone: few packages, a quiet log, and at home inside another application too."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from pixel.answers import PIXEL
from pixel.app import create_app
from pixel.settings import EdgeSettings
from pixel.tokens import SELF_COOKIE, Tokens, click_path, new_public_id, open_path
from tests.pixel.edge_server import DRAIN_KEY, KEY, ROOT, Asker, RunningEdge, edge_process, read_reply, served

ALLOWED = {
    "pixel", "starlette", "anyio", "idna", "sniffio", "typing_extensions",
    "uvicorn", "click", "h11", "httptools", "uvloop", "cython_runtime", "websockets", "watchfiles", "dotenv", "yaml",
    "itsdangerous",
}  # fmt: skip


def test_the_edge_imports_only_what_its_requirements_name() -> None:
    """Everything that is not of the standard library, while it serves its paths in a fresh process."""
    program = """
import asyncio, sys, sysconfig, tempfile, pathlib
import pixel.__main__, pixel.app, pixel.settings, pixel.destinations
settings = pixel.settings.EdgeSettings.from_environment({"INKLING_DATA_DIR": tempfile.mkdtemp()})
pixel.__main__.edge_config(settings, "127.0.0.1", 0).load()
pixel.destinations.location("https://b\\u00fccher.example/")
own = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
print(" ".join(sorted(name for name in own if not name.startswith("_"))))
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) - ALLOWED == set()


def test_the_pixel_modules_alone_import_next_to_nothing() -> None:
    """What a tracker process pays for tokens, hits and spool: no web server and no framework."""
    program = "import sys, pixel.app, pixel.settings; print(*{m.partition('.')[0] for m in sys.modules} - sys.stdlib_module_names)"
    ran = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {program}"],
                         cwd=ROOT, capture_output=True, text=True, check=True)  # fmt: skip
    assert {name for name in ran.stdout.split() if not name.startswith("__")} == {"pixel", "itsdangerous"}


def test_nothing_of_a_person_is_in_the_log(tmp_path: Path) -> None:
    """Requests of every kind, broken ones included; the log of the whole process is read afterwards."""
    tokens = Tokens([KEY])
    opening, click = tokens.open(new_public_id()), tokens.click(new_public_id(), 0, "https://example.org/")
    agent = "Secret-Agent/7"
    with edge_process(tmp_path, {"INKLING_DRAIN_KEY": DRAIN_KEY}) as edge:
        for target in (open_path(opening), click_path(click), "/c/broken", "/drain", "/healthz", "/\xff"):
            edge.ask(target, User_Agent=agent, X_Forwarded_For="203.0.113.9")
        edge.ask("/drain", Authorization=f"Bearer {DRAIN_KEY}")
        edge.raw(f"GET {open_path(opening)} NONSENSE\r\nUser-Agent: {agent}\r\n\r\n".encode())
        said = edge.stop()
    for secret in (opening, click, agent, "127.0.0.1", "203.0.113.9", KEY, DRAIN_KEY):
        assert secret not in said


def test_inside_another_application(tmp_path: Path) -> None:
    edge = create_app(EdgeSettings(tmp_path, (KEY,)))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await edge.start()
        yield
        await edge.stop()

    async def home(_: Request) -> PlainTextResponse:
        return PlainTextResponse("home")

    routes = [Mount("/o", edge), Mount("/c", edge), Route("/robots.txt", edge), Route("/", home)]
    tokens = Tokens([KEY])
    opening, click = tokens.open(new_public_id()), tokens.click(new_public_id(), 1, "https://example.org/")
    app = Starlette(routes=routes, lifespan=lifespan)
    with served(uvicorn.Config(app, access_log=False, log_level="warning", proxy_headers=False)) as port:
        asker = Asker(port)
        assert asker.ask("/").body == b"home"
        assert asker.ask(open_path(opening)).body == PIXEL
        assert asker.ask(click_path(click)).location == "https://example.org/"
        assert asker.ask("/robots.txt").status == 200
        assert asker.ask(open_path(opening), "POST").status == 405
        assert edge.spool is not None
        assert [(hit.kind, hit.token, hit.link) for hit in edge.spool.after(0)] == [
            ("open", opening, None),
            ("click", click, 1),
        ]
    assert not edge.spool.writable()


def test_metrics_before_the_start_are_empty(tmp_path: Path) -> None:
    edge = create_app(EdgeSettings(tmp_path, (KEY,)))
    assert edge.metrics() == {}
    asyncio.run(edge.stop())


def test_a_hit_of_our_own_people_is_marked(edge: RunningEdge) -> None:
    mark = edge.tokens.self_mark("anna-1")
    path = open_path(edge.open_token())
    for cookie in (
        f"{SELF_COOKIE}={mark}",
        f"a=b; {SELF_COOKIE}={mark}; c=d",
        f"x{SELF_COOKIE}={mark}",
        f"{SELF_COOKIE}={mark}x",
    ):
        edge.ask(path, Cookie=cookie)
    assert [hit.self_user for hit in edge.hits()] == ["anna-1", "anna-1", None, None]
    assert not any(mark in hit.to_json() for hit in edge.hits())


def test_health_while_all_is_well(edge: RunningEdge) -> None:
    reply = edge.ask("/healthz")
    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    assert b'"status": "ok"' in reply.body
    assert "no-store" in (reply.header("cache-control") or "")


def test_the_image_is_the_same_whether_it_is_written_at_once_or_in_parts(edge: RunningEdge) -> None:
    """A kept connection takes the whole answer in one piece; where it ends afterwards the server writes part by part."""
    get = f"GET {open_path(edge.open_token())}"
    keep_alive = f"{get} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as connection:
        replies = []
        for _ in range(3):
            connection.sendall(keep_alive)
            replies.append(read_reply(connection))
        connection.sendall(keep_alive * 3)  # pipelined: the answers come one after the other
        received = b""
        while received.count(PIXEL) < 3:
            part = connection.recv(65536)
            assert part
            received += part
        assert received == received[: len(received) // 3] * 3 or received.count(b"HTTP/1.1 200 OK\r\n") == 3
    replies.append(edge.raw(f"{get} HTTP/1.0\r\n\r\n".encode()))
    replies.append(edge.raw(f"{get} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode()))
    for reply in replies:
        assert (reply.status, reply.body) == (200, PIXEL)
        assert [pair for pair in reply.headers if pair[0] != "connection"] == [
            pair if pair[0] != "date" else ("date", reply.header("date")) for pair in replies[0].headers
        ]
    assert len(edge.hits()) == 8
