"""The servers that the tests rely on do what they promise."""

import imaplib
import poplib
import smtplib
import ssl
from datetime import UTC, datetime

import psycopg
import pytest

from tests.servers import Authority, Dovecot, Pages, Postgresql, SmtpSink, free_port, listening, silent_server
from tests.servers import dovecot as start_dovecot
from tests.servers import smtp_sink as start_smtp_sink

ANNA, BORIS = "anna@seller.example", "boris@buyer.example"
LETTER = b"From: anna@seller.example\r\nTo: boris@buyer.example\r\nSubject: Hi\r\n\r\n.dot\r\nbody\r\n"


def test_sink_keeps_every_byte(smtp_sink: SmtpSink) -> None:
    with smtplib.SMTP(smtp_sink.host, smtp_sink.port) as client:
        client.sendmail(ANNA, [BORIS, "carla@buyer.example"], LETTER)
    (accepted,) = smtp_sink.wait_for(1)
    assert accepted.content == LETTER
    assert (accepted.sender, accepted.recipients) == (ANNA, (BORIS, "carla@buyer.example"))
    assert not accepted.tls
    assert accepted.login is None


def test_sink_without_login_offers_no_auth(smtp_sink: SmtpSink) -> None:
    with smtplib.SMTP(smtp_sink.host, smtp_sink.port) as client:
        client.ehlo()
        assert not client.has_extn("auth")


def test_sink_wants_login_and_starttls(ca: Authority) -> None:
    with start_smtp_sink(login="anna", secret="right", tls="starttls") as sink:
        with smtplib.SMTP("localhost", sink.port) as client:
            client.ehlo()
            assert not client.has_extn("auth")
            with pytest.raises(smtplib.SMTPSenderRefused):
                client.sendmail(ANNA, [BORIS], LETTER)
            client.starttls(context=ca.client_context())
            with pytest.raises(smtplib.SMTPSenderRefused, match="Authentication"):
                client.sendmail(ANNA, [BORIS], LETTER)
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("anna", "wrong")
            client.login("anna", "right")
            client.sendmail(ANNA, [BORIS], LETTER)
        (accepted,) = sink.accepted
        assert accepted.tls
        assert accepted.login == "anna"


def test_sink_over_implicit_tls(ca: Authority) -> None:
    with start_smtp_sink(login="anna", secret="right", tls="implicit") as sink:
        with smtplib.SMTP_SSL("localhost", sink.port, context=ca.client_context()) as client:
            client.login("anna", "right")
            client.sendmail(ANNA, [BORIS], LETTER)
        assert sink.accepted[0].tls


def test_a_client_that_does_not_know_the_authority_refuses_it() -> None:
    with (
        start_smtp_sink(tls="implicit") as sink,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        smtplib.SMTP_SSL("localhost", sink.port, context=ssl.create_default_context())


def test_sink_refuses_and_defers() -> None:
    with (
        start_smtp_sink(refuse=["gone@buyer.example"], defer={BORIS: 1}) as sink,
        smtplib.SMTP(sink.host, sink.port) as client,
    ):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail(ANNA, ["gone@buyer.example", BORIS], LETTER)
        assert {address: code for address, (code, _) in refused.value.recipients.items()} == {
            "gone@buyer.example": 550,
            BORIS: 451,
        }
        client.sendmail(ANNA, [BORIS], LETTER)
        assert len(sink.accepted) == 1


def test_sink_defers_the_first_transactions_and_refuses_content() -> None:
    with start_smtp_sink(defer_first=1) as sink, smtplib.SMTP(sink.host, sink.port) as client:
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail(ANNA, [BORIS], LETTER)
        sink.rules.refuse_content = "554 5.7.1 Looks like spam"
        with pytest.raises(smtplib.SMTPDataError, match="spam"):
            client.sendmail(ANNA, [BORIS], LETTER)
        sink.rules.refuse_content = None
        client.sendmail(ANNA, [BORIS], LETTER)
        assert len(sink.accepted) == 1


def test_sink_cuts_the_line_after_it_has_the_message() -> None:
    with start_smtp_sink(drop_after_data=1) as sink:
        client = smtplib.SMTP(sink.host, sink.port)
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.sendmail(ANNA, [BORIS], LETTER)
        assert not sink.accepted
        assert sink.dropped[0].content == LETTER


def test_sink_has_a_size_limit() -> None:
    with (
        start_smtp_sink(max_size=1000) as sink,
        smtplib.SMTP(sink.host, sink.port) as client,
    ):
        client.ehlo()
        assert client.esmtp_features["size"] == "1000"
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail(ANNA, [BORIS], LETTER + b"x" * 1000)


def test_sink_is_slow_when_told_to() -> None:
    with (
        start_smtp_sink(delay={"MAIL": 5}) as sink,
        smtplib.SMTP(sink.host, sink.port, timeout=0.2) as client,
        pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)),
    ):
        client.sendmail(ANNA, [BORIS], LETTER)


