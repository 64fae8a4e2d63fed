"""SMTP servers that drip or flood: from some point on they send a byte now and then, or lines without end."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

Point = Literal["greeting", "EHLO", "MAIL", "DATA", "content"]


@dataclass
class DrippingSmtp:
    """``connections`` counts; ``contents`` is what came after DATA, whole or not."""

    port: int
    drips_at: Point
    pause: float
    floods: bool = False
    connections: int = 0
    contents: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def answer(self, point: Point, line: socket.socket, words: bytes) -> None:
        if point != self.drips_at:
            line.sendall(words)
            return
        for octet in words[:3]:  # a whole code, but no end
            line.sendall(bytes([octet]))
        while not self.ended.wait(self.pause):
            line.sendall(b"-and more\r\n250" * 5_000 if self.floods else b" ")


@contextmanager
def dripping_smtp(drips_at: Point, pause: float = 0.05, *, floods: bool = False) -> Iterator[DrippingSmtp]:
    """Listens on a free port until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = DrippingSmtp(listener.getsockname()[1], drips_at, pause, floods)
        threading.Thread(target=_accept, args=(listener, server), daemon=True).start()
        yield server
        server.ended.set()
        listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept


def _accept(listener: socket.socket, server: DrippingSmtp) -> None:
    with suppress(OSError):
        while True:
            line, _ = listener.accept()
            server.connections += 1
            threading.Thread(target=_talk, args=(line, server), daemon=True).start()


def _talk(line: socket.socket, server: DrippingSmtp) -> None:
    with suppress(OSError), line, line.makefile("rb") as reader:
        server.answer("greeting", line, b"220 slow ready\r\n")
        for command in reader:
            verb = command[:4].upper()
            if verb == b"EHLO":
                server.answer("EHLO", line, b"250 slow\r\n")
            elif verb == b"MAIL":
                server.answer("MAIL", line, b"250 ok\r\n")
            elif verb == b"DATA":
                server.answer("DATA", line, b"354 go on\r\n")
                server.contents.append(b"")
                for row in reader:
                    if row == b".\r\n":
                        break
                    server.contents[-1] += row
                server.answer("content", line, b"250 taken\r\n")
            elif verb == b"QUIT":
                line.sendall(b"221 bye\r\n")
                return
            else:
                line.sendall(b"250 ok\r\n")
