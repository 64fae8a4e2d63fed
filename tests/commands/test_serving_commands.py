"""The roles as processes: they start, serve, stop on a signal, and refuse with a sentence what cannot be."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin

import httpx
import pytest
from sqlmodel import select

from pixel.tokens import new_public_id
from tests.commands.inkling import Inkling
from tests.servers import free_port, wait_until
from tracker.consent.preference_links import LinkKind, PreferenceLink, preference_url
from tracker.outbound.host_health import problem_of
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.processes import Process


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        yield port


def test_everything_in_one_process(new_inkling: Inkling) -> None:
    port, smtp_port = free_port(), free_port()
    with new_inkling.running("serve", "--port", str(port), "--smtp-port", str(smtp_port)) as running:
        running.wait_for_ports(port, smtp_port)
        pixel = httpx.get(f"http://127.0.0.1:{port}/o/any.gif")
        assert (pixel.status_code, pixel.headers["content-type"]) == (200, "image/gif")
        assert httpx.get(f"http://127.0.0.1:{port}/sign-in", follow_redirects=True).status_code == 200
        assert f"Inkling: http://127.0.0.1:{port} " in running.err, "without a base URL it is where we listen"
        assert f"open http://127.0.0.1:{port}/set-up and enter the code" in running.err
        assert running.end(signal.SIGTERM) == 0
    assert "Traceback" not in running.err
    assert "ERROR" not in running.err
    assert (new_inkling.folder / "data" / "inkling.sqlite3").is_file()
    assert (new_inkling.folder / "data").stat().st_mode & 0o777 == 0o700
    assert (new_inkling.folder / "data" / "secret-keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("pages", ["127.0.0.1", "localhost"], ids=["beside the pages", "on a host of its own"])
def test_a_tracking_address_with_a_path_works_in_one_process(inkling: Inkling, pages: str) -> None:
    port, key = free_port(), "drain-0123456789-abcdefghijk"
    tracking = f"http://127.0.0.1:{port}/t"
    inkling.settings |= {"TRACKING_URL": tracking, "BASE_URL": f"http://{pages}:{port}", "DRAIN_KEY": key}
    with inkling.running("serve", "--port", str(port), "--smtp-port", "0") as running:
        running.wait_for_ports(port)
        context = inkling.context()
        delivery = new_public_id()
        assert httpx.get(context.pixel_url(delivery)).headers["content-type"] == "image/gif"
        click = httpx.get(context.click_url(delivery, 1, "https://shop.example/offer"))
        assert (click.status_code, click.headers["location"]) == (302, "https://shop.example/offer")
        assert "Disallow" in httpx.get(f"{tracking}/robots.txt").text
        hits = httpx.get(f"{tracking}/drain", params={"after": 0}, headers={"Authorization": f"Bearer {key}"})
        assert [json.loads(line)["kind"] for line in hits.text.splitlines()] == ["open", "click"]
        assert problem_of(context) == "", "the tracking host is as it should be"
        assert httpx.get(f"http://{pages}:{port}/sign-in", follow_redirects=True).status_code == 200
        assert httpx.get(f"{tracking}/sign-in").status_code == 404, "only what recipients use lives there"
        _look_at_own_page(context, tracking)
        context.database.close()


def _look_at_own_page(context: AppContext, tracking: str) -> None:
    """All that the page names lives under the tracking address; its form answers there too."""
    with context.database.session_scope() as session:
        anna = find_or_make(session, "anna@client.example", "Anna")
    url = preference_url(context, PreferenceLink(LinkKind.OWN, anna.public_id, "", now().date()))
    page = httpx.get(url)
    assert page.status_code == 200
    named = {urljoin(url, name) for name in re.findall(r'(?:href|src|action)="([^"#][^"]*)"', page.text)}
    assert {name for name in named if not name.startswith(f"{tracking}/")} == set()
    for name in named:
        if "/static/" in name or "?lang=" in name:
            assert httpx.get(name).status_code == 200, name
    assert httpx.post(url, data={"do": "stop"}).status_code == 200


def test_pages_alone(inkling_on_both: Inkling) -> None:
    port = free_port()
    settings = {"BASE_URL": "https://mail.example.com"}
    with inkling_on_both.running("web", "--port", str(port), **settings) as running:
        running.wait_for_ports(port)
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        assert httpx.get(f"http://127.0.0.1:{port}/o/any.gif").status_code == 404, "that is the edge's"
        assert "Inkling: https://mail.example.com " in running.err
        assert running.end(signal.SIGINT) == 0
    assert "Traceback" not in running.err


def test_the_edge_alone_needs_no_database(inkling: Inkling) -> None:
    port = free_port()
    key = "drain-0123456789-abcdefghijk"
    (inkling.folder / ".env").write_text(f"INKLING_DRAIN_KEY={key}\n")
    with inkling.running("edge", "--port", str(port), DATABASE_URL="postgresql://u:p@127.0.0.1:1/n") as running:
        running.wait_for_ports(port)
        assert httpx.get(f"http://127.0.0.1:{port}/o/any.gif").status_code == 200
        drain = f"http://127.0.0.1:{port}/drain?after=0"
        assert httpx.get(drain).status_code in (401, 403, 404)
        assert httpx.get(drain, headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert running.end(signal.SIGTERM) == 0
    assert "Traceback" not in running.err


def test_the_worker_alone(inkling_on_both: Inkling) -> None:
    context = inkling_on_both.context()
    with inkling_on_both.running("worker") as running:
        running.wait_for("The worker runs.")
        wait_until(lambda: _beats(inkling_on_both) >= {"send", "settle", "sweep"})
        assert running.end(signal.SIGTERM) == 0
    assert "Traceback" not in running.err
    context.database.close()


def _beats(inkling: Inkling) -> set[str]:
    context = inkling.context()
    try:
        with context.database.reading() as session:
            return {task for process in session.exec(select(Process)) for task in process.tasks}
    finally:
        context.database.close()


@pytest.mark.parametrize("role", ["serve", "web", "edge", "demo"])
def test_a_taken_port_is_refused_with_a_sentence_before_anything_is_made(new_inkling: Inkling, role: str) -> None:
    with taken_port() as port:
        done = new_inkling.in_process(role, "--port", str(port))
    assert done.code == 1
    assert done.sentence == (
        f"The port {port} of 127.0.0.1 cannot be used: another program has it, which `lsof -i :{port}` names. "
        "Choose another with --port."
    )
    assert not (new_inkling.folder / "data").exists()


def test_a_second_edge_on_a_spool_does_not_blame_the_port(inkling: Inkling) -> None:
    port = free_port()
    with inkling.running("edge", "--port", str(port)) as first:
        first.wait_for_ports(port)
        with inkling.running("edge", "--port", str(free_port())) as second:
            assert second.process.wait(30) == 1
            wait_until(lambda: "The edge could not start; the lines above say why." in second.err)
        assert "another process writes" in second.err
        assert "Choose another with --port" not in second.err


def test_an_address_of_another_machine_is_refused(inkling: Inkling) -> None:
    done = inkling.in_process("serve", "--host", "192.0.2.1", "--port", "0")
    assert (done.code, done.sentence) == (
        1, "192.0.2.1 is no address of this machine. Choose another with --host, such as 127.0.0.1.",
    )  # fmt: skip


def test_the_sentence_of_a_port_loads_nothing_else(inkling: Inkling) -> None:
    """So it comes at once."""
    with taken_port() as port:
        line = f"import sys; from tracker.__main__ import main; main(['demo', '--port', '{port}']); print(*sys.modules)"
        ran = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert str(port) in ran.stderr
    assert not {"uvicorn", "sqlalchemy", "starlette", "aiosmtpd"} & set(ran.stdout.split())


@pytest.mark.parametrize(
    "words", [("serve", "--port", "0", "--smtp-port", "0"), ("web", "--port", "0"), ("worker",), ("gateway",)]
)
def test_a_database_that_is_behind_is_refused(inkling: Inkling, postgresql_url: str, words: tuple[str, ...]) -> None:
    done = inkling.in_process(*words, stdin=b"", DATABASE_URL=postgresql_url)
    assert done.code == 1
    assert done.sentence == "The database is behind this version of Inkling. Run: inkling migrate"


def test_a_role_that_cannot_know_the_newer_database_says_so(inkling: Inkling) -> None:
    assert inkling.in_process("migrate").code == 0
    context = inkling.context()
    with context.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    context.database.close()
    done = inkling.in_process("worker")
    assert done.code == 1
    assert done.sentence.startswith("The database was migrated by a newer version of Inkling.")


def test_a_log_level_that_is_none(inkling: Inkling) -> None:
    done = inkling.in_process("worker", stdin=b"", LOGLEVEL="loud")
    assert done.code == 1
    assert done.sentence.startswith("LOGLEVEL must be one of ")
