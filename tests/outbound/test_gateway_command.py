"""`inkling gateway` and `inkling serve --smtp-port` as processes of their own."""

import signal
import smtplib
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from tests.commands.inkling import Inkling, Running
from tests.fixtures.contexts import migrate_postgresql, put_migrated_sqlite
from tests.outbound.mail_programs import content_for
from tests.outbound.submitted_mail import MIXED, TO, WITH_CONTROL
from tests.servers import Authority, Postgresql, SmtpSink, free_port, listening, wait_until
from tracker.models import Account, Message, MessageBody, User
from tracker.runtime.database import now

ALICE = "alice@seller.example"


@pytest.fixture(autouse=True)
def _migrated(tmp_path: Path) -> None:
    put_migrated_sqlite(tmp_path / "data")


def make_alice(inkling: Inkling, sink: SmtpSink) -> str:
    """Alice with an account that submits to the sink; her token."""
    inkling.in_process("user", "add", ALICE, "--name", "Alice", "--password-stdin", stdin=b"correct horse battery\n")
    context = inkling.context()
    with context.database.session_scope() as session:
        alice = session.exec(select(User)).one()
        assert alice.id is not None
        server: dict[str, Any] = {"smtp_host": sink.host, "smtp_port": sink.port, "smtp_security": "none"}
        session.add(Account(user_id=alice.id, address=ALICE, confirmed_at=now(), **server))
    context.database.close()
    return inkling.in_process("token", "add", "--user", ALICE, "--name", "laptop").text.split()[-1]


def hand_in(port: int, token: str) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as line:
        line.login(ALICE, token)
        line.sendmail(ALICE, TO, WITH_CONTROL)


def port_of(running: Running) -> int:
    running.wait_for("Mail programs submit to")
    (said,) = [line for line in running.err.splitlines() if line.startswith("Mail programs submit to")]
    return int(said.partition("(")[0].rpartition(":")[2])


def test_serve_takes_mail_and_hands_it_on(tmp_path: Path, smtp_sink: SmtpSink) -> None:
    inkling = Inkling(tmp_path, {"ALLOW_PRIVATE_HOSTS": "127.0.0.0/8"})
    token = make_alice(inkling, smtp_sink)
    web, smtp = str(free_port()), free_port()
    with inkling.running("serve", "--port", web, "--smtp-port", str(smtp)) as running:
        assert port_of(running) == smtp
        hand_in(smtp, token)
        smtp_sink.wait_for(3)
        assert running.end(signal.SIGTERM) == 0
    assert "Traceback" not in running.err
    assert "WARNING" not in running.err
    assert token not in running.err
    assert ALICE not in running.err
    assert content_for(smtp_sink, TO[0]) == MIXED


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_the_gateway_alone_only_takes_it(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, smtp_sink: SmtpSink
) -> None:
    settings = {}
    if engine == "postgresql":
        cluster: Postgresql = request.getfixturevalue("postgresql")
        settings = {"DATABASE_URL": cluster.fresh_database(migrate_postgresql)}
    inkling = Inkling(tmp_path, settings)
    token = make_alice(inkling, smtp_sink)
    with inkling.running("gateway", "--port", "0") as running:
        hand_in(port_of(running), token)
        running.process.send_signal(signal.SIGKILL)  # after the 250 nothing can be lost
        running.process.wait(30)
    assert smtp_sink.accepted == []
    context = inkling.context()
    with context.database.reading() as session:
        assert [session.get_one(MessageBody, m.id).raw for m in session.exec(select(Message))] == [MIXED]
    context.database.close()


def test_the_gateway_speaks_tls_where_it_is_told_to(tmp_path: Path, smtp_sink: SmtpSink, ca: Authority) -> None:
    tls = {"SMTP_TLS_CERT": str(ca.cert_file), "SMTP_TLS_KEY": str(ca.key_file), "SMTP_PORT": str(free_port())}
    inkling = Inkling(tmp_path, tls)
    token = make_alice(inkling, smtp_sink)
    with inkling.running("gateway", "--host", "localhost") as running:
        assert port_of(running) == int(tls["SMTP_PORT"])
        with smtplib.SMTP_SSL("localhost", port_of(running), context=ca.client_context(), timeout=30) as line:
            line.login(ALICE, token)
        assert running.end(signal.SIGINT) == 0


def test_serve_without_a_gateway(tmp_path: Path) -> None:
    web = free_port()
    with Inkling(tmp_path).running("serve", "--port", str(web), "--smtp-port", "0") as running:
        wait_until(lambda: listening(web))
        assert "Mail programs" not in running.err


def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path: Path) -> None:
    inkling = Inkling(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, option in ((("gateway", "--port", port), "--port"), (("serve", "--smtp-port", port), "--smtp-port")):
            done = inkling(*words)
            assert done.code == 1
            assert f"The port {port} of 127.0.0.1 cannot be used for mail programs" in done.sentence
            assert f"with {option}." in done.sentence


def test_a_certificate_that_does_not_fit_its_key_is_named(tmp_path: Path, ca: Authority) -> None:
    done = Inkling(tmp_path, {"SMTP_TLS_CERT": str(ca.file), "SMTP_TLS_KEY": str(ca.key_file)})(
        "gateway", "--port", "0"
    )
    assert done.code == 1
    assert "INKLING_SMTP_TLS_CERT and INKLING_SMTP_TLS_KEY cannot be used together" in done.sentence
