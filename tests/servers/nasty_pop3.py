"""A POP3 server whose letters, UIDLs and answers a test makes up."""

import re
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class NastyPop3:
    """``answers`` by command (or with a UIDL for the number, or by its first word) replace the usual ones, several pieces one by
    one; ``cuts`` end the line after them. ``listed`` are lengths that LIST makes up; without ``stuffs`` the server knows nothing
    of dots.
    """

    port: int
    letters: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, bytes | Iterable[bytes]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    cuts: set[str] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)
    host: str = "127.0.0.1"
    greeting: bytes | Iterable[bytes] = b"+OK ready\r\n"
    listed: dict[str, int] = field(default_factory=dict)
    stuffs: bool = True
    lines: int = 0
    deleted: set[str] = field(default_factory=set)
    """What was deleted by sessions that said QUIT."""

    def put(self, uidl: str, raw: bytes) -> None:
        self.letters[uidl] = raw

    def by_uidl(self, command: str) -> str:
        """``RETR u2`` for ``RETR 2`` where that is the UIDL of the second letter."""
        word, _, rest = command.partition(" ")
        number = int(rest.split()[0]) if rest[:1].isdigit() else 0
        return f"{word} {list(self.letters)[number - 1]}" if 0 < number <= len(self.letters) else command

    def said(self, word: str) -> list[str]:
        return [command for command in self.commands if command.startswith(word)]

    def usual(self, command: str) -> bytes:
        word, _, rest = command.partition(" ")
        listed = list(self.letters.items())
        if word in self.refused:
            return b"-ERR unknown command\r\n"
        if word in ("UIDL", "LIST"):
            facts = [uidl if word == "UIDL" else str(self.listed.get(uidl, len(raw))) for uidl, raw in listed]
            lines = "".join(f"{number} {fact}\r\n" for number, fact in enumerate(facts, 1))
            return f"+OK\r\n{lines}.\r\n".encode()
        if word in ("RETR", "TOP"):
            raw = listed[int(rest.split()[0]) - 1][1]
            raw = raw if word == "RETR" else raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            stuffed = re.sub(rb"(?m)(\A|\r\n)\.", rb"\1..", raw) if self.stuffs else raw
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


def say(line: socket.socket, answer: bytes | Iterable[bytes]) -> None:
    for piece in [answer] if isinstance(answer, bytes) else answer:
        line.sendall(piece)


def _talk(line: socket.socket, server: NastyPop3) -> None:
    server.lines += 1
    deleted: set[str] = set()
    try:
        with line, line.makefile("rb") as reader:
            say(line, server.greeting)
            for row in reader:
                command = row.decode("utf-8", "replace").strip()
                server.commands.append(command)
                word = command.partition(" ")[0]
                names = (command, server.by_uidl(command), word)
                answer = next((server.answers[name] for name in names if name in server.answers), None)
                if word == "DELE":
                    deleted.add(list(server.letters)[int(command.split()[1]) - 1])
                if word == "QUIT":
                    server.deleted |= deleted
                    for uidl in deleted:
                        server.letters.pop(uidl, None)
                say(line, server.usual(command) if answer is None else answer)
                if word == "QUIT" or server.cuts & set(names):
                    return
    except OSError:
        return
