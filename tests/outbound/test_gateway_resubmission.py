"""A mail program that lost the line after the final dot and tries again (RFC 1047)."""

import smtplib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from sqlmodel import select, update

from tests.outbound.gateway_world import (
    ALICE,
    ANNA,
    BOSS,
    LUC,
    GatewayWorld,
    gateway_world,  # noqa: F401  (fixture)
)
from tests.outbound.mail_programs import hand_on
from tests.outbound.submitted_mail import plain
from tracker.models import Message, MessageState, Submission, User
from tracker.outbound.cancel import cancel
from tracker.privacy.short_lived import sweep_short_lived
from tracker.runtime.database import now


@contextmanager
def cut_at_the_answer(port: int) -> Iterator[int]:
    """A line to the gateway that breaks when the message has been accepted and the client has not been told yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        passing = threading.Thread(target=_pass_until_queued, args=(listener, port))
        passing.start()
        yield listener.getsockname()[1]
        passing.join(20)
        assert not passing.is_alive()


def _pass_until_queued(listener: socket.socket, port: int) -> None:
    client, _ = listener.accept()
    with client, socket.create_connection(("127.0.0.1", port)) as gateway:
        onward = threading.Thread(target=_pass, args=(client, gateway))
        onward.start()
        while (said := gateway.recv(65536)) and b"Queued as" not in said:
            client.sendall(said)
        client.shutdown(socket.SHUT_RDWR)
        onward.join(20)


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while said := source.recv(65536):
            target.sendall(said)


def submit(world: GatewayWorld, raw: bytes, *to: str, port: int | None = None) -> str:
    """By Python's client; the public id that the gateway named."""
    with smtplib.SMTP("127.0.0.1", port or world.gateway.port, timeout=20) as client:
        client.login(ALICE, world.token)
        client.mail(ALICE)
        for address in to or (ANNA,):
            client.rcpt(address)
        code, said = client.data(raw)
    assert code == 250
    return said.decode().rpartition(" ")[2]


def test_the_line_dies_between_acceptance_and_answer_and_the_retry_doubles_nothing(world: GatewayWorld) -> None:
    with cut_at_the_answer(world.gateway.port) as port, pytest.raises(smtplib.SMTPServerDisconnected):
        submit(world, plain(), ANNA, LUC, port=port)
    (message,) = world.queued()
    assert submit(world, plain(), LUC, ANNA) == message.public_id
    assert "Queued as " + message.public_id in world.programs.curl(ALICE, [ANNA, LUC], plain())
    hand_on(world.context)
    assert submit(world, plain(), ANNA, LUC) == message.public_id, "sent already is known as well"
    hand_on(world.context)
    assert sorted(mail.recipients for mail in world.sink.accepted) == [(ANNA,), (LUC,)]


@pytest.mark.parametrize(
    ("raw", "to"),
    [
        pytest.param(
            plain(), (LUC,), id="to somebody else: programs that submit once per recipient, people who resend"
        ),
        pytest.param(plain(), (ANNA, BOSS), id="to one more"),
        pytest.param(plain(body="Hello again\r\n"), (ANNA,), id="other words under the same Message-ID"),
        pytest.param(plain("Message-ID: <two@laptop.local>"), (ANNA,), id="the same words under another Message-ID"),
    ],
)
def test_what_differs_is_a_new_message(world: GatewayWorld, raw: bytes, to: tuple[str, ...]) -> None:
    assert submit(world, plain(), ANNA) != submit(world, raw, *to)
    assert len(world.queued()) == 2


def test_without_a_message_id_nothing_tells_a_retry_from_a_second_message(world: GatewayWorld) -> None:
    raw = plain().replace(b"Message-ID: <one@laptop.local>\r\n", b"")
    assert submit(world, raw) != submit(world, raw)


def test_line_ends_and_the_spelling_of_the_domain_make_no_other_message(world: GatewayWorld) -> None:
    first = submit(world, plain(), ANNA)
    with world.line(signed_in=True) as line:
        line.says(f"MAIL FROM:<{ALICE}>", "RCPT TO:<anna@CLIENT.example>", "DATA")
        assert line.says(plain().replace(b"\r\n", b"\n").rstrip() + b"\r\n.").endswith(first)


def test_another_person_with_the_same_message_is_another(world: GatewayWorld) -> None:
    submit(world, plain())
    bob = world.people.user("Bob")
    with world.context.database.session_scope() as session:
        session.exec(update(Submission).values(user_id=bob.id))
    submit(world, plain())
    assert len(world.queued()) == 2


def test_after_a_day_it_is_a_new_message_and_the_sweep_forgets_it(world: GatewayWorld) -> None:
    first = submit(world, plain())
    long_ago = now() - timedelta(hours=24, seconds=1)
    with world.context.database.session_scope() as session:
        session.exec(update(Submission).values(created_at=long_ago))
    assert submit(world, plain()) != first
    with world.context.database.session_scope() as session:
        session.exec(update(Submission).values(created_at=long_ago))
    sweep_short_lived(world.context)
    with world.context.database.reading() as session:
        assert session.exec(select(Submission)).all() == []


@pytest.mark.parametrize("end", ["taken back", "failed"])
def test_what_will_not_be_sent_is_no_answer_to_a_retry(world: GatewayWorld, end: str) -> None:
    first = submit(world, plain())
    with world.context.database.session_scope() as session:
        message = session.exec(select(Message).where(Message.public_id == first)).one()
        if end == "taken back":
            cancel(session, message)
        else:
            message.state = MessageState.FAILED
            session.add(message)
    again = submit(world, plain())
    assert again != first
    assert submit(world, plain()) == again, "and this one is known from now on"


def test_a_message_that_was_refused_is_tried_anew(world: GatewayWorld) -> None:
    with world.context.database.session_scope() as session:
        user = session.get_one(User, world.alice.id)
        user.active = False
        session.add(user)
    with pytest.raises(smtplib.SMTPException):
        submit(world, plain())
    with world.context.database.session_scope() as session:
        session.exec(update(User).values(active=True))
    submit(world, plain())
    assert len(world.queued()) == 1


def test_many_lines_with_one_submission_at_once_make_one_message(world: GatewayWorld) -> None:
    answers: list[str] = []
    start = threading.Barrier(8)

    def send() -> None:
        with world.line(signed_in=True) as line:
            line.says(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ANNA}>", "DATA")
            start.wait(20)
            answers.append(line.says(plain() + b"."))

    clients = [threading.Thread(target=send) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    (message,) = world.queued()
    assert answers == [f"250 2.0.0 Queued as {message.public_id}"] * 8
    assert len(world.deliveries()) == 1
