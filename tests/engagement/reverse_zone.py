"""A small real DNS server for reverse look-ups: addresses to names, names to addresses."""

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.rrset


@dataclass
class ReverseZone:
    """``pointers`` by address, ``forward`` addresses by name. A silent one answers nothing; ``asked`` is every question."""

    pointers: Mapping[str, str]
    forward: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False
    asked: list[str] = field(default_factory=list)
    address: tuple[str, int] = ("127.0.0.1", 0)

    def answer(self, wire: bytes) -> bytes | None:
        question = dns.message.from_wire(wire)
        asked = question.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        self.asked.append(name)
        if self.silent:
            return None
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.RA
        names = {
            dns.reversename.from_address(ip).to_text(omit_final_dot=True): host for ip, host in self.pointers.items()
        }
        if asked.rdtype == dns.rdatatype.PTR and name in names:
            reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "PTR", f"{names[name]}."))
        elif name in self.forward:
            kind = "AAAA" if ":" in self.forward[name] else "A"
            if asked.rdtype == dns.rdatatype.from_text(kind):
                reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", kind, self.forward[name]))
        else:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()


@contextmanager
def served(zone: ReverseZone) -> Iterator[ReverseZone]:
    """Answers on a free port until the end of the block."""

    class Answers(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, line = self.request
            reply = zone.answer(wire)
            if reply is not None:
                line.sendto(reply, self.client_address)

    server: Any = socketserver.UDPServer(("127.0.0.1", 0), Answers)
    zone.address = server.server_address
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield zone
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
