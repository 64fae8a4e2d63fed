"""What a website's page asks, however its bytes come: in pieces, several at once, too many, or never to the end."""

import json
import socket
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from pixel.site_requests import LARGEST
from tests.pixel.edge_server import Reply, RunningEdge, read_reply, running_edge
from tests.pixel.snippet_site import KEY, snapshot
from tests.servers.processes import wait_until


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    folder = tmp_path_factory.mktemp("edge")
    folder.joinpath("sites.json").write_text(json.dumps(snapshot()))
    with running_edge(folder) as running:
        yield running


def question(visitor: str, more: str = "", *, size: int = 0, path: str = "resolve") -> bytes:
    asked = {"key": KEY, "visitor": visitor, "page": "https://127.0.0.1/", "kind": "view", "more": "x" * size}
    body = json.dumps(asked)
    head = (
        f"POST /et/v1/{path} HTTP/1.1\r\nHost: edge\r\nUser-Agent: Chrome\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    )
    return f"{head}{body}".encode()


def replies(edge: RunningEdge, *pieces: bytes, number: int = 1) -> list[Reply]:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)  # so that the server reads each by itself
        return [read_reply(connection) for _ in range(number)]


def visitor_of(reply: Reply) -> str:
    assert reply.status == 200, reply
    shown = json.loads(reply.body)
    assert shown["rules"][0]["show"].endswith("@site.example")
    return str(shown["visitor"])


def pieces_of(whole: bytes, *places: int) -> list[bytes]:
    cuts = [0, *(place % len(whole) for place in places), len(whole)]
    return [whole[begin:end] for begin, end in pairwise(cuts)]


@pytest.mark.parametrize("places", [(), (-1,), (-60, -20), (3, 40), (60, -100, -99)], ids=str)
def test_a_body_may_come_in_any_pieces(edge: RunningEdge, places: tuple[int, ...]) -> None:
    (reply,) = replies(edge, *pieces_of(question("visitor-in-pieces"), *places))
    assert visitor_of(reply) == "visitor-in-pieces"


def test_a_body_in_chunks_is_a_body(edge: RunningEdge) -> None:
    head, _, body = question("visitor-in-chunks").partition(b"\r\n\r\n")
    head = b"\r\n".join(
        [line for line in head.split(b"\r\n") if b"Length" not in line] + [b"Transfer-Encoding: chunked"]
    )
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces_of(body, 10, 30))
    (reply,) = replies(edge, head + b"\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert visitor_of(reply) == "visitor-in-chunks"


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(edge: RunningEdge) -> None:
    head, _, body = question("visitor-who-waits", "Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert read_reply(connection).status == 100
        connection.sendall(body)
        assert visitor_of(read_reply(connection)) == "visitor-who-waits"


def test_several_questions_in_one_piece_are_answered_in_their_order(edge: RunningEdge) -> None:
    names = [f"visitor-in-line-{number}" for number in range(4)]
    asked = b"".join(map(question, names))
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.sendall(asked[:-30])
        first = read_pipelined(connection, 3)
        connection.sendall(asked[-30:])
        assert [visitor_of(reply) for reply in [*first, *read_pipelined(connection, 1)]] == names


def read_pipelined(connection: socket.socket, number: int) -> list[Reply]:
    received, made = b"", list[Reply]()
    while len(made) < number:
        top, end, rest = received.partition(b"\r\n\r\n")
        length = (
            int(dict(line.lower().split(b": ") for line in top.split(b"\r\n")[1:]).get(b"content-length", 0))
            if end
            else 0
        )
        if end and len(rest) >= length:
            made.append(Reply(int(top.split(b" ")[1]), [], rest[:length], b""))
            received = rest[length:]
        else:
            received += connection.recv(65536)
    assert not received
    return made


@pytest.mark.parametrize("path", ["resolve", "beacon"])
@pytest.mark.parametrize("size", [LARGEST, 3 * LARGEST, 40 * LARGEST])
def test_a_body_that_is_too_large_is_refused_and_the_next_one_answered(edge: RunningEdge, path: str, size: int) -> None:
    (reply,) = replies(edge, question("visitor-at-length", size=size, path=path))
    assert reply.status == 413
    (reply,) = replies(edge, question("visitor-after-that"))
    assert visitor_of(reply) == "visitor-after-that"


def test_who_goes_in_the_middle_of_a_body_is_no_visit_and_leaves_nothing_behind(edge: RunningEdge) -> None:
    before = len(edge.hits())
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
            connection.sendall(question("visitor-who-left")[:-5])
    (reply,) = replies(edge, question("visitor-who-stayed"))
    assert visitor_of(reply) == "visitor-who-stayed"
    wait_until(lambda: len(edge.hits()) > before)
    assert [hit.delivery for hit in edge.hits()[before:]] == ["visitor-who-stayed"]
