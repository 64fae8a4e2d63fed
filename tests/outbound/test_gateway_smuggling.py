"""SMTP smuggling: nothing but CRLF dot CRLF ends a message, however the bytes arrive; and dots are given back."""

import time

import pytest

from tests.outbound.gateway_world import (
    ALICE,
    ANNA,
    GatewayWorld,
    gateway_small_world,  # noqa: F401  (fixture)
)
from tests.outbound.mail_programs import hand_on
from tests.outbound.submitted_mail import plain

EVIL = b"MAIL FROM:<alice@seller.example>\r\nRCPT TO:<eve@evil.example>\r\nDATA\r\nFrom: alice@seller.example\r\n\r\nevil\r\n"


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n\n.\r\r\n"])
def test_a_false_end_is_content_and_goes_on_as_content(small_world: GatewayWorld, end: bytes) -> None:
    message = plain(body="first") + end + EVIL
    with small_world.line(signed_in=True) as line:
        line.says(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ANNA}>", "DATA")
        assert line.says(message + b".").startswith("250")
        assert line.says("NOOP").startswith("250 2.0.0 OK")
    assert len(small_world.queued()) == 1
    hand_on(small_world.context)
    (arrived,) = small_world.sink.accepted
    assert arrived.recipients == (ANNA,)
    assert b"RCPT TO:<eve@evil.example>" in arrived.content


CONTENTS = {
    "nothing": b"",
    "one empty line": b"\r\n",
    "a dot first": plain(body=".\r\n..\r\n.a\r\n...\r\n"),
    "many empty lines": plain(body="\r\n" * 50),
    "no body": b"From: alice@seller.example\r\nTo: a@b.example\r\nMessage-ID: <a@b>\r\nDate: Mon, 16 Nov 2026 10:00:00 +0300\r\n",
    "a line of a megabyte": plain(body="x" * 1_000_000 + "\r\n"),
    "dots at the edges of pieces": plain(body="\r\n.".join("x" * n for n in range(400)) + "\r\n"),
}


@pytest.mark.parametrize("size", [1, 3, 65_537, 10_000_000])
@pytest.mark.parametrize("name", CONTENTS)
def test_the_content_is_the_same_however_its_bytes_arrive(small_world: GatewayWorld, name: str, size: int) -> None:
    content = CONTENTS[name]
    stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    if len(stuffed) // size > 5_000:
        size = len(stuffed) // 50
    with small_world.line(signed_in=True) as line:
        line.says(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ANNA}>", "DATA")
        for at in range(0, len(stuffed), size):
            line.socket.sendall(stuffed[at : at + size])
            if len(stuffed) < 200 and size < 8:
                time.sleep(0.0005)  # so that the pieces arrive apart
        taken = line.reply()
        assert line.says("NOOP").startswith("250 2.0.0 OK")
    assert taken[:3] == ("550" if b"From" not in content else "250")
    contents = [small_world.raw(message) for message in small_world.queued()]
    assert contents == ([] if b"From" not in content else [content])


def test_dots_behind_bare_line_feeds_are_given_back_as_the_program_meant_them(small_world: GatewayWorld) -> None:
    doubled = plain(body="\n..\n..a\n....\n").replace(b"\r\n", b"\n")
    not_doubled = plain("Message-ID: <two@laptop.local>", body="\n.\n.a\n...\n").replace(b"\r\n", b"\n")
    for content in (doubled, not_doubled):
        with small_world.line(signed_in=True) as line:
            line.says(f"MAIL FROM:<{ALICE}>", f"RCPT TO:<{ANNA}>", "DATA")
            assert line.says(content + b"\r\n.").startswith("250")
    assert len(small_world.queued()) == 2
    for message in small_world.queued():
        assert small_world.raw(message).endswith(b"\r\n.\r\n.a\r\n...\r\n\r\n")


def test_everything_at_once_in_a_pipeline(small_world: GatewayWorld) -> None:
    submission = f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{ANNA}>\r\nDATA\r\n".encode()
    with small_world.line(signed_in=True) as line:
        three = b"".join(submission + plain(f"Message-ID: <{n}@laptop.local>") + b".\r\n" for n in range(3))
        line.socket.sendall(three + b"QUIT\r\n")
        replies = [line.reply()[:3] for _ in range(13)]
    assert replies == ["250", "250", "354", "250"] * 3 + ["221"]
    assert len(small_world.queued()) == 3
    hand_on(small_world.context)
    assert len(small_world.sink.accepted) == 3
