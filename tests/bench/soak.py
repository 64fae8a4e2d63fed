"""Thousands of messages, a server on a bad day, `kill -9` of our worker in between: `python -m tests.bench.soak`.

Nothing may be lost, and nothing doubled but what nobody can know: a copy that the server took and whose 250 we never saw, or
saw and had not yet written down when we were killed. That copy goes once more, under the same Message-ID.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

from sqlalchemy.exc import OperationalError
from sqlmodel import col, func, select, update

from tests.fixtures.contexts import HTML, People, opened_context
from tests.servers.flaky_smtp import FlakySink, flaky_sink
from tests.servers.forked_python import start_python
from tracker.mail.addresses import Address
from tracker.models import Delivery, Message, User
from tracker.outbound.draft import Draft
from tracker.outbound.send import enqueue_composed
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import is_free

SEED = 20261126
PEOPLE = tuple(f"client{number}@client.example" for number in range(40))


@dataclass(frozen=True)
class Soak:
    """What came of it. ``copies`` counts what the server said 250 to; ``unheard`` what it took and could not say so."""

    messages: int
    deliveries: int
    accepted: int
    sent: int
    copies: int
    unheard: int
    lost: int
    doubled: int
    """Copies beyond the first, among those the server said 250 to."""
    mixed_up: int
    """Messages that went out under more than one Message-ID, or a Message-ID that stands for more than one message."""
    kills: int
    troubles: Counter[str]
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Everything arrived, nothing under another name; doubled at most what a kill leaves in doubt, once each."""
        whole = self.accepted == self.deliveries and self.sent == self.messages
        return whole and not self.lost and not self.mixed_up and self.doubled <= self.kills


def soak(messages: int, kills: int, *, chance: float = 0.04, seed: int = SEED, minutes: float = 240) -> Soak:
    """Runs it in a folder of its own, on SQLite. Returns when everything was handed over, or time is up."""
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        opened_context(Path(folder)) as context,
        flaky_sink(chance, seed) as sink,
    ):
        alice = _cast(context, sink)
        feeder = threading.Thread(target=_feed, args=(context, alice, messages, random.Random(seed)), daemon=True)
        with _impatience(context):
            feeder.start()
            done = _kill_again_and_again(Path(folder), context, sink, messages, kills, random.Random(seed), minutes)
            feeder.join()
        return _report(context, sink, messages, done, time.monotonic() - began)


def _cast(context: AppContext, sink: FlakySink) -> User:
    people = People(context)
    alice = people.user()
    people.account(alice, sink)
    for address in PEOPLE[::2]:
        people.grant(address)
    return alice


def _feed(context: AppContext, alice: User, messages: int, chance: random.Random) -> None:
    """Messages to one, two or three people, in lots, while the worker already sends."""
    for first in range(0, messages, 10):
        time.sleep(0.02)  # whoever takes SQLite's lock again at once leaves it to nobody
        with context.database.session_scope() as session:
            user = session.get_one(User, alice.id)
            for number in range(first, min(first + 10, messages)):
                to = tuple(Address(address) for address in chance.sample(PEOPLE, chance.choice((1, 1, 2, 3))))
                enqueue_composed(session, context, user, Draft(to=to, subject=f"Offer {number}", html=HTML))


@contextmanager
def _impatience(context: AppContext) -> Iterator[None]:
    """What was put off for minutes is due at once: the waiting is not what is tried here."""
    over = threading.Event()

    def poll_now() -> None:
        while not over.wait(0.15):
            with suppress(OperationalError), context.database.session_scope() as session:
                waits = (col(Delivery.status) == "deferred") & is_free("delivery", col(Delivery.id), now())
                session.exec(update(Delivery).where(waits).values(next_try_at=now()))

    thread = threading.Thread(target=poll_now, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _kill_again_and_again(
    folder: Path, context: AppContext, sink: FlakySink, messages: int, kills: int, chance: random.Random, minutes: float
) -> int:
    """Each kill comes a moment after another share of the mail has gone. Returns how many hit a worker at work."""
    done, deadline = 0, time.monotonic() + minutes * 60
    for turn in range(kills):
        with _worker(folder) as process:
            share = messages * (turn + 1) // (kills + 1)
            while len(sink.accepted) < share and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(chance.uniform(0, 0.1))
            assert process.poll() is None, (folder / "worker.log").read_text(errors="replace")[-2000:]
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
    with _worker(folder):
        while not _all_sent(context, messages) and time.monotonic() < deadline:
            time.sleep(0.1)
    return done


@contextmanager
def _worker(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("INKLING_")},
        "INKLING_DATA_DIR": str(folder),
        "INKLING_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8",
        "LOGLEVEL": "ERROR",
    }
    with (folder / "worker.log").open("ab") as log:
        process = start_python(["-m", "tracker", "worker"], env=environ, stderr=log)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(20)


def _all_sent(context: AppContext, messages: int) -> bool:
    with context.database.reading() as session:
        return session.exec(select(func.count()).where(Message.state == "sent")).one() == messages


def _report(context: AppContext, sink: FlakySink, messages: int, kills: int, seconds: float) -> Soak:
    with context.database.reading() as session:
        rows = session.exec(select(Message.message_id, Delivery.address, Delivery.status).join(Delivery)).all()
        sent = session.exec(select(func.count()).where(Message.state == "sent")).one()
    copies: Counter[tuple[str, str]] = Counter()
    names: set[tuple[str, str]] = set()
    for taken in sink.accepted:
        header = message_from_bytes(taken.content)
        names.add((header["Subject"], header["Message-ID"]))
        copies.update((header["Message-ID"], address) for address in taken.recipients)
    wanted = {(message_id, address) for message_id, address, _ in rows}
    return Soak(
        messages=messages,
        deliveries=len(rows),
        accepted=sum(status == "accepted" for _, _, status in rows),
        sent=sent,
        copies=copies.total(),
        unheard=len(sink.dropped),
        lost=len(wanted - set(copies)),
        doubled=copies.total() - len(copies) + len(set(copies) - wanted),
        mixed_up=2 * len(names) - len({s for s, _ in names}) - len({m for _, m in names}),
        kills=kills,
        troubles=sink.troubles,
        seconds=seconds,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=SEED)
    words = parser.parse_args()
    result = soak(words.messages, words.kills, seed=words.seed)
    print(
        f"{result.messages} messages to {result.deliveries} recipients, {result.kills} times kill -9: {result.seconds:.0f} s"
    )
    print("what the server did: " + ", ".join(f"{count}× {what}" for what, count in result.troubles.most_common()))
    print(
        f"sent: {result.sent} messages; accepted: {result.accepted} copies; lost: {result.lost}; mixed up: {result.mixed_up}"
    )
    print(f"doubled: {result.doubled} of at most {result.kills}, each killed between the 250 and our note of it")
    print(f"tried again because the line was cut before the 250: {result.unheard}")
    print("sound" if result.is_sound else "NOT SOUND")
    return 0 if result.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
