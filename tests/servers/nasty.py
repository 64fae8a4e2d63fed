"""An IMAP server that follows a script: well-behaved until a test tells it what to answer instead."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Answer = Callable[["NastyImap", bytes, bytes], bytes | Iterable[bytes] | None]
"""Gets server, tag and command (without its tag); what it gives is sent instead of the usual answer. None: as usual.
``b""`` and a closed line are the same: the line is cut after what was given when it ends in :data:`CUT`."""
CUT = b"\0cut"


@dataclass
class Held:
    """A letter on the server."""

    raw: bytes
    date: str = ""
    flags: str = ""
    gmail_id: int | None = None


@dataclass
class NastyImap:
    """``letters`` by UID; ``script`` is asked before every answer; ``commands`` is what was said to it, passwords included."""

    port: int
    letters: dict[int, Held] = field(default_factory=dict)
    script: Answer = lambda server, tag, command: None
    greeting: bytes = b"* OK ready\r\n"
    capabilities: str = "IMAP4rev1 UIDPLUS ID AUTH=PLAIN"
    folders: tuple[bytes, ...] = (b'* LIST () "/" INBOX\r\n',)
    uidvalidity: int | None = 1
    uidnext: int | None = None
    commands: list[bytes] = field(default_factory=list)
    lines: int = 0
    host: str = "127.0.0.1"
    written: Callable[[bytes], bytes] = bytes
    """How this server writes what others write as RFC 9051 has it."""
    idling: list[socket.socket] = field(default_factory=list)
    """Lines that are in IDLE."""
    idled_in: list[bytes] = field(default_factory=list)
    """The folder that was open at each IDLE."""

    def tell(self, octets: bytes) -> None:
        """Says this at every line that is in IDLE; cuts them after it when it ends in :data:`CUT`."""
        for line in list(self.idling):
            line.sendall(octets.removesuffix(CUT))
            if octets.endswith(CUT):
                with suppress(OSError):  # the other end was quicker
                    line.shutdown(socket.SHUT_RDWR)

    def put(self, raw: bytes, uid: int | None = None, **more: object) -> int:
        number = uid or max(self.letters, default=0) + 1
        self.letters[number] = Held(raw, **more)  # type: ignore[arg-type]
        return number

    def said(self, pattern: bytes) -> list[bytes]:
        return [command for command in self.commands if re.search(pattern, command)]

    def usual(self, tag: bytes, command: bytes) -> bytes:
        words = command.split()
        name = words[0].upper()
        if name == b"IDLE":
            return b"* %d EXISTS\r\n+ idling\r\n" % len(self.letters)
        if name == b"UID":
            return self._uid(tag, words[1].upper(), command)
        before = {
            b"CAPABILITY": f"* CAPABILITY {self.capabilities}\r\n".encode(),
            b"LIST": b"".join(self.folders),
            b"EXAMINE": self._opened(),
            b"SELECT": self._opened(),
            b"LOGOUT": b"* BYE\r\n",
            b"ID": b"* ID NIL\r\n",
        }.get(name, b"")
        return before + tag + b" OK done\r\n"

    def _opened(self) -> bytes:
        lines = [f"* {len(self.letters)} EXISTS", "* FLAGS (\\Seen \\Deleted)"]
        if self.uidvalidity is not None:
            lines.append(f"* OK [UIDVALIDITY {self.uidvalidity}] ok")
        following = self.uidnext if self.uidnext is not None else max(self.letters, default=0) + 1
        if following:
            lines.append(f"* OK [UIDNEXT {following}] ok")
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _uid(self, tag: bytes, name: bytes, command: bytes) -> bytes:
        if name == b"SEARCH":
            match = self._asked(re.search(rb"UID ([\d:*,]+)", command[11:]))
            return b"* SEARCH " + b" ".join(b"%d" % uid for uid in match) + b"\r\n" + tag + b" OK done\r\n"
        if name == b"FETCH":
            return b"".join(
                self.fetched(uid, command) for uid in self._asked(re.search(rb"FETCH ([\d:*,]+)", command))
            ) + (tag + b" OK done\r\n")
        if name == b"STORE":
            for uid in self._asked(re.search(rb"STORE ([\d:*,]+)", command)):
                flags = re.search(rb"\(([^)]*)\)", command)
                self.letters[uid].flags = (self.letters[uid].flags + " " + (flags[1].decode() if flags else "")).strip()
        if name == b"EXPUNGE":
            for uid in self._asked(re.search(rb"EXPUNGE ([\d:*,]+)", command)):
                self.letters.pop(uid, None)
        return tag + b" OK done\r\n"

    def _asked(self, match: re.Match[bytes] | None) -> list[int]:
        """The UIDs of a set; a range that ends in * always holds the highest (RFC 9051 section 9)."""
        if match is None:
            return sorted(self.letters)
        highest = max(self.letters, default=0)
        asked: set[int] = set()
        for part in match[1].decode().split(","):
            first, _, last = part.partition(":")
            begin, end = (highest if n == "*" else int(n) for n in (first, last or first))
            asked |= {uid for uid in self.letters if min(begin, end) <= uid <= max(begin, end)}
        return sorted(asked)

    def fetched(self, uid: int, command: bytes) -> bytes:
        """One FETCH answer, with what was asked for."""
        held, seq = self.letters[uid], sorted(self.letters).index(uid) + 1
        items = [b"UID %d" % uid]
        if b"FLAGS" in command:
            items.append(b"FLAGS (%s)" % held.flags.encode())
        if b"INTERNALDATE" in command and held.date:
            items.append(b'INTERNALDATE "%s"' % held.date.encode())
        if b"RFC822.SIZE" in command:
            items.append(b"RFC822.SIZE %d" % len(held.raw))
        if b"X-GM-MSGID" in command and held.gmail_id is not None:
            items.append(b"X-GM-MSGID %d" % held.gmail_id)
        if fields := re.search(rb"BODY\.PEEK(\[HEADER[^\]]*\])(<\d+\.\d+>)?", command):
            head = held.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            items.append(b"BODY" + fields[1] + (b"<0>" if fields[2] else b"") + b" {%d}\r\n" % len(head) + head)
        elif part := re.search(rb"BODY\.PEEK\[\](?:<(\d+)\.(\d+)>)?", command):
            begin = int(part[1] or 0)
            piece = held.raw[begin : begin + int(part[2])] if part[2] else held.raw
            name = b"BODY[]<%d>" % begin if part[2] else b"BODY[]"
            items.append(name + b" {%d}\r\n" % len(piece) + piece)
        return b"* %d FETCH (" % seq + b" ".join(items) + b")\r\n"


@contextmanager
def nasty_imap(**facts: object) -> Iterator[NastyImap]:
    """Listens on a free port until the end of the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = NastyImap(listener.getsockname()[1], **facts)  # type: ignore[arg-type]
    open_lines: list[socket.socket] = []
    threading.Thread(target=_accept, args=(listener, server, open_lines), daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        listener.close()
        for line in open_lines:
            line.close()


def _accept(listener: socket.socket, server: NastyImap, open_lines: list[socket.socket]) -> None:
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.lines += 1
        open_lines.append(line)
        threading.Thread(target=_talk, args=(line, server), daemon=True).start()


def _talk(line: socket.socket, server: NastyImap) -> None:
    try:
        with line, line.makefile("rb") as reader:
            line.sendall(server.written(server.greeting))
            idle_tag = folder = b""
            for row in reader:
                tag, _, command = row.strip().partition(b" ")
                if tag.upper() == b"DONE":
                    tag, command = idle_tag, b"DONE"
                if not command:
                    continue
                if command.upper().startswith(b"AUTHENTICATE"):
                    line.sendall(b"+ \r\n")
                    command += b" " + reader.readline().strip()
                server.commands.append(command)
                answer = server.script(server, tag, command)
                answer = server.usual(tag, command) if answer is None else answer
                if not isinstance(answer, bytes):
                    for piece in answer:
                        line.sendall(piece)
                    continue
                line.sendall(server.written(answer).removesuffix(CUT))
                if command.upper().startswith((b"EXAMINE", b"SELECT")):
                    folder = command.split()[1].strip(b'"')
                if command.upper() == b"IDLE":
                    idle_tag = tag
                    server.idled_in.append(folder)
                    server.idling.append(line)
                elif command == b"DONE" and line in server.idling:
                    server.idling.remove(line)
                if answer.endswith(CUT) or command.upper().startswith(b"LOGOUT"):
                    return
    except OSError:
        return
    finally:
        if line in server.idling:
            server.idling.remove(line)


def drip(line: bytes = b"* OK", pause: float = 0.2) -> Answer:
    """A script that gives a byte now and then and never ends a line: the test's own patience ends first."""

    def script(_server: NastyImap, _tag: bytes, _command: bytes) -> bytes | None:
        time.sleep(pause)
        return line

    return script
