"""Probes and figures: who may see them and when they say no."""

import re
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlmodel import update

from pixel.limits import Budgets
from pixel.spool import Spool
from pixel.tokens import open_path
from tests.fixtures.contexts import People
from tests.pixel.edge_server import running_edge
from tests.servers import SmtpSink
from tests.web.conftest import ClientOf, server
from tracker.models import ApiToken, Delivery, Mailbox, Role, User, UserSession
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import token_digest
from tracker.runtime.lease import Lease
from tracker.runtime.processes import Process


def beat(context: AppContext, ago: timedelta = timedelta(), problem: str = "") -> None:
    with context.database.session_scope() as session:
        tasks = {'drain "local"': problem}
        session.add(Process(id="a", place="", number=1, started=1, at=now() - ago, tasks=tasks))


def token(context: AppContext, role: Role, *, active: bool = True) -> str:
    with context.database.session_scope() as session:
        user = User(email=f"{role}@example.com", name="X", role=role, active=active)
        session.add(user)
        session.flush()
        assert user.id is not None
        session.add(ApiToken(user_id=user.id, name="probe", token_digest=token_digest(f"token of {role}")))
    return f"Bearer token of {role}"


def test_it_is_alive_even_without_anybody(visitor: httpx.Client) -> None:
    assert visitor.get("/healthz").json() == {"status": "ok"}


def test_it_is_ready_while_the_worker_beats(visitor: httpx.Client, context: AppContext) -> None:
    silent = visitor.get("/readyz")
    assert (silent.status_code, silent.json()["database"]) == (503, "ok")
    assert "is a worker running?" in silent.json()["worker"]
    beat(context)
    parts = ("database", "spool", "disk", "worker", "sending", "reading")
    assert visitor.get("/readyz").json() == {"status": "ready", **dict.fromkeys(parts, "ok")}


def test_an_old_beat_is_none(visitor: httpx.Client, context: AppContext) -> None:
    beat(context, timedelta(minutes=3))
    assert visitor.get("/readyz").status_code == 503


def test_a_spool_that_cannot_be_read_is_said(visitor: httpx.Client, context: AppContext) -> None:
    beat(context)
    spool = context.settings.data_dir / "spool.sqlite3"
    Spool(spool).close()
    assert visitor.get("/readyz").status_code == 200
    spool.write_bytes(b"this is no database, whatever its name says" * 100)
    assert visitor.get("/readyz").json()["spool"] == "cannot be read"


def test_a_database_that_is_behind_is_said(visitor: httpx.Client, context: AppContext) -> None:
    beat(context)
    with context.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    assert visitor.get("/readyz").json()["database"] == "behind: run inkling migrate"


def test_figures_are_text_for_prometheus(visitor: httpx.Client, context: AppContext) -> None:
    beat(context, problem="broken")
    answer = visitor.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'inkling_worker_task_failing{task="drain \\"local\\""} 1\n' in answer.text
    assert "# TYPE inkling_messages gauge\n" in answer.text
    assert 'inkling_info{version="' in answer.text


def test_figures_of_mailboxes(visitor: httpx.Client, context: AppContext, people: People) -> None:
    alice = people.user()
    hour_ago = now() - timedelta(hours=1)
    with context.database.session_scope() as session:
        for name, state, read in (("a", "active", now()), ("b", "active", hour_ago), ("c", "auth_error", None)):
            address = f"{name}@site.example"
            session.add(
                Mailbox(user_id=alice.id or 0, address=address, canonical=address, state=state, good_run_at=read)
            )
    metrics = visitor.get("/metrics").text
    assert 'inkling_mailboxes{state="active"} 2\n' in metrics
    assert 'inkling_mailboxes{state="auth_error"} 1\n' in metrics
    (lag,) = re.findall(r"^inkling_mailbox_lag_seconds (\S+)$", metrics, re.MULTILINE)
    assert 3600 <= float(lag) < 3700


