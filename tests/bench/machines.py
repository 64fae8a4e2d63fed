"""An installation of several machines under load, each role killed in turn: `python -m tests.bench.machines [--seconds 5]`.

Two edges, two webs, two gateways and three workers, each a process with a data folder of its own, on one PostgreSQL. Mail programs
submit through both gateways, whoever gets a tracked copy opens it at one of the edges, and somebody looks at the list through both
webs. Meanwhile each process is killed (`kill -9`) and started again a second later. Then everything is counted: what a gateway
answered 250 to has to be handed on, what an edge answered has to be an event, and nothing twice but what a kill leaves in doubt.
"""

import argparse
import http.client
import os
import re
import signal
import smtplib
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from itertools import cycle
from pathlib import Path

from sqlalchemy import func
from sqlmodel import col, select

from pixel.tokens import Tokens
from tests.bench.figures import add_figure
from tests.fixtures.contexts import People, migrate_postgresql, opened_context
from tests.outbound.mail_programs import token_of
from tests.servers import SmtpSink, listening, postgresql, smtp_sink, wait_until
from tests.servers.processes import end, free_port
from tracker.models import Delivery, Event, Message
from tracker.runtime.context import AppContext

KEYS = "k1-0123456789-abcdefghijklmnopqrstuvwxyz"
DRAIN_KEY = "drain-0123456789-abcdefghijk"
PEOPLE = ("Alice", "Bruno", "Clara", "Denis")
READERS = tuple(f"client{number}@client.example" for number in range(20))
ROLES = ("edge", "edge", "web", "web", "gateway", "gateway", "worker", "worker", "worker")
PIXEL = re.compile(r"/o/([A-Za-z0-9_-]+)\.gif")
HTML = "<p>Dear client, here is <a href='https://shop.example/offer'>the offer</a>.</p>"


@dataclass
class Role:
    """One process of ours, as on a machine of its own."""

    name: str
    words: list[str]
    port: int
    folder: Path
    settings: dict[str, str]
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("INKLING_")}
        environ |= {f"INKLING_{name}": value for name, value in self.settings.items()}
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "tracker", *self.words]
            self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")[-2000:]
        return listening(self.port) if self.port else True

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None:
            end(self.process, signal.SIGTERM)


@dataclass
class Load:
    """What was asked, and what was answered while it ran."""

    over: threading.Event = field(default_factory=threading.Event)
    submitted: set[str] = field(default_factory=set)
    """Subjects that a gateway answered 250 to."""
    opened: Counter[str] = field(default_factory=Counter)
    """Public ids of deliveries whose pixel an edge answered."""
    pages: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    """By role: what was not answered, and was tried again elsewhere or later."""


def submit_mail(load: Load, port: int, sender: str, token: str, name: str) -> None:
    """One mail program: a message after another on a kept connection; what got no 250 is submitted again as it was."""
    line, number, readers = None, 0, cycle(READERS)
    subject = raw = to = ""
    while not load.over.is_set() or raw:
        if not raw:
            number += 1
            subject, to = f"Offer {name} {number}", next(readers)
            raw = (
                f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{name}.{number}@laptop.example>\r\n"
                f"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{HTML}\r\n"
            )
        try:
            if line is None:
                line = smtplib.SMTP("127.0.0.1", port, timeout=30)
                line.login(sender, token)
            line.sendmail(sender, [to], raw)
        except (OSError, smtplib.SMTPException):
            load.failures["gateway"] += 1
            line = None
            time.sleep(0.2)
        else:
            load.submitted.add(subject)
            raw = ""


def open_mail(load: Load, sink: SmtpSink, tokens: Tokens, ports: list[int]) -> None:
    """Whoever got a tracked copy opens it once, at one edge or the other."""
    done, turn = 0, cycle(ports)
    while not load.over.wait(0.05) or done < len(sink.accepted):
        for taken in sink.accepted[done:]:
            done += 1
            content = message_from_bytes(taken.content, policy=policy.default).get_content()
            if (pixel := PIXEL.search(content)) is None or (claims := tokens.read_open(pixel[1])) is None:
                continue
            while not _is_answered(next(turn), f"/o/{pixel[1]}.gif"):
                load.failures["edge"] += 1
                time.sleep(0.05)
            load.opened[claims.delivery] += 1


def _is_answered(port: int, path: str, **headers: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path, headers={"User-Agent": "Mozilla/5.0 Thunderbird/128.0", **headers})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def look_at_list(load: Load, port: int, token: str) -> None:
    """A program that reads the list of messages again and again."""
    while not load.over.wait(0.1):
        is_answered = _is_answered(port, "/api/v1/messages?limit=50", Authorization=f"Bearer {token}")
        (load.pages if is_answered else load.failures)["web"] += 1


@contextmanager
def installation(folder: Path, url: str, sink: SmtpSink) -> Iterator[tuple[AppContext, list[Role], dict[str, str]]]:
    """The roles, running, and the tokens of the people by their addresses."""
    edges = [free_port(), free_port()]
    common = {
        "SECRET_KEYS": KEYS,
        "DRAIN_KEY": DRAIN_KEY,
        "TRACKING_URL": f"http://127.0.0.1:{edges[0]}",
        "ALLOW_PRIVATE_HOSTS": "127.0.0.0/8",
    }
    central = {"EDGE_URLS": ",".join(f"http://127.0.0.1:{port}" for port in edges), "MESSAGES_PER_HOUR": "0"}
    with ExitStack() as stack:
        context = stack.enter_context(opened_context(folder / "central", url, **common, **central))
        people, tokens = People(context), {}
        for name in PEOPLE:
            user = people.user(name)
            people.account(user, sink)
            tokens[user.email] = token_of(context, user)
        for reader in READERS:
            people.grant(reader)
        roles = []
        for number, role in enumerate(ROLES):
            port = edges[number] if role == "edge" else free_port() if role != "worker" else 0
            own = folder / f"{role}{number}"
            own.mkdir()
            words = [role, "--port", str(port)] if port else [role]
            settings = common | {"DATA_DIR": str(own)}
            if role != "edge":
                settings |= central | {"DATABASE_URL": url}
            roles.append(Role(f"{role} {number}", words, port, own, settings))
        try:
            for each in roles:
                each.start()
            for each in roles:
                wait_until(each.is_up, 180)
            yield context, roles, tokens
        finally:
            for each in roles:
                each.stop()


