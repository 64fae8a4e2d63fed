"""Connecting as each kind of person does it: with a well-known service, with a domain of one's own that names its servers by SRV
records, by autoconfig or by its mail exchanger, and by a sign-in. Address and password are all that is ever typed."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlmodel import select

from tests.servers import AuthorisationServer, Authority, Dovecot, SmtpSink, free_port, smtp_sink
from tests.servers import dovecot as start_dovecot
from tests.servers.authority import DOMAINS
from tests.servers.dns import NameServer, name_server
from tests.web.conftest import server
from tests.web.reading import attribute, every, only, text_at
from tests.web.test_oauth_sign_in import LOGIN, allow
from tracker.mail.services import PRESETS
from tracker.models import Account, Mailbox
from tracker.runtime.context import AppContext

SECRET = "s3cret app pässword"


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with name_server() as dns:
        yield dns


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def context(
    make_context: Callable[..., AppContext],
    authorisation: AuthorisationServer,
    ca: Authority,
    dns: NameServer,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> AppContext:
    """A world whose name server is ours, and in which two companies have their servers on this machine."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *more: Any, **words: Any) -> Any:
        is_ours = isinstance(host, str) and host.endswith(DOMAINS)
        return look_up("127.0.0.1" if is_ours else host, *more, **words)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    providers = {**authorisation.settings(), **authorisation.settings("MICROSOFT")}
    made = make_context(BASE_URL=f"http://127.0.0.1:{port}", CA_FILE=str(ca.file), **providers)
    return replace(made, name_server=dns.address)


@pytest.fixture
def address(context: AppContext, port: int) -> Iterator[str]:
    with server(context, port=port) as address:
        yield address


@contextmanager
def mail_of(dovecot: Dovecot, domain: str) -> Iterator[tuple[str, SmtpSink]]:
    """A mailbox with that domain, and the server that takes its mail; both over TLS."""
    box = f"{uuid4().hex[:12]}@{domain}"
    dovecot.add_user(box, SECRET)
    with smtp_sink(login=box, secret=SECRET, tls="implicit") as sink:
        yield box, sink


def play(monkeypatch: pytest.MonkeyPatch, service: str, imap: int, smtp: int) -> None:
    """The servers of that service are the test's, on these ports."""
    ours: dict[str, Any] = {"imap_host": "localhost", "imap_port": imap, "smtp_host": "localhost", "smtp_port": smtp}
    played = replace(PRESETS[service], **ours, imap_security="tls", smtp_security="tls")
    monkeypatch.setitem(PRESETS, service, played)


def states(context: AppContext) -> tuple[str, str, str, str]:
    with context.database.reading() as session:
        account, mailbox = session.exec(select(Account)).one(), session.exec(select(Mailbox)).one()
    return account.address, account.state, mailbox.address, mailbox.state


def connect(client: httpx.Client, box: str) -> httpx.Response:
    """What a person does: the page, the two fields that are open on it, the button."""
    page = client.get("/connect")
    fields = [attribute(field, "name") for field in every(page, ".connect-form > .field input:not([type=hidden])")]
    assert fields == ["address", "secret"], "all that has to be typed"
    return client.post("/connect", data={"address": box, "secret": SECRET})


@pytest.mark.parametrize(("service", "domain"), [("gmail", "gmail.com"), ("yandex", "yandex.ru"), ("mailru", "bk.ru")])
def test_a_well_known_service_needs_address_and_app_password(
    client: httpx.Client,
    context: AppContext,
    dovecot: Dovecot,
    monkeypatch: pytest.MonkeyPatch,
    service: str,
    domain: str,
) -> None:
    with mail_of(dovecot, domain) as (box, sink):
        play(monkeypatch, service, dovecot.imaps_port, sink.port)
        assert connect(client, box).headers["location"] == "/today"
        assert states(context) == (box, "works", box, "active")


