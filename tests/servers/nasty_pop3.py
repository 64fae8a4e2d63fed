"""A POP3 server whose letters, UIDLs and answers a test makes up."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class NastyPop3:
    """``answers`` by command (or by its first word) replace the usual ones; ``cuts`` end the line after them."""

    port: int
    letters: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    cuts: set[str] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)
    host: str = "127.0.0.1"

    def put(self, uidl: str, raw: bytes) -> None:
        self.letters[uidl] = raw

    def said(self, word: str) -> list[str]:
        return [command for command in self.commands if command.startswith(word)]

    def usual(self, command: str) -> bytes:
        word, _, rest = command.partition(" ")
        listed = list(self.letters.items())
        if word in self.refused:
            return b"-ERR unknown command\r\n"
        if word in ("UIDL", "LIST"):
            facts = [uidl if word == "UIDL" else str(len(raw)) for uidl, raw in listed]
            lines = "".join(f"{number} {fact}\r\n" for number, fact in enumerate(facts, 1))
            return f"+OK\r\n{lines}.\r\n".encode()
        if word in ("RETR", "TOP"):
            raw = listed[int(rest.split()[0]) - 1][1]
            raw = raw if word == "RETR" else raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            stuffed = b"".join(b"." + line if line.startswith(b".") else line for line in raw.splitlines(keepends=True))
            return b"+OK\r\n" + stuffed + b".\r\n"
        return b"+OK\r\n"


@contextmanager
def nasty_pop3() -> Iterator[NastyPop3]:
    """Listens on a free port until the end of the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = NastyPop3(listener.getsockname()[1])
    threading.Thread(target=_accept, args=(listener, server), daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        listener.close()


def _accept(listener: socket.socket, server: NastyPop3) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_talk, args=(line, server), daemon=True).start()


def _talk(line: socket.socket, server: NastyPop3) -> None:
    try:
        with line, line.makefile("rb") as reader:
            line.sendall(b"+OK ready\r\n")
            for row in reader:
                command = row.decode("utf-8", "replace").strip()
                server.commands.append(command)
                word = command.partition(" ")[0]
                answer = server.answers.get(command, server.answers.get(word))
                line.sendall(server.usual(command) if answer is None else answer)
                if word == "QUIT" or command in server.cuts:
                    return
    except OSError:
        return
