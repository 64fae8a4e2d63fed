"""The gateway when something breaks: the client, the database, the process."""

import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.fixtures.contexts import opened_context
from tests.outbound.gateway_world import (
    ALICE,
    ANNA,
    GatewayWorld,
    gateway_small_world,  # noqa: F401  (fixture)
    gateway_world,  # noqa: F401  (fixture)
    opened_world,
)
from tests.outbound.mail_programs import HURRIED, Line, hand_on
from tests.outbound.submitted_mail import TO, WITH_CONTROL, plain
from tests.servers import SmtpSink, listening, wait_until
from tracker.runtime.context import AppContext


def gateway_threads() -> int:
    return sum(thread.name == "gateway" for thread in threading.enumerate())


@contextmanager
def broken_database(context: AppContext) -> Iterator[None]:
    """A database that has lost a table it needs to take a message."""
    rename = "ALTER TABLE {} RENAME TO {}"
    with context.database.engine.begin() as connection:
        connection.execute(text(rename.format("delivery", "delivery_away")))
    try:
        yield
    finally:
        with context.database.engine.begin() as connection:
            connection.execute(text(rename.format("delivery_away", "delivery")))


def test_a_client_that_goes_away_inside_data_leaves_nothing(world: GatewayWorld) -> None:
    for sent in (b"", plain(), plain() + b".", plain() + b".\r", plain()[:-2] + b"\n.\n"):
        line = world.line(signed_in=True)
        line.says(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ANNA}>", "DATA")
        line.socket.sendall(sent)
        line.close()
    with world.line(signed_in=True) as line:
        assert line.says("NOOP").startswith("250")
    assert world.queued() == []


def test_a_client_that_goes_away_before_the_answer_has_sent_its_message_once(world: GatewayWorld) -> None:
    line = world.line(signed_in=True)
    line.says(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ANNA}>", "DATA")
    line.socket.sendall(plain() + b".\r\n")
    assert line.reply().startswith("250")  # given, but this client never looks at it
    line.close()
    hand_on(world.context)
    assert len(world.sink.accepted) == 1


def test_trouble_with_the_database_is_temporary_and_nothing_is_half_taken(world: GatewayWorld) -> None:
    with world.line(signed_in=True) as line:
        line.says(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ANNA}>", "DATA")
        with broken_database(world.context):
            assert line.says(plain() + b".").startswith("451 4.3.0")
        assert world.queued() == []
        line.says(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ANNA}>", "DATA")
        assert line.says(plain() + b".").startswith("250 2.0.0")
    assert len(world.queued()) == 1


def test_a_database_that_is_gone_is_temporary_trouble_too(world: GatewayWorld) -> None:
    def gone(*_: object) -> None:
        raise OSError("connection refused by the server of alice@seller.example")

    with world.line() as line, pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.context.database.engine.pool, "connect", gone)
        reply = line.says(line.plain(ALICE, world.token))
        assert reply.startswith("451 4.3.0")
        assert "alice" not in reply
        patch.undo()
        assert line.says(line.plain(ALICE, world.token)).startswith("235")