def test_sink_ends_with_clients_still_connected(ca: Authority) -> None:
    with start_smtp_sink(tls="starttls") as sink:
        client = smtplib.SMTP("localhost", sink.port)
        client.starttls(context=ca.client_context())
    assert not listening(sink.port)
    client.close()


def test_a_silent_server_says_nothing() -> None:
    with silent_server() as port, pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
        smtplib.SMTP("127.0.0.1", port, timeout=0.2)


def test_dovecot_over_imap(dovecot: Dovecot, ca: Authority) -> None:
    address = "imap.anna@seller.example"
    dovecot.add_user(address, "s3cret")
    uid = dovecot.append(address, LETTER, flags=r"(\Flagged)", received_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    with imaplib.IMAP4_SSL("localhost", dovecot.imaps_port, ssl_context=ca.client_context()) as client:
        client.login(address, "s3cret")
        client.select("INBOX")
        _, answer = client.uid("FETCH", str(uid), "(INTERNALDATE)")
        assert b"01-Mar-2026 12:00:00 +0000" in answer[0]
        _, folders = client.list()
        assert any(b"\\Sent" in line and b"Sent Items" in line for line in folders if isinstance(line, bytes))
    assert dovecot.messages(address) == [LETTER]
    assert dovecot.messages(address, dovecot.sent_folder) == []
    assert dovecot.flags(address)[uid] >= {"\\Flagged"}
    assert "\\Seen" not in dovecot.flags(address)[uid]


def test_dovecot_over_plain_imap_with_two_users(dovecot: Dovecot) -> None:
    for name in ("boris", "carla"):
        dovecot.add_user(f"{name}@two.example", name)
    dovecot.append("boris@two.example", LETTER, "Archive/2026")
    assert dovecot.messages("boris@two.example", "Archive/2026") == [LETTER]
    assert dovecot.messages("carla@two.example") == []
    with imaplib.IMAP4(dovecot.host, dovecot.imap_port) as client, pytest.raises(imaplib.IMAP4.error):
        client.login("boris@two.example", "carla")


def test_dovecot_over_pop3(dovecot: Dovecot, ca: Authority) -> None:
    address = "pop.anna@seller.example"
    dovecot.add_user(address, "s3cret")
    dovecot.append(address, LETTER)
    for client in (
        poplib.POP3(dovecot.host, dovecot.pop3_port),
        poplib.POP3_SSL("localhost", dovecot.pop3s_port, context=ca.client_context()),
    ):
        client.user(address)
        client.pass_("s3cret")
        assert b"\r\n".join(client.retr(1)[1]) + b"\r\n" == LETTER
        assert len(client.uidl()[1]) == 1
        client.quit()


def test_dovecot_ends_and_leaves_nothing() -> None:
    with start_dovecot() as server:
        server.add_user(ANNA, "s3cret")
        assert server.messages(ANNA) == []
    assert not server.folder.exists()
    assert not listening(server.imap_port)


def test_postgresql_databases_are_apart(postgresql: Postgresql) -> None:
    first, second = postgresql.fresh_database(), postgresql.fresh_database()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE thing (name text)")
    with psycopg.connect(second) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute("SELECT * FROM thing")


def test_postgresql_copies_what_was_prepared_once(postgresql: Postgresql) -> None:
    prepared: list[str] = []

    def prepare(url: str) -> None:
        prepared.append(url)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE thing AS SELECT 'Grüße'::text AS name")

    urls = {postgresql.fresh_database(prepare) for _ in range(2)}
    assert len(urls) == 2
    assert len(prepared) == 1
    for url in urls:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT name FROM thing").fetchone() == ("Grüße",)


@pytest.mark.browser
def test_chromium_renders_as_asked(open_page: Pages) -> None:
    page = open_page(locale="ru-RU", colour_scheme="dark", viewport=(390, 844))
    page.set_content("<h1>Hi</h1><script>document.title = navigator.language + innerWidth</script>")
    assert page.title() == "ru-RU390"
    assert page.inner_text("h1") == "Hi"
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")


@pytest.mark.browser
def test_chromium_without_scripts(open_page: Pages) -> None:
    page = open_page(scripts=False)
    page.set_content("<title>before</title><script>document.title = 'after'</script>")
    assert page.title() == "before"


def test_free_ports_are_free() -> None:
    assert not listening(free_port())