def run(seconds: float) -> int:
    """Runs it; prints what came of it. 1 when something was lost or doubled beyond what kills leave in doubt."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "central").mkdir()
        url = stack.enter_context(postgresql()).fresh_database(migrate_postgresql)
        sink = stack.enter_context(smtp_sink())
        context, roles, tokens = stack.enter_context(installation(folder, url, sink))
        load = Load()
        threads = _start(load, context, roles, tokens, sink)
        began = time.monotonic()
        _rest_and_kill(load, roles, sink, seconds)
        load.over.set()
        took = time.monotonic() - began
        for thread in threads:
            thread.join(120)
        with suppress(AssertionError):
            wait_until(lambda: _is_settled(context, load), 120)
        return _report(context, load, sink, took)


def _start(
    load: Load, context: AppContext, roles: list[Role], tokens: dict[str, str], sink: SmtpSink
) -> list[threading.Thread]:
    ports = {kind: [role.port for role in roles if role.words[0] == kind] for kind in ("edge", "web", "gateway")}
    work: list[tuple[Callable[..., None], tuple[object, ...]]] = [
        (open_mail, (load, sink, context.tokens, ports["edge"]))
    ]
    for number, (sender, token) in enumerate(tokens.items()):
        work.append((submit_mail, (load, ports["gateway"][number % 2], sender, token, str(number))))
    work += [(look_at_list, (load, port, next(iter(tokens.values())))) for port in ports["web"]]
    threads = [threading.Thread(target=target, args=arguments, daemon=True) for target, arguments in work]
    for thread in threads:
        thread.start()
    return threads


def _rest_and_kill(load: Load, roles: list[Role], sink: SmtpSink, seconds: float) -> None:
    """First all of them together, for comparison; then one after the other is away for a second."""
    print("| killed | accepted a second | handed on a second | opens answered a second |\n|---|---:|---:|---:|")
    for role in (None, *roles):
        before = len(load.submitted), len(sink.accepted), load.opened.total()
        began = time.monotonic()
        time.sleep(seconds / 2)
        if role is not None:
            role.kill()
            time.sleep(1)
            role.start()
            wait_until(role.is_up, 180)
        time.sleep(seconds / 2)
        took = time.monotonic() - began
        after = len(load.submitted), len(sink.accepted), load.opened.total()
        rates = (f"{(late - early) / took:.0f}" for early, late in zip(before, after, strict=True))
        print(f"| {role.name if role else 'nothing'} | {' | '.join(rates)} |", flush=True)


def _is_settled(context: AppContext, load: Load) -> bool:
    with context.database.reading() as session:
        open_copies = session.exec(select(func.count()).where(col(Delivery.status) != "accepted")).one()
        events = session.exec(select(func.count(func.distinct(Event.delivery_id)))).one()
    return not open_copies and events >= len(load.opened)


def _report(context: AppContext, load: Load, sink: SmtpSink, seconds: float) -> int:
    handed_on = Counter(message_from_bytes(taken.content)["Subject"] for taken in sink.accepted)
    with context.database.reading() as session:
        subjects = Counter(session.exec(select(Message.subject)))
        by_delivery = select(Delivery.public_id, func.count()).join(Event, col(Event.delivery_id) == col(Delivery.id))
        events = dict(session.exec(by_delivery.group_by(col(Delivery.public_id))).all())
    twice = {
        "messages": subjects.total() - len(subjects),
        "copies": handed_on.total() - len(handed_on),
        "opens": sum(events.values()) - len(events),
    }
    missing = {
        "messages": len(load.submitted - set(subjects)),
        "copies": len(load.submitted - set(handed_on)),
        "opens": len(set(load.opened) - set(events)),
    }
    workers, edges = ROLES.count("worker"), ROLES.count("edge")
    is_sound = not any(missing.values()) and not twice["messages"] and twice["copies"] <= workers * 8
    is_sound = is_sound and twice["opens"] <= edges
    print(
        f"\n{len(load.submitted)} messages accepted in {seconds:.0f} s, {handed_on.total()} copies handed on, ", end=""
    )
    print(
        f"{load.opened.total()} opens and {load.pages.total()} pages answered; each of {len(ROLES)} processes killed once"
    )
    add_figure("Several machines: messages accepted, a role killed in turn", len(load.submitted) / seconds, "a second")
    add_figure("Several machines: messages, copies and opens missing", sum(missing.values()), at_most=0)
    add_figure("Several machines: twice (at most a kill each)", sum(twice.values()))
    print(f"missing: {missing}; twice: {twice}; asked again: {dict(load.failures)}")
    print("sound" if is_sound else "NOT SOUND")
    return 0 if is_sound else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="under load before and after each kill, together")
    return run(parser.parse_args().seconds)


if __name__ == "__main__":
    sys.exit(main())