def test_many_clients_at_once_lose_and_double_nothing(world: GatewayWorld) -> None:
    replies: list[str] = []

    def submit(number: int) -> None:
        with world.line(signed_in=True) as line:
            for turn in range(3):
                line.says(f"MAIL FROM:<{ALICE}>", *(f"RCPT TO:<{item}>" for item in TO), "DATA")
                replies.append(line.says(plain(f"Subject: {number}.{turn}") + b"."))

    clients = [threading.Thread(target=submit, args=(number,)) for number in range(12)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert [reply[:9] for reply in replies] == ["250 2.0.0"] * 36
    assert len({message.subject for message in world.queued()}) == 36
    hand_on(world.context)
    arrived = [(message.recipients[0], message.content) for message in world.sink.accepted]
    assert len(arrived) == len(set(arrived)) == 36 * 3


def test_idle_lines_by_the_hundred_keep_nobody_out(small_world: GatewayWorld) -> None:
    idle = [Line(small_world.gateway.port) for _ in range(300)]
    small_world.programs.curl(ALICE, [ANNA], WITH_CONTROL)
    for line in idle:
        line.close()
    assert len(small_world.queued()) == 1


def test_a_crowd_of_lines_makes_room_for_whoever_signs_in_and_takes_no_more_than_its_share(
    smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    limits = replace(HURRIED, connections=48, connections_per_source=12)
    with ExitStack() as stack:
        context = stack.enter_context(opened_context(tmp_path))
        world = stack.enter_context(opened_world(context, smtp_sink, tmp_path, limits))
        ours = [stack.enter_context(world.line(signed_in=True)) for _ in range(3)]
        crowd = [stack.enter_context(Line(world.gateway.port)) for _ in range(30)]
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", world.gateway.port))) for _ in range(30)]
        ours.append(stack.enter_context(world.line(signed_in=True)))
        assert [line.says("NOOP")[:3] for line in ours] == ["250"] * 4, "whoever has signed in keeps the line"
        assert all(ended(line.socket) for line in crowd)
        assert sum(ended(line) for line in silent) >= 21
        ours += [stack.enter_context(world.line(signed_in=True)) for _ in range(8)]
        with Line(world.gateway.port) as refused:
            assert refused.greeting.startswith("421 4.7.0 Too many connections")
        ours.pop().close()
        wait_until(lambda: stack.enter_context(Line(world.gateway.port)).greeting.startswith("220"))


def ended(line: socket.socket) -> bool:
    line.settimeout(0.05)
    try:
        while line.recv(4096):
            continue
    except TimeoutError:
        return False
    except ConnectionResetError:
        pass
    return True


def test_stopping_ends_idle_lines_politely_and_answers_what_is_being_committed(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    committing, go_on = threading.Event(), threading.Event()
    session_scope = type(world.context.database).session_scope

    @contextmanager
    def slow_scope(database: object, **how: bool) -> Iterator[object]:
        with session_scope(database, **how) as session:  # type: ignore[arg-type]
            yield session
            committing.set()
            assert go_on.wait(20)

    idle, busy, sending = world.line(), world.line(signed_in=True), world.line(signed_in=True)
    for line in (busy, sending):
        line.says(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ANNA}>", "DATA")
    sending.socket.sendall(plain())
    monkeypatch.setattr(type(world.context.database), "session_scope", slow_scope)
    busy.socket.sendall(plain() + b".\r\n")
    assert committing.wait(20)
    shutdown = threading.Thread(target=world.gateway.stop)
    shutdown.start()
    assert idle.reply().startswith("421 4.3.2")
    assert idle.reply() == ""
    assert sending.reply().startswith("421 4.3.2")
    go_on.set()
    assert busy.reply().startswith("250 2.0.0 Queued as")
    assert busy.reply().startswith("421 4.3.2")
    shutdown.join(20)
    assert not shutdown.is_alive()
    assert not listening(world.gateway.port)
    assert len(world.queued()) == 1
    for line in (idle, busy, sending):
        line.close()


def test_the_thread_ends_with_the_gateway(small_world: GatewayWorld) -> None:
    assert gateway_threads() == 1
    small_world.gateway.stop()
    assert gateway_threads() == 0
    small_world.gateway.stop()


def test_lines_that_are_just_beginning_when_it_stops_are_ended_without_a_trace(
    small_world: GatewayWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever state a line is in; what is left open tells of itself when it is collected, and that is an error here."""
    with ExitStack() as lines:
        for _ in range(20):
            lines.enter_context(socket.create_connection(("127.0.0.1", small_world.gateway.port)))
        small_world.gateway.stop()
        gc.collect()
    assert not caplog.records


def test_a_line_that_is_reset_at_once_does_no_harm(small_world: GatewayWorld) -> None:
    for _ in range(20):
        line = socket.create_connection(("127.0.0.1", small_world.gateway.port))
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        line.close()
    with small_world.line() as still:
        assert still.says("NOOP").startswith("250")
    wait_until(lambda: listening(small_world.gateway.port))
