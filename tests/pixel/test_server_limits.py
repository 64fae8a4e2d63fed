"""What a stranger may take before anybody has read a request: time, bytes, headers, connections. Over raw sockets."""

import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from pixel.answers import PIXEL
from pixel.connections import ConnectionGuard, ServerLimits, limits_for
from pixel.tokens import open_path
from tests.pixel.edge_server import ROOT, RunningEdge, edge_process, read_reply, running_edge
from tests.servers.processes import wait_until

SMALL = ServerLimits(head_seconds=0.4, body_seconds=0.4, connections=40, connections_per_source=20)
TRAILERS = b"POST /o/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
HEAD = b"GET /robots.txt HTTP/1.1\r\nHost: track.example\r\n"


@pytest.fixture(scope="module")
def small_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    """An edge that gives strangers very little."""
    with running_edge(tmp_path_factory.mktemp("edge"), SMALL) as running:
        yield running


@contextmanager
def connected(port: int, first: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(first)
        yield connection


def end_of(connection: socket.socket) -> bytes:
    """Everything until the server ends the connection."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def sent_until_refused(connection: socket.socket, piece: bytes, most: int, pause: float = 0) -> int:
    """How often the piece could be sent before the server ended the connection."""
    for times in range(most):
        try:
            connection.sendall(piece)
        except OSError:
            return times
        time.sleep(pause)
    return most


def status_of(port: int, request: bytes) -> int:
    """The status of the answer; 0 when the connection ended without one."""
    with connected(port) as connection:
        try:
            connection.sendall(request)
        except (ConnectionResetError, BrokenPipeError):
            return 0
        received = end_of(connection)
    return int(received.split()[1]) if received else 0


@pytest.mark.parametrize(
    ("first", "answer"),
    [
        (b"", b""),
        (b"G", b"HTTP/1.1 408"),
        (b"GET /o/x HTTP/1.1\r\nHost: a\r\nX: ", b"HTTP/1.1 408"),
        (HEAD, b"HTTP/1.1 408"),
        (b"POST /o/x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n", b"HTTP/1.1 408"),
        (b"\r\n", b"HTTP/1.1 408"),
    ],
)
def test_a_head_that_does_not_end_is_waited_for_so_long_and_no_longer(
    small_edge: RunningEdge, first: bytes, answer: bytes
) -> None:
    with connected(small_edge.port, first) as connection:
        assert end_of(connection).startswith(answer)


def test_a_head_that_drips_gets_no_more_time(small_edge: RunningEdge) -> None:
    with connected(small_edge.port, HEAD) as connection:
        assert sent_until_refused(connection, b"X-Drip: 1\r\n", 200, pause=0.05) < 200


def test_a_further_request_on_the_line_has_its_time_too(small_edge: RunningEdge) -> None:
    with connected(small_edge.port, HEAD + b"\r\n") as connection:
        assert read_reply(connection).status == 200
        connection.sendall(HEAD)
        assert end_of(connection).startswith(b"HTTP/1.1 408")


def test_a_body_that_does_not_come_ends_the_connection(small_edge: RunningEdge) -> None:
    with connected(small_edge.port, b"POST /o/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nab") as connection:
        assert end_of(connection).startswith(b"HTTP/1.1 405")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /robots.txt HTTP/1.1\r\n\r\n", 400),
        (b"GET /robots.txt HTTP/1.1\r\nX-Host: a\r\n\r\n", 400),
        (b"GET /robots.txt HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET /robots.txt HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"POST /o/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
        (b"GET /robots.txt HTTP/1.0\r\n\r\n", 200),
        (b"GET /robots.txt HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n", 200),
        (b"GET /robots.txt HTTP/1.1\r\nHOST: a\r\nConnection: close\r\n\r\n", 200),
        (HEAD + b"Cookie: " + b"a" * 30_000 + b"\r\nConnection: close\r\n\r\n", 200),
        (HEAD + b"X-Long: " + b"a" * 70_000 + b"\r\nConnection: close\r\n\r\n", 431),
        (HEAD + b"X" * 70_000 + b": a\r\nConnection: close\r\n\r\n", 431),
        (HEAD + b"X: " + b"a" * 5_000_000 + b"\r\n\r\n", 431),
        (HEAD + b"Connection: close\r\n" + b"X: a\r\n" * 99 + b"\r\n", 431),
        (HEAD + b"Connection: close\r\n" + b"X: a\r\n" * 98 + b"\r\n", 200),
        (HEAD + b"X: a\r\n" * 20_000 + b"\r\n", 431),
        (HEAD + b"X: " + b"a\r\n " * 40_000 + b"\r\n\r\n", 431),
    ],
    ids=range(16),
)
def test_what_is_too_much_or_names_no_host_is_refused(small_edge: RunningEdge, request_: bytes, status: int) -> None:
    answer = status_of(small_edge.port, request_)
    assert answer == status or (status == 431 and answer in (0, 400)), "a large one may end before it was read whole"


def test_a_long_link_still_leads_on(small_edge: RunningEdge) -> None:
    url = "https://example.org/" + "x" * 8_000
    assert small_edge.ask(f"/c/{small_edge.click_token(url)}").location == url


def test_a_request_and_the_beginning_of_the_next_in_one_piece_are_told_apart(small_edge: RunningEdge) -> None:
    with connected(small_edge.port, HEAD + b"\r\n" + HEAD + b"Connection: close\r\n\r\n") as connection:
        received = end_of(connection)
    assert received.count(b"HTTP/1.1 200 OK") == 2


def test_opens_and_clicks_in_one_piece_are_answered_in_order_and_take_no_task(
    small_edge: RunningEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    begin = HttpToolsProtocol._start_asgi_task

    def counted(protocol: HttpToolsProtocol, cycle: RequestResponseCycle, app: Any) -> None:
        started.append(cycle.scope["path"])
        begin(protocol, cycle, app)

    monkeypatch.setattr(HttpToolsProtocol, "_start_asgi_task", counted)
    small_edge.begin = small_edge.spool.last_id()
    links = [f"https://example.org/{number}" for number in range(40)]
    paths = [(f"/c/{small_edge.click_token(link)}", open_path(small_edge.open_token()), "/o/wrong") for link in links]
    heads = [f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for triple in paths for path in triple]
    with connected(small_edge.port, b"".join(heads) + HEAD + b"Connection: close\r\n\r\n") as connection:
        received = end_of(connection)
    assert started == ["/robots.txt"]
    assert re.findall(rb"location: (\S+)", received) == [link.encode() for link in links]
    assert received.count(PIXEL) == 80
    assert received.count(b"HTTP/1.1 302") == 40
    assert sorted(hit.kind for hit in small_edge.hits()) == ["click"] * 40 + ["open"] * 40


def test_who_asks_for_much_and_takes_nothing_is_answered_once_it_takes(small_edge: RunningEdge) -> None:
    head = f"GET {open_path(small_edge.open_token())} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    with connected(small_edge.port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head * 600 + HEAD + b"Connection: close\r\n\r\n")
        received = end_of(connection)
    assert received.count(PIXEL) == 600


def test_a_crowd_of_waiting_connections_pushes_out_its_own_and_no_visitor(tmp_path: Path) -> None:
    limits = ServerLimits(head_seconds=20, connections=40, connections_per_source=20)
    with running_edge(tmp_path, limits) as edge, ExitStack() as stack:
        crowd = [stack.enter_context(connected(edge.port, HEAD)) for _ in range(60)]
        for _ in range(5):
            assert edge.ask(open_path(edge.open_token())).body == PIXEL
        assert len(edge.hits()) == 5
        ended = sum(is_ended(connection) for connection in crowd)
    assert ended >= 41


def is_ended(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


class Peer:
    """A connection as the guard sees it."""

    def __init__(self, guard: ConnectionGuard, address: str) -> None:
        self.guard, self.source, self.dropped = guard, guard.source_of(address), False

    def drop(self) -> None:
        self.dropped = True
        self.guard.leave(self)

    def comes(self) -> bool:
        return self.guard.enter(self)

    def works(self) -> None:
        self.guard.works(self)


def test_one_source_has_its_share_and_a_named_proxy_brings_everybodys() -> None:
    guard = ConnectionGuard(ServerLimits(connections=10, connections_per_source=3), (ip_network("10.0.0.0/8"),))
    same = [Peer(guard, f"2001:db8::{n}") for n in range(4)]
    assert [peer.comes() for peer in same] == [True] * 4
    assert [peer.dropped for peer in same] == [True, False, False, False]
    busy = [Peer(guard, address) for address in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1")]
    for peer in busy:
        assert peer.comes()
        peer.works()
    assert not Peer(guard, "192.0.2.1").comes(), "whoever is in a request is not pushed out"
    assert all(Peer(guard, "10.0.0.1").comes() for _ in range(8))
    assert not any(peer.dropped for peer in busy)


def test_few_descriptors_mean_few_connections() -> None:
    assert limits_for(1024).connections == 768
    assert limits_for(64).connections == 64
    assert limits_for(1_000_000).connections == ServerLimits.connections


def test_the_soft_limit_of_descriptors_is_raised_at_start() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    program = (
        "import resource as r; from pixel.connections import raise_descriptor_limit as up; r.setrlimit(r.RLIMIT_NOFILE,"
        f" (256, {hard})); print(up(), r.getrlimit(r.RLIMIT_NOFILE)[0])"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    said, soft = map(int, ran.stdout.split())
    assert said == soft > 256


def test_with_few_descriptors_a_thousand_half_open_requests_stop_nothing(tmp_path: Path) -> None:
    with edge_process(tmp_path, few_descriptors=600) as edge, ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(connected(edge.port, HEAD))
        for _ in range(3):
            assert edge.ask("/healthz").status == 200
            assert edge.ask("/o/whatever").body == PIXEL


def test_a_huge_header_chunk_or_trailer_takes_no_memory(tmp_path: Path) -> None:
    with edge_process(tmp_path) as edge:
        edge.ask("/robots.txt")
        before = memory_of(edge.process.pid)
        for beginning in (HEAD + b"X: ", HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", TRAILERS + b"X: "):
            with connected(edge.port, beginning) as connection:
                assert sent_until_refused(connection, b"a" * 100_000, 1000) < 1000
        with connected(edge.port, TRAILERS) as connection:
            assert sent_until_refused(connection, b"X: a\r\n" * 10_000, 1000) < 1000
        wait_until(lambda: edge.ask("/robots.txt").status == 200)
        assert memory_of(edge.process.pid) - before < 8 * 1024


def memory_of(pid: int) -> int:
    """Resident memory, in kilobytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])
