"""`kill -9` of the whole product while it sends and is hit: nothing accepted is lost, nothing answered is lost."""

import os
import re
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path

import httpx
import pytest
from sqlmodel import func, select

from tests.fixtures.contexts import People, opened_context
from tests.journeys.test_send_and_track import CHROME, html_of
from tests.servers import free_port, listening, smtp_sink, wait_until
from tests.servers.forked_python import start_python
from tracker.models import Delivery, Event, Message
from tracker.runtime.context import AppContext

MESSAGES = 25


@contextmanager
def serving(folder: Path, port: int, url: str | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("INKLING_")},
        "INKLING_DATA_DIR": str(folder),
        "INKLING_BASE_URL": f"http://127.0.0.1:{port}",
        "INKLING_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8",
        "INKLING_WINDOW_SCALE": "0.01",
        **({"INKLING_DATABASE_URL": url} if url else {}),
    }
    words = ["-m", "tracker", "serve", "--port", str(port)]
    process = start_python(words, env=environ, stderr=subprocess.PIPE)
    errors = threading.Thread(target=lambda: process.stderr.read() if process.stderr else None, daemon=True)
    errors.start()
    try:
        wait_until(lambda: process.poll() is not None or listening(port), 90)
        wait_until(lambda: process.poll() is not None or _answers(port))
        assert process.poll() is None
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(20)
        errors.join()
        assert process.stderr is not None
        process.stderr.close()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.timeout(400)
def test_nothing_is_lost_when_the_product_is_killed_while_sending(tmp_path: Path, database_url: str | None) -> None:
    port = free_port()
    with (
        opened_context(tmp_path, database_url, TRACKING_URL=f"http://127.0.0.1:{port}") as context,
        smtp_sink(delay={"DATA": 0.02}) as sink,
    ):
        people = People(context)
        alice = people.user()
        people.account(alice, sink)
        people.grant("anna@client.example")
        for number in range(MESSAGES):
            people.send(alice, "anna@client.example", subject=f"Offer {number}")
        with serving(tmp_path, port, database_url) as product:
            wait_until(lambda: len(sink.accepted) >= 5)
            product.send_signal(signal.SIGKILL)
            product.wait()
        with serving(tmp_path, port, database_url):
            wait_until(lambda: _count(context, Message, state="sent") == MESSAGES, 60)
            assert _count(context, Delivery, status="accepted") == MESSAGES
            copies = Counter(message_from_bytes(a.content)["Message-ID"] for a in sink.accepted)
            assert len(copies) == MESSAGES
            # A kill between the server's 250 and our commit repeats that one copy, with the same Message-ID.
            assert sum(copies.values()) <= MESSAGES + 1


@pytest.mark.timeout(400)
def test_no_answered_hit_is_lost_when_the_product_is_killed(tmp_path: Path, database_url: str | None) -> None:
    port = free_port()
    tracking = f"http://127.0.0.1:{port}"
    with opened_context(tmp_path, database_url, TRACKING_URL=tracking) as context, smtp_sink() as sink:
        people = People(context)
        alice = people.user()
        people.account(alice, sink)
        people.grant("anna@client.example")
        people.send(alice, "anna@client.example")
        with serving(tmp_path, port, database_url) as product:
            answered = _hit_until_killed(product, _pixel(sink.wait_for(1)[0].content), hits=60)
        with serving(tmp_path, port, database_url):
            wait_until(lambda: _count(context, Event) >= answered)
    assert answered == 60


def _pixel(raw: bytes) -> str:
    match = re.search(r'src="([^"]+/o/[^"]+)"', html_of(raw))
    assert match
    return match[1]


def _hit_until_killed(product: "subprocess.Popen[bytes]", pixel: str, hits: int) -> int:
    """Makes ``hits`` requests and kills the product right after the last answer. Returns how many were answered."""
    with httpx.Client(headers=CHROME) as client:
        answered = sum(client.get(pixel).status_code == 200 for _ in range(hits))
        product.send_signal(signal.SIGKILL)
    product.wait()
    return answered


def _count(context: AppContext, model: type[Message] | type[Delivery] | type[Event], **columns: str) -> int:
    with context.database.reading() as session:
        return session.exec(select(func.count()).select_from(model).filter_by(**columns)).one()
