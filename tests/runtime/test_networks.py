"""Where we connect to: which addresses are refused, and that the one that was judged is the one that is connected to."""

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.contexts import opened_context
from tests.servers import AuthorisationServer, Authority
from tracker.mail.connections import ConnectError, Server, address_of
from tracker.mail.oauth import OAuthError, _ask
from tracker.mail.oauth_providers import PROVIDERS
from tracker.runtime.context import AppContext
from tracker.runtime.networks import MOST_BYTES, AddressRefused, is_allowed, is_public, resolved

PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "2606:4700::1111%eth0"]
PRIVATE = {
    "loopback": "127.0.0.1 127.9.9.9 ::1 ::ffff:127.0.0.1",
    "private": "10.0.0.5 172.16.0.1 172.31.255.255 192.168.1.1 fc00::1 fd12:3456::1 ::ffff:10.0.0.1",
    "link-local": "169.254.169.254 fe80::1 fe80::1%eth0 ::ffff:169.254.169.254",
    "unspecified": "0.0.0.0 0.1.2.3 ::",
    "carrier": "100.64.0.1 100.127.255.254",
    "NAT64": "64:ff9b::a9fe:a9fe 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::a00:1",
    "6to4": "2002:7f00:1:: 2002:a9fe:a9fe::1 2002:a00:1::1 192.88.99.1",
    "site-local": "fec0::1 feff::1",
    "IPv4-compatible": "::127.0.0.1 ::10.0.0.1 ::8.8.8.8",
    "IPv4-translated": "::ffff:0:127.0.0.1",
    "Teredo": "2001::1 2001:0:7f00:1::",
    "multicast": "224.0.0.1 239.255.255.250 ff02::1 ff0e::1",
    "reserved": "240.0.0.1 255.255.255.255 100::1 4000::1 5f00::1 200::1 ::ffff:255.255.255.255",
    "documentation": "192.0.2.1 198.51.100.1 203.0.113.9 2001:db8::1 3fff::1",
    "benchmarks": "198.18.0.1 198.19.255.254",
    "protocols": "192.0.0.1 192.0.0.170 2001:1::1",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_hosts_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("kind", PRIVATE)
def test_what_leads_or_may_lead_back_into_a_private_network_is_not(kind: str) -> None:
    assert [address for address in PRIVATE[kind].split() if is_public(address)] == []


def test_the_operator_may_allow_a_network_however_its_address_is_written() -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("64:ff9b::/96"))
    assert all(
        is_allowed(address, networks) for address in ("10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::808:808", "8.8.8.8")
    )
    assert not any(is_allowed(address, networks) for address in ("192.168.1.1", "::10.1.2.3", "64:ff9b:1::1"))


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "::1", "0", "[::1]"])
def test_another_spelling_of_a_private_address_is_refused_or_no_host(host: str) -> None:
    with pytest.raises((AddressRefused, socket.gaierror)):
        resolved(host, 25, ())


class Names:
    """The system's resolver with one name of ours, whose answer changes from one question to the next."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
        self.asked = 0
        self._answers, self._real = answers, socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host != "mail.rebind.example":
            return self._real(host, port, *args, **more)
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        return self._real(answer, port, *args, **more)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[AppContext]:
    with opened_context(tmp_path) as context:  # allows 127.0.0.0/8 and ::1
        yield context


def test_every_connection_is_judged_anew(context: AppContext, monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, "10.0.0.5", "127.0.0.1")
    server = Server("mail.rebind.example", 993, "tls", "a", "b")
    with pytest.raises(ConnectError, match="private network"):
        address_of(context, server)
    assert address_of(context, server) == "127.0.0.1"


@dataclass
class WebServer:
    """Answers every connection with the same bytes, and keeps what it was asked."""

    port: int
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
    heard: list[str] = field(default_factory=list)
    pause: float = 0
    """Seconds between one byte of the answer and the next."""

    def say(self, line: socket.socket) -> None:
        for piece in [self.answer[n : n + 1] for n in range(len(self.answer))] if self.pause else [self.answer]:
            line.sendall(piece)
            time.sleep(self.pause)


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = WebServer(listener.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
                with tls.wrap_socket(connection, server_side=True) if tls else connection as line:
                    server.heard.append(line.recv(65536).decode())
                    server.say(line)
            except ssl.SSLError:
                continue
            except OSError:
                if listener.fileno() == -1:
                    return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_name_that_changes_its_mind_is_asked_once(context: AppContext, monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server() as server:
        url = f"http://mail.rebind.example:{server.port}/token"
        names = Names(monkeypatch, "127.0.0.1", "10.0.0.5")
        answer = context.web_request("POST", url, seconds=5, data={"a": "b"})
        assert (answer.status_code, answer.text, names.asked) == (200, "fine", 1)
        assert f"host: mail.rebind.example:{server.port}" in server.heard[0].lower()
        names = Names(monkeypatch, "10.0.0.5", "127.0.0.1")
        with pytest.raises(httpx.ConnectError, match="private network"):
            context.web_request("POST", url, seconds=5)
        assert (names.asked, len(server.heard)) == (1, 1)


def test_no_redirect_is_followed_and_no_endless_answer_is_read(context: AppContext) -> None:
    with web_server() as server:
        url = f"http://127.0.0.1:{server.port}/"
        server.answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
        assert context.web_request("GET", url, seconds=5).status_code == 302
        server.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * (MOST_BYTES + 100_000)
        with pytest.raises(httpx.ReadError, match="too long"):
            context.web_request("GET", url, seconds=5)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\n\r\nfine", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 90])
def test_an_answer_that_drips_has_its_end(context: AppContext, answer: bytes) -> None:
    with web_server() as server:
        server.answer, server.pause = answer, 0.05
        with pytest.raises(httpx.TimeoutException):
            context.web_request("GET", f"http://127.0.0.1:{server.port}/", seconds=0.5)


def test_nothing_is_unpacked_and_what_nobody_asks_for_is_left_unread(context: AppContext) -> None:
    packed = gzip.compress(bytes(5_000_000))
    with web_server() as server:
        url = f"http://127.0.0.1:{server.port}/"
        server.answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + packed
        assert context.web_request("GET", url, seconds=5).content == packed
        assert "accept-encoding: identity" in server.heard[0].lower()
        server.answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 2_000_000
        assert len(context.web_request("GET", url, seconds=5, most_bytes=1000, is_cut=True).content) < 500_000


def test_the_certificate_is_that_of_the_name(tmp_path: Path, ca: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened_context(tmp_path, CA_FILE=str(ca.file)) as context, web_server(ca.server_context()) as server:
        assert context.web_request("GET", f"https://localhost:{server.port}/", seconds=5).text == "fine"
        Names(monkeypatch, "127.0.0.1")
        with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
            context.web_request("GET", f"https://mail.rebind.example:{server.port}/", seconds=5)


def test_signing_in_at_a_provider_goes_through_the_same_gate(
    tmp_path: Path, authorisation: AuthorisationServer
) -> None:
    settings = {name.removeprefix("INKLING_"): value for name, value in authorisation.settings().items()}
    with opened_context(tmp_path, **{**settings, "ALLOW_PRIVATE_HOSTS": "192.0.2.0/24"}) as context:
        with pytest.raises(OAuthError) as refused:
            _ask(context, PROVIDERS["google"], {"grant_type": "refresh_token", "refresh_token": "x"})
        assert refused.value.code == "token_server"
