"""Prints what gateway and queue manage: `python -m tests.bench.gateway [seconds]`. Numbers, never asserted.

Mail programs and the server that mail is handed on to are processes of their own; gateway and worker share this one. "Accepted"
ends with the 250, that is with the commit; "handed on" is what a worker then gives to the server, a copy for each
recipient. Beside the rates stand milliseconds of processor and, the same on a busy machine, statements and transactions that write.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from base64 import encodebytes
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.bench.figures import add_figure
from tests.bench.mail_client import HTML
from tests.fixtures.contexts import People, migrate_postgresql, opened_context
from tests.fixtures.counts import counted
from tests.outbound.mail_programs import running_gateway, token_of
from tests.servers import postgresql
from tracker.outbound.account_pool import AccountPool
from tracker.outbound.gateway.server import Gateway
from tracker.outbound.queue import accounts_due, send_due, send_for_account
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.interpreter import keep_what_is_loaded, take_short_turns

ALICE, ANNA = "alice@seller.example", "anna@client.example"
SIZES = (0.005, 1, 5, 25)
MEGABYTE = 1024 * 1024
ACCOUNTS = 8
ENGINES = ("sqlite", "postgresql")


def main(seconds: float = 3) -> None:
    take_short_turns()  # as a worker and a gateway do
    keep_what_is_loaded()
    print(
        "| database | accepted | a second | p50, p99 | processor | statements | transactions |\n|---|---|---|---|---|---|---|"
    )
    for engine in ENGINES:
        with world(engine) as gateway_world:
            for clients, how in ((1, "kept"), (10, "kept"), (10, "each")):
                print(f"| {engine} | {clients} {how} | {gateway_world.accepted(clients, how, seconds)} |", flush=True)
    print(
        "\n| database | accounts | handed on a second | processor | statements | transactions |\n|---|---|---|---|---|---|"
    )
    for engine in ENGINES:
        for accounts in (1, ACCOUNTS):
            with world(engine, accounts) as gateway_world:
                print(f"| {engine} | {accounts} | {gateway_world.handed_on(round(100 * seconds))} |", flush=True)
                if engine == "postgresql" and accounts > 1:
                    together = gateway_world.handed_on_by_two(round(200 * seconds))
                    print(f"| {engine} | {accounts}, two workers | {together:.0f} | | | |", flush=True)
    print("\n| database | size | memory to accept | memory to hand on |\n|---|---|---|---|")
    for engine in ENGINES:
        with world(engine) as gateway_world:
            gateway_world.one_of(0.005)
            for megabytes in SIZES:
                print(f"| {engine} | {gateway_world.one_of(megabytes)} |", flush=True)


@dataclass(frozen=True)
class World:
    """A gateway, the token of its one user, and the addresses of the accounts."""

    context: AppContext
    gateway: Gateway
    token: str
    senders: list[str]

    def submit(self, clients: int, how: str, seconds: float) -> tuple[int, float, float]:
        """Messages, and the median and the 99th percentile of their seconds."""
        words = (str(self.gateway.port), self.token, str(clients), how, str(seconds))
        command = [sys.executable, "-m", "tests.bench.mail_client", *words]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        return int(said[0]), float(said[1]), float(said[2])

    def accepted(self, clients: int, how: str, seconds: float) -> str:
        self.submit(clients, how, 0.5)
        with counted(self.context) as counts:
            cpu = time.process_time()
            count, median, most = self.submit(clients, how, seconds)
            cpu = time.process_time() - cpu
        row = f"Gateway, {self.context.database.engine.dialect.name}: {clients} at once, connection {how}"
        add_figure(row, count / seconds, "messages a second", at_least=200)
        add_figure(f"{row}, p99", 1000 * most, "ms", at_most=100)
        return f"{count / seconds:.0f} | {1000 * median:.0f}, {1000 * most:.0f} ms | {_each(counts, cpu, count)}"

    def handed_on(self, copies: int) -> str:
        self._queue(40)
        hand_on(self.context)  # a worker has compiled its statements long ago
        self._queue(copies)
        rate, measured = self.measured(copies, lambda: hand_on(self.context))
        row = f"Queue, {self.context.database.engine.dialect.name}: mail of {len(self.senders)} account(s)"
        add_figure(row, rate, "copies a second", at_least=200)
        return measured

    def measured(self, copies: int, work: Callable[[], None]) -> tuple[float, str]:
        """How many a second, and the same with what each takes as a row."""
        with counted(self.context) as counts:
            began, cpu = time.monotonic(), time.process_time()
            work()
            took, cpu = time.monotonic() - began, time.process_time() - cpu
        return copies / took, f"{copies / took:.0f} | {_each(counts, cpu, copies)}"

    def _queue(self, copies: int) -> None:
        people = People(self.context)
        for number in range(copies):
            people.send(SimpleNamespace(id=1 + number % len(self.senders)), ANNA, html=HTML.decode())  # type: ignore[arg-type]

    def handed_on_by_two(self, copies: int) -> float:
        """Copies a second by this process and another one together."""
        processes = get_context("spawn")
        ready, begin = processes.Event(), processes.Event()
        settings = self.context.settings
        other = processes.Process(target=_hand_on_apart, args=(settings.data_dir, settings.database_url, ready, begin))
        other.start()
        ready.wait()
        self._queue(copies)
        began = time.monotonic()
        begin.set()
        hand_on(self.context)
        other.join()
        rate = copies / (time.monotonic() - began)
        add_figure("Queue, postgresql: mail of 8 accounts, two workers", rate, "copies a second")
        return rate

    def one_of(self, megabytes: float) -> str:
        raw = mail(megabytes)
        file = self.context.settings.data_dir / "message.eml"
        file.write_bytes(raw)
        client = (
            "import smtplib, sys; line = smtplib.SMTP('127.0.0.1', int(sys.argv[1]), timeout=120);"
            f"line.login('{ALICE}', sys.argv[2]); line.sendmail('{ALICE}', ['{ANNA}'], open(sys.argv[3], 'rb').read())"
        )
        command = [sys.executable, "-c", client, str(self.gateway.port), self.token, str(file)]
        accepting = _most_memory(lambda: subprocess.run(command, check=True))
        sending = _most_memory(lambda: send_due(self.context))
        size = len(raw) / MEGABYTE
        if megabytes == SIZES[-1]:
            times = max(accepting, sending) / size
            add_figure(f"Gateway: memory of a message of {size:.0f} MB", times, "times its size", at_most=4)
        return f"{size:.1f} MB | {accepting:.0f} MB, {accepting / size:.1f} times | {sending:.0f} MB, {sending / size:.1f} times"


def hand_on(context: AppContext) -> None:
    """Until nothing is due that nobody has in hand."""
    pool = AccountPool(accounts_due, send_for_account)
    while _is_due(context):
        pool(context)
        pool.join()


def _is_due(context: AppContext) -> bool:
    with context.database.reading() as session:
        return bool(accounts_due(session, now()))


def _hand_on_apart(folder: Path, database_url: str, ready: Event, begin: Event) -> None:
    take_short_turns()
    with opened_context(folder, database_url, MESSAGES_PER_HOUR="0") as context:
        People(context).send(SimpleNamespace(id=1), ANNA, html=HTML.decode())  # type: ignore[arg-type]
        hand_on(context)
        ready.set()
        begin.wait()
        hand_on(context)


def _each(counts: Counter[str], cpu: float, number: int) -> str:
    each = max(1, number)
    return f"{1000 * cpu / each:.1f} ms | {counts['statements'] / each:.1f} | {counts['writing'] / each:.2f}"


def _most_memory(action: Any) -> float:
    """Megabytes that the process had at most beyond what it had before."""
    before = memory_now()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (proc(5))
    action()
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024 - before


def memory_now() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / MEGABYTE


@contextmanager
def world(engine: str, accounts: int = 1) -> Iterator[World]:
    """A fresh context with a recipient who agreed, and accounts of as many people, two to a host."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = None
        if engine == "postgresql":
            url = stack.enter_context(postgresql()).fresh_database(migrate_postgresql)
        context = stack.enter_context(opened_context(folder, url, MESSAGES_PER_HOUR="0"))
        port = stack.enter_context(_sink())
        people, senders = People(context), ["alice", *(f"seller{number}" for number in range(1, accounts))]
        for number, name in enumerate(senders):
            sink: Any = SimpleNamespace(host=f"127.0.0.{1 + number // 2}", port=port, rules=SimpleNamespace(login=None))
            people.account(people.user(name.capitalize()), sink)
        people.grant(ANNA)
        gateway = stack.enter_context(running_gateway(context))
        token = token_of(context, SimpleNamespace(id=1))  # type: ignore[arg-type]
        yield World(context, gateway, token, senders)


@contextmanager
def _sink() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.mail_sink"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def mail(megabytes: float) -> bytes:
    """A message with HTML and an attachment of about this size before its encoding."""
    file = encodebytes(b"%PDF-1.7 offer " * max(1, int(megabytes * MEGABYTE / 15))).replace(b"\n", b"\r\n")
    return (
        b"From: alice@seller.example\r\nTo: anna@client.example\r\nSubject: Offer\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        + HTML
        + b"\r\n--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=offer.pdf\r\n"
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + file
        + b"--x--\r\n"
    )


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main(*map(float, sys.argv[1:]))
