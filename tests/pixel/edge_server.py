"""A real edge on a free port, asked over raw sockets, so that no HTTP library tidies the question or the answer."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from pixel.__main__ import edge_config
from pixel.app import EdgeApp
from pixel.connections import ServerLimits
from pixel.hits import Hit
from pixel.settings import EdgeSettings
from pixel.spool import Spool, SpoolReader
from pixel.tokens import Tokens, new_public_id
from tests.servers.processes import free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
KEY = "k1-0123456789-abcdefghijklmnopqrstuvwxyz"
OLDER_KEY = "k0-9876543210-zyxwvutsrqponmlkjihgfedcba"
DRAIN_KEY = "drain-0123456789-abcdefghijk"


@dataclass(frozen=True)
class Reply:
    """One response as it came over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def header(self, name: str) -> str | None:
        """The only value of a header; None when it is not there."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else None

    @property
    def location(self) -> str | None:
        return self.header("location")


@dataclass
class Asker:
    """Asks a server on a port of this machine."""

    port: int

    def raw(self, question: bytes) -> Reply:
        """Sends the bytes, reads one response, and then to the end when the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(question)
            return read_reply(connection, head=question.startswith(b"HEAD"))

    def ask(self, target: str, method: str = "GET", **headers: str) -> Reply:
        """One request with these headers (underscores stand for hyphens) and nothing else."""
        return self.raw(question(target, method, **headers))


def question(target: str, method: str = "GET", **headers: str) -> bytes:
    """The bytes of a request that closes its connection."""
    lines = [f"{method} {target} HTTP/1.1", "Host: track.example", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def read_reply(connection: socket.socket, *, head: bool = False) -> Reply:
    """Reads one response off the wire."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError(f"the server closed the connection after {received!r}")
        received += part
    top, _, body = received.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    expected = 0 if head else int(dict(headers).get("content-length", "0"))
    while len(body) < expected:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError(f"the server closed the connection {expected - len(body)} bytes early")
        received, body = received + part, body + part
    return Reply(int(first.split(" ")[1]), headers, body, received)


@dataclass
class RunningEdge(Asker):
    """An edge in a thread of this process."""

    app: EdgeApp
    settings: EdgeSettings
    begin: int = 0

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.settings.keys)

    @property
    def spool(self) -> Spool:
        assert self.app.spool is not None
        return self.app.spool

    def hits(self) -> list[Hit]:
        """The hits since the test began."""
        return self.spool.after(self.begin, 100_000)

    def open_token(self) -> str:
        return self.tokens.open(new_public_id())

    def click_token(self, url: str) -> str:
        return self.tokens.click(new_public_id(), 0, url)


@contextmanager
def running_edge(
    data_dir: Path, limits: ServerLimits | None = None, port: int = 0, **settings: Any
) -> Iterator[RunningEdge]:
    """The edge under uvicorn, served exactly as `python -m pixel` serves it."""
    chosen = EdgeSettings(data_dir=data_dir, **{"keys": (KEY,), **settings})
    config = edge_config(chosen, "127.0.0.1", 0, limits)
    assert isinstance(config.app, EdgeApp)
    with served(config, port) as bound:
        yield RunningEdge(bound, config.app, chosen)


@contextmanager
def served(config: uvicorn.Config, port: int = 0) -> Iterator[int]:
    """An application under uvicorn in a thread; its port."""
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), name="edge")
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    assert server.started, "the server did not start"
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


@dataclass
class EdgeProcess(Asker):
    """`python -m pixel` as a process of its own."""

    process: subprocess.Popen[bytes]
    data_dir: Path

    def reader(self) -> SpoolReader:
        return SpoolReader(self.data_dir / "spool.sqlite3")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)

    def stop(self) -> str:
        """Ends it as a service manager would; what it has said."""
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=20)
        return said.decode()


@contextmanager
def edge_process(
    data_dir: Path,
    environment: Mapping[str, str] | None = None,
    *,
    timeout: float | None = None,
    few_descriptors: int | None = None,
    workers: int = 1,
) -> Iterator[EdgeProcess]:
    """Starts the edge and waits until it answers; kills it at the end when it still runs.

    Where the disk keeps a commit waiting, the edge answers after `pixel.spool.ANSWER_SECONDS` and counts the hit as lost. A test of
    what is on disk gives it more ``timeout`` (seconds), so that a busy machine is not taken for a mistake.
    """
    port = free_port()
    patient = f"import pixel.spool, pixel.__main__ as edge; pixel.spool.ANSWER_SECONDS = {timeout}; raise SystemExit(edge.main())"
    few = [] if few_descriptors is None else ["prlimit", f"--nofile={few_descriptors}"]
    process = subprocess.Popen(
        [
            *few,
            sys.executable,
            *(["-m", "pixel"] if timeout is None else ["-c", patient]),
            "--port",
            str(port),
            "--workers",
            str(workers),
        ],
        cwd=ROOT,
        env=edge_environment(data_dir, environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    edge = EdgeProcess(port, process, data_dir)
    try:
        wait_until(lambda: _answers(edge) or process.poll() is not None)
        assert process.poll() is None, f"the edge did not start: {process.communicate()[0].decode()}"
        yield edge
    finally:
        if process.poll() is None:
            edge.kill()
        if process.stdout is not None:
            process.stdout.close()


def edge_environment(data_dir: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without its own settings of ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("INKLING_")}
    return {**clean, "INKLING_DATA_DIR": str(data_dir), "INKLING_SECRET_KEYS": KEY, **(more or {})}


def _answers(edge: EdgeProcess) -> bool:
    try:
        return edge.ask("/robots.txt").status == 200
    except OSError:
        return False
