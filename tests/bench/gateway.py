"""Prints what the gateway manages: `python -m tests.bench.gateway [seconds]`. Numbers, never asserted.

Client, gateway, worker and sink share the machine. "Accepted" ends with the 250, that is with the commit; "handed on" is what
one worker then gives to the sink, a copy for each recipient.
"""

import resource
import smtplib
import sys
import tempfile
import threading
import time
from base64 import encodebytes
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.contexts import People, migrate_postgresql, opened_context
from tests.outgoing.mail_programs import running_gateway, token_of
from tests.outgoing.submitted_mail import HTML
from tests.servers import SmtpSink, postgresql, smtp_sink
from tracker.outbound.gateway.access import GatewayLimits
from tracker.outbound.gateway.server import Gateway
from tracker.outbound.queue import send_due
from tracker.runtime.context import AppContext

NO_LIMIT = GatewayLimits(messages_per_hour=1_000_000)
ALICE, ANNA = "alice@seller.example", "anna@client.example"
SIZES = (0.005, 1, 5, 25)
MEGABYTE = 1024 * 1024


def main(seconds: float = 3) -> None:
    with world("sqlite") as here:
        before = memory_now()
        with idle_lines(here.gateway, 500):
            print(f"500 idle lines: {(memory_now() - before) * 1024 / 500:.0f} KB each, both ends together\n")
    print("| database | clients | accepted per second | handed on per second |\n|---|---|---|---|")
    for engine in ("sqlite", "postgresql"):
        for clients in (1, 8, 32):
            with world(engine) as here:
                accepted = here.accepted_per_second(clients, seconds)
                print(f"| {engine} | {clients} | {accepted:.0f} | {here.handed_on_per_second():.0f} |", flush=True)
    print("\n| size | accepted after | handed on after | memory at most |\n|---|---|---|---|")
    with world("sqlite") as here:
        for megabytes in SIZES:
            taken, given = here.one_of(megabytes)
            print(f"| {megabytes} MB | {taken * 1000:.0f} ms | {given * 1000:.0f} ms | {memory():.0f} MB |", flush=True)


@dataclass(frozen=True)
class World:
    """A gateway, the token of its one user, and where the mail goes."""

    context: AppContext
    gateway: Gateway
    token: str
    sink: SmtpSink

    def line(self) -> smtplib.SMTP:
        line = smtplib.SMTP("127.0.0.1", self.gateway.port, timeout=60)
        line.login(ALICE, self.token)
        return line

    def accepted_per_second(self, clients: int, seconds: float) -> float:
        counts: list[int] = []
        end = time.monotonic() + seconds

        def submit() -> None:
            count, raw = 0, mail(0.005)
            with self.line() as line:
                while time.monotonic() < end:
                    line.sendmail(ALICE, [ANNA], raw)
                    count += 1
            counts.append(count)

        threads = [threading.Thread(target=submit) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / seconds

    def handed_on_per_second(self, seconds: float = 3) -> float:
        begin, count = time.monotonic(), 0
        while time.monotonic() - begin < seconds and (done := send_due(self.context)):
            count += done
        return count / (time.monotonic() - begin)

    def one_of(self, megabytes: float) -> tuple[float, float]:
        raw = mail(megabytes)
        with self.line() as line:
            begin = time.monotonic()
            line.sendmail(ALICE, [ANNA], raw)
        taken = time.monotonic()
        send_due(self.context)
        self.sink.clear()
        return taken - begin, time.monotonic() - taken


@contextmanager
def world(engine: str) -> Iterator[World]:
    """A fresh context with a recipient who agreed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = None
        if engine == "postgresql":
            url = stack.enter_context(postgresql()).fresh_database(migrate_postgresql)
        context = stack.enter_context(opened_context(folder, url))
        sink = stack.enter_context(smtp_sink(max_size=64 * MEGABYTE))
        people = People(context)
        alice = people.user()
        people.account(alice, sink)
        people.grant(ANNA)
        gateway = stack.enter_context(running_gateway(context, NO_LIMIT))
        yield World(context, gateway, token_of(context, alice), sink)


def mail(megabytes: float) -> bytes:
    """A message with HTML and an attachment of about this size before its encoding."""
    file = encodebytes(b"%PDF-1.7 offer " * max(1, int(megabytes * MEGABYTE / 15))).replace(b"\n", b"\r\n")
    return (
        b"From: alice@seller.example\r\nTo: anna@client.example\r\nSubject: Offer\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        + HTML
        + b"--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=offer.pdf\r\n"
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + file
        + b"--x--\r\n"
    )


@contextmanager
def idle_lines(gateway: Gateway, number: int) -> Iterator[None]:
    lines = [smtplib.SMTP("127.0.0.1", gateway.port, timeout=60) for _ in range(number)]
    try:
        yield
    finally:
        for line in lines:
            with suppress(smtplib.SMTPException):
                line.quit()


def memory() -> float:
    """The most that this process ever had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_now() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / MEGABYTE


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
