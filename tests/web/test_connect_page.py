"""One connection: an address and a password set up sending and reading at once, against a real Dovecot and a real SMTP server; what
is wrong is said, and put right in one field."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
from sqlmodel import select

from tests.servers import Dovecot, SmtpSink, smtp_sink
from tests.servers.dns import name_server
from tests.web.conftest import ClientOf
from tests.web.reading import attribute, every, only, text_at
from tracker.mail.discovery import MailServers, ServerAddress, preset_of, published_servers, read_autoconfig
from tracker.models import Account, Credential, Mailbox, User
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError
from tracker.web.http.throttle import connection_tests

SECRET = "s3cret app pässword"


@pytest.fixture
def box(dovecot: Dovecot) -> str:
    fresh = f"{uuid4().hex[:12]}@shop.example"
    dovecot.add_user(fresh, SECRET)
    return fresh


@pytest.fixture
def sink(box: str) -> Iterator[SmtpSink]:
    with smtp_sink(login=box, secret=SECRET) as sink:
        yield sink


def form(dovecot: Dovecot, sink: SmtpSink, box: str, **changes: str) -> dict[str, str]:
    imap = {"imap_host": dovecot.host, "imap_port": str(dovecot.imap_port), "imap_security": "none"}
    smtp = {"smtp_host": sink.host, "smtp_port": str(sink.port), "smtp_security": "none"}
    return {"address": box, "secret": SECRET, "preset": "other", "login": "", **imap, **smtp, **changes}


def connected(context: AppContext) -> tuple[list[Account], list[Mailbox]]:
    with context.database.reading() as session:
        accounts = session.exec(select(Account).where(Account.removed_at == None)).all()  # noqa: E711
        boxes = session.exec(select(Mailbox).where(Mailbox.removed_at == None)).all()  # noqa: E711
    return list(accounts), list(boxes)


def halves(page: httpx.Response) -> list[str]:
    return [attribute(badge, "class").split()[-1] for badge in every(page, ".connect-result .badge")]


def test_an_address_and_a_password_connect_sending_and_reading(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, sink: SmtpSink, box: str
) -> None:
    assert (
        attribute(only(client.get("/connect"), "#address"), "value") == "alice@example.com"
    )  # typed already at set-up
    answer = client.post("/connect", data=form(dovecot, sink, box))
    assert answer.headers["location"] == "/today"
    assert f"{box} is connected: sending and reading work." in text_at(client.get("/today"), "[data-flash]")
    (account,), (mailbox,) = connected(context)
    assert (account.state, account.address, account.imap_host) == ("works", box, dovecot.host)
    assert (mailbox.state, mailbox.address) == ("active", box)


def test_a_wrong_first_password_is_put_right_in_its_one_field(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, sink: SmtpSink, box: str
) -> None:
    wrong = client.post("/connect", data=form(dovecot, sink, box, secret="wrong horse"))
    assert wrong.status_code == 422
    assert halves(wrong) == ["bad", "bad"]
    assert "refused the login or password" in text_at(wrong, ".connect-result")
    assert "wrong horse" not in wrong.text
    assert connected(context) == ([], [])  # nothing that works is left behind
    with context.database.reading() as session:
        assert session.exec(select(Credential)).all() == []
    assert client.post("/connect", data=form(dovecot, sink, box)).headers["location"] == "/today"
    (account,), (mailbox,) = connected(context)
    assert (account.state, mailbox.state) == ("works", "active")


def test_a_half_that_works_stays_and_the_other_follows(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, sink: SmtpSink, box: str
) -> None:
    sink.rules.secret = "another"
    half = client.post("/connect", data=form(dovecot, sink, box))
    sink.rules.secret = SECRET
    assert halves(half) == ["bad", "good"]
    typed = attribute(only(half, "[name=secret_typed]"), "value")
    again = form(dovecot, sink, box.upper(), login=box, secret="", secret_typed=typed)
    assert client.post("/connect", data=again).headers["location"] == "/today"
    (account,), (mailbox,) = connected(context)
    assert (account.state, mailbox.state) == ("works", "active")


def test_a_mailbox_that_a_colleague_connected_is_said_at_the_address(
    client: httpx.Client,
    client_of: ClientOf,
    bob: User,
    context: AppContext,
    dovecot: Dovecot,
    sink: SmtpSink,
    box: str,
) -> None:
    client_of(bob).post("/connect", data=form(dovecot, sink, box))
    answer = client.post("/connect", data=form(dovecot, sink, box))
    assert answer.status_code == 409
    assert "connected to Inkling already" in text_at(answer, "#address-wrong")
    assert len(connected(context)[0]) == 1


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"address": "alice"}, "address", "not an e-mail address"),
        ({"address": ""}, "address", "not an e-mail address"),
        ({"secret": ""}, "secret", "The password is missing"),
        ({"imap_host": ""}, "imap_host", "name of the server is missing"),
        ({"smtp_host": "http://x/"}, "smtp_host", "name of the server is missing"),
        ({"smtp_port": "0"}, "smtp_port", "number from 1 to 65535"),
        ({"imap_security": "ssl"}, "imap_security", "Choose one of the list"),
        ({"preset": "aol"}, "preset", "Choose one of the list"),
        ({"preset": "auto"}, "preset", "could not be found"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field_and_the_password_stays(
    client: httpx.Client, context: AppContext, dovecot: Dovecot, sink: SmtpSink, box: str,
    changes: dict[str, str], field: str, words: str,
) -> None:  # fmt: skip
    answer = client.post("/connect", data=form(dovecot, sink, box, **changes))
    assert answer.status_code == 422
    assert words in text_at(answer, f"#{field}-wrong")
    assert SECRET not in answer.text
    assert len(every(answer, "[name=secret_typed]")) == (0 if changes == {"secret": ""} else 1)
    assert len(every(answer, "details.fold[open]")) == (field not in ("address", "secret"))
    assert connected(context) == ([], [])


def test_a_known_service_brings_its_servers(client: httpx.Client, context: AppContext, alice: User) -> None:
    with suppress(ActionError):
        while True:
            connection_tests.take(alice)
    answer = client.post("/connect", data={"address": "marina@ya.ru", "secret": SECRET})
    assert answer.status_code == 429
    assert connected(context) == ([], [])


SRV = {
    ("_imaps._tcp.own.example", "SRV"): ("10 0 1993 imap.own.example.", "0 0 993 first.own.example."),
    ("_submissions._tcp.own.example", "SRV"): ("0 0 465 smtp.own.example.",),
    ("_imap._tcp.plain.example", "SRV"): ("0 0 143 imap.plain.example.",),
    ("_submission._tcp.plain.example", "SRV"): ("0 0 587 smtp.plain.example.",),
    ("_imaps._tcp.hosted.example", "SRV"): ("0 0 993 imap.evil.test.",),
    ("_submissions._tcp.hosted.example", "SRV"): ("0 0 465 smtp.own.example.",),
    ("_imaps._tcp.half.example", "SRV"): ("0 0 993 imap.half.example.",),
    ("_submissions._tcp.none.example", "SRV"): ("0 0 0 .",),
    ("_imaps._tcp.none.example", "SRV"): ("0 0 0 .",),
}


@pytest.mark.parametrize(
    ("domain", "imap", "smtp", "is_vouched_for"),
    [
        ("own.example", ("first.own.example", 993, "tls"), ("smtp.own.example", 465, "tls"), True),
        ("plain.example", ("imap.plain.example", 143, "starttls"), ("smtp.plain.example", 587, "starttls"), True),
        ("hosted.example", ("imap.evil.test", 993, "tls"), ("smtp.own.example", 465, "tls"), False),
        ("half.example", None, None, False),
        ("none.example", None, None, False),
        ("nothing.example", None, None, False),
    ],
)
def test_a_domain_names_its_servers_by_srv_records(
    context: AppContext,
    domain: str,
    imap: tuple[str, int, str] | None,
    smtp: tuple[str, int, str],
    is_vouched_for: bool,
) -> None:
    with name_server() as dns:
        dns.records.update(SRV)
        servers = published_servers(replace(context, name_server=dns.address), f"info@{domain}")
    assert servers == (MailServers(ServerAddress(*imap), ServerAddress(*smtp)) if imap else None)
    assert servers is None or servers.vouched_for(domain) == is_vouched_for


def test_the_mail_exchanger_of_a_domain_tells_its_service(context: AppContext) -> None:
    with name_server() as dns:
        dns.mx["shop.example"] = ("10 mx.yandex.net.",)
        assert preset_of(replace(context, name_server=dns.address), "info@shop.example") == "yandex"
        assert preset_of(replace(context, name_server=dns.address), "anna@GMail.com") == "gmail"
        assert preset_of(replace(context, name_server=dns.address), "no address") is None


def _description(incoming: str = "", outgoing: str = "", head: str = "") -> bytes:
    server = "<hostname>{0}.firm.test</hostname><port>{1}</port><socketType>{2}</socketType>"
    imap = f'<incomingServer type="imap">{server.format("imap", 993, "SSL")}<username>%EMAILLOCALPART%</username></incomingServer>'
    pop = f'<incomingServer type="pop3">{server.format("pop", 995, "SSL")}</incomingServer>'
    smtp = f'<outgoingServer type="smtp">{server.format("smtp", 587, "STARTTLS")}</outgoingServer>'
    servers = pop + (incoming or imap) + (outgoing or smtp)
    return f'{head}<clientConfig version="1.1"><emailProvider id="x">{servers}</emailProvider></clientConfig>'.encode()


PLAIN = '<incomingServer type="imap"><hostname>i.test</hostname><port>143</port><socketType>plain</socketType></incomingServer>'
OAUTH = (
    '<incomingServer type="imap"><hostname>i.test</hostname><port>993</port><socketType>SSL</socketType>'
    "<authentication>OAuth2</authentication></incomingServer>"
)


@pytest.mark.parametrize(
    ("document", "is_read"),
    [
        (_description(), True),
        (_description(head='<?xml version="1.0" encoding="UTF-8"?>'), True),
        (_description(incoming=PLAIN), False),
        (_description(incoming=OAUTH), False),
        (_description().replace(b"993", b"99999999999"), False),
        (_description().replace(b"993", "٣".encode()), False),
        (_description().replace(b">imap.firm.test<", b">imap.%EMAILDOMAIN%<"), True),
        (_description().replace(b">imap.firm.test<", b">%EMAILLOCALPART%<"), False),
        (_description().replace(b">imap.firm.test<", b">imap.%EMAILHOST%<"), False),
        (_description(head='<!DOCTYPE x [<!ENTITY a "b">]>'), False),
        (_description()[:200], False),
        (b"<html>Not found</html>", False),
        (b"", False),
        (b"\xff\xfe\x00", False),
    ],
)
def test_what_a_domain_describes_for_mail_programs_is_read(document: bytes, is_read: bool) -> None:
    servers = read_autoconfig(document, "anna@firm.test")
    assert (servers is not None) == is_read
    if servers is not None:
        assert (servers.imap, servers.smtp) == (
            ServerAddress("imap.firm.test", 993, "tls"),
            ServerAddress("smtp.firm.test", 587, "starttls"),
        )
        assert (servers.login, servers.vouched_for("elsewhere.test")) == ("anna", True)