def test_hits_that_are_not_there_are_told_beside_the_pages_figures(visitor: httpx.Client, context: AppContext) -> None:
    assert "inkling_hits" not in visitor.get("/metrics").text, "there is no edge here"
    with running_edge(context.settings.data_dir, budgets=Budgets(per_token=2)) as edge:
        token = edge.open_token()
        for _ in range(5):
            edge.ask(open_path(token))
    metrics = visitor.get("/metrics").text
    assert "inkling_hits_written 2\n" in metrics
    assert "inkling_hits_over_budget 3\n" in metrics
    assert "inkling_hits_lost 0\n" in metrics


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("via", "1.1 proxy"),
        ("cf-connecting-ip", "127.0.0.1"),
        ("host", "inkling.example.com"),
        ("host", "localhost.evil.example"),
        ("host", "[::1]x"),
        ("host", ""),
    ],
)
def test_a_visitor_through_a_proxy_we_were_not_told_of_is_not_this_machine(
    visitor: httpx.Client, header: str, value: str
) -> None:
    assert visitor.get("/metrics", headers={header: value}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:9", "[::1]:80", "[::1]"])
def test_this_machine_asks_by_a_name_of_its_own(visitor: httpx.Client, host: str) -> None:
    assert visitor.get("/metrics", headers={"host": host}).status_code == 200


def test_from_elsewhere_an_administrators_token_is_needed(make_context: Callable[..., AppContext]) -> None:
    context = make_context(TRUSTED_PROXIES="127.0.0.1")
    with server(context) as address:

        def status(authorization: str) -> int:
            headers = {"x-forwarded-for": "198.51.100.7", "authorization": authorization}
            return httpx.get(f"{address}/metrics", headers=headers).status_code

        assert status("") == 403
        assert status("Bearer made up") == 403
        assert status(token(context, Role.MEMBER)) == 403
        admin = token(context, Role.ADMIN)
        assert status(admin) == 200
        with context.database.session_scope() as session:
            session.get_one(User, 2).active = False
        assert status(admin) == 403


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the write lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def wrong_parts(visitor: httpx.Client) -> set[str]:
    answer = visitor.get("/readyz", timeout=30)
    parts = {name for name, text in answer.json().items() if text != "ok" and name != "status"}
    assert answer.status_code == (503 if parts else 200)
    return parts


def test_a_database_that_nobody_can_write_is_not_ready_and_can_be_read_all_the_same(
    visitor: httpx.Client, client_of: ClientOf, context: AppContext, alice: User
) -> None:
    beat(context)
    assert wrong_parts(visitor) == set()
    bearer = token(context, Role.MEMBER)
    client = client_of(alice)
    with context.database.session_scope() as session:
        session.exec(update(UserSession).values(seen_at=now() - timedelta(days=2)))
    with context.database.session_scope() as session:
        session.exec(update(Process).values(at=now()))
    with locked(context.settings.data_dir / "inkling.sqlite3"):
        assert wrong_parts(visitor) == {"database"}
        began = time.monotonic()
        for path in ("/api/v1/me", "/api/v1/messages"):
            answer = visitor.get(path, headers={"authorization": bearer}, timeout=10)
            assert answer.status_code == 200, path
        for path in ("/mail", "/settings/profile", "/notifications"):
            assert client.get(path, timeout=10).status_code == 200, path
        assert time.monotonic() - began < 8
    assert wrong_parts(visitor) == set()


def test_a_spool_that_nobody_can_write_is_not_ready(visitor: httpx.Client, context: AppContext) -> None:
    beat(context)
    with running_edge(context.settings.data_dir):
        assert wrong_parts(visitor) == set()
        with locked(context.settings.data_dir / "spool.sqlite3"):
            assert wrong_parts(visitor) == {"spool"}


def test_a_data_folder_that_takes_nothing_is_not_ready(visitor: httpx.Client, context: AppContext) -> None:
    beat(context)
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        assert "disk" in wrong_parts(visitor)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (_soft, hard))


def test_sending_and_reading_that_stand_still_are_said(
    visitor: httpx.Client, context: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.send(alice, "anna@client.example")
    beat(context)
    assert wrong_parts(visitor) == set()
    hour_ago = now() - timedelta(hours=1)
    with context.database.session_scope() as session:
        session.exec(update(Delivery).values(next_try_at=hour_ago))
        box = Mailbox(user_id=alice.id or 0, address="a@b.example", canonical="a@b.example", state="active")
        box.due_at = hour_ago
        session.add(box)
    assert wrong_parts(visitor) == {"sending", "reading"}
    with context.database.session_scope() as session:
        session.add(Lease(kind="delivery", subject="1", token="t", process="p", until=now() + timedelta(minutes=4)))
        session.add(
            Lease(kind="mailbox", subject=str(box.id), token="t", process="p", until=now() + timedelta(minutes=4))
        )
    assert wrong_parts(visitor) == set()