def test_a_domain_with_its_mail_at_a_service_is_known_by_its_exchanger(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, dns: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dns.mx["own.example"] = ("10 mx.yandex.net.",)
    with mail_of(dovecot, "own.example") as (box, sink):
        play(monkeypatch, "yandex", dovecot.imaps_port, sink.port)
        assert connect(client, box).headers["location"] == "/today"
        assert states(context) == (box, "works", box, "active")


def test_a_domain_of_ones_own_is_connected_by_its_srv_records(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, dns: NameServer
) -> None:
    with mail_of(dovecot, "own.example") as (box, sink):
        dns.records["_imaps._tcp.own.example", "SRV"] = (f"0 1 {dovecot.imaps_port} mail.own.example.",)
        dns.records["_submissions._tcp.own.example", "SRV"] = (f"0 1 {sink.port} mail.own.example.",)
        assert connect(client, box).headers["location"] == "/today"
        assert states(context) == (box, "works", box, "active")


DESCRIPTION = """<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="firm.example">
<incomingServer type="imap"><hostname>mail.%EMAILDOMAIN%</hostname><port>{imap}</port><socketType>SSL</socketType>
<authentication>password-cleartext</authentication><username>%EMAILADDRESS%</username></incomingServer>
<outgoingServer type="smtp"><hostname>mail.firm.example</hostname><port>{smtp}</port><socketType>SSL</socketType>
<authentication>password-cleartext</authentication><username>%EMAILADDRESS%</username></outgoingServer>
</emailProvider></clientConfig>"""


@pytest.mark.parametrize(
    "url",
    [
        "https://autoconfig.firm.example/mail/config-v1.1.xml",
        "https://firm.example/.well-known/autoconfig/mail/config-v1.1.xml",
    ],
)
def test_a_domain_of_ones_own_is_connected_by_what_it_publishes_for_mail_programs(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, ca: Authority, url: str
) -> None:
    with mail_of(dovecot, "firm.example") as (box, sink):
        text = DESCRIPTION.format(imap=dovecot.imaps_port, smtp=sink.port)
        with web_server(ca, {url: text.encode()}) as asked:
            assert connect(client, box).headers["location"] == "/today"
        assert asked[-1] == url
        assert states(context) == (box, "works", box, "active")


@contextmanager
def web_server(ca: Authority, pages: dict[str, bytes]) -> Iterator[list[str]]:
    """HTTPS at its own port, where the domain itself answers; gives what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"https://{self.headers['Host']}{self.path}")
            page = pages.get(asked[-1])
            self.send_response(200 if page is not None else 404)
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *_: Any) -> None:
            pass

    try:
        listener = ThreadingHTTPServer(("127.0.0.1", 443), Handler)
    except OSError as error:
        pytest.skip(f"port 443 of this machine cannot be had: {error}")
    listener.socket = ca.server_context().wrap_socket(listener.socket, server_side=True)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        listener.shutdown()
        listener.server_close()


def test_an_unknown_domain_asks_for_its_servers_and_keeps_the_password(client: httpx.Client, dovecot: Dovecot) -> None:
    with mail_of(dovecot, "own.example") as (box, sink):
        refused = connect(client, box)
        assert "servers of own.example could not be found" in text_at(refused, "#preset-wrong")
        typed = attribute(only(refused, "[name=secret_typed]"), "value")
        servers = {
            "imap_host": "mail.own.example", "imap_port": str(dovecot.imaps_port), "imap_security": "tls",
            "smtp_host": "mail.own.example", "smtp_port": str(sink.port), "smtp_security": "tls",
        }  # fmt: skip
        words = {"address": box, "secret": "", "secret_typed": typed, "preset": "other", **servers}
        assert len(words) < 15
        assert client.post("/connect", data=words).headers["location"] == "/today"


@pytest.mark.parametrize(("provider", "preset"), [("google", "gmail"), ("microsoft", "microsoft")])
def test_a_sign_in_connects_sending_and_reading_without_a_password(
    client: httpx.Client,
    context: AppContext,
    authorisation: AuthorisationServer,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
    preset: str,
) -> None:
    with start_dovecot(f"{authorisation.url}/introspect") as imap, smtp_sink(tls="implicit") as sink:
        sink.rules.tokens = authorisation.takes
        play(monkeypatch, preset, imap.imaps_port, sink.port)
        answer = client.post(f"/settings/oauth/{provider}", data={"purpose": "connection", "subject": ""})
        back = client.get(allow(answer.headers["refresh"].removeprefix("0; url=")))
        assert back.headers["location"] == "/today"
        assert f"{LOGIN} is connected: sending and reading work." in text_at(client.get("/today"), "[data-flash]")
        address, sends, box, reads = states(context)
        assert (address, box, reads) == (LOGIN, LOGIN, "active")
        assert sends in ("works", "unconfirmed")


HELP_PAGES = {
    "gmail": "https://myaccount.google.com/apppasswords",
    "yandex": "https://id.yandex.ru/security/app-passwords",
    "mailru": "https://account.mail.ru/user/2-step-auth/passwords",
    "icloud": "https://account.apple.com/account/manage",
    "yahoo": "https://login.yahoo.com/account/security",
    "fastmail": "https://app.fastmail.com/settings/security",
}


def test_each_service_has_its_own_page_for_app_passwords(client: httpx.Client) -> None:
    page = client.get("/connect")
    links = {attribute(link, "href") for link in every(page, ".connect-helps a")}
    assert set(HELP_PAGES.values()) <= links
    assert all(attribute(link, "rel") == "noreferrer" for link in every(page, ".connect-helps a"))
