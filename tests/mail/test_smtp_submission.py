"""Handing a message to an SMTP server: what becomes of it, and an end to servers that drip."""

import smtplib
import threading
import time
from typing import Any

import pytest

from tests.fixtures.contexts import People
from tests.servers import SmtpSink, free_port, silent_server, smtp_sink
from tests.servers.slow_smtp import Point, dripping_smtp
from tests.servers.smtp import SmtpRules
from tracker.mail import account_servers, smtp_submission
from tracker.mail.connections import ConnectError, Server
from tracker.mail.smtp_submission import Outcome, _in_transit, smtp, submit
from tracker.models import DeliveryStatus
from tracker.outbound import account_check
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Deadline, Shutdown

ALICE, ANNA = "alice@seller.example", "anna@client.example"
RAW = b"Subject: Offer\r\n\r\nHello\r\n"


def server_at(port: int, security: str = "none") -> Server:
    return Server("127.0.0.1", port, security, "", "")


def handed_over(context: AppContext, port: int, recipient: str = ANNA, raw: bytes = RAW) -> tuple[str, str]:
    outcome = submit(context, server_at(port), ALICE, recipient, raw)
    return outcome.status.value, outcome.reply


def test_a_message_that_is_taken(context: AppContext) -> None:
    with smtp_sink() as sink:
        assert submit(context, server_at(sink.port), ALICE, ANNA, RAW) == Outcome(status="accepted")  # type: ignore[arg-type]
        (accepted,) = sink.accepted
    assert (accepted.sender, accepted.recipients, accepted.content) == (ALICE, (ANNA,), RAW)


def test_4yz_is_for_later_and_5yz_for_good(context: AppContext) -> None:
    with smtp_sink(refuse={ANNA: "550 5.1.1 No such\tuser"}, defer={"b@client.example": 1}) as sink:
        assert handed_over(context, sink.port) == ("rejected", "550 5.1.1 No such user")
        assert handed_over(context, sink.port, "b@client.example") == ("deferred", "451 4.7.1 Try again later")
        sink.rules.refuse_sender = {ALICE: "553 5.7.1 Not yours"}
        assert handed_over(context, sink.port, "c@client.example") == ("rejected", "553 5.7.1 Not yours")
        sink.rules.refuse_sender, sink.rules.refuse_content = {}, "554 5.7.1 Spam"
        assert handed_over(context, sink.port, "c@client.example") == ("rejected", "554 5.7.1 Spam")


def test_without_a_connection_it_waits_and_says_why(context: AppContext) -> None:
    port = free_port()
    reply = f"Nothing listens on 127.0.0.1:{port}. Check the port."
    assert handed_over(context, port) == ("deferred", reply)


def test_letters_beyond_ascii_on_either_side_need_a_server_that_takes_them(context: AppContext) -> None:
    with smtp_sink(utf8=False) as sink:
        for sender, recipient in ((ALICE, "анна@client.example"), ("алиса@seller.example", ANNA)):
            outcome = submit(context, server_at(sink.port), sender, recipient, RAW)
            assert outcome.status == "rejected"
            assert "SMTPUTF8" in outcome.reply
    with smtp_sink() as sink:
        assert submit(context, server_at(sink.port), "алиса@seller.example", ANNA, RAW).is_accepted


@pytest.mark.parametrize("one_at_a_time", [False, True])
def test_a_refusal_leaves_the_connection_fit_for_the_next_message(
    context: AppContext, monkeypatch: pytest.MonkeyPatch, one_at_a_time: bool
) -> None:
    refused: list[tuple[SmtpRules, str]] = [
        (SmtpRules(refuse_sender={ALICE: "553 5.7.1 Not yours"}), "rejected"),
        (SmtpRules(refuse_sender={ALICE: "450 4.7.1 Wait"}, refuse={ANNA: "550 5.1.1 No"}), "deferred"),
        (SmtpRules(refuse={ANNA: "550 5.1.1 No"}), "rejected"),
        (SmtpRules(defer={ANNA: 1}), "deferred"),
        (SmtpRules(refuse_content="554 5.7.1 Spam"), "rejected"),
        (SmtpRules(), "accepted"),
    ]
    with smtp_sink() as sink:
        sink.rules.one_at_a_time = one_at_a_time
        with smtp(context, server_at(sink.port)) as connection:
            sent = _record_sent(monkeypatch)
            for rules, status in refused:
                sink.rules = rules
                assert connection.hand_over(ALICE, ANNA, RAW).status == status
            lines = [piece.count("\r\n") for piece in sent]
        assert [message.content for message in sink.accepted] == [RAW]
    assert lines[-3:] == ([1, 1, 4] if one_at_a_time else [2, 1, 4])


