"""An unwell tracking host: mail leaves all the same, untracked and saying so; one warning, one word when it is over."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from sqlmodel import select, update

from tests.fixtures.contexts import People
from tests.pixel.edge_server import running_edge
from tests.servers import Authority, SmtpSink, free_port, silent_server
from tracker.mail.addresses import Address
from tracker.models import Delivery, HostHealth, Message, Notification
from tracker.outbound.draft import Draft
from tracker.outbound.host_health import HostCheck, host_problem, problem_of
from tracker.outbound.policy import plan_policy
from tracker.outbound.queue import send_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.processes import Process, register

ANNA = "anna@client.example"


def at(context: AppContext, url: str, **settings: object) -> AppContext:
    return replace(context, settings=replace(context.settings, tracking_url=url, **settings))  # type: ignore[arg-type]


@pytest.fixture
def away(context: AppContext) -> AppContext:
    """Nobody listens at its tracking host."""
    return at(context, f"http://127.0.0.1:{free_port()}")


def look(context: AppContext, times: int = 1) -> None:
    """A worker looks."""
    register(context)
    for _ in range(times):
        with context.database.session_scope() as session:
            session.exec(update(HostHealth).values(checked_at=now() - timedelta(minutes=2)))
        HostCheck()(context)


def lines(context: AppContext) -> list[str]:
    with context.database.reading() as session:
        bell_lines = session.exec(select(Notification).where(Notification.subject == "tracking-host")).all()
    return [line.detail for line in bell_lines]


def delivery(context: AppContext) -> Delivery:
    with context.database.reading() as session:
        return session.exec(select(Delivery)).one()


def send(context: AppContext) -> None:
    while send_due(context):
        pass


def test_a_healthy_edge_is_found_well(context: AppContext, tmp_path: Path) -> None:
    with running_edge(tmp_path / "edge") as edge:
        assert problem_of(at(context, f"http://127.0.0.1:{edge.port}")) == ""


def test_what_is_wrong_is_said(context: AppContext, away: AppContext) -> None:
    assert "does not answer (ConnectError)" in problem_of(away)
    assert "does not resolve" in problem_of(at(context, "http://nowhere.invalid"))


def test_an_answer_that_is_not_the_edges(context: AppContext, tmp_path: Path) -> None:
    with running_edge(tmp_path / "edge") as edge:
        assert "answers 404" in problem_of(at(context, f"http://127.0.0.1:{edge.port}/elsewhere"))


@contextmanager
def answering(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that says 200 to everything."""

    class Well(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None: ...

    server = HTTPServer(("127.0.0.1", port), Well)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_a_certificate_that_is_not_valid(context: AppContext, ca: Authority) -> None:
    with answering(tls=ca.server_context()) as port:
        url = f"https://localhost:{port}"
        assert "certificate of https://localhost" in problem_of(at(context, url))
        assert problem_of(at(context, url, ca_file=ca.file)) == ""


def test_nobody_looked_yet_is_well(away: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    with away.database.reading() as session:
        assert host_problem(session) == ""


def test_one_bad_answer_is_a_restart_two_are_an_outage(away: AppContext, people: People) -> None:
    people.user()
    look(away)
    with away.database.reading() as session:
        assert host_problem(session) == ""
    look(away)
    with away.database.reading() as session:
        assert "does not answer" in host_problem(session)


def test_it_is_told_once_and_once_when_it_is_over(context: AppContext, away: AppContext, people: People) -> None:
    people.user("Alice")
    people.user("Bob")
    look(away, 4)
    assert len(lines(context)) == 2
    assert all(line.startswith("New mail is sent untracked for now.") for line in lines(context))
    port = int(away.settings.tracking_url.rpartition(":")[2])
    with answering(port):
        look(away, 3)
    assert [line.startswith("The tracking host answers again") for line in lines(context)] == [True, True]
    with context.database.reading() as session:
        assert host_problem(session) == ""


def test_mail_is_sent_untracked_and_says_so(away: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant(ANNA)
    look(away, 2)
    message = people.send(alice, ANNA)
    send(away)
    assert away.settings.tracking_url.encode() not in smtp_sink.wait_for(1)[0].content
    sent = delivery(away)
    assert (sent.status, sent.opens_on, sent.opens_rule, sent.clicks_rule) == (
        "accepted",
        False,
        "host_unhealthy",
        "host_unhealthy",
    )
    with away.database.reading() as session:
        assert session.get_one(Message, message.id).opens_tracked == 0


def test_what_was_accepted_before_leaves_untracked_too(away: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant(ANNA)
    people.send(alice, ANNA)
    assert delivery(away).opens_on
    look(away, 2)
    send(away)
    assert away.settings.tracking_url.encode() not in smtp_sink.wait_for(1)[0].content
    assert delivery(away).opens_rule == "host_unhealthy"


def test_the_plan_says_so_beforehand_but_not_of_mail_for_next_week(
    away: AppContext, people: People, smtp_sink: SmtpSink
) -> None:
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant(ANNA)
    look(away, 2)
    with away.database.reading() as session:
        soon = Draft(to=(Address(ANNA),), subject="s", html="<p>x</p>")
        later = replace(soon, send_at=now() + timedelta(days=7))
        assert [p.opens.rule for p in plan_policy(session, away, alice, soon, None)] == ["host_unhealthy"]
        assert [p.opens.on for p in plan_policy(session, away, alice, later, None)] == [True]


def test_a_note_of_a_worker_that_runs_no_more_is_not_believed(away: AppContext, people: People) -> None:
    people.user()
    look(away, 2)
    with away.database.session_scope() as session:
        assert host_problem(session) != ""
        session.exec(update(Process).values(at=now() - timedelta(hours=1)))
        assert host_problem(session) == ""


def test_two_workers_that_see_one_bad_moment_see_no_outage(away: AppContext, people: People) -> None:
    people.user()
    register(away)
    for check in (HostCheck(), HostCheck()):
        check(away)
    with away.database.reading() as session:
        assert host_problem(session) == ""


def test_a_host_that_is_well_is_asked_and_nothing_is_written(context: AppContext) -> None:
    with answering() as port:
        well = at(context, f"http://127.0.0.1:{port}")
        HostCheck()(well)
        before = checked_at(well)
        HostCheck()(well)
        assert checked_at(well) == before


def checked_at(context: AppContext) -> datetime:
    with context.database.reading() as session:
        return session.exec(select(HostHealth)).one().checked_at


def test_it_is_asked_once_a_minute_and_sooner_after_a_bad_answer(context: AppContext, away: AppContext) -> None:
    with answering() as port:
        check = HostCheck()
        check(at(context, f"http://127.0.0.1:{port}"))
        with context.database.reading() as session:
            assert timedelta(seconds=50) < check.due(session) - now() <= timedelta(seconds=60)
    check = HostCheck()
    check(away)
    with context.database.reading() as session:
        assert check.due(session) - now() <= timedelta(seconds=10)


def test_a_host_that_takes_the_line_and_is_silent_blocks_no_send(
    context: AppContext, people: People, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.outbound.host_health.ANSWER_SECONDS", 1.0)
    alice = people.user()
    people.account(alice, smtp_sink)
    people.grant(ANNA)
    with silent_server() as port:
        silent = at(context, f"http://127.0.0.1:{port}")
        looking = threading.Thread(target=look, args=(silent, 2))
        looking.start()
        people.send(alice, ANNA)
        send(silent)
        assert len(smtp_sink.wait_for(1)) == 1
        looking.join(20)
    with context.database.reading() as session:
        assert "ReadTimeout" in host_problem(session)


def test_another_tracking_host_starts_afresh(away: AppContext, people: People) -> None:
    people.user()
    look(away, 2)
    moved = at(away, f"http://127.0.0.1:{free_port()}")
    look(moved)
    with moved.database.reading() as session:
        assert host_problem(session) == ""
