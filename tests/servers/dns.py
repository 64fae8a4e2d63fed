"""A small real DNS server on a free UDP port, whose zone a test writes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass
class NameServer:
    """``mx`` by domain: ``("10 mx.example.", …)``, empty for a name without such records; others do not exist.

    ``records`` hold other kinds, by name and type: ``("example.com", "TXT"): ('"v=spf1 -all"',)``.

    ``silent`` names get no answer, ``failing`` ones SERVFAIL. ``asked`` is every question in its order.
    """

    address: tuple[str, int]
    mx: dict[str, tuple[str, ...]] = field(default_factory=dict)
    records: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def answer(self, wire: bytes) -> bytes | None:
        question = dns.message.from_wire(wire)
        name = question.question[0].name.to_text(omit_final_dot=True).lower()
        self.asked.append(name)
        if name in self.silent:
            return None
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.RA
        if name in self.failing:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif name not in self.mx and name not in {known for known, _ in self.records}:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            kind = dns.rdatatype.to_text(question.question[0].rdtype)
            answers = self.mx.get(name, ()) if kind == "MX" else self.records.get((name, kind), ())
            if answers:
                reply.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", kind, *answers))
        return reply.to_wire()


@contextmanager
def name_server() -> Iterator[NameServer]:
    """Answers until the end of the block."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        server = NameServer(line.getsockname())
        thread = threading.Thread(target=_serve, args=(server, line), name="dns")
        thread.start()
        try:
            yield server
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"", server.address)
            thread.join(10)


def _serve(server: NameServer, line: socket.socket) -> None:
    while True:
        wire, peer = line.recvfrom(4096)
        if not wire:
            return
        reply = server.answer(wire)
        if reply is not None:
            line.sendto(reply, peer)