def _record_sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What smtplib sends from now on, piece by piece."""
    sent: list[str] = []
    send = smtplib.SMTP.send

    def recorded(connection: smtplib.SMTP, piece: Any) -> None:
        sent.append(piece if isinstance(piece, str) else bytes(piece).decode())
        send(connection, piece)

    monkeypatch.setattr(smtplib.SMTP, "send", recorded)
    return sent


def test_a_server_that_goes_over_a_refusal_has_said_it(context: AppContext) -> None:
    with smtp_sink() as sink, smtp(context, server_at(sink.port)) as connection:
        sink.rules.refuse_sender = {ALICE: "421 4.3.2 Closing"}
        assert connection.hand_over(ALICE, ANNA, RAW) == Outcome(DeliveryStatus.DEFERRED, "421 4.3.2 Closing")
        assert not connection.is_open


@pytest.mark.parametrize("point", ["greeting", "EHLO", "MAIL", "DATA", "content"])
def test_a_server_that_drips_is_cut_by_the_deadline(
    context: AppContext, monkeypatch: pytest.MonkeyPatch, point: Point
) -> None:
    monkeypatch.setattr(smtp_submission, "OPENING_SECONDS", 0.5)
    monkeypatch.setattr(smtp_submission, "CONTENT_SECONDS", 0.5)
    with dripping_smtp(point) as server:
        began = time.monotonic()
        status, reply = handed_over(context, server.port)
        assert time.monotonic() - began < 5
    assert status == "deferred"
    assert f"127.0.0.1:{server.port} " in reply
    assert (
        "took too long over a message" if point in ("MAIL", "DATA", "content") else "did not answer within"
    ) in reply


@pytest.mark.parametrize("point", ["greeting", "MAIL", "content"])
def test_whoever_waits_at_a_page_waits_no_longer_than_that_in_all(
    context: AppContext, people: People, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch, point: Point
) -> None:
    """Each step would have minutes of its own: this ends only because all of them together have not."""
    for module in (account_servers, account_check):
        monkeypatch.setattr(module, "PAGE_SECONDS", 0.5)
    with dripping_smtp(point) as server:
        account = people.account(people.user(), smtp_sink, smtp_port=server.port)
        assert account_servers.submit_at_once(context, account, ANNA, RAW).status == "deferred"
        if point != "content":
            assert not account_check.check_account(context, account.id or 0).smtp_ok


def test_a_server_that_drips_inside_the_tls_handshake_is_cut_too(
    context: AppContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_submission, "OPENING_SECONDS", 0.5)
    with silent_server() as port:
        began = time.monotonic()
        assert submit(context, server_at(port, "tls"), ALICE, ANNA, RAW).is_deferred
        assert time.monotonic() - began < 5


def test_a_reply_without_end_fills_no_memory(context: AppContext) -> None:
    with dripping_smtp("EHLO", floods=True) as server:
        status, reply = handed_over(context, server.port)
    assert (status, "ended the connection" in reply) == ("deferred", True)


def test_the_deadline_holds_on_after_starttls(context: AppContext) -> None:
    """TLS takes the socket over: the old one is closed then."""
    with smtp_sink(tls="starttls") as sink:
        context.settings.__dict__["ca_file"] = sink.ca_file
        server = Server("localhost", sink.port, "starttls", "", "")
        with Deadline(30) as deadline, smtp(context, server, deadline) as connection:
            deadline.end()
            assert connection.sock is not None
            assert connection.sock.recv(1) == b""


def test_a_large_message_over_a_slow_line_has_its_time(context: AppContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout of a socket is for everything that is sent at once: it must not be that of an answer."""
    monkeypatch.setattr(smtp_submission, "ANSWER_SECONDS", 0.5)
    with smtp_sink(delay={"DATA": 1.5}) as sink:
        assert handed_over(context, sink.port)[0] == "accepted"


def test_every_message_of_a_connection_has_its_own_time(context: AppContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp_submission, "OPENING_SECONDS", 1.0)
    with smtp_sink(delay={"MAIL": 0.4}) as sink, smtp(context, server_at(sink.port)) as connection:
        assert [connection.hand_over(ALICE, ANNA, RAW).status for _ in range(4)] == ["accepted"] * 4


def test_a_worker_that_ends_cuts_its_connections(context: AppContext) -> None:
    shutdown = Shutdown()
    with dripping_smtp("greeting") as server:
        threading.Timer(0.3, shutdown.cut).start()
        with Deadline(30) as deadline, shutdown.watching(deadline), pytest.raises(ConnectError, match="did not answer"):
            smtp(context, server_at(server.port), deadline).__enter__()
        with Deadline(30) as late, shutdown.watching(late):
            assert late.is_over


@pytest.mark.parametrize("filling", [b"", b"Some words.\r\n" * 20_000], ids=["small", "large"])
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b".",
        b".\r\n",
        b"a\r\n.\r\n",
        b"a\r\n..\r\n.b\r\n",
        b"a.\r\nb.c\r\n",
        b"a\n.b\n",
        b"a\r.b\r\n",
        b"a\r\n\r\n.\r\n.\r\n",
        b"no line end",
        b"bare line feed\n",
        b"bare carriage return\r",
    ],
)
def test_dots_are_doubled_and_the_end_is_set_as_smtplib_does_it(raw: bytes, filling: bytes) -> None:
    for message in (raw + filling, filling + raw):
        quoted: bytes = smtplib._quote_periods(message)  # type: ignore[attr-defined]
        end = b".\r\n" if quoted.endswith(b"\r\n") else b"\r\n.\r\n"
        assert b"".join(_in_transit(message)) == quoted + end


def test_a_large_message_is_sent_without_a_copy_of_it() -> None:
    raw = b"Subject: Offer\r\n\r\n" + b".Words and a number\r\n" * 10_000
    pieces = list(_in_transit(raw))
    assert [piece.obj is raw for piece in pieces if isinstance(piece, memoryview)] == [True] * (len(pieces) - 1)
